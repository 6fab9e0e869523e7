use std::fmt;
use std::fs;
use std::path::Path;

/// A process, so that a person can find it on another host, and another process can tell whether it is alive here.
///
/// Written as `PROCESS HOST BOOT NAMESPACE`. Version 0.1.0 wrote the process alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    process: u32,
    host: String,
    boot: String,
    /// The namespace of process ids: containers on one machine number their processes apart.
    namespace: String,
}

impl Owner {
    /// Returns this process.
    pub fn this() -> Self {
        let namespace = fs::read_link("/proc/self/ns/pid").map(|link| link.display().to_string()).unwrap_or_default();
        Self { process: std::process::id(), host: line_of("/proc/sys/kernel/hostname"), boot: boot_id(), namespace }
    }

    /// Reads what [`Owner`] displays.
    pub fn parse(text: &str) -> Option<Self> {
        let mut words = text.split_whitespace();
        let process = words.next()?.parse().ok()?;
        let mut word = || words.next().filter(|word| *word != "-").unwrap_or_default().to_owned();
        Some(Self { process, host: word(), boot: word(), namespace: word() })
    }

    /// True if the process runs in this boot and this namespace of process ids; others cannot be looked up from here.
    pub fn is_alive_here(&self) -> bool {
        self.is_from_here() && Path::new("/proc").join(self.process.to_string()).exists()
    }

    /// True if the process can be looked up from here: it is of this boot and this namespace of process ids.
    pub fn is_from_here(&self) -> bool {
        let this = Self::this();
        let is_known = !self.boot.is_empty() && !self.namespace.is_empty();
        is_known && self.boot == this.boot && self.namespace == this.namespace
    }

    /// Returns the name of the machine; empty where it is not known.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// True if the process runs, or ran, on this machine, whatever its container.
    pub fn is_on_this_machine(&self) -> bool {
        let this = Self::this();
        let is_same_boot = !self.boot.is_empty() && self.boot == this.boot;
        // After a restart it is the same machine, and the process is gone.
        is_same_boot || !self.host.is_empty() && self.host == this.host
    }

    /// Returns the process for a message: `1234 on host node7`.
    pub fn place(&self) -> String {
        if self.host.is_empty() { self.process.to_string() } else { format!("{} on host {}", self.process, self.host) }
    }
}

/// Returns the identifier of the current boot; empty where the system has none.
pub fn boot_id() -> String {
    line_of("/proc/sys/kernel/random/boot_id")
}

fn line_of(path: &str) -> String {
    fs::read_to_string(path).map(|text| text.trim().to_owned()).unwrap_or_default()
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let or_dash =
            |text: &str| if text.is_empty() { "-".to_owned() } else { text.replace(char::is_whitespace, "_") };
        write!(f, "{} {} {} {}", self.process, or_dash(&self.host), or_dash(&self.boot), or_dash(&self.namespace))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_process_that_can_be_looked_up_here_is_alive_here() {
        let this = Owner::this();
        assert_eq!(Owner::parse(&this.to_string()), Some(this.clone()));
        assert!(this.is_alive_here());
        // No process has this id: Linux ends at 2^22.
        assert!(!Owner { process: 1 << 23, ..this.clone() }.is_alive_here());
        assert!(!Owner { boot: "another boot".to_owned(), ..this.clone() }.is_alive_here());
        assert!(!Owner { namespace: "another container".to_owned(), ..this.clone() }.is_alive_here());
        let old = Owner::parse("1234\n").unwrap();
        assert!(!old.is_alive_here() && old.place() == "1234");
    }
}
