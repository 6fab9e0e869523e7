//! `cohobate tutor`: what is written is what was asked and found good, whatever student and teacher do.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use cohobate::conversation::{
    Answer, Dice, Finish, Lane, Line, Message, Messages, Question, Role, Sampling, Seed, Slot, Target,
};
use cohobate::export::{critique_row, hard_record, lesson_labels, lesson_pair, lesson_record, output_format_named};
use cohobate::model::Simulated;
use cohobate::quality::{Candidate, Gate, Strictness, differs_by_more_than};
use cohobate::recipe::{Cast, History, Judge, PassPurpose, Prompt, Replay, ReplayEnd, Scale, Tutor, Tutored};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::support::{MockServer, Place, conversation, jsonl, recorder, requests, seed};

const FILES: [&str; 5] = ["sft.jsonl", "dpo.jsonl", "kto.jsonl", "critique.jsonl", "hard.jsonl"];

fn conversations(place: &Place, count: usize, turns: usize) {
    let rows: Vec<Value> =
        (0..count).map(|row| conversation(&format!("the care of plant number {row}"), turns)).collect();
    place.write("in.jsonl", jsonl(&rows));
}

fn report(place: &Place) -> Value {
    serde_json::from_str(&place.read("tutored/report.json")).unwrap()
}

/// Everything that a run has written into a directory.
fn written(place: &Place, directory: &str) -> BTreeMap<String, String> {
    let more = ["turns.csv", "report.json", "report.html"];
    FILES.iter().chain(&more).map(|name| ((*name).to_owned(), place.read(&format!("{directory}/{name}")))).collect()
}

#[test]
fn each_turn_is_answered_graded_and_corrected() {
    let place = Place::new();
    conversations(&place, 30, 3);
    let arguments = [
        "tutor",
        "in.jsonl",
        "--student=simulated-student",
        "--teacher=simulated",
        "--judge=simulated-judge",
        "--history=forced,student",
    ];
    place.complete(&arguments);
    let rows: BTreeMap<&str, Vec<Value>> =
        FILES.iter().map(|name| (*name, place.rows(&format!("tutored/{name}")))).collect();
    assert_eq!(rows["critique.jsonl"].len(), 90);
    // A correction that is found worse teaches nothing.
    let turns = place.read("tutored/turns.csv");
    let is_worse =
        |line: &&str| line.starts_with("1,forced,") && (line.contains("graded_lower") || line.contains(",worse,"));
    let worse = turns.lines().filter(is_worse).count();
    assert!(worse > 0);
    assert_eq!(rows["sft.jsonl"].len(), 90 - worse);
    for row in &rows["sft.jsonl"] {
        let tutor = &row["meta"]["tutor"];
        let said_before = row["prompt"].as_array().unwrap().iter().filter(|message| message["role"] == "assistant");
        assert_eq!(said_before.count(), tutor["history"].as_array().unwrap().len());
        assert_eq!(tutor["history_policy"], "forced");
        assert_eq!(row["id"].as_str().unwrap().rsplit_once('#').unwrap().1, tutor["turn"].to_string());
    }
    let by_id = |name: &str| -> BTreeMap<String, Value> {
        rows[name].iter().map(|row| (row["id"].as_str().unwrap().to_owned(), row.clone())).collect()
    };
    let (tuned, critiques, judged) = (by_id("sft.jsonl"), by_id("critique.jsonl"), by_id("kto.jsonl"));
    assert!(rows["dpo.jsonl"].len() > 10);
    for pair in &rows["dpo.jsonl"] {
        let id = pair["id"].as_str().unwrap();
        assert_eq!(pair["prompt"], tuned[id]["prompt"]);
        assert_eq!(pair["chosen"], tuned[id]["completion"]);
        assert_eq!(pair["rejected"], critiques[id]["completion"]);
        let score = |whose: &str| pair["meta"]["tutor"][format!("{whose}_score")].as_f64().unwrap();
        // A correction that is better, but not good, is no good example by itself.
        let alone = judged.get(&format!("{id}.teacher")).map(|row| &row["completion"]);
        assert_eq!(alone, Some(&pair["chosen"]).filter(|_| score("teacher") >= 7.0));
        assert_eq!(pair["meta"]["margin"], score("teacher") - score("student"));
    }
    for row in &rows["kto.jsonl"] {
        let is_good = row["meta"]["tutor"]["student_score"].as_f64().unwrap() >= 7.0;
        let is_student = row["id"].as_str().unwrap().ends_with(".student");
        assert_eq!(row["label"], json!(!is_student || is_good));
    }
    for row in &rows["critique.jsonl"] {
        let answer = row["completion"][0]["content"].as_str().unwrap();
        let errors = row["critique"]["errors"].as_array().unwrap();
        assert!(errors.iter().all(|error| answer.contains(error["quote"].as_str().unwrap())));
        assert!(row["privileged_context"].as_str().unwrap().starts_with("Score: "));
    }
    for row in &rows["hard.jsonl"] {
        let tutor = &row["meta"]["tutor"];
        let score = |whose: &str, turn: &Value| tutor[whose][turn.as_u64().unwrap() as usize - 1].as_f64().unwrap();
        let hard = tutor["hard_turns"].as_array().unwrap();
        assert!(hard.iter().all(|turn| score("teacher_scores", turn) - score("student_scores", turn) >= 1.0));
    }
    let report = report(&place);
    assert_eq!(report["passes"][0]["ends"], json!({"complete": 30}));
    assert!(report["passes"][1]["pairs"] == json!({}) && report["passes"][1]["writes_rows"] == false);
    for role in ["student", "teacher", "grader", "judge"] {
        assert!(report["passes"][0]["roles"][role]["completion_tokens"].as_u64().unwrap() > 0, "{role}");
    }
    // Nothing has been said before turn 1.
    assert_eq!(report["exposure"][0]["curve"][0]["mean"], 0.0);
    assert_eq!(report["exposure"][0]["marks"], 60);
    assert_eq!(place.read("tutored/turns.csv").lines().count(), 1 + 2 * 90);

    let before = written(&place, "tutored");
    let again = place.complete(&arguments);
    assert!(again.stderr.contains("0 answers new"), "{}", again.stderr);
    assert_eq!(written(&place, "tutored"), before);
    // What is hard is the next round's input.
    let next = place.complete(&[
        "tutor",
        "tutored/hard.jsonl",
        "--student=simulated-student",
        "--teacher=simulated",
        "--judge=simulated-judge",
        "-o=next",
    ]);
    assert!(next.stderr.contains("0 answers new"), "{}", next.stderr);
}

