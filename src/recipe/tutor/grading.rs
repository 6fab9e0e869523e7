use std::sync::{Arc, LazyLock};

use serde_json::Value;

use super::super::answer_check::{ATTEMPTS_MAX, AnswerCheck};
use super::super::fill::fill;
use super::super::object::{follows_schema, object_with, tolerant_object_with};
use super::Tutor;
use crate::conversation::{
    Answer, AnswerSchema, Finish, Flaw, Grade, Lane, Message, Question, Reading, ReadingResult, Remedy, Role, Sampling,
    Slot, Target,
};
use crate::quality::RulesVersion;
use crate::recipe::Answered;
use crate::recipe::judge::{fence_around, transcript};

/// The grade of an answer, as far as it is known.
pub(super) enum Graded {
    /// This question must be asked first.
    Open(Question),
    /// It has one.
    Done(Grade, Reading),
    /// No attempt at a grade was valid; the last fault.
    Invalid(&'static str, Reading),
}

/// Why a grade is invalid: a code, and the message to the grader.
#[derive(Clone, Debug)]
pub(in crate::recipe) struct GradeFault(&'static str, String);

/// The code of a reply without a grade.
const NO_JSON: &str = "no_json";
/// The form that [`request`] describes, in each version. A model that names errors first has reasons for its score.
static SCHEMAS: LazyLock<[Arc<AnswerSchema>; 2]> = LazyLock::new(|| {
    let flaw = AnswerSchema::object(&[
        ("quote", AnswerSchema::text()),
        ("type", AnswerSchema::one_of(&Flaw::KINDS)),
        ("fix", AnswerSchema::text()),
    ]);
    let score = || ("score", AnswerSchema::up_to(10));
    let errors = || ("errors", AnswerSchema::list(&flaw));
    let verdict = || ("verdict", AnswerSchema::one_of(&Remedy::ALL.map(|(name, _)| name)));
    let schema = |fields| Arc::new(AnswerSchema::new("grade", fields));
    [schema(&[score(), errors(), verdict()]), schema(&[errors(), score(), verdict()])]
});

fn schema(version: RulesVersion) -> Arc<AnswerSchema> {
    match version {
        RulesVersion::First => Arc::clone(&SCHEMAS[0]),
        RulesVersion::Second => Arc::clone(&SCHEMAS[1]),
    }
}

/// The maximum number of errors.
const FLAWS_MAX: usize = 10;
/// The maximum length of a quote or a fix.
const FLAW_CHARACTERS_MAX: usize = 4_000;

impl Tutor {
    /// Returns the grade for `answer` to `prompt`. The grades for one turn have slots of their own, from `first` on. A grader
    /// whose reply is invalid is told why and asked again, at most twice.
    pub(super) fn grade(
        &self,
        turn: u32,
        first: u32,
        prompt: &[Arc<Message>],
        answer: &str,
        answered: &Answered,
    ) -> Graded {
        let version = self.version_of(answered);
        let mut said_wrong: Vec<(&GradeFault, &Arc<Answer>)> = Vec::new();
        let mut was_cut = None;
        for attempt in 0..ATTEMPTS_MAX {
            let slot = Slot { lane: Lane::Grader, turn, attempt: first + attempt };
            let Some(seen) = answered.examined(slot) else {
                let messages = repair(version, request(version, prompt, answer), &said_wrong).into();
                // A reply without a grade may have none because of the schema.
                let is_formless = |(fault, said): &(&GradeFault, &Arc<Answer>)| {
                    (!said.is_whole() || fault.0 == NO_JSON) && !follows_schema(said)
                };
                let schema = (!said_wrong.iter().any(is_formless)).then(|| schema(version));
                let target = with_room(&self.cast.grader, was_cut).with_schema(schema);
                return Graded::Open(Question { slot, target, sample: attempt, messages });
            };
            let first = said_wrong.first().map_or(&seen.answer, |(_, first)| *first);
            let reading = |result| Reading::of(first, result);
            was_cut = AnswerCheck::cut_at(&seen.answer).or(was_cut);
            match seen.tutored.grade.get_or_init(|| read(version, &seen.answer, answer)) {
                Ok(grade) if attempt == 0 => return Graded::Done(grade.clone(), reading(ReadingResult::Valid)),
                Ok(grade) => return Graded::Done(grade.clone(), reading(ReadingResult::Repaired)),
                Err(fault) if attempt + 1 == ATTEMPTS_MAX || is_in_vain(version, &said_wrong, fault, &seen.answer) => {
                    return Graded::Invalid(fault.0, reading(ReadingResult::Invalid));
                }
                Err(fault) => said_wrong.push((fault, &seen.answer)),
            }
        }
        unreachable!("the last attempt returns")
    }
}

/// True where one more attempt would be like the last one: the reply came before, or so did the complaint, with which the
/// request would be the same again.
fn is_in_vain(
    version: RulesVersion,
    said_wrong: &[(&GradeFault, &Arc<Answer>)],
    fault: &GradeFault,
    said: &Answer,
) -> bool {
    let came_before = |(earlier, reply): &(&GradeFault, &Arc<Answer>)| {
        reply.text() == said.text() || earlier.1 == fault.1 && said.finish != Finish::Length
    };
    version > RulesVersion::First && said_wrong.iter().any(came_before)
}

/// Returns a request again after invalid replies.
fn repair(version: RulesVersion, request: String, said_wrong: &[(&GradeFault, &Arc<Answer>)]) -> Vec<Arc<Message>> {
    match version {
        RulesVersion::First => repair_with_replies(request, said_wrong),
        // A weak model repeats its own reply if it sees it: only the last fault is named.
        RulesVersion::Second => {
            let complaint = said_wrong.last().map(|(GradeFault(_, complaint), _)| format!("\n\n{complaint}"));
            vec![Message::new(Role::User, format!("{request}{}", complaint.unwrap_or_default()))]
        }
    }
}

/// Returns a request with all invalid replies to it and their faults. Servers may refuse an empty message, so the fault of
/// an empty reply is added to the request itself.
fn repair_with_replies(request: String, said_wrong: &[(&GradeFault, &Arc<Answer>)]) -> Vec<Arc<Message>> {
    let mut messages: Vec<(Role, String)> = vec![(Role::User, request)];
    for (GradeFault(_, complaint), said) in said_wrong {
        match messages.last_mut() {
            Some((_, last)) if said.text().trim().is_empty() => *last = format!("{last}\n\n{complaint}"),
            _ => messages.extend([(Role::Assistant, said.text().to_owned()), (Role::User, complaint.clone())]),
        }
    }
    messages.into_iter().map(|(role, text)| Message::new(role, text)).collect()
}

/// Returns the target after a cut: with twice the tokens.
fn with_room(grader: &Arc<Target>, was_cut: Option<u32>) -> Arc<Target> {
    let Some(tokens) = was_cut else { return Arc::clone(grader) };
    let sampling = grader.sampling();
    let max_tokens = Some(AnswerCheck::room_after(sampling, tokens));
    grader.raised(Sampling { max_tokens, ..sampling.clone() })
}

/// Returns the request for a grade. It does not say whose answer it is: a student's and a teacher's are graded alike.
fn request(version: RulesVersion, prompt: &[Arc<Message>], answer: &str) -> String {
    let text = match version {
        RulesVersion::First => include_str!("prompts/first/grade.txt"),
        RulesVersion::Second => include_str!("prompts/second/grade.txt"),
    };
    let fence = fence_around(prompt, &[answer], 0);
    let (number, kinds) = (fence.number().to_string(), Flaw::KINDS.join(", "));
    let (conversation, answer) = (transcript(prompt, &fence, ""), fence.around("answer", answer));
    fill(text, &[("number", &number), ("conversation", &conversation), ("answer", &answer), ("kinds", &kinds)])
}

/// Reads a grade for `answer`. The first version takes no grade with an error whose quote is not in the answer, and no JSON with
/// slips; later ones leave out the error.
fn read(version: RulesVersion, said: &Answer, answer: &str) -> Result<Grade, GradeFault> {
    let is_strict = version == RulesVersion::First;
    let fault = |code, why: &str| {
        let complaint = match version {
            RulesVersion::First => {
                format!("This cannot be used: {why}. Give the whole JSON object again, and nothing else.")
            }
            RulesVersion::Second => format!(
                "An earlier reply to this could not be used: {why}. Give the whole JSON object that is described above, and \
                 nothing else."
            ),
        };
        GradeFault(code, complaint)
    };
    if !said.is_whole() {
        return Err(fault(said.finish.name(), "it is not whole"));
    }
    let fields = ["score", "verdict"];
    let found = if is_strict { object_with(&fields, said.text()) } else { tolerant_object_with(&fields, said.text()) };
    let value = found.ok_or_else(|| fault(NO_JSON, "there is no JSON object with a score and a verdict"))?;
    let score = number(&value["score"]).filter(|score| (1.0..=10.0).contains(score));
    let score = score.ok_or_else(|| fault("score", "`score` must be a number from 1 to 10"))?;
    let verdict = value["verdict"].as_str().unwrap_or_default();
    let verdict = verdict.trim_matches(|letter: char| !letter.is_alphabetic()).to_lowercase();
    let verdict = Remedy::ALL.iter().find(|(name, _)| *name == verdict).map(|(_, remedy)| *remedy);
    let verdict = verdict.ok_or_else(|| fault("verdict", "`verdict` must be keep, revise or rewrite"))?;
    let (mut flaws, mut dropped) = (Vec::new(), 0);
    let errors: &[Value] = match &value["errors"] {
        Value::Array(errors) => errors,
        error @ Value::Object(_) => std::slice::from_ref(error),
        Value::Null => &[],
        _ if is_strict => return Err(fault("errors", "`errors` must be a list")),
        _ => {
            dropped += 1;
            &[]
        }
    };
    for error in errors.iter().take(FLAWS_MAX) {
        match flaw(error, answer) {
            Ok(flaw) => flaws.push(flaw),
            Err((code, why)) if is_strict => return Err(fault(code, &why)),
            Err(_) => dropped += 1,
        }
    }
    Ok(Grade { score, flaws, dropped, verdict })
}

/// Reads an error that a grader names; fails with a code and the reason where it cannot be used.
fn flaw(error: &Value, answer: &str) -> Result<Flaw, (&'static str, String)> {
    let text = |name: &str| error[name].as_str().unwrap_or_default().trim();
    if text("fix").chars().count() > FLAW_CHARACTERS_MAX {
        let why = "a fix is too long; say what should stand there instead of the quote alone";
        return Err(("fix", why.to_owned()));
    }
    let is_short = text("quote").chars().count() <= FLAW_CHARACTERS_MAX;
    let Some(quote) = Some(text("quote")).filter(|_| is_short).and_then(|quote| quoted_in(answer, quote)) else {
        let shown: String = text("quote").chars().take(120).collect();
        let why = format!("the words \"{shown}\" do not stand in the answer; a quote is copied letter for letter");
        return Err(("quote", why));
    };
    let kind = text("type").to_lowercase();
    let kind = Flaw::KINDS.iter().find(|known| **known == kind).copied().unwrap_or("other");
    Ok(Flaw { quote: quote.to_owned(), kind, fix: text("fix").to_owned() })
}

fn number(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| value.as_str()?.split('/').next()?.trim().parse().ok())
}

/// Finds a quote in a text; the quote may have quotation marks of its own.
fn quoted_in<'a>(text: &'a str, quote: &str) -> Option<&'a str> {
    standing_in(text, quote).or_else(|| standing_in(text, quote.trim_matches(['"', '“', '”', '\'', '`'])))
}

