/// Bytes of a record.
pub const RECORD_BYTES: usize = 112;

/// What is known of a conversation, for filters. One record for each, in a file by their numbers.
///
/// | bytes | what |
/// |---|---|
/// | 0..1 | 1 once the conversation is read, 0 before |
/// | 1..2 | its status |
/// | 2..4 | its language, a number of the index's names |
/// | 4..8 | turns |
/// | 8..12 | turns that are answered |
/// | 12..16 | the reason why it stopped or failed, a number of the index's names |
/// | 16..24 | rules that rejected answers, a bit for each of the index's names |
/// | 24..32 | rules that flagged answers, likewise |
/// | 32..40 | characters of the answers |
/// | 40..44 | the mean score, not a number without one |
/// | 44..48 | zero |
/// | 48..80 | the conversation's key; zero without one |
/// | 80..96 | the place of its head: offset and length |
/// | 96..112 | the place of its text: offset and length |
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Record {
    /// True once the conversation is read.
    pub is_read: bool,
    /// How far it has come.
    pub status: ItemStatus,
    /// The number of its language's name.
    pub language: u16,
    /// Its turns.
    pub turns: u32,
    /// Its answered turns.
    pub answered: u32,
    /// The number of the reason's name.
    pub reason: u32,
    /// The rules that rejected answers.
    pub rules: u64,
    /// The rules that flagged answers.
    pub flags: u64,
    /// The characters of its answers.
    pub characters: u64,
    /// The mean score of its answers.
    pub score: Option<f32>,
    /// Its key.
    pub key: [u8; 32],
    /// Where its head is.
    pub head: Extent,
    /// Where its text is.
    pub text: Extent,
}

/// A part of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extent {
    /// Where it begins.
    pub offset: u64,
    /// Its bytes.
    pub length: u64,
}

/// How far a conversation has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ItemStatus {
    /// The row holds no conversation.
    #[default]
    None,
    /// Turns are missing.
    Open,
    /// Every turn is answered.
    Complete,
    /// It was stopped because of an answer.
    Stopped,
    /// A question failed.
    Failed,
}

impl ItemStatus {
    /// Every status.
    pub const ALL: [Self; 5] = [Self::None, Self::Open, Self::Complete, Self::Stopped, Self::Failed];

    /// Returns the name in queries.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Open => "open",
            Self::Complete => "complete",
            Self::Stopped => "stopped",
            Self::Failed => "failed",
        }
    }
}

impl Record {
    /// A conversation that is not read yet.
    pub fn unread(key: [u8; 32]) -> Self {
        Self {
            is_read: false,
            status: ItemStatus::None,
            language: 0,
            turns: 0,
            answered: 0,
            reason: 0,
            rules: 0,
            flags: 0,
            characters: 0,
            score: None,
            key,
            head: Extent::default(),
            text: Extent::default(),
        }
    }

    /// Returns the bytes.
    pub fn to_bytes(self) -> [u8; RECORD_BYTES] {
        let mut bytes = [0; RECORD_BYTES];
        let mut put = |at: usize, value: &[u8]| bytes[at..at + value.len()].copy_from_slice(value);
        put(0, &[u8::from(self.is_read), self.status as u8]);
        put(2, &self.language.to_le_bytes());
        put(4, &self.turns.to_le_bytes());
        put(8, &self.answered.to_le_bytes());
        put(12, &self.reason.to_le_bytes());
        put(16, &self.rules.to_le_bytes());
        put(24, &self.flags.to_le_bytes());
        put(32, &self.characters.to_le_bytes());
        put(40, &self.score.unwrap_or(f32::NAN).to_le_bytes());
        put(48, &self.key);
        put(80, &self.head.offset.to_le_bytes());
        put(88, &self.head.length.to_le_bytes());
        put(96, &self.text.offset.to_le_bytes());
        put(104, &self.text.length.to_le_bytes());
        bytes
    }

    /// Reads the bytes of a record.
    pub fn read(bytes: &[u8; RECORD_BYTES]) -> Self {
        let short = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let long = |at: usize| u64::from(short(at)) | u64::from(short(at + 4)) << 32;
        let mut key = [0; 32];
        key.copy_from_slice(&bytes[48..80]);
        Self {
            is_read: bytes[0] == 1,
            status: ItemStatus::ALL.get(bytes[1] as usize).copied().unwrap_or_default(),
            language: u16::from_le_bytes([bytes[2], bytes[3]]),
            turns: short(4),
            answered: short(8),
            reason: short(12),
            rules: long(16),
            flags: long(24),
            characters: long(32),
            score: Some(f32::from_bits(short(40))).filter(|score| !score.is_nan()),
            key,
            head: Extent { offset: long(80), length: long(88) },
            text: Extent { offset: long(96), length: long(104) },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read_as_it_was_written() {
        let record = Record {
            is_read: true,
            status: ItemStatus::Stopped,
            language: 513,
            turns: 70_000,
            answered: 3,
            reason: 12,
            rules: 1 << 63 | 5,
            flags: 2,
            characters: 1 << 40,
            score: Some(7.5),
            key: [7; 32],
            head: Extent { offset: 1 << 40, length: 99 },
            text: Extent { offset: 5, length: 1 << 33 },
        };
        assert_eq!(Record::read(&record.to_bytes()), record);
        assert_eq!(Record::read(&Record::unread([1; 32]).to_bytes()), Record::unread([1; 32]));
    }
}