/// What a student or a teacher does that it should not, by the dice of the question.
fn spoilt(question: &Question, mut answer: Answer) -> Answer {
    let said = |text: &str, finish| Answer { message: Message::new(Role::Assistant, text), finish, ..answer.clone() };
    let dice = Dice::new("spoilt", &question.fingerprint().0).below(12);
    let Slot { lane, turn, attempt } = question.slot;
    match (lane, dice) {
        // A judge that is for the correction whatever it is, and a grader that never grades one.
        (Lane::Judge, _) if turn == 1 => said(if attempt == 0 { "[[A]]" } else { "[[B]]" }, Finish::Complete),
        (Lane::Grader, _) if turn == 2 && attempt >= 3 => said("A seven.", Finish::Complete),
        (Lane::Student, 0) => said("", Finish::Empty),
        (Lane::Student, 1) => said(&"And so on. ".repeat(80), Finish::Complete),
        (Lane::Student, 2) => said("It is", Finish::Length),
        (Lane::Main, 0) => said("Well.<|im_end|>", Finish::Complete),
        (Lane::Main, 1) => said(answer.text().trim_end_matches('.'), Finish::Length),
        (Lane::Grader, 0) => said("I would give it a seven.", Finish::Complete),
        (Lane::Grader, 1) => {
            let text = answer.text().replacen("\"quote\":\"", "\"quote\":\"nobody has said ", 1);
            said(&text, Finish::Complete)
        }
        (Lane::Judge, 0) => said("Both are fine.", Finish::Complete),
        _ => {
            answer.attempts = 1;
            answer
        }
    }
}

