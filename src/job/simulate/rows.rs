use serde_json::{Value, json};

use super::SimulateSettings;
use crate::conversation::{Lane, Role, Seed};
use crate::export::LeftOutKind;
use crate::export::dialogue_record;
use crate::job::JobError;
use crate::job::input::Rows;
use crate::job::left_out::LeftOut;
use crate::job::left_out_list::{Left, LeftOutList, Listed};
use crate::job::output::RowOutput;
use crate::job::reports::write_reports;
use crate::job::rows::{RowCounts, RowResult, each};
use crate::job::stored::{PaidAnswers, replay_in, why_open};
use crate::quality::Words;
use crate::recipe::{Goal, Move, Simulate, SimulatedDialogue, SimulatedEnd, UserTurn};
use crate::report::{EndClass, RoleCost, SimulationReport, Told, UserMessage, simulation_page};
use crate::store::Reader;

/// The last pass over simulated conversations.
pub struct SimulatedRows<'a> {
    pub rows: &'a Rows,
    pub recipe: &'a Simulate,
    pub store: &'a dyn Reader,
    pub settings: &'a SimulateSettings,
    /// Why a conversation has open questions where no failure is known.
    pub stop: LeftOut,
}

/// What a simulation has written.
#[derive(Debug)]
pub struct SimulatedWritten {
    /// The report, as `OUT.report.json` holds it.
    pub report: SimulationReport,
    /// Rows that were written and left out, by reason.
    pub counts: RowCounts,
    /// Conversations that ended early.
    pub incomplete: u64,
    /// The list of rows that are left out or cut.
    pub listed: Option<Listed>,
    /// There was no row to write, and an output with rows in it was kept.
    pub kept_old: bool,
    /// Where the reports are, without their endings; nothing for standard output.
    pub reports: Option<String>,
}

/// Who is paid.
const ROLES: [&str; 2] = ["teacher", "user"];

impl SimulatedRows<'_> {
    /// Writes the rows, lists those that are missing or cut, and counts.
    pub fn write(&self) -> Result<SimulatedWritten, JobError> {
        let SimulateSettings { input, output, teacher, user, .. } = self.settings;
        let mut rows = RowOutput::create(output, &input.names())?;
        let mut lists = [LeftOutList::beside(&output.path)];
        let roles = [teacher, user].map(|model| RoleCost::new(model.target.model()));
        let mut report = SimulationReport::new(ROLES.into_iter().zip(roles).collect());
        // An answer that several rows share was paid for once.
        let mut paid = PaidAnswers::default();
        let mut incomplete = 0;
        let counts = each(self.rows, &mut lists, |_, seed| {
            let (state, why) = self.replay(seed, &mut paid, &mut report)?;
            incomplete += u64::from(why.is_some());
            self.write_row(seed, &state, why, &mut report, &mut rows)
        })?;
        let kept_old = rows.finish(counts.written)?;
        report.finish();
        let [list] = lists;
        let listed = list.finish()?;
        let reports = write_reports(&output.path, &report, &simulation_page(&report))?;
        Ok(SimulatedWritten { report, counts, incomplete, listed, kept_old, reports })
    }

    fn write_row(
        &self,
        seed: &Seed,
        state: &SimulatedDialogue,
        why: Option<LeftOut>,
        report: &mut SimulationReport,
        output: &mut RowOutput<'_>,
    ) -> Result<RowResult, JobError> {
        let turns_answered = turns(state);
        let is_short = turns_answered < self.settings.min_turns.max(1);
        // How it ended, and the same with the fault; what a server said in its own words differs from row to row.
        let (end, class, reason) = match &why {
            Some(why) => (why.kind().name(), why.end_class(), why.code()),
            None => {
                let name = state.end.map_or(LeftOutKind::Unasked.name(), SimulatedEnd::name);
                (name, EndClass::Ended, name.to_owned())
            }
        };
        count(seed, state, (end, class, &reason), report);
        let turns = self.settings.turns.max(seed.turns.len() as u32);
        let left = |why| Left { turns_answered, turns, ..Left::from(why) };
        let why = why.or(is_short.then_some(LeftOut::Short));
        let mut missing: Vec<Left> = why.map(left).into_iter().collect();
        if is_short {
            return Ok(RowResult::Partly(0, missing));
        }
        let mut record = dialogue_record(seed, &state.dialogue, None);
        // What an earlier run has said of the row no longer holds.
        for name in ["user_origin", "user_moves", "user_goal", "user_persona", "stop_reason", "stopped"] {
            record.meta.shift_remove(name);
        }
        record.meta.extend(told(seed, state, &reason));
        Ok(match output.write(&record)? {
            RowResult::Left(unfit) => {
                missing.push(left(unfit.why));
                RowResult::Partly(0, missing)
            }
            RowResult::Kept(rows) | RowResult::Partly(rows, _) if !missing.is_empty() => {
                RowResult::Partly(rows, missing)
            }
            kept => kept,
        })
    }

    /// Returns a conversation as far as it goes, and why it ended early, where it did.
    fn replay(
        &self,
        seed: &Seed,
        paid: &mut PaidAnswers,
        report: &mut SimulationReport,
    ) -> Result<(SimulatedDialogue, Option<LeftOut>), JobError> {
        let prices = [&self.settings.teacher, &self.settings.user].map(|model| model.price.as_ref());
        let mut replay = replay_in(self.store, self.recipe, seed)?;
        replay.advance(|fingerprint, slot| -> Result<_, JobError> {
            let answer = self.store.answer(fingerprint)?.map(|stored| stored.answer);
            if let Some(answer) = answer.as_ref().filter(|_| paid.is_first(fingerprint)) {
                let side = usize::from(slot.lane == Lane::User);
                if let Some(cost) = report.roles.get_mut(ROLES[side]) {
                    cost.add(answer, prices[side]);
                }
            }
            Ok(answer)
        })?;
        let state = self.recipe.simulated(seed, replay.answered());
        let why = match state.end {
            Some(end) => LeftOut::of_simulation(end),
            None => Some(why_open(self.store, self.recipe, seed, &self.stop)?),
        };
        Ok((state, why))
    }
}