/// Finds these words in a text, exactly except for the width of white space.
fn standing_in<'a>(text: &'a str, quote: &str) -> Option<&'a str> {
    let wanted = quote.split_whitespace().collect::<Vec<_>>().join(" ");
    if wanted.is_empty() {
        return None;
    }
    if let Some(at) = text.find(quote) {
        return Some(&text[at..at + quote.len()]);
    }
    // The text with single white space, and the position in the text of each of its bytes.
    let (mut flat, mut places) = (String::with_capacity(text.len()), Vec::with_capacity(text.len()));
    for (at, letter) in text.char_indices() {
        if !letter.is_whitespace() {
            flat.push(letter);
            places.extend(at..at + letter.len_utf8());
        } else if !flat.ends_with(' ') {
            flat.push(' ');
            places.push(at);
        }
    }
    let start = flat.find(&wanted)?;
    Some(&text[places[start]..=places[start + wanted.len() - 1]])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> Answer {
        Answer::complete("simulated", text)
    }

    const ANSWER: &str = "Water boils at 90 °C.\n\n- It freezes\n  at 0 °C.";

    fn code(text: &str) -> &'static str {
        code_under(RulesVersion::First, text)
    }

    fn code_under(version: RulesVersion, text: &str) -> &'static str {
        read(version, &said(text), ANSWER).map_or_else(|GradeFault(code, _)| code, |_| "read")
    }

    #[test]
    fn a_grade_quotes_what_stands_in_the_answer_or_is_none() {
        let with =
            |errors: &str| format!("Here you are: {{\"score\": 4, \"errors\": [{errors}], \"verdict\": \"Revise\"}}");
        let grade = read(
            RulesVersion::First,
            &said(&with(r#"{"quote": "90 °C", "type": "Factual", "fix": "100 °C"}"#)),
            ANSWER,
        );
        let grade = grade.unwrap_or_else(|GradeFault(code, _)| panic!("{code}"));
        assert_eq!((grade.score, grade.verdict), (4.0, Remedy::Revise));
        assert_eq!((grade.flaws[0].kind, grade.flaws[0].quote.as_str()), ("factual", "90 °C"));
        // Line ends and indentation may be lost; the quote is the answer's own.
        let grade = read(
            RulesVersion::First,
            &said(&with(r#"{"quote": "It freezes at 0 °C.", "type": "odd", "fix": ""}"#)),
            ANSWER,
        );
        let grade = grade.unwrap_or_else(|GradeFault(code, _)| panic!("{code}"));
        assert_eq!((grade.flaws[0].kind, grade.flaws[0].quote.as_str()), ("other", "It freezes\n  at 0 °C."));
        for (errors, expected) in [
            (r#"{"quote": "91 °C"}"#, "quote"),
            (r#"{"quote": ""}"#, "quote"),
            (r#"{"quote": "  "}"#, "quote"),
            (r#"{"fix": "x"}"#, "quote"),
            ("", "read"),
        ] {
            assert_eq!(code(&with(errors)), expected, "{errors}");
        }
    }

    #[test]
    fn an_error_that_cannot_be_used_is_left_out_and_the_grade_stays() {
        let false_quote = r#"{"quote": "91 °C", "type": "factual", "fix": "x"}"#;
        let true_quote = r#"{"quote": "90 °C", "type": "factual", "fix": "100 °C"}"#;
        let endless = format!(r#"{{"quote": "90 °C", "fix": "{}"}}"#, "x".repeat(FLAW_CHARACTERS_MAX + 1));
        for (errors, flaws, dropped) in [
            (format!("[{false_quote}]"), 0, 1),
            (format!("[{false_quote}, {true_quote}]"), 1, 1),
            (format!("[{endless}]"), 0, 1),
            ("\"90\"".to_owned(), 0, 1),
            ("[]".to_owned(), 0, 0),
        ] {
            let text = format!(r#"{{"errors": {errors}, "score": 4, "verdict": "revise"}}"#);
            let grade = read(RulesVersion::Second, &said(&text), ANSWER);
            let grade = grade.unwrap_or_else(|GradeFault(code, _)| panic!("{code}: {text}"));
            assert_eq!((grade.score, grade.flaws.len(), grade.dropped), (4.0, flaws, dropped), "{text}");
            assert_eq!(grade.verdict, Remedy::Revise);
        }
    }

    #[test]
    fn a_grade_with_slips_that_a_person_can_read_is_read() {
        for text in [
            "{\"score\": 5, \"errors\": [{\"quote\": \"90 °C\", \"fix\": \"$100\\circ$ \\C\"}], \"verdict\": \"revise\"}",
            "{\"score\": 5, \"errors\": [{\"quote\": \"90 °C.\n\n- It\", \"fix\": \"a\nb\"},], \"verdict\": \"revise\",}",
            "{“score”: 5, “errors”: [], “verdict”: “revise”}",
            "```json\n{\"score\": 5, \"errors\": [], \"verdict\": \"revise\"\n```",
        ] {
            assert_eq!(code_under(RulesVersion::Second, text), "read", "{text}");
            assert_eq!(code_under(RulesVersion::First, text), "no_json", "{text}");
        }
    }

    #[test]
    fn what_is_no_grade_has_its_code() {
        for (text, expected) in [
            ("It is fine.", "no_json"),
            (r#"{"verdict": "keep"}"#, "no_json"),
            (r#"{"score": "5/10", "errors": {"quote": "'90 °C'"}, "verdict": "Revise."}"#, "read"),
            (r#"{"score": 5, "errors": "90", "verdict": "revise"}"#, "errors"),
            (r#"{"score": 0, "verdict": "keep"}"#, "score"),
            (r#"{"score": 11, "verdict": "keep"}"#, "score"),
            (r#"{"score": "high", "verdict": "keep"}"#, "score"),
            (r#"{"score": 5}"#, "no_json"),
            (r#"{"score": 5, "verdict": "burn"}"#, "verdict"),
            (r#"{"score": "5", "verdict": "rewrite"}"#, "read"),
        ] {
            assert_eq!(code(text), expected, "{text}");
        }
        let cut = Answer { finish: Finish::Length, ..said(r#"{"score": 5, "verdict": "keep"}"#) };
        assert!(read(RulesVersion::First, &cut, ANSWER).is_err_and(|GradeFault(code, _)| code == "length"));
    }

    proptest::proptest! {
        #[test]
        fn no_words_stop_it(text in "(\\{|\\}|\"score\":|\"errors\":|\\[|\"quote\":|[0-9aé ,\"\n]){0,40}", quote in "[aé \n]{0,6}") {
            for version in RulesVersion::ALL {
                if let Ok(grade) = read(*version, &said(&text), &quote) {
                    proptest::prop_assert!((1.0..=10.0).contains(&grade.score));
                }
            }
            if let Some(found) = standing_in(&text, &quote) {
                proptest::prop_assert!(!found.is_empty());
                proptest::prop_assert!(found.split_whitespace().eq(quote.split_whitespace()));
            }
        }
    }

    /// The grade after these replies, or the question that is open.
    fn graded(replies: &[Answer]) -> Graded {
        use crate::conversation::{Sampling, Target};
        use crate::recipe::judge::{Judge, Prompt, Scale};
        use crate::recipe::tutor::{Cast, History, PassPurpose};
        let target = Target::new("m", "openai", Sampling { max_tokens: Some(100), ..Sampling::default() });
        let judge = Judge { target: Arc::clone(&target), prompt: Prompt::standard(Scale::Pair), repeats: 1 };
        let [student, teacher, grader] = [0; 3].map(|_| Arc::clone(&target));
        let cast = Cast { student, teacher, grader, judge };
        let tutor = Tutor::new(cast, 0, History::Forced, PassPurpose::Rows, None, None);
        let mut answered = Answered::default();
        for (attempt, reply) in (7..).zip(replies) {
            answered.insert(Slot { lane: Lane::Grader, turn: 2, attempt }, Arc::new(reply.clone()));
        }
        tutor.grade(2, 7, &[Message::new(Role::User, "When does water boil?")], ANSWER, &answered)
    }

    fn asked(replies: &[Answer]) -> Question {
        match graded(replies) {
            Graded::Open(question) => question,
            Graded::Done(..) | Graded::Invalid(..) => panic!("nothing is asked"),
        }
    }

    const GOOD: &str = r#"{"score": 8, "errors": [], "verdict": "keep"}"#;
    const WRONG: &str = r#"{"score": 11, "errors": [], "verdict": "keep"}"#;

    #[test]
    fn a_grader_is_told_what_is_wrong_and_asked_again_twice() {
        use crate::conversation::ReplyForm;
        let first = asked(&[]);
        assert_eq!((first.slot, first.sample), (Slot { lane: Lane::Grader, turn: 2, attempt: 7 }, 0));
        assert_eq!((first.messages.len(), first.target.schema().is_some()), (1, true));
        let second = asked(&[said(WRONG)]);
        assert_eq!((second.slot.attempt, second.sample, second.messages.len()), (8, 1, 1));
        let words = second.messages[0].content();
        assert!(
            words.starts_with(first.messages[0].content()) && words.contains("`score` must be a number"),
            "{words}"
        );
        assert!(!words.contains(WRONG), "a weak model repeats what it sees");
        // Servers may refuse an empty message: its fault is added to the request.
        let after_empty = asked(&[said(" ")]);
        assert_eq!(after_empty.messages.len(), 1);
        let words = after_empty.messages[0].content();
        assert!(words.starts_with(first.messages[0].content()) && words.len() > first.messages[0].content().len());
        let ends = |replies: &[&str]| match graded(&replies.iter().map(|text| said(text)).collect::<Vec<_>>()) {
            Graded::Done(grade, reading) => (Ok(grade.score), reading),
            Graded::Invalid(fault, reading) => (Err(fault), reading),
            Graded::Open(_) => panic!("a question is open"),
        };
        let reading = |form, result| Reading { form, result };
        assert_eq!(ends(&[GOOD]), (Ok(8.0), reading(ReplyForm::Json, ReadingResult::Valid)));
        assert_eq!(ends(&["Good.", GOOD]), (Ok(8.0), reading(ReplyForm::Text, ReadingResult::Repaired)));
        assert_eq!(ends(&[WRONG, "Good.", GOOD]), (Ok(8.0), reading(ReplyForm::Json, ReadingResult::Repaired)));
        // The same reply again would come a third time.
        let again = ends(&["Good.", "Good."]);
        assert_eq!(again, (Err("no_json"), reading(ReplyForm::Text, ReadingResult::Invalid)));
        assert_eq!(
            ends(&["Good.", WRONG, "Good."]),
            (Err("no_json"), reading(ReplyForm::Text, ReadingResult::Invalid))
        );
    }

    #[test]
    fn a_reply_without_the_form_is_asked_again_without_a_schema() {
        let has_schema = |reply: Answer| asked(&[reply]).target.schema().is_some();
        assert!(!has_schema(said("It is fine.")));
        assert!(
            has_schema(said(WRONG)) && has_schema(said(&format!("So: {WRONG}"))),
            "a grade that is wrong has the form"
        );
        let cut = |text: &str| Answer { finish: Finish::Length, ..said(text) };
        assert!(has_schema(cut("{\"score\": 8")) && !has_schema(cut("   ")));
        assert!(asked(&[said("It is fine."), said(WRONG)]).target.schema().is_none(), "once is enough");
    }

    #[test]
    fn a_grade_that_was_cut_gets_twice_the_room() {
        let mut cut = Answer { finish: Finish::Length, ..said("{") };
        cut.usage.completion_tokens = Some(100);
        assert_eq!(asked(&[said(WRONG)]).target.sampling().max_tokens, Some(100));
        assert_eq!(asked(&[cut.clone()]).target.sampling().max_tokens, Some(200));
        assert_eq!(asked(&[cut, said(WRONG)]).target.sampling().max_tokens, Some(200), "also after another fault");
    }
}
