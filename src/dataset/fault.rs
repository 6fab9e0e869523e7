use std::io;

use super::source_file::is_lost;

/// Why an input cannot be read, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What happened.
    pub reason: String,
    /// What to do next.
    pub hint: String,
    /// The file system has lost the file: it may be back later.
    pub is_lost: bool,
}

impl Fault {
    /// The hint for names that lead nowhere.
    pub const NAME_FILES: &str = "name files that exist, or - for standard input";

    /// The hint for files that cannot be as they were written.
    pub const DAMAGED: &str = "the file is damaged or incomplete; download or write it again";

    /// Makes a fault.
    pub fn new(reason: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { reason: reason.into(), hint: hint.into(), is_lost: false }
    }
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        let hint = match error.kind() {
            _ if is_lost(&error) => "run the same command again when the file can be read",
            io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => Self::DAMAGED,
            io::ErrorKind::StorageFull => {
                "free some space; what is not a plain JSON file is unpacked to a temporary one"
            }
            _ => Self::NAME_FILES,
        };
        Self { is_lost: is_lost(&error), ..Self::new(error.to_string(), hint) }
    }
}
