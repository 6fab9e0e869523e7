//! Which models a server offers, when it does not have the one that was asked for.

use std::cmp::Reverse;
use std::collections::HashMap;

use crate::conversation::FailureCode;
use crate::model::Failure;
use crate::worker::{RunStop, Served};

/// Names that are shown.
const NAMES_MAX: usize = 10;

/// Adds the names of the models that the server offers to the reason why a run stopped, if that is a missing model. Asks
/// the server once.
pub async fn add_offered_models(reason: &mut RunStop, models: &HashMap<String, Served>) {
    let (RunStop::Refused { model, failure, .. } | RunStop::RefusedFor { model, failure, .. }) = reason else { return };
    let server = models.get(model).and_then(|served| served.replicas.first()).filter(|_| is_missing_model(failure));
    let Some(server) = server else { return };
    if let Some(names) = server.offered_models().await {
        failure.message = format!("{}; {}", failure.message, told(model, names));
    }
}

fn is_missing_model(failure: &Failure) -> bool {
    let words = failure.message.to_lowercase();
    let is_said =
        ["not found", "not exist", "unknown", "not available", "invalid model", "no such model", "not supported"];
    let is_model = words.contains("model") && is_said.iter().any(|said| words.contains(said));
    failure.code == FailureCode::Http(404) || is_model && matches!(failure.code, FailureCode::Http(400..=499))
}

/// Says which models there are, those first whose names share most parts with the one that was asked for.
fn told(asked: &str, mut names: Vec<String>) -> String {
    if names.iter().any(|name| name == asked) {
        return format!("it lists `{asked}`, so check the path of the URL");
    }
    let parts = |name: &str| -> Vec<String> {
        let parts = name.split(|letter: char| !letter.is_alphanumeric()).filter(|part| !part.is_empty());
        parts.map(str::to_lowercase).collect()
    };
    let wanted = parts(asked);
    names.sort_by_cached_key(|name| Reverse(parts(name).iter().filter(|part| wanted.contains(part)).count()));
    let count = names.len();
    let shown = |name: &String| {
        format!("`{}`", name.chars().filter(|letter| !letter.is_control()).take(100).collect::<String>())
    };
    let shown = names.iter().take(NAMES_MAX).map(shown).collect::<Vec<_>>().join(", ");
    let rest = count.saturating_sub(NAMES_MAX);
    if rest == 0 { format!("it offers {shown}") } else { format!("it offers {shown} and {rest} more") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_names_come_first_and_there_are_at_most_ten() {
        let names = |count: usize| (0..count).map(|number| format!("other-{number}")).collect::<Vec<_>>();
        let mut many = names(20);
        many.push("qwen/Qwen3-8B".to_owned());
        let text = told("qwen3-8b", many);
        assert!(
            text.starts_with("it offers `qwen/Qwen3-8B`, `other-0`") && text.ends_with("`other-8` and 11 more"),
            "{text}"
        );
        assert_eq!(told("a", names(2)), "it offers `other-0`, `other-1`");
        assert!(told("other-1", names(2)).contains("check the path"));
    }
}