struct Trial {
    tutored: Tutored,
    /// What the student was asked, by turn.
    asked: BTreeMap<u32, Question>,
    calls: usize,
}

fn lead(recipe: &Tutor, seed: &Seed) -> Trial {
    lead_by(recipe, seed, &|question| spoilt(question, Simulated::answer(question, 1)))
}

/// Leads a conversation with these words of everybody.
fn lead_by(recipe: &Tutor, seed: &Seed, answer: &dyn Fn(&Question) -> Answer) -> Trial {
    let (asked, calls) = (Mutex::new(BTreeMap::new()), Mutex::new(0));
    let mut replay = Replay::new(recipe, seed);
    loop {
        let ReplayEnd::Open(open) = replay.advance(|_, _| Ok::<_, ()>(None)).unwrap() else { break };
        for (_, question) in open {
            *calls.lock().unwrap() += 1;
            if question.slot.lane == Lane::Student {
                asked.lock().unwrap().insert(question.slot.turn, question.clone());
            }
            replay.record(question.slot, Arc::new(answer(&question)));
        }
    }
    let tutored = recipe.tutored(seed, replay.answered());
    Trial { tutored, asked: asked.into_inner().unwrap(), calls: calls.into_inner().unwrap() }
}

fn rows(seed: &Seed, tutored: &Tutored, history: &str) -> String {
    let mut out = Vec::new();
    for lesson in &tutored.lessons {
        for (format, records) in [
            ("trl-prompt-completion", lesson_record(seed, lesson, history).into_iter().collect::<Vec<_>>()),
            ("dpo", lesson_pair(seed, lesson, history).into_iter().collect()),
            ("kto", lesson_labels(seed, lesson, history)),
        ] {
            for record in &records {
                output_format_named(format).unwrap().write(record, &mut out).unwrap();
            }
        }
        critique_row(seed, lesson, history, &mut out);
    }
    if let Some(record) = hard_record(seed, &tutored.lessons, history) {
        output_format_named("openai").unwrap().write(&record, &mut out).unwrap();
    }
    String::from_utf8(out).unwrap()
}

fn recipe(history: History, gate: &Gate) -> Tutor {
    let target = |name: &str| Target::new(name, Simulated::DIALECT, Sampling::default());
    let judge = Judge { target: target("judge"), prompt: Prompt::standard(Scale::Pair), repeats: 1 };
    let cast = Cast { student: target("student"), teacher: target("teacher"), grader: target("grader"), judge };
    Tutor::new(cast, 0, history, PassPurpose::Rows, Some(gate.clone()), None)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_was_asked_and_found_good(
        words in prop::collection::vec("[a-z]{4,9}( [a-z]{4,9}){0,6}\\?|[你好医生请问药]{4,12}？", 1..6),
        history in prop::sample::select(vec![History::Forced, History::Student, History::Mixed(0.5)]),
    ) {
        let gate = Gate::new(Strictness::Standard, "").unwrap();
        let (recipe, seed, history) = (recipe(history, &gate), seed("x", &words), history.to_string());
        let Trial { tutored, asked, calls } = lead(&recipe, &seed);
        // Student, two grades of three attempts, two ways of three to correct, two verdicts with a repair.
        prop_assert!(calls <= words.len() * (1 + 2 * 3 + 2 * 3 + 2 * 2));
        prop_assert!(tutored.end.is_some());
        for lesson in &tutored.lessons {
            let question = &asked[&lesson.turn.index()];
            let quotes = lesson.grade.iter().flat_map(|grade| &grade.flaws);
            for flaw in quotes {
                prop_assert!(!flaw.quote.is_empty() && lesson.student.text().contains(&flaw.quote));
            }
            if let Some(pair) = lesson_pair(&seed, lesson, &history) {
                let (chosen, prompt) = pair.lines.split_last().unwrap();
                let prompt: Messages = prompt.iter().map(|line| line.message.clone()).collect();
                prop_assert_eq!(&prompt, &question.messages);
                let rejected = pair.rejected.unwrap();
                prop_assert_eq!(rejected.text(), lesson.student.text());
                prop_assert!(differs_by_more_than(0.02, chosen.text(), rejected.text()));
                prop_assert!(lesson.correction_score() >= lesson.student_score());
            }
            prop_assert_eq!(&question.messages, &lesson.prompt);
            if let Some(record) = lesson_record(&seed, lesson, &history) {
                let (last, before) = record.lines.split_last().unwrap();
                prop_assert!(last.is_trained && before.iter().all(|line| !line.is_trained));
                let said = |role| before.iter().filter(move |line| line.role() == role).map(Line::text);
                let mut reply = Candidate::new(said(Role::User).next_back().unwrap(), last.text());
                reply.earlier = said(Role::Assistant).collect();
                prop_assert_eq!(gate.judge(&reply).rejected_by, None);
            }
            let labels = lesson_labels(&seed, lesson, &history);
            let texts: BTreeSet<&str> = labels.iter().map(|record| record.lines.last().unwrap().text()).collect();
            prop_assert_eq!(texts.len(), labels.len(), "an answer is called good and bad");
        }
        let again = lead(&recipe, &seed);
        prop_assert_eq!(rows(&seed, &again.tutored, &history), rows(&seed, &tutored, &history));
    }
}

