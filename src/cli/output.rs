//! The last pass: rows in input order, from the input and the store alone.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::error::{CliError, exit_code};
use super::first_pass::{Row, Rows};
use super::options::Options;
use crate::conversation::{Answer, ConversationKey, Dialogue, Fingerprint, Outcome, Price, Role, Seed, Slot};
use crate::dataset::expand;
use crate::export::{
    Format, Incomplete, OutputError, OutputFile, Sink, Unfit, incomplete_row, is_directory, pairs, record,
};
use crate::quality::Boilerplate;
use crate::recipe::{Progress, Recipe, Replay};
use crate::report::QualityReport;
use crate::store::{Reader, Status};

/// Where rows go when nobody says otherwise.
pub const OUTPUT: &str = "distilled.jsonl";

/// What was written.
#[derive(Debug, Default)]
pub struct Written {
    /// Rows in the output.
    pub rows: u64,
    /// Conversations that are not in it, or are cut there.
    pub incomplete: u64,
    /// Where the missing rows are listed, if there are any and the output is a file.
    pub incomplete_path: Option<String>,
    /// Rows in that list, those left out by rule included.
    pub listed: u64,
    /// Asking again may help: some failed in passing, or were not asked yet.
    pub may_heal: bool,
    /// There was no row to write, and an output with rows in it was left alone.
    pub kept_old: bool,
    /// Missing conversations by reason.
    pub reasons: BTreeMap<String, u64>,
    /// Finished conversations that the format's trainer would refuse or spoil, by reason.
    pub unfit: BTreeMap<String, u64>,
    /// What the rules have found.
    pub quality: QualityReport,
}

impl Written {
    fn judge(
        &mut self,
        id: &str,
        dialogue: &Dialogue,
        boilerplate: &mut Boilerplate,
        prices: &BTreeMap<String, Price>,
    ) {
        self.quality.add(id, dialogue, prices);
        let mut user = "";
        for spoken in &dialogue.spoken {
            match spoken.message.role() {
                Role::User => user = spoken.message.content(),
                Role::Assistant if spoken.answer.is_some() && boilerplate.count(user, spoken.message.content()) => {
                    self.quality.flag("boilerplate_constant", id);
                }
                _ => {}
            }
        }
    }
}

/// Writes every conversation that is complete, one row for each input row, and lists the others.
pub struct Writer<'a> {
    pub rows: &'a Rows,
    pub recipe: &'a dyn Recipe,
    pub store: &'a dyn Reader,
    pub format: &'static dyn Format,
    /// For the card of a directory of shards.
    pub license: Option<String>,
    /// Writes an incomplete conversation up to its last good turn instead of leaving it out.
    pub keep_partial: bool,
    /// Where a gate judges: conversations that it has cut are written where so many turns remain, and what it has found
    /// is counted.
    pub gated: Option<Gated>,
}

/// What is wanted of a gate's work.
#[derive(Clone, Debug)]
pub struct Gated {
    /// Fewer turns are not written.
    pub min_turns: u32,
    /// Prices by model.
    pub prices: BTreeMap<String, Price>,
}

impl Gated {
    /// Returns what the options say, where there is a gate or a look at orphans.
    pub fn of(options: &Options, prices: BTreeMap<String, Price>) -> Result<Option<Self>, CliError> {
        let is_gated = options.gate()?.is_some() || options.orphans.is_some();
        Ok(is_gated.then(|| Self { min_turns: options.min_turns.unwrap_or(1).max(1), prices }))
    }
}

