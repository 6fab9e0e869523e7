//! The decisions of the first pass, in input order, in a temporary file: their number is that of the rows.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, Write};

use super::decision::{Decision, Flag};
use crate::conversation::TurnIndex;
use crate::job::JobError;
use crate::job::input::Spool;
use crate::job::left_out::Rejection;

/// The file while it is written.
pub struct DecisionWriter<'a> {
    spool: &'a Spool,
    file: BufWriter<File>,
    rows: u64,
    /// The rules that decided something, by number.
    rules: Vec<&'static str>,
}

impl<'a> DecisionWriter<'a> {
    /// Begins an empty file that no other process sees.
    pub fn create(spool: &'a Spool) -> Result<Self, JobError> {
        let create = || {
            let path = spool.path().join("decisions");
            let file = File::options().create_new(true).read(true).write(true).open(&path)?;
            // Unlinked at once: it goes when it is closed, however the process ends.
            std::fs::remove_file(&path)?;
            Ok(BufWriter::new(file))
        };
        let file = create().map_err(|error| spool.unwritable(&error))?;
        Ok(Self { spool, file, rows: 0, rules: Vec::new() })
    }

    /// Adds the decision on a row. Rows before it without one could not be read.
    pub fn push(&mut self, row: u64, decision: &Decision) -> Result<(), JobError> {
        while self.rows < row {
            self.write(&Decision::Unread)?;
        }
        self.write(decision)
    }

    fn write(&mut self, decision: &Decision) -> Result<(), JobError> {
        self.rows += 1;
        let written = Encoder { bytes: &mut self.file, rules: &mut self.rules }.decision(decision);
        written.map_err(|error| self.spool.unwritable(&error))
    }

    /// Ends the file, to be read.
    pub fn finish(self) -> Result<Decisions, JobError> {
        let Self { spool, file, rows, rules } = self;
        let file = file.into_inner().map_err(|error| spool.unwritable(error.error()))?;
        Ok(Decisions { file, rows, rules })
    }
}

/// The finished file.
pub struct Decisions {
    file: File,
    rows: u64,
    rules: Vec<&'static str>,
}

impl Decisions {
    /// Reads them from the first row on. One reader at a time.
    pub fn read(&self) -> Result<DecisionReader<'_>, JobError> {
        (&self.file).rewind().map_err(|error| unreadable(&error))?;
        Ok(DecisionReader { file: BufReader::new(&self.file), all: self, next: 0 })
    }
}

/// Reads decisions in input order.
pub struct DecisionReader<'a> {
    file: BufReader<&'a File>,
    all: &'a Decisions,
    next: u64,
}

impl DecisionReader<'_> {
    /// Returns the decision on a row after those that were returned so far; nothing beyond the last one.
    pub fn get(&mut self, row: u64) -> Result<Option<Decision>, JobError> {
        while let Some((number, decision)) = self.next()? {
            if number == row {
                return Ok(Some(decision));
            }
        }
        Ok(None)
    }

    /// Returns the next row and its decision.
    pub fn next(&mut self) -> Result<Option<(u64, Decision)>, JobError> {
        if self.next >= self.all.rows {
            return Ok(None);
        }
        let row = self.next;
        self.next += 1;
        let decoded = Decoder { bytes: &mut self.file, rules: &self.all.rules }.decision();
        decoded.map(|decision| Some((row, decision))).map_err(|error| unreadable(&error))
    }
}

fn unreadable(error: &io::Error) -> JobError {
    JobError::unexpected(format!("cannot read the decisions on the rows from their temporary file: {error}"))
}

/// A decision is one byte and what it needs, little-endian: 1 byte for most rows, 9 with a score, 19 with a cut; and 6 for each
/// flag, after their number.
mod tag {
    pub const UNREAD: u8 = 0;
    pub const KEEP: u8 = 1;
    pub const CUT: u8 = 2;
    pub const RULE: u8 = 3;
    pub const DUPLICATE: u8 = 4;
    pub const NEAR_DUPLICATE: u8 = 5;
    pub const OUTSCORED: u8 = 6;
    pub const NO_SCORE: u8 = 7;
    /// Added where a score follows.
    pub const SCORED: u8 = 0x80;
    /// Added where flags follow.
    pub const FLAGGED: u8 = 0x40;
}

struct Encoder<'a, Bytes> {
    bytes: &'a mut Bytes,
    rules: &'a mut Vec<&'static str>,
}