#[test]
fn who_agrees_with_a_student_teaches_nothing_and_ends_nothing() {
    let gate = Gate::new(Strictness::Standard, "").unwrap();
    let words = ["Is it so?", "And now?"].map(str::to_owned);
    let say = |student: &'static str, grade: &'static str, teacher: &'static str| {
        move |question: &Question| {
            let text = match question.slot.lane {
                Lane::Student => student,
                Lane::Grader if question.slot.attempt < 3 => grade,
                Lane::Grader => r#"{"score": 9, "errors": [], "verdict": "keep"}"#,
                Lane::Judge if question.slot.attempt == 0 => "[[A]]",
                Lane::Judge => "[[B]]",
                _ => teacher,
            };
            Answer { message: Message::new(Role::Assistant, text), ..Simulated::answer(question, 1) }
        }
    };
    let seed = seed("x", &words);
    let recipe = recipe(History::Forced, &gate);
    // Badly graded without an error, and the teacher says the same.
    let grade = r#"{"score": 6, "errors": [], "verdict": "revise"}"#;
    let tutored = lead_by(&recipe, &seed, &say("Yes, it is.", grade, "Yes, it is.")).tutored;
    assert_eq!(tutored.end.unwrap().name(), "complete");
    assert!(tutored.lessons.iter().all(|lesson| lesson.learned().is_none()));
    assert_eq!(lesson_labels(&seed, &tutored.lessons[0], "forced").len(), 1, "it is bad, and no good one is known");
    // A fix may hold what it mends.
    let grade = r#"{"score": 6, "errors": [{"quote": "Paris", "type": "factual", "fix": "Paris, France"}], "verdict": "revise"}"#;
    let tutored = lead_by(&recipe, &seed, &say("In Paris.", grade, "In Paris, France.")).tutored;
    let correction = tutored.lessons[0].correction.as_ref().unwrap();
    assert_eq!((correction.remedy.name(), correction.pairing.name()), ("revise", "accepted"));
    // An edit that leaves all its errors is none, and gives way to a new answer.
    let grade =
        r#"{"score": 6, "errors": [{"quote": "Rome", "type": "factual", "fix": "Paris"}], "verdict": "revise"}"#;
    let remedy = |student, edit| {
        let tutored = lead_by(&recipe, &seed, &say(student, grade, edit)).tutored;
        tutored.lessons[0].correction.as_ref().unwrap().remedy.name()
    };
    assert_eq!(remedy("In Rome.", "In Paris."), "revise");
    assert_eq!(remedy("In Rome.", "In Rome, I should say."), "rewrite");
    // So is one that is presented, or that is no edit at all.
    assert_eq!(remedy("In Rome.", "Here is the corrected answer:\n\nIn Paris."), "rewrite");
    assert_eq!(remedy("In Rome.", "\"In Paris.\""), "rewrite");
    let long = "The tower stands in Rome, near the river, and people come from all over the world to see it.";
    assert_eq!(remedy(long, &*long.replace("Rome", "Paris").leak()), "revise");
    assert_eq!(remedy(long, "I would rather not say anything about towers."), "rewrite");
}

