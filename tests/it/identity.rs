//! What is the same question, and what is not. The golden values must never change: stores would lose their answers.

use std::fmt::Write;
use std::sync::Arc;

use cohobate::conversation::{
    AnswerSchema, ConversationKey, Extras, Message, Question, RequestOptions, Role, Sampling, Settings, Slot, Target,
    Thinking, TokenDetail, Turn,
};
use cohobate::recipe::{
    BestOf, Compare, ComparedHistory, Distill, Evaluate, Judge, JudgedHistory, JudgedScope, OrphanCheck, Orphans,
    Prompt, Ranker, Recipe, Scale, Simulate, System,
};

use crate::crash_at_every_commit::recipes;
use crate::support::{seed, target};

fn question() -> Question {
    let sampling = Sampling { temperature: Some(0.7), top_p: None, max_tokens: Some(512), seed: Some(-1) };
    Question {
        slot: Slot::main(1),
        target: Target::new("teacher-1", "openai", sampling),
        sample: 0,
        messages: vec![
            Message::new(Role::System, "Be brief."),
            Message::new(Role::User, "你好 👋"),
            Message::new(Role::Assistant, "Hello."),
            Message::new(Role::User, "And now?"),
        ]
        .into(),
    }
}

fn with_sampling(change: impl FnOnce(&mut Sampling)) -> Question {
    let mut question = question();
    let mut sampling = question.target.sampling().clone();
    change(&mut sampling);
    question.target = Target::new(question.target.model(), question.target.dialect(), sampling);
    question
}

#[test]
fn golden_hashes_stay_as_they_are() {
    let settings = Settings::default().with("recipe", "distill").with("temperature", 0.7);
    let seed = seed("any", &["first".to_owned(), "second".to_owned()]);
    let key = ConversationKey::new(&settings, &seed.digest());
    let golden = [
        Message::new(Role::User, "hi").digest().to_string(),
        question().fingerprint().to_string(),
        settings.digest().to_string(),
        seed.digest().to_string(),
        key.to_string(),
    ];
    insta::assert_snapshot!(golden.join("\n"));
}

/// The question with more in its request than messages and sampling.
fn with_extras(body: &str, thinking: Option<Thinking>, effort: Option<&str>) -> Question {
    let effort = effort.map(|level| level.parse().unwrap());
    let options = RequestOptions { body: body.parse().unwrap(), thinking, effort, ..RequestOptions::default() };
    let plain = question();
    let (extras, sampling) = (Extras::new(options).unwrap(), plain.target.sampling().clone());
    Question { target: Target::with_extras("teacher-1", "openai", sampling, extras), ..plain }
}

