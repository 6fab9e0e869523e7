use super::answer::Usage;

/// The price of a model, in dollars per million tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Price {
    /// Prompt tokens.
    pub input: f64,
    /// Prompt tokens from the server's cache; as `input` where it is not given.
    pub cached_input: Option<f64>,
    /// Tokens of the answer.
    pub output: f64,
    /// Tokens of reasoning; as `output` where it is not given.
    pub reasoning: Option<f64>,
}

impl Price {
    /// Returns the most that this many tokens can cost.
    pub fn worst_cost(&self, prompt_tokens: u64, completion_tokens: u64) -> f64 {
        let input = self.input.max(self.cached_input.unwrap_or(0.0));
        let output = self.output.max(self.reasoning.unwrap_or(0.0));
        (prompt_tokens as f64 * input + completion_tokens as f64 * output) / 1e6
    }

    /// Returns what this usage costs.
    pub fn cost(&self, usage: &Usage) -> f64 {
        let prompt = usage.prompt_tokens.unwrap_or(0);
        let cached = usage.cached_tokens.unwrap_or(0).min(prompt);
        let completion = usage.completion_tokens.unwrap_or(0);
        let reasoning = usage.reasoning_tokens.unwrap_or(0).min(completion);
        let parts = [
            (prompt - cached, self.input),
            (cached, self.cached_input.unwrap_or(self.input)),
            (completion - reasoning, self.output),
            (reasoning, self.reasoning.unwrap_or(self.output)),
        ];
        parts.iter().map(|(tokens, price)| *tokens as f64 * price / 1e6).sum()
    }
}
