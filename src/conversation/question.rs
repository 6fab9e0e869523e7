use std::fmt;
use std::sync::Arc;

use super::identity::{Digest, Fingerprint, PartHasher};
use super::message::{Message, Role};
use super::messages::Messages;
use super::request::{BodyFields, Extras};
use super::sampling::Sampling;
use super::schema::AnswerSchema;
use super::token_detail::TokenDetail;
use super::tools::ToolSet;

/// A request to a model: the whole history, and how to answer.
///
/// # Examples
///
/// Two questions are the same where everything that can change the answer is equal. The slot is not part of that:
///
/// ```
/// use cohobate::conversation::{Message, Question, Role, Sampling, Slot, Target};
///
/// let question = Question {
///     slot: Slot::main(0),
///     target: Target::new("my-model", "openai", Sampling::default()),
///     sample: 0,
///     messages: vec![Message::new(Role::User, "Why is the sky blue?")].into(),
/// };
///
/// let moved = Question { slot: Slot::main(3), ..question.clone() };
/// assert_eq!(moved.fingerprint(), question.fingerprint());
///
/// let sampled_again = Question { sample: 1, ..question.clone() };
/// assert_ne!(sampled_again.fingerprint(), question.fingerprint());
///
/// let warmer = Sampling { temperature: Some(1.0), ..Sampling::default() };
/// let warmer = Question { target: Target::new("my-model", "openai", warmer), ..question.clone() };
/// assert_ne!(warmer.fingerprint(), question.fingerprint());
///
/// let mut longer = question.clone();
/// longer.messages.push(Message::new(Role::Assistant, "Rayleigh scattering."));
/// assert_ne!(longer.fingerprint(), question.fingerprint());
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Question {
    /// Where in its conversation the answer belongs. Not part of the identity.
    pub slot: Slot,
    /// Whom to ask, and with which sampling.
    pub target: Arc<Target>,
    /// Tells several answers to the same messages apart; 0 is the first.
    pub sample: u32,
    /// The history, ending with the message to be answered.
    pub messages: Messages,
}

/// The last bytes of a folded question's identity.
const FOLDED: &[u8] = b"fold-system";

impl Question {
    /// Returns the question's identity; see [`Fingerprint`] for the bytes.
    pub fn fingerprint(&self) -> Fingerprint {
        let mut hasher = PartHasher::new("cohobate question 1");
        hasher.digest(&self.target.digest).raw(&0u32.to_le_bytes());
        hasher.raw(&self.sample.to_le_bytes()).raw(&(self.messages.len() as u32).to_le_bytes());
        hasher.raw(self.messages.digests());
        if self.is_folded() {
            hasher.raw(FOLDED);
        }
        Fingerprint(hasher.finish())
    }

    /// Returns the fingerprints of the same question with more detail, the least first: their answers serve as well. None
    /// where the store was never asked for any.
    pub fn served_by(&self) -> impl Iterator<Item = Fingerprint> + '_ {
        self.target.served_by().map(|target| Self { target, ..self.clone() }.fingerprint())
    }

    /// Returns an identity that costs the same however long the history is, for comparisons within one run: unlike the
    /// fingerprint it is not the same in every version, and no store knows it.
    pub fn passing_identity(&self) -> Digest {
        let mut hasher = PartHasher::new("cohobate passing question");
        hasher.digest(&self.target.digest).number(u64::from(self.sample));
        hasher.number(self.messages.len() as u64).number(self.messages.identity());
        Digest(hasher.finish())
    }

    /// True if the question has a system message that is folded into the user's when the request is written.
    pub fn is_folded(&self) -> bool {
        self.target.folds_system && self.messages.iter().any(|message| message.role() == Role::System)
    }
}

/// A place in a conversation: who speaks there, which turn, which attempt at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot {
    /// Whose line this is.
    pub lane: Lane,
    /// Turn of the conversation, from 0: a [`TurnIndex`](super::TurnIndex) as stores hold it. Where a judge marks or
    /// compares answers, its lane holds [`Scope::number`](super::Scope::number) instead.
    pub turn: u32,
    /// Attempt at this turn, from 0; a rejected answer's replacement is the next attempt.
    pub attempt: u32,
}

impl Slot {
    /// Returns the first attempt at `turn`, from 0, in the main lane.
    pub fn main(turn: u32) -> Self {
        Self { lane: Lane::Main, turn, attempt: 0 }
    }
}

