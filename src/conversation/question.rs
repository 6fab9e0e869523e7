use std::fmt;
use std::sync::Arc;

use super::identity::{Digest, Fingerprint, PartHasher};
use super::message::{Message, Role};

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
///     messages: vec![Message::new(Role::User, "Why is the sky blue?")],
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
    pub messages: Vec<Arc<Message>>,
}

/// The last bytes of a folded question's identity.
const FOLDED: &[u8] = b"fold-system";

impl Question {
    /// Returns the question's identity; see [`Fingerprint`] for the bytes.
    pub fn fingerprint(&self) -> Fingerprint {
        let mut hasher = PartHasher::new("cohobate question 1");
        hasher.digest(&self.target.digest).raw(&0u32.to_le_bytes());
        hasher.raw(&self.sample.to_le_bytes()).raw(&(self.messages.len() as u32).to_le_bytes());
        for message in &self.messages {
            hasher.digest(message.digest());
        }
        if self.is_folded() {
            hasher.raw(FOLDED);
        }
        Fingerprint(hasher.finish())
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
            Lane::System(number) => format!("system {}", u32::from(number) + 1),
        }
    }

    /// Returns the lane with this name; `None` for the main lane, which has none.
    pub fn named(name: &str) -> Option<Self> {
        let number = name.strip_prefix("system ").and_then(|number| number.parse::<usize>().ok());
        let number = number.filter(|number| (1..=SYSTEMS_MAX).contains(number));
        let system = number.map(|number| Lane::System(number as u8 - 1));
        let mut lanes = [Lane::User, Lane::Judge, Lane::Student, Lane::Grader].into_iter().chain(system);
        lanes.find(|lane| lane.name() == name)
    }
}

/// The model to ask and its parameters: everything of a question except its messages.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    model: String,
    dialect: &'static str,
    sampling: Sampling,
    folds_system: bool,
    digest: Digest,
}

impl Target {
    /// Makes a target. The model's name is the one that the server is asked for.
    pub fn new(model: impl Into<String>, dialect: &'static str, sampling: Sampling) -> Arc<Self> {
        let model = model.into();
        let mut hasher = PartHasher::new("cohobate target 1");
        hasher.text(&model).text(dialect);
        sampling.hash(&mut hasher);
        let digest = Digest(hasher.finish());
        Arc::new(Self { model, dialect, sampling, folds_system: false, digest })
    }

    /// Returns the target with other sampling parameters.
    #[must_use]
    pub fn with_sampling(&self, sampling: Sampling) -> Arc<Self> {
        Self::new(&*self.model, self.dialect, sampling).with_folded_system(self.folds_system)
    }

    /// Returns the target with system messages folded into the user's, or not. It is no part of the target's digest: a
    /// question without a system message is the same either way.
    #[must_use]
    pub fn with_folded_system(&self, folds_system: bool) -> Arc<Self> {
        Arc::new(Self { folds_system, ..self.clone() })
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
}

/// The model, how it is spoken to, and with which sampling.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let folded = if self.folds_system { ", system folded" } else { "" };
        write!(f, "{} ({}), {}{folded}", self.model, self.dialect, self.sampling)
    }
}

/// The parameters that shape an answer. `None` leaves the choice to the server.
///
/// Digest: for each field in this order one presence byte and, where present, eight bytes
/// little-endian (floats as their IEEE 754 bits).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sampling {
    /// Softmax temperature.
    pub temperature: Option<f64>,
    /// Nucleus mass.
    pub top_p: Option<f64>,
    /// Most tokens in the answer, reasoning included.
    pub max_tokens: Option<u32>,
    /// Seed for the server's random numbers; the sample index is added to it.
    pub seed: Option<i64>,
}

impl fmt::Display for Sampling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = |name: &str, value: Option<String>| value.map(|value| format!("{name} {value}"));
        let words = [
            word("temperature", self.temperature.map(|value| value.to_string())),
            word("top-p", self.top_p.map(|value| value.to_string())),
            word("max-tokens", self.max_tokens.map(|value| value.to_string())),
            word("seed", self.seed.map(|value| value.to_string())),
        ];
        let words: Vec<String> = words.into_iter().flatten().collect();
        f.write_str(if words.is_empty() { "the server's own" } else { "" })?;
        f.write_str(&words.join(", "))
    }
}

impl Sampling {
    fn hash(&self, hasher: &mut PartHasher) {
        // `+ 0.0` makes the two zeros of IEEE 754 one.
        let fields = [
            self.temperature.map(|value| (value + 0.0).to_bits()),
            self.top_p.map(|value| (value + 0.0).to_bits()),
            self.max_tokens.map(u64::from),
            self.seed.map(i64::cast_unsigned),
        ];
        for field in fields {
            match field {
                Some(bits) => hasher.raw(&[1]).number(bits),
                None => hasher.raw(&[0]),
            };
        }
    }
}
