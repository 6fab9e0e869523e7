use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use clap::Args;
use cohobate::job::JobError;
use cohobate::model::mock::{Fault, FaultBy, Mock, MockSettings, TokenFields};

use tokio::signal::unix::{SignalKind, signal};

use super::CliResult;
use super::error::exit_code;
use super::machine::raise_file_limit;
use super::progress::DisplayArg;
use super::screen::block_on;

/// Serve the simulated model over an OpenAI-compatible API and Anthropic's
///
/// Answers POST /v1/chat/completions, POST /v1/messages and GET /v1/models; GET /stats counts requests and answers given
/// twice. Listens on 127.0.0.1 only.
#[derive(Args)]
pub struct MockArgs {
    /// Listen on this port; 0 takes any that is free and prints it
    #[arg(long, value_name = "N", default_value_t = 8000)]
    port: u16,

    /// Mean time to an answer in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 0)]
    latency: u64,

    /// Draw the times from a lognormal distribution with this sigma, as on real servers; 0.7 is wide [default: uniform, 0.5 to 1.5
    /// times the mean]
    #[arg(long, value_name = "SIGMA", value_parser = sigma)]
    spread: Option<f64>,

    /// Add this many milliseconds for each thousand prompt tokens that are not cached
    #[arg(long, value_name = "MS", default_value_t = 0)]
    prefill: u64,

    /// Have a prefix cache of N tokens; GET /stats gives its hit rate
    #[arg(long, value_name = "TOKENS")]
    cache: Option<u64>,

    /// Make each answer exactly N tokens long
    #[arg(long, value_name = "TOKENS", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    answer: Option<u32>,

    /// Inject a fault into a share of the requests, such as 500:0.1; may be repeated
    #[arg(long, value_name = "KIND:SHARE")]
    fault: Vec<Fault>,

    /// What decides whether a request gets a fault: its number, or its question, so that a question fares the same each time
    #[arg(long, value_name = "WHAT", default_value = "number")]
    fault_by: FaultBy,

    /// Serve only this model; may be repeated [default: any name]
    #[arg(long, value_name = "NAME")]
    model: Vec<String>,

    /// Longest prompt in tokens, by the program's own estimate
    #[arg(long, value_name = "TOKENS", default_value_t = 65_536)]
    context: u64,

    /// Process N requests at a time, and answer 429 to more
    #[arg(long, value_name = "N")]
    slots: Option<u64>,

    /// Give token ids as this server does, to requests that ask for them: vllm, sglang, or none
    #[arg(long, value_name = "SERVER", default_value_t)]
    token_ids: TokenFields,

    #[command(flatten)]
    display: DisplayArg,
}

pub fn run(args: &MockArgs) -> CliResult {
    // As many connections as the system allows.
    let _ = raise_file_limit(None);
    args.display.begin();
    block_on(serve(args.display, SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), args.port), args.settings()))
}

impl MockArgs {
    fn settings(&self) -> MockSettings {
        MockSettings {
            latency: Duration::from_millis(self.latency),
            spread: self.spread,
            prefill: Duration::from_millis(self.prefill),
            cache_tokens: self.cache,
            answer_tokens: self.answer.map(|tokens| tokens as usize),
            faults: self.fault.clone(),
            fault_by: self.fault_by,
            models: self.model.clone(),
            context_tokens: self.context,
            slots: self.slots,
            token_fields: self.token_ids,
        }
    }
}

async fn serve(display: DisplayArg, address: SocketAddr, settings: MockSettings) -> CliResult {
    let taken = |error: std::io::Error| {
        JobError::usage(format!("cannot listen on {address}: {error}"), "choose another --port, or 0 for any")
    };
    let mock = Mock::bind(address, settings).await.map_err(taken)?;
    // From here on: whoever reads the address may interrupt at once.
    let mut interrupted = signal(SignalKind::interrupt())
        .map_err(|error| JobError::unexpected(format!("cannot listen for signals: {error}")))?;
    display.say(format!("listening on http://{}/v1", mock.address().map_err(taken)?));
    tokio::select! {
        () = mock.serve() => {}
        _ = interrupted.recv() => {}
    }
    Ok(exit_code::COMPLETE)
}

fn sigma(text: &str) -> Result<f64, &'static str> {
    let sigma = text.parse().ok().filter(|sigma| (0.0..=3.0).contains(sigma));
    sigma.ok_or("write a number from 0 to 3")
}