/// Counts a conversation.
fn count(
    seed: &Seed,
    state: &SimulatedDialogue,
    (end, class, reason): (&str, EndClass, &str),
    report: &mut SimulationReport,
) {
    let spoken = &state.dialogue.spoken;
    let said =
        seed.turns.iter().enumerate().flat_map(|(turn, said)| said.messages.iter().map(move |said| (turn, said)));
    let said = said.filter(|(_, message)| message.role() == Role::User);
    let source = said.clone().filter(|(turn, _)| !was_simulated(seed, *turn)).map(|(_, message)| message);
    // Of the source's messages those count as simulated that an earlier run has written.
    let earlier: Vec<bool> = said.map(|(turn, _)| was_simulated(seed, turn)).collect();
    let users = (0..spoken.len()).filter(|at| spoken[*at].message.role() == Role::User).enumerate();
    let simulated = users
        .filter(|(number, _)| earlier.get(*number).copied().unwrap_or(true))
        .filter_map(|(_, at)| Some((spoken[at].message.content(), spoken.get(at.checked_sub(1)?)?.message.content())));
    let tried = state.user_turns.iter();
    report.add(&Told {
        end,
        class,
        reason,
        turns: turns(state),
        source: source.map(|message| user_message(message.content())).collect(),
        simulated: simulated.map(|(text, heard)| (user_message(text), heard)).collect(),
        moves: tried.clone().filter_map(|turn| turn.simulated).map(Move::name).collect(),
        rejected: tried.flat_map(|turn| turn.rejected.iter().copied()).collect(),
        card: state.card,
        goal_unread: state.goal.is_none() && !state.user_answers.is_empty(),
    });
}

fn user_message(text: &str) -> UserMessage<'_> {
    let words = Words::of(text);
    UserMessage { text, words: words.len() as u64, pairs: words.grams(2).collect() }
}

fn turns(state: &SimulatedDialogue) -> u32 {
    state.dialogue.answer_count()
}

/// True where an earlier run has simulated a turn of the source.
fn was_simulated(seed: &Seed, turn: usize) -> bool {
    seed.columns.get("user_origin").is_some_and(|origins| origins[turn] == "simulated")
}

/// Returns what a row says of how it came about.
fn told(seed: &Seed, state: &SimulatedDialogue, reason: &str) -> serde_json::Map<String, Value> {
    // The last user turn may have got no answer.
    let user_turns = &state.user_turns[..turns(state) as usize];
    let simulated = |at: usize, turn: &UserTurn| turn.simulated.is_some() || was_simulated(seed, at);
    let origin = |(at, turn)| if simulated(at, turn) { "simulated" } else { "source" };
    let moves = |(at, turn): (usize, &UserTurn)| match turn.simulated {
        Some(thrown) => json!(thrown.name()),
        None => seed.columns.get("user_moves").map_or(Value::Null, |moves| moves[at].clone()),
    };
    let goal = || seed.columns.get("user_goal").cloned().unwrap_or_default();
    let mut meta = serde_json::Map::new();
    let mut set = |name: &str, value: Value| drop(meta.insert(name.to_owned(), value));
    set("user_origin", user_turns.iter().enumerate().map(origin).collect());
    set("user_moves", user_turns.iter().enumerate().map(moves).collect());
    set("user_goal", state.goal.as_ref().map_or_else(goal, Goal::to_json));
    if let Some(persona) = &state.persona {
        set("user_persona", persona.as_str().into());
    }
    set("stop_reason", reason.into());
    if matches!(state.end, Some(SimulatedEnd::TeacherRejected(_) | SimulatedEnd::UserInvalid(_)) | None) {
        set("stopped", format!("turn {}: {reason}", turns(state) + 1).into());
    }
    meta
}
