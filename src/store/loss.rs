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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_loss_says_what_is_gone() {
        let said = |loss: Loss| loss.to_string();
        assert_eq!(said(Loss::Missing { first: 3, last: 3 }), "segment 3 is missing");
        assert_eq!(said(Loss::Missing { first: 3, last: 4 }), "segments 3 to 4 are missing");
        let short = said(Loss::Short { segment: 2, length: 10, closed: 20 });
        assert_eq!(short, "segment 2 has 10 of the 20 bytes that it was closed with");
        assert_eq!(said(Loss::Misplaced { segment: 2, holds: 5 }), "the file of segment 2 contains segment 5");
        let behind = said(Loss::Behind { segment: 2, offset: 99 });
        assert_eq!(behind, "the index knows of answers up to byte 99 of segment 2, which are not there");
    }
}
