//! The options that commands share, on the command line and under the same names in `cohobate.toml`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::Args;
use cohobate::conversation::{BodyChoices, BodyFields, Effort, TemperatureChoice, Thinking, ToolMatch};
use cohobate::dataset::{
    DoubleUser, Duplicates, EmptyUser, Greeting, Media, MiddleSystem, Placeholders, Threads, Tools,
};
use cohobate::job::JobError;
use cohobate::model::{ModelProfile, RequestLane};
use serde::{Deserialize, Serialize};

use super::address::{is_mistaken, without_password};
use super::choices::{
    Concurrency, GateProfile, Keep, METRICS_ADDRESS, METRICS_HELP, OrphanRule, Per, ShardChoice, named,
};
use super::config::ConfigFile;
use super::hooks::HookCommand;
use super::names::{file_name, path_name, real_path, text_or_file};
use super::progress::ProgressMode;
use super::signals::StopSignal;
use super::time::duration;
use super::trust;

/// Some options as they were given on the command line.
pub trait Group {
    /// Returns those that were given.
    fn table(&self) -> toml::Table;

    /// True if the group has an option of this name.
    fn has(&self, name: &str) -> bool;
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

                fn has(&self, name: &str) -> bool {
                    [$(stringify!($name)),*].contains(&name.replace('-', "_").as_str())
                }
            }
        )*

        /// Every option, from the command line or the configuration file.
        #[derive(Clone, Debug, Default, Deserialize)]
        #[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
        pub struct Options {
            $($(pub $name: Option<$kind>,)*)*
            /// The teacher, where the command line names none.
            pub teacher: Option<String>,
            /// Model profiles; in the file only.
            pub models: BTreeMap<String, ModelProfile>,
            /// The options that were set, for the run log: without profiles, and without what runs a command.
            #[serde(skip)]
            pub recorded: BTreeMap<String, serde_json::Value>,
            /// Where the options of the file stand, by name.
            #[serde(skip)]
            pub places: BTreeMap<String, String>,
            /// True where the line names a shard, so that what is written must be the shard's own.
            #[serde(skip)]
            pub names_shard: bool,
        }
    };
}

