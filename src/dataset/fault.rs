use std::io;

/// Why an input cannot be read, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What happened.
    pub reason: String,
    /// What to do next.
    pub hint: String,
}

impl Fault {
    /// The hint for names that lead nowhere.
    pub const NAME_FILES: &str = "name files that exist, or - for standard input";

    /// The hint for files that cannot be as they were written.
    pub const DAMAGED: &str = "the file is damaged or incomplete; download or write it again";

    /// Makes a fault.
    pub fn new(reason: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { reason: reason.into(), hint: hint.into() }
    }
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        let hint = match error.kind() {
            io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => Self::DAMAGED,
            io::ErrorKind::StorageFull => {
                "free some space; what is not a plain JSON file is unpacked to a temporary one"
            }
            _ => Self::NAME_FILES,
        };
        Self::new(error.to_string(), hint)
    }
}
