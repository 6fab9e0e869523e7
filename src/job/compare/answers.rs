use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::json;

use super::RowToCompare;
use super::systems::Entrant;
use crate::conversation::{Digest, Duel, DuelEnd, Lane, Line, Message, Price, Record, Seed, Vote, Winner};
use crate::export::{FORMATS, OutputFile, Sink};
use crate::job::JobError;
use crate::job::beside::JudgedRows;
use crate::job::evaluate::words_of;
use crate::job::left_out::{LeftOut, Unmarked};
use crate::job::left_out_list::{Left, LeftOutList, Listed};
use crate::job::rows::{RowResult, each};
use crate::job::stored::{answers_in, replay_in, status_of, why_not_judged};
use crate::recipe::{Compare, Side};
use crate::report::{Compared, Comparison};
use crate::store::{Reader, Status};

/// What the store holds of a comparison.
pub struct ComparedRows<'a> {
    /// The conversations.
    pub rows: Arc<JudgedRows>,
    /// What was asked.
    pub recipe: Arc<Compare>,
    /// Prices by model.
    pub prices: &'a BTreeMap<String, Price>,
    /// The answers.
    pub store: &'a dyn Reader,
    /// Who is compared.
    pub entrants: &'a [Entrant],
}

/// What a comparison has written beside its report.
pub struct WrittenAnswers {
    /// The verdicts as votes, by the rows' ids.
    pub votes: Vec<Vote>,
    /// The hash of the conversations, in order.
    pub digest: Digest,
    /// The list of rows that are left out, or in which something is missing.
    pub listed: Option<Listed>,
}

/// A conversation with its sides and duels.
struct Duelled {
    sides: Vec<Side>,
    duels: Vec<Duel>,
}

/// Takes a conversation with its sides and duels.
type TakeCompared<'a> = dyn FnMut(&Seed, &[Side], &[Duel]) -> Result<(), JobError> + 'a;