option_groups! {
    /// Where options that are not on the command line come from.
    #[command(next_help_heading = "Store, configuration and display")]
    ConfigArgs {
        /// Read options and model profiles from this file [default: cohobate.toml, where it exists]
        #[arg(long, value_name = "FILE", value_parser = path_name())]
        config: PathBuf,
    }

    /// Where answers are stored.
    #[command(next_help_heading = "Store, configuration and display")]
    StoreArgs {
        /// Store answers in this directory, or in a PostgreSQL that many machines share: `postgres://HOST/DATABASE` [default:
        /// .cohobate]
        #[arg(long, value_name = "DIR", value_parser = path_name())]
        store: PathBuf,

        /// Of a shared store, work on the run of this name [default: the run with the same settings and rows]; for show and view,
        /// the number of a run as `cohobate status` has it [default: the last one]
        #[arg(long, value_name = "NAME")]
        run: String,

        /// With a shared store, keep what is this machine's own in this directory: each answer is written there first [default:
        /// .cohobate/shared-...]
        #[arg(long, value_name = "DIR", value_parser = path_name())]
        outbox: PathBuf,
    }

    /// What is accepted as lost.
    #[command(next_help_heading = "Store, configuration and display")]
    LossArgs {
        /// Continue without the answers that an incomplete store has lost; what is missing is asked again
        #[arg(long, num_args = 0, default_missing_value = "true")]
        accept_loss: bool,
    }

    /// Options that decide what is shown while a command works.
    #[command(next_help_heading = "Store, configuration and display")]
    DisplayArgs {
        /// How to show progress and messages: auto, plain, json or none [default: auto]
        #[arg(long, value_name = "MODE", value_parser = named::<ProgressMode>)]
        progress: ProgressMode,

        /// Show errors only
        #[arg(short, long, num_args = 0, default_missing_value = "true")]
        quiet: bool,
    }

    /// Options that decide what is read.
    #[command(next_help_heading = "What is read")]
    ReadArgs {
        /// Read every row in this format [default: each row's format is recognised]
        #[arg(long, value_name = "NAME")]
        format: String,

        /// Read a list of messages with other names, such as role=from,content=value or messages=dialog,role=who,content=says
        #[arg(long, value_name = "NAMES", conflicts_with = "format")]
        map: String,

        /// Of a directory with splits, read this one [default: train, or the only one that begins so]
        #[arg(long, value_name = "NAME")]
        split: String,

        /// Read text in this encoding, such as windows-1252, gb18030 or shift-jis [default: UTF-8; UTF-16 with a byte
        /// order mark is recognised]
        #[arg(long, value_name = "NAME")]
        encoding: String,

        /// For trees of messages: best, the thread with the best ranks, or all [default: best]
        #[arg(long, value_name = "WHICH", value_parser = named::<Threads>)]
        threads: Threads,

        /// Read only the first N rows
        #[arg(long, value_name = "N")]
        limit: u64,
    }

    /// The option that cuts the input for several machines.
    #[command(next_help_heading = "What is read")]
    ShardArgs {
        /// Ask about the I-th of N parts of the rows, counted from 1, such as 3/16; auto takes the task of a Slurm array, auto/N
        /// also the index of a Kubernetes job. {shard} in --store and in names of outputs becomes 03-of-16
        /// [default: all rows; the store of a shard is .cohobate/shard-03-of-16]
        #[arg(long, value_name = "I/N")]
        shard: ShardChoice,
    }

    /// Options that decide how irregular rows are handled.
    #[command(next_help_heading = "What is read")]
    RuleArgs {
        /// A greeting of the assistant before the first user message: keep it as context, or drop it [default: keep]
        #[arg(long, value_name = "RULE", value_parser = named::<Greeting>)]
        greeting: Greeting,

        /// Two user messages in a row: join them, keep both, or skip the row [default: join]
        #[arg(long, value_name = "RULE", value_parser = named::<DoubleUser>)]
        double_user: DoubleUser,

        /// A system message after the first turn: keep it there, fold it into the next user turn, or drop it
        /// [default: keep]
        #[arg(long, value_name = "RULE", value_parser = named::<MiddleSystem>)]
        middle_system: MiddleSystem,

        /// An empty user turn: cut the conversation before it, or skip the row [default: cut]
        #[arg(long, value_name = "RULE", value_parser = named::<EmptyUser>)]
        empty_user: EmptyUser,

        /// Rows with tool calls: skip them; keep-prefix, the turns before the first call; replay the calls and their
        /// results as context; hide, skip them and send no definitions of tools for other rows; or regenerate (distill), have
        /// the teacher make the calls, and the row's results follow those that are the same [default: skip]
        #[arg(long, value_name = "RULE", value_parser = named::<Tools>)]
        tools: Tools,

        /// Rows with unfilled placeholders such as {{name}}: keep or skip them [default: keep]
        #[arg(long, value_name = "RULE", value_parser = named::<Placeholders>)]
        placeholders: Placeholders,

        /// Fill placeholders in user and system messages, such as name=Ada,author=the team
        #[arg(long, value_name = "NAMES")]
        fill: String,
    }

    /// Options that decide which results follow calls to tools.
    #[command(next_help_heading = "What is asked")]
    ToolArgs {
        /// With --tools regenerate: the row's result follows a call with the same name and arguments (exact), or also one with
        /// the same name and other arguments (name) [default: exact]
        #[arg(long, value_name = "RULE", value_parser = named::<ToolMatch>)]
        tool_match: ToolMatch,

        /// With --tools regenerate: have this command answer calls in place of the row's results: one line of JSON in, one out.
        /// It is stored with its answers, so it must hold no secret [default: none]
        #[arg(long, value_name = "COMMAND")]
        tool_results: HookCommand,
    }

    /// Options that decide what belongs to a row's conversation.
    #[command(next_help_heading = "What is read")]
    SourceArgs {
        /// Rows with images, audio or video: skip them, or drop all but the text [default: skip]
        #[arg(long, value_name = "RULE", value_parser = named::<Media>)]
        media: Media,

        /// Leave columns such as `system` and `system_prompt` in meta [default: the text becomes the first message]
        #[arg(long, num_args = 0, default_missing_value = "true")]
        no_system_column: bool,
    }

    /// Options that decide what happens to duplicates.
    #[command(next_help_heading = "What is read")]
    DuplicateArgs {
        /// Rows whose user messages equal an earlier row's, apart from case and spaces: keep or drop them [default: keep]
        #[arg(long, value_name = "RULE", value_parser = named::<Duplicates>)]
        duplicates: Duplicates,
    }

    /// Options that decide what is written.
    #[command(next_help_heading = "What is written")]
    WriteArgs {
        /// Write rows for this trainer: openai, sharegpt, llama-factory, axolotl, ms-swift, trl-prompt-completion,
        /// per-turn, dpo, kto, token-ids, speculators, specforge [default: openai]
        #[arg(long, value_name = "FORMAT")]
        to: String,

        /// Name this licence in the card of a directory of shards [default: that of the inputs' cards]
        #[arg(long, value_name = "ID")]
        license: String,
    }

    /// Options that decide which answers are good enough.
    #[command(next_help_heading = "Quality gate")]
    GateArgs {
        /// Judge each answer before the next is built on it; retry a rejected answer, and cut the conversation after the third:
        /// off, standard, strict [default: off; filter, simulate, tutor: standard]
        #[arg(long, value_name = "PROFILE", value_parser = named::<GateProfile>)]
        gate: GateProfile,

        /// Change actions and thresholds of the gate's rules, such as `refusal=reject,loop_char=reject@8`
        #[arg(long, value_name = "RULES")]
        rules: String,
    }

    /// The option that decides which edition of the built-in rules and prompts is used.
    #[command(next_help_heading = "What is asked")]
    VersionArgs {
        /// Use this version of the gate's rules and of the built-in prompts for every conversation, also those that were begun
        /// under another one [default: the version under which a conversation was begun, 2 for new ones]
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=2))]
        rules_version: u32,
    }

    /// Options that decide which conversations are long enough.
    #[command(next_help_heading = "Quality gate")]
    RemainArgs {
        /// Leave out conversations that the gate has cut to fewer turns [default: 1]
        #[arg(long, value_name = "N")]
        min_turns: u32,
    }

    /// Options that shape each answer; the same questions need the same options.
    #[command(next_help_heading = "What is asked")]
    SamplingArgs {
        /// Sampling temperature [default: the server's]
        #[arg(long, value_name = "T", allow_negative_numbers = true)]
        temperature: f64,

        /// Nucleus sampling (top-p), 0 to 1 [default: the server's]
        #[arg(long, value_name = "P", allow_negative_numbers = true)]
        top_p: f64,

        /// Most tokens in one answer, reasoning included [default: the server's]
        #[arg(long, value_name = "N")]
        max_tokens: u32,

        /// Seed for the server's random numbers
        #[arg(long, value_name = "N", allow_negative_numbers = true)]
        seed: i64,

        /// Let the model reason before it answers, or not: on, off [default: the server's]
        #[arg(long, value_name = "on|off", value_parser = named::<Thinking>)]
        thinking: Thinking,

        /// How much the model reasons, such as low, medium or high [default: the server's]
        #[arg(long, value_name = "LEVEL")]
        effort: Effort,

        /// Add these fields to each request's body, such as `{"top_k": 20}`
        #[arg(long, value_name = "JSON")]
        body: BodyFields,

        /// Draw a body field for each conversation by weights, such as `reasoning_effort=low:0.5,high:0.5`
        #[arg(long, value_name = "DRAW")]
        body_choice: BodyChoices,

        /// Draw the temperature for each conversation by weights, such as `0.3:1,0.7:2,1.0:1`
        #[arg(long, value_name = "DRAW")]
        temperature_choice: TemperatureChoice,
    }

    /// Options that decide what is asked; the same questions need the same options.
    #[command(next_help_heading = "What is asked")]
    QuestionArgs {
        /// User messages that refer to a replaced answer: keep and mark them, truncate the conversation before the first, or
        /// rewrite them; doubtful ones are marked alone [default: not looked for]
        #[arg(long, value_name = "RULE", value_parser = named::<OrphanRule>)]
        orphans: OrphanRule,

        /// Who decides whether a doubtful message refers to a replaced answer: NAME@URL, a profile of cohobate.toml, or
        /// simulated; needs --orphans [default: nobody]
        #[arg(long, value_name = "MODEL")]
        orphans_judge: String,

        /// Send each answer's reasoning back with it, as <think>...</think> [default: false]
        #[arg(long, num_args = 0, default_missing_value = "true")]
        history_reasoning: bool,

        /// Have the server give the token ids of each prompt and answer, and store them; for --to token-ids, speculators and
        /// specforge [default: false]
        #[arg(long, num_args = 0, default_missing_value = "true")]
        token_ids: bool,

        /// Store the log-probabilities of the K most probable tokens at each place too, 1 to 20; implies --token-ids
        #[arg(long, value_name = "K")]
        logprobs: u8,
    }

    /// The system message of every conversation; the same questions need the same.
    #[command(next_help_heading = "What is asked")]
    SystemArgs {
        /// Use this system message in place of the rows' own; @FILE reads it from a file
        #[arg(long, value_name = "TEXT|@FILE", value_parser = text_or_file())]
        system: String,
    }

    /// Options of a judge.
    #[command(next_help_heading = "Who judges, and how")]
    JudgeArgs {
        /// Who judges: NAME@URL, a profile of cohobate.toml, or simulated
        #[arg(long, value_name = "MODEL")]
        judge: String,

        /// Use this minijinja template as the judge's prompt
        #[arg(long, value_name = "FILE", value_parser = path_name())]
        prompt: PathBuf,
    }

    /// Options that decide what a judge judges.
    #[command(next_help_heading = "Who judges, and how")]
    VerdictArgs {
        /// Judge each turn, the dialogue as a whole, or both [default: turn]
        #[arg(long, value_name = "WHAT", value_parser = named::<Per>)]
        per: Per,

        /// Ask for N verdicts on each answer, to see how much they vary, 1 to 64 [default: 1]
        #[arg(long, value_name = "N")]
        repeats: u32,

        /// Good answers to the same conversations, matched by id [default: the column `reference`]
        #[arg(long, value_name = "FILE", value_parser = file_name())]
        references: String,

        /// First show the judge answers that are known to be right or wrong: if it fails these, its verdicts are not used and the
        /// exit code is 3 [default: true; false for a simulated judge]
        #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
        controls: bool,
    }

    /// Options that choose between several answers to one turn.
    #[command(next_help_heading = "Best of several")]
    SampleArgs {
        /// Ask for N answers to each turn and keep the best, 1 to 63; needs --judge or --scorer [default: 1]
        #[arg(long, value_name = "N")]
        samples: u32,

        /// Keep the best answer only if its score is at least SCORE; otherwise the conversation ends before that turn
        #[arg(long, value_name = "SCORE", allow_hyphen_values = true)]
        min_score: f64,

        /// Which answer is kept: best, the one with the highest score [default: best]
        #[arg(long, value_name = "WHICH", value_parser = named::<Keep>, hide = true)]
        keep: Keep,

        /// A reward model that scores each answer: NAME@URL; it gets {"messages": [...]} and returns {"score": NUMBER}
        #[arg(long, value_name = "NAME@URL", conflicts_with = "judge")]
        scorer: String,
    }

    /// Options that decide how fast and how long calls are sent; the answers are the same.
    #[command(next_help_heading = "Pace and limits")]
    RunArgs {
        /// Keep at most N calls in flight; auto finds the server's limit [default: auto]
        #[arg(long, value_name = "N|auto")]
        concurrency: Concurrency,

        /// Send at most N requests a minute
        #[arg(long, value_name = "N")]
        rpm: u32,

        /// Send and request at most N tokens a minute
        #[arg(long, value_name = "N")]
        tpm: u64,

        /// Spend at most this many dollars, earlier runs of this store included; needs prices and --max-tokens
        #[arg(long, value_name = "DOLLARS")]
        max_cost: f64,

        /// Send at most N requests, earlier runs of this store included
        #[arg(long, value_name = "N")]
        max_requests: u64,

        /// Let models write at most N tokens, earlier runs of this store included; needs --max-tokens
        #[arg(long, value_name = "N")]
        max_output_tokens: u64,

        /// Stop cleanly at the next HH:MM
        #[arg(long, value_name = "HH:MM")]
        until: String,

        /// Stop cleanly after this time, such as 8h, 90m, 45s
        #[arg(long, value_name = "TIME")]
        time_limit: String,

        /// Stop cleanly, with exit code 75, on this signal too: USR1 or USR2
        #[arg(long, value_name = "SIGNAL", value_parser = named::<StopSignal>)]
        stop_signal: StopSignal,

        /// Stop when a server has not answered for this time [default: wait indefinitely; 30m for one that refuses every
        /// request]
        #[arg(long, value_name = "TIME")]
        give_up_after: String,

        /// Ask models at this tier: online, the standard one, or flex, slower and often for half the price [default: online]
        #[arg(long, value_name = "LANE", value_parser = named::<RequestLane>)]
        lane: RequestLane,

        /// Have the server stream its answers; false requests each answer whole [default: true]
        #[arg(long, value_name = "BOOL")]
        stream: bool,

        /// Show each failed call and each change of concurrency
        #[arg(short, long, num_args = 0, default_missing_value = "true", conflicts_with = "quiet")]
        verbose: bool,
    }

    /// Options for runs that nobody watches.
    #[command(next_help_heading = "Unattended runs")]
    AloneArgs {
        /// Start the run in the background, and say where to look
        #[arg(long, num_args = 0, default_missing_value = "true")]
        detach: bool,

        /// Start this server for the run, such as `vllm serve MODEL`; start it again when it ends, and stop it at the end. What it
        /// prints goes to served.log in the store
        #[arg(long, value_name = "COMMAND")]
        serve: HookCommand,

        /// Run this command when the run has ended, however it ended, with the summary as JSON on its standard input
        #[arg(long, value_name = "COMMAND")]
        on_end: HookCommand,

        /// Run this command when no answer has come for long, with the state of the run as JSON on its standard input
        #[arg(long, value_name = "COMMAND")]
        on_stall: HookCommand,

        /// How long no answer comes before --on-stall [default: 10m]
        #[arg(long, value_name = "TIME")]
        stall_after: String,

        #[arg(long, value_name = "ADDR", num_args = 0..=1, require_equals = true, default_missing_value = METRICS_ADDRESS, help = METRICS_HELP)]
        metrics: String,
    }
}

