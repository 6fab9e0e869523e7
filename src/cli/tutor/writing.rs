use std::collections::BTreeMap;
use std::sync::Arc;

use super::files::{Files, turn_row, turns_table};
use super::passes::{Parties, Pass};
use crate::cli::CliError;
use crate::cli::first_pass::{Row, Rows};
use crate::cli::output::{Paid, why_open};
use crate::conversation::{Answer, Seed};
use crate::export::{Format, Incomplete};
use crate::recipe::{Party, Replay, Tutored, TutoredEnd};
use crate::report::{self, Tutoring, TutoringReport};
use crate::store::Reader;

/// What the last pass over the rows needs.
pub struct Writing<'a> {
    pub rows: &'a Rows,
    pub passes: &'a [Pass],
    pub parties: &'a Parties,
    pub store: &'a dyn Reader,
    pub format: &'static dyn Format,
    /// Why a conversation has open questions.
    pub stop: &'static str,
}

/// What was written.
pub struct Written {
    pub report: TutoringReport,
    /// Rows of the last round, by file.
    pub rows: BTreeMap<&'static str, u64>,
    /// Conversations that were not led to their end, pass by pass.
    pub incomplete: u64,
    /// Where those of the last round are listed.
    pub listed: Option<String>,
}

/// A conversation as a pass has led it.
struct Led {
    tutored: Tutored,
    /// How it ended: the code, and the code with its fault.
    end: (&'static str, String),
    /// What was paid for, and to whom, where no earlier row or pass has asked the same.
    paid: Vec<(Party, Arc<Answer>)>,
}

impl Writing<'_> {
    /// Writes every round's files, the last one's into `directory` itself, and counts.
    pub fn write(&self, directory: &str, report: TutoringReport) -> Result<Written, CliError> {
        let mut files = self.passes.iter().map(|pass| self.files(directory, pass)).collect::<Result<Vec<_>, _>>()?;
        let mut table = turns_table(directory)?;
        let mut tutoring = Tutoring::new(report);
        let mut incomplete = 0;
        // What several rows or passes have asked was paid once.
        let mut paid = Paid::default();
        for row in 0..self.rows.len() {
            let (source, line) = self.rows.place(row)?;
            let entry = Incomplete { id: None, source, line, kind: "", reason: "", turns_answered: 0, turns: 0 };
            let left_out = |files: &mut Vec<Option<Files>>, entry: &Incomplete<'_>| {
                files.iter_mut().flatten().try_for_each(|files| files.missing.add(entry))
            };
            let seed = match self.rows.read(row)? {
                Row::Ready(seed) => seed,
                Row::Invalid { reason } => {
                    left_out(&mut files, &Incomplete { kind: "invalid", reason: &reason, ..entry })?;
                    continue;
                }
                Row::Skipped { id, reason } => {
                    left_out(&mut files, &Incomplete { id: id.as_deref(), kind: "skipped", reason, ..entry })?;
                    continue;
                }
            };
            let led =
                self.passes.iter().map(|pass| self.lead(pass, &seed, &mut paid)).collect::<Result<Vec<_>, _>>()?;
            let mut round_files = 0;
            for (at, (pass, led)) in self.passes.iter().zip(&led).enumerate() {
                let (history, lessons) = (pass.history.to_string(), &led.tutored.lessons);
                let (kind, reason) = &led.end;
                let entry = Incomplete {
                    id: Some(&seed.id),
                    turns_answered: lessons.len() as u32,
                    turns: seed.turns.len() as u32,
                    kind,
                    reason,
                    ..entry
                };
                if let Some(files) = &mut files[at] {
                    files.write(&seed, lessons, &history, &entry)?;
                    round_files = at;
                }
                for lesson in lessons {
                    table.write(&turn_row(pass.round, &history, &seed.id, lesson))?;
                }
                if *kind != TutoredEnd::Complete.name() {
                    incomplete += 1;
                    let reason = format!("{history} history: {reason}");
                    let entry = Incomplete { reason: &reason, ..entry };
                    files[round_files].iter_mut().try_for_each(|files| files.missing.add(&entry))?;
                }
            }
            let counted: Vec<_> = self.passes.iter().zip(&led).map(|(pass, led)| self.counted(pass, led)).collect();
            tutoring.add(&seed.id, &counted);
        }
        self.rows.check_unchanged()?;
        table.finish()?;
        let mut last = (BTreeMap::new(), None);
        for files in files.into_iter().flatten() {
            incomplete += files.unfit;
            last = files.finish()?;
        }
        Ok(Written { report: tutoring.finish(), rows: last.0, incomplete, listed: last.1 })
    }

    /// Begins the files of a pass that has any.
    fn files(&self, directory: &str, pass: &Pass) -> Result<Option<Files>, CliError> {
        if !pass.writes_rows() {
            return Ok(None);
        }
        let is_last = self.passes.iter().all(|other| other.round <= pass.round);
        let place = if is_last { directory.to_owned() } else { format!("{directory}/round-{}", pass.round) };
        Files::create(&place, self.format).map(Some)
    }

    /// Leads a row through a pass, as far as there are answers; `paid` knows what other passes have asked.
    fn lead(&self, pass: &Pass, seed: &Seed, paid: &mut Paid) -> Result<Led, CliError> {
        let mut replay = Replay::new(&*pass.recipe, seed);
        let mut own = Vec::new();
        replay.advance(|fingerprint, slot| -> Result<_, CliError> {
            let answer = self.store.answer(fingerprint)?.map(|stored| stored.answer);
            if let Some(answer) = answer.as_ref().filter(|_| paid.is_first(fingerprint)) {
                own.extend(Party::of(slot.lane).map(|party| (party, Arc::clone(answer))));
            }
            Ok(answer)
        })?;
        let tutored = pass.recipe.tutored(seed, replay.answered());
        let end = match tutored.end {
            Some(end) => (end.name(), end.reason()),
            None => why_open(self.store, &*pass.recipe, seed, self.stop)?,
        };
        Ok(Led { tutored, end, paid: own })
    }

    fn counted<'a>(&'a self, pass: &Pass, led: &'a Led) -> report::Pass<'a> {
        let paid = led.paid.iter();
        let paid = paid.map(|(party, answer)| (party.name(), &**answer, self.parties.price(*party, pass)));
        // What a server has said in full differs from row to row.
        let reason = if led.tutored.end.is_some() { &led.end.1 } else { led.end.0 };
        report::Pass { lessons: &led.tutored.lessons, end: led.end.0, reason, paid: paid.collect() }
    }
}
