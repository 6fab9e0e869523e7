/// The hosts of providers and the environment variable that each documents for its key. The variable is sent to these
/// hosts and to no other. A provider that is added here is added to the table in `docs/configuration.md` too.
///
/// Only hosts that belong to the provider as a whole: a name under which anybody can rent a server has no place here.
pub const PROVIDER_KEYS: &[(&str, &str)] = &[
    ("api.openai.com", "OPENAI_API_KEY"),
    ("api.anthropic.com", "ANTHROPIC_API_KEY"),
    ("generativelanguage.googleapis.com", "GEMINI_API_KEY"),
    ("openrouter.ai", "OPENROUTER_API_KEY"),
    ("api.deepseek.com", "DEEPSEEK_API_KEY"),
    ("api.mistral.ai", "MISTRAL_API_KEY"),
    ("api.x.ai", "XAI_API_KEY"),
    ("api.groq.com", "GROQ_API_KEY"),
    ("api.together.xyz", "TOGETHER_API_KEY"),
    ("api.together.ai", "TOGETHER_API_KEY"),
    ("api.fireworks.ai", "FIREWORKS_API_KEY"),
    ("api.cerebras.ai", "CEREBRAS_API_KEY"),
    ("api.deepinfra.com", "DEEPINFRA_API_KEY"),
    ("api.novita.ai", "NOVITA_API_KEY"),
    ("api.sambanova.ai", "SAMBANOVA_API_KEY"),
    ("api.hyperbolic.xyz", "HYPERBOLIC_API_KEY"),
    ("api.studio.nebius.com", "NEBIUS_API_KEY"),
    ("api.tokenfactory.nebius.com", "NEBIUS_API_KEY"),
    ("integrate.api.nvidia.com", "NVIDIA_API_KEY"),
    ("api.perplexity.ai", "PERPLEXITY_API_KEY"),
    ("dashscope.aliyuncs.com", "DASHSCOPE_API_KEY"),
    ("dashscope-intl.aliyuncs.com", "DASHSCOPE_API_KEY"),
    ("dashscope-us.aliyuncs.com", "DASHSCOPE_API_KEY"),
    ("api.moonshot.ai", "MOONSHOT_API_KEY"),
    ("api.moonshot.cn", "MOONSHOT_API_KEY"),
    ("open.bigmodel.cn", "ZHIPUAI_API_KEY"),
    ("api.z.ai", "ZAI_API_KEY"),
    ("api.minimax.io", "MINIMAX_API_KEY"),
    ("api.minimaxi.com", "MINIMAX_API_KEY"),
    ("api.siliconflow.com", "SILICONFLOW_API_KEY"),
    ("api.siliconflow.cn", "SILICONFLOW_API_KEY"),
];

/// A place where models are asked, for those who write their first configuration.
#[derive(Clone, Copy, Debug)]
pub struct Provider {
    /// The name by which it is chosen.
    pub name: &'static str,
    /// The name that it has for itself.
    pub title: &'static str,
    /// The URL of its API.
    pub url: &'static str,
    /// A model to begin with; what a provider offers changes.
    pub model: &'static str,
}

const fn provider(name: &'static str, title: &'static str, url: &'static str, model: &'static str) -> Provider {
    Provider { name, title, url, model }
}

