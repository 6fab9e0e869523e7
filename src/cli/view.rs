use std::io::ErrorKind as IoErrorKind;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use cohobate::job::JobError;
use cohobate::view::{Looked, PORT, Server};

use super::CliResult;
use super::address::is_address;
use super::asked::AskedLine;
use super::error::exit_code;
use super::mirror;
use super::output::{print, tell};
use super::screen::{Screen, block_on};

/// Look at a store or an output in a browser, also during a run: search, filters, old beside new answers
#[derive(Args)]
pub struct ViewArgs {
    /// The directory of a store, a file of rows, or the directory of a comparison, or a database [default: that of
    /// --store, or .cohobate]
    #[arg(conflicts_with = "store")]
    place: Option<PathBuf>,

    /// Serve the page on this port of this machine, 0 for any [default: 8421, or any where that is taken]
    #[arg(long, value_name = "N")]
    port: Option<u16>,

    #[command(flatten)]
    asked: AskedLine,
}

pub fn run(args: ViewArgs) -> CliResult {
    let mut options = args.asked.options.resolve()?;
    let is_database = |place: &PathBuf| place.to_str().is_some_and(is_address);
    let place = match args.place.clone() {
        Some(place) if !is_database(&place) => Some(place),
        named => {
            options.store = named.or(options.store);
            None
        }
    };
    let place = match (place, options.connect(false)?) {
        (Some(place), _) => place,
        (None, Some(access)) => {
            let context = Screen::new(&options).context();
            mirror::follow(access, &options.store_path(), &context)?
        }
        (None, None) => options.store_path(),
    };
    // A store has a journal. What has none and is not there is named as a store that is missing.
    let is_output = place.exists() && !place.join("journal").is_dir();
    let looked = if is_output {
        Looked::open_output(&place)?
    } else {
        Looked::open(&place, &args.asked.asked(&options, &place)?)?
    };
    let looked = Arc::new(looked);
    if let Some(missing) = looked.about().missing {
        tell(format!("caution: {missing}; user turns and old answers are not shown"));
        tell("hint: give --input and the other options of the run");
    }
    block_on(serve(args.port, looked))
}

async fn serve(port: Option<u16>, looked: Arc<Looked>) -> CliResult {
    let tell_link = |link: &str| drop(print(format!("open {link}")));
    let wanted = port.unwrap_or(PORT);
    let bound = match Server::bind(wanted, Arc::clone(&looked), tell_link).await {
        Err(error) if error.kind() == IoErrorKind::AddrInUse && port.is_none() => {
            Server::bind(0, looked, tell_link).await
        }
        other => other,
    };
    let fault = |error: std::io::Error| {
        JobError::usage(format!("cannot listen on port {wanted}: {error}"), "choose another --port, or 0 for any")
    };
    let server = bound.map_err(fault)?;
    tell("Each link lets one browser in; Ctrl-C ends the page, and never a run.");
    let stop = async {
        // Without the signal the page is served until it is killed.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    server.serve(stop).await.map_err(|error| JobError::unexpected(format!("the page ended: {error}")))?;
    Ok(exit_code::COMPLETE)
}
