use serde_json::{Value, json};

use super::{EvaluateSettings, Evaluated};
use crate::conversation::{Digest, Mark, Role, Seed, Turn};
use crate::export::LeftOutKind;
use crate::job::JobError;
use crate::job::beside::JudgedRows;
use crate::job::left_out::{LeftOut, Unmarked};
use crate::job::left_out_list::{Left, LeftOutList};
use crate::job::models::ModelChoice;
use crate::job::output::RowOutput;
use crate::job::reports::write_reports;
use crate::job::row_place::RowPlace;
use crate::job::rows::{RowResult, each};
use crate::job::stored::{answers_in, replay_in, why_not_judged};
use crate::recipe::Evaluate;
use crate::report::{ControlsReport, Evaluation, EvaluationReport, JudgedConversation, evaluation_page};
use crate::store::Reader;

/// The last pass: rows with their marks.
pub struct MarkedRows<'a> {
    pub rows: &'a JudgedRows,
    pub recipe: &'a Evaluate,
    pub model: &'a ModelChoice,
    pub store: &'a dyn Reader,
    /// What the judge made of its controls, where it was asked.
    pub controls: Option<ControlsReport>,
}

impl MarkedRows<'_> {
    /// Writes the rows with their marks, the list of the others, and the reports.
    pub fn write(&self, settings: &EvaluateSettings, report: EvaluationReport) -> Result<Evaluated, JobError> {
        let mut output = RowOutput::create(&settings.output, &settings.input.names())?;
        let mut evaluation = Evaluation::new(report, self.recipe.criteria_of_all());
        let (mut digest, mut open) = (Digest::ZERO, 0);
        let mut lists = [LeftOutList::beside(&settings.output.path)];
        let counts = each(self.rows, &mut lists, |place, seed| {
            let marks = self.marks(seed)?;
            if marks.is_empty() {
                let has_answer = seed.turns.iter().any(|turn| turn.replaced.is_some());
                let why = if has_answer { Unmarked::NoCriteria } else { Unmarked::NoAnswer };
                return Ok(RowResult::left(LeftOut::Unmarked(why)));
            }
            digest = digest.then(&seed.digest());
            let missing = marks.iter().filter(|mark| mark.words.is_none()).count();
            open += missing as u64;
            self.count(seed, &marks, &mut evaluation);
            self.write_row(&place, seed, &marks, missing, &mut output)
        })?;
        let kept_old = output.finish(counts.written)?;
        let mut report = evaluation.finish(open, self.controls.clone());
        report.dataset.digest = digest.to_string();
        report.dataset.left_out.extend(counts.reasons(LeftOutKind::Unmarked));
        let [list] = lists;
        let listed = list.finish()?;
        let reports = write_reports(&settings.output.path, &report, &evaluation_page(&report))?;
        Ok(Evaluated { report, counts, listed, kept_old, reports })
    }

    fn count(&self, seed: &Seed, marks: &[Mark], evaluation: &mut Evaluation) {
        let turns: Vec<(String, String)> = seed.turns.iter().map(words_of).collect();
        let judged = JudgedConversation {
            id: &seed.id,
            category: seed.columns.get("category").and_then(Value::as_str),
            turns: &turns,
            criteria: self.recipe.criteria(seed),
            marks,
        };
        evaluation.add(&judged, self.model.price.as_ref());
    }

    fn write_row(
        &self,
        place: &RowPlace<'_>,
        seed: &Seed,
        marks: &[Mark],
        missing: usize,
        output: &mut RowOutput<'_>,
    ) -> Result<RowResult, JobError> {
        let why = (missing > 0).then(|| why_not_judged(self.store, self.recipe, seed)).transpose()?;
        let not_judged = why.map(Left::from);
        let written = match self.rows.rows.record(place.row)? {
            Ok(mut record) => {
                let column = column(marks, self.recipe.criteria(seed), self.model.target.model());
                record.meta.insert("judge".to_owned(), column);
                output.write(&record)?
            }
            Err(why) => RowResult::left(why),
        };
        Ok(match (written, not_judged) {
            (written, None) => written,
            (RowResult::Left(unfit), Some(left)) => RowResult::Partly(0, vec![left, unfit]),
            (RowResult::Kept(rows) | RowResult::Partly(rows, _), Some(left)) => RowResult::Partly(rows, vec![left]),
        })
    }

    fn marks(&self, seed: &Seed) -> Result<Vec<Mark>, JobError> {
        let mut replay = replay_in(self.store, self.recipe, seed)?;
        replay.advance(answers_in(self.store))?;
        Ok(self.recipe.marks(seed, replay.answered()))
    }
}

/// Returns what the user says in a turn, and the answer to it.
pub fn words_of(turn: &Turn) -> (String, String) {
    let users = turn.messages.iter().filter(|message| message.role() == Role::User).map(|message| message.content());
    (users.collect::<Vec<_>>().join("\n\n"), turn.replaced.clone().unwrap_or_default())
}

/// Returns the marks of a conversation as its row holds them: the mean, and each mark.
fn column(marks: &[Mark], criteria: &[String], model: &str) -> Value {
    let read: Vec<f64> = marks.iter().filter_map(|mark| mark.value).collect();
    let each = marks.iter().map(|mark| {
        let mut value = json!({"turn": mark.scope, "score": mark.value});
        if let Some(criterion) = criteria.get(mark.criterion as usize) {
            value["criterion"] = criterion.as_str().into();
        }
        if mark.repeat > 0 {
            value["repeat"] = mark.repeat.into();
        }
        if mark.is_suspect {
            value["flags"] = json!(["verdict_in_answer"]);
        }
        value
    });
    json!({"model": model, "score": crate::statistics::mean(&read), "marks": each.collect::<Vec<_>>()})
}
