//! A conversation as text for a terminal.

use std::fmt::Write as _;

use super::diff::{Mark, Piece};
use super::shown::{Fate, Shown, ShownAnswer, ShownOrigin, ShownTurn, ShownVerdict};

/// Returns a conversation as text. `with_differences` marks what changed: `[-old-]` and `{+new+}`. What a rule found is
/// between `>>` and `<<`.
pub fn show_text(shown: &Shown, with_differences: bool) -> String {
    let mut text = String::new();
    line(&mut text, "id", &shown.id);
    shown.key.iter().for_each(|key| line(&mut text, "key", key));
    shown.place.iter().for_each(|(file, row)| line(&mut text, "row", &format!("{file}:{row}")));
    let status = &shown.status;
    let turn = status.turn.map_or(String::new(), |turn| format!(" at turn {turn}"));
    let reason = status.reason.as_ref().map_or(String::new(), |reason| format!(": {reason}"));
    line(&mut text, "status", &format!("{}{turn}{reason}", status.name));
    if let Some(why) = &shown.unavailable {
        line(&mut text, "row", &format!("unavailable: {why}"));
    }
    shown.facts.iter().for_each(|(name, value)| line(&mut text, name, value));
    shown.turns.iter().for_each(|turn| show_turn(&mut text, turn, with_differences));
    shown.notes.iter().for_each(|note| show_note(&mut text, "whole conversation", note));
    text.trim_end().to_owned()
}

fn line(text: &mut String, name: &str, value: &str) {
    // Writing to a string does not fail.
    let _ = writeln!(text, "{name:<8} {value}");
}

fn show_turn(text: &mut String, turn: &ShownTurn, with_differences: bool) {
    for message in &turn.said {
        let simulated = message.simulated.as_ref().map_or(String::new(), |made| format!(", simulated: {made}"));
        block(text, &format!("turn {}, {}{simulated}", turn.number, message.role), &message.text);
        if let Some(fields) = &message.fields {
            let _ = writeln!(text, "    {fields}");
        }
    }
    if let Some(old) = &turn.old {
        block(text, &format!("turn {}, old answer", turn.number), &words(old, with_differences));
    }
    for answer in &turn.answers {
        block(text, &title(turn.number, answer), &words(&answer.pieces, with_differences));
        if let Some(fields) = &answer.fields {
            let _ = writeln!(text, "    {fields}");
        }
        answer.reasoning.iter().for_each(|reasoning| block(text, "  reasoning", reasoning));
        for verdict in &answer.judged {
            show_note(text, "  judged", verdict);
        }
        answer.origin.iter().for_each(|origin| {
            let _ = writeln!(text, "    ({})", provenance(origin));
        });
    }
    turn.notes.iter().for_each(|note| show_note(text, &format!("turn {}", turn.number), note));
}

fn show_note(text: &mut String, of: &str, note: &ShownVerdict) {
    let title = if note.title.is_empty() { String::new() } else { format!(": {}", note.title) };
    block(text, &format!("{of}, {}{title}", note.model), &note.text);
}

fn block(text: &mut String, title: &str, body: &str) {
    let _ = writeln!(text, "\n--- {title}");
    for line in body.lines() {
        let _ = writeln!(text, "    {line}");
    }
}

fn title(turn: u32, answer: &ShownAnswer) -> String {
    let whose = if answer.lane.is_empty() { "answer" } else { &answer.lane };
    let fate = match (answer.fate, &answer.rule) {
        (Fate::Kept, _) => "kept".to_owned(),
        (Fate::Rejected, Some(rule)) => format!("rejected by {rule}"),
        (Fate::Rejected, None) => "rejected".to_owned(),
        (Fate::Open, _) => "not decided".to_owned(),
    };
    let before = match &*answer.rejected_before {
        [] => String::new(),
        rules => format!(", rejected before by {}", rules.join(" ")),
    };
    let flags = if answer.flags.is_empty() { String::new() } else { format!(", flags {}", answer.flags.join(" ")) };
    let score = answer.score.map_or(String::new(), |score| format!(", score {score}"));
    format!("turn {turn}, {whose}, attempt {}: {fate}{before}{flags}{score}", answer.attempt)
}

fn words(pieces: &[Piece], with_differences: bool) -> String {
    let word = |piece: &Piece| match piece.mark {
        Mark::Removed if with_differences => format!("[-{}-]", piece.text),
        Mark::Added if with_differences => format!("{{+{}+}}", piece.text),
        Mark::Found => format!(">>{}<<", piece.text),
        _ => piece.text.clone(),
    };
    pieces.iter().map(word).collect()
}

fn provenance(origin: &ShownOrigin) -> String {
    let tokens = |name: &str, count: Option<u64>| count.map(|count| format!("{count} {name} tokens"));
    let cached = origin.cached_tokens.filter(|cached| *cached > 0).map(|cached| format!("{cached} of them cached"));
    let parts = [
        Some(origin.model.clone()),
        Some(format!("finish {}", origin.finish)),
        tokens("prompt", origin.prompt_tokens),
        cached,
        tokens("answer", origin.completion_tokens),
        (origin.sent > 1).then(|| format!("sent {} times", origin.sent)),
        origin.run.map(|run| format!("run {run}")),
        (!origin.dropped.is_empty()).then(|| format!("not sent: {}", origin.dropped.join(", "))),
    ];
    parts.into_iter().flatten().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", ")
}
