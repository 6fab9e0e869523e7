use std::collections::{BTreeMap, HashSet};

use serde::Serialize;

use super::replies::RepliesReport;
use super::words::{counted, list, money, number};
use crate::conversation::{Answer, Price, Reading};

/// The results of a simulation: a fold over conversations in the order of their rows.
#[derive(Clone, Debug, Default, Serialize)]
pub struct SimulationReport {
    /// The version of this schema.
    pub schema: u32,
    /// Why the figures cannot be trusted, where that is so.
    pub incomplete: Vec<String>,
    /// Conversations that have ended or have a good turn.
    pub conversations: u64,
    /// The number of conversations by number of answered turns.
    pub lengths: BTreeMap<u32, u64>,
    /// Why conversations ended: `max_turns`, `user_stop`, `user_invalid`, `teacher_rejected`, `context`, `budget`, `failed`, `unasked`.
    pub ends: BTreeMap<String, u64>,
    /// Conversations whose end is not known: they were capped, or a server has refused them.
    #[serde(skip)]
    pub open: u64,
    /// The same with the fault that led to it.
    pub reasons: BTreeMap<String, u64>,
    /// Moves of the simulated users.
    pub moves: BTreeMap<&'static str, u64>,
    /// The faults of rejected simulated messages.
    pub rejected: BTreeMap<&'static str, u64>,
    /// Goal cards that could not be read.
    pub goals_unread: u64,
    /// The form of the replies with goal cards, and how they were read.
    pub cards: RepliesReport,
    /// The source's user messages.
    pub source: UserWords,
    /// The simulated ones.
    pub simulated: UserWords,
    /// Share of simulated messages that use a word of the answer before that their user had not used: of five letters or more,
    /// or two Chinese characters in a row.
    pub referring: Option<f64>,
    /// The usage and cost of each role.
    pub roles: BTreeMap<&'static str, RoleCost>,
    #[serde(skip)]
    referring_count: u64,
}

/// How users write.
#[derive(Clone, Debug, Default, Serialize)]
pub struct UserWords {
    /// Messages.
    pub messages: u64,
    /// Mean words of a message; a Chinese character is one.
    pub words_mean: Option<f64>,
    /// Different pairs of neighbouring words among all pairs (distinct-2: Li et al. 2016, arXiv 1510.03055).
    pub distinct_2: Option<f64>,
    #[serde(skip)]
    words: u64,
    #[serde(skip)]
    pairs: u64,
    #[serde(skip)]
    different: HashSet<u64>,
}

/// The usage and cost of one role.
#[derive(Clone, Debug, Default, Serialize)]
pub struct RoleCost {
    /// The requested model.
    pub model: String,
    /// Answers, rejected ones included; one that several conversations share counts once.
    pub answers: u64,
    /// Tokens of the prompts.
    pub prompt_tokens: u64,
    /// Tokens of the answers.
    pub completion_tokens: u64,
    /// Their cost, where the price is known.
    pub cost: Option<f64>,
}

/// The classes of ends that reports tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndClass {
    /// The recipe ended the conversation.
    Ended,
    /// The recipe ended it because the student's answers are unusable.
    Collapsed,
    /// The end is not known: the conversation was capped, or a server has refused it.
    Open,
}

/// A conversation that was simulated.
pub struct Told<'a> {
    /// How it ended.
    pub end: &'a str,
    /// The class of that end.
    pub class: EndClass,
    /// The same with the fault.
    pub reason: &'a str,
    /// Turns that are answered.
    pub turns: u32,
    /// The messages of the source's users.
    pub source: Vec<UserMessage<'a>>,
    /// Those of simulated users, with the answer before each.
    pub simulated: Vec<(UserMessage<'a>, &'a str)>,
    /// Their moves.
    pub moves: Vec<&'static str>,
    /// Faults of rejected messages.
    pub rejected: Vec<&'static str>,
    /// A card was asked for and not read.
    pub goal_unread: bool,
    /// How the card was read, if one was asked for.
    pub card: Option<Reading>,
}

/// A user's message, cut into words.
pub struct UserMessage<'a> {
    /// The text.
    pub text: &'a str,
    /// How many words it has; a Chinese character is one.
    pub words: u64,
    /// A hash of each pair of neighbouring words.
    pub pairs: Vec<u64>,
}

impl RoleCost {
    /// Makes an empty account.
    pub fn new(model: &str) -> Self {
        Self { model: model.to_owned(), ..Self::default() }
    }

    /// Adds an answer.
    pub fn add(&mut self, answer: &Answer, price: Option<&Price>) {
        self.answers += 1;
        self.prompt_tokens += answer.usage.prompt_tokens.unwrap_or(0);
        self.completion_tokens += answer.usage.completion_tokens.unwrap_or(0);
        if let Some(price) = price {
            *self.cost.get_or_insert_default() += price.cost(&answer.usage);
        }
    }

