/// Body fields that cannot change an answer. They are sent and are not part of a question's identity: changing one reuses
/// every stored answer. A field belongs here if the provider documents it as accounting, routing to a cache, storage or
/// queueing; when in doubt it does not, since asking again is the safe mistake.
pub const SIDE_FIELDS: &[&str] = &[
    // Queueing and price: OpenAI, Groq, Anthropic; vLLM and SGLang.
    "service_tier",
    "priority",
    "inference_geo",
    // Who asks, for abuse reports and accounting.
    "user",
    "safety_identifier",
    "metadata",
    "store",
    "custom_labels",
    "session_id",
    "trace",
    "request_id",
    "rid",
    // Prompt caches: OpenAI, Mistral; vLLM; llama.cpp; Anthropic.
    "prompt_cache_key",
    "prompt_cache_retention",
    "prompt_cache_options",
    "cache_salt",
    "cache_prompt",
    "cache_control",
    "id_slot",
    "keep_alive",
    // What a reply says beside the answer: OpenRouter; llama.cpp; vLLM.
    "usage",
    "timings_per_token",
    "return_progress",
    "return_token_ids",
];

/// True if a top-level body field cannot change an answer.
pub fn is_side_field(name: &str) -> bool {
    SIDE_FIELDS.contains(&name)
}