impl Options {
    /// Applies the groups that a command takes on top of the configuration file, and checks their ranges.
    ///
    /// The settings of an earlier run take the place of those of the file.
    fn resolve(config: Option<&Path>, groups: &[&dyn Group], recalled: Option<&Recalled>) -> Result<Self, JobError> {
        let file = ConfigFile::read(config)?;
        file.check::<Self>()?;
        let given: toml::Table = groups.iter().flat_map(|group| group.table()).collect();
        let mut table = file.table.clone();
        if let Some(Recalled(settings)) = recalled {
            table.retain(|name, _| !is_recalled(name));
            for (name, value) in settings {
                table.extend(as_toml(value).map(|value| (name.clone(), value)));
            }
        }
        table.extend(given.clone());
        let recorded = recorded(&table);
        let mut options: Self = table.try_into().map_err(|error: toml::de::Error| {
            JobError::usage(format!("cannot use the options: {}", error.message()), "correct the command line")
        })?;
        options.recorded = recorded;
        options.config = (!file.table.is_empty()).then(|| file.path.clone());
        options.store = options.store.as_deref().map(real_path);
        if let Some(text) = options.store.as_deref().and_then(Path::to_str).filter(|text| is_mistaken(text)) {
            let scheme = text.split(':').next().unwrap_or_default();
            let message = format!("--store: an address that begins with `{scheme}:` is not known");
            return Err(JobError::usage(
                message,
                "write postgres://HOST/DATABASE, in small letters, or name a directory",
            ));
        }
        options.outbox = options.outbox.as_deref().map(real_path);
        options.prompt = options.prompt.as_deref().map(real_path);
        options.places = file.places();
        options.places.retain(|name, _| !given.contains_key(name));
        options.settle_shard(given.contains_key("shard"))?;
        let has = |name: &str| groups.iter().any(|group| group.has(name));
        trust::check(&file, |option| match option {
            "models" | "teacher" => has("stream"),
            option if recalled.is_some() && is_recalled(option) => false,
            option => has(option) && !given.contains_key(option),
        })?;
        options.check_ranges()?;
        Ok(options)
    }

