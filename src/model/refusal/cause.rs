//! What a refusal is about: one table, machine-readable codes first, wording last.
//!
//! Gateways pass on other servers' errors, so every row applies to every server. Codes are compared whole and without
//! regard to case. Wording is searched in the lower-case message.
//!
//! Sources: the error references of `OpenAI`, Azure, Anthropic, Google, Mistral, Groq, `DeepSeek`, Moonshot, Zhipu,
//! `MiniMax`, Alibaba (`DashScope`), Volcengine, `SiliconFlow`, xAI, Cohere, Amazon Bedrock, Fireworks, `OpenRouter`, GitHub Models
//! and one-api; the source code of vLLM, `SGLang`, TGI, llama.cpp, Ollama, LM Studio, TensorRT-LLM and `LiteLLM`.

use super::body::ErrorBody;

/// What a refusal is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The account has no credit. Waiting does not help.
    NoCredit,
    /// Too many requests or tokens in some time.
    RateLimit,
    /// The server has too much to do.
    Overloaded,
    /// The prompt is too long for the model.
    Context,
    /// The server's filter refused the prompt.
    Filtered,
    /// A function that somebody serves has failed at this question.
    Callable,
}

/// One row of the table.
struct Row {
    cause: Cause,
    /// Values of `code`, `type`, `status`, `param` and their like.
    codes: &'static [&'static str],
    /// Phrases of the message.
    words: &'static [&'static str],
}

/// In order of precedence.
const TABLE: [Row; 6] = [
    // Served by this program's own Python package.
    Row { cause: Cause::Callable, codes: &["callable_error"], words: &[] },
    Row {
        cause: Cause::NoCredit,
        codes: &[
            "insufficient_quota",           // OpenAI
            "billing_hard_limit_reached",   // OpenAI
            "billing_not_active",           // OpenAI
            "billing_error",                // Anthropic
            "exceeded_current_quota_error", // Moonshot
            "insufficient_balance",         // DeepSeek, MiniMax
            "insufficient_credits",
            "insufficient_user_quota", // one-api
            "pre_consume_token_quota_failed",
            "credit_limit",       // Together
            "budget_exceeded",    // LiteLLM
            "not_enough_balance", // Novita
            "billing_disabled",   // Google
            "account_overdue",    // Qianfan
            "payment_required",
            "arrearage",           // DashScope
            "accountoverdueerror", // Volcengine
            "1113",                // Zhipu
            "1008",                // MiniMax
            "30001",               // SiliconFlow
            "402",
        ],
        words: &[
            "credit balance",
            "insufficient credit",
            "insufficient balance",
            "insufficient_quota",
            "insufficient quota",
            "insufficient funds",
            "not enough credit",
            "not enough balance",
            "out of credit",
            "no credit",
            "credits are depleted",
            "credits have been exhausted",
            "have any credits",
            "requires more credits",
            "all available credits",
            "included credits",
            "credit limit exceeded",
            "key limit exceeded",
            "budget has been exceeded",
            "over budget",
            "exceededbudget",
            "billing to be enabled",
            "enable billing",
            "specified api usage limits",
            "quota is not enough",
            "quota has been used up",
            "exceeded your current quota",
            "spending limit",
            "spend limit",
            "billing hard limit",
            "past invoices",
            "payment required",
            "account is in good standing",
            "in arrears",
            "overdue",
            "余额",
            "欠费",
            "充值",
            "额度不足",
            "额度已用尽",
            "余量已用尽",
        ],
    },
    Row {
        cause: Cause::RateLimit,
        codes: &[
            "rate_limit_exceeded", // OpenAI, Groq
            "rate_limit_error",    // Anthropic
            "rate_limit_reached_error",
            "rate_limited",
            "too_many_requests",
            "toomanyrequests",
            "resource_exhausted", // Google
            "tokens",             // OpenAI, Groq: the kind of limit
            "requests",
            "throttling", // DashScope
            "throttling.ratequota",
            "throttling.allocationquota",
            "throttlingexception", // Bedrock
            "limit_burst_rate",
            "limit_requests",
            "1302", // Zhipu
            "1303",
            "1305",
            "1002", // MiniMax
            "1039",
        ],
        words: &[
            "rate limit",
            "rate_limit",
            "ratelimit",
            "too many requests",
            "per minute",
            "per day",
            "per hour",
            "per second",
            "tokens per min",
            "requests per min",
            "try again in",
            "please retry in",
            "slow down",
            "throttl",
            "请求过于频繁",
            "速率限制",
        ],
    },
    Row {
        cause: Cause::Filtered,
        codes: &[
            "content_filter", // OpenAI, Azure
            "content_policy_violation",
            "responsibleaipolicyviolation",
            "datainspectionfailed", // DashScope
            "data_inspection_failed",
            "sensitive_words_detected", // one-api
            "moderation_blocked",
            "prompt_blocked",
            "1301", // Zhipu
            "1026", // MiniMax
            "1027",
        ],
        words: &[
            "content_filter",
            "content filter",
            "content_policy",
            "content policy",
            "content management policy",
            "moderation",
            "flagged",
            "responsibleaipolicy",
            "safety system",
            "safety filter",
            "usage policies",
            "inappropriate content",
            "prohibited content",
            "prohibited_content",
            "sensitive content",
            "敏感",
            "违规",
        ],
    },
    Row {
        cause: Cause::Context,
        codes: &[
            "context_length_exceeded",          // OpenAI
            "string_above_max_length",          // OpenAI
            "exceed_context_size_error",        // llama.cpp
            "exceeds_context_size",             // llama.cpp
            "contextwindowexceedederror",       // LiteLLM
            "model_max_prompt_tokens_exceeded", // GitHub
            "tokens_limit_reached",             // GitHub Models
            "request_too_large",                // Anthropic
            "prompt_too_long",
            "input_tokens", // vLLM: the parameter
            "1261",         // Zhipu
            "2056",         // MiniMax
        ],
        // A phrase that names the prompt and its excess; see `says_too_long` for the general rule.
        words: &["context length", "context_length", "context window", "context size", "超长", "上下文长度"],
    },
    Row {
        cause: Cause::Overloaded,
        codes: &[
            "overloaded_error",        // Anthropic
            "engine_overloaded_error", // Moonshot
            "engine_overloaded",
            "server_overloaded",
            "resource_unavailable", // OpenAI: the flex tier
            "capacity_exceeded",    // Groq: the flex tier
            "overloaded",
            "unavailable", // Google
            "service_unavailable",
            "serviceunavailable",
            "modelnotreadyexception", // Bedrock
            "503",
            "529",
        ],
        words: &[
            "overloaded",
            "at capacity",
            "capacity exceeded",
            "resource unavailable",
            "resources unavailable",
            "resources are unavailable",
            "insufficient resources",
            "server is busy",
            "temporarily unavailable",
            "queue is full",
        ],
    },
];