impl Writer<'_> {
    /// Writes `path` and, where rows are missing, `path.incomplete.jsonl`. Both appear whole or not at all.
    pub fn write(&self, path: &str) -> Result<Written, CliError> {
        let mut output = Sink::create(path, self.format)?.licensed(self.license.clone());
        let mut missing = Missing::new(path);
        let mut written = Written::default();
        let mut boilerplate = Boilerplate::default();
        for row in 0..self.rows.len() {
            let (source, number) = self.rows.place(row)?;
            let mut entry =
                Incomplete { id: None, source, line: number, kind: "", reason: "", turns_answered: 0, turns: 0 };
            match self.rows.read(row)? {
                Row::Invalid { reason } => {
                    missing.add(&Incomplete { kind: "invalid", reason: &reason, ..entry })?;
                }
                Row::Skipped { id, reason } => {
                    missing.add(&Incomplete { id: id.as_deref(), kind: "skipped", reason, ..entry })?;
                }
                Row::Ready(seed) => {
                    let ended = self.replay(&seed)?;
                    if let Some((kind, reason)) = &ended.fault {
                        entry.turns_answered = ended.turns_answered;
                        entry.turns = self.recipe.turn_count(&seed);
                        missing.add(&Incomplete { id: Some(&seed.id), kind, reason, ..entry })?;
                        written.incomplete += 1;
                        written.may_heal |= ended.may_heal;
                        *written.reasons.entry(format!("{kind}: {reason}")).or_default() += 1;
                    }
                    if let Some(gated) = &self.gated {
                        written.judge(&seed.id, &ended.dialogue, &mut boilerplate, &gated.prices);
                    }
                    if self.is_written(&ended) {
                        let stopped = ended.fault.as_ref().filter(|(kind, _)| *kind == "stopped");
                        let stopped = stopped.map(|(_, reason)| reason.as_str());
                        match self.write_rows(&seed, &ended.dialogue, stopped, &mut output)? {
                            Ok(rows) => written.rows += rows,
                            Err(Unfit(reason)) => {
                                *written.unfit.entry(reason.to_owned()).or_default() += 1;
                                missing.add(&Incomplete { id: Some(&seed.id), kind: "unfit", reason, ..entry })?;
                            }
                        }
                    }
                }
            }
        }
        self.rows.check_unchanged()?;
        written.kept_old = would_empty(path, written.rows);
        if !written.kept_old {
            output.finish()?;
            write_companion(self.format, path)?;
        }
        written.listed = missing.count;
        written.incomplete_path = missing.finish()?;
        Ok(written)
    }

    /// Writes what a conversation makes of rows, and returns how many these were; inside, why there is none.
    fn write_rows(
        &self,
        seed: &Seed,
        dialogue: &Dialogue,
        stopped: Option<&str>,
        output: &mut Sink,
    ) -> Result<Result<u64, Unfit>, CliError> {
        if !self.format.wants_pairs() {
            return Ok(output.write(&record(seed, dialogue, stopped))?);
        }
        let mut count = 0;
        for pair in pairs(seed, dialogue) {
            count += output.write(&pair)?.unwrap_or(0);
        }
        Ok(if count == 0 { Err(Unfit("no_pair")) } else { Ok(count) })
    }

    fn is_written(&self, ended: &Ended) -> bool {
        match (&ended.fault, &self.gated) {
            (None, _) => true,
            (Some(("stopped", _)), Some(gated)) => ended.turns_answered >= gated.min_turns,
            (Some(_), _) => self.keep_partial && ended.turns_answered > 0,
        }
    }

    fn replay(&self, seed: &Seed) -> Result<Ended, CliError> {
        let mut replay = Replay::new(self.recipe, seed);
        match replay.advance(answers_in(self.store))? {
            Progress::Done(Outcome::Complete(dialogue)) => Ok(Ended::new(dialogue, None)),
            Progress::Done(Outcome::Stopped { dialogue, turn, reason }) => {
                Ok(Ended::new(dialogue, Some(("stopped", format!("turn {}: {reason}", turn + 1)))))
            }
            Progress::Open(_) => {
                let (kind, reason, may_heal) = self.unanswered(seed)?;
                Ok(Ended { may_heal, ..Ended::new(self.recipe.so_far(seed, replay.answered()), Some((kind, reason))) })
            }
        }
    }

    /// Returns why a conversation has open questions, and whether asking again may help: a failure that the store
    /// knows, or nobody asked yet.
    fn unanswered(&self, seed: &Seed) -> Result<(&'static str, String, bool), CliError> {
        Ok(match status_of(self.store, self.recipe, seed)? {
            Some(Status::Failed { turn, reason, permanent }) => {
                ("failed", format!("turn {}: {reason}", turn + 1), !permanent)
            }
            _ => ("unanswered", "not asked yet".to_owned(), true),
        })
    }
}