/// The lines of answers that a recipe keeps apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lane {
    /// The teacher's turns.
    Main,
    /// The user's turns, where a model writes them.
    User,
    /// A judge's verdicts.
    Judge,
    /// A student's turns, which the teacher corrects.
    Student,
    /// The teacher's grades for them.
    Grader,
    /// The results of calls to tools.
    Tool,
    /// The turns of one of several systems, by its number, which is below [`SYSTEMS_MAX`].
    System(u8),
}

/// The maximum number of systems in one comparison.
pub const SYSTEMS_MAX: usize = 32;

impl Lane {
    /// Returns who speaks, in words; empty for the main lane.
    pub fn name(self) -> String {
        match self {
            Lane::Main => String::new(),
            Lane::User => "user".to_owned(),
            Lane::Judge => "judge".to_owned(),
            Lane::Student => "student".to_owned(),
            Lane::Grader => "grader".to_owned(),
            Lane::Tool => "tool".to_owned(),
            Lane::System(number) => format!("system {}", u32::from(number) + 1),
        }
    }

    /// Returns the lane with this name; `None` for the main lane, which has none.
    pub fn named(name: &str) -> Option<Self> {
        let number = name.strip_prefix("system ").and_then(|number| number.parse::<usize>().ok());
        let number = number.filter(|number| (1..=SYSTEMS_MAX).contains(number));
        let system = number.map(|number| Lane::System(number as u8 - 1));
        let mut lanes = [Lane::User, Lane::Judge, Lane::Student, Lane::Grader, Lane::Tool].into_iter().chain(system);
        lanes.find(|lane| lane.name() == name)
    }
}

/// The model to ask and its parameters: everything of a question except its messages.
///
/// Digest: blake3 over `"cohobate target 1\0"`, the model's name, the dialect, the digest bytes of [`Sampling`]; then, for
/// each of [`Extras::named`] that is used, for tools, for calls that are kept and for each of [`TokenDetail::named`] its name and its value. All texts
/// are length-prefixed.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    model: String,
    dialect: &'static str,
    sampling: Sampling,
    folds_system: bool,
    extras: Extras,
    /// What was drawn for the conversation.
    drawn: BodyFields,
    /// The sampling that the user asked for, if the program asks for more. Not part of the identity.
    raised_from: Option<Sampling>,
    /// What is added to the temperature once it is drawn; 0 for a first attempt.
    warmth: f64,
    /// The form that the answer should have. Not part of the identity.
    schema: Option<Arc<AnswerSchema>>,
    /// The tools that the model may call.
    tools: Option<ToolSet>,
    /// An answer may call them, and its calls are kept.
    keeps_calls: bool,
    /// What is asked for beside the text.
    detail: Option<TokenDetail>,
    /// What else the store may have been asked for. Not part of the identity.
    known_details: Arc<[TokenDetail]>,
    digest: Digest,
}

impl Target {
    /// Makes a target. The model's name is the one that the server is asked for.
    pub fn new(model: impl Into<String>, dialect: &'static str, sampling: Sampling) -> Arc<Self> {
        Self::with_extras(model, dialect, sampling, Extras::default())
    }

    /// Makes a target whose requests hold more than messages and sampling.
    pub fn with_extras(
        model: impl Into<String>,
        dialect: &'static str,
        sampling: Sampling,
        extras: Extras,
    ) -> Arc<Self> {
        Self {
            model: model.into(),
            dialect,
            sampling,
            folds_system: false,
            extras,
            drawn: BodyFields::default(),
            raised_from: None,
            warmth: 0.0,
            schema: None,
            tools: None,
            keeps_calls: false,
            detail: None,
            known_details: Arc::default(),
            digest: Digest::ZERO,
        }
        .hashed()
    }

    fn hashed(mut self) -> Arc<Self> {
        let mut hasher = PartHasher::new("cohobate target 1");
        hasher.text(&self.model).text(self.dialect);
        self.sampling.hash(&mut hasher);
        for (name, value) in self.extras.named() {
            hasher.text(name).text(&value);
        }
        if let Some(tools) = &self.tools {
            hasher.text("tools").text(tools.json());
        }
        if self.keeps_calls {
            hasher.text("tool-calls").text("kept");
        }
        for (name, value) in self.detail.map(TokenDetail::named).unwrap_or_default() {
            hasher.text(name).text(&value);
        }
        self.digest = Digest(hasher.finish());
        Arc::new(self)
    }

