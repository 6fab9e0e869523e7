//! What the best-known models cost at their providers' own hosts, so that a plan and a cap need no typing.
//!
//! A model that is not listed here has an unknown price, never a price of zero. The configuration takes precedence.

use super::host::Origin;
use super::lane::flex_tier;
use crate::conversation::Price;

/// When these prices were compared with the providers' pages.
pub const LIST_PRICES_AS_OF: &str = "November 2026";

/// The prices of one provider.
struct PriceList {
    /// The provider's own host. The prices of other hosts differ.
    host: &'static str,
    /// Where the provider publishes its prices.
    source: &'static str,
    models: &'static [Listed],
}

/// The price of one model in dollars per million tokens: input, cached input, input that is written to the cache, output.
/// Where a price depends on the time of day or on a promotion, it is the highest of them.
struct Listed(&'static str, [f64; 4], Long);

/// Prompt tokens from which a model costs more than its listed price.
type Long = Option<u32>;

const FLAT: Long = None;
const OVER_200K: Long = Some(200_000);
const OVER_272K: Long = Some(272_000);

/// A price without an extra charge for writing to the cache.
const fn plain(input: f64, cached: f64, output: f64) -> [f64; 4] {
    [input, cached, input, output]
}

const LISTS: &[PriceList] = &[
    PriceList {
        host: "api.openai.com",
        source: "https://developers.openai.com/api/docs/pricing",
        models: &[
            Listed("gpt-6.1-sol", [2.0, 0.1, 2.5, 10.0], OVER_272K),
            Listed("gpt-6.1-terra", [1.0, 0.05, 1.25, 5.0], OVER_272K),
            Listed("gpt-6-astra", [10.0, 1.0, 12.5, 50.0], OVER_272K),
            Listed("gpt-6-sol", [2.0, 0.2, 2.5, 10.0], OVER_272K),
            Listed("gpt-6-luna", [0.1, 0.01, 0.125, 0.5], OVER_272K),
            Listed("gpt-5.6-sol", [4.0, 0.4, 5.0, 20.0], OVER_272K),
            Listed("gpt-5.6-terra", [2.0, 0.2, 2.5, 12.0], OVER_272K),
            Listed("gpt-5.6-luna", [0.2, 0.02, 0.25, 1.2], OVER_272K),
            Listed("gpt-5.5", plain(5.0, 0.5, 30.0), OVER_272K),
            Listed("gpt-5.4", plain(2.5, 0.25, 15.0), OVER_272K),
            Listed("gpt-5.4-mini", plain(0.75, 0.075, 4.5), FLAT),
            Listed("gpt-5.4-nano", plain(0.2, 0.02, 1.25), FLAT),
            Listed("gpt-5.2", plain(1.75, 0.175, 14.0), FLAT),
            Listed("gpt-5.1", plain(1.25, 0.125, 10.0), FLAT),
            Listed("gpt-5", plain(1.25, 0.125, 10.0), FLAT),
            Listed("gpt-5-mini", plain(0.25, 0.025, 2.0), FLAT),
            Listed("gpt-5-nano", plain(0.05, 0.005, 0.4), FLAT),
            Listed("gpt-4.1", plain(2.0, 0.5, 8.0), FLAT),
            Listed("gpt-4.1-mini", plain(0.4, 0.1, 1.6), FLAT),
            Listed("gpt-4.1-nano", plain(0.1, 0.025, 0.4), FLAT),
            Listed("gpt-4o", plain(2.5, 1.25, 10.0), FLAT),
            Listed("gpt-4o-2024-05-13", plain(5.0, 5.0, 15.0), FLAT),
            Listed("gpt-4o-mini", plain(0.15, 0.075, 0.6), FLAT),
            Listed("o4-mini", plain(1.1, 0.275, 4.4), FLAT),
            Listed("o3", plain(2.0, 0.5, 8.0), FLAT),
            Listed("o3-mini", plain(1.1, 0.55, 4.4), FLAT),
        ],
    },
    PriceList {
        host: "api.anthropic.com",
        source: "https://platform.claude.com/docs/en/about-claude/pricing",
        models: &[
            Listed("claude-fable-5-1", [10.0, 0.25, 12.5, 50.0], FLAT),
            Listed("claude-fable-5", [10.0, 1.0, 12.5, 50.0], FLAT),
            Listed("claude-opus-5-5", [4.0, 0.2, 5.0, 20.0], FLAT),
            Listed("claude-opus-5", [5.0, 0.5, 6.25, 25.0], FLAT),
            Listed("claude-opus-4-8", [5.0, 0.5, 6.25, 25.0], FLAT),
            Listed("claude-opus-4-7", [5.0, 0.5, 6.25, 25.0], FLAT),
            Listed("claude-opus-4-6", [5.0, 0.5, 6.25, 25.0], FLAT),
            Listed("claude-opus-4-5", [5.0, 0.5, 6.25, 25.0], FLAT),
            Listed("claude-sonnet-5-5", [2.0, 0.1, 2.5, 10.0], FLAT),
            Listed("claude-sonnet-5", [2.0, 0.2, 2.5, 10.0], FLAT),
            Listed("claude-sonnet-4-6", [3.0, 0.3, 3.75, 15.0], FLAT),
            Listed("claude-sonnet-4-5", [3.0, 0.3, 3.75, 15.0], FLAT),
            Listed("claude-haiku-5-5", [0.1, 0.01, 0.125, 0.5], FLAT),
            Listed("claude-haiku-4-5", [1.0, 0.1, 1.25, 5.0], FLAT),
        ],
    },
    PriceList {
        host: "api.deepseek.com",
        source: "https://api-docs.deepseek.com/quick_start/pricing",
        // At peak hours; half of it at others.
        models: &[
            Listed("deepseek-flash", plain(0.3, 0.006, 1.2), FLAT),
            Listed("deepseek-v4-flash", plain(0.3, 0.006, 1.2), FLAT),
            Listed("deepseek-v4-pro", plain(1.32, 0.044, 3.96), FLAT),
        ],
    },
    PriceList {
        host: "generativelanguage.googleapis.com",
        source: "https://ai.google.dev/gemini-api/docs/pricing",
        models: &[
            Listed("gemini-4-argon", plain(2.0, 0.1, 10.0), FLAT),
            Listed("gemini-4-hydrogen", plain(1.5, 0.075, 7.5), FLAT),
            // Half of it until the end of 2026.
            Listed("gemini-3.8-flash", plain(1.5, 0.15, 7.5), FLAT),
            Listed("gemini-3.7-flash", plain(1.5, 0.15, 7.5), FLAT),
            Listed("gemini-3.6-flash", plain(1.5, 0.15, 7.5), FLAT),
            Listed("gemini-3.5-flash", plain(1.5, 0.15, 9.0), FLAT),
            Listed("gemini-3.5-flash-lite", plain(0.3, 0.03, 2.5), FLAT),
            Listed("gemini-3.1-pro-preview", plain(2.0, 0.2, 12.0), OVER_200K),
            Listed("gemini-3.1-flash-lite", plain(0.25, 0.025, 1.5), FLAT),
            Listed("gemini-2.5-pro", plain(1.25, 0.125, 10.0), OVER_200K),
            Listed("gemini-2.5-flash", plain(0.3, 0.03, 2.5), FLAT),
            Listed("gemini-2.5-flash-lite", plain(0.1, 0.01, 0.4), FLAT),
        ],
    },
    PriceList {
        host: "api.mistral.ai",
        source: "https://mistral.ai/pricing",
        models: &[
            Listed("mistral-large-4", plain(0.7, 0.07, 2.1), FLAT),
            Listed("mistral-large-4-0", plain(0.7, 0.07, 2.1), FLAT),
            Listed("mistral-large-2512", plain(0.5, 0.05, 1.5), FLAT),
            Listed("mistral-medium-2604", plain(1.5, 0.15, 7.5), FLAT),
            Listed("mistral-small-2603", plain(0.15, 0.015, 0.6), FLAT),
            Listed("ministral-8b-2512", plain(0.15, 0.015, 0.15), FLAT),
        ],
    },
    PriceList {
        host: "api.x.ai",
        source: "https://docs.x.ai/docs/models",
        models: &[
            Listed("grok-4.7", plain(2.0, 0.5, 6.0), OVER_200K),
            Listed("grok-4.6", plain(2.0, 0.5, 6.0), OVER_200K),
            Listed("grok-4.5", plain(2.0, 0.3, 6.0), OVER_200K),
            Listed("grok-4.3", plain(1.25, 0.2, 2.5), OVER_200K),
        ],
    },
    PriceList {
        host: "api.groq.com",
        source: "https://groq.com/pricing",
        models: &[
            Listed("openai/gpt-oss-120b", plain(0.15, 0.075, 0.6), FLAT),
            Listed("openai/gpt-oss-20b", plain(0.075, 0.0375, 0.3), FLAT),
        ],
    },
    PriceList {
        host: "api.moonshot.ai",
        source: "https://platform.kimi.ai/docs/pricing",
        models: &[
            Listed("kimi-k3", plain(3.0, 0.3, 15.0), FLAT),
            Listed("kimi-k2.6", plain(0.95, 0.16, 4.0), FLAT),
            Listed("kimi-k2.5", plain(0.6, 0.1, 3.0), FLAT),
        ],
    },
    PriceList {
        host: "api.z.ai",
        source: "https://docs.z.ai/guides/overview/pricing",
        models: &[
            Listed("glm-5.3", plain(1.4, 0.26, 4.4), FLAT),
            Listed("glm-5.3-flash", plain(0.15, 0.03, 0.5), FLAT),
            Listed("glm-5.2", plain(1.4, 0.26, 4.4), FLAT),
            Listed("glm-4.7", plain(0.6, 0.11, 2.2), FLAT),
            Listed("glm-4.6", plain(0.6, 0.11, 2.2), FLAT),
        ],
    },
];

/// The list price of a model at its provider's own host.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ListPrice {
    /// The price.
    pub price: Price,
    /// Where the provider publishes it.
    pub source: &'static str,
    /// Prompt tokens from which a call costs more.
    pub more_over: Option<u32>,
}

