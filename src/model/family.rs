//! How kinds of servers are told whether and how much to reason.
//!
//! | family | hosts | `--thinking off` | `--effort high` |
//! |---|---|---|---|
//! | `template` | all others: vLLM, `SGLang`, llama.cpp, NIM | `chat_template_kwargs: {"enable_thinking": false}` | `reasoning_effort: "high"` |
//! | `openai` | `OpenAI`, Azure, Groq, Mistral, Gemini, xAI, Cerebras, Fireworks, Ollama's port | `reasoning_effort: "none"` | `reasoning_effort: "high"` |
//! | `openrouter` | `OpenRouter`, Together | `reasoning: {"enabled": false}` | `reasoning: {"effort": "high"}` |
//! | `thinking-type` | `DeepSeek`, Zhipu, Moonshot, Volcengine | `thinking: {"type": "disabled"}` | `reasoning_effort: "high"` |
//! | `anthropic` | every server of that dialect | `thinking: {"type": "disabled"}` (on: `adaptive`) | `output_config: {"effort": "high"}` |
//! | `enable-thinking` | `DashScope`, `SiliconFlow` | `enable_thinking: false` | `reasoning_effort: "high"` |
//!
//! Sources: the providers' API references of November 2026; for `template` the chat templates of the models.

use serde::Deserialize;
use serde_json::Value;

use crate::conversation::{BodyError, Target, Thinking};

/// A kind of server, by how it is told to reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ServerFamily {
    /// Arguments of the chat template: servers that people run themselves.
    #[default]
    Template,
    /// `reasoning_effort` alone.
    #[serde(rename = "openai")]
    OpenAi,
    /// An object `reasoning`.
    #[serde(rename = "openrouter")]
    OpenRouter,
    /// An object `thinking` with a type.
    ThinkingType,
    /// An object `thinking`, and the level in `output_config`.
    Anthropic,
    /// `enable_thinking` beside the other fields.
    EnableThinking,
}

/// Known hosts; a host counts with all that end in it.
const HOSTS: &[(&str, ServerFamily)] = &[
    ("api.openai.com", ServerFamily::OpenAi),
    ("openai.azure.com", ServerFamily::OpenAi),
    ("services.ai.azure.com", ServerFamily::OpenAi),
    ("cognitiveservices.azure.com", ServerFamily::OpenAi),
    ("api.groq.com", ServerFamily::OpenAi),
    ("api.mistral.ai", ServerFamily::OpenAi),
    ("generativelanguage.googleapis.com", ServerFamily::OpenAi),
    ("api.x.ai", ServerFamily::OpenAi),
    ("api.cerebras.ai", ServerFamily::OpenAi),
    ("api.fireworks.ai", ServerFamily::OpenAi),
    ("openrouter.ai", ServerFamily::OpenRouter),
    ("api.together.xyz", ServerFamily::OpenRouter),
    ("api.together.ai", ServerFamily::OpenRouter),
    ("api.deepseek.com", ServerFamily::ThinkingType),
    ("bigmodel.cn", ServerFamily::ThinkingType),
    ("api.z.ai", ServerFamily::ThinkingType),
    ("api.moonshot.ai", ServerFamily::ThinkingType),
    ("api.moonshot.cn", ServerFamily::ThinkingType),
    ("volces.com", ServerFamily::ThinkingType),
    ("bytepluses.com", ServerFamily::ThinkingType),
    ("api.anthropic.com", ServerFamily::Anthropic),
    ("dashscope.aliyuncs.com", ServerFamily::EnableThinking),
    ("dashscope-intl.aliyuncs.com", ServerFamily::EnableThinking),
    ("dashscope-us.aliyuncs.com", ServerFamily::EnableThinking),
    ("api.siliconflow.cn", ServerFamily::EnableThinking),
    ("api.siliconflow.com", ServerFamily::EnableThinking),
];

/// Ollama's port.
const OLLAMA_PORT: u16 = 11434;

/// Models whose chat templates call the argument `thinking`. They get it beside `enable_thinking`.
const TEMPLATE_THINKING: &[&str] = &["deepseek", "granite", "kimi"];

