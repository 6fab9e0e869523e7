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

/// Returns the environment variable of the provider whose own host this is.
pub fn key_variable_of(host: &str) -> Option<&'static str> {
    let host = host.trim_end_matches('.');
    PROVIDER_KEYS.iter().find(|(known, _)| *known == host).map(|(_, variable)| *variable)
}

#[cfg(test)]
mod tests {
    use super::super::host::Origin;

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
