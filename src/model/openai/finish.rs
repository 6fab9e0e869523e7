//! The words with which servers say how an answer ended.

use std::borrow::Cow;

use crate::conversation::Finish;
use crate::model::json::Json;

/// The fields of a choice that hold the reason, in the order in which they count.
const FIELDS: [&str; 4] = ["finish_reason", "finishReason", "finish_details", "done_reason"];

/// Returns the finish reason of a choice, the upstream's own if a gateway passes it on. An empty text and the text
/// `null` are no reason.
pub fn finish_word(choice: &Json<'_>) -> Option<String> {
    let said = FIELDS.iter().find_map(|field| word(choice.get(field)?))?;
    let passed_on = choice.get("provider_specific_fields").and_then(|fields| fields.get("native_finish_reason"));
    let native = passed_on.or(choice.get("native_finish_reason")).and_then(word);
    // Gateways rewrite other reasons to `stop`, and providers have words of their own for `stop`.
    let decisive = native.filter(|native| match finish_of(native) {
        Some(finish) => finish != Finish::Complete,
        None => is_known_failure(native),
    });
    Some(decisive.unwrap_or(said).into_owned())
}

/// Returns a reason that is a text, or an object or list that holds one.
fn word<'a>(reason: &'a Json<'_>) -> Option<Cow<'a, str>> {
    match reason {
        Json::Object(_) => ["type", "reason", "value", "name"].iter().find_map(|name| word(reason.get(name)?)),
        Json::List(items) => items.first().and_then(word),
        text => text.text().filter(|text| !matches!(&*plain(text), "" | "null" | "none" | "undefined")),
    }
}

/// Maps a server's finish reason; `None` if it means failure or is unknown. Case, separators and the prefix of Google's
/// enumeration do not matter.
pub fn finish_of(said: &str) -> Option<Finish> {
    let word = plain(said);
    let word = without_prefix(&word);
    Some(match word {
        "stop" | "stopped" | "stopsequence" | "stopstring" | "stoptoken" | "stopword" | "hitstopsequence" => {
            Finish::Complete
        }
        "eos" | "eostoken" | "eostokenid" | "eosfound" | "eosreached" | "endoftext" | "endofsequence" => {
            Finish::Complete
        }
        "end" | "ended" | "endturn" | "endofturn" | "endofstream" | "done" | "normal" | "natural" => Finish::Complete,
        "complete" | "completed" | "finish" | "finished" | "success" | "succeeded" => Finish::Complete,
        "length" | "modellength" | "lengthlimit" | "lengthexceeded" | "errorlimit" | "truncated" | "cutoff" => {
            Finish::Length
        }
        "tokenlimit" | "tokenlimitreached" | "tokenlimitexceeded" | "outputlimit" | "contextfull" => Finish::Length,
        "recitation" | "imagesafety" | "prohibitedcontent" | "spii" | "blocklist" | "blocked" => Finish::Filtered,
        "sensitive" | "moderation" | "moderated" | "flagged" | "censored" | "unsafe" | "policyviolation" => {
            Finish::Filtered
        }
        "guardrail" | "guardrails" | "guardrailintervened" | "errortoxic" | "language" | "modelarmor" => {
            Finish::Filtered
        }
        "refusal" | "refused" => Finish::Refused,
        "toolcall" | "toolcalls" | "tooluse" | "functioncall" | "functioncalls" | "pauseturn" => Finish::Tools,
        "repetition" | "loop" => Finish::Loop,
        other => return finish_by_beginning(other),
    })
}

/// Maps words that come with a detail: `content_filter: RECITATION`, `max_tokens_exceeded`.
fn finish_by_beginning(word: &str) -> Option<Finish> {
    let begins = |beginnings: &[&str]| beginnings.iter().any(|beginning| word.starts_with(beginning));
    if begins(&["contentfilter", "contentpolicy", "contentmoderation", "safety"]) {
        return Some(Finish::Filtered);
    }
    let is_limit = begins(&["maxtoken", "maxlength", "maxnew", "maxoutput", "maxcompletion"])
        || begins(&["contextlength", "contextwindow", "contextexceeded", "modelcontext"]);
    is_limit.then_some(Finish::Length)
}