    /// Returns the target with system messages folded into the user's, or not. It is no part of the target's digest: a
    /// question without a system message is the same either way.
    #[must_use]
    pub fn with_folded_system(&self, folds_system: bool) -> Arc<Self> {
        Arc::new(Self { folds_system, ..self.clone() })
    }

    /// Returns the target whose answer should follow a schema, where the server can be asked for that. It is no part of the
    /// target's digest.
    #[must_use]
    pub fn with_schema(&self, schema: Option<Arc<AnswerSchema>>) -> Arc<Self> {
        Arc::new(Self { schema, ..self.clone() })
    }

    /// Returns the same target with another sampling.
    #[must_use]
    pub fn with_sampling(&self, sampling: Sampling) -> Arc<Self> {
        Self { sampling, ..self.clone() }.hashed()
    }

    /// Returns the target that offers tools to the model; this one if there is no tool.
    #[must_use]
    pub fn offering(self: &Arc<Self>, tools: Option<&ToolSet>) -> Arc<Self> {
        match tools.filter(|tools| !tools.tools().is_empty()) {
            Some(tools) => Self { tools: Some(tools.clone()), ..(**self).clone() }.hashed(),
            None => Arc::clone(self),
        }
    }

    /// Returns the target that offers tools to the model and keeps its calls; this one if there is no tool.
    #[must_use]
    pub fn keeping_calls(self: &Arc<Self>, tools: Option<&ToolSet>) -> Arc<Self> {
        match tools.filter(|tools| !tools.tools().is_empty()) {
            Some(tools) => Self { tools: Some(tools.clone()), keeps_calls: true, ..(**self).clone() }.hashed(),
            None => Arc::clone(self),
        }
    }

    /// Returns the target that asks for tokens beside the text. `known` are the details for which the store has been asked: an
    /// answer with more of them serves a question with fewer.
    #[must_use]
    pub fn with_detail(&self, detail: Option<TokenDetail>, known: &[TokenDetail]) -> Arc<Self> {
        Self { detail, known_details: known.into(), ..self.clone() }.hashed()
    }

    /// Returns the target that asks for the text alone; this one if it does already.
    #[must_use]
    pub fn without_detail(self: &Arc<Self>) -> Arc<Self> {
        match self.detail {
            Some(_) => Self { detail: None, ..(**self).clone() }.hashed(),
            None => Arc::clone(self),
        }
    }