    /// Says where an option was given: on the command line as `--NAME`, or in which line of the file.
    pub fn place_of(&self, name: &str) -> String {
        match self.places.get(name) {
            Some(place) => format!("{place}: `{name}`"),
            None => format!("--{name}"),
        }
    }

    fn check_ranges(&self) -> Result<(), JobError> {
        let is_id = |id: &String| id.chars().all(|letter| letter.is_ascii_alphanumeric() || "-._".contains(letter));
        let range = |value: Option<f64>, max: f64| value.is_none_or(|value| (0.0..=max).contains(&value));
        let number = |value: Option<f64>| value.map(|value| value.to_string());
        let whole = |value: Option<u64>| value.map(|value| value.to_string());
        let some = |value: Option<u64>| value != Some(0);
        let max_tokens = self.max_tokens.map(u64::from);
        let (rpm, turns) = (self.rpm.map(u64::from), self.min_turns.map(u64::from));
        let requests = "give it at least 1; `cohobate plan` sends nothing";
        for (name, is_fit, value, hint) in [
            ("temperature", range(self.temperature, 10.0), number(self.temperature), "give it a number from 0 to 10"),
            ("top-p", range(self.top_p, 1.0), number(self.top_p), "give it a number from 0 to 1"),
            ("max-tokens", some(max_tokens), whole(max_tokens), "give it at least 1"),
            ("rpm", some(rpm), whole(rpm), "give it at least 1; without it there is no limit"),
            ("tpm", some(self.tpm), whole(self.tpm), "give it at least 1; without it there is no limit"),
            ("max-requests", some(self.max_requests), whole(self.max_requests), requests),
            ("max-output-tokens", some(self.max_output_tokens), whole(self.max_output_tokens), requests),
            (
                "max-cost",
                self.max_cost.is_none_or(|cost| cost > 0.0 && cost.is_finite()),
                number(self.max_cost),
                "give it a number of dollars above 0; without it there is no cap",
            ),
            (
                "min-score",
                self.min_score.is_none_or(f64::is_finite),
                number(self.min_score),
                "give it a number such as 0.5",
            ),
            ("limit", some(self.limit), whole(self.limit), "give it at least 1; without it all rows are read"),
            ("min-turns", some(turns), whole(turns), "give it at least 1"),
            (
                "license",
                self.license.as_ref().is_none_or(is_id),
                self.license.clone(),
                "write an identifier as the hub has it, such as apache-2.0",
            ),
        ] {
            if let Some(value) = value.filter(|_| !is_fit) {
                return Err(JobError::usage(format!("{} cannot be {value}", self.place_of(name)), hint));
            }
        }
        for (name, time) in [("time-limit", &self.time_limit), ("give-up-after", &self.give_up_after)] {
            time.as_deref().map(|time| duration(&self.place_of(name), time)).transpose()?;
        }
        self.deadline().map(drop)
    }
}

