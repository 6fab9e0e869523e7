//! From options to the settings of jobs.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use cohobate::conversation::{RequestOptions, Sampling, TokenDetail, TopLogprobs};
use cohobate::dataset::{
    self, ChosenFormat, Edition, FORMATS, Fill, ON_REQUEST, ParseEncodingError, ParseMappingError, RowReader, Rules,
    SystemColumn, TextEncoding, Tools,
};
use cohobate::export::{self, OutputFormat};
use cohobate::hub::Hub;
use cohobate::job::{BestOfSettings, CallSettings, DistillQuestions, ModelChoice, OrphanSettings, RankerSettings};
use cohobate::job::{Context, JobError, accept_losses};
use cohobate::job::{InputSettings, JudgeSettings, OutputSettings, ReadSettings, RowsFrom, RunSettings, STORE};
use cohobate::job::{Keys, ModelSettings};
use cohobate::model::{ModelProfile, PaceLimits, ToolCommand};
use cohobate::quality::{self, Gate, RulesVersion};
use cohobate::recipe::{JudgedScope, Orphans};
use cohobate::store::OnLoss;
use cohobate::worker::Deadline;

use super::choices::{GateProfile, OrphanRule, Per};
use super::environment;
use super::machine::raise_file_limit;
use super::options::Options;
use super::time::{duration, until_next};

impl Options {
    /// Returns the directory of the store; of a shared one, where this host's workers keep what is theirs.
    pub fn store_path(&self) -> PathBuf {
        self.outbox().or_else(|| self.store.clone()).unwrap_or_else(|| PathBuf::from(STORE))
    }

    /// Accepts what the store has lost, where the command line says so.
    pub fn accept_losses(&self, context: &Context) -> Result<(), JobError> {
        if self.accept_loss == Some(true) && self.database().is_none() {
            accept_losses(&self.store_path(), context)
        } else {
            Ok(())
        }
    }

    /// Returns what a command does that only reads a store which has lost answers. It accepts nothing.
    pub fn on_loss(&self) -> OnLoss {
        if self.accept_loss == Some(true) { OnLoss::Report } else { OnLoss::Refuse }
    }

    /// Returns which rows are read, and how; all of them, whatever shard is asked about.
    pub fn input(&self, names: &[String]) -> Result<InputSettings, JobError> {
        let sources = names.iter().cloned().map(RowsFrom::Named).collect();
        let read = ReadSettings {
            reader: RowReader {
                format: self.input_format()?,
                rules: self.reading_rules()?,
                // Messages that are cut or rewritten depend on the answer that was replaced.
                counts_replaced: self.orphans.is_some(),
                edition: Edition::Current,
            },
            split: self.split.clone(),
            encoding: self.text_encoding()?,
            threads: self.threads.unwrap_or_default(),
            limit: self.limit,
            duplicates: self.duplicates.unwrap_or_default(),
            shard: None,
            hub: Arc::new(Hub::new(environment::hub())),
        };
        Ok(InputSettings { sources, read })
    }

    fn input_format(&self) -> Result<Option<ChosenFormat>, JobError> {
        Ok(match (&self.format, &self.map) {
            (_, Some(names)) => Some(ChosenFormat::Mapped(names.parse().map_err(|error: ParseMappingError| {
                JobError::usage(
                    format!("{} is `{names}`, which is not a mapping", self.place_of("map")),
                    error.to_string(),
                )
            })?)),
            (Some(name), None) => Some(ChosenFormat::Named(dataset::input_format_named(name).ok_or_else(|| {
                let known: Vec<&str> = FORMATS.iter().chain(ON_REQUEST).map(|format| format.name()).collect();
                let message = format!("{}: there is no format `{name}`", self.place_of("format"));
                JobError::usage(message, format!("write one of {}", known.join(", ")))
            })?)),
            (None, None) => None,
        })
    }

    fn text_encoding(&self) -> Result<Option<TextEncoding>, JobError> {
        let fault = |error: ParseEncodingError| {
            let hint =
                "write a label of the WHATWG Encoding Standard, such as windows-1252, gb18030, shift-jis or utf-16le";
            JobError::usage(format!("{}: {error}", self.place_of("encoding")), hint)
        };
        self.encoding.as_deref().map(|label| label.parse().map_err(fault)).transpose()
    }