/// Returns the list price of a model that all these URLs serve; `None` unless each is the host of one provider that lists
/// it.
pub fn list_price(model: &str, urls: &[String]) -> Option<ListPrice> {
    let first = Origin::of(urls.first()?)?;
    let list = LISTS.iter().find(|list| first.has_host(list.host))?;
    if !urls.iter().all(|url| Origin::of(url).is_some_and(|server| server.has_host(list.host))) {
        return None;
    }
    let model = model.strip_prefix("models/").unwrap_or(model);
    let find = |name: &str| list.models.iter().find(|Listed(listed, ..)| *listed == name);
    let Listed(_, [input, cached, written, output], more_over) = find(model).or_else(|| find(undated(model)?))?;
    let price = Price {
        input: *input,
        cached_input: Some(*cached),
        cache_write: Some(*written),
        output: *output,
        reasoning: None,
        flex: None,
    };
    let price = flex_tier(model, urls).map_or(price, |tier| price.with_flex_share(tier.price_share));
    Some(ListPrice { price, source: list.source, more_over: *more_over })
}

/// Returns a name without the date of its version, such as `-2025-04-14` or `-20251001`.
fn undated(name: &str) -> Option<&str> {
    let is_like = |text: &str, pattern: &str| {
        let fits = |(byte, form): (u8, u8)| if form == b'0' { byte.is_ascii_digit() } else { byte == form };
        text.len() == pattern.len() && text.bytes().zip(pattern.bytes()).all(fits)
    };
    ["-0000-00-00", "-00000000"].iter().find_map(|pattern| {
        let at = name.len().checked_sub(pattern.len())?;
        is_like(name.get(at..)?, pattern).then(|| &name[..at])
    })
}

