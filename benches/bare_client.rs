//! What a client without any of this program's parts reaches: the same requests over the same HTTP library, the
//! answers thrown away. The floor under the figures of `side_by_side.sh`.
//!
//! `cargo bench --bench bare_client -- URL CALLS SLOTS PROMPT_BYTES stream|whole` prints one line of JSON.

#![expect(clippy::print_stdout, clippy::expect_used, reason = "a benchmark prints its figures")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use tokio::task::JoinSet;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let [url, calls, slots, bytes, mode] = &arguments[..] else {
        println!("skipped: needs URL CALLS SLOTS PROMPT_BYTES stream|whole");
        return;
    };
    let number = |text: &String| text.parse::<u64>().expect("a number");
    let (calls, slots, bytes) = (number(calls), number(slots), number(bytes) as usize);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let started = Instant::now();
    let seconds = runtime.block_on(ask(url.clone(), calls, slots, bytes, mode == "stream"));
    let footprint = cohobate::job::footprint().expect("/proc");
    println!(
        "{{\"elapsed_s\":{:.3},\"busy_s\":{seconds:.3},\"cpu_s\":{:.3},\"memory_peak_bytes\":{}}}",
        started.elapsed().as_secs_f64(),
        footprint.cpu.as_secs_f64(),
        footprint.memory_peak_bytes
    );
}

/// Returns the latencies together, in seconds.
async fn ask(url: String, calls: u64, slots: u64, bytes: usize, stream: bool) -> f64 {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().http1_only().tcp_nodelay(true).build().expect("a client");
    let url: reqwest::Url = format!("{url}/chat/completions").parse().expect("an address");
    let prompt: Arc<str> = "harbor lights ".chars().cycle().take(bytes).collect::<String>().into();
    let next = Arc::new(AtomicU64::new(0));
    let mut workers = JoinSet::new();
    for _ in 0..slots {
        let (client, url, prompt, next) = (client.clone(), url.clone(), Arc::clone(&prompt), Arc::clone(&next));
        workers.spawn(async move {
            let mut seconds = 0.0;
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= calls {
                    return seconds;
                }
                let body = format!(
                    r#"{{"model":"m","messages":[{{"role":"user","content":"{number} {prompt}"}}],"stream":{stream}}}"#
                );
                let sent = Instant::now();
                let mut response = client.post(url.clone()).body(body).send().await.expect("a reply");
                while response.chunk().await.expect("a whole reply").is_some() {}
                seconds += sent.elapsed().as_secs_f64();
            }
        });
    }
    let mut total = 0.0;
    while let Some(seconds) = workers.join_next().await {
        total += seconds.expect("no panic");
    }
    total
}