#[test]
fn trials_come_to_every_end() {
    let gate = Gate::new(Strictness::Standard, "").unwrap();
    let (mut ends, mut pairs, mut remedies) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for number in 0..400 {
        let words: Vec<String> = (0..4).map(|turn| format!("What of {number}, and of part {turn}?")).collect();
        let history = [History::Forced, History::Student][number % 2];
        let Trial { tutored, .. } = lead(&recipe(history, &gate), &seed("x", &words));
        ends.insert(tutored.end.unwrap().name());
        for correction in tutored.lessons.iter().filter_map(|lesson| lesson.correction.as_ref()) {
            pairs.insert(correction.pairing.name());
            remedies.insert(correction.remedy.name());
        }
    }
    let all = ["complete", "grade_invalid", "student_rejected", "teacher_rejected"];
    assert_eq!(ends.into_iter().collect::<Vec<_>>(), all);
    assert_eq!(remedies.into_iter().collect::<Vec<_>>(), ["keep", "revise", "rewrite"]);
    let expected = ["accepted", "graded_lower", "same", "student_not_whole", "tie", "ungraded", "unparsed", "worse"];
    let found: Vec<_> = pairs.into_iter().collect();
    assert!(expected.iter().all(|name| found.contains(name)), "{found:?}");
}

#[test]
fn a_pairs_prompt_is_what_was_sent_to_the_student() {
    let place = Place::new();
    conversations(&place, 12, 3);
    let server = MockServer::start(&[]);
    let (student, sent) = recorder(&server);
    place.complete(&[
        "tutor",
        "in.jsonl",
        "--student",
        &student,
        "--teacher=simulated",
        "--history=mixed:0.5",
        "--system=Be kind.",
    ]);
    let sent: Vec<Value> = sent.lock().unwrap().iter().flat_map(|sent| requests(sent)).collect();
    assert_eq!(sent.len(), 36);
    let pairs = place.rows("tutored/dpo.jsonl");
    assert!(pairs.len() > 3);
    for row in pairs.iter().chain(&place.rows("tutored/kto.jsonl")).chain(&place.rows("tutored/critique.jsonl")) {
        assert!(sent.contains(&row["prompt"]), "{}", row["id"]);
        assert_eq!(row["prompt"][0], json!({"role": "system", "content": "Be kind."}));
    }
}

#[test]
fn a_kill_changes_no_byte_and_repeats_no_question() {
    let place = Place::new();
    conversations(&place, 30, 3);
    let arguments = |server: &str, output: &str, store: &str| -> Vec<String> {
        let words = ["tutor", "in.jsonl", "--history=forced,student", "--rounds=2", "--seed=1", "--concurrency=4"];
        let named = [("--student", server), ("--teacher", server), ("-o", output), ("--store", store)];
        let named = named.iter().flat_map(|(name, value)| [(*name).to_owned(), (*value).to_owned()]);
        words.iter().map(|word| (*word).to_owned()).chain(named).collect()
    };
    let calm = MockServer::start(&[]);
    let whole = arguments(&calm.model(), "whole", "a");
    place.complete(&whole.iter().map(String::as_str).collect::<Vec<_>>());
    let slow = MockServer::start(&["--latency", "10"]);
    let killed = arguments(&slow.model(), "killed", "b");
    let killed: Vec<&str> = killed.iter().map(String::as_str).collect();
    for _ in 0..3 {
        place.kill_at(&killed, &slow, slow.count("requests") + 120);
    }
    place.complete(&killed);
    assert_eq!(written(&place, "whole"), written(&place, "killed"));
    for name in FILES {
        assert_eq!(place.read(&format!("whole/round-1/{name}")), place.read(&format!("killed/round-1/{name}")));
    }
    // What was in the air or on its way to the disk at each kill may be asked again, nothing else: four and a few.
    assert_eq!(calm.count("repeated"), 0);
    assert!(slow.count("repeated") <= 3 * (4 + 4), "{}", slow.count("repeated"));
}