#[cfg(test)]
mod tests {
    use super::super::provider::PROVIDER_KEYS;
    use super::*;

    fn input(model: &str, urls: &[&str]) -> Option<f64> {
        let urls: Vec<String> = urls.iter().map(|url| (*url).to_owned()).collect();
        list_price(model, &urls).map(|listed| listed.price.input)
    }

    #[test]
    fn a_price_is_that_of_a_provider_at_its_own_host() {
        let openai = "https://api.openai.com/v1/chat/completions";
        assert_eq!(input("gpt-4.1", &[openai]), Some(2.0));
        assert_eq!(input("gpt-4.1-2025-04-14", &[openai]), Some(2.0));
        assert_eq!(input("gpt-4o-2024-08-06", &[openai]), Some(2.5));
        assert_eq!(input("gpt-4o-2024-05-13", &[openai]), Some(5.0));
        assert_eq!(input("gpt-6-sol", &[openai]), Some(2.0));
        assert_eq!(input("models/gemini-2.5-pro", &["https://generativelanguage.googleapis.com/x"]), Some(1.25));
        for unknown in ["gpt-4.1-ft", "gpt-9", "gpt-4.1-2025", "claude-opus-5", "", "gpt"] {
            assert_eq!(input(unknown, &[openai]), None, "{unknown}");
        }
        assert_eq!(input("gpt-4.1", &["https://gateway.example/v1"]), None);
        assert_eq!(input("gpt-4.1", &[openai, "https://gateway.example/v1"]), None);
        assert_eq!(input("gpt-4.1", &[]), None);
    }

    #[test]
    fn the_list_is_plausible() {
        for list in LISTS {
            assert!(PROVIDER_KEYS.iter().any(|(host, _)| *host == list.host), "{}", list.host);
            let mut names: Vec<&str> = list.models.iter().map(|listed| listed.0).collect();
            names.sort_unstable();
            assert!(names.is_sorted_by(|one, next| one < next), "{}: a model is listed twice", list.host);
            for Listed(name, [input, cached, written, output], _) in list.models {
                assert!(0.0 < *cached && cached <= input && input <= written && input <= output, "{name}");
            }
        }
    }
}