impl Cause {
    /// Returns what a refusal is about, as far as it says.
    pub fn of(error: &ErrorBody) -> Option<Self> {
        let message = error.message.to_lowercase();
        let by_code = TABLE.iter().find(|row| row.has_code(error)).map(|row| row.cause);
        match by_code {
            // Google answers an empty prepaid account with the status of its rate limits. A rate limit that money raises says
            // that it is one.
            Some(Self::RateLimit) if is_about_money(&message) && error.retry_after.is_none() => {
                let is_rate_limit = message.contains("rate limit") && !says(Self::NoCredit, &message);
                Some(if is_rate_limit { Self::RateLimit } else { Self::NoCredit })
            }
            Some(cause) => Some(cause),
            None => Self::by_words(&message),
        }
    }

    fn by_words(message: &str) -> Option<Self> {
        let says = |cause: Self| says(cause, message);
        // Rate limits name the page where more can be bought, and some are called a quota.
        if says(Self::RateLimit) && !is_about_money(message) {
            return Some(Self::RateLimit);
        }
        if is_about_parameter(message) {
            return names_prompt(message).then_some(Self::Context);
        }
        let causes = [Self::NoCredit, Self::RateLimit, Self::Filtered, Self::Context, Self::Overloaded];
        causes.into_iter().find(|cause| says(*cause)).or_else(|| says_too_long(message).then_some(Self::Context))
    }
}

impl Row {
    fn has_code(&self, error: &ErrorBody) -> bool {
        error.codes.iter().any(|code| self.codes.iter().any(|known| code.eq_ignore_ascii_case(known)))
    }
}

/// True if a message has one of the phrases of a cause.
fn says(cause: Cause, message: &str) -> bool {
    let row = TABLE.iter().find(|row| row.cause == cause);
    row.is_some_and(|row| row.words.iter().any(|words| message.contains(words)))
}

