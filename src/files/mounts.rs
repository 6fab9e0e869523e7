use std::fs;
use std::path::{Path, PathBuf};

/// Returns a caution where locks below `path` may hold on this machine alone. `None` where they hold for everybody who can
/// write there, and where nothing is known.
pub fn lock_caution(path: &Path) -> Option<String> {
    let table = fs::read_to_string("/proc/self/mountinfo").ok()?;
    let path = fs::canonicalize(path).ok()?;
    let mount = mount_of(&table, &path)?;
    mount.locks_here_alone().then(|| {
        format!(
            "{} is on a {} file system whose locks may hold on this machine alone: \
             run one process on this store at a time; a second one is only noticed when it writes",
            path.display(),
            mount.kind
        )
    })
}

/// True where `path` is on another machine. A socket there would be of no use to others, and some file systems have none.
pub fn is_remote(path: &Path) -> bool {
    let table = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    mount_of(&table, &path).is_some_and(|mount| mount.is_remote())
}

/// A mounted file system.
struct Mount {
    kind: String,
    options: String,
}

impl Mount {
    fn is_remote(&self) -> bool {
        const KINDS: [&str; 11] =
            ["nfs", "nfs4", "lustre", "cifs", "smb3", "9p", "afs", "ceph", "gpfs", "beegfs", "virtiofs"];
        KINDS.contains(&self.kind.as_str()) || self.kind.starts_with("fuse.") && self.kind != "fuse.lxcfs"
    }

    fn locks_here_alone(&self) -> bool {
        let has = |option: &str| self.options.split(',').any(|other| other == option);
        match self.kind.as_str() {
            "nfs" | "nfs4" => has("nolock") || has("local_lock=flock") || has("local_lock=all"),
            "lustre" => !has("flock"),
            "cifs" | "smb3" => has("nobrl"),
            "9p" | "vboxsf" | "afs" => true,
            kind => kind.starts_with("fuse.") && kind != "fuse.lxcfs",
        }
    }
}

/// Finds the file system that `path` is on: the longest mount point above it, and the last one mounted there.
fn mount_of(table: &str, path: &Path) -> Option<Mount> {
    let mounts = table.lines().filter_map(|line| {
        let (place, system) = line.split_once(" - ")?;
        let point = PathBuf::from(unescaped(place.split(' ').nth(4)?));
        let mut system = system.split(' ');
        let (kind, _, options) = (system.next()?, system.next()?, system.next().unwrap_or_default());
        let options = format!("{},{options}", place.split(' ').nth(5)?);
        path.starts_with(&point).then_some((point.components().count(), Mount { kind: kind.to_owned(), options }))
    });
    mounts.max_by_key(|(depth, _)| *depth).map(|(_, mount)| mount)
}

/// The kernel writes a space, a tab, a line end and a backslash as octal numbers.
fn unescaped(text: &str) -> String {
    [(r"\040", " "), (r"\011", "\t"), (r"\012", "\n"), (r"\134", "\\")]
        .iter()
        .fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = r"22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
40 22 0:40 / /home rw,relatime shared:2 - nfs4 server:/home rw,vers=4.2,local_lock=none
41 22 0:41 / /scratch rw,relatime shared:3 - lustre mds@o2ib:/scratch rw,lazystatfs
42 22 0:42 / /work rw,relatime shared:3 - lustre mds@o2ib:/work rw,flock,lazystatfs
43 22 0:43 / /my\040drive rw,nosuid shared:4 - fuse.sshfs host: rw,user_id=0
44 40 0:44 / /home/old rw shared:5 - nfs server:/old rw,vers=3,nolock,local_lock=all";

    #[test]
    fn local_locks_are_told_apart() {
        let locks_here_alone = |path: &str| mount_of(TABLE, Path::new(path)).unwrap().locks_here_alone();
        let is_remote = |path: &str| mount_of(TABLE, Path::new(path)).unwrap().is_remote();
        assert!(!is_remote("/var/lib/store") && is_remote("/home/me/.cohobate") && is_remote("/my drive/store"));
        assert!(!locks_here_alone("/var/lib/store"));
        assert!(!locks_here_alone("/home/me/.cohobate"));
        assert!(locks_here_alone("/home/old/.cohobate"));
        assert!(locks_here_alone("/scratch/me"));
        assert!(!locks_here_alone("/work/me"));
        assert!(locks_here_alone("/my drive/store"));
    }
}