/// Removes the name of the field or type that some servers put before the word.
fn without_prefix(word: &str) -> &str {
    let rest = word.strip_prefix("finishreason").or_else(|| word.strip_prefix("stopreason"));
    rest.unwrap_or(word)
}

/// True for words that say that there is no whole answer, whatever a gateway made of them.
fn is_known_failure(native: &str) -> bool {
    let word = plain(native);
    matches!(
        without_prefix(&word),
        "error"
            | "abort"
            | "aborted"
            | "cancelled"
            | "canceled"
            | "timeout"
            | "networkerror"
            | "insufficientsystemresource"
            | "malformedfunctioncall"
    )
}

/// Returns the letters and digits of a word in lower case.
fn plain(word: &str) -> String {
    word.chars().filter(char::is_ascii_alphanumeric).map(|letter| letter.to_ascii_lowercase()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word_in(choice: &str) -> Option<String> {
        finish_word(&Json::read(choice.as_bytes()).unwrap().0)
    }

    #[test]
    fn words_are_known_in_any_writing_and_an_unknown_one_is_no_end() {
        for (words, finish) in [
            (
                "stop Stop STOP eos EOS eos_token_id stop_token end endTurn done completed FINISHED normal",
                Finish::Complete,
            ),
            ("length LENGTH maxTokens MAX_TOKENS max_new_tokens max_length context_length", Finish::Length),
            ("content_filter SAFETY RECITATION PROHIBITED_CONTENT SPII BLOCKLIST blocked safety", Finish::Filtered),
            ("tool_calls toolUse function_call", Finish::Tools),
            ("FINISH_REASON_STOP finish-reason-stop", Finish::Complete),
        ] {
            for word in words.split(' ') {
                assert_eq!(finish_of(word), Some(finish), "{word}");
            }
        }
        assert_eq!(finish_of("content_filter: RECITATION"), Some(Finish::Filtered));
        assert_eq!(finish_of("max_tokens_exceeded"), Some(Finish::Length));
        for word in
            "error OTHER MALFORMED_FUNCTION_CALL cancelled timeout unknown FINISH_REASON_UNSPECIFIED error_finish"
                .split(' ')
        {
            assert_eq!(finish_of(word), None, "{word}");
        }
    }

    #[test]
    fn the_reason_is_found_wherever_a_server_puts_it() {
        for choice in [
            r#"{"finish_reason":"stop"}"#,
            r#"{"finish_reason":null,"finishReason":"stop"}"#,
            r#"{"finish_reason":"","finish_details":{"type":"stop","stop":"<|im_end|>"}}"#,
            r#"{"finish_reason":{"type":"stop"}}"#,
            r#"{"finish_reason":"stop","native_finish_reason":1}"#,
            r#"{"finish_reason":"stop","native_finish_reason":"completed"}"#,
        ] {
            assert_eq!(word_in(choice).as_deref(), Some("stop"), "{choice}");
        }
        for choice in [
            r#"{"finish_reason":null}"#,
            r#"{"finish_reason":""}"#,
            r#"{"finish_reason":"null"}"#,
            r#"{"finish_reason":"None"}"#,
            r#"{"finish_reason":false}"#,
            r#"{"finish_reason":[]}"#,
            "{}",
        ] {
            assert_eq!(word_in(choice), None, "{choice}");
        }
        let native = r#"{"finish_reason":"stop","provider_specific_fields":{"native_finish_reason":"MAX_TOKENS"}}"#;
        assert_eq!(word_in(native).as_deref(), Some("MAX_TOKENS"));
    }
}