    /// Returns it in words.
    pub fn words(&self) -> String {
        let cost = self.cost.map_or(String::new(), |cost| format!(", {}", money(cost)));
        let (prompt, completion) = (number(self.prompt_tokens), number(self.completion_tokens));
        let answers = counted(self.answers, "answer");
        format!("{}: {answers}, {prompt} prompt tokens, {completion} completion tokens{cost}", self.model)
    }
}

impl UserWords {
    fn add(&mut self, message: &UserMessage<'_>) {
        self.messages += 1;
        self.words += message.words;
        self.pairs += message.pairs.len() as u64;
        self.different.extend(&message.pairs);
    }

    fn finish(&mut self) {
        self.words_mean = (self.messages > 0).then(|| self.words as f64 / self.messages as f64);
        self.distinct_2 = (self.pairs > 0).then(|| self.different.len() as f64 / self.pairs as f64);
    }

    fn line(&self) -> String {
        let mean = self.words_mean.map_or(String::new(), |mean| format!(", {mean:.1} words each"));
        let distinct = self.distinct_2.map_or(String::new(), |share| format!(", distinct-2 {share:.2}"));
        format!("{}{mean}{distinct}", counted(self.messages, "message"))
    }
}

impl SimulationReport {
    /// A report about these roles, before anything is counted.
    pub fn new(roles: BTreeMap<&'static str, RoleCost>) -> Self {
        Self { schema: 1, roles, ..Self::default() }
    }

    /// Counts a conversation.
    pub fn add(&mut self, told: &Told<'_>) {
        self.conversations += 1;
        *self.lengths.entry(told.turns).or_default() += 1;
        *self.ends.entry(told.end.to_owned()).or_default() += 1;
        self.open += u64::from(told.class == EndClass::Open);
        *self.reasons.entry(told.reason.to_owned()).or_default() += 1;
        told.moves.iter().for_each(|name| *self.moves.entry(name).or_default() += 1);
        told.rejected.iter().for_each(|rule| *self.rejected.entry(rule).or_default() += 1);
        self.goals_unread += u64::from(told.goal_unread);
        told.card.iter().for_each(|reading| self.cards.add(*reading));
        let mut own = HashSet::new();
        for message in &told.source {
            self.source.add(message);
            own.extend(telling(message.text));
        }
        for (message, heard) in &told.simulated {
            self.simulated.add(message);
            let said = telling(message.text);
            let heard = telling(heard);
            self.referring_count += u64::from(said.iter().any(|word| heard.contains(word) && !own.contains(word)));
            own.extend(said);
        }
    }

    /// Computes shares and means.
    pub fn finish(&mut self) {
        self.incomplete.extend(open_conversations(self.open, self.conversations));
        self.source.finish();
        self.simulated.finish();
        self.referring =
            (self.simulated.messages > 0).then(|| self.referring_count as f64 / self.simulated.messages as f64);
    }

    /// Returns the table for people.
    pub fn lines(&self) -> Vec<String> {
        let incomplete = self.incomplete.iter().map(|reason| format!("INCOMPLETE: {reason}"));
        let entries = self.entries().into_iter().map(|(name, text)| format!("  {name:<11}{text}"));
        incomplete.chain(entries).collect()
    }

    /// Returns the same as names and words.
    pub fn entries(&self) -> Vec<(&'static str, String)> {
        let lengths = self.lengths.iter().map(|(turns, count)| (counted(u64::from(*turns), "turn"), count));
        let referring = self.referring.map_or(String::new(), |share| format!(", {:.0} % refer back", share * 100.0));
        let goals = match self.goals_unread {
            0 => String::new(),
            unread => format!("{} could not be read", number(unread)),
        };
        let entries = [
            ("turns", list(lengths)),
            ("ended", list(&self.reasons)),
            ("moves", list(&self.moves)),
            ("source", self.source.line()),
            ("simulated", format!("{}{referring}", self.simulated.line())),
            ("rejected", list(&self.rejected)),
            ("goals", goals),
            ("cards", self.cards.words()),
        ];
        let roles = self.roles.iter().map(|(role, cost)| (*role, cost.words()));
        entries.into_iter().filter(|(_, text)| !text.is_empty()).chain(roles).collect()
    }
}

/// Returns a caution where the end of some conversations is not known.
pub(super) fn open_conversations(open: u64, all: u64) -> Option<String> {
    let all = number(all);
    (open > 0).then(|| format!("{} of {all} conversations did not finish", number(open)))
}

/// Returns the content words of a text.
fn telling(text: &str) -> HashSet<String> {
    const LETTERS_MIN: usize = 5;
    let is_han = |letter: &char| matches!(letter, '\u{4e00}'..='\u{9fff}');
    let words = text.split(|letter: char| !letter.is_alphanumeric() || is_han(&letter));
    let words = words.filter(|word| word.chars().count() >= LETTERS_MIN).map(str::to_lowercase);
    let letters: Vec<char> = text.chars().collect();
    let pairs = letters.windows(2).filter(|pair| pair.iter().all(is_han)).map(|pair| pair.iter().collect());
    words.chain(pairs).collect()
}
