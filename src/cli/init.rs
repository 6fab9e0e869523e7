use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use clap::Args;
use cohobate::job::JobError;
use cohobate::model::{PROVIDERS, Provider, profile_table};

use super::CliResult;
use super::closest::closest;
use super::config::{CONFIG_FILE, ConfigFile};
use super::environment::COHOBATE_API_KEY;
use super::error::exit_code;
use super::output::print;
use super::progress::DisplayArg;
use super::trust::trust;

/// Write a commented cohobate.toml for a provider
///
/// The file has the provider's address, a model to begin with, and the settings that most people change, each with a remark. A
/// cohobate.toml that exists is left as it is.
#[derive(Args)]
pub struct InitArgs {
    /// The provider; --list shows all
    #[arg(default_value = "vllm")]
    provider: String,

    /// List the providers, with the environment variables of their keys
    #[arg(long)]
    list: bool,

    #[command(flatten)]
    display: DisplayArg,
}

pub fn run(args: &InitArgs) -> CliResult {
    args.display.begin();
    if args.list {
        print(PROVIDERS.iter().map(line).collect::<Vec<_>>().join("\n"))?;
        return Ok(exit_code::COMPLETE);
    }
    let provider = PROVIDERS.iter().find(|provider| provider.name == args.provider);
    let provider = provider.ok_or_else(|| unknown(&args.provider))?;
    write_new(&configuration(provider))?;
    // The user has asked for just these settings. A record that cannot be written is asked for by the first run.
    let _ = ConfigFile::read(Some(Path::new(CONFIG_FILE))).and_then(|file| trust(&file));
    args.display.say(format!("wrote {CONFIG_FILE} for {}", provider.title));
    if let Some(variable) = provider.key_variable() {
        args.display.say(format!("set {variable} to your key"));
    }
    args.display.say(format!(
        "name your model in it, if `{}` is not the one, and see the cost: cohobate plan INPUT",
        provider.model
    ));
    Ok(exit_code::COMPLETE)
}

fn line(provider: &Provider) -> String {
    let variable = provider.key_variable().unwrap_or("no key");
    format!("{:<12} {:<19} {}", provider.name, variable, provider.title)
}

fn unknown(name: &str) -> JobError {
    let hint = match closest(name, PROVIDERS.iter().map(|provider| provider.name)) {
        Some(close) => format!("the closest is `{close}`; `cohobate init --list` shows all"),
        None => "`cohobate init --list` shows all; for any other server write vllm, and change the url".to_owned(),
    };
    JobError::usage(format!("there is no provider `{name}`"), hint)
}

/// Writes the file. One that exists is an error.
fn write_new(text: &str) -> Result<(), JobError> {
    let written = File::create_new(CONFIG_FILE).and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => {
            let hint = "edit it, or move it away and run the same command again";
            JobError::usage(format!("{CONFIG_FILE} exists, and is left as it is"), hint)
        }
        _ => JobError::storage(format!("cannot write {CONFIG_FILE}: {error}"), "check who owns the directory"),
    })
}

fn configuration(provider: &Provider) -> String {
    let Provider { name, title, url, model } = provider;
    let table = profile_table("teacher");
    let key = match provider.key_variable() {
        Some(variable) => format!(
            "# The key is read from the environment variable {variable}. Never write a key into a file.\n\
             #key-env = \"{variable}\"     # another variable; such a file needs `cohobate trust` once"
        ),
        None => format!(
            "# A server of your own seldom wants a key; if it does, set {COHOBATE_API_KEY} in the environment.\n\
             #context-window = 32768    # tokens of prompt and answer that the server was started with"
        ),
    };
    format!(
        "\
# Settings of cohobate, written by `cohobate init {name}`: {title}.
#
# The command line takes precedence over this file. A line that begins with # and a name is a setting that is commented
# out: it shows an example. The table at the end says who answers.
#
#   cohobate plan INPUT                     what it would send and cost
#   cohobate distill INPUT -o OUT.jsonl     the work; run it again to resume

teacher = \"teacher\"          # the [models] table below; --teacher names another one

# What is asked. Changing one of these later asks every question again, and is paid for again.
max-tokens = 4096            # the longest answer, reasoning included
#temperature = 0.7           # default: the server's
#system = \"Be brief.\"        # in place of the rows' own system message; \"@FILE\" reads it from a file
#thinking = \"off\"            # whether a reasoning model reasons: on, off

# What is read and written
#limit = 20                  # only the first rows, to try it out
#to = \"openai\"               # the format of the rows; docs/output-formats.md lists them
#store = \".cohobate\"         # where answers are kept; keep it, it is what you have paid for

# Which answers are good enough
#gate = \"standard\"           # rejects broken answers and asks again; strict also rejects refusals

# Limits; they change no answer
#max-cost = 5.0              # dollars, over all runs of the store; needs a price
#time-limit = \"8h\"           # stop cleanly after this time
#concurrency = 16            # calls in flight; default: found by itself
#rpm = 500                   # requests a minute, if your account has a limit

{table}
url = \"{url}\"
name = \"{model}\"
{key}
#price = {{ input = 0.10, output = 0.40 }}   # dollars for a million tokens; list prices of well-known models are built in
"
    )
}
