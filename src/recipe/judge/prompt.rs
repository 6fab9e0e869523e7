use std::borrow::Cow;
use std::sync::Arc;

use minijinja::{Environment, UndefinedBehavior, Value, context};

use super::Scale;
use crate::conversation::{AnswerSchema, Digest, Fence, Message, Role};
use crate::quality::RulesVersion;

/// A judge's prompt: a minijinja template.
///
/// It may use `number` (that of the marks), `conversation`, `conversation_a`, `conversation_b`, `answer`, `answer_a`, `answer_b`,
/// `question`, `reference` (all fenced in), `criterion`, `turn`, `turns`, `whole` and `shared`.
///
/// It has an edition for each version under which conversations may be judged: of the built-in prompts another text, of a custom
/// one the same text with another way to ask again.
#[derive(Clone, Debug)]
pub struct Prompt {
    scale: Scale,
    schema: Option<Arc<AnswerSchema>>,
    /// Newest first; at least one.
    editions: Vec<Edition>,
}

/// A prompt's text in one version.
#[derive(Clone, Debug)]
struct Edition {
    version: RulesVersion,
    digest: Digest,
    example: Option<String>,
    templates: Arc<Environment<'static>>,
}

/// Why a template cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct PromptError(String);

const NAME: &str = "prompt";
/// Used to find mistakes in a template when it is made.
const PROBE: &str = "an answer to try the template with";
/// The limit on a template's loops.
const FUEL: u64 = 1_000_000;

impl Prompt {
    /// The built-in prompt of a scale.
    pub fn standard(scale: Scale) -> Self {
        let edition = |version: &RulesVersion| Edition::new(scale, *version, standard_text(scale, *version).to_owned());
        let editions = RulesVersion::ALL.iter().map(|version| edition(version).expect("a test renders each"));
        Self { scale, schema: None, editions: editions.collect() }.structured()
    }

    /// The built-in prompt for messages that may refer to a replaced answer, which is the reference. The first version has none.
    pub fn orphans() -> Self {
        let text = include_str!("prompts/second/orphan.txt").to_owned();
        let prompt = Self::new(Scale::Check, text).expect("a test renders it");
        prompt.of_version(RulesVersion::Second).structured()
    }

    /// A custom template. Fails where it cannot be parsed, uses an unknown variable, or does not show the judge an answer.
    pub fn new(scale: Scale, text: String) -> Result<Self, PromptError> {
        let newest = Edition::new(scale, RulesVersion::NEWEST, text)?;
        let edition = |version: &RulesVersion| Edition { version: *version, ..newest.clone() };
        Ok(Self { scale, schema: None, editions: RulesVersion::ALL.iter().map(edition).collect() })
    }

    /// Returns the prompt of one version alone.
    #[must_use]
    pub fn of_version(mut self, version: RulesVersion) -> Self {
        self.editions.retain(|edition| edition.version == version);
        self
    }

    /// Returns the prompt with verdicts as JSON of the scale's schema, where the server can. A custom template may ask for
    /// more than that schema holds, so it has none at first.
    #[must_use]
    pub fn structured(self) -> Self {
        Self { schema: Some(Arc::new(self.scale.schema())), ..self }
    }

    /// Returns the schema of its verdicts, if it has one.
    pub(in crate::recipe) fn schema(&self) -> Option<Arc<AnswerSchema>> {
        self.schema.clone()
    }

    /// Returns the schema of a verdict without a reason, if its verdicts have a schema.
    pub(in crate::recipe) fn schema_of_verdict(&self) -> Option<Arc<AnswerSchema>> {
        self.schema.is_some().then(|| Arc::new(self.scale.schema_of_verdict()))
    }

    /// Returns the form of its verdicts.
    pub fn scale(&self) -> Scale {
        self.scale
    }

    /// Returns the hash of the template.
    pub fn digest(&self) -> &Digest {
        self.digest_under(None)
    }

    /// Returns the hash of the template of an older version.
    pub(in crate::recipe) fn digest_under(&self, rules: Option<RulesVersion>) -> &Digest {
        &self.edition(rules).digest
    }

    /// Returns the verdict that the template with this hash shows, where it shows one alone: a weak model may copy it.
    pub fn example(&self, digest: &str) -> Option<&str> {
        let edition = self.editions.iter().find(|edition| edition.digest.to_string() == digest)?;
        edition.example.as_deref()
    }

    /// Returns the version under which conversations begin.
    pub(in crate::recipe) fn version(&self) -> RulesVersion {
        self.edition(None).version
    }

    /// Returns the version by which a conversation is judged that was begun under these older rules.
    pub(in crate::recipe) fn version_under(&self, rules: Option<RulesVersion>) -> RulesVersion {
        self.edition(rules).version
    }

    /// Returns the older versions under which conversations may have been begun, newest first.
    pub(in crate::recipe) fn older_versions(&self) -> impl Iterator<Item = RulesVersion> {
        self.editions.iter().skip(1).map(|edition| edition.version)
    }

