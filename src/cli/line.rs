use clap::{ArgAction, Args, Command};
use cohobate::dataset::Tools;
use cohobate::export::is_directory;
use cohobate::job::JobError;
use cohobate::job::OUTPUT;
use cohobate::job::{DistillQuestions, ExportSettings, PartialSettings};

use super::choices::GateProfile;
use super::names::file_name;
use super::options::{AloneArgs, DistillOptions, Group, Options, RunArgs};

/// The command line of `distill`. `plan`, `export` and `verify` take the same line: what does not concern them is hidden from
/// their help and ignored.
#[derive(Args)]
pub struct DistillLine {
    /// Conversations: files, directories, patterns such as data/*.jsonl, or - for standard input. JSONL, JSON, CSV, TSV, Parquet
    /// and Arrow, also compressed (.gz, .zst, .bz2, .xz)
    #[arg(required = true, value_parser = file_name())]
    pub input: Vec<String>,

    /// Who answers: NAME@URL, NAME@URL1,URL2 for several servers, a profile of cohobate.toml, or simulated
    #[arg(long, value_name = "MODEL")]
    pub teacher: Option<String>,

    /// Write the rows here, - for standard output; .gz and .zst are compressed; DIR/ is a directory of Parquet shards
    /// with a dataset card [default: distilled.jsonl]
    #[arg(short, long, value_name = "OUT", value_parser = file_name())]
    pub output: Option<String>,

    /// Write an incomplete conversation up to its last good turn
    #[arg(long)]
    pub keep_partial: bool,

    /// Write the summary here, as JSON; as a page of what the gate found where the name ends in .html
    #[arg(long, value_name = "FILE", value_parser = file_name())]
    pub report: Option<String>,

    /// Send questions again that failed permanently in an earlier run
    #[arg(long)]
    pub retry_failed: bool,

    #[command(flatten)]
    pub options: DistillOptions,
}

impl DistillLine {
    /// True where the line says neither who answers nor what is asked.
    pub fn is_bare(&self) -> bool {
        self.teacher.is_none() && !self.options.has_settings()
    }

    /// Returns where the rows go, once that is settled.
    pub fn output(&self) -> &str {
        self.output.as_deref().unwrap_or(OUTPUT)
    }

    /// Puts the names of files in place of those that the line gives: those of a shard are its own.
    pub fn settle_names(&mut self, options: &Options) -> Result<(), JobError> {
        for (option, name) in [("output", &mut self.output), ("report", &mut self.report)] {
            *name = name.as_deref().map(|name| options.placed(option, name)).transpose()?;
        }
        Ok(())
    }

    /// Settles the names of files, that of the output included where the line has none.
    pub fn settle_output(&mut self, options: &Options) -> Result<(), JobError> {
        self.settle_names(options)?;
        self.output.get_or_insert_with(|| options.default_output(OUTPUT));
        Ok(())
    }

    /// Returns what is distilled, and where the rows go.
    pub fn export_settings(&self, options: &Options) -> Result<ExportSettings, JobError> {
        self.export_settings_of(options, options.questions(self.teacher.as_deref())?)
    }

    /// Returns the same for a command that sends nothing.
    pub fn export_settings_offline(&self, options: &Options) -> Result<ExportSettings, JobError> {
        self.export_settings_of(options, options.questions_offline(self.teacher.as_deref())?)
    }

    fn export_settings_of(&self, options: &Options, questions: DistillQuestions) -> Result<ExportSettings, JobError> {
        Ok(ExportSettings {
            output: options.output(self.output())?,
            questions,
            input: options.asked_input(&self.input)?,
            store: options.store_path(),
            partial: self.partial(options),
            on_loss: options.on_loss(),
        })
    }

    /// Refuses options of this line that would have no effect on a distillation.
    pub fn refuse_without_effect(&self, options: &Options) -> Result<(), JobError> {
        let set = &self.options;
        let ranks = options.samples.unwrap_or(1) > 1 || options.min_score.is_some();
        let has_calls = options.tools == Some(Tools::Regenerate);
        let is_cut = options.gate.is_some_and(|gate| gate != GateProfile::Off)
            || options.orphans.is_some()
            || has_calls
            || options.min_score.is_some();
        for (option, is_given, needs, is_there) in [
            ("--judge", set.judge.judge.is_some(), "--samples or --min-score", ranks),
            ("--prompt", set.judge.prompt.is_some(), "--judge and --samples", ranks && options.judge.is_some()),
            ("--orphans-judge", set.question.orphans_judge.is_some(), "--orphans", options.orphans.is_some()),
            ("--tool-match", set.tool.tool_match.is_some(), "--tools regenerate", has_calls),
            ("--tool-results", set.tool.tool_results.is_some(), "--tools regenerate", has_calls),
            (
                "--min-turns",
                set.remain.min_turns.is_some(),
                "--gate, --orphans, --min-score or --tools regenerate",
                is_cut,
            ),
            ("--license", set.write.license.is_some(), "-o DIR/", is_directory(self.output())),
        ] {
            if is_given && !is_there {
                let message = format!("{option} has no effect without {needs}");
                return Err(JobError::usage(message, format!("add {needs}, or leave out {option}")));
            }
        }
        Ok(())
    }

    /// Returns which conversations are written that are not complete.
    pub fn partial(&self, options: &Options) -> PartialSettings {
        PartialSettings { keep: self.keep_partial, min_turns: options.turns_min() }
    }
}

/// Options of the line, beside those of [`RunArgs`] and [`AloneArgs`], that decide how a run goes.
const RUN: &str = "retry_failed report";
/// Options of the line that decide what is written.
const WRITTEN: &str = "output keep_partial to license min_turns";

/// Hides from the help of `plan`, `export`, `show`, `view` and `verify` the options of the line that do not concern them.
pub fn hide_without_effect(command: Command) -> Command {
    let is_of_run = |name: &str| RunArgs::default().has(name) || AloneArgs::default().has(name) || is_among(RUN, name);
    #[cfg(feature = "view")]
    let command =
        command.mut_subcommand("view", move |view| hide(view, move |name| is_of_run(name) || is_among(WRITTEN, name)));
    command
        .mut_subcommand("plan", move |plan| {
            let is_kept = |name: &str| is_among("max_cost lane output to", name);
            hide(plan, move |name| (is_of_run(name) || is_among(WRITTEN, name)) && !is_kept(name))
        })
        .mut_subcommand("export", move |export| {
            let export = export.mut_arg("input", |input| input.required(false));
            hide(export, is_of_run)
        })
        .mut_subcommand("show", move |show| hide(show, move |name| is_of_run(name) || is_among(WRITTEN, name)))
        .mut_subcommand("verify", move |verify| {
            let verify = verify.mut_arg("input", |input| input.required(false));
            let verify = verify.mut_arg("output", |output| {
                output.help("The output to compare with input and store").action(ArgAction::Set)
            });
            hide(verify, move |name| is_of_run(name) || name == "license")
        })
}

fn hide(command: Command, is_hidden: impl Fn(&str) -> bool) -> Command {
    command.mut_args(|arg| if is_hidden(arg.get_id().as_str()) { arg.hide(true) } else { arg })
}

fn is_among(names: &str, name: &str) -> bool {
    names.split(' ').any(|other| other == name)
}
