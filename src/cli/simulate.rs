use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use serde_json::{Value, json};

use super::engine::{Asked, Engine, Job, block_on};
use super::error::exit_code;
use super::evaluate::write_reports;
use super::first_pass::{Prepared, Row, Rows, prepare};
use super::model::{find, find_teacher};
use super::options::{
    DuplicateArgs, GateArgs, GateProfile, Options, ReadArgs, RemainArgs, RuleArgs, RunArgs, SamplingArgs, StoreArgs,
    SystemArgs, WriteArgs,
};
use super::output::{Missing, check_output, check_writable, why_open, would_empty, write_companion};
use super::{CliError, CliResult};
use crate::conversation::{Price, Role, Seed};
use crate::export::{Format, Incomplete, Sink, Unfit, record};
use crate::recipe::{Goal, Move, Recipe, Replay, Simulate, Simulated, SimulatedEnd, UserTurn};
use crate::report::words::{counted, number};
use crate::report::{ProgressMode, RoleCost, SimulationReport, Told, simulation_page, words};
use crate::store::Reader;
use crate::worker::{self, Ended, StopReason};

/// Continue dialogues with a model that plays the user
///
/// Each conversation, or bare prompt, goes on until it has N user turns. What the source's users say is kept; the teacher writes every
/// answer, as with distill (answers that the store has from there are taken).
#[derive(Args)]
pub struct SimulateArgs {
    /// Files of conversations or prompts
    #[arg(required = true, value_name = "SEEDS")]
    input: Vec<String>,

    /// Who answers: NAME@URL, a profile of cohobate.toml, or simulated
    #[arg(long, value_name = "MODEL")]
    teacher: Option<String>,

    /// Who plays the user
    #[arg(long, value_name = "MODEL")]
    user: String,

    /// Go on to so many user turns
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    turns: u32,

    /// Who the users are, a person a line; each conversation gets one by its own dice
    #[arg(long, value_name = "FILE")]
    personas: Option<PathBuf>,

    /// Write the rows here; beside it go OUT.report.json and OUT.report.html
    #[arg(short, long, value_name = "OUT", default_value = "simulated.jsonl")]
    output: String,

    /// Ask again what failed for good in an earlier run
    #[arg(long)]
    retry_failed: bool,

    #[command(flatten)]
    store: StoreArgs,

    #[command(flatten)]
    read: ReadArgs,

    #[command(flatten)]
    rule: RuleArgs,

    #[command(flatten)]
    duplicate: DuplicateArgs,

    #[command(flatten)]
    write: WriteArgs,

    #[command(flatten)]
    gate: GateArgs,

    #[command(flatten)]
    remain: RemainArgs,

    #[command(flatten)]
    sampling: SamplingArgs,

    #[command(flatten)]
    system: SystemArgs,

    #[command(flatten)]
    run: RunArgs,
}

pub fn run(args: SimulateArgs) -> CliResult {
    block_on(simulate(args))
}

