//! Processes that a server has started and that have left its group, as daemons do.
//!
//! On Linux the guard is made the parent of all orphans among its descendants, so that it finds them. Elsewhere the group of
//! the server is all that is stopped.

use std::fs;

use rustix::process::{Pid, Signal, kill_process};

/// Looks for strays at most so often: each look may find those whose parent has just been killed.
const LOOKS_MAX: usize = 20;

/// Has orphans among the descendants become children of this process.
pub fn adopt() {
    #[cfg(target_os = "linux")]
    let _ = rustix::process::set_child_subreaper(Some(rustix::process::getpid()));
}

/// Kills every child of this process that is still alive.
pub fn stop() {
    for _ in 0..LOOKS_MAX {
        let children = children();
        if children.is_empty() {
            return;
        }
        for child in children {
            let _ = kill_process(child, Signal::KILL);
        }
        std::thread::sleep(super::LOOK_INTERVAL);
    }
}

/// Returns the children of this process that have not ended.
fn children() -> Vec<Pid> {
    let own = std::process::id();
    let Ok(processes) = fs::read_dir("/proc") else { return Vec::new() };
    let child = |name: &str| {
        let stat = fs::read_to_string(format!("/proc/{name}/stat")).ok()?;
        // The name of the program is in parentheses and may hold spaces.
        let mut fields = stat.rsplit_once(") ")?.1.split(' ');
        let (state, parent) = (fields.next()?, fields.next()?);
        let is_child = parent.parse() == Ok(own) && !matches!(state, "Z" | "X");
        is_child.then(|| Pid::from_raw(name.parse().ok()?))?
    };
    processes.filter_map(|process| child(process.ok()?.file_name().to_str()?)).collect()
}
