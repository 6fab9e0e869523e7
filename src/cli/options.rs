//! The options that commands share, on the command line and under the same names in `cohobate.toml`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::Args;
use serde::{Deserialize, Serialize};

use super::error::CliError;
use super::limits::raise_file_limit;
use super::model::Profile;
use super::signals::StopSignal;
use crate::conversation::Sampling;
use crate::dataset::{
    self, DoubleUser, Duplicates, EmptyUser, FORMATS, Fill, Greeting, Media, MiddleSystem, ON_REQUEST,
    ParseMappingError, Placeholders, RowReader, Rules, Shape, Threads, Tools,
};
use crate::export;
use crate::model::PaceLimits;
use crate::quality::{self, Gate};
use crate::report::{ProgressMode, words};

/// The configuration file that is read when none is named.
const CONFIG_FILE: &str = "cohobate.toml";
/// Where the store is when nobody says otherwise.
const STORE: &str = ".cohobate";

/// Some options as they were given on the command line.
pub trait Group {
    /// Returns those that were given.
    fn table(&self) -> toml::Table;
}

/// Defines groups of options for commands to take on their command lines, and [`Options`], which has all of them
/// and is what the configuration file may hold.
macro_rules! option_groups {
    ($($(#[$group_meta:meta])* $group:ident { $($(#[$meta:meta])* $name:ident: $kind:ty,)* })*) => {
        $(
            #[derive(Args, Clone, Debug, Default, Serialize)]
            #[serde(rename_all = "kebab-case")]
            $(#[$group_meta])*
            pub struct $group {
                $($(#[$meta])* #[serde(skip_serializing_if = "Option::is_none")] pub $name: Option<$kind>,)*
            }

            impl Group for $group {
                fn table(&self) -> toml::Table {
                    toml::Table::try_from(self).expect("options are names with plain values")
                }
            }
        )*

        /// Every option there is, from wherever it was given. Nothing is checked against the world yet.
        #[derive(Clone, Debug, Default, Deserialize)]
        #[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
        pub struct Options {
            $($(pub $name: Option<$kind>,)*)*
            /// The teacher, where the command line names none.
            pub teacher: Option<String>,
            /// Model profiles; in the file only.
            pub models: BTreeMap<String, Profile>,
        }
    };
}

option_groups! {
    /// Options of every command that has a store.
    #[command(next_help_heading = "Store, configuration and display")]
    StoreArgs {
        /// Read options and model profiles from this file [default: cohobate.toml, where it exists]
        #[arg(long, value_name = "FILE")]
        config: PathBuf,

        /// Keep answers in this directory [default: .cohobate]
        #[arg(long, value_name = "DIR")]
        store: PathBuf,

        /// How to show progress and messages: auto, plain, json or none [default: auto]
        #[arg(long, value_name = "MODE")]
        progress: ProgressMode,

        /// Show errors only
        #[arg(short, long, num_args = 0, default_missing_value = "true")]
        quiet: bool,
    }

    /// Options that decide what is read.
    #[command(next_help_heading = "What is read")]
    ReadArgs {
        /// Take every row for this shape instead of recognising each [default: each on its own]
        #[arg(long, value_name = "NAME")]
        format: String,

        /// Read a list that has its own names, such as role=from,content=value or messages=dialog,role=who,content=says
        #[arg(long, value_name = "NAMES", conflicts_with = "format")]
        map: String,

        /// Of a tree of messages: best, the thread with the best ranks, or all [default: best]
        #[arg(long, value_name = "WHICH", value_parser = named::<Threads>)]
        threads: Threads,

        /// Read only the first N rows
        #[arg(long, value_name = "N")]
        limit: u64,
    }

    /// Options that decide how oddities of rows are met.
    #[command(next_help_heading = "What is read")]
    RuleArgs {
        /// What the assistant says before the first user: keep it as context, or drop it [default: keep]
        #[arg(long, value_name = "RULE", value_parser = named::<Greeting>)]
        greeting: Greeting,

        /// Two user messages in a row: join them, keep both, or skip the row [default: join]
        #[arg(long, value_name = "RULE", value_parser = named::<DoubleUser>)]
        double_user: DoubleUser,

        /// A system message behind the first turn: keep it there, fold it into the next user turn, or drop it
        /// [default: keep]
        #[arg(long, value_name = "RULE", value_parser = named::<MiddleSystem>)]
        middle_system: MiddleSystem,

        /// A user turn without words: cut the conversation before it, or skip the row [default: cut]
        #[arg(long, value_name = "RULE", value_parser = named::<EmptyUser>)]
        empty_user: EmptyUser,

        /// Rows with tool calls: skip them; keep-prefix, the turns before the first call; or replay the calls and
        /// their results as context [default: skip]
        #[arg(long, value_name = "RULE", value_parser = named::<Tools>)]
        tools: Tools,

        /// Rows with images, sounds or films: skip them, or drop all but the text [default: skip]
        #[arg(long, value_name = "RULE", value_parser = named::<Media>)]
        media: Media,

        /// Rows with gaps such as {{name}}: keep or skip them [default: keep]
        #[arg(long, value_name = "RULE", value_parser = named::<Placeholders>)]
        placeholders: Placeholders,

        /// Fill gaps of users and system messages, such as name=Ada,author=the team
        #[arg(long, value_name = "NAMES")]
        fill: String,
    }

    /// Options that decide what becomes of duplicates.
    #[command(next_help_heading = "What is read")]
    DuplicateArgs {
        /// Rows whose users say what an earlier row's say, but for case and spaces: keep or drop them [default: keep]
        #[arg(long, value_name = "RULE", value_parser = named::<Duplicates>)]
        duplicates: Duplicates,
    }

    /// Options that decide what is written.
    #[command(next_help_heading = "What is written")]
    WriteArgs {
        /// Write rows for this trainer: openai, sharegpt, llama-factory, axolotl, ms-swift, trl-prompt-completion,
        /// per-turn, dpo, kto [default: openai]
        #[arg(long, value_name = "FORMAT")]
        to: String,

        /// Name this licence in the card of a directory of shards [default: that of the inputs' cards]
        #[arg(long, value_name = "ID")]
        license: String,
    }

    /// Options that decide which answers are good enough.
    #[command(next_help_heading = "What is good enough")]
    GateArgs {
        /// Judge each answer before the next is built on it, ask again what is bad, cut the conversation where it stays
        /// bad: off, standard, strict [default: off; filter, simulate, tutor: standard]
        #[arg(long, value_name = "PROFILE", value_parser = named::<GateProfile>)]
        gate: GateProfile,

        /// Change what rules of the gate lead to, such as `refusal=reject,loop_char=reject@8`
        #[arg(long, value_name = "RULES")]
        rules: String,
    }

    /// Options that decide what remains of a conversation that was cut.
    #[command(next_help_heading = "What remains")]
    RemainArgs {
        /// Leave out what the gate has cut to fewer turns [default: 1]
        #[arg(long, value_name = "N")]
        min_turns: u32,
    }

    /// Options that shape each answer; the same questions need the same options.
    #[command(next_help_heading = "What is asked")]
    SamplingArgs {
        /// Sampling temperature [default: the server's]
        #[arg(long, value_name = "T", allow_negative_numbers = true)]
        temperature: f64,

        /// Sample from the most likely words that make up this share, 0 to 1 [default: the server's]
        #[arg(long, value_name = "P", allow_negative_numbers = true)]
        top_p: f64,

        /// Most tokens in one answer, reasoning included [default: the server's]
        #[arg(long, value_name = "N")]
        max_tokens: u32,

        /// Seed for the server's random numbers
        #[arg(long, value_name = "N", allow_negative_numbers = true)]
        seed: i64,
    }

    /// Options that decide what is asked; the same questions need the same options.
    #[command(next_help_heading = "What is asked")]
    QuestionArgs {
        /// A user's message that refers to what only the replaced answer said: keep and mark it, truncate the
        /// conversation before it, or rewrite it [default: not looked for]
        #[arg(long, value_name = "RULE", value_parser = named::<OrphanRule>)]
        orphans: OrphanRule,

        /// Send each answer's thoughts back with it, as <think>...</think> [default: false]
        #[arg(long, num_args = 0, default_missing_value = "true")]
        history_reasoning: bool,
    }

    /// What goes before every conversation; the same questions need the same.
    #[command(next_help_heading = "What is asked")]
    SystemArgs {
        /// Put this system message in place of the rows' own; @FILE reads it from a file
        #[arg(long, value_name = "TEXT|@FILE")]
        system: String,
    }

    /// Options of a judge.
    #[command(next_help_heading = "Who judges, and how")]
    JudgeArgs {
        /// Who judges: NAME@URL, a profile of cohobate.toml, or simulated
        #[arg(long, value_name = "MODEL")]
        judge: String,

        /// Ask the judge in the words of this minijinja template
        #[arg(long, value_name = "FILE")]
        prompt: PathBuf,

    }

    /// Options that decide what a judge judges.
    #[command(next_help_heading = "Who judges, and how")]
    VerdictArgs {
        /// Judge each turn, the dialogue as a whole, or both [default: turn]
        #[arg(long, value_name = "WHAT", value_parser = named::<Per>)]
        per: Per,

        /// Ask for so many verdicts on the same, to see how steady they are [default: 1]
        #[arg(long, value_name = "N")]
        repeats: u32,

        /// Good answers to the same conversations, by the rows' id [default: the column `reference`]
        #[arg(long, value_name = "FILE")]
        references: String,
    }

    /// Options that decide between several answers to the same.
    #[command(next_help_heading = "Best of several")]
    SampleArgs {
        /// Ask for so many answers to each turn; needs --judge or --scorer [default: 1]
        #[arg(long, value_name = "N")]
        samples: u32,

        /// Which of them goes on: best, the one with the highest score [default: best]
        #[arg(long, value_name = "WHICH", value_parser = named::<Keep>)]
        keep: Keep,

        /// A reward model that scores each of them: NAME@URL; it gets {"messages": [...]} and returns {"score": NUMBER}
        #[arg(long, value_name = "NAME@URL", conflicts_with = "judge")]
        scorer: String,
    }

    /// Options that decide how fast and how long is asked; the answers are the same.
    #[command(next_help_heading = "Pace and limits")]
    RunArgs {
        /// Keep at most so many calls in flight; auto finds what the server takes [default: auto]
        #[arg(long, value_name = "N|auto")]
        concurrency: Concurrency,

        /// Send at most so many requests a minute
        #[arg(long, value_name = "N")]
        rpm: u32,

        /// Send and ask for at most so many tokens a minute
        #[arg(long, value_name = "N")]
        tpm: u64,

        /// Spend at most so many dollars, earlier runs of this store included; needs prices and --max-tokens
        #[arg(long, value_name = "DOLLARS")]
        max_cost: f64,

        /// Send at most so many requests, earlier runs of this store included
        #[arg(long, value_name = "N")]
        max_requests: u64,

        /// Let the model write at most so many tokens, earlier runs included; needs --max-tokens
        #[arg(long, value_name = "N")]
        max_output_tokens: u64,

        /// Stop in order when the clock next shows this time
        #[arg(long, value_name = "HH:MM")]
        until: String,

        /// Stop in order after this long, such as 8h, 90m, 45s
        #[arg(long, value_name = "TIME")]
        time_limit: String,

        /// Stop in order, with exit code 75, on this signal too: USR1 or USR2
        #[arg(long, value_name = "SIGNAL")]
        stop_signal: StopSignal,

        /// Stop when a server has not answered for this long [default: wait for ever]
        #[arg(long, value_name = "TIME")]
        give_up_after: String,

        /// Let the server stream its answers; false asks for each in one piece [default: true]
        #[arg(long, value_name = "BOOL")]
        stream: bool,

        /// Show each failed call and each change of pace
        #[arg(short, long, num_args = 0, default_missing_value = "true", conflicts_with = "quiet")]
        verbose: bool,
    }
}

impl Options {
    /// Lays the groups that a command takes over the configuration file and checks their ranges.
    pub fn resolve(store: &StoreArgs, groups: &[&dyn Group]) -> Result<Self, CliError> {
        let (path, mut table) = read_config(store.config.as_deref())?;
        let fault = |error: &str| {
            CliError::usage(
                format!("cannot use the configuration {}: {error}", path.display()),
                "each option of `cohobate distill --help` below the first group may stand there under its name, and \
                 [models.NAME] tables",
            )
        };
        if table.contains_key("config") {
            return Err(fault("unknown field `config`"));
        }
        table.extend(store.table());
        for group in groups {
            table.extend(group.table());
        }
        let options: Self = table.try_into().map_err(|error: toml::de::Error| fault(error.message()))?;
        options.checked()
    }

    fn checked(self) -> Result<Self, CliError> {
        let range = |name: &str, value: Option<f64>, max: f64| match value {
            Some(value) if !(0.0..=max).contains(&value) => Err(CliError::usage(
                format!("--{name} is {value}, outside of 0 to {max}"),
                format!("give --{name} a number from 0 to {max}"),
            )),
            _ => Ok(()),
        };
        range("temperature", self.temperature, 10.0)?;
        range("top-p", self.top_p, 1.0)?;
        if self
            .license
            .as_ref()
            .is_some_and(|id| !id.chars().all(|letter| letter.is_ascii_alphanumeric() || "-._".contains(letter)))
        {
            return Err(CliError::usage(
                "--license is no identifier",
                "write one as the hub has it, such as apache-2.0",
            ));
        }
        if self.max_tokens == Some(0) {
            return Err(CliError::usage("--max-tokens is 0", "give it at least 1"));
        }
        Ok(self)
    }

    /// Returns where the store is.
    pub fn store_path(&self) -> PathBuf {
        self.store.clone().unwrap_or_else(|| PathBuf::from(STORE))
    }

    /// Returns how fast to ask.
    pub fn pace(&self) -> Result<PaceLimits, CliError> {
        let concurrency = self.concurrency.and_then(|concurrency| concurrency.0);
        Ok(PaceLimits {
            concurrency,
            requests_per_minute: self.rpm,
            tokens_per_minute: self.tpm,
            calls_max: Some(raise_file_limit(concurrency)?),
        })
    }

    /// Returns how rows are read.
    pub fn row_reader(&self) -> Result<RowReader, CliError> {
        let shape = match (&self.format, &self.map) {
            (_, Some(names)) => Some(Shape::Mapped(names.parse().map_err(|error: ParseMappingError| {
                CliError::usage(format!("--map {names} is no mapping"), error.to_string())
            })?)),
            (Some(name), None) => Some(Shape::Named(dataset::named(name).ok_or_else(|| {
                let known: Vec<&str> = FORMATS.iter().chain(ON_REQUEST).map(|format| format.name()).collect();
                CliError::usage(format!("there is no format `{name}`"), format!("write one of {}", known.join(", ")))
            })?)),
            (None, None) => None,
        };
        let rules = Rules {
            greeting: self.greeting.unwrap_or_default(),
            double_user: self.double_user.unwrap_or_default(),
            middle_system: self.middle_system.unwrap_or_default(),
            empty_user: self.empty_user.unwrap_or_default(),
            tools: self.tools.unwrap_or_default(),
            media: self.media.unwrap_or_default(),
            placeholders: self.placeholders.unwrap_or_default(),
            fill: match &self.fill {
                Some(text) => text
                    .parse::<Fill>()
                    .map_err(|hint| CliError::usage(format!("--fill {text} names no words"), hint))?,
                None => Fill::default(),
            },
        };
        // What is cut or rewritten depends on what was replaced.
        Ok(RowReader { shape, rules, counts_replaced: self.orphans.is_some() })
    }

    /// Returns the gate, where one is asked for.
    pub fn gate(&self) -> Result<Option<Gate>, CliError> {
        self.gate_or(GateProfile::Off)
    }

    /// Returns the gate, `unnamed` where the person names none.
    pub fn gate_or(&self, unnamed: GateProfile) -> Result<Option<Gate>, CliError> {
        let changes = self.rules.as_deref().unwrap_or_default();
        let profile = match self.gate.unwrap_or(unnamed) {
            GateProfile::Off if !changes.is_empty() => {
                return Err(CliError::usage("--rules changes a gate, and there is none", "add --gate standard"));
            }
            GateProfile::Off => return Ok(None),
            GateProfile::Standard => quality::Profile::Standard,
            GateProfile::Strict => quality::Profile::Strict,
        };
        let gate = Gate::new(profile, changes);
        gate.map(Some).map_err(|error| CliError::usage(format!("cannot use --rules {changes}"), error.to_string()))
    }

    /// Returns the format of the output.
    pub fn output_format(&self) -> Result<&'static dyn export::Format, CliError> {
        let name = self.to.as_deref().unwrap_or(export::FORMATS[0].name());
        export::named(name).ok_or_else(|| {
            let known: Vec<&str> = export::FORMATS.iter().map(|format| format.name()).collect();
            CliError::usage(format!("there is no output format `{name}`"), format!("write one of {}", known.join(", ")))
        })
    }

    /// Returns the licence for a dataset card: the one that was given, or that of the inputs.
    pub fn license(&self, inputs: &[String]) -> Option<String> {
        self.license.clone().or_else(|| dataset::license(inputs))
    }

    /// True where the person wants to see errors only.
    pub fn is_quiet(&self) -> bool {
        self.quiet.unwrap_or(false)
    }

    /// Returns how progress is shown.
    pub fn progress(&self) -> ProgressMode {
        if self.is_quiet() { ProgressMode::None } else { self.progress.unwrap_or_default() }
    }

    /// Returns the sampling parameters.
    pub fn sampling(&self) -> Sampling {
        Sampling { temperature: self.temperature, top_p: self.top_p, max_tokens: self.max_tokens, seed: self.seed }
    }

    /// Prints a line for people, unless they asked for silence.
    pub fn say(&self, line: &str) {
        match self.progress() {
            _ if self.is_quiet() => {}
            ProgressMode::Json => words::tell(serde_json::json!({"message": line})),
            _ => words::tell(line),
        }
    }
}

/// Which of several answers goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Keep {
    /// The one with the highest score, the first of equal ones.
    Best,
}

/// What is judged at a time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Per {
    /// Each answer.
    #[default]
    Turn,
    /// The conversation as a whole.
    Dialogue,
    /// Both.
    Both,
}

/// Which gate an answer passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GateProfile {
    /// None.
    Off,
    /// What is certainly broken is rejected.
    Standard,
    /// Refusals and the like are too.
    Strict,
}

/// What becomes of a message that refers to a replaced answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OrphanRule {
    /// It stays, marked.
    Keep,
    /// The conversation ends before it.
    Truncate,
    /// The teacher rewrites it.
    Rewrite,
}