impl ComparedRows<'_> {
    /// Counts the duels of these rows, in their order.
    pub fn count(&self, mut comparison: Comparison, rows: &[RowToCompare]) -> Result<Comparison, JobError> {
        self.each(rows, &mut |seed, sides, duels| {
            let questions: Vec<String> = seed.turns.iter().map(|turn| words_of(turn).0).collect();
            let text = |answer: &Option<Arc<Message>>| answer.as_ref().map(|answer| answer.content().to_owned());
            let compared = Compared {
                id: &seed.id,
                category: seed.columns.get("category").and_then(serde_json::Value::as_str),
                questions: &questions,
                answers: &sides.iter().map(|side| side.answers.iter().map(text).collect()).collect::<Vec<_>>(),
                paid: &sides.iter().map(|side| side.paid.clone()).collect::<Vec<_>>(),
                failed: &sides
                    .iter()
                    .map(|side| side.failed.as_ref().map(|(_, reason)| reason.to_string()))
                    .collect::<Vec<_>>(),
                duels,
            };
            comparison.add(&compared, self.prices);
            Ok(())
        })?;
        Ok(comparison)
    }

    /// Writes the verdicts of these rows, each model's answers, and the list of rows in which something is missing.
    pub fn write(
        &self,
        directory: &str,
        rows: &[RowToCompare],
        comparison: &Comparison,
    ) -> Result<WrittenAnswers, JobError> {
        let mut verdicts = OutputFile::create(&format!("{directory}/verdicts.jsonl"))?;
        let mut answers = self.answer_files(directory)?;
        let (mut votes, mut digest) = (Vec::new(), Digest::ZERO);
        let mut lists = [LeftOutList::within(directory)];
        each(&*self.rows, &mut lists, |place, seed| {
            if !self.recipe.can_take(seed) {
                return Ok(RowResult::left(LeftOut::Unmarked(Unmarked::NoSharedHistory)));
            }
            if rows.binary_search_by_key(&place.row, |one| one.row).is_err() {
                // The comparison was sure before it came to this row.
                return Ok(RowResult::Kept(0));
            }
            let Duelled { sides, duels } = self.duelled(seed)?;
            digest = digest.then(&seed.digest());
            for duel in &duels {
                if let DuelEnd::Decided(winner) = duel.end {
                    votes.push(comparison.report().vote(&seed.id, duel, winner));
                }
                let line = self.verdict(&seed.id, duel, &comparison.report().judge.model);
                verdicts.write(format!("{line}\n").as_bytes())?;
            }
            for (at, sink) in &mut answers {
                if let Some(record) = record(seed, &sides[*at]) {
                    // Plain messages fit every format.
                    let _ = sink.write(&record)?;
                }
            }
            Ok(RowResult::Partly(1, self.missing(seed, &sides, &duels)?))
        })?;
        verdicts.finish()?;
        answers.into_iter().try_for_each(|(_, sink)| sink.finish())?;
        let [list] = lists;
        Ok(WrittenAnswers { votes, digest, listed: list.finish()? })
    }

    /// Begins a file of answers for each model.
    fn answer_files(&self, directory: &str) -> Result<Vec<(usize, Sink)>, JobError> {
        let models = self.entrants.iter().enumerate().filter(|(_, entrant)| entrant.model().is_some());
        let files = models.map(|(at, _)| {
            let path = format!("{directory}/answers-{}.jsonl", self.file_name(at));
            Ok((at, Sink::create(&path, FORMATS[0])?))
        });
        files.collect()
    }

    /// Returns what is missing in a conversation: systems' answers, and verdicts.
    fn missing(&self, seed: &Seed, sides: &[Side], duels: &[Duel]) -> Result<Vec<Left>, JobError> {
        let turns = seed.turns.len() as u32;
        let left = |why, turns_answered| Left { turns_answered, turns, ..Left::from(why) };
        let failed = sides.iter().zip(self.entrants).filter_map(|(side, entrant)| {
            let (turn, reason) = side.failed.clone()?;
            let answered = side.answers.iter().flatten().count() as u32;
            let why = LeftOut::AnswerMissing { turn, reason };
            Some(Left { part: Some(entrant.name.clone()), ..left(why, answered) })
        });
        let has = |end: DuelEnd| duels.iter().any(|duel| duel.end == end);
        let open = has(DuelEnd::Open).then(|| why_not_judged(self.store, &*self.recipe, seed)).transpose()?;
        let unparsed = has(DuelEnd::Unparsed).then_some(LeftOut::VerdictInvalid);
        Ok(failed.chain(open.into_iter().chain(unparsed).map(|why| left(why, turns))).collect())
    }

    /// Returns a system's name as part of a file's; two that would be the same have their numbers in it.
    fn file_name(&self, at: usize) -> String {
        let name = file_name(&self.entrants[at].name);
        let is_alone = self.entrants.iter().filter(|other| file_name(&other.name) == name).count() == 1;
        if is_alone { name } else { format!("{name}-{}", at + 1) }
    }

    fn verdict(&self, id: &str, duel: &Duel, judge: &str) -> serde_json::Value {
        let said = |winner: Winner| match winner {
            Winner::First => "model_a",
            Winner::Second => "model_b",
            Winner::Tie => "tie",
            Winner::Inconsistent => "inconsistent",
        };
        let winner = match duel.end {
            DuelEnd::Decided(winner) => said(winner),
            DuelEnd::Unparsed => "unparsed",
            DuelEnd::FirstMissing => "model_a_missing",
            DuelEnd::SecondMissing => "model_b_missing",
            DuelEnd::BothMissing => "both_missing",
            DuelEnd::Open => "open",
        };
        json!({
            "id": id, "turn": duel.scope, "repeat": duel.repeat, "model_a": self.entrants[duel.first].name,
            "model_b": self.entrants[duel.second].name, "winner": winner, "judge": judge,
            "orders": duel.orders.map(|order| order.map(said)), "suspect": duel.is_suspect,
            "words": duel.words.each_ref().map(|words| words.as_ref().map(|words| words.text())),
        })
    }

    /// Passes each conversation with what the store holds of it to `take`.
    pub fn each(&self, rows: &[RowToCompare], take: &mut TakeCompared<'_>) -> Result<(), JobError> {
        for one in rows {
            let Some(seed) = self.rows.read(one.row)? else { continue };
            let Duelled { sides, duels } = self.duelled(&seed)?;
            take(&seed, &sides, &duels)?;
        }
        Ok(())
    }

    fn duelled(&self, seed: &Seed) -> Result<Duelled, JobError> {
        let mut replay = replay_in(self.store, &*self.recipe, seed)?;
        replay.advance(answers_in(self.store))?;
        let mut sides = self.recipe.sides(seed, replay.answered());
        self.give_up(seed, &mut sides)?;
        let duels = self.recipe.duels(seed, &sides, replay.answered());
        Ok(Duelled { sides, duels })
    }

    /// Has systems whose questions were refused for good stand without an answer.
    fn give_up(&self, seed: &Seed, sides: &mut [Side]) -> Result<(), JobError> {
        let status = status_of(self.store, &*self.recipe, seed)?;
        let Some(Status::Failed { reason, permanent: true, .. }) = status else { return Ok(()) };
        for (number, side) in sides.iter_mut().enumerate() {
            if let Some(cause) = reason.of(Lane::System(number as u8)) {
                side.give_up(cause);
            }
        }
        Ok(())
    }
}

/// Returns a side's answers as a row, as far as they go without a gap.
fn record(seed: &Seed, side: &Side) -> Option<Record> {
    let mut lines = Vec::new();
    for (turn, answer) in seed.turns.iter().zip(&side.answers) {
        let Some(answer) = answer else { break };
        lines.extend(turn.messages.iter().cloned().map(Line::context));
        lines.push(Line { is_trained: true, ..Line::context(Arc::clone(answer)) });
    }
    let record = Record { id: seed.id.clone(), lines, meta: seed.columns.clone(), ..Record::default() };
    (!record.lines.is_empty()).then_some(record)
}

fn file_name(name: &str) -> String {
    name.chars().map(|letter| if letter.is_alphanumeric() || "-._".contains(letter) { letter } else { '_' }).collect()
}