/// A field that a shortcut sets: the shortcut as the user writes it, the path of the field, the value.
pub type ShortcutField = (String, &'static str, Value);

impl ServerFamily {
    /// Returns the family of the server at a URL.
    pub fn of(url: &str) -> Self {
        let Ok(url) = reqwest::Url::parse(url) else { return Self::default() };
        let host = url.host_str().unwrap_or_default();
        let is_at = |known: &str| host.strip_suffix(known).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
        let known = HOSTS.iter().find(|(known, _)| is_at(known)).map(|(_, family)| *family);
        known.unwrap_or(if url.port() == Some(OLLAMA_PORT) { Self::OpenAi } else { Self::Template })
    }

    /// Returns the fields that tell a server of this family what the shortcuts ask for.
    pub fn shortcut_fields(self, target: &Target) -> Vec<ShortcutField> {
        let extras = target.extras();
        let mut fields = Vec::new();
        if let Some(thinking) = extras.thinking {
            // The level says it already.
            let has_effort = extras.effort.is_some() && thinking.is_on();
            for (path, value) in self.thinking_fields(thinking, has_effort, target.model()) {
                fields.push((format!("--thinking {thinking}"), path, value));
            }
        }
        if let Some(effort) = &extras.effort {
            let path = match self {
                Self::OpenRouter => "reasoning.effort",
                Self::Anthropic => "output_config.effort",
                _ => "reasoning_effort",
            };
            fields.push((format!("--effort {effort}"), path, effort.level().into()));
        }
        fields
    }

    fn thinking_fields(self, thinking: Thinking, has_effort: bool, model: &str) -> Vec<(&'static str, Value)> {
        let on = thinking.is_on();
        match self {
            Self::Template => {
                let model = model.to_lowercase();
                let also = TEMPLATE_THINKING.iter().any(|name| model.contains(name));
                let also = also.then(|| ("chat_template_kwargs.thinking", on.into()));
                [("chat_template_kwargs.enable_thinking", on.into())].into_iter().chain(also).collect()
            }
            Self::OpenAi if has_effort => Vec::new(),
            Self::OpenAi => vec![("reasoning_effort", if on { "medium" } else { "none" }.into())],
            Self::OpenRouter => vec![("reasoning.enabled", on.into())],
            Self::ThinkingType => vec![("thinking.type", if on { "enabled" } else { "disabled" }.into())],
            Self::Anthropic => vec![("thinking.type", if on { "adaptive" } else { "disabled" }.into())],
            Self::EnableThinking => vec![("enable_thinking", on.into())],
        }
    }

    /// Fails where a shortcut and a body field, or two shortcuts, say different things to a server of this family.
    pub fn check(self, target: &Target) -> Result<(), BodyError> {
        let mut body = target.extras().body.clone();
        let mut fields = self.shortcut_fields(target).into_iter();
        fields.try_for_each(|(shortcut, path, value)| body.add_shortcut(&shortcut, path, value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conversation::{Extras, RequestOptions, Sampling};

    fn fields(url: &str, model: &str, options: &RequestOptions) -> String {
        let extras = Extras::new(options.clone()).unwrap();
        let target = Target::with_extras(model, "openai", Sampling::default(), extras);
        let mut body = target.extras().body.clone();
        for (shortcut, path, value) in ServerFamily::of(url).shortcut_fields(&target) {
            body.add_shortcut(&shortcut, path, value).unwrap();
        }
        body.canonical()
    }

    #[test]
    fn each_family_is_told_in_its_own_way() {
        let off = RequestOptions { thinking: Some(Thinking::Off), ..RequestOptions::default() };
        let high = RequestOptions { effort: "high".parse().ok(), ..RequestOptions::default() };
        let both = RequestOptions { thinking: Some(Thinking::On), ..high.clone() };
        for (url, off_fields, both_fields) in [
            (
                "http://gpu1:8000/v1",
                r#"{"chat_template_kwargs":{"enable_thinking":false}}"#,
                r#"{"chat_template_kwargs":{"enable_thinking":true},"reasoning_effort":"high"}"#,
            ),
            ("https://api.openai.com/v1", r#"{"reasoning_effort":"none"}"#, r#"{"reasoning_effort":"high"}"#),
            ("https://me.openai.azure.com/x", r#"{"reasoning_effort":"none"}"#, r#"{"reasoning_effort":"high"}"#),
            ("http://localhost:11434/v1", r#"{"reasoning_effort":"none"}"#, r#"{"reasoning_effort":"high"}"#),
            (
                "https://openrouter.ai/api/v1",
                r#"{"reasoning":{"enabled":false}}"#,
                r#"{"reasoning":{"effort":"high","enabled":true}}"#,
            ),
            (
                "https://api.deepseek.com",
                r#"{"thinking":{"type":"disabled"}}"#,
                r#"{"reasoning_effort":"high","thinking":{"type":"enabled"}}"#,
            ),
            (
                "https://dashscope.aliyuncs.com/compatible-mode/v1",
                r#"{"enable_thinking":false}"#,
                r#"{"enable_thinking":true,"reasoning_effort":"high"}"#,
            ),
        ] {
            assert_eq!(fields(url, "m", &off), off_fields, "{url}");
            assert_eq!(fields(url, "m", &both), both_fields, "{url}");
        }
        let deepseek = r#"{"chat_template_kwargs":{"enable_thinking":false,"thinking":false}}"#;
        assert_eq!(fields("http://gpu1:8000/v1", "deepseek-ai/DeepSeek-V3.2", &off), deepseek);
        assert_eq!(ServerFamily::of("https://notopenrouter.ai/v1"), ServerFamily::Template);
    }

    #[test]
    fn a_shortcut_that_contradicts_the_body_is_refused() {
        let body = r#"{"reasoning_effort": "low"}"#.parse().unwrap();
        let options = RequestOptions { body, thinking: Some(Thinking::Off), ..RequestOptions::default() };
        let target = Target::with_extras("m", "openai", Sampling::default(), Extras::new(options).unwrap());
        assert!(ServerFamily::OpenAi.check(&target).is_err());
        assert!(ServerFamily::Template.check(&target).is_ok());
    }
}