impl<Bytes: Write> Encoder<'_, Bytes> {
    fn decision(&mut self, decision: &Decision) -> io::Result<()> {
        match decision {
            Decision::Unread => self.tag(tag::UNREAD),
            Decision::Keep { score, flags } => self.kept(tag::KEEP, *score, flags),
            Decision::Cut { lines, turn, rule, score, flags } => {
                self.kept(tag::CUT, *score, flags)?;
                self.number(*lines)?;
                self.rule(*turn, rule)
            }
            Decision::Drop(Rejection::Rule { turn, rule }) => {
                self.tag(tag::RULE)?;
                self.rule(*turn, rule)
            }
            Decision::Drop(Rejection::Duplicate) => self.tag(tag::DUPLICATE),
            Decision::Drop(Rejection::NearDuplicate { of }) => {
                self.tag(tag::NEAR_DUPLICATE)?;
                self.number(*of)
            }
            Decision::Drop(Rejection::Outscored) => self.tag(tag::OUTSCORED),
            Decision::Drop(Rejection::NoScore) => self.tag(tag::NO_SCORE),
        }
    }

    fn tag(&mut self, tag: u8) -> io::Result<()> {
        self.bytes.write_all(&[tag])
    }

    fn kept(&mut self, tag: u8, score: Option<f64>, flags: &[Flag]) -> io::Result<()> {
        let scored = score.map_or(0, |_| tag::SCORED);
        let flagged = if flags.is_empty() { 0 } else { tag::FLAGGED };
        self.tag(tag | scored | flagged)?;
        if let Some(score) = score {
            self.bytes.write_all(&score.to_le_bytes())?;
        }
        if flags.is_empty() {
            return Ok(());
        }
        self.number(flags.len() as u32)?;
        flags.iter().try_for_each(|flag| self.rule(flag.turn, flag.rule))
    }

    fn number(&mut self, number: u32) -> io::Result<()> {
        self.bytes.write_all(&number.to_le_bytes())
    }

    fn rule(&mut self, turn: TurnIndex, rule: &'static str) -> io::Result<()> {
        let number = self.rules.iter().position(|known| *known == rule).unwrap_or_else(|| {
            self.rules.push(rule);
            self.rules.len() - 1
        });
        self.number(turn.index())?;
        self.bytes.write_all(&(number as u16).to_le_bytes())
    }
}

struct Decoder<'a, Bytes> {
    bytes: &'a mut Bytes,
    rules: &'a [&'static str],
}

impl<Bytes: Read> Decoder<'_, Bytes> {
    fn decision(&mut self) -> io::Result<Decision> {
        let [first] = self.take()?;
        let score = if first & tag::SCORED == 0 { None } else { Some(f64::from_le_bytes(self.take()?)) };
        let mut flags = Vec::new();
        if first & tag::FLAGGED != 0 {
            for _ in 0..self.number()? {
                let (turn, rule) = self.rule()?;
                flags.push(Flag { turn, rule });
            }
        }
        Ok(match first & !(tag::SCORED | tag::FLAGGED) {
            tag::UNREAD => Decision::Unread,
            tag::KEEP => Decision::Keep { score, flags },
            tag::CUT => {
                let lines = self.number()?;
                let (turn, rule) = self.rule()?;
                Decision::Cut { lines, turn, rule, score, flags }
            }
            tag::RULE => {
                let (turn, rule) = self.rule()?;
                Decision::Drop(Rejection::Rule { turn, rule })
            }
            tag::DUPLICATE => Decision::Drop(Rejection::Duplicate),
            tag::NEAR_DUPLICATE => Decision::Drop(Rejection::NearDuplicate { of: self.number()? }),
            tag::OUTSCORED => Decision::Drop(Rejection::Outscored),
            tag::NO_SCORE => Decision::Drop(Rejection::NoScore),
            _ => return Err(damaged()),
        })
    }

    fn take<const COUNT: usize>(&mut self) -> io::Result<[u8; COUNT]> {
        let mut bytes = [0; COUNT];
        self.bytes.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    fn number(&mut self) -> io::Result<u32> {
        self.take().map(u32::from_le_bytes)
    }

    fn rule(&mut self) -> io::Result<(TurnIndex, &'static str)> {
        let turn = TurnIndex::from_index(self.number()?);
        let number = u16::from_le_bytes(self.take()?);
        self.rules.get(usize::from(number)).map(|rule| (turn, *rule)).ok_or_else(damaged)
    }
}

fn damaged() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "it is damaged")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decisions_are_read_as_they_were_written_and_rows_without_one_were_not_read() {
        let turn = TurnIndex::from_index(70_000);
        let flags = vec![Flag { turn: TurnIndex::FIRST, rule: "pii" }, Flag { turn, rule: "echo" }];
        let all = [
            Decision::Keep { score: None, flags: Vec::new() },
            Decision::Keep { score: Some(-0.25), flags: flags.clone() },
            Decision::Cut { lines: 300, turn, rule: "echo", score: None, flags },
            Decision::Cut { lines: 4, turn, rule: "empty", score: Some(f64::MAX), flags: Vec::new() },
            Decision::Drop(Rejection::Rule { turn, rule: "echo" }),
            Decision::Drop(Rejection::Duplicate),
            Decision::Drop(Rejection::NearDuplicate { of: u32::MAX }),
            Decision::Drop(Rejection::Outscored),
            Decision::Drop(Rejection::NoScore),
        ];
        let spool = Spool::temporary().unwrap();
        let mut writer = DecisionWriter::create(&spool).unwrap();
        for (number, decision) in all.iter().enumerate() {
            writer.push(3 * number as u64 + 1, decision).unwrap();
        }
        let decisions = writer.finish().unwrap();
        for _ in 0..2 {
            let mut reader = decisions.read().unwrap();
            assert_eq!(reader.get(0).unwrap(), Some(Decision::Unread));
            for (number, decision) in all.iter().enumerate() {
                assert_eq!(reader.get(3 * number as u64 + 1).unwrap().as_ref(), Some(decision));
            }
            assert_eq!(reader.get(25 + 1).unwrap(), None);
        }
        let mut reader = decisions.read().unwrap();
        assert_eq!((0..).map_while(|_| reader.next().unwrap()).filter(|(_, decision)| decision.is_kept()).count(), 4);
        assert_eq!(reader.next().unwrap(), None);
        decisions.file.set_len(30).unwrap();
        let mut reader = decisions.read().unwrap();
        assert!(reader.get(100).is_err(), "a file that lost its end says so");
    }
}
