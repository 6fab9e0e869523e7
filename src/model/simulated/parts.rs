//! The roles that this program's own prompts give to a model: judge, user, grader, editor. Each prompt is recognised by
//! its wording.

use serde_json::{Value, json};

use super::words::{is_chinese, topics};
use crate::conversation::{Dice, Fence, Flaw, KnownAnswer, Message, Question, Role};

/// Returns the reply of the role that a question gives; `None` if it gives none.
pub(super) fn play(question: &Question, dice: &mut Dice) -> Option<String> {
    judge(question).or_else(|| grader(question)).or_else(|| editor(question)).or_else(|| user(question, dice))
}

/// The quality of an answer: a function of its text alone, from 0 to 99.
fn merit(text: &str) -> usize {
    Dice::new("merit", text.as_bytes()).below(100)
}

/// Returns the grade of an answer; unless the answer is good, it lists one error that quotes a sentence.
fn grader(question: &Question) -> Option<String> {
    let prompt = question.messages.first()?.content();
    let answer = Fence::within(prompt, "answer").filter(|_| prompt.starts_with("You grade one answer"))?;
    let score = 1 + merit(answer) / 10;
    let sentences: Vec<&str> =
        answer.split(['.', '。', '\n']).map(str::trim).filter(|sentence| !sentence.is_empty()).collect();
    let mut dice = Dice::new("flaw", answer.as_bytes());
    let quote = sentences.get(dice.below(sentences.len())).copied().unwrap_or(answer);
    let fix =
        if is_chinese(answer) { "这一点要先核对再说" } else { "This holds only once it has been checked" };
    let error = json!({"quote": quote, "type": Flaw::KINDS[dice.below(Flaw::KINDS.len())], "fix": fix});
    let verdict = match score {
        8.. => "keep",
        4.. => "revise",
        _ => "rewrite",
    };
    let errors = if score >= 8 { Vec::new() } else { vec![error] };
    Some(json!({"score": score, "errors": errors, "verdict": verdict}).to_string())
}

/// Returns an answer with its errors fixed: each quote is replaced by its fix.
fn editor(question: &Question) -> Option<String> {
    let prompt = question.messages.first()?.content();
    let answer = Fence::within(prompt, "answer").filter(|_| prompt.contains("with as few changes as possible"))?;
    let errors = Fence::within(prompt, "errors")?.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let fixed = errors.fold(answer.to_owned(), |text, error| {
        let of = |name: &str| error[name].as_str().unwrap_or_default().to_owned();
        text.replacen(&of("quote"), &of("fix"), 1)
    });
    Some(fixed)
}

/// Returns a judge's reply if the question is one of this program's own judge prompts. The verdict depends only on the
/// answers' text, so it is the same in both orders.
fn judge(question: &Question) -> Option<String> {
    let asks = |message: &&std::sync::Arc<Message>| message.content().contains("in double square brackets");
    // Nothing comes before a judge's prompt but a system message.
    let prompt = question.messages.iter().take(2).find(asks)?.content();
    // The answers of controls are known to it, so that a trial shows what a judge that can be trusted looks like.
    let known = Fence::within(prompt, "user").and_then(KnownAnswer::to);
    let of = |label: &str| {
        Fence::within(prompt, label).map(|answer| known.map_or_else(|| merit(answer), |known| worth(known, answer)))
    };
    let said = if let Some((a, b)) = of("assistant_a").zip(of("assistant_b")) {
        match a.abs_diff(b) {
            0..10 => "C".to_owned(),
            _ if a > b => "A".to_owned(),
            _ => "B".to_owned(),
        }
    } else {
        let merit = of("assistant")?;
        match () {
            () if prompt.contains("[[YES]]") || prompt.contains("the word YES") => match known {
                Some(_) => {
                    if merit > 50 {
                        "YES"
                    } else {
                        "NO"
                    }
                }
                None => {
                    if merit < 70 {
                        "YES"
                    } else {
                        "NO"
                    }
                }
            }
            .to_owned(),
            () if prompt.contains("from 1 to 5") => (1 + merit / 20).to_string(),
            () => (1 + merit / 10).to_string(),
        }
    };
    Some(format!("I have looked at what was asked for and at what was answered.\n\n[[{said}]]"))
}

/// Returns the quality of an answer to a question whose right answer is known.
fn worth(known: &KnownAnswer, answer: &str) -> usize {
    if answer == known.right { 99 } else { 0 }
}

/// Returns a user's reply if the question is one of this program's own prompts for simulated users: the card with the
/// goal, or the next message.
fn user(question: &Question, dice: &mut Dice) -> Option<String> {
    let first = question.messages.first()?;
    if first.content().contains("Describe this user as a card") {
        let said = Fence::within(first.content(), "user")?;
        let topics = topics(said, is_chinese(said));
        let topic = |at: usize| topics.get(at).map_or("it", String::as_str);
        let card = json!({
            "intent": topic(0), "facts_known": [topic(1)], "hidden_constraints": [topic(2)],
            "style": {"length": "short", "typos": "none"},
        });
        return Some(card.to_string());
    }
    if first.role() != Role::System || !first.content().starts_with("You play a user") {
        return None;
    }
    let own = question.messages.iter().find(|message| message.role() == Role::Assistant)?;
    let heard = question.messages.last()?.content();
    let heard = heard.rsplit_once("\n\n(").map_or(heard, |(heard, _)| heard);
    let is_chinese = is_chinese(own.content());
    let topics = topics(heard, is_chinese);
    let questions: &[&str] = if is_chinese { &QUESTIONS_ZH } else { &QUESTIONS };
    let topic = |dice: &mut Dice| topics.get(dice.below(topics.len())).map_or("it", String::as_str).to_owned();
    let (one, other) = (topic(dice), topic(dice));
    Some(questions[dice.below(questions.len())].replacen("{}", &one, 1).replacen("{}", &other, 1))
}

const QUESTIONS: [&str; 8] = [
    "Why does {} matter so much, and not {}?",
    "I tried {} before and it failed. Would {} have helped?",
    "What do you mean by {}?",
    "Could you say that without {}, in two sentences about {}?",
    "I am not sure about {}. Is there a source for what you say on {}?",
    "Fine, but how do I begin with {}?",
    "Give me an example of {} from daily life, please.",
    "And what becomes of {} when there is no {}?",
];
const QUESTIONS_ZH: [&str; 6] = [
    "那{}和{}有什么关系呢？",
    "我之前试过{}，没有效果，怎么办？",
    "您说的{}具体是什么意思？",
    "能不能用简单的话再讲一下{}？",
    "如果没有{}，{}还有用吗？",
    "请再举一个关于{}的例子。",
];
