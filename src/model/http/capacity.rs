//! Asks a server of a known kind for its capacity, once, after its first reply: `llama-server` names its slots, vLLM the
//! size of its cache. Other servers are asked nothing.

use std::time::Duration;

use reqwest::header::{HeaderMap, SERVER};
use serde_json::Value;
use tokio::time::timeout;

use super::reply::ReplyBody;
use crate::model::pace::Capacity;

/// Time limit of the question; without an answer the capacity stays unknown.
const TIME_MAX: Duration = Duration::from_secs(2);
/// Maximum bytes that are read. vLLM's metrics are some 100 kB.
const BYTES_MAX: usize = 4 << 20;

/// A server that tells its capacity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `llama-server`: `total_slots` of `/props`.
    LlamaServer,
    /// vLLM, perhaps: `vllm:cache_config_info` of `/metrics`.
    Uvicorn,
}

impl Kind {
    /// Recognises a server by a reply's headers.
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        match headers.get(SERVER)?.to_str().ok()? {
            "llama.cpp" => Some(Self::LlamaServer),
            "uvicorn" => Some(Self::Uvicorn),
            _ => None,
        }
    }

    /// Asks the server that replied at `url`.
    pub async fn ask(self, client: &reqwest::Client, url: &reqwest::Url, headers: &HeaderMap) -> Option<Capacity> {
        let mut url = url.clone();
        url.set_query(None);
        url.set_path(match self {
            Self::LlamaServer => "/props",
            Self::Uvicorn => "/metrics",
        });
        let request = client.get(url).headers(headers.clone()).send();
        let body = timeout(TIME_MAX, async {
            ReplyBody::new(request.await.ok()?).read_rest(Vec::new(), BYTES_MAX).await.ok()
        });
        let body = body.await.ok()??;
        match self {
            Self::LlamaServer => slots(&body),
            Self::Uvicorn => cache_tokens(&String::from_utf8_lossy(&body)),
        }
    }
}

fn slots(props: &[u8]) -> Option<Capacity> {
    let slots = serde_json::from_slice::<Value>(props).ok()?.get("total_slots")?.as_u64()?;
    (slots > 0).then_some(Capacity::Slots(slots as usize))
}

/// Adds up the caches of all engines: `vllm:cache_config_info{block_size="16",…,num_gpu_blocks="800",…} 1.0`.
fn cache_tokens(metrics: &str) -> Option<Capacity> {
    let tokens = metrics.lines().filter(|line| line.starts_with("vllm:cache_config_info{")).filter_map(|line| {
        let label = |name: &str| {
            let (_, rest) = line.split_once(&format!("{name}=\""))?;
            rest.split_once('"')?.0.parse::<u64>().ok()
        };
        let blocks = label("num_gpu_blocks_override").or_else(|| label("num_gpu_blocks"))?;
        Some(label("block_size")?.saturating_mul(blocks))
    });
    let tokens = tokens.fold(0u64, u64::saturating_add);
    (tokens > 0).then_some(Capacity::CacheTokens(tokens))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capacities_are_read_as_the_servers_write_them() {
        assert_eq!(slots(br#"{"total_slots": 4, "model_path": "m.gguf"}"#), Some(Capacity::Slots(4)));
        assert_eq!((slots(b"{}"), slots(b"no"), slots(br#"{"total_slots": 0}"#)), (None, None, None));
        let metrics = "# HELP vllm:cache_config_info Information\n\
            vllm:cache_config_info{block_size=\"16\",engine=\"0\",num_gpu_blocks=\"800\",num_gpu_blocks_override=\"None\"} 1.0\n\
            vllm:cache_config_info{block_size=\"16\",engine=\"1\",num_gpu_blocks=\"200\",num_gpu_blocks_override=\"None\"} 1.0\n";
        assert_eq!(cache_tokens(metrics), Some(Capacity::CacheTokens(16_000)));
        assert_eq!(cache_tokens("process_cpu_seconds_total 3"), None);
    }
}
