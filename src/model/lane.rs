//! The lanes in which a model can be asked, and the hosts that have a flex tier.
//!
//! | host | flex answers cost | without capacity it says |
//! |---|---|---|
//! | `OpenAI` | half | 429 `resource_unavailable` |
//! | Azure | half | 429; 400 if the model has no flex tier |
//! | Groq | the same, at ten times the limits | 498 `capacity_exceeded` |
//!
//! Any other host has one if its profile gives it a price.

use serde::{Deserialize, Serialize};

use super::host::Origin;

/// How a model is asked: at once, or cheaper and slower.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RequestLane {
    /// At the standard tier.
    #[default]
    Online,
    /// At the provider's flex tier.
    Flex,
}

/// A host with a flex tier.
struct FlexHost {
    /// The host, or with a dot before it the domain of its hosts.
    host: &'static str,
    tier: FlexTier,
}

/// What is known of a provider's flex tier.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FlexTier {
    /// What its answers cost, as a share of the standard price.
    pub price_share: f64,
    /// The beginnings of the names of models that do not have it.
    pub without: &'static [&'static str],
}

const FLEX_HOSTS: &[FlexHost] = &[
    FlexHost {
        host: "api.openai.com",
        tier: FlexTier { price_share: 0.5, without: &["gpt-3.5", "gpt-4-", "gpt-4.1", "gpt-4o", "o1", "o3-mini"] },
    },
    FlexHost { host: ".openai.azure.com", tier: FlexTier { price_share: 0.5, without: &[] } },
    FlexHost { host: ".services.ai.azure.com", tier: FlexTier { price_share: 0.5, without: &[] } },
    FlexHost { host: "api.groq.com", tier: FlexTier { price_share: 1.0, without: &[] } },
];

/// Returns what is known of the flex tier of a model that all these URLs serve; `None` unless each is a host that has one
/// for it.
pub fn flex_tier(model: &str, urls: &[String]) -> Option<FlexTier> {
    let of = |url: &String| {
        let server = Origin::of(url)?;
        let found = FLEX_HOSTS.iter().find(|known| match known.host.strip_prefix('.') {
            Some(domain) => server.is_below(domain),
            None => server.has_host(known.host),
        });
        found.map(|known| known.tier)
    };
    let tier = of(urls.first()?)?;
    let is_alike = urls.iter().all(|url| of(url) == Some(tier));
    let is_without = tier.without.iter().any(|beginning| model.starts_with(beginning));
    (is_alike && !is_without).then_some(tier)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flex_tier_is_that_of_a_known_host_and_model() {
        let share = |model: &str, urls: &[&str]| {
            let urls: Vec<String> = urls.iter().map(|url| (*url).to_owned()).collect();
            flex_tier(model, &urls).map(|tier| tier.price_share)
        };
        let openai = "https://api.openai.com/v1/chat/completions";
        assert_eq!(share("gpt-5.4", &[openai]), Some(0.5));
        assert_eq!(share("a-model-of-tomorrow", &[openai]), Some(0.5));
        assert_eq!(share("gpt-4.1-mini", &[openai]), None);
        assert_eq!(share("d", &["https://me.openai.azure.com/openai/v1"]), Some(0.5));
        assert_eq!(share("openai/gpt-oss-20b", &["https://api.groq.com/openai/v1"]), Some(1.0));
        let elsewhere = ["https://openai.azure.com.example/v1", "https://api.openai.com.example", "http://gpu1/v1"];
        assert!(elsewhere.iter().all(|url| share("gpt-5.4", &[url]).is_none()));
        assert_eq!(share("gpt-5.4", &[openai, "http://gpu1/v1"]), None);
        assert_eq!(share("gpt-5.4", &[]), None);
    }
}
