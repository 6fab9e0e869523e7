use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::conversation::{
    Answer, Dialogue, Line, LineTokens, Record, Rejected, Seed, ServiceTier, TurnIndex, free_name,
};

/// Returns a finished dialogue as a record.
///
/// `meta` holds the source row's other columns, and under `turns` the metadata of each answer. A source column called
/// `turns` becomes `source_turns`. `stopped` is the reason for which a conversation was cut.
pub fn dialogue_record(seed: &Seed, dialogue: &Dialogue, stopped: Option<&str>) -> Record {
    dialogue_record_with(seed, dialogue, stopped, &mut |_| None)
}

/// Returns the same with the tokens of its answers. `tokens` finds them; it is called for each answer, in order.
pub fn dialogue_record_with(
    seed: &Seed,
    dialogue: &Dialogue,
    stopped: Option<&str>,
    tokens: &mut dyn FnMut(&Answer) -> Option<Arc<LineTokens>>,
) -> Record {
    let lines = dialogue.spoken.iter().map(|spoken| match &spoken.answer {
        Some(answer) => Line { message: Arc::clone(&spoken.message), tokens: tokens(answer), ..answer_line(answer) },
        None => Line::context(Arc::clone(&spoken.message)),
    });
    let mut meta = dialogue_meta(seed, dialogue);
    if let Some(reason) = stopped {
        set_own(&mut meta, "stopped", reason.into());
    }
    Record { id: seed.id.clone(), lines: lines.collect(), tools: seed.tools.clone(), meta, ..Record::default() }
}

/// Returns a preference pair for each rejected attempt at a turn that has a good answer: the dialogue up to the good
/// answer, with the attempt as the rejected one. Incomplete attempts and identical texts are left out.
pub fn dialogue_pairs(seed: &Seed, dialogue: &Dialogue) -> Vec<Record> {
    let answers = dialogue.spoken.iter().enumerate().filter(|(_, spoken)| spoken.answer.is_some());
    let ends: Vec<usize> = answers.map(|(at, _)| at + 1).collect();
    let whole = dialogue_record(seed, dialogue, None);
    let has_worse = |rejected: &&Rejected| rejected.answer.is_whole() && !rejected.answer.text().trim().is_empty();
    // Of several scored answers only the worst is paired with the best, for the largest margin.
    let is_worst = |rejected: &Rejected| {
        let others = dialogue.rejected.iter().filter(|other| other.turn == rejected.turn && other.score.is_some());
        let worst = others.reduce(|worst, other| if other.score < worst.score { other } else { worst });
        worst.is_none_or(|worst| rejected.score.is_none() || worst.attempt == rejected.attempt)
    };
    let pairs =
        dialogue.rejected.iter().filter(has_worse).filter(|rejected| is_worst(rejected)).filter_map(|rejected| {
            let end = *rejected.turn.item_of(&ends)?;
            let margin = match (dialogue.spoken[end - 1].score, rejected.score) {
                (Some(best), Some(worse)) => Some(best - worse),
                _ => None,
            };
            // Answers of equal score do not make a pair.
            if margin.is_some_and(|margin| margin <= 0.0) {
                return None;
            }
            let (answer, better) = (&rejected.answer, &whole.lines[..end]);
            if better.last().map(Line::text) == Some(answer.text()) {
                return None;
            }
            let (turn, attempt) = (rejected.turn, rejected.attempt + 1);
            let mut pair = Record {
                id: format!("{}#{turn}.{attempt}", seed.id),
                lines: better.to_vec(),
                tools: whole.tools.clone(),
                meta: whole.meta.clone(),
                rejected: Some(answer_line(answer)),
                ..Record::default()
            };
            set_own(&mut pair.meta, "rejected_by", rejected.rule.into());
            if let Some(margin) = margin {
                set_own(&mut pair.meta, "margin", margin.into());
            }
            Some(pair)
        });
    pairs.collect()
}

fn dialogue_meta(seed: &Seed, dialogue: &Dialogue) -> Map<String, Value> {
    let mut meta = seed.columns.clone();
    let spoken = dialogue.spoken.iter().filter_map(|spoken| Some((spoken, spoken.answer.as_deref()?)));
    let turns = (0..).map(TurnIndex::from_index).zip(spoken).map(|(at, (spoken, answer))| {
        let mut turn = answer_facts(answer);
        if !answer.dropped.is_empty() {
            turn["dropped"] = answer.dropped.clone().into();
        }
        if answer.usage.tier == ServiceTier::Flex {
            turn["service_tier"] = ServiceTier::FLEX.into();
        }
        if !dialogue.drawn.is_empty() {
            turn["drawn"] = dialogue.drawn.iter().map(|(name, value)| (name.to_owned(), value.clone())).collect();
        }
        if !spoken.flags.is_empty() {
            turn["flags"] = spoken.flags.clone().into();
        }
        if let Some(score) = spoken.score {
            turn["score"] = score.into();
        }
        let rejected = dialogue.rejected.iter().filter(|rejected| rejected.turn == at);
        let rules: Vec<&str> = rejected.map(|rejected| rejected.rule).collect();
        if !rules.is_empty() {
            turn["rejected"] = rules.into();
        }
        turn
    });
    set_own(&mut meta, "turns", turns.collect());
    meta
}

/// Returns an answer as a trained line.
pub(super) fn answer_line(answer: &Answer) -> Line {
    Line { reasoning: answer.reasoning.clone(), is_trained: true, ..Line::context(Arc::clone(&answer.message)) }
}

/// Returns the source row's other columns, and the tools that nobody was offered.
pub(super) fn source_columns(seed: &Seed) -> Map<String, Value> {
    let mut columns = seed.columns.clone();
    if let Some(turns) = columns.shift_remove("turns") {
        insert_free(&mut columns, "source_turns", turns);
    }
    if let Some(tools) = &seed.tools {
        insert_free(&mut columns, "tools", tools.to_value());
    }
    columns
}

/// Sets what this program has to say. A column of the source with that name becomes `source_NAME`.
fn set_own(meta: &mut Map<String, Value>, name: &str, value: Value) {
    if let Some(source) = meta.shift_remove(name) {
        insert_free(meta, &format!("source_{name}"), source);
    }
    meta.insert(name.to_owned(), value);
}

/// Inserts a value under a name that is not taken.
fn insert_free(meta: &mut Map<String, Value>, name: &str, value: Value) {
    meta.insert(free_name(meta, name), value);
}

fn answer_facts(answer: &Answer) -> Value {
    json!({
        "finish_reason": answer.finish.name(),
        "model": answer.model,
        "prompt_tokens": answer.usage.prompt_tokens,
        "completion_tokens": answer.usage.completion_tokens,
        "attempts": answer.attempts,
    })
}
