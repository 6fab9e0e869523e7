use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use clap::Args;

use super::error::exit_code;
use super::limits::raise_file_limit;
use super::{CliError, CliResult};
use crate::model::mock::{Fault, FaultBy, Mock, MockSettings};
use crate::report::words;

/// Serve the simulated model over an OpenAI-compatible API
///
/// Answers POST /v1/chat/completions and GET /v1/models; GET /stats counts requests and answers given twice. Listens
/// on 127.0.0.1 only.
#[derive(Args)]
pub struct MockArgs {
    /// Listen on this port; 0 takes any that is free and prints it
    #[arg(long, value_name = "N", default_value_t = 8000)]
    port: u16,

    /// Mean time to an answer in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 0)]
    latency: u64,

    /// Spread the times lognormally with this sigma, as real servers' are; 0.7 is much [default: even, half to one
    /// and a half of the mean]
    #[arg(long, value_name = "SIGMA", value_parser = sigma)]
    spread: Option<f64>,

    /// Take so many milliseconds more for each thousand tokens of prompt that are not cached
    #[arg(long, value_name = "MS", default_value_t = 0)]
    prefill: u64,

    /// Have a prefix cache of so many tokens; GET /stats tells its hit rate
    #[arg(long, value_name = "TOKENS")]
    cache: Option<u64>,

    /// Make each answer exactly so long
    #[arg(long, value_name = "TOKENS", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    answer: Option<u32>,

    /// Let something go wrong in a share of the requests, such as 500:0.1; may be repeated
    #[arg(long, value_name = "KIND:SHARE")]
    fault: Vec<Fault>,

    /// What decides whether a request meets a fault: its number, or the question, so that it fares the same each time
    #[arg(long, value_name = "WHAT", default_value = "number")]
    fault_by: FaultBy,

    /// Know only this model; may be repeated [default: any name]
    #[arg(long, value_name = "NAME")]
    model: Vec<String>,

    /// Longest prompt in tokens, by the program's own estimate
    #[arg(long, value_name = "TOKENS", default_value_t = 65_536)]
    context: u64,

    /// Work on so many requests at a time and answer 429 to more
    #[arg(long, value_name = "N")]
    slots: Option<u64>,
}

pub fn run(args: &MockArgs) -> CliResult {
    let settings = MockSettings {
        latency: Duration::from_millis(args.latency),
        spread: args.spread,
        prefill: Duration::from_millis(args.prefill),
        cache_tokens: args.cache,
        answer_tokens: args.answer.map(|tokens| tokens as usize),
        faults: args.fault.clone(),
        fault_by: args.fault_by,
        models: args.model.clone(),
        context_tokens: args.context,
        slots: args.slots,
    };
    // As many connections as the system allows.
    let _ = raise_file_limit(None);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| CliError::failure(format!("cannot start: {error}")))?;
    runtime.block_on(async {
        let address = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), args.port);
        let taken = |error: std::io::Error| {
            CliError::usage(format!("cannot listen on {address}: {error}"), "choose another --port, or 0 for any")
        };
        let mock = Mock::bind(address, settings).await.map_err(taken)?;
        let address = mock.address().map_err(taken)?;
        words::tell(format!("listening on http://{address}/v1"));
        tokio::select! {
            () = mock.serve() => {}
            _ = tokio::signal::ctrl_c() => {}
        }
        Ok(exit_code::COMPLETE)
    })
}

fn sigma(text: &str) -> Result<f64, &'static str> {
    let sigma = text.parse().ok().filter(|sigma| (0.0..=3.0).contains(sigma));
    sigma.ok_or("write a number from 0 to 3")
}