/// What a conversation came to, as far as it can be written.
struct Ended {
    dialogue: Dialogue,
    turns_answered: u32,
    fault: Option<(&'static str, String)>,
    may_heal: bool,
}

impl Ended {
    fn new(dialogue: Dialogue, fault: Option<(&'static str, String)>) -> Self {
        let turns_answered = dialogue.spoken.iter().filter(|spoken| spoken.answer.is_some()).count() as u32;
        Self { dialogue, turns_answered, fault, may_heal: false }
    }
}

/// Writes the file that the format's trainer wants beside the output, if it wants one.
pub fn write_companion(format: &dyn Format, output: &str) -> Result<(), OutputError> {
    let Some((path, content)) = companion(format, output)? else { return Ok(()) };
    let mut file = OutputFile::create(&path.display().to_string())?;
    file.write(format!("{content:#}\n").as_bytes())?;
    file.finish()
}

/// Returns that file's place and content. What stands there already stays; only this output's entry is new.
fn companion(format: &dyn Format, output: &str) -> Result<Option<(PathBuf, serde_json::Value)>, OutputError> {
    let is_special = std::fs::metadata(output).is_ok_and(|metadata| !metadata.is_file());
    if output == "-" || is_directory(output) || is_special {
        return Ok(None);
    }
    let output = Path::new(output);
    let Some((name, fresh)) = format.companion(output, None) else { return Ok(None) };
    let path = output.parent().unwrap_or(Path::new("")).join(name);
    let Ok(old) = std::fs::read(&path) else { return Ok(Some((path, fresh))) };
    let damaged = |source: serde_json::Error| OutputError { path: path.display().to_string(), source: source.into() };
    let old = serde_json::from_slice(&old).map_err(damaged)?;
    let content = format.companion(output, Some(old)).map_or(fresh, |(_, content)| content);
    Ok(Some((path, content)))
}

/// Writes a report: a page where the name says so, else JSON.
pub fn write_report(path: &str, report: &serde_json::Value, page: impl FnOnce() -> String) -> Result<(), CliError> {
    let mut file = OutputFile::create(path)?;
    let is_page = Path::new(path).extension().is_some_and(|ending| ending.eq_ignore_ascii_case("html"));
    let text = if is_page { page() } else { format!("{report:#}\n") };
    file.write(text.as_bytes())?;
    Ok(file.finish()?)
}

/// True where writing no row would replace an output that has some.
pub fn would_empty(path: &str, rows: u64) -> bool {
    let there = std::fs::metadata(path);
    path != "-" && rows == 0 && there.is_ok_and(|there| there.is_file() && there.len() > 0)
}

/// The list of missing rows, made when the first one comes. A list of an earlier run goes when none comes.
pub struct Missing {
    path: Option<String>,
    file: Option<OutputFile>,
    pub count: u64,
}

impl Missing {
    pub fn new(output: &str) -> Self {
        let path = (output != "-").then(|| format!("{}.incomplete.jsonl", output.trim_end_matches('/')));
        Self { path, file: None, count: 0 }
    }

    pub fn at(path: String) -> Self {
        Self { path: Some(path), file: None, count: 0 }
    }

    pub fn add(&mut self, row: &Incomplete<'_>) -> Result<(), CliError> {
        self.count += 1;
        let Some(path) = &self.path else { return Ok(()) };
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(OutputFile::create(path)?),
        };
        let mut line = Vec::new();
        incomplete_row(row, &mut line);
        Ok(file.write(&line)?)
    }

