use std::sync::{Arc, LazyLock};

use serde_json::{Value, json};

use super::super::fill::fill;
use super::super::object::{object_with, tolerant_object_with};
use super::card_text::text_of;
use super::copied::Copied;
use crate::conversation::{Answer, AnswerSchema, Fence};
use crate::quality::RulesVersion;

/// The goal of a simulated user: a card that a model writes once, from the messages of the source's user.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Goal {
    /// The user's intent.
    pub intent: String,
    /// Facts that the user knows and may mention.
    pub facts: Vec<String>,
    /// Details that the user has not mentioned yet, and mentions one at a time.
    pub constraints: Vec<String>,
    /// How the user writes.
    pub style: String,
}

/// The form that [`Goal::request`] describes.
static SCHEMA: LazyLock<Arc<AnswerSchema>> = LazyLock::new(|| {
    let texts = || AnswerSchema::list(&AnswerSchema::text());
    let style = AnswerSchema::object(&[
        ("length", AnswerSchema::one_of(&["short", "medium", "long"])),
        ("typos", AnswerSchema::one_of(&["none", "some", "many"])),
        ("language", AnswerSchema::text()),
    ]);
    let fields =
        [("intent", AnswerSchema::text()), ("facts_known", texts()), ("hidden_constraints", texts()), ("style", style)];
    Arc::new(AnswerSchema::new("card", &fields))
});

const FACTS_MAX: usize = 5;
const CONSTRAINTS_MAX: usize = 3;
/// The maximum length of an entry of a card.
const ENTRY_CHARACTERS_MAX: usize = 400;

impl Goal {
    /// Returns the request for a card; `complaint` says what was wrong with an earlier one.
    pub(super) fn request(version: RulesVersion, said: &[&str], complaint: Option<&str>) -> String {
        let fence = Fence::new(said.iter().copied(), 0);
        let said: Vec<String> = said.iter().map(|text| fence.around("user", text)).collect();
        let (number, said) = (fence.number().to_string(), said.join("\n\n"));
        let request = fill(text_of(version), &[("number", &number), ("said", &said)]);
        match complaint.filter(|_| version > RulesVersion::First) {
            Some(complaint) => format!("{request}\n\nAn earlier reply to this could not be used: {complaint}."),
            None => request,
        }
    }

    /// Returns the schema of a card.
    pub fn schema() -> Arc<AnswerSchema> {
        Arc::clone(&SCHEMA)
    }

    /// Reads a card about a user who has said this: the last JSON object of the answer with an intent. Longer lists are cut.
    /// Fails with the reason. The first version takes words of the request, too.
    pub(super) fn read(version: RulesVersion, answer: &Answer, said: &[&str]) -> Result<Self, &'static str> {
        const NO_CARD: &str = "there is no JSON object with an intent";
        if !answer.is_whole() {
            return Err("it is not whole");
        }
        if version == RulesVersion::First {
            return object_with(&["intent"], answer.text()).and_then(|value| Self::from_json(&value)).ok_or(NO_CARD);
        }
        let value = tolerant_object_with(&["intent"], answer.text()).ok_or(NO_CARD)?;
        let mut goal = Self::from_json(&value).ok_or("the intent is no sentence, or a long one")?;
        let is_copied = |entry: &str| Copied::of(entry).is_from(said);
        if is_copied(&goal.intent) {
            return Err(
                "the intent repeats words of the messages or of the task; say in your own words what this person wants",
            );
        }
        goal.facts.retain(|fact| !is_copied(fact));
        goal.constraints.retain(|constraint| !is_copied(constraint));
        Ok(goal)
    }

    /// Reads a card as rows hold it, or as a model has written it.
    pub fn from_json(value: &Value) -> Option<Self> {
        let entry = |value: &Value| {
            let text = value.as_str()?.trim();
            (!text.is_empty() && text.chars().count() <= ENTRY_CHARACTERS_MAX).then(|| text.to_owned())
        };
        let list = |name: &str, most: usize| -> Vec<String> {
            value[name].as_array().into_iter().flatten().filter_map(entry).take(most).collect()
        };
        let style = match &value["style"] {
            Value::Object(style) => {
                let words = style.iter().filter_map(|(name, value)| Some(format!("{name}: {}", entry(value)?)));
                words.collect::<Vec<_>>().join(", ")
            }
            other => entry(other).unwrap_or_default(),
        };
        Some(Self {
            intent: entry(&value["intent"])?,
            facts: list("facts_known", FACTS_MAX),
            constraints: list("hidden_constraints", CONSTRAINTS_MAX),
            style,
        })
    }

    /// Returns the card as rows hold it.
    pub fn to_json(&self) -> Value {
        json!({
            "intent": self.intent, "facts_known": self.facts, "hidden_constraints": self.constraints, "style": self.style,
        })
    }
}