async fn simulate(args: SimulateArgs) -> CliResult {
    let options = Options::resolve(
        &args.store,
        &[
            &args.read,
            &args.rule,
            &args.duplicate,
            &args.write,
            &args.gate,
            &args.remain,
            &args.sampling,
            &args.system,
            &args.run,
        ],
    )?;
    let format = options.output_format()?;
    if format.wants_pairs() {
        let hint = "choose a format of dialogues, such as openai; `cohobate tutor` makes pairs";
        return Err(CliError::usage("simulated conversations hold one answer to each turn, no pairs", hint));
    }
    check_output(&args.output, &args.input)?;
    check_writable(&args.output, format)?;
    let teacher = find_teacher(args.teacher.as_deref(), &options)?;
    let user = find(&args.user, &options, options.sampling())?;
    let system = teacher.system_text(&options)?;
    let gate = options.gate_or(GateProfile::Standard)?;
    let recipe = Arc::new(Simulate::new(
        Arc::clone(&teacher.target),
        Arc::clone(&user.target),
        args.turns,
        personas(args.personas.as_ref())?,
        gate,
        system.as_deref(),
    ));
    let engine = Engine::open(&options, &[&teacher, &user])?;
    let store = Arc::clone(&engine.store);
    let prepared = prepare(&args.input, &options, &*recipe, system.as_deref())?;
    let order = prepared.order(Arc::clone(&store) as Arc<dyn Reader>, &*recipe)?;
    let Prepared { rows, totals, left_out, invalid, .. } = prepared;
    let job = Job {
        recipe: Arc::clone(&recipe) as Arc<dyn Recipe>,
        seeds: Arc::clone(&rows) as Arc<dyn worker::Seeds>,
        rows: Box::new(order),
        totals,
        retry_failed: args.retry_failed,
    };
    let Asked { ended, tally, elapsed, .. } = engine.ask(job).await?;
    let (mut code, mut hint, mut stop) = (exit_code::COMPLETE, None, "unasked");
    if let Ended::Stopped(reason) = &ended {
        let (stopped, words) = engine.stopped(reason);
        (code, hint) = (stopped, Some(words));
        // A cap is an end like others: what there is can be used. Whoever stopped the run wants to go on.
        if !matches!(reason, StopReason::Budget(_)) {
            let done = format!("{} answered, {} reused", number(tally.answered), number(tally.reused + tally.shared));
            options.say(&format!("stopped: {done}, {}", words::duration(elapsed)));
            if let Some(hint) = &hint {
                options.say(&format!("hint: {hint}"));
            }
            drop(store);
            engine.close()?;
            return Ok(code);
        }
        stop = "budget";
    }
    let writing = Writing {
        rows: &rows,
        recipe: &recipe,
        store: &*store,
        format,
        min_turns: options.min_turns.unwrap_or(1).max(1),
        turns: args.turns,
        models: [teacher.target.model(), user.target.model()],
        prices: [teacher.price, user.price],
        stop,
    };
    let license = options.license(&args.input);
    let written = writing.write(&args.output, license)?;
    let report = &written.report;
    let beside = write_reports(&args.output, report, &simulation_page(report))?;
    if code == exit_code::COMPLETE && (written.incomplete > 0 || invalid > 0) {
        code = exit_code::INCOMPLETE;
    }
    if options.progress() == ProgressMode::Json {
        words::tell(serde_json::to_value(report).map_err(|error| CliError::failure(error.to_string()))?);
    } else {
        let (new, old) = (counted(tally.answered, "answer"), number(tally.reused + tally.shared));
        let headline = if ended == Ended::Finished { "done" } else { "stopped" };
        let conversations = counted(totals.conversations, "conversation");
        options.say(&format!("{headline}: {conversations}, {new} new, {old} reused, {}", words::duration(elapsed)));
        show(&written, &left_out, &args.output, &beside, &options);
        if let Some(hint) = &hint {
            options.say(&format!("hint: {hint}"));
        }
    }
    drop(store);
    engine.close()?;
    Ok(code)
}

fn show(written: &Written, left_out: &BTreeMap<String, u64>, output: &str, beside: &str, options: &Options) {
    written.report.lines().iter().for_each(|line| options.say(line));
    for (reason, count) in left_out {
        options.say(&format!("  left out   {count} × {reason}"));
    }
    if written.short > 0 {
        options
            .say(&format!("  left out   {} with fewer turns than --min-turns", counted(written.short, "conversation")));
    }
    let kept = if written.kept_old { " (nothing to write; the old one stays)" } else { "" };
    options.say(&format!("  wrote      {output}, {}{kept}{beside}", counted(written.rows, "row")));
    if let Some((path, count)) = &written.listed {
        options.say(&format!("  listed     {} not written, or cut short: {path}", counted(*count, "row")));
    }
}

