use std::collections::BTreeMap;
use std::sync::Arc;

use super::files::{Files, turn_row, turns_table};
use super::passes::{Parties, TutorPass};
use crate::conversation::{Answer, Seed};
use crate::export::{OutputFormat, Table};
use crate::job::JobError;
use crate::job::input::Rows;
use crate::job::left_out::LeftOut;
use crate::job::left_out_list::{Left, LeftOutList, Listed};
use crate::job::rows::{RowCounts, RowResult, each};
use crate::job::stored::{PaidAnswers, replay_in, why_open};
use crate::recipe::{Party, Tutored, TutoredEnd};
use crate::report::{self, EndClass, Tutoring, TutoringReport};
use crate::store::Reader;

/// The last pass over tutored conversations.
pub struct TutoredRows<'a> {
    pub rows: &'a Rows,
    pub passes: &'a [TutorPass],
    pub parties: &'a Parties<'a>,
    pub store: &'a dyn Reader,
    /// Why a conversation has open questions where no failure is known.
    pub stop: LeftOut,
}

/// What tutoring has written.
#[derive(Debug)]
pub struct TutoredWritten {
    /// The report, as `report.json` holds it.
    pub report: TutoringReport,
    /// Rows of the last round, by file.
    pub rows: BTreeMap<&'static str, u64>,
    /// Rows that were left out, by reason, over all passes.
    pub counts: RowCounts,
    /// Conversations that ended early, pass by pass, and rows that do not fit their format.
    pub incomplete: u64,
    /// The list of the last round's rows that are left out or cut.
    pub listed: Option<Listed>,
}

/// A conversation as a pass has led it.
struct Led {
    tutored: Tutored,
    /// Why it ended early, where it did.
    why: Option<LeftOut>,
    /// Answers that were paid for, with who was paid, where no earlier row or pass has asked the same.
    paid: Vec<(Party, Arc<Answer>)>,
}

/// The files of one round.
struct Round {
    files: Files,
    /// The number of its pass.
    pass: usize,
}

impl TutoredRows<'_> {
    /// Writes the files of every round, those of the last one into `directory` itself, and counts.
    pub fn write(
        &self,
        directory: &str,
        format: &'static dyn OutputFormat,
        report: TutoringReport,
    ) -> Result<TutoredWritten, JobError> {
        let (mut rounds, mut lists) = (Vec::new(), Vec::new());
        for (pass, _) in self.passes.iter().enumerate().filter(|(_, pass)| pass.writes_rows()) {
            let place = self.place(directory, &self.passes[pass]);
            rounds.push(Round { files: Files::create(&place, format)?, pass });
            lists.push(LeftOutList::within(&place));
        }
        let mut table = turns_table(directory)?;
        let mut tutoring = Tutoring::new(report);
        let mut incomplete = 0;
        // An answer that several rows or passes share was paid for once.
        let mut paid = PaidAnswers::default();
        let counts = each(self.rows, &mut lists, |_, seed| {
            let led = self.passes.iter().map(|pass| self.lead(pass, seed, &mut paid)).collect::<Result<Vec<_>, _>>()?;
            let left = self.write_row(seed, &led, &mut rounds, &mut table)?;
            incomplete += left.len() as u64;
            let counted: Vec<_> = self.passes.iter().zip(&led).map(|(pass, led)| self.counted(pass, led)).collect();
            tutoring.add(&seed.id, &counted);
            Ok(RowResult::Partly(0, left))
        })?;
        table.finish()?;
        let (mut rows, mut listed) = (BTreeMap::new(), None);
        for (round, list) in rounds.into_iter().zip(lists) {
            rows = round.files.finish()?;
            listed = list.finish()?;
        }
        Ok(TutoredWritten { report: tutoring.finish(), rows, counts, incomplete, listed })
    }

    /// Writes the rows of a conversation, and returns what is missing, for the list of each round.
    fn write_row(
        &self,
        seed: &Seed,
        led: &[Led],
        rounds: &mut [Round],
        table: &mut Table,
    ) -> Result<Vec<Left>, JobError> {
        let (mut left, mut round) = (Vec::new(), 0);
        for (at, (pass, led)) in self.passes.iter().zip(led).enumerate() {
            let (history, lessons) = (pass.history.to_string(), &led.tutored.lessons);
            let (turns_answered, turns) = (lessons.len() as u32, seed.turns.len() as u32);
            if let Some(number) = rounds.iter().position(|round| round.pass == at) {
                round = number;
                let unfit = rounds[number].files.write(seed, lessons, &history)?;
                left.extend(unfit.into_iter().map(|left| Left { turns_answered, turns, list: round, ..left }));
            }
            for lesson in lessons {
                table.write(&turn_row(pass.round, &history, &seed.id, lesson))?;
            }
            if let Some(why) = led.why.clone() {
                let part = Some(format!("{history} history"));
                left.push(Left { why, part, turns_answered, turns, list: round });
            }
        }
        Ok(left)
    }

    /// Returns where the files of a pass go.
    fn place(&self, directory: &str, pass: &TutorPass) -> String {
        let is_last = self.passes.iter().all(|other| other.round <= pass.round);
        if is_last { directory.to_owned() } else { format!("{directory}/round-{}", pass.round) }
    }

    /// Leads a row through a pass, as far as there are answers; `paid` knows which answers other passes have asked for.
    fn lead(&self, pass: &TutorPass, seed: &Seed, paid: &mut PaidAnswers) -> Result<Led, JobError> {
        let mut replay = replay_in(self.store, &*pass.recipe, seed)?;
        let mut own = Vec::new();
        replay.advance(|fingerprint, slot| -> Result<_, JobError> {
            let answer = self.store.answer(fingerprint)?.map(|stored| stored.answer);
            if let Some(answer) = answer.as_ref().filter(|_| paid.is_first(fingerprint)) {
                own.extend(Party::of(slot.lane).map(|party| (party, Arc::clone(answer))));
            }
            Ok(answer)
        })?;
        let tutored = pass.recipe.tutored(seed, replay.answered());
        let why = match tutored.end {
            Some(end) => LeftOut::of_tutoring(end),
            None => Some(why_open(self.store, &*pass.recipe, seed, &self.stop)?),
        };
        Ok(Led { tutored, why, paid: own })
    }

    fn counted<'a>(&'a self, pass: &TutorPass, led: &'a Led) -> report::TutoredPass<'a> {
        let paid = led.paid.iter();
        let paid = paid.map(|(party, answer)| (party.name(), &**answer, self.parties.price(*party, pass)));
        let complete = TutoredEnd::Complete.name();
        report::TutoredPass {
            lessons: &led.tutored.lessons,
            end: led.why.as_ref().map_or(complete, |why| why.kind().name()),
            class: led.why.as_ref().map_or(EndClass::Ended, LeftOut::end_class),
            reason: led.why.as_ref().map_or(complete.to_owned(), LeftOut::code),
            readings: led.tutored.readings.iter().map(|(party, reading)| (party.name(), *reading)).collect(),
            paid: paid.collect(),
        }
    }
}