    fn reading_rules(&self) -> Result<Rules, JobError> {
        let fill = self.fill.as_deref().map(|text| {
            let fault = |hint: &'static str| {
                JobError::usage(format!("{} is `{text}`, which names no words", self.place_of("fill")), hint)
            };
            text.parse::<Fill>().map_err(fault)
        });
        Ok(Rules {
            greeting: self.greeting.unwrap_or_default(),
            double_user: self.double_user.unwrap_or_default(),
            middle_system: self.middle_system.unwrap_or_default(),
            empty_user: self.empty_user.unwrap_or_default(),
            tools: self.tools.unwrap_or_default(),
            drops_results: self.tools == Some(Tools::Regenerate) && self.tool_results.is_some(),
            media: self.media.unwrap_or_default(),
            placeholders: self.placeholders.unwrap_or_default(),
            fill: fill.transpose()?.unwrap_or_default(),
            system_column: if self.no_system_column == Some(true) { SystemColumn::Leave } else { SystemColumn::Use },
        })
    }

    /// Returns where rows go, and in which format.
    pub fn output(&self, path: &str) -> Result<OutputSettings, JobError> {
        Ok(OutputSettings { path: path.to_owned(), format: self.output_format()?, license: self.license.clone() })
    }

    /// Returns the format of the output.
    pub fn output_format(&self) -> Result<&'static dyn OutputFormat, JobError> {
        let name = self.to.as_deref().unwrap_or(export::FORMATS[0].name());
        export::output_format_named(name).ok_or_else(|| {
            let known: Vec<&str> = export::FORMATS.iter().map(|format| format.name()).collect();
            let message = format!("{}: there is no output format `{name}`", self.place_of("to"));
            JobError::usage(message, format!("write one of {}", known.join(", ")))
        })
    }

    /// Returns how fast and how long calls are sent, and what may be spent.
    pub fn run(&self, retry_failed: bool) -> Result<RunSettings, JobError> {
        let concurrency = self.concurrency.and_then(|concurrency| concurrency.0);
        let give_up_after = self.give_up_after.as_deref();
        let give_up_after = give_up_after.map(|text| duration(&self.place_of("give-up-after"), text));
        Ok(RunSettings {
            pace: PaceLimits {
                concurrency,
                requests_per_minute: self.rpm,
                tokens_per_minute: self.tpm,
                calls_max: Some(raise_file_limit(concurrency)?),
            },
            max_cost: self.max_cost,
            max_requests: self.max_requests,
            max_output_tokens: self.max_output_tokens,
            deadline: self.deadline()?,
            give_up_after: give_up_after.transpose()?,
            retry_failed,
        })
    }

    /// Returns the earlier of `--time-limit` and `--until`.
    pub fn deadline(&self) -> Result<Option<Deadline>, JobError> {
        let limit = self.time_limit.as_deref().map(|text| duration(&self.place_of("time-limit"), text)).transpose()?;
        let until = self.until.as_deref().map(|text| until_next(&self.place_of("until"), text)).transpose()?;
        let named = |after: Option<Duration>, name: &str| after.map(|after| Deadline { after, name: name.to_owned() });
        let both = [named(limit, "--time-limit"), named(until, "--until")];
        Ok(both.into_iter().flatten().min_by_key(|deadline| deadline.after))
    }

    /// Returns how models are found. The keys come from the environment.
    pub fn model_settings(&self) -> ModelSettings {
        ModelSettings {
            profiles: self.models.clone(),
            keys: environment::keys(self.models.values().flat_map(ModelProfile::variables)),
            configuration: self.config.clone(),
            proxies: environment::proxies(),
            sampling: self.sampling(),
            request: self.request(),
            stream: self.stream,
            lane: self.lane.unwrap_or_default(),
        }
    }

    /// Returns how models are found where nothing is sent to them: no key is looked for.
    pub fn model_settings_offline(&self) -> ModelSettings {
        let mut settings = self.model_settings();
        for profile in settings.profiles.values_mut() {
            (profile.key_env, profile.key_command) = (None, None);
            profile.headers.clear();
        }
        ModelSettings { keys: Keys::default(), ..settings }
    }

    /// Returns what is asked of models besides their sampling.
    pub fn request(&self) -> RequestOptions {
        RequestOptions {
            body: self.body.clone().unwrap_or_default(),
            thinking: self.thinking,
            effort: self.effort.clone(),
            choices: self.body_choice.clone().unwrap_or_default(),
            temperatures: self.temperature_choice.clone().unwrap_or_default(),
            side_fields: Vec::new(),
        }
    }

    /// Returns the sampling parameters.
    pub fn sampling(&self) -> Sampling {
        Sampling { temperature: self.temperature, top_p: self.top_p, max_tokens: self.max_tokens, seed: self.seed }
    }

    /// Returns what a distillation asked, for a command that sends nothing.
    pub fn questions_offline(&self, teacher: Option<&str>) -> Result<DistillQuestions, JobError> {
        self.questions_of(teacher, self.model_settings_offline())
    }

    /// Returns what a distillation asks.
    pub fn questions(&self, teacher: Option<&str>) -> Result<DistillQuestions, JobError> {
        self.questions_of(teacher, self.model_settings())
    }

    fn questions_of(&self, teacher: Option<&str>, models: ModelSettings) -> Result<DistillQuestions, JobError> {
        let (gate, best_of) = (self.gate_or(GateProfile::Off)?, self.best_of(&models)?);
        let is_judged = best_of.as_ref().is_some_and(|best_of| matches!(best_of.ranker, RankerSettings::Judge(_)));
        let orphans = self.orphans(&models)?;
        let calls = self.calls(best_of.is_some())?;
        self.refuse_idle_version(gate.is_some() || is_judged || orphans.is_some())?;
        Ok(DistillQuestions {
            teacher: models.find_teacher(teacher.or(self.teacher.as_deref()))?,
            system: self.system.clone(),
            gate,
            orphans,
            history_reasoning: self.history_reasoning.unwrap_or(false),
            best_of,
            calls,
            tokens: self.tokens()?,
        })
    }

    /// Returns how calls to tools are answered, where they are regenerated.
    fn calls(&self, has_samples: bool) -> Result<Option<CallSettings>, JobError> {
        if self.tools != Some(Tools::Regenerate) {
            return Ok(None);
        }
        if has_samples {
            let hint = "leave out --samples, or write --tools replay";
            return Err(JobError::usage(
                "--tools regenerate takes one answer to each turn: no judge ranks calls",
                hint,
            ));
        }
        let command = self.tool_results.as_ref().map(|command| ToolCommand::new(command.words().to_vec()));
        let answered_by = command.map(ModelChoice::tool_command);
        Ok(Some(CallSettings { matching: self.tool_match.unwrap_or_default(), answered_by }))
    }

    /// Returns what is asked for beside each answer's text.
    fn tokens(&self) -> Result<Option<TokenDetail>, JobError> {
        match self.logprobs {
            Some(count) if !(1..=TopLogprobs::COUNT_MAX).contains(&count) => {
                let hint = format!("give it a number from 1 to {}", TopLogprobs::COUNT_MAX);
                Err(JobError::usage(format!("{} is {count}", self.place_of("logprobs")), hint))
            }
            Some(count) => Ok(Some(TokenDetail::Logprobs(count))),
            None => Ok(self.token_ids.unwrap_or(false).then_some(TokenDetail::Ids)),
        }
    }

    fn orphans(&self, models: &ModelSettings) -> Result<Option<OrphanSettings>, JobError> {
        // The configuration may name a judge for runs that look for orphans.
        let Some(rule) = self.orphans else { return Ok(None) };
        let action = match rule {
            OrphanRule::Keep => Orphans::Keep,
            OrphanRule::Truncate => Orphans::Truncate,
            OrphanRule::Rewrite => Orphans::Rewrite,
        };
        let judge = self.orphans_judge.as_deref().map(|name| models.find_judge(name)).transpose()?;
        Ok(Some(OrphanSettings { action, version: self.version(), judge }))
    }

    fn best_of(&self, models: &ModelSettings) -> Result<Option<BestOfSettings>, JobError> {
        let samples = self.samples.unwrap_or(1);
        if !(1..=BestOfSettings::SAMPLES_MAX).contains(&samples) {
            let hint = format!("give it a number from 1 to {}", BestOfSettings::SAMPLES_MAX);
            return Err(JobError::usage(format!("{} is {samples}", self.place_of("samples")), hint));
        }
        let min_score = self.min_score;
        let ranker = match (samples, &self.scorer, &self.judge) {
            (1, Some(_), _) if min_score.is_none() => {
                let hint = "add --samples 4, or --min-score SCORE";
                return Err(JobError::usage("--scorer has nothing to choose from", hint));
            }
            // The configuration may name a judge for other commands.
            (1, None, _) if min_score.is_none() => return Ok(None),
            (_, Some(scorer), _) => RankerSettings::Scorer(models.find_scorer(scorer)?),
            (_, None, Some(_)) => RankerSettings::Judge(self.judge(models)?),
            (1, None, None) => {
                return Err(JobError::usage(
                    "--min-score compares scores, and nothing gives any",
                    "add --judge MODEL, or --scorer NAME@URL",
                ));
            }
            (_, None, None) => {
                return Err(JobError::usage(
                    "--samples asks for several answers, and nothing says which is best",
                    "add --judge MODEL, or --scorer NAME@URL",
                ));
            }
        };
        Ok(Some(BestOfSettings { samples, ranker, min_score }))
    }

    /// Returns who judges, and how.
    pub fn judge(&self, models: &ModelSettings) -> Result<JudgeSettings, JobError> {
        let hint = "add --judge NAME@URL, or --judge simulated to try it out";
        let name = self.judge.as_deref().ok_or_else(|| JobError::usage("no judge is named", hint))?;
        let model = models.find_judge(name)?;
        let repeats = self.repeats.unwrap_or(1);
        Ok(JudgeSettings { model, prompt: self.prompt.clone(), version: self.version(), repeats })
    }

    /// Returns whether turns or whole conversations are judged.
    pub fn scope(&self) -> JudgedScope {
        match self.per.unwrap_or_default() {
            Per::Turn => JudgedScope::Turns,
            Per::Dialogue => JudgedScope::Whole,
            Per::Both => JudgedScope::Both,
        }
    }

    /// Returns the gate, `unnamed` where none is named.
    pub fn gate_or(&self, unnamed: GateProfile) -> Result<Option<Gate>, JobError> {
        let changes = self.rules.as_deref().unwrap_or_default();
        let profile = match self.gate.unwrap_or(unnamed) {
            GateProfile::Off if !changes.is_empty() => {
                return Err(JobError::usage("--rules needs --gate", "add --gate standard"));
            }
            GateProfile::Off => return Ok(None),
            GateProfile::Standard => quality::Strictness::Standard,
            GateProfile::Strict => quality::Strictness::Strict,
        };
        let gate = match self.version() {
            Some(version) => Gate::of_version(version, profile, changes),
            None => Gate::new(profile, changes),
        };
        gate.map(Some)
            .map_err(|error| JobError::usage(format!("{} is `{changes}`", self.place_of("rules")), error.to_string()))
    }

    /// Returns the version of rules and prompts that is used for every conversation.
    pub fn version(&self) -> Option<RulesVersion> {
        self.rules_version.and_then(RulesVersion::of_number)
    }

    /// Fails where a version is named and nothing has versions.
    pub fn refuse_idle_version(&self, has_versions: bool) -> Result<(), JobError> {
        match self.version() {
            Some(_) if !has_versions => Err(JobError::usage(
                format!("{} needs --gate or --orphans", self.place_of("rules-version")),
                "add --gate standard",
            )),
            _ => Ok(()),
        }
    }

    /// Returns the fewest turns of a conversation that was cut.
    pub fn turns_min(&self) -> u32 {
        self.min_turns.unwrap_or(1).max(1)
    }
}