fn personas(path: Option<&PathBuf>) -> Result<Vec<String>, CliError> {
    let Some(path) = path else { return Ok(Vec::new()) };
    let shown = path.display();
    let fault = |message: String| CliError::usage(message, "write a person a line into the file of --personas");
    let text = std::fs::read_to_string(path).map_err(|error| fault(format!("cannot read {shown}: {error}")))?;
    let text = text.trim_start_matches('\u{feff}');
    let personas: Vec<String> =
        text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect();
    if personas.is_empty() { Err(fault(format!("{shown} has no line"))) } else { Ok(personas) }
}

/// What the last pass needs.
struct Writing<'a> {
    rows: &'a Rows,
    recipe: &'a Simulate,
    store: &'a dyn Reader,
    format: &'static dyn Format,
    min_turns: u32,
    /// User turns that are wanted.
    turns: u32,
    /// Teacher and user.
    models: [&'a str; 2],
    prices: [Option<Price>; 2],
    /// Why a conversation has open questions.
    stop: &'static str,
}

#[derive(Default)]
struct Written {
    report: SimulationReport,
    rows: u64,
    incomplete: u64,
    /// Conversations with too few turns to be written.
    short: u64,
    kept_old: bool,
    listed: Option<(String, u64)>,
}

impl Writing<'_> {
    fn write(&self, path: &str, license: Option<String>) -> Result<Written, CliError> {
        let mut sink = Sink::create(path, self.format)?.licensed(license);
        let mut missing = Missing::new(path);
        let mut written = Written::default();
        written.report.schema = 1;
        let [teacher, user] = self.models.map(RoleCost::new);
        written.report.roles = [("teacher", teacher), ("user", user)].into();
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
            let (state, kind, detail) = self.replay(&seed)?;
            let turns = turns(&state);
            // What a server has said in full differs from row to row.
            let reason = if state.end.is_some() { &detail } else { kind };
            self.count(&seed, &state, (kind, reason), &mut written.report);
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
    fn replay(&self, seed: &Seed) -> Result<(Simulated, &'static str, String), CliError> {
        let mut replay = Replay::new(self.recipe, seed);
        replay.advance(|fingerprint, _| -> Result<_, CliError> {
            Ok(self.store.answer(fingerprint)?.map(|stored| stored.answer))
        })?;
        let state = self.recipe.simulated(seed, replay.answered());
        if let Some(end) = state.end {
            return Ok((state, end.name(), end.reason()));
        }
        let (kind, reason) = why_open(self.store, self.recipe, seed, self.stop)?;
        Ok((state, kind, reason))
    }

    fn count(&self, seed: &Seed, state: &Simulated, (end, reason): (&str, &str), report: &mut SimulationReport) {
        let spoken = &state.dialogue.spoken;
        let said =
            seed.turns.iter().enumerate().flat_map(|(turn, said)| said.messages.iter().map(move |said| (turn, said)));
        let said = said.filter(|(_, message)| message.role() == Role::User);
        let source = said.clone().filter(|(turn, _)| !was_simulated(seed, *turn)).map(|(_, message)| message);
        // Of the source's messages those count as simulated that an earlier run has written.
        let earlier: Vec<bool> = said.map(|(turn, _)| was_simulated(seed, turn)).collect();
        let users = (0..spoken.len()).filter(|at| spoken[*at].message.role() == Role::User).enumerate();
        let simulated =
            users.filter(|(number, _)| earlier.get(*number).copied().unwrap_or(true)).filter_map(|(_, at)| {
                Some((spoken[at].message.content(), spoken.get(at.checked_sub(1)?)?.message.content()))
            });
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
        let answers = spoken.iter().filter_map(|spoken| spoken.answer.as_ref());
        let teacher = answers.chain(state.dialogue.rejected.iter().map(|rejected| &rejected.answer));
        let [teacher_price, user_price] = self.prices.each_ref().map(Option::as_ref);
        let mut book = |role, answer: &_, price| {
            if let Some(cost) = report.roles.get_mut(role) {
                cost.add(answer, price);
            }
        };
        for answer in teacher {
            book("teacher", answer, teacher_price);
        }
        for answer in &state.user_answers {
            book("user", answer, user_price);
        }
    }
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