    /// Returns the question about a scene, in the words of the older rules where some are named.
    pub(in crate::recipe) fn about(&self, rules: Option<RulesVersion>, scene: &Scene<'_>) -> Arc<Message> {
        // A template that was rendered once with all its variables fails at most by its length.
        let text = self.edition(rules).rendered(scene);
        let text = text.unwrap_or_else(|error| format!("The prompt cannot be rendered: {error}"));
        Message::new(Role::User, text)
    }

    fn edition(&self, rules: Option<RulesVersion>) -> &Edition {
        let named = rules.and_then(|rules| self.editions.iter().find(|edition| edition.version == rules));
        named.unwrap_or(&self.editions[0])
    }
}

fn standard_text(scale: Scale, version: RulesVersion) -> &'static str {
    match (version, scale) {
        (RulesVersion::First, Scale::Score) => include_str!("prompts/first/score.txt"),
        (RulesVersion::First, Scale::Check) => include_str!("prompts/first/check.txt"),
        (RulesVersion::First, Scale::Rubric) => include_str!("prompts/first/rubric.txt"),
        (RulesVersion::First, Scale::Pair) => include_str!("prompts/first/pair.txt"),
        (RulesVersion::Second, Scale::Score) => include_str!("prompts/second/score.txt"),
        (RulesVersion::Second, Scale::Check) => include_str!("prompts/second/check.txt"),
        (RulesVersion::Second, Scale::Rubric) => include_str!("prompts/second/rubric.txt"),
        (RulesVersion::Second, Scale::Pair) => include_str!("prompts/second/pair.txt"),
    }
}

impl Edition {
    fn new(scale: Scale, version: RulesVersion, text: String) -> Result<Self, PromptError> {
        let digest = Digest::of_text("cohobate prompt 1", &text);
        let example = scale.example_in(&text).map(str::to_owned);
        let mut templates = Environment::new();
        templates.set_undefined_behavior(UndefinedBehavior::SemiStrict);
        templates.set_fuel(Some(FUEL));
        templates.add_template_owned(NAME, text).map_err(|error| PromptError(error.to_string()))?;
        let edition = Self { version, digest, example, templates: Arc::new(templates) };
        let messages = [Message::new(Role::User, "question"), Message::new(Role::Assistant, PROBE)];
        let sides: &[&[Arc<Message>]] = if scale == Scale::Pair { &[&messages, &messages] } else { &[&messages] };
        let scene = Scene { sides, turns: 1, reference: Some("reference"), criterion: "criterion", ..Scene::default() };
        let rendered = edition.rendered(&scene)?;
        if !rendered.contains(PROBE) {
            return Err(PromptError(
                "it does not show the answer; write {{ conversation }} or {{ answer }}".to_owned(),
            ));
        }
        Ok(edition)
    }

    fn rendered(&self, scene: &Scene<'_>) -> Result<String, PromptError> {
        let template = self.templates.get_template(NAME).map_err(|error| PromptError(error.to_string()))?;
        template.render(scene.values()).map_err(|error| {
            let at = error.line().map_or(String::new(), |line| format!("line {line}: "));
            PromptError(format!("{at}{error}"))
        })
    }
}

/// The material that a judge sees.
#[derive(Clone, Copy, Default)]
pub(in crate::recipe) struct Scene<'a> {
    /// One conversation that is graded, or two that are compared, in the order in which they are shown. Each ends with the answer
    /// in question.
    pub sides: &'a [&'a [Arc<Message>]],
    /// True if the sides differ only in their last answer.
    pub is_shared: bool,
    /// True if all answers count, not only the last.
    pub is_whole: bool,
    /// User turns that are shown.
    pub turns: u32,
    /// A good answer.
    pub reference: Option<&'a str>,
    /// The criterion.
    pub criterion: &'a str,
    /// Distinguishes calls about the same answers.
    pub call: u32,
}

impl Scene<'_> {
    fn values(&self) -> Value {
        let said: Vec<Arc<Message>> = self.sides.iter().flat_map(|side| side.iter().cloned()).collect();
        let texts: Vec<&str> = self.reference.into_iter().chain([self.criterion]).collect();
        let fence = fence_around(&said, &texts, self.call);
        let side = |at: usize| self.sides.get(at).copied().unwrap_or_default();
        let answer = |at: usize, label: &str| side(at).last().map(|last| fence.around(label, last.content()));
        let context = side(0).split_last().map_or(&[][..], |(_, before)| before);
        let conversation = if self.is_shared { context } else { side(0) };
        let question = side(0).iter().rev().find(|message| message.role() == Role::User);
        context! {
            number => fence.number(),
            conversation => transcript(conversation, &fence, ""),
            conversation_a => transcript(side(0), &fence, "_a"),
            conversation_b => transcript(side(1), &fence, "_b"),
            question => question.map(|question| fence.around("user", question.content())),
            answer => answer(0, "assistant"),
            answer_a => answer(0, "assistant_a"),
            answer_b => answer(1, "assistant_b"),
            reference => self.reference.map(|reference| fence.around("reference", reference)).unwrap_or_default(),
            criterion => self.criterion,
            turn => self.turns,
            turns => self.turns,
            whole => self.is_whole,
            shared => self.is_shared,
        }
    }
}

