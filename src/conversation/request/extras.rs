use super::choices::{BodyChoice, BodyChoices};
use super::error::BodyError;
use super::fields::BodyFields;
use super::reasoning::{Effort, Thinking};
use super::side_fields::is_side_field;
use super::temperatures::TemperatureChoice;
use crate::conversation::sampling::Sampling;

/// What may be asked of a model besides its sampling, as options give it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RequestOptions {
    /// Fields of the request's body.
    pub body: BodyFields,
    /// Whether the model reasons.
    pub thinking: Option<Thinking>,
    /// How much it reasons.
    pub effort: Option<Effort>,
    /// Fields whose values are drawn for each conversation.
    pub choices: BodyChoices,
    /// The temperatures of which one is drawn for each conversation.
    pub temperatures: TemperatureChoice,
    /// Further body fields that cannot change an answer, besides [`SIDE_FIELDS`](super::SIDE_FIELDS).
    pub side_fields: Vec<String>,
}

impl RequestOptions {
    /// Moves body fields that have an option of their own into `sampling`. Fails where both say different things.
    pub fn fold_into(&mut self, sampling: &mut Sampling) -> Result<(), BodyError> {
        let (own, body, side) = std::mem::take(&mut self.body).split(is_side_field)?;
        self.body = body.merged(&side);
        let names = ["temperature", "top_p", "max_tokens", "seed"];
        for ((name, given), own) in names.into_iter().zip(sampling.as_words()).zip(own.as_words()) {
            if let Some((given, own)) = given.zip(own).filter(|(given, own)| given != own) {
                let option = format!("{} = {given}", name.replace('_', "-"));
                return Err(BodyError::contradiction(option, format!("the body field `{name}` = {own}")));
            }
        }
        *sampling = own.or(sampling.clone());
        match sampling.temperature.filter(|_| !self.temperatures.is_empty()) {
            Some(fixed) => {
                let choice = format!("temperature-choice = {}", self.temperatures);
                Err(BodyError::contradiction(choice, format!("temperature = {fixed}")))
            }
            None => Ok(()),
        }
    }

    /// Returns these options with `base` for what they do not set. Objects in the body are merged.
    #[must_use]
    pub fn or(&self, base: &RequestOptions) -> Self {
        let mut choices = self.choices.clone();
        // A field that one of the two sets is not drawn by the other.
        let is_free = |choice: &&BodyChoice| {
            let is_drawn = self.choices.0.iter().any(|own| own.field == choice.field);
            !is_drawn && self.body.get(&choice.field).is_none()
        };
        choices.0.extend(base.choices.0.iter().filter(is_free).cloned());
        Self {
            body: base.body.clone().merged(&self.body),
            thinking: self.thinking.or(base.thinking),
            effort: self.effort.clone().or_else(|| base.effort.clone()),
            choices,
            temperatures: if self.temperatures.is_empty() { &base.temperatures } else { &self.temperatures }.clone(),
            side_fields: self.side_fields.iter().chain(&base.side_fields).cloned().collect(),
        }
    }
}

/// What a request holds besides messages and sampling. Empty for most questions.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Extras {
    /// Body fields that may change the answer.
    pub body: BodyFields,
    /// Body fields that cannot. They are sent and are not part of the identity.
    pub side: BodyFields,
    /// Whether the model reasons.
    pub thinking: Option<Thinking>,
    /// How much it reasons.
    pub effort: Option<Effort>,
    /// Fields that are still to be drawn. A question that is asked has none.
    pub choices: BodyChoices,
    /// Temperatures of which one is still to be drawn; it takes the place of the sampling's.
    pub temperatures: TemperatureChoice,
}

impl Extras {
    /// Sorts options by their meaning. Fields with an option of their own must have been folded into the sampling.
    pub fn new(options: RequestOptions) -> Result<Self, BodyError> {
        let RequestOptions { body, thinking, effort, choices, temperatures, side_fields } = options;
        let (_, body, side) =
            body.split(|name| is_side_field(name) || side_fields.iter().any(|field| field == name))?;
        let extras = Self { body, side, thinking, effort, choices, temperatures };
        for choice in &extras.choices.0 {
            let field = &choice.field;
            if extras.body.get(field).or(extras.side.get(field)).is_some() {
                return Err(BodyError::contradiction(format!("body-choice {field}"), format!("a fixed `{field}`")));
            }
            // Their further attempts change them, and a budget relies on the limit.
            let mut one = BodyFields::default();
            one.set(field, choice.values[0].0.clone());
            if one.split(is_side_field)?.0 != Sampling::default() {
                let hint = "set it with its option; other body fields can be drawn";
                return Err(BodyError::Refused { field: field.clone(), hint });
            }
        }
        Ok(extras)
    }

    /// True if the user sets this field of the body, or has it drawn.
    pub fn sends(&self, field: &str) -> bool {
        self.body.get(field).or(self.side.get(field)).is_some()
            || self.choices.0.iter().any(|choice| choice.field == field)
    }

    /// True if the answer does not depend on anything here.
    pub fn is_plain(&self) -> bool {
        self.named().is_empty()
    }