    /// Returns the targets whose answers serve as well as this one's: the same questions with more detail, the least first.
    pub fn served_by(&self) -> impl Iterator<Item = Arc<Self>> + '_ {
        let more = self.known_details.iter().filter(|known| Some(**known) > self.detail);
        more.map(|known| Self { detail: Some(*known), ..self.clone() }.hashed())
    }

    /// Returns the target of a further attempt, which asks for more than the user did. A server may accept less.
    #[must_use]
    pub fn raised(&self, sampling: Sampling) -> Arc<Self> {
        let raised_from = Some(self.raised_from.as_ref().unwrap_or(&self.sampling).clone());
        Self { sampling, raised_from, ..self.clone() }.hashed()
    }

    /// Returns the target of a further attempt with a temperature higher by `warmth`. `unnamed` is the base where the
    /// temperature is the server's own. One that is still to be drawn is raised when it is drawn.
    #[must_use]
    pub fn warmer(&self, warmth: f64, unnamed: f64, max_tokens: Option<u32>) -> Arc<Self> {
        let is_drawn = self.extras.temperatures.is_empty();
        let temperature = is_drawn.then(|| raised_temperature(self.sampling.temperature.unwrap_or(unnamed), warmth));
        let sampling = Sampling { temperature, max_tokens, ..self.sampling.clone() };
        let raised = (*self.raised(sampling)).clone();
        Self { warmth: if is_drawn { 0.0 } else { warmth }, ..raised }.hashed()
    }

    /// Returns the target of a conversation that begins with `messages`: each choice is drawn from their opening, which
    /// ends with the first user message, and from the seed.
    #[must_use]
    pub fn drawn_for(self: &Arc<Self>, messages: &[Arc<Message>]) -> Arc<Self> {
        if !self.extras.has_choices() {
            return Arc::clone(self);
        }
        let end = messages.iter().position(|message| message.role() == Role::User).map_or(messages.len(), |at| at + 1);
        let mut opening: Vec<u8> = self.sampling.seed.map_or(Vec::new(), |seed| seed.to_le_bytes().to_vec());
        messages[..end].iter().for_each(|message| opening.extend_from_slice(&message.digest().0));
        let (extras, drawn) = self.extras.drawn(&opening);
        let mut target = Self { extras, drawn, ..(**self).clone() };
        if let Some(temperature) = self.extras.temperatures.draw(&opening) {
            target.drawn.set("temperature", temperature.into());
            target.sampling.temperature = Some(match self.warmth {
                0.0 => temperature,
                warmth => raised_temperature(temperature, warmth),
            });
            target.raised_from.iter_mut().for_each(|asked| asked.temperature = Some(temperature));
            target.warmth = 0.0;
        }
        target.hashed()
    }

    /// Returns the model's name.
    pub fn model(&self) -> &str {
        &self.model
    }

    /// Returns the name of the wire dialect.
    pub fn dialect(&self) -> &'static str {
        self.dialect
    }

    /// Returns the sampling parameters.
    pub fn sampling(&self) -> &Sampling {
        &self.sampling
    }

    /// True if system messages are folded into the user's when a request is written.
    pub fn folds_system(&self) -> bool {
        self.folds_system
    }

    /// Returns what a request holds besides messages and sampling.
    pub fn extras(&self) -> &Extras {
        &self.extras
    }

    /// Returns what was drawn for the conversation: body fields, and the temperature under its name.
    pub fn drawn(&self) -> &BodyFields {
        &self.drawn
    }

    /// Returns the sampling that the user asked for, if this target asks for more.
    pub fn raised_from(&self) -> Option<&Sampling> {
        self.raised_from.as_ref()
    }

    /// Returns the form that the answer should have.
    pub fn schema(&self) -> Option<&AnswerSchema> {
        self.schema.as_deref()
    }

    /// Returns the tools that the model may call.
    pub fn tools(&self) -> Option<&ToolSet> {
        self.tools.as_ref()
    }

    /// True if an answer may call tools, and its calls are kept.
    pub fn keeps_calls(&self) -> bool {
        self.keeps_calls
    }

    /// Returns what is asked for beside the text.
    pub fn detail(&self) -> Option<TokenDetail> {
        self.detail
    }

    /// Returns everything that shapes an answer, in words.
    pub fn parameters(&self) -> String {
        let extras = self.extras.named().into_iter().chain(self.detail.map(TokenDetail::named).unwrap_or_default());
        let extras = extras.map(|(name, value)| format!(", {name} {value}"));
        format!("{}{}", self.sampling, extras.collect::<String>())
    }
}

/// Returns a higher temperature, at most what servers accept, in hundredths: 0.7 + 0.2 is 0.9 in every request.
fn raised_temperature(base: f64, warmth: f64) -> f64 {
    (((base + warmth) * 100.0).round() / 100.0).min(Sampling::TEMPERATURE_MAX)
}

