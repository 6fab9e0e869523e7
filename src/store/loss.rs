use std::fmt;

/// A loss of journal data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Loss {
    /// Segments between others are gone.
    Missing {
        /// The first one that is gone.
        first: u32,
        /// The last one.
        last: u32,
    },
    /// A segment is shorter than when it was closed.
    Short {
        /// Its number.
        segment: u32,
        /// Bytes that it has.
        length: u64,
        /// Bytes that it had when it was closed.
        closed: u64,
    },
    /// A closed segment has other contents than when it was closed.
    Changed {
        /// Its number.
        segment: u32,
    },
    /// A segment stands under another one's name.
    Misplaced {
        /// The number in its name.
        segment: u32,
        /// The number in its header.
        holds: u32,
    },
    /// The index has entries that stood behind the journal's end.
    Behind {
        /// The segment that the index knows of.
        segment: u32,
        /// Bytes of it that the index knows of.
        offset: u64,
    },
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { first, last } if first == last => write!(f, "segment {first} is missing"),
            Self::Missing { first, last } => write!(f, "segments {first} to {last} are missing"),
            Self::Short { segment, length, closed } => {
                write!(f, "segment {segment} has {length} of the {closed} bytes that it was closed with")
            }
            Self::Changed { segment } => write!(f, "segment {segment} has changed since it was closed"),
            Self::Misplaced { segment, holds } => {
                write!(f, "the file of segment {segment} contains segment {holds}")
            }
            Self::Behind { segment, offset } => {
                write!(f, "the index knows of answers up to byte {offset} of segment {segment}, which are not there")
            }
        }
    }
}