/// Returns how conversations end with this student, or this teacher, and what its server was asked.
fn ends_with(arguments: &[&str], faulty: &str) -> (BTreeSet<String>, u64) {
    let place = Place::new();
    conversations(&place, 6, 5);
    let server = MockServer::start(&["--fault", faulty]);
    let model = server.model();
    let model = arguments.iter().map(|argument| argument.replace("FAULTY", &model)).collect::<Vec<_>>();
    let model: Vec<&str> = model.iter().map(String::as_str).collect();
    let finished = place.run(&[&["tutor", "in.jsonl"], &model[..]].concat());
    assert_eq!(finished.code, Some(3), "{}", finished.stderr);
    let report = report(&place);
    assert_eq!(place.rows("tutored/incomplete.jsonl").len(), 6);
    (report["passes"][0]["reasons"].as_object().unwrap().keys().cloned().collect(), server.count("requests"))
}

#[test]
fn who_cannot_be_taught_and_who_cannot_teach_ends_by_code() {
    let student = ["--student=FAULTY", "--teacher=simulated"];
    for (fault, reason, calls_max) in [
        // A student that repeats itself: from the second turn on, three times.
        ("same:1", "student_rejected: echo", 6 * 4),
        ("loop:1", "student_rejected: loop_token", 6 * 3),
        ("length:1", "student_rejected: finish_length", 6 * 3),
        ("empty:1", "student_rejected: empty", 6 * 3),
    ] {
        let (reasons, requests) = ends_with(&student, fault);
        assert_eq!(reasons.into_iter().collect::<Vec<_>>(), [reason]);
        assert!(requests <= calls_max, "{fault}: {requests}");
    }
    // On the student's own ground it cannot be gone on with at all.
    let (reasons, requests) = ends_with(&["--student=FAULTY", "--teacher=simulated", "--history=student"], "babble:1");
    assert_eq!(reasons.into_iter().collect::<Vec<_>>(), ["student_rejected: loop_token"]);
    assert_eq!(requests, 6);
    // A teacher whose corrections leak: none gets out.
    let place = Place::new();
    conversations(&place, 6, 5);
    let server = MockServer::start(&["--fault", "leak:1"]);
    let model = server.model();
    let finished = place.run(&["tutor", "in.jsonl", "--student=simulated", "--teacher", &model, "--judge=simulated"]);
    assert_eq!(finished.code, Some(3), "{}", finished.stderr);
    assert!(FILES.iter().all(|name| !place.read(&format!("tutored/{name}")).contains("im_end")));
}

#[test]
fn quotes_that_are_not_there_are_left_out_and_the_grade_stays() {
    let place = Place::new();
    conversations(&place, 6, 5);
    let server = MockServer::start(&["--fault", "misquote:1"]);
    let model = server.model();
    let line = ["tutor", "in.jsonl", "--student=simulated-student", "--teacher", &model, "--judge=simulated"];
    let finished = place.complete(&line);
    let dropped = report(&place)["passes"][0]["errors_dropped"].as_u64();
    assert!(dropped.is_some_and(|dropped| dropped > 0), "{}", finished.stderr);
    assert!(finished.stderr.contains("errors whose quote is not in the answer"), "{}", finished.stderr);
    assert!(!place.read("tutored/critique.jsonl").contains("words that nobody has said"));
    // No grade is asked for a second time: an answer, its grade, and a correction with its own.
    assert!(server.count("requests") <= 6 * 5 * 3, "{}", server.count("requests"));
}