/// A number of calls in flight, or `auto`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Concurrency(pub Option<usize>);

impl FromStr for Concurrency {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.parse::<usize>() {
            _ if text == "auto" => Ok(Self(None)),
            Ok(count @ 1..) => Ok(Self(Some(count))),
            _ => Err("write a number of at least 1, or auto"),
        }
    }
}

impl Serialize for Concurrency {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Some(count) => serializer.serialize_u64(count as u64),
            None => serializer.serialize_str("auto"),
        }
    }
}

impl<'de> Deserialize<'de> for Concurrency {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = match toml::Value::deserialize(deserializer)? {
            toml::Value::String(text) => text,
            other => other.to_string(),
        };
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Reads a rule by the name that the configuration file gives it, so that the two agree.
fn named<Rule: serde::de::DeserializeOwned>(text: &str) -> Result<Rule, String> {
    Rule::deserialize(serde::de::value::StrDeserializer::new(text)).map_err(|error: serde::de::value::Error| {
        error.to_string().replace("unknown variant", "there is no").replace("expected", "write")
    })
}

/// Returns the configuration and where it is; an empty one where none is named and none is there.
fn read_config(named: Option<&Path>) -> Result<(PathBuf, toml::Table), CliError> {
    let path = named.unwrap_or(Path::new(CONFIG_FILE));
    let fault = |reason: &dyn std::fmt::Display, hint: &str| {
        CliError::usage(format!("cannot read the configuration {}: {reason}", path.display()), hint)
    };
    let text = match fs::read_to_string(path) {
        Err(error) if named.is_none() && error.kind() == std::io::ErrorKind::NotFound => String::new(),
        other => other.map_err(|error| fault(&error, "name a file that exists with --config"))?,
    };
    let table = text.parse().map_err(|error: toml::de::Error| {
        let line = error.span().map_or(1, |span| text[..span.start.min(text.len())].lines().count().max(1));
        fault(&format!("line {line}: {}", error.message()), "mend that line; TOML wants NAME = VALUE, text in quotes")
    })?;
    Ok((path.to_owned(), table))
}
