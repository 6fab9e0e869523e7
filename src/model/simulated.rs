use super::{Asking, Call, Model};
use crate::conversation::{Answer, Dice, Fence, Finish, Message, Question, Role, Usage, estimate_tokens};

/// A model that needs no server: plausible words, chosen by a hash of everything that is asked.
///
/// The same question gives the same answer on every machine; another history, temperature or sample index
/// gives another. For trying the program, for tests and for load.
#[derive(Clone, Copy, Debug, Default)]
pub struct Simulated;

impl Simulated {
    /// The dialect's name in fingerprints: its answers are nobody else's.
    pub const DIALECT: &'static str = "simulated";

    /// Returns the answer to `question`.
    pub fn answer(question: &Question, attempt: u32) -> Answer {
        let mut dice = Dice::new("simulated", &key(question));
        let prompt = question.messages.iter().rev().find(|message| message.role() == Role::User);
        let prompt = prompt.map_or("", |message| message.content());
        let full = ruling(question).or_else(|| role_play(question, &mut dice));
        let full = full.unwrap_or_else(|| compose(prompt, &mut dice));
        let limit = question.target.sampling().max_tokens.map_or(usize::MAX, |limit| limit as usize);
        let (text, cut) = cut_to_tokens(&full, limit);
        let prompt_tokens = question.messages.iter().map(|message| estimate_tokens(message.content()) + 4).sum();
        Answer {
            message: Message::new(Role::Assistant, text),
            reasoning: None,
            finish: if cut { Finish::Length } else { Finish::Complete },
            finish_reason: if cut { "length" } else { "stop" }.to_owned(),
            model: question.target.model().to_owned(),
            system_fingerprint: None,
            usage: Usage {
                prompt_tokens: Some(prompt_tokens),
                cached_tokens: None,
                completion_tokens: Some(token_ends(text).count() as u64),
                reasoning_tokens: None,
            },
            attempts: attempt,
        }
    }
}

impl Model for Simulated {
    fn ask<'a>(&'a self, call: Call<'a>) -> Asking<'a> {
        Box::pin(std::future::ready(Ok(Self::answer(call.question, call.attempt)).into()))
    }
}

/// Returns what a judge says, where the question is one of this program's own prompts for judges: a verdict that depends on
/// nothing but the words of the answers, so that it is the same in both orders.
fn ruling(question: &Question) -> Option<String> {
    let asks = |message: &&std::sync::Arc<Message>| message.content().contains("in double square brackets");
    let prompt = question.messages.iter().find(asks)?.content();
    let merit = |text: &str| Dice::new("merit", text.as_bytes()).below(100);
    let of = |label: &str| Fence::within(prompt, label).map(merit);
    let said = if let Some((a, b)) = of("assistant_a").zip(of("assistant_b")) {
        match a.abs_diff(b) {
            0..10 => "C".to_owned(),
            _ if a > b => "A".to_owned(),
            _ => "B".to_owned(),
        }
    } else {
        let merit = of("assistant")?;
        match () {
            () if prompt.contains("[[YES]]") => if merit < 70 { "YES" } else { "NO" }.to_owned(),
            () if prompt.contains("from 1 to 5") => (1 + merit / 20).to_string(),
            () => (1 + merit / 10).to_string(),
        }
    };
    Some(format!("I have looked at what was asked for and at what was answered.\n\n[[{said}]]"))
}