/// The settings of an earlier run, by name.
pub struct Recalled(pub BTreeMap<String, serde_json::Value>);

/// True for an option that decides which rows there are or what is asked in them: a run with another value of it has other
/// answers.
pub fn is_setting(name: &str) -> bool {
    let groups: [&dyn Group; 13] = [
        &ReadArgs::default(),
        &ShardArgs::default(),
        &RuleArgs::default(),
        &SourceArgs::default(),
        &ToolArgs::default(),
        &DuplicateArgs::default(),
        &GateArgs::default(),
        &VersionArgs::default(),
        &SamplingArgs::default(),
        &QuestionArgs::default(),
        &SystemArgs::default(),
        &SampleArgs::default(),
        &JudgeArgs::default(),
    ];
    groups.iter().any(|group| group.has(name))
}

/// True for an option that is taken from the last run together with its settings.
pub fn is_recalled(name: &str) -> bool {
    is_setting(name) || ["to", "min-turns"].contains(&name)
}

impl DistillOptions {
    /// Returns the options with the settings of an earlier run in place of the configuration file's.
    pub fn resolve_on(&self, recalled: &Recalled) -> Result<Options, JobError> {
        Options::resolve(self.config.config.as_deref(), &self.groups(), Some(recalled))
    }

    /// True where the command line has a setting.
    pub fn has_settings(&self) -> bool {
        self.groups().into_iter().any(|group| group.table().keys().any(|name| is_setting(name)))
    }