    pub fn finish(self) -> Result<Option<String>, CliError> {
        match (self.file, self.path) {
            (Some(file), path) => {
                file.finish()?;
                Ok(path)
            }
            (None, Some(path)) => {
                let _ = std::fs::remove_file(path);
                Ok(None)
            }
            (None, None) => Ok(None),
        }
    }
}

/// Looks answers up for a replay.
pub fn answers_in(store: &dyn Reader) -> impl Fn(&Fingerprint, Slot) -> Result<Option<Arc<Answer>>, CliError> {
    move |fingerprint, _| Ok(store.answer(fingerprint)?.map(|stored| stored.answer))
}

/// Returns how a conversation stands, where the store knows.
pub fn status_of(store: &dyn Reader, recipe: &dyn Recipe, seed: &Seed) -> Result<Option<Status>, CliError> {
    let key = ConversationKey::new(recipe.settings(), &seed.digest());
    Ok(store.state(&key)?.map(|state| state.status))
}

/// Returns why a conversation has open questions, as a code and in full: its context is full, something else failed for good, or
/// `stop`.
pub fn why_open(
    store: &dyn Reader,
    recipe: &dyn Recipe,
    seed: &Seed,
    stop: &'static str,
) -> Result<(&'static str, String), CliError> {
    Ok(match status_of(store, recipe, seed)? {
        Some(Status::Failed { reason, .. }) if reason.split(": ").any(|part| part == "context") => ("context", reason),
        Some(Status::Failed { reason, .. }) => ("failed", reason),
        _ => (stop, stop.to_owned()),
    })
}

/// Tells the first of several places where the same answer stands, by eight bytes of its question's hash: some 16 bytes an answer.
#[derive(Default)]
pub struct Paid(HashSet<u64>);

impl Paid {
    pub fn is_first(&mut self, fingerprint: &Fingerprint) -> bool {
        self.0.insert(fingerprint.prefix())
    }
}

/// Makes a directory for outputs, and fails where nothing can be written into it, or where what is read would be written over: files
/// whose names begin as ours do.
pub fn check_directory(directory: &str, read: &[&str], ours: &[&str]) -> Result<(), CliError> {
    let fault = |error: std::io::Error| CliError {
        code: exit_code::STORE,
        message: format!("cannot write to {directory}: {error}"),
        hint: Some("name a directory that can be written to with -o".to_owned()),
    };
    std::fs::create_dir_all(directory).map_err(fault)?;
    drop(OutputFile::create(&format!("{directory}/report.json"))?);
    let resolved = |path: &Path| path.canonicalize().ok();
    let files = read.iter().flat_map(|name| expand(name).unwrap_or_default());
    for path in files {
        let path = Path::new(&path);
        let name = path.file_name().map_or("".into(), |name| name.to_string_lossy());
        let is_ours = ours.iter().any(|start| name.starts_with(start));
        let parent = resolved(path).and_then(|path| path.parent().map(Path::to_owned));
        if is_ours && parent.is_some() && parent == resolved(Path::new(directory)) {
            let message =
                format!("{} is read, and lies in {directory}, where it would be written over", path.display());
            return Err(CliError::usage(message, "give -o another directory"));
        }
    }
    Ok(())
}

/// Fails where the output cannot be written, before anything is paid.
pub fn check_writable(path: &str, format: &dyn Format) -> Result<(), CliError> {
    if path == "-" {
        return Ok(());
    }
    companion(format, path)?;
    if is_directory(path) {
        drop(Sink::create(path, crate::export::FORMATS[0])?);
        return Ok(());
    }
    if Path::new(path).is_dir() {
        let hint = format!("name a file with -o, or {path}/ for a directory of Parquet shards");
        return Err(CliError::usage(format!("the output {path} is a directory"), hint));
    }
    let is_special = std::fs::metadata(path).is_ok_and(|metadata| !metadata.is_file());
    // Opening a pipe would tell its reader that there is nothing.
    if !is_special {
        drop(OutputFile::create(path)?);
    }
    Ok(())
}

/// Refuses an output that would destroy an input, or whose name promises another format.
pub fn check_output(path: &str, inputs: &[String]) -> Result<(), CliError> {
    let real = |path: &Path| path.canonicalize().ok();
    let output = Path::new(path);
    let parent = output.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    for input in inputs {
        // What cannot be found is told when it is read.
        let files = expand(input).unwrap_or_default();
        let is_one =
            real(output).is_some_and(|output| files.iter().any(|file| real(Path::new(file)) == Some(output.clone())));
        if is_one {
            return Err(CliError::usage(format!("the output {path} is the input {input}"), "give -o another name"));
        }
        let directory = Path::new(input).is_dir().then(|| real(Path::new(input))).flatten();
        if directory.zip(real(parent)).is_some_and(|(directory, parent)| parent.starts_with(directory)) {
            let message = format!("the output {path} lies in the input {input}, the next run would read it");
            return Err(CliError::usage(message, "give -o a place outside of it"));
        }
    }
    let lower = path.to_lowercase();
    let foreign = [".parquet", ".arrow", ".csv", ".tsv", ".json", ".bz2"];
    if let Some(ending) = foreign.iter().find(|ending| lower.ends_with(**ending)) {
        let message = format!("the output {path} ends in {ending}, but rows are written as JSONL");
        return Err(CliError::usage(
            message,
            "let it end in .jsonl, .jsonl.gz or .jsonl.zst, or in / for a directory of Parquet shards",
        ));
    }
    Ok(())
}