/// The model, how it is spoken to, and with which parameters.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let folded = if self.folds_system { ", system folded" } else { "" };
        write!(f, "{} ({}), {}{folded}", self.model, self.dialect, self.parameters())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conversation::request::RequestOptions;

    fn target() -> Arc<Target> {
        let sampling = Sampling { temperature: Some(0.5), max_tokens: Some(9), ..Sampling::default() };
        Target::new("m", "openai", sampling)
    }

    #[test]
    fn a_target_says_how_it_is_asked() {
        let target = target();
        assert_eq!((target.model(), target.dialect(), target.folds_system()), ("m", "openai", false));
        assert_eq!((target.tools(), target.schema(), target.raised_from()), (None, None, None));
        assert_eq!(target.parameters(), "temperature 0.5, max-tokens 9");
        assert_eq!(target.to_string(), "m (openai), temperature 0.5, max-tokens 9");
        let folded = target.with_folded_system(true);
        assert_eq!(folded.to_string(), "m (openai), temperature 0.5, max-tokens 9, system folded");
        assert!(folded.folds_system() && !folded.with_folded_system(false).folds_system());
        let schema = Arc::new(AnswerSchema::new("s", &[("a", AnswerSchema::text())]));
        assert_eq!(target.with_schema(Some(Arc::clone(&schema))).schema(), Some(&*schema));
    }

    /// The first base counts: what was raised twice was asked for once.
    #[test]
    fn a_raised_target_remembers_what_was_asked_for() {
        let base = target();
        let warmer = |temperature| Sampling { temperature: Some(temperature), ..base.sampling().clone() };
        let raised = base.raised(warmer(0.7));
        assert_eq!((raised.raised_from(), raised.sampling()), (Some(base.sampling()), &warmer(0.7)));
        let again = raised.raised(warmer(0.9));
        assert_eq!((again.raised_from(), again.sampling()), (Some(base.sampling()), &warmer(0.9)));
        assert_eq!(*base.with_sampling(warmer(0.7)).sampling(), warmer(0.7));
        assert_eq!(base.with_sampling(warmer(0.7)).raised_from(), None);
    }

    /// Outputs and failures name lanes by these words.
    #[test]
    fn lanes_are_found_by_their_names() {
        let lanes = [
            (Lane::User, "user"),
            (Lane::Judge, "judge"),
            (Lane::Student, "student"),
            (Lane::Grader, "grader"),
            (Lane::Tool, "tool"),
            (Lane::System(0), "system 1"),
            (Lane::System(31), "system 32"),
        ];
        for (lane, name) in lanes {
            assert_eq!((lane.name().as_str(), Lane::named(name)), (name, Some(lane)));
        }
        assert_eq!(Lane::Main.name(), "");
        for name in ["", "system", "system 0", "system 33", "system 01", "teacher"] {
            assert_eq!(Lane::named(name), None, "{name}");
        }
    }

    #[test]
    fn tools_are_offered_where_there_are_any() {
        let target = target();
        assert!(Arc::ptr_eq(&target.offering(None), &target));
        assert!(Arc::ptr_eq(&target.offering(Some(&ToolSet::new(Vec::new()))), &target));
        let tools = ToolSet::new(vec![serde_json::json!({"type": "function", "function": {"name": "a"}})]);
        let offering = target.offering(Some(&tools));
        assert_eq!((offering.tools(), offering.model()), (Some(&tools), "m"));
        assert_eq!(tools.tools().len(), 1);
        assert_eq!(tools.json(), r#"[{"type":"function","function":{"name":"a"}}]"#);
        assert_eq!(tools.to_value().to_string(), tools.json());
        let keeping = target.keeping_calls(Some(&tools));
        assert!(keeping.keeps_calls() && !offering.keeps_calls() && keeping.tools() == Some(&tools));
        assert!(keeping.digest != offering.digest && !target.keeping_calls(None).keeps_calls());
        // Stored answers are found by these bytes.
        let text = |text: &str| [&(text.len() as u64).to_le_bytes()[..], text.as_bytes()].concat();
        let fields = ["tools", tools.json(), "tool-calls", "kept"].map(text).concat();
        let whole = [&b"cohobate target 1\0"[..], &text("m"), &text("openai"), &[0; 4], &fields].concat();
        let plain = Target::new("m", "openai", Sampling::default());
        assert_eq!(plain.keeping_calls(Some(&tools)).digest, Digest(blake3::hash(&whole).into()));
        let asked = |target: &Arc<Target>| Question {
            slot: Slot::main(0),
            target: Arc::clone(target),
            sample: 0,
            messages: vec![Message::new(Role::User, "q")].into(),
        };
        assert_ne!(asked(&target).fingerprint(), asked(&offering).fingerprint());
    }

    #[test]
    fn an_answer_with_more_detail_serves_a_question_with_less() {
        let (ids, two, five) = (TokenDetail::Ids, TokenDetail::Logprobs(2), TokenDetail::Logprobs(5));
        let plain = target();
        let with = |detail| plain.with_detail(detail, &[ids, two, five]);
        let details = |target: &Target| target.served_by().map(|target| target.detail()).collect::<Vec<_>>();
        assert_eq!(details(&plain), [], "a store that was never asked for any");
        assert_eq!(details(&with(None)), [Some(ids), Some(two), Some(five)]);
        assert_eq!(details(&with(Some(ids))), [Some(two), Some(five)]);
        assert_eq!(details(&with(Some(five))), []);
        assert_eq!(with(None).digest, plain.digest, "what is known is no part of the identity");
        assert_eq!(with(None).served_by().next().unwrap().digest, with(Some(ids)).digest);
        let digests = [plain.digest, with(Some(ids)).digest, with(Some(two)).digest, with(Some(five)).digest];
        assert!((0..4).all(|at| !digests[..at].contains(&digests[at])));
        assert_eq!(with(Some(two)).parameters(), "temperature 0.5, max-tokens 9, token-ids true, logprobs 2");
    }

    #[test]
    fn a_drawn_temperature_is_the_same_question_as_a_fixed_one_at_every_attempt() {
        let temperatures = "0.333:1,0.7:2,1.9:1".parse().unwrap();
        let extras = Extras::new(RequestOptions { temperatures, ..RequestOptions::default() }).unwrap();
        let sampling = |temperature| Sampling { temperature, max_tokens: Some(9), ..Sampling::default() };
        let target = Target::with_extras("m", "openai", sampling(None), extras);
        assert_eq!(target.parameters(), "max-tokens 9, temperature-choice 0.333:1,0.7:2,1.9:1");
        let mut seen = std::collections::BTreeSet::new();
        for row in 0..40 {
            let opening = [Message::new(Role::User, format!("row {row}"))];
            let drawn = target.drawn_for(&opening);
            let temperature = drawn.sampling().temperature.unwrap();
            let fixed = Target::new("m", "openai", sampling(Some(temperature)));
            assert_eq!((drawn.digest, drawn.raised_from()), (fixed.digest, None));
            assert_eq!(drawn.drawn().to_string(), format!("{{\"temperature\":{temperature}}}"));
            for warmth in [0.2, 0.4] {
                let raised = target.warmer(warmth, 0.8, Some(18)).drawn_for(&opening);
                let expected = fixed.warmer(warmth, 0.8, Some(18));
                assert_eq!((raised.digest, raised.sampling()), (expected.digest, expected.sampling()));
                assert_eq!(raised.raised_from(), Some(fixed.sampling()));
                assert_eq!(drawn.warmer(warmth, 0.8, Some(18)).digest, expected.digest);
            }
            let more_room = target.raised(Sampling { max_tokens: Some(18), ..sampling(None) }).drawn_for(&opening);
            assert_eq!(more_room.sampling().temperature, Some(temperature), "only the limit is raised");
            seen.insert(temperature.to_string());
        }
        assert_eq!(seen.len(), 3, "{seen:?}");
    }

    /// The opening ends with the first message of the user.
    #[test]
    fn a_choice_is_drawn_by_the_opening_and_the_seed() {
        let options = RequestOptions { choices: "x=1:1,2:1,3:1,4:1".parse().unwrap(), ..RequestOptions::default() };
        let with = |seed| {
            let sampling = Sampling { seed, ..Sampling::default() };
            Target::with_extras("m", "openai", sampling, Extras::new(options.clone()).unwrap())
        };
        let said = |role, text: &str| Message::new(role, text);
        let drawn = |target: &Arc<Target>, messages: &[Arc<Message>]| {
            let drawn = target.drawn_for(messages);
            assert!(drawn.extras().choices.0.is_empty());
            let value = drawn.drawn().get("x").cloned().unwrap();
            assert_eq!(drawn.extras().body.get("x"), Some(&value));
            value.to_string()
        };
        let target = with(None);
        let openings: Vec<String> = (0..40)
            .map(|row| {
                let opening = [said(Role::System, "s"), said(Role::User, &format!("row {row}"))];
                let longer = [&opening[..], &[said(Role::Assistant, "a"), said(Role::User, "more")]].concat();
                assert_eq!(drawn(&target, &opening), drawn(&target, &longer));
                drawn(&target, &opening)
            })
            .collect();
        for value in ["1", "2", "3", "4"] {
            assert!(openings.iter().any(|drawn| drawn == value), "{value}: {openings:?}");
        }
        let seeds: Vec<String> = (0..40).map(|seed| drawn(&with(Some(seed)), &[said(Role::User, "row 0")])).collect();
        assert!(seeds.iter().any(|drawn| *drawn != seeds[0]), "{seeds:?}");
        let plain = self::target();
        assert!(Arc::ptr_eq(&plain.drawn_for(&[]), &plain));
    }
}
