use super::answer::Usage;
use super::service_tier::ServiceTier;

/// The price of a model, in dollars per million tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Price {
    /// Prompt tokens.
    pub input: f64,
    /// Prompt tokens from the server's cache; as `input` where it is not given.
    pub cached_input: Option<f64>,
    /// Prompt tokens that the server wrote to its cache; as `input` where it is not given.
    pub cache_write: Option<f64>,
    /// Tokens of the answer.
    pub output: f64,
    /// Tokens of reasoning; as `output` where it is not given.
    pub reasoning: Option<f64>,
    /// The same of the flex tier, where it has a price of its own.
    pub flex: Option<FlexPrice>,
}

/// The price of a model's flex tier, in dollars per million tokens. Fields are as in [`Price`].
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct FlexPrice {
    /// Prompt tokens.
    pub input: f64,
    /// Prompt tokens from the server's cache.
    pub cached_input: Option<f64>,
    /// Prompt tokens that the server wrote to its cache.
    pub cache_write: Option<f64>,
    /// Tokens of the answer.
    pub output: f64,
    /// Tokens of reasoning.
    pub reasoning: Option<f64>,
}

impl Price {
    /// Returns this price with a flex tier that costs `share` of it.
    #[must_use]
    pub fn with_flex_share(self, share: f64) -> Self {
        let part = |price: Option<f64>| price.map(|price| price * share);
        let flex = FlexPrice {
            input: self.input * share,
            cached_input: part(self.cached_input),
            cache_write: part(self.cache_write),
            output: self.output * share,
            reasoning: part(self.reasoning),
        };
        Self { flex: Some(flex), ..self }
    }

    /// Returns the price of a tier: the standard one where the tier has none of its own.
    fn of(&self, tier: ServiceTier) -> Self {
        let flex = self.flex.filter(|_| tier == ServiceTier::Flex);
        let Some(FlexPrice { input, cached_input, cache_write, output, reasoning }) = flex else { return *self };
        Self { input, cached_input, cache_write, output, reasoning, flex: None }
    }

    /// Returns the most that this many tokens can cost. A flex answer may fall back to the standard tier.
    pub fn worst_cost(&self, prompt_tokens: u64, completion_tokens: u64) -> f64 {
        let worst = |tier| {
            let price = self.of(tier);
            let input = price.input.max(price.cached_input.unwrap_or(0.0)).max(price.cache_write.unwrap_or(0.0));
            let output = price.output.max(price.reasoning.unwrap_or(0.0));
            (prompt_tokens as f64 * input + completion_tokens as f64 * output) / 1e6
        };
        worst(ServiceTier::Standard).max(worst(ServiceTier::Flex))
    }

    /// Returns what this usage costs at the tier that the server charged.
    pub fn cost(&self, usage: &Usage) -> f64 {
        let price = self.of(usage.tier);
        let prompt = usage.prompt_tokens.unwrap_or(0);
        let cached = usage.cached_tokens.unwrap_or(0).min(prompt);
        let written = usage.cache_write_tokens.unwrap_or(0).min(prompt - cached);
        let completion = usage.completion_tokens.unwrap_or(0);
        let reasoning = usage.reasoning_tokens.unwrap_or(0).min(completion);
        let parts = [
            (prompt - cached - written, price.input),
            (cached, price.cached_input.unwrap_or(price.input)),
            (written, price.cache_write.unwrap_or(price.input)),
            (completion - reasoning, price.output),
            (reasoning, price.reasoning.unwrap_or(price.output)),
        ];
        parts.iter().map(|(tokens, price)| *tokens as f64 * price / 1e6).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_token_has_its_price() {
        let price = Price {
            input: 4.0,
            cached_input: Some(0.5),
            cache_write: Some(5.0),
            output: 20.0,
            reasoning: Some(10.0),
            flex: None,
        };
        let usage = Usage {
            prompt_tokens: Some(1_000_000),
            cached_tokens: Some(500_000),
            cache_write_tokens: Some(200_000),
            completion_tokens: Some(100_000),
            reasoning_tokens: Some(50_000),
            tier: ServiceTier::Standard,
        };
        // 300,000 plain, 500,000 cached, 200,000 written; 50,000 of reasoning, 50,000 of text.
        assert!((price.cost(&usage) - (1.2 + 0.25 + 1.0 + 0.5 + 1.0)).abs() < 1e-9);
        let plain = Price { cache_write: None, ..price };
        assert!((price.cost(&usage) - plain.cost(&usage) - 0.2).abs() < 1e-9);
        assert!((price.worst_cost(1_000_000, 0) - 5.0).abs() < 1e-9, "all of a prompt may be written to the cache");
    }

    #[test]
    fn a_flex_answer_has_its_own_price_and_the_worst_case_is_standard() {
        let plain = Price { input: 4.0, cached_input: Some(2.0), output: 20.0, ..Price::default() };
        let price = plain.with_flex_share(0.5);
        let standard = Usage {
            prompt_tokens: Some(1_000),
            cached_tokens: Some(500),
            completion_tokens: Some(100),
            ..Usage::default()
        };
        let flex = Usage { tier: ServiceTier::Flex, ..standard };
        assert!((price.cost(&flex) * 2.0 - price.cost(&standard)).abs() < 1e-12);
        assert!((price.cost(&standard) - plain.cost(&standard)).abs() < 1e-12);
        assert!((plain.cost(&flex) - plain.cost(&standard)).abs() < 1e-12, "without a price of its own");
        assert!((price.worst_cost(1_000, 100) - plain.worst_cost(1_000, 100)).abs() < 1e-12);
    }

    #[test]
    fn counts_that_contradict_each_other_never_make_a_negative_cost() {
        let price = Price { input: 1.0, cache_write: Some(2.0), ..Price::default() };
        let usage =
            Usage { prompt_tokens: Some(10), cached_tokens: Some(8), cache_write_tokens: Some(8), ..Usage::default() };
        assert!((price.cost(&usage) - (8.0 + 2.0 * 2.0) / 1e6).abs() < 1e-12);
    }
}
