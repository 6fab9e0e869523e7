use std::fmt;
use std::str::FromStr;

/// One of several parts of an input, each for a machine of its own.
///
/// Conversations that begin with the same question are in one shard, so no shard pays for what another one asks first. A row
/// without a conversation, such as one that cannot be read, is in one shard too, so that it is reported once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    number: u32,
    count: u32,
}

impl Shard {
    /// Most shards of an input.
    pub const COUNT_MAX: u32 = 1_000_000;

    /// Returns shard `number` of `count`, counted from 1.
    pub fn new(number: u32, count: u32) -> Result<Self, ParseShardError> {
        let is_fit = (1..=Self::COUNT_MAX).contains(&count) && (1..=count).contains(&number);
        if is_fit { Ok(Self { number, count }) } else { Err(ParseShardError) }
    }

    /// Returns which shard it is, from 1.
    pub fn number(self) -> u32 {
        self.number
    }

    /// Returns how many shards there are.
    pub fn count(self) -> u32 {
        self.count
    }

    /// True where a conversation with this [`opening_hash`](crate::recipe::opening_hash) is in the shard.
    pub fn holds(self, opening: u64) -> bool {
        opening % u64::from(self.count) == u64::from(self.number - 1)
    }

    /// Returns the shard as it is written in names of files: `03-of-16`.
    pub fn file_name(self) -> String {
        let width = self.count.to_string().len().max(2);
        format!("{:0width$}-of-{:0width$}", self.number, self.count)
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.number, self.count)
    }
}

/// The text names no shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("write I/N, such as 3/16: shard I of N, counted from 1, N at most {}", Shard::COUNT_MAX)]
pub struct ParseShardError;

impl FromStr for Shard {
    type Err = ParseShardError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (number, count) = text.split_once('/').ok_or(ParseShardError)?;
        let read = |text: &str| text.parse::<u32>().map_err(|_| ParseShardError);
        Self::new(read(number)?, read(count)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shard_is_written_as_it_is_read() {
        for text in ["1/1", "3/16", "16/16", "1000000/1000000"] {
            assert_eq!(text.parse::<Shard>().unwrap().to_string(), text);
        }
        for text in ["", "3", "0/16", "17/16", "1/0", "3/16/2", "-1/4", "a/4", "1/1000001"] {
            assert_eq!(text.parse::<Shard>(), Err(ParseShardError), "{text}");
        }
        let name = |text: &str| text.parse::<Shard>().unwrap().file_name();
        assert_eq!(["1/4", "3/16", "7/128"].map(name), ["01-of-04", "03-of-16", "007-of-128"]);
    }

    #[test]
    fn every_opening_is_in_exactly_one_shard() {
        for opening in [0, 1, 15, 16, 17, u64::MAX] {
            let holding = (1..=16).filter(|number| Shard::new(*number, 16).unwrap().holds(opening));
            assert_eq!(holding.count(), 1, "{opening}");
        }
    }
}
