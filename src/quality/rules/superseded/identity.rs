use super::{FLAGS_OR_REJECTS, Superseded};
use crate::quality::text::Phrases;

static PHRASES: Phrases = Phrases::new(|| {
    Phrases::automaton(&[
        "as an ai language model",
        "as an ai assistant",
        "as an ai model",
        "as a large language model",
        "as a language model",
        "i am an ai language model",
        "i'm an ai language model",
        "i'm chatgpt",
        "i am chatgpt",
        "i'm claude",
        "i am claude",
        "i'm gemini",
        "i am gemini",
        "i am qwen",
        "i'm qwen",
        "i am deepseek",
        "i'm deepseek",
        "trained by openai",
        "developed by openai",
        "created by openai",
        "made by anthropic",
        "created by anthropic",
        "developed by anthropic",
        "trained by google",
        "created by alibaba",
        "developed by alibaba",
        "作为一个人工智能",
        "作为人工智能",
        "作为一个ai",
        "作为ai",
        "作为一个语言模型",
        "作为大语言模型",
        "我是chatgpt",
        "我是通义",
        "我是千问",
        "我是文心",
        "我是一个人工智能",
        "我是一个ai",
        "由openai",
        "由阿里云",
        "由深度求索",
        "我是deepseek",
    ])
});

/// Speaks of itself as a model, by name or in general. The student would learn to say so.
pub const IDENTITY: Superseded = Superseded {
    name: "identity",
    actions: FLAGS_OR_REJECTS,
    threshold: None,
    hits: |candidate, _| PHRASES.occur_in(candidate.answer),
    places: |candidate| PHRASES.places_in(candidate.answer),
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quality::Candidate;
    use crate::quality::rules::Rule;

    #[test]
    fn a_name_of_its_own_is_caught_and_speaking_of_models_is_not() {
        let hits = |answer: &str| IDENTITY.hits(&Candidate::new("Who are you?", answer), 0.0);
        assert!(
            hits("As an AI language model, I have no opinion.")
                && hits("我是ChatGPT。")
                && hits("I'm Claude, made by Anthropic.")
        );
        assert!(!hits("OpenAI released GPT-4 in 2023.") && !hits("人工智能正在改变世界。"));
    }
}