#[test]
fn rounds_are_compared_on_the_same_prompts_and_cost_only_what_is_new() {
    let place = Place::new();
    conversations(&place, 20, 2);
    let base = ["tutor", "in.jsonl", "--teacher=simulated", "--judge=simulated-judge"];
    let first = [&base[..], &["--student=simulated-v1"]].concat();
    place.complete(&first);
    let round_1 = written(&place, "tutored");
    // The student has learned and is served under another name.
    let second = [&first[..], &["--student=simulated-v2"]].concat();
    let finished = place.complete(&second);
    assert!(finished.stderr.contains("round 1, forced history: 0 answers new"), "{}", finished.stderr);
    for name in FILES {
        assert_eq!(place.read(&format!("tutored/round-1/{name}")), round_1[name]);
    }
    assert!(!finished.stderr.contains("caution: round 1"), "{}", finished.stderr);
    let change = report(&place)["changes"][0].clone();
    assert_eq!((change["from"].as_u64(), change["to"].as_u64()), (Some(1), Some(2)));
    assert_eq!(
        (change["all"]["marks"].as_u64(), change["same_prompt"]["marks"].as_u64() >= Some(20)),
        (Some(40), true)
    );
    // Or under the same: then it is asked anew.
    let finished = place.complete(&[&first[..], &["--rounds=2", "--seed=7"]].concat());
    let new =
        |line: &str| finished.stderr.lines().any(|told| told.starts_with(line) && !told.contains(" 0 answers new"));
    assert!(new("round 1, forced history") && new("round 2, forced history"), "{}", finished.stderr);
    assert!(finished.stderr.contains("caution: round 1, forced history: 20 conversations are asked now"));
    // Their directories are not read and written over, nor emptied.
    let again = [&base[..], &["--student=simulated-v1", "--student=simulated-v2", "-o=tutored"]].concat();
    let mut again = again;
    again[1] = "tutored/round-1/hard.jsonl";
    let finished = place.run(&again);
    assert_eq!(finished.code, Some(2), "{}", finished.stderr);
    let before = place.read("tutored/sft.jsonl");
    place.write("none.jsonl", "");
    again[1] = "none.jsonl";
    let finished = place.run(&again);
    assert!(finished.code == Some(2) && finished.stderr.contains("there is no row"), "{}", finished.stderr);
    assert_eq!(place.read("tutored/sft.jsonl"), before);
    assert_ne!(place.read("tutored/critique.jsonl"), place.read("tutored/round-1/critique.jsonl"));
}

#[test]
fn a_cap_leaves_what_is_there_and_the_same_command_goes_on() {
    let place = Place::new();
    conversations(&place, 20, 3);
    let server = MockServer::start(&[]);
    let model = server.model();
    let base = ["tutor", "in.jsonl", "--student", &model, "--teacher", &model];
    let finished = place.run(&[&base[..], &["--max-requests=150"]].concat());
    assert_eq!(finished.code, Some(75), "{}", finished.stderr);
    assert!(report(&place)["passes"][0]["ends"]["budget"].as_u64().unwrap() > 0);
    assert!(!place.rows("tutored/sft.jsonl").is_empty());
    place.complete(&base);
    assert_eq!(place.read("tutored/turns.csv").lines().count(), 61);
    assert!(!place.exists("tutored/incomplete.jsonl"));
    assert_eq!(server.count("repeated"), 0);
}

#[test]
fn mistakes_are_named_before_anything_is_asked() {
    let place = Place::new();
    conversations(&place, 1, 1);
    place.write("cohobate.toml", "[models.polite]\nurl = \"http://localhost:1\"\nsystem = \"Be polite.\"\n");
    std::fs::create_dir(place.path("here")).unwrap();
    place.write("here/hard.jsonl", place.read("in.jsonl"));
    let student = "--student=simulated";
    for (arguments, expected) in [
        (&["in.jsonl", student][..], "no teacher is named"),
        (&["in.jsonl", "--teacher=simulated"], "--student"),
        (&["in.jsonl", student, student, "--teacher=simulated", "--rounds=1"], "2 students for 1 rounds"),
        (&["in.jsonl", student, "--teacher=simulated", "--history=teacher"], "forced, student, or mixed:P"),
        (&["in.jsonl", student, "--teacher=simulated", "--history=forced,forced"], "names one twice"),
        (&["in.jsonl", student, "--teacher=simulated", "--to=sharegpt"], "cannot be written as sharegpt"),
        (&["in.jsonl", student, "--teacher=polite"], "different system messages"),
        (&["here/hard.jsonl", student, "--teacher=simulated", "-o=here"], "would be written over"),
    ] {
        let finished = place.run(&[&["tutor"], arguments].concat());
        assert_eq!(finished.code, Some(2), "{arguments:?}: {}", finished.stderr);
        assert!(finished.stderr.contains(expected), "{arguments:?}: {}", finished.stderr);
    }
    assert!(!place.exists(".cohobate/journal"));
}