    fn groups(&self) -> [&dyn Group; 19] {
        let Self { config, store, display, read, shard, rule, source, duplicate, write, .. } = self;
        let Self { gate, version, remain, sampling, question, system, sample, judge, run, tool, .. } = self;
        [
            config, store, display, read, shard, rule, source, duplicate, write, gate, version, remain, sampling,
            question, system, sample, judge, run, tool,
        ]
    }
}

/// Returns a value of the run log as the configuration file would have it. By hand, because `serde_json` passes a number of any
/// precision on as a map.
fn as_toml(value: &serde_json::Value) -> Option<toml::Value> {
    Some(match value {
        serde_json::Value::Null => return None,
        serde_json::Value::Bool(value) => toml::Value::Boolean(*value),
        serde_json::Value::Number(number) => match number.as_i64() {
            Some(whole) => toml::Value::Integer(whole),
            None => toml::Value::Float(number.as_f64()?),
        },
        serde_json::Value::String(text) => toml::Value::String(text.clone()),
        serde_json::Value::Array(values) => toml::Value::Array(values.iter().filter_map(as_toml).collect()),
        serde_json::Value::Object(fields) => {
            let fields = fields.iter().filter_map(|(name, value)| Some((name.clone(), as_toml(value)?)));
            toml::Value::Table(fields.collect())
        }
    })
}