/// Returns the text of a message, calls to tools included.
fn words(message: &Message) -> Cow<'_, str> {
    match message.fields().map(serde_json::to_string) {
        Some(Ok(fields)) => Cow::Owned(format!("{}\n{fields}", message.content()).trim_start().to_owned()),
        _ => Cow::Borrowed(message.content()),
    }
}

/// Returns the fence for a transcript of these messages and for further texts.
pub(in crate::recipe) fn fence_around(messages: &[Arc<Message>], texts: &[&str], call: u32) -> Fence {
    let said: Vec<Cow<'_, str>> = messages.iter().map(|message| words(message)).collect();
    Fence::new(said.iter().map(|said| &**said).chain(texts.iter().copied()), call)
}

/// Writes messages one after the other, each in its fence; the label of an answer says whose it is.
pub(in crate::recipe) fn transcript(messages: &[Arc<Message>], fence: &Fence, side: &str) -> String {
    let label = |message: &Message| match message.role() {
        Role::Assistant => format!("assistant{side}"),
        other => other.name().to_owned(),
    };
    let fenced = messages.iter().map(|message| fence.around(&label(message), &words(message)));
    fenced.collect::<Vec<_>>().join("\n\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_of_our_own_prompts_shows_what_is_judged_and_asks_for_its_verdict() {
        let said = |answer: &str| vec![Message::new(Role::User, "Why?"), Message::new(Role::Assistant, answer)];
        let (one, other) = (said("Because of one."), said("Because of another."));
        for scale in [Scale::Score, Scale::Check, Scale::Rubric, Scale::Pair] {
            let sides: &[&[Arc<Message>]] = if scale == Scale::Pair { &[&one, &other] } else { &[&one] };
            for is_whole in [false, true] {
                for is_shared in [false, scale == Scale::Pair] {
                    let scene = Scene {
                        sides,
                        is_whole,
                        is_shared,
                        turns: 2,
                        reference: Some("It is known."),
                        criterion: "Be kind.",
                        call: 0,
                    };
                    for version in RulesVersion::ALL {
                        let text = Prompt::standard(scale).about(Some(*version), &scene).content().to_owned();
                        let shown = ["Why?", "Because of one.", "It is known.", "in double square brackets"];
                        assert!(shown.iter().all(|shown| text.contains(shown)), "{text}");
                        // A weak model copies an example instead of judging.
                        assert_eq!(text.contains("[["), *version == RulesVersion::First, "{text}");
                        assert_eq!(text.contains("Because of another."), scale == Scale::Pair);
                        assert_eq!(text.contains("Be kind."), matches!(scale, Scale::Check | Scale::Rubric));
                        assert!(!text.contains("\n\n\n") && !text.contains("{%"), "{text}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_template_that_cannot_work_is_refused_at_once() {
        let fault = |text: &str| Prompt::new(Scale::Score, text.to_owned()).unwrap_err().to_string();
        assert!(fault("{{ conversation").contains("syntax"));
        assert!(fault("{{ conversation }} {{ colour }}").contains("undefined"));
        assert!(fault("Grade it.").contains("does not show the answer"));
        assert!(Prompt::new(Scale::Score, "{{ question }} {{ answer }} [[n]]".to_owned()).is_ok());
    }

    #[test]
    fn calls_to_tools_are_shown_behind_the_words() {
        let fields = serde_json::json!({"tool_calls": [{"id": "1"}]});
        let called = |text: &str| Message::with_fields(Role::Assistant, text, fields.as_object().cloned().unwrap());
        assert_eq!(words(&called("I look.")), "I look.\n{\"tool_calls\":[{\"id\":\"1\"}]}");
        assert_eq!(words(&called("")), "{\"tool_calls\":[{\"id\":\"1\"}]}");
        assert_eq!(words(&Message::new(Role::User, " Why?")), " Why?");
        let fence = fence_around(&[called("I look.")], &["criterion"], 3);
        assert_eq!(fence, Fence::new([&*words(&called("I look.")), "criterion"], 3));
        let said = [Message::new(Role::User, "Why?"), called("I look.")];
        let number = fence.number();
        let shown = format!(
            "<user {number}>\nWhy?\n</user {number}>\n\n<assistant_a {number}>\nI look.\n{{\"tool_calls\":[{{\"id\":\"1\"}}]}}\n</assistant_a {number}>"
        );
        assert_eq!(transcript(&said, &fence, "_a"), shown);
    }
}