/// The places that a first configuration can be written for: one's own server, and every provider of [`PROVIDER_KEYS`].
pub const PROVIDERS: &[Provider] = &[
    provider("vllm", "a server of your own: vLLM or SGLang", "http://localhost:8000/v1", "Qwen/Qwen3-32B"),
    provider("llama.cpp", "a server of your own: llama.cpp", "http://localhost:8080/v1", "local"),
    provider("ollama", "a server of your own: Ollama", "http://localhost:11434/v1", "qwen3:32b"),
    provider("openai", "OpenAI", "https://api.openai.com/v1", "gpt-4.1-mini"),
    provider("anthropic", "Anthropic", "https://api.anthropic.com", "claude-haiku-4-5"),
    provider("gemini", "Google Gemini", "https://generativelanguage.googleapis.com/v1beta/openai", "gemini-2.5-flash"),
    provider("openrouter", "OpenRouter", "https://openrouter.ai/api/v1", "qwen/qwen3-32b"),
    provider("deepseek", "DeepSeek", "https://api.deepseek.com/v1", "deepseek-v4-flash"),
    provider("mistral", "Mistral", "https://api.mistral.ai/v1", "mistral-small-2603"),
    provider("xai", "xAI", "https://api.x.ai/v1", "grok-4"),
    provider("groq", "Groq", "https://api.groq.com/openai/v1", "openai/gpt-oss-120b"),
    provider("together", "Together AI", "https://api.together.xyz/v1", "openai/gpt-oss-120b"),
    provider(
        "fireworks",
        "Fireworks AI",
        "https://api.fireworks.ai/inference/v1",
        "accounts/fireworks/models/gpt-oss-120b",
    ),
    provider("cerebras", "Cerebras", "https://api.cerebras.ai/v1", "gpt-oss-120b"),
    provider("deepinfra", "DeepInfra", "https://api.deepinfra.com/v1/openai", "openai/gpt-oss-120b"),
    provider("novita", "Novita AI", "https://api.novita.ai/openai/v1", "openai/gpt-oss-120b"),
    provider("sambanova", "SambaNova", "https://api.sambanova.ai/v1", "gpt-oss-120b"),
    provider("hyperbolic", "Hyperbolic", "https://api.hyperbolic.xyz/v1", "openai/gpt-oss-120b"),
    provider("nebius", "Nebius", "https://api.studio.nebius.com/v1", "openai/gpt-oss-120b"),
    provider("nvidia", "NVIDIA", "https://integrate.api.nvidia.com/v1", "openai/gpt-oss-120b"),
    provider("perplexity", "Perplexity", "https://api.perplexity.ai", "sonar"),
    provider("dashscope", "Alibaba Cloud", "https://dashscope-intl.aliyuncs.com/compatible-mode/v1", "qwen-plus"),
    provider("moonshot", "Moonshot AI", "https://api.moonshot.ai/v1", "kimi-k2"),
    provider("zhipu", "Zhipu AI", "https://open.bigmodel.cn/api/paas/v4", "glm-4.6"),
    provider("zai", "Z.ai", "https://api.z.ai/api/paas/v4", "glm-4.6"),
    provider("minimax", "MiniMax", "https://api.minimax.io/v1", "MiniMax-M2"),
    provider("siliconflow", "SiliconFlow", "https://api.siliconflow.com/v1", "Qwen/Qwen3-32B"),
];

impl Provider {
    /// Returns the environment variable that holds the key, if the provider has one.
    pub fn key_variable(&self) -> Option<&'static str> {
        let rest = self.url.split_once("://").map_or(self.url, |(_, rest)| rest);
        key_variable_of(rest.split('/').next().unwrap_or(rest))
    }
}

/// Returns the environment variable of the provider whose own host this is.
pub fn key_variable_of(host: &str) -> Option<&'static str> {
    let host = host.trim_end_matches('.');
    PROVIDER_KEYS.iter().find(|(known, _)| *known == host).map(|(_, variable)| *variable)
}

#[cfg(test)]
mod tests {
    use super::super::host::Origin;
    use super::*;

    #[test]
    fn every_variable_belongs_to_a_provider_that_can_be_chosen() {
        for (host, variable) in PROVIDER_KEYS {
            let is_chosen = PROVIDERS.iter().any(|provider| provider.key_variable() == Some(variable));
            assert!(is_chosen, "{host}: no provider has {variable}");
        }
        for provider in PROVIDERS {
            let is_own = provider.url.starts_with("http://localhost:");
            assert_eq!(provider.key_variable().is_none(), is_own, "{}", provider.name);
            assert_eq!(provider.key_variable(), Origin::of(provider.url).unwrap().key_variable());
        }
    }

    #[test]
    fn a_provider_is_known_by_its_own_host_alone() {
        let variable = |url: &str| Origin::of(url).unwrap().key_variable();
        assert_eq!(variable("https://api.openai.com/v1"), Some("OPENAI_API_KEY"));
        assert_eq!(variable("https://API.OpenAI.com./v1"), Some("OPENAI_API_KEY"));
        for other in
            ["https://api.openai.com.example.org", "https://xapi.openai.com", "https://openai.com", "http://gpu1"]
        {
            assert_eq!(variable(other), None, "{other}");
        }
    }
}