/// True if one request is larger than a rate limit ever admits: `Request too large … Limit 30000, Requested 40000`. To
/// wait does not help.
pub(super) fn exceeds_whole_limit(message: &str) -> bool {
    let message = message.to_lowercase();
    let number_after = |name: &str| {
        message.match_indices(name).find_map(|(at, _)| {
            let rest = message[at + name.len()..].trim_start_matches([':', ' ']);
            rest.split(|c: char| !c.is_ascii_digit()).next()?.parse::<u64>().ok()
        })
    };
    let (limit, requested) = (number_after("limit"), number_after("requested"));
    message.contains("request too large") || limit.zip(requested).is_some_and(|(limit, requested)| requested > limit)
}

/// True if a message is about money, beyond an address where some can be paid.
fn is_about_money(message: &str) -> bool {
    const MONEY: [&str; 8] =
        ["credit", "balance", "prepay", "suspended", "spending limit", "spend limit", "invoice", "余额"];
    let waits =
        ["try again in", "please retry in", "per min", "per-min", "per day", "per-day", "per hour", "per second"];
    MONEY.iter().any(|word| message.contains(word)) && !waits.iter().any(|word| message.contains(word))
}

/// True if a message is about the limit on the answer and not about the prompt.
fn is_about_parameter(message: &str) -> bool {
    let names = ["max_tokens", "max_completion_tokens", "max_output_tokens", "completion tokens", "max_new_tokens"];
    names.iter().any(|name| message.contains(name))
}

/// True if a message about the limit on the answer says that the prompt leaves no room for it.
fn names_prompt(message: &str) -> bool {
    let names =
        ["context length", "context window", "context size", "prompt", "`inputs`", "input tokens", "input length"];
    names.iter().any(|name| message.contains(name))
}

