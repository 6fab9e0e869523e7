use std::time::Duration;

use clap::{Args, Subcommand};
use cohobate::job::{JobError, SharedAccess};
use cohobate::report::words::counted;

use super::CliResult;
use super::choices::named;
use super::error::exit_code;
use super::options::StatusOptions;
use super::output::{print, speak_json};
use super::progress::ProgressMode;
use super::shared::amount;
use super::time::duration;

/// How long a worker must not have been seen before its reserve is returned.
const UNSEEN: Duration = Duration::from_secs(10 * 60);

/// Prepare and repair a shared store
#[derive(Args)]
pub struct StoreArgs {
    #[command(subcommand)]
    verb: StoreVerb,

    /// How to show errors: plain or json [default: plain]
    #[arg(long, global = true, value_name = "MODE", value_parser = named::<ProgressMode>)]
    progress: Option<ProgressMode>,
}

#[derive(Subcommand)]
enum StoreVerb {
    /// Create the tables of a shared store, or bring them up to date
    ///
    /// A run does it too; this is for a user of the database who may create tables when the workers may not.
    Init {
        #[command(flatten)]
        at: StatusOptions,
    },

    /// Return what workers have reserved that ended without leaving
    ///
    /// Such a worker may have had calls in flight that were paid for and brought no answer: at most what it had reserved. A
    /// worker settles that itself when it is started again on its machine. Use this for machines that will not come back.
    Reconcile {
        /// Only of workers that were not seen for this long, such as 30m [default: 10m]
        #[arg(long, value_name = "TIME")]
        unseen_for: Option<String>,

        #[command(flatten)]
        at: StatusOptions,
    },
}

pub fn run(args: StoreArgs) -> CliResult {
    if args.progress == Some(ProgressMode::Json) {
        speak_json();
    }
    match args.verb {
        StoreVerb::Init { at } => {
            let access = access(&at, true)?;
            print(format!("{} is ready", access.shown))?;
        }
        StoreVerb::Reconcile { unseen_for, at } => {
            let unseen = unseen_for.as_deref().map(|text| duration("--unseen-for", text)).transpose()?;
            let settled = access(&at, false)?.reconcile(unseen.unwrap_or(UNSEEN))?;
            for worker in &settled {
                let held = amount(&worker.granted.minus(&worker.booked));
                print(format!("worker {} on {}: {held} returned", worker.start.id, worker.start.host))?;
            }
            if settled.is_empty() {
                print("no worker that ended without leaving has anything reserved")?;
            } else {
                print(format!("the reserves of {} are returned", counted(settled.len() as u64, "worker")))?;
            }
        }
    }
    Ok(exit_code::COMPLETE)
}

fn access(at: &StatusOptions, create: bool) -> Result<SharedAccess, JobError> {
    let options = at.resolve()?;
    options.connect(create)?.ok_or_else(|| {
        JobError::usage(
            "only a shared store is prepared and repaired",
            "name it with --store postgres://HOST/DATABASE; a directory needs neither",
        )
    })
}
