//! Calls to tools. The words of the user quote them, since no model could guess what a row's source has called:
//! `call tide {"at": 1} call wind {} then call tide {"at": 2}` are two steps, the first with two calls at once.

use serde_json::{Value, json};

use crate::conversation::{Dice, Question, Role, ToolCall};

/// The word before a call, and the one between two steps.
const CALL: &str = "call ";
const THEN: &str = "then";
/// The word of a user who wants the quoted calls and no others.
const EXACTLY: &str = "exactly";

/// Returns the calls of this question's answer: most of the time those that the user quotes, else others, as models make
/// them. `None` where the answer has words.
pub(super) fn play(question: &Question, key: &[u8]) -> Option<Vec<ToolCall>> {
    question.target.tools()?;
    let messages: Vec<_> = question.messages.iter().collect();
    let user = messages.iter().rposition(|message| message.role() == Role::User)?;
    let words = messages[user].content();
    let steps = steps(words);
    let made = messages[user + 1..].iter().filter(|message| !ToolCall::of(message).is_empty()).count();
    let mut dice = Dice::new("simulated calls", key);
    let mut calls = steps.get(made).cloned().unwrap_or_default();
    if !words.contains(EXACTLY) {
        vary(&mut calls, &steps, &mut dice);
    }
    for call in &mut calls {
        call.id = format!("{:09x}", dice.next_bits() >> 28);
    }
    Some(calls).filter(|calls| !calls.is_empty())
}

/// Makes other calls than those that are quoted, in a quarter of the answers.
fn vary(calls: &mut Vec<ToolCall>, steps: &[Vec<ToolCall>], dice: &mut Dice) {
    let chance = dice.below(100);
    let Some(first) = calls.first_mut() else {
        // Once more after the last step.
        if chance < 5 {
            calls.extend(steps.first().cloned().unwrap_or_default());
        }
        return;
    };
    match chance {
        0..5 => "nobody_knows".clone_into(&mut first.name),
        5..10 => first.arguments.truncate(first.arguments.char_indices().next_back().map_or(0, |(at, _)| at)),
        10..17 => first.arguments = json!({"other": dice.below(1000)}).to_string(),
        17..20 => {
            let again = first.clone();
            calls.push(again);
        }
        20..25 => calls.clear(),
        // The same calls, written in another way.
        25..40 => calls.reverse(),
        40..50 => {
            for call in calls {
                let value: Value = serde_json::from_str(&call.arguments).unwrap_or_default();
                call.arguments = format!("{value:#}");
            }
        }
        _ => {}
    }
}

/// Returns the calls that a text quotes, step by step.
fn steps(text: &str) -> Vec<Vec<ToolCall>> {
    let (mut steps, mut rest) = (vec![Vec::new()], text);
    while let Some((before, after)) = rest.split_once(CALL) {
        let is_next = before.split_whitespace().any(|word| word == THEN);
        if is_next && steps.last().is_some_and(|step: &Vec<ToolCall>| !step.is_empty()) {
            steps.push(Vec::new());
        }
        let Some((call, left)) = quoted(after) else {
            rest = after;
            continue;
        };
        steps.last_mut().expect("there is a step").push(call);
        rest = left;
    }
    steps.retain(|step| !step.is_empty());
    steps
}

fn quoted(text: &str) -> Option<(ToolCall, &str)> {
    let (name, arguments) = text.split_once(' ')?;
    let arguments = arguments.trim_start();
    let mut values = serde_json::Deserializer::from_str(arguments).into_iter::<Value>();
    values.next()?.ok().filter(Value::is_object)?;
    let (own, left) = arguments.split_at(values.byte_offset());
    Some((ToolCall { id: String::new(), name: name.to_owned(), arguments: own.to_owned() }, left))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quoted_in(text: &str) -> Vec<Vec<String>> {
        let names = |step: &Vec<ToolCall>| step.iter().map(|call| format!("{}{}", call.name, call.arguments)).collect();
        steps(text).iter().map(names).collect()
    }

    #[test]
    fn quoted_calls_are_read_step_by_step() {
        let text = "Please call tide {\"at\": 1} and call wind {}, then call tide {\"at\": {\"b\": 2}}. Then call me.";
        assert_eq!(quoted_in(text), [vec!["tide{\"at\": 1}", "wind{}"], vec!["tide{\"at\": {\"b\": 2}}"]]);
        for text in ["", "I call this a kite {1}", "call tide {broken", "call tide [1]"] {
            assert!(quoted_in(text).is_empty(), "{text}");
        }
    }
}