/// Returns options as the run log has them.
fn recorded(table: &toml::Table) -> BTreeMap<String, serde_json::Value> {
    let kept = table.iter().filter(|(name, _)| name.as_str() != "models");
    let value = |name: &str, value: &toml::Value| match trust::class::of_option(name) {
        // The command that answers calls is part of what is asked.
        trust::class::Class::Command if name != "tool-results" => serde_json::Value::from("***"),
        _ if name == "store" => value
            .as_str()
            .map_or_else(|| serde_json::to_value(value).unwrap_or_default(), |text| without_password(text).into()),
        _ => serde_json::to_value(value).unwrap_or_default(),
    };
    kept.map(|(name, set)| (name.clone(), value(name, set))).collect()
}

/// Defines the sets of groups that commands take.
macro_rules! option_sets {
    ($($(#[$meta:meta])* $set:ident { $($group:ident: $kind:ty,)* })*) => {$(
        $(#[$meta])*
        #[derive(Args, Clone, Debug, Default)]
        pub struct $set {
            $(#[command(flatten)] pub $group: $kind,)*
        }

        impl $set {
            /// Returns the options, those of the configuration file included.
            pub fn resolve(&self) -> Result<Options, JobError> {
                Options::resolve(self.config.config.as_deref().map(real_path).as_deref(), &[$(&self.$group),*], None)
            }
        }
    )*};
}

option_sets! {
    /// The options of `distill`, which `plan`, `export` and `verify` take too: the whole line can be pasted.
    DistillOptions {
        config: ConfigArgs, store: StoreArgs, loss: LossArgs, display: DisplayArgs, read: ReadArgs, shard: ShardArgs, rule: RuleArgs, source: SourceArgs,
        duplicate: DuplicateArgs, write: WriteArgs, gate: GateArgs, version: VersionArgs, remain: RemainArgs, sampling: SamplingArgs,
        question: QuestionArgs, tool: ToolArgs, system: SystemArgs, sample: SampleArgs, judge: JudgeArgs, run: RunArgs, alone: AloneArgs,
    }

    /// The options of `convert`.
    ConvertOptions { read: ReadArgs, source: SourceArgs, write: WriteArgs, config: ConfigArgs, display: DisplayArgs, }

    /// The options of `inspect`.
    InspectOptions { read: ReadArgs, rule: RuleArgs, source: SourceArgs, config: ConfigArgs, display: DisplayArgs, }

    /// The options of `filter`.
    FilterOptions {
        gate: GateArgs, version: VersionArgs, remain: RemainArgs, read: ReadArgs, source: SourceArgs, duplicate: DuplicateArgs, write: WriteArgs,
        config: ConfigArgs, display: DisplayArgs,
    }

    /// The options of `evaluate`.
    EvaluateOptions {
        judge: JudgeArgs, verdict: VerdictArgs, version: VersionArgs, write: WriteArgs, read: ReadArgs, shard: ShardArgs, rule: RuleArgs, source: SourceArgs,
        duplicate: DuplicateArgs, run: RunArgs, alone: AloneArgs, config: ConfigArgs, store: StoreArgs, loss: LossArgs, display: DisplayArgs,
    }

    /// The options of `compare`.
    CompareOptions {
        judge: JudgeArgs, verdict: VerdictArgs, version: VersionArgs, sampling: SamplingArgs, read: ReadArgs, shard: ShardArgs, rule: RuleArgs, source: SourceArgs,
        duplicate: DuplicateArgs, run: RunArgs, alone: AloneArgs, config: ConfigArgs, store: StoreArgs, loss: LossArgs, display: DisplayArgs,
    }

    /// The options of `simulate`.
    SimulateOptions {
        config: ConfigArgs, store: StoreArgs, loss: LossArgs, display: DisplayArgs, read: ReadArgs, shard: ShardArgs, rule: RuleArgs, source: SourceArgs,
        duplicate: DuplicateArgs, write: WriteArgs, gate: GateArgs, version: VersionArgs, remain: RemainArgs, sampling: SamplingArgs,
        system: SystemArgs, run: RunArgs, alone: AloneArgs,
    }

    /// The options of `tutor`.
    TutorOptions {
        judge: JudgeArgs, read: ReadArgs, shard: ShardArgs, rule: RuleArgs, source: SourceArgs, duplicate: DuplicateArgs, gate: GateArgs, version: VersionArgs,
        sampling: SamplingArgs, system: SystemArgs, run: RunArgs, alone: AloneArgs, config: ConfigArgs, store: StoreArgs, loss: LossArgs,
        display: DisplayArgs,
    }

    /// The options of `status`.
    StatusOptions { config: ConfigArgs, store: StoreArgs, loss: LossArgs, display: DisplayArgs, }

    /// The options of `merge`.
    MergeOptions { loss: LossArgs, config: ConfigArgs, display: DisplayArgs, }

    /// The options of `ctl`.
    CtlOptions { config: ConfigArgs, store: StoreArgs, }

    /// The options that say where the store of a run is.
    PlaceOptions { config: ConfigArgs, store: StoreArgs, shard: ShardArgs, }
}
