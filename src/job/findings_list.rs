use super::JobError;
use super::list_file::{ListFile, Listed};
use super::row_place::RowPlace;
use crate::conversation::{Dialogue, Rejected, TurnIndex};
use crate::export::{Found, found_row};
use crate::quality::Action;
use crate::report::Hit;

/// The list of everything that the gate found, a line for each answer and rule, in input order.
pub struct FindingsList {
    file: ListFile,
}

impl FindingsList {
    /// The list beside an output, `OUT.findings.jsonl`; none for standard output.
    pub fn beside(output: &str) -> Self {
        Self { file: ListFile::beside(output, "findings") }
    }

    /// Writes what was found in the answer at a turn.
    pub fn add(
        &mut self,
        place: &RowPlace<'_>,
        id: &str,
        turn: TurnIndex,
        hits: impl IntoIterator<Item = Hit>,
    ) -> Result<(), JobError> {
        for Hit { rule, is_rejected } in hits {
            let action = if is_rejected { Action::Reject } else { Action::Flag }.name();
            let found = Found { id, source: place.source, line: place.line, turn: turn.number(), rule, action };
            self.file.write(|line| found_row(&found, line))?;
        }
        Ok(())
    }

    /// Writes what was found in a distilled conversation: in its answers, and in the attempts that were rejected.
    pub fn add_dialogue(&mut self, place: &RowPlace<'_>, id: &str, dialogue: &Dialogue) -> Result<(), JobError> {
        let rejected = dialogue.rejected.iter().filter(|rejected| rejected.rule != Rejected::OUTSCORED);
        let mut rejected = rejected.peekable();
        let answers = dialogue.spoken.iter().filter(|spoken| spoken.answer.is_some());
        for (turn, spoken) in (0..).map(TurnIndex::from_index).zip(answers) {
            while let Some(attempt) = rejected.next_if(|attempt| attempt.turn <= turn) {
                self.add(place, id, attempt.turn, [Hit::reject(attempt.rule)])?;
            }
            self.add(place, id, turn, spoken.flags.iter().map(|rule| Hit::flag(rule)))?;
        }
        rejected.try_for_each(|attempt| self.add(place, id, attempt.turn, [Hit::reject(attempt.rule)]))
    }

    /// Puts the list in its place, and returns where it is if something was found.
    pub fn finish(self) -> Result<Option<Listed>, JobError> {
        self.file.finish()
    }
}