/// True if a message says in any words that the prompt is too long: it names what was sent, a measure, and an excess.
///
/// No list of wordings is complete; a refusal that is not recognised here is still told from a server's fault by the
/// length of its prompt (see the worker).
fn says_too_long(message: &str) -> bool {
    const SENT: [&str; 11] = [
        "prompt",
        "input",
        "context",
        "sequence",
        "conversation",
        "request body",
        "your request",
        "messages",
        "inputs",
        "token count",
        "model token",
    ];
    const MEASURE: [&str; 6] = ["token", "length", "size", "long", "large", "character"];
    const EXCESS: [&str; 16] = [
        "too long",
        "too large",
        "too many",
        "exceed",
        "longer than",
        "larger than",
        "greater than",
        "maximum",
        "overflow",
        "must be <=",
        "at most",
        "should be [",
        "not enough",
        "limit",
        "cannot fit",
        "超",
    ];
    let has = |words: &[&str]| words.iter().any(|word| message.contains(word));
    has(&SENT) && has(&MEASURE) && has(&EXCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cause(body: &str) -> Option<Cause> {
        Cause::of(&ErrorBody::parse(body.as_bytes()))
    }

    #[test]
    fn a_rate_limit_that_names_the_billing_page_is_a_rate_limit() {
        for body in [
            r#"{"error":{"message":"Limit 6000 tokens. Need more? Upgrade at https://x.example/settings/billing","type":"tokens","code":"rate_limit_exceeded"}}"#,
            r#"[{"error":{"status":"RESOURCE_EXHAUSTED","message":"You exceeded your current quota, please check your plan and billing details. Please retry in 1.3s."}}]"#,
            r#"{"error":{"message":"You exceeded your current quota: 10 requests per minute","code":"429"}}"#,
            r#"{"error":{"message":"Rate limit reached. You can increase it by adding a payment method at /billing","type":"requests"}}"#,
            r#"{"error":{"code":"Throttling.RateQuota","message":"Requests rate limit exceeded"}}"#,
            "Too many requests. Please slow down.",
            r#"{"error":{"type":"rate_limit_error","message":"This exceeds your account's rate limit. To raise it, purchase credits."}}"#,
            r#"{"__type":"ThrottlingException","message":"Please wait before trying again."}"#,
        ] {
            assert_eq!(cause(body), Some(Cause::RateLimit), "{body}");
        }
    }

    #[test]
    fn a_request_that_is_larger_than_a_rate_limit_is_told_from_one_that_has_to_wait() {
        for (message, is_larger) in [
            ("Request too large for gpt-4o on tokens per min (TPM): Limit 30000, Requested 40000.", true),
            ("Rate limit reached on tokens per minute (TPM): Limit: 6000, Requested: 9027", true),
            ("Rate limit reached on tokens per minute (TPM): Limit 6000, Used 5034, Requested 1443.", false),
            ("Rate limit reached: Limit 3, Used 3, Requested 1. Please try again in 1s.", false),
            ("too many requests", false),
        ] {
            assert_eq!(exceeds_whole_limit(message), is_larger, "{message}");
        }
    }

    #[test]
    fn an_account_without_credit_is_seen_whatever_the_status() {
        for body in [
            r#"{"error":{"type":"invalid_request_error","message":"Your credit balance is too low to access the API."}}"#,
            r#"{"error":{"code":"Arrearage","message":"Access denied, please make sure your account is in good standing."}}"#,
            r#"{"error":{"code":"1113","message":"余额不足或无可用资源包,请充值。"}}"#,
            r#"{"base_resp":{"status_code":1008,"status_msg":"insufficient balance"}}"#,
            r#"{"error":{"code":"PRECONDITION_FAILED","message":"Account x is suspended, possibly due to reaching the monthly spending limit"}}"#,
            r#"{"error":{"message":"You exceeded your current quota, please check your plan","code":"429"}}"#,
            r#"{"error":{"message":"Add more at /credits","code":402}}"#,
            r#"{"error":{"status":"RESOURCE_EXHAUSTED","message":"Your prepayment credits are depleted."}}"#,
            r#"{"error":{"message":"Key limit exceeded (total limit). Manage it at /keys","code":403}}"#,
            r#"{"code":"no permission","error":"Your newly created team doesn't have any credits yet."}"#,
            r#"{"code":"resource exhausted","error":"Your team has either used all available credits or reached its limit."}"#,
            r#"{"error":{"message":"Credit limit exceeded, please add to it.","type":"credit_limit"}}"#,
            r#"{"code":403,"reason":"NOT_ENOUGH_BALANCE","message":"no"}"#,
            r#"[{"error":{"status":"PERMISSION_DENIED","message":"no","details":[{"reason":"BILLING_DISABLED"}]}}]"#,
            r#"{"error":{"message":"Budget has been exceeded! Current cost: 10.1, Max budget: 10.0","type":"budget_exceeded"}}"#,
            r#"{"error":{"message":"ExceededBudget: User=x over budget. Spend=10.1, Budget=10.0"}}"#,
            r#"{"error":{"message":"token quota is not enough, token remain quota: $0.01"}}"#,
            r#"{"error":{"message":"该令牌额度已用尽"}}"#,
            r#"{"error":{"type":"invalid_request_error","message":"You have reached your specified API usage limits."}}"#,
            r#"{"error":{"type":"rate_limit_exceeded","message":"Account x is suspended: spending limit, or past invoices"}}"#,
        ] {
            assert_eq!(cause(body), Some(Cause::NoCredit), "{body}");
        }
    }

    #[test]
    fn a_prompt_that_is_too_long_is_seen_in_any_wording() {
        for message in [
            "You passed 9000 input tokens and requested 500 output tokens. However, the model's context length is only 8192 tokens",
            "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096. Given: 4000 `inputs` tokens and 1000 `max_new_tokens`",
            "the request exceeds the available context size. try increasing the context size or enable context shift",
            "Range of input length should be [1, 30720]",
            "Prompt 超长",
            "Invalid request: Your request exceeded model token limit: 8192",
            "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).",
            "Input is too long for requested model.",
            "too many tokens: total number of tokens in the prompt cannot exceed 4081",
            "Prompt length (9000) exceeds maximum input length (8192).",
            "prompt too long; exceeded max context length by 812 tokens",
            "Request body too large for gpt-4o model. Max size: 8000 tokens.",
            "prompt is too long: 210000 tokens > 200000 maximum",
            "This model's maximum prompt length is 131072 but the request contains 537812 tokens.",
            "The sequence length 9000 is longer than the maximum 8192",
        ] {
            assert_eq!(cause(message), Some(Cause::Context), "{message}");
        }
    }

    #[test]
    fn other_refusals_are_about_none_of_these() {
        for message in [
            "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
            "max_tokens is too large: 32768. This model supports at most 16384 completion tokens",
            "Invalid max_tokens value, the valid range of max_tokens is [1, 8192]",
            "invalid temperature: only between 0 and 1 is allowed",
            "max_tokens: Input should be greater than or equal to 1",
            "System role not supported",
            "Bad Request: Invalid state",
            "Model m not found",
            "Incorrect API key provided",
            "Unrecognized request argument supplied: stream_options",
            "Conversation roles must alternate user/assistant/user/assistant/...",
        ] {
            assert_eq!(cause(message), None, "{message}");
        }
    }
}
