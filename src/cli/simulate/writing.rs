use serde_json::{Value, json};

use crate::cli::CliError;
use crate::cli::first_pass::{Row, Rows};
use crate::cli::output::{Missing, Paid, why_open, would_empty, write_companion};
use crate::conversation::{Lane, Price, Role, Seed};
use crate::export::{Format, Incomplete, Sink, Unfit, record};
use crate::recipe::{Goal, Move, Replay, Simulate, Simulated, SimulatedEnd, UserTurn};
use crate::report::{RoleCost, SimulationReport, Told};
use crate::store::Reader;

/// What the last pass needs.
pub struct Writing<'a> {
    pub rows: &'a Rows,
    pub recipe: &'a Simulate,
    pub store: &'a dyn Reader,
    pub format: &'static dyn Format,
    pub min_turns: u32,
    /// User turns that are wanted.
    pub turns: u32,
    /// Teacher and user.
    pub models: [&'a str; 2],
    pub prices: [Option<Price>; 2],
    /// Why a conversation has open questions.
    pub stop: &'static str,
}

/// What was written.
#[derive(Default)]
pub struct Written {
    pub report: SimulationReport,
    pub rows: u64,
    pub incomplete: u64,
    /// Conversations with too few turns to be written.
    pub short: u64,
    pub kept_old: bool,
    pub listed: Option<(String, u64)>,
}

/// Who is paid.
const ROLES: [&str; 2] = ["teacher", "user"];

impl Writing<'_> {
    /// Writes the rows, lists what is missing, and counts.
    pub fn write(&self, path: &str, license: Option<String>) -> Result<Written, CliError> {
        let mut sink = Sink::create(path, self.format)?.licensed(license);
        let mut missing = Missing::new(path);
        let mut written = Written::default();
        written.report.schema = 1;
        let [teacher, user] = self.models.map(RoleCost::new);
        written.report.roles = ROLES.into_iter().zip([teacher, user]).collect();
        // What several rows have asked was paid once.
        let mut paid = Paid::default();
        for row in 0..self.rows.len() {
            let (source, line) = self.rows.place(row)?;
            let mut entry = Incomplete { id: None, source, line, kind: "", reason: "", turns_answered: 0, turns: 0 };
            let seed = match self.rows.read(row)? {
                Row::Ready(seed) => seed,
                Row::Invalid { reason } => {
                    missing.add(&Incomplete { kind: "invalid", reason: &reason, ..entry })?;
                    continue;
                }
                Row::Skipped { id, reason } => {
                    missing.add(&Incomplete { id: id.as_deref(), kind: "skipped", reason, ..entry })?;
                    continue;
                }
            };
            let (state, kind, detail) = self.replay(&seed, &mut paid, &mut written.report)?;
            let turns = turns(&state);
            // What a server has said in full differs from row to row.
            let reason = if state.end.is_some() { &detail } else { kind };
            count(&seed, &state, (kind, reason), &mut written.report);
            (entry.turns_answered, entry.turns) = (turns, self.turns.max(seed.turns.len() as u32));
            let is_short = turns < self.min_turns;
            if !matches!(kind, "max_turns" | "user_stop") {
                written.incomplete += 1;
                missing.add(&Incomplete { id: Some(&seed.id), kind, reason: &detail, ..entry })?;
            } else if is_short {
                written.short += 1;
                missing.add(&Incomplete {
                    id: Some(&seed.id),
                    kind: "short",
                    reason: "fewer turns than --min-turns",
                    ..entry
                })?;
            }
            if is_short {
                continue;
            }
            let mut record = record(&seed, &state.dialogue, None);
            // What an earlier run has said of the row holds no more.
            for name in ["user_origin", "user_moves", "user_goal", "user_persona", "stop_reason", "stopped"] {
                record.meta.shift_remove(name);
            }
            record.meta.extend(told(&seed, &state, reason));
            match sink.write(&record)? {
                Ok(count) => written.rows += count,
                Err(Unfit(reason)) => {
                    missing.add(&Incomplete { id: Some(&seed.id), kind: "unfit", reason, ..entry })?;
                }
            }
        }
        self.rows.check_unchanged()?;
        written.kept_old = would_empty(path, written.rows);
        if !written.kept_old {
            sink.finish()?;
            write_companion(self.format, path)?;
        }
        written.report.finish();
        let count = missing.count;
        written.listed = missing.finish()?.map(|path| (path, count));
        Ok(written)
    }

    /// Returns a conversation with how it ended: the code, and the code with its fault.
    fn replay(
        &self,
        seed: &Seed,
        paid: &mut Paid,
        report: &mut SimulationReport,
    ) -> Result<(Simulated, &'static str, String), CliError> {
        let mut replay = Replay::new(self.recipe, seed);
        replay.advance(|fingerprint, slot| -> Result<_, CliError> {
            let answer = self.store.answer(fingerprint)?.map(|stored| stored.answer);
            if let Some(answer) = answer.as_ref().filter(|_| paid.is_first(fingerprint)) {
                let side = usize::from(slot.lane == Lane::User);
                if let Some(cost) = report.roles.get_mut(ROLES[side]) {
                    cost.add(answer, self.prices[side].as_ref());
                }
            }
            Ok(answer)
        })?;
        let state = self.recipe.simulated(seed, replay.answered());
        if let Some(end) = state.end {
            return Ok((state, end.name(), end.reason()));
        }
        let (kind, reason) = why_open(self.store, self.recipe, seed, self.stop)?;
        Ok((state, kind, reason))
    }
}

/// Counts a conversation.
fn count(seed: &Seed, state: &Simulated, (end, reason): (&str, &str), report: &mut SimulationReport) {
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
        reason,
        turns: turns(state),
        source: source.map(|message| message.content()).collect(),
        simulated: simulated.collect(),
        moves: tried.clone().filter_map(|turn| turn.simulated).map(Move::name).collect(),
        rejected: tried.flat_map(|turn| turn.rejected.iter().copied()).collect(),
        goal_unread: state.goal.is_none() && !state.user_answers.is_empty(),
    });
}

fn turns(state: &Simulated) -> u32 {
    state.dialogue.spoken.iter().filter(|spoken| spoken.answer.is_some()).count() as u32
}

/// True where an earlier run has simulated a turn of the source.
fn was_simulated(seed: &Seed, turn: usize) -> bool {
    seed.columns.get("user_origin").is_some_and(|origins| origins[turn] == "simulated")
}

/// Returns what a row says of how it came about.
fn told(seed: &Seed, state: &Simulated, reason: &str) -> serde_json::Map<String, Value> {
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