/// Returns what a user says, where the question is one of this program's own prompts for models that play one: the card with its
/// goal, or its next message.
fn role_play(question: &Question, dice: &mut Dice) -> Option<String> {
    let first = question.messages.first()?;
    if first.content().contains("Describe this user as a card") {
        let said = Fence::within(first.content(), "user")?;
        let topics = topics(said, is_chinese(said));
        let topic = |at: usize| topics.get(at).map_or("it", String::as_str);
        let card = serde_json::json!({
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

fn is_chinese(text: &str) -> bool {
    text.chars().any(|character| matches!(character, '\u{4e00}'..='\u{9fff}'))
}

/// Everything that may change the answer and is visible on the wire, so that the built-in model and the mock
/// server say the same.
fn key(question: &Question) -> Vec<u8> {
    let mut key = question.target.model().as_bytes().to_vec();
    key.extend_from_slice(format!("{:?}{}", question.target.sampling(), question.sample).as_bytes());
    question.messages.iter().for_each(|message| key.extend_from_slice(&message.digest().0));
    key
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
const OPENINGS: [&str; 6] = [
    "There are a few ways to look at this.",
    "Let us take it step by step.",
    "The short answer is yes, with one condition.",
    "Here is what matters most.",
    "It depends on what you want to achieve.",
    "That is worth a careful answer.",
];
const SENTENCES: [&str; 8] = [
    "First, look at {}, because everything else follows from it.",
    "In practice {} turns out to be simpler than it sounds.",
    "Many people overlook {}, and pay for it later.",
    "If you compare it with {}, the difference becomes clear.",
    "A small example with {} shows the idea.",
    "What you said about {} points in the right direction.",
    "You can check {} yourself within a few minutes.",
    "Keep {} in mind for the next step.",
];
const CLOSINGS: [&str; 4] = [
    "Tell me which part you want to go into.",
    "That should be enough to begin with.",
    "Try it and see how far it carries.",
    "Everything beyond that is detail.",
];
const OPENINGS_ZH: [&str; 4] =
    ["可以从几个方面来看。", "我们一步一步来。", "简单地说，可以，但有一个条件。", "最重要的是下面几点。"];
const SENTENCES_ZH: [&str; 6] = [
    "首先要注意{}，其余的都由此而来。",
    "实际上{}比听起来简单。",
    "很多人忽略了{}，后来才发现问题。",
    "如果和{}相比，区别就很清楚了。",
    "您提到的{}方向是对的。",
    "下一步请记住{}。",
];
const CLOSINGS_ZH: [&str; 3] = ["您想深入了解哪一部分？", "作为开始，这些已经够了。", "您可以先试一试。"];

/// Writes between two and twelve sentences about words of the prompt, in its script.
fn compose(prompt: &str, dice: &mut Dice) -> String {
    let is_chinese = is_chinese(prompt);
    let (openings, sentences, closings, gap): (&[&str], &[&str], &[&str], &str) = if is_chinese {
        (&OPENINGS_ZH, &SENTENCES_ZH, &CLOSINGS_ZH, "")
    } else {
        (&OPENINGS, &SENTENCES, &CLOSINGS, " ")
    };
    let topics = topics(prompt, is_chinese);
    let mut text = openings[dice.below(openings.len())].to_owned();
    for _ in 0..=dice.below(10) {
        let sentence = sentences[dice.below(sentences.len())];
        let topic = topics.get(dice.below(topics.len())).map_or("it", String::as_str);
        text.push_str(gap);
        text.push_str(&sentence.replace("{}", topic));
    }
    text.push_str(gap);
    text.push_str(closings[dice.below(closings.len())]);
    text
}

fn topics(prompt: &str, is_chinese: bool) -> Vec<String> {
    const TOPICS_MAX: usize = 24;
    if is_chinese {
        let han: Vec<char> =
            prompt.chars().filter(|c| matches!(c, '\u{4e00}'..='\u{9fff}')).take(TOPICS_MAX * 2).collect();
        return han.chunks(2).map(|pair| pair.iter().collect()).collect();
    }
    let words = prompt.split(|c: char| !c.is_alphanumeric()).filter(|word| word.len() > 3);
    words.take(TOPICS_MAX).map(str::to_lowercase).collect()
}

/// Returns where each token of `text` ends: a token is a word with the space after it, or one Han character.
pub fn token_ends(text: &str) -> impl Iterator<Item = usize> {
    let mut characters = text.char_indices().peekable();
    std::iter::from_fn(move || {
        loop {
            let (at, character) = characters.next()?;
            let end = at + character.len_utf8();
            let ends_here = character.is_whitespace() || character as u32 >= 0x2e80;
            if ends_here || characters.peek().is_none() {
                return Some(end);
            }
        }
    })
}

fn cut_to_tokens(text: &str, limit: usize) -> (&str, bool) {
    match token_ends(text).take(limit.saturating_add(1)).enumerate().last() {
        Some((index, _)) if index >= limit => {
            let end = limit.checked_sub(1).and_then(|last| token_ends(text).nth(last)).unwrap_or(0);
            (&text[..end], true)
        }
        _ => (text, false),
    }
}