#[test]
fn golden_hashes_of_body_fields_stay_as_they_are() {
    let golden = [
        with_extras(r#"{"top_k": 20, "min_p": 0.0, "chat_template_kwargs": {"b": [1, "ü"], "a": null}}"#, None, None),
        with_extras("{}", Some(Thinking::Off), None),
        with_extras("{}", None, Some("high")),
        with_extras(r#"{"top_k": 20}"#, Some(Thinking::On), Some("low")),
    ];
    insta::assert_snapshot!(golden.map(|question| question.fingerprint().to_string()).join("\n"));
}

#[test]
fn golden_hashes_of_token_details_stay_as_they_are() {
    let with = |detail: TokenDetail| {
        let plain = question();
        Question { target: plain.target.with_detail(Some(detail), &[]), ..plain }.fingerprint().to_string()
    };
    let golden = [with(TokenDetail::Ids), with(TokenDetail::Logprobs(1)), with(TokenDetail::Logprobs(20))];
    insta::assert_snapshot!(golden.join("\n"));
    let plain = Question { target: question().target.with_detail(None, &[TokenDetail::Ids]), ..question() };
    assert_eq!(plain.fingerprint(), question().fingerprint());
}

/// A judge whose request says more than the usual one.
fn folding_judge(scale: Scale) -> Judge {
    Judge { target: question().target.with_folded_system(true), prompt: Prompt::standard(scale), repeats: 3 }
}

/// What recipes can be told, as far as `recipes` does not tell it.
fn recipes_told_more() -> Vec<(&'static str, Arc<dyn Recipe>)> {
    let distill = || Distill::new(target(), None);
    let evaluate = |scope, history| Evaluate::new(folding_judge(Scale::Check), scope, history, criteria());
    let scorer = BestOf {
        samples: 3,
        ranker: Ranker::Scorer(Target::new("scorer", "openai", Sampling::default())),
        min_score: None,
    };
    let said = Message::new(Role::System, "Be kind.");
    let given = System { name: "given".to_owned(), target: None, system: None };
    let told = System { name: "told".to_owned(), target: Some(question().target), system: Some(said) };
    let whole = with_extras(r#"{"top_k": 20, "user": "me"}"#, Some(Thinking::Off), Some("low")).target;
    vec![
        ("every sampling", Arc::new(Distill::new(question().target, Some("Be brief.")))),
        ("top-p", Arc::new(Distill::new(with_sampling(|sampling| sampling.top_p = Some(0.9)).target, None))),
        ("every option", Arc::new(Distill::new(whole, None))),
        ("folded", Arc::new(Distill::new(target().with_folded_system(true), None))),
        ("reasoning", Arc::new(distill().with_reasoning_in_history())),
        ("a scorer", Arc::new(distill().with_best_of(scorer))),
        ("orphans kept", Arc::new(distill().with_orphans(Orphans::Keep))),
        ("orphans cut", Arc::new(distill().with_orphans(Orphans::Truncate))),
        ("orphans rewritten", Arc::new(distill().with_orphans(Orphans::Rewrite))),
        (
            "orphans judged",
            Arc::new(distill().with_orphans(OrphanCheck {
                judge: Some(Judge { prompt: Prompt::orphans(), ..folding_judge(Scale::Check) }),
                ..OrphanCheck::from(Orphans::Truncate)
            })),
        ),
        ("no gate", Arc::new(Simulate::new(target(), question().target, 2, Vec::new(), None, Some("Be brief.")))),
        ("turns", Arc::new(evaluate(JudgedScope::Turns, JudgedHistory::Own))),
        ("the whole", Arc::new(evaluate(JudgedScope::Whole, JudgedHistory::Golden))),
        ("both", Arc::new(evaluate(JudgedScope::Both, JudgedHistory::Own))),
        (
            "given answers",
            Arc::new(Compare::new(
                vec![given, told],
                folding_judge(Scale::Pair),
                JudgedScope::Whole,
                ComparedHistory::Shared,
            )),
        ),
    ]
}

fn criteria() -> Vec<String> {
    vec!["It is true.".to_owned(), "It is short.".to_owned()]
}

/// They are part of every conversation's key: a run would begin anew what another has finished.
#[test]
fn the_settings_of_every_recipe_stay_as_they_are() {
    let mut golden = String::new();
    for (name, recipe) in recipes().into_iter().chain(recipes_told_more()) {
        writeln!(golden, "== {name}: {}", recipe.settings().digest()).unwrap();
        for (setting, value) in &recipe.settings().entries {
            writeln!(golden, "{setting}: {value}").unwrap();
        }
        for older in recipe.older() {
            let of = |name: &str| older.settings.get(name).map(|value| format!("{name}: {value}: "));
            let changed: String =
                ["gate", "prompt", "best-by", "orphans", "orphans-judge"].into_iter().filter_map(of).collect();
            writeln!(golden, "under rules {}: {changed}{}", older.rules, older.settings.digest()).unwrap();
        }
    }
    insta::assert_snapshot!(golden);
}

#[test]
fn what_is_not_used_or_cannot_change_the_answer_changes_no_fingerprint() {
    let original = question().fingerprint();
    for same in ["{}", r#"{"service_tier": "flex", "user": "me", "metadata": {"run": 1}}"#] {
        assert_eq!(with_extras(same, None, None).fingerprint(), original, "{same}");
    }
    let schema = AnswerSchema::new("verdict", &[("verdict", AnswerSchema::text())]);
    let structured = question().target.with_schema(Some(Arc::new(schema)));
    assert_eq!(Question { target: structured, ..question() }.fingerprint(), original, "it follows from the prompt");
    let plain = question();
    let raised = plain.target.raised(plain.target.sampling().clone());
    assert_eq!(Question { target: raised, ..plain }.fingerprint(), original, "who asks for more is not asked for");
    let drawn = RequestOptions { choices: "top_k=20:1".parse().unwrap(), ..RequestOptions::default() };
    let drawn =
        Target::with_extras("teacher-1", "openai", question().target.sampling().clone(), Extras::new(drawn).unwrap());
    let drawn = Question { target: drawn.drawn_for(&question().messages), ..question() };
    assert_eq!(drawn.fingerprint(), with_extras(r#"{"top_k": 20}"#, None, None).fingerprint());
    let warmth = RequestOptions { temperatures: "0.5:1".parse().unwrap(), ..RequestOptions::default() };
    let sampling = Sampling { temperature: None, ..question().target.sampling().clone() };
    let warmth = Target::with_extras("teacher-1", "openai", sampling, Extras::new(warmth).unwrap());
    let warmth = Question { target: warmth.drawn_for(&question().messages), ..question() };
    assert_eq!(warmth.fingerprint(), with_sampling(|sampling| sampling.temperature = Some(0.5)).fingerprint());
}

#[test]
fn everything_that_can_change_the_answer_is_in_the_fingerprint() {
    let original = question().fingerprint();
    let mut changed: Vec<Question> = vec![
        with_extras(r#"{"top_k": 20}"#, None, None),
        with_extras(r#"{"top_k": 21}"#, None, None),
        with_extras(r#"{"top_k": "20"}"#, None, None),
        with_extras(r#"{"provider": {"order": ["a", "b"]}}"#, None, None),
        with_extras(r#"{"provider": {"order": ["b", "a"]}}"#, None, None),
        with_extras("{}", Some(Thinking::On), None),
        with_extras("{}", Some(Thinking::Off), None),
        with_extras("{}", None, Some("off")),
        with_sampling(|sampling| sampling.temperature = Some(0.8)),
        with_sampling(|sampling| sampling.temperature = None),
        with_sampling(|sampling| sampling.top_p = Some(0.7)),
        with_sampling(|sampling| sampling.max_tokens = None),
        with_sampling(|sampling| sampling.seed = Some(1)),
    ];
    for (model, dialect) in [("teacher-2", "openai"), ("teacher-1", "anthropic")] {
        let target = Target::new(model, dialect, question().target.sampling().clone());
        changed.push(Question { target, ..question() });
    }
    changed.push(Question { sample: 1, ..question() });
    for index in 0..question().messages.len() {
        let mut without = question().messages.to_vec();
        without.remove(index);
        changed.push(Question { messages: without.into(), ..question() });
        let mut edited = question().messages.to_vec();
        let content = format!("{}!", edited[index].content());
        edited[index] = Message::new(edited[index].role(), content);
        changed.push(Question { messages: edited.into(), ..question() });
    }
    let mut other_role = question().messages.to_vec();
    other_role[0] = Message::new(Role::User, "Be brief.");
    changed.push(Question { messages: other_role.into(), ..question() });
    let mut fingerprints: Vec<_> = changed.iter().map(Question::fingerprint).collect();
    fingerprints.push(original);
    let count = fingerprints.len();
    fingerprints.sort_unstable();
    fingerprints.dedup();
    assert_eq!(fingerprints.len(), count, "two different questions have one fingerprint");
}

#[test]
fn where_a_question_stands_is_not_in_the_fingerprint() {
    let elsewhere = Question { slot: Slot::main(7), ..question() };
    assert_eq!(elsewhere.fingerprint(), question().fingerprint());
    let zeros = [0.0, -0.0].map(|zero| with_sampling(|sampling| sampling.temperature = Some(zero)).fingerprint());
    assert_eq!(zeros[0], zeros[1]);
}

#[test]
fn a_seed_is_its_turns_and_not_its_name_columns_or_old_answers() {
    let words = ["a".to_owned(), "b".to_owned()];
    let mut renamed = seed("other", &words);
    renamed.columns.insert("score".to_owned(), 1.into());
    renamed.turns[0].replaced = Some("an old answer".to_owned());
    assert_eq!(renamed.digest(), seed("one", &words).digest());
    // The same messages cut into turns differently are another seed: other answers are asked for.
    let mut joined = seed("one", &words);
    let second = joined.turns.pop().unwrap();
    joined.turns[0].messages.extend(second.messages);
    assert_ne!(joined.digest(), seed("one", &words).digest());
}

#[test]
fn a_system_message_of_the_command_line_takes_the_place_of_the_rows_own() {
    let system = Message::new(Role::System, "Be long.");
    let plain = seed("a", &["hi".to_owned()]);
    let mut instructed = plain.clone();
    instructed.turns[0].messages.insert(0, Message::new(Role::System, "Be brief."));
    let both = [plain.with_system(&system), instructed.with_system(&system)];
    let first: Vec<&Arc<Message>> = both.iter().map(|seed| &seed.turns[0].messages[0]).collect();
    assert_eq!(first, [&system, &system]);
    assert_eq!(both[0].digest(), both[1].digest());
    let Turn { messages, .. } = &both[1].turns[0];
    assert_eq!(messages.len(), 2);
}