    /// Returns what the answer depends on, by name, without what is not used. Its order is part of the identity.
    pub fn named(&self) -> Vec<(&'static str, String)> {
        let mut named = Vec::new();
        if !self.body.is_empty() {
            named.push(("body", self.body.canonical()));
        }
        named.extend(self.thinking.map(|thinking| ("thinking", thinking.to_string())));
        named.extend(self.effort.as_ref().map(|effort| ("effort", effort.to_string())));
        if !self.choices.0.is_empty() {
            named.push(("body-choice", self.choices.to_string()));
        }
        if !self.temperatures.is_empty() {
            named.push(("temperature-choice", self.temperatures.to_string()));
        }
        named
    }

    /// True where something is still to be drawn.
    pub(in crate::conversation) fn has_choices(&self) -> bool {
        !self.choices.0.is_empty() || !self.temperatures.is_empty()
    }

    /// Draws the value of every field that is still to be drawn, and returns what was drawn. `opening` identifies the
    /// conversation.
    pub(in crate::conversation) fn drawn(&self, opening: &[u8]) -> (Self, BodyFields) {
        let mut drawn = BodyFields::default();
        let mut extras =
            Self { choices: BodyChoices::default(), temperatures: TemperatureChoice::default(), ..self.clone() };
        for choice in &self.choices.0 {
            let is_side = choice.field.split('.').next().is_some_and(is_side_field);
            let fields = if is_side { &mut extras.side } else { &mut extras.body };
            let value = choice.draw(opening);
            fields.set(&choice.field, value.clone());
            drawn.set(&choice.field, value.clone());
        }
        (extras, drawn)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn extras(body: &str, thinking: Option<Thinking>, effort: Option<&str>, choices: &str) -> Extras {
        let options = RequestOptions {
            body: body.parse().unwrap(),
            thinking,
            effort: effort.map(|level| level.parse().unwrap()),
            choices: if choices.is_empty() { BodyChoices::default() } else { choices.parse().unwrap() },
            temperatures: TemperatureChoice::default(),
            side_fields: vec!["trace".to_owned()],
        };
        Extras::new(options).unwrap()
    }

    /// Fingerprints hold these names and values, in this order.
    #[test]
    fn what_the_answer_depends_on_is_named_in_its_order() {
        let named = |extras: &Extras| {
            let named = extras.named().into_iter().map(|(name, value)| format!("{name} {value}"));
            named.collect::<Vec<_>>()
        };
        let none = extras(r#"{"trace": 1}"#, None, None, "");
        assert!(named(&none).is_empty() && none.is_plain());
        let all = extras(r#"{"top_k": 20.0}"#, Some(Thinking::Off), Some("high"), "x=1:1,2:1");
        assert_eq!(named(&all), [r#"body {"top_k":20}"#, "thinking off", "effort high", "body-choice x=1:1,2:1"]);
        assert!(!all.is_plain());
        let (drawn, values) = all.drawn(b"opening");
        let value = values.get("x").cloned();
        assert!(drawn.choices.0.is_empty() && value.is_some() && drawn.body.get("x") == value.as_ref());
        assert_eq!(drawn.body.get("top_k"), all.body.get("top_k"));
    }

    #[test]
    fn a_temperature_is_fixed_or_drawn() {
        let options =
            |choice: &str| RequestOptions { temperatures: choice.parse().unwrap(), ..RequestOptions::default() };
        let (run, own) = (options("0.3:1,1.0:1"), options("0.5:1"));
        let fixed = Sampling { temperature: Some(0.3), ..Sampling::default() };
        let error = run.clone().fold_into(&mut fixed.clone()).unwrap_err();
        assert!(error.to_string().contains("temperature-choice = 0.3:1,1:1 and temperature = 0.3"), "{error}");
        let in_body = RequestOptions { body: r#"{"temperature": 0.3}"#.parse().unwrap(), ..run.clone() };
        assert!(in_body.clone().fold_into(&mut Sampling::default()).is_err());
        assert!(run.clone().fold_into(&mut Sampling::default()).is_ok());
        let whose = [own.or(&run), RequestOptions::default().or(&run)].map(|both| both.temperatures.to_string());
        assert_eq!(whose, ["0.5:1", "0.3:1,1:1"]);
        let extras = Extras::new(run).unwrap();
        assert_eq!(extras.named(), [("temperature-choice", "0.3:1,1:1".to_owned())]);
        assert!(!extras.is_plain() && extras.drawn(b"opening").0.is_plain());
    }

    #[test]
    fn a_field_is_not_drawn_where_it_is_set() {
        let options = |body: &str, choices: &str| RequestOptions {
            body: body.parse().unwrap(),
            choices: choices.parse().unwrap(),
            ..RequestOptions::default()
        };
        assert!(Extras::new(options(r#"{"a": 1}"#, "a=2:1")).is_err());
        assert!(Extras::new(options("{}", "temperature=1:1")).is_err(), "it has an option of its own");
        let base = options(r#"{"b": 1, "o": {"x": 1}}"#, "a=1:1; c=1:1; d=1:1");
        let own = options(r#"{"a": 5, "o": {"y": 2}}"#, "c=2:1");
        let both = own.or(&base);
        assert_eq!(both.body.to_string(), r#"{"a":5,"b":1,"o":{"x":1,"y":2}}"#);
        assert_eq!(both.choices.to_string(), "c=2:1; d=1:1");
    }
}
