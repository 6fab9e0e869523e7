//! Calls to tools that the teacher makes: a result of the source row follows the call that it belongs to, and no other.

use std::convert::Infallible;
use std::sync::Arc;

use cohobate::conversation::{
    Answer, CallFault, ConversationStop, Dialogue, Finish, Message, Outcome, Question, Role, Sampling, Seed, Spoken,
    Target, ToolCall, ToolMatch,
};
use cohobate::dataset::{Reading, RowReader, Rules, Tools};
use cohobate::recipe::{CallRules, Distill, Recipe, Replay, ReplayEnd};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::support::{MockServer, Place, conversation_with_calls, jsonl, result_of, rows, seed, target, tool_seed};

/// What a teacher answers where the source has a call, or has none.
#[derive(Clone, Copy, Debug)]
enum Whim {
    Same,
    Reversed,
    WrittenOtherwise,
    OtherArguments,
    OtherTool,
    UnknownTool,
    Broken,
    OneLess,
    OneMore,
    Words,
    WordsBeside,
}

const WHIMS: [Whim; 11] = [
    Whim::Same,
    Whim::Reversed,
    Whim::WrittenOtherwise,
    Whim::OtherArguments,
    Whim::OtherTool,
    Whim::UnknownTool,
    Whim::Broken,
    Whim::OneLess,
    Whim::OneMore,
    Whim::Words,
    Whim::WordsBeside,
];

/// Returns an answer to a question, given the calls that the source has there.
fn answer(question: &Question, source: &[ToolCall], whim: Whim, number: usize) -> Answer {
    let mut calls = source.to_vec();
    let extra = ToolCall { id: String::new(), name: "wind".to_owned(), arguments: "{}".to_owned() };
    let first = calls.first_mut();
    match (whim, first) {
        (Whim::Reversed, _) => calls.reverse(),
        (Whim::WrittenOtherwise, Some(call)) => call.arguments = call.arguments.replace(':', " : "),
        (Whim::OtherArguments, Some(call)) => call.arguments = json!({"at": 1 + (number + 1) % 4}).to_string(),
        (Whim::OtherTool, Some(call)) => {
            let other = if call.name == "tide" { "wind" } else { "tide" };
            other.clone_into(&mut call.name);
        }
        (Whim::UnknownTool, Some(call)) => "sun".clone_into(&mut call.name),
        (Whim::Broken, Some(call)) => "{\"at\":".clone_into(&mut call.arguments),
        (Whim::OneLess, Some(_)) => drop(calls.pop()),
        (Whim::OneMore, _) => calls.push(extra),
        (Whim::Words, _) => calls.clear(),
        _ => {}
    }
    for (place, call) in calls.iter_mut().enumerate() {
        call.id = format!("own{number}_{place}");
    }
    let words = if calls.is_empty() || matches!(whim, Whim::WordsBeside) { "So it is." } else { "" };
    let finish = if calls.is_empty() { Finish::Complete } else { Finish::Tools };
    let message = Message::with_fields(Role::Assistant, words, ToolCall::fields(&calls));
    Answer { message, finish, ..Answer::complete(question.target.model(), "") }
}

/// Walks a conversation with a teacher's whims; returns how it ended and all that was asked.
fn walked(recipe: &Distill, seed: &Seed, whims: &[Whim]) -> (Outcome, Vec<Question>) {
    let mut asked: Vec<Question> = Vec::new();
    let mut replay = Replay::new(recipe, seed);
    loop {
        let end = replay.advance(|_, _| Ok::<_, Infallible>(None)).unwrap();
        let open = match end {
            ReplayEnd::Done(outcome) => return (outcome, asked),
            ReplayEnd::Open(open) => open,
        };
        for (_, question) in open {
            let turn = question.slot.turn as usize;
            let source = seed.turns.get(turn + 1).map_or(&[][..], |turn| &turn.follows);
            let whim = whims.get(turn).copied().unwrap_or(Whim::Same);
            replay.record(question.slot, Arc::new(answer(&question, source, whim, turn)));
            asked.push(question);
        }
    }
}

/// Checks that each result is that of the call whose id it has, and that each call has one.
fn check<'a>(messages: impl Iterator<Item = &'a Arc<Message>>, is_same: &dyn Fn(&ToolCall, &str) -> bool) {
    let mut open: Vec<ToolCall> = Vec::new();
    for message in messages {
        if message.role() == Role::Tool {
            let id = message.fields().and_then(|fields| fields["tool_call_id"].as_str()).unwrap();
            let at = open.iter().position(|call| call.id == id).unwrap_or_else(|| panic!("{message:?} has no call"));
            assert_eq!(at, 0, "results come in the order of their calls");
            let call = open.remove(at);
            assert!(is_same(&call, message.content()), "{call:?} is followed by {:?}", message.content());
        } else {
            assert!(open.is_empty(), "a call has no result before {message:?}");
            open = ToolCall::of(message);
        }
    }
    assert!(open.is_empty(), "a call at the end has no result");
}

fn dialogue_of(outcome: Outcome) -> (Dialogue, Option<ConversationStop>) {
    match outcome {
        Outcome::Complete(dialogue) => (dialogue, None),
        Outcome::Stopped { dialogue, reason, .. } => (dialogue, Some(reason)),
    }
}

fn words(list: &[&str]) -> Vec<String> {
    list.iter().map(|word| (*word).to_owned()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_result_ever_follows_another_call_than_its_own(
        said in prop::collection::vec(prop::sample::select(vec!["a", "b", "plain"]), 1..5),
        whims in prop::collection::vec(prop::sample::select(WHIMS.to_vec()), 0..12),
    ) {
        let seed = tool_seed("one", &words(&said));
        let recipe = Distill::new(target(), None).with_calls(CallRules::default());
        let (outcome, asked) = walked(&recipe, &seed, &whims);
        let is_same = |call: &ToolCall, result: &str| result_of(call) == result;
        for question in &asked {
            check(question.messages.iter(), &is_same);
        }
        let (dialogue, stop) = dialogue_of(outcome);
        check(dialogue.spoken.iter().map(|spoken| &spoken.message), &is_same);
        let last = dialogue.spoken.last();
        prop_assert!(last.is_none_or(|last| last.answer.is_some() && !last.message.is_tool_use()), "{last:?}");
        prop_assert!(dialogue.spoken.iter().all(|spoken| spoken.flags.is_empty()));
        prop_assert!(matches!(stop, None | Some(ConversationStop::Calls(_))), "{stop:?}");
        prop_assert_eq!(stop.is_none(), dialogue.answer_count() as usize == seed.turns.len());
        // Every answer is accounted for.
        prop_assert_eq!(dialogue.answer_count() as usize + dialogue.rejected.len(), asked.len());
    }

    #[test]
    fn by_name_the_tool_is_the_same_and_other_arguments_are_marked(
        said in prop::collection::vec(prop::sample::select(vec!["a", "b", "plain"]), 1..5),
        whims in prop::collection::vec(prop::sample::select(WHIMS.to_vec()), 0..12),
    ) {
        let seed = tool_seed("one", &words(&said));
        let rules = CallRules { matching: ToolMatch::Name, ..CallRules::default() };
        let recipe = Distill::new(target(), None).with_calls(rules);
        let (dialogue, _) = dialogue_of(walked(&recipe, &seed, &whims).0);
        let of_tool = |call: &ToolCall, result: &str| result.starts_with(&format!("result of {} ", call.name));
        check(dialogue.spoken.iter().map(|spoken| &spoken.message), &of_tool);
        let mut is_other = false;
        let mut open: Vec<ToolCall> = Vec::new();
        for spoken in &dialogue.spoken {
            match spoken.message.role() {
                Role::Tool => is_other |= result_of(&open.remove(0)) != spoken.message.content(),
                Role::Assistant => {
                    prop_assert_eq!(spoken.flags.contains(&Spoken::RESULT_OF_OTHER_ARGUMENTS), is_other);
                    (is_other, open) = (false, ToolCall::of(&spoken.message));
                }
                _ => {}
            }
        }
    }
}

#[test]
fn each_other_answer_ends_the_conversation_with_its_reason() {
    let recipe = Distill::new(target(), None).with_calls(CallRules::default());
    let seed = tool_seed("one", &words(&["plain", "b"]));
    let stop = |at: usize, whim: Whim| {
        let whims: Vec<Whim> = (0..4).map(|turn| if turn == at { whim } else { Whim::Same }).collect();
        let (dialogue, stop) = dialogue_of(walked(&recipe, &seed, &whims).0);
        (stop, dialogue.answer_count(), dialogue.rejected.iter().map(|rejected| rejected.rule).collect::<Vec<_>>())
    };
    let fault = |fault| Some(ConversationStop::Calls(fault));
    for (whim, reason) in [
        (Whim::Words, CallFault::NoCall),
        (Whim::OtherArguments, CallFault::OtherArguments),
        (Whim::OtherTool, CallFault::OtherCall),
        (Whim::OneLess, CallFault::OtherCall),
        (Whim::OneMore, CallFault::OtherCall),
        (Whim::UnknownTool, CallFault::UnknownTool),
        (Whim::Broken, CallFault::InvalidArguments),
    ] {
        assert_eq!(stop(1, whim), (fault(reason), 1, vec![reason.name()]), "{whim:?}");
    }
    // The second call is another one: the first has its result, and no words of the teacher come after it.
    let unfinished = vec!["unfinished_call", "no_call"];
    assert_eq!(stop(2, Whim::Words), (fault(CallFault::NoCall), 1, unfinished));
    assert_eq!(stop(0, Whim::OneMore), (fault(CallFault::ExtraCall), 0, vec!["extra_call"]));
    for whim in [Whim::Same, Whim::Reversed, Whim::WrittenOtherwise, Whim::WordsBeside] {
        assert_eq!(stop(1, whim), (None, 4, Vec::new()), "{whim:?}");
    }
}

fn reader(tools: Tools) -> RowReader {
    RowReader { rules: Rules { tools, ..Rules::default() }, ..RowReader::default() }
}

fn read(row: &Value) -> Result<Seed, String> {
    match reader(Tools::Regenerate).read(row.to_string().as_bytes()) {
        Reading::Ready { seed, .. } => Ok(seed),
        Reading::Skipped { skip, .. } => Err(skip.name().to_owned()),
        Reading::Invalid { reason } => Err(reason),
    }
}

#[test]
fn a_row_is_split_at_its_calls() {
    let seed = read(&conversation_with_calls(1)).unwrap();
    let turns: Vec<(Vec<&str>, Vec<&str>)> = seed
        .turns
        .iter()
        .map(|turn| {
            let roles = turn.messages.iter().map(|message| message.role().name()).collect();
            (roles, turn.follows.iter().map(|call| call.name.as_str()).collect())
        })
        .collect();
    let expected = [
        (vec!["user"], vec![]),
        (vec!["user"], vec![]),
        (vec!["tool", "tool"], vec!["wind", "tide"]),
        (vec!["tool"], vec!["tide"]),
        (vec!["user"], vec![]),
    ];
    assert_eq!(turns, expected);
    assert_eq!(seed.turns[3].replaced.as_deref(), Some("It is 5 m."));
    let replayed = match reader(Tools::Replay).read(conversation_with_calls(1).to_string().as_bytes()) {
        Reading::Ready { seed, .. } => seed,
        other => panic!("{other:?}"),
    };
    assert_ne!(seed.digest(), replayed.digest());
}

#[test]
fn a_row_ends_before_a_call_that_can_have_no_result() {
    let row = |change: &dyn Fn(&mut Vec<Value>)| {
        let mut row = conversation_with_calls(1);
        let mut messages = row["messages"].as_array().unwrap().clone();
        change(&mut messages);
        row["messages"] = messages.into();
        row
    };
    let turns = |row: &Value| read(row).map(|seed| seed.turns.len());
    // The second call has no result: what led to it is not asked either.
    assert_eq!(turns(&row(&|messages| drop(messages.remove(7)))), Ok(1));
    assert_eq!(turns(&row(&|messages| drop(messages.remove(5)))), Ok(1), "one of two results");
    assert_eq!(turns(&row(&|messages| messages.truncate(7))), Ok(3), "a call at the end is the last answer");
    assert_eq!(turns(&row(&|messages| messages.truncate(8))), Ok(4), "the teacher answers the last result");
    assert_eq!(turns(&row(&|messages| drop(messages.drain(..2)))), Ok(4));
    assert_eq!(turns(&row(&|messages| *messages = messages[2..4].to_vec())), Ok(1));
    assert_eq!(turns(&row(&|messages| *messages = messages[2..5].to_vec())), Err("tool_use".to_owned()));
    let mut undefined = conversation_with_calls(1);
    undefined.as_object_mut().unwrap().remove("tools");
    assert_eq!(turns(&undefined), Err("undefined_tools".to_owned()));
}

#[test]
fn a_question_whose_calls_are_kept_is_another_one_and_none_without_tools() {
    let tools = tool_seed("one", &words(&["a"])).tools;
    let target = Target::new("m", "openai", Sampling::default());
    let question = |target: Arc<Target>| {
        let messages = vec![Message::new(Role::User, "hi")].into();
        Question { slot: cohobate::conversation::Slot::main(0), target, sample: 0, messages }.fingerprint()
    };
    assert_ne!(question(target.keeping_calls(tools.as_ref())), question(target.offering(tools.as_ref())));
    assert_eq!(question(target.keeping_calls(None)), question(Arc::clone(&target)));
    let plain = Distill::new(Arc::clone(&target), None);
    let kept = plain.settings().clone();
    let with_calls = Distill::new(target, None).with_calls(CallRules::default());
    assert_ne!(kept.digest(), with_calls.settings().digest());
    assert!(seed("one", &words(&["a"])).turns.iter().all(|turn| turn.follows.is_empty()));
}

/// Rows that the simulated teacher answers with just the calls that they have.
fn exact_rows() -> Vec<Value> {
    (0..3)
        .map(|row| {
            let mut row = conversation_with_calls(row);
            let text = row["messages"][2]["content"].as_str().unwrap().replace("Please", "Please exactly");
            row["messages"][2]["content"] = text.into();
            row
        })
        .collect()
}

/// Data sets that teach calls alone end with one: what the teacher calls is the last message that is trained on.
#[test]
fn a_row_that_ends_with_a_call_is_whole() {
    let place = Place::new();
    let mut ends_with_call = exact_rows().remove(0);
    ends_with_call["messages"].as_array_mut().unwrap().truncate(4);
    let mut other = ends_with_call.clone();
    // The source's own call is another one: no result is to follow it.
    other["messages"][3]["tool_calls"][0]["function"]["arguments"] = "{}".into();
    other["id"] = "other".into();
    place.write("in.jsonl", jsonl(&[ends_with_call, other]));
    let rows = distilled(&place, &["--teacher", "simulated"]);
    assert_eq!(rows.len(), 2);
    for row in &rows {
        let last = row["messages"].as_array().unwrap().last().unwrap();
        assert!(last["role"] == "assistant" && last["tool_calls"].is_array(), "{row:#}");
    }
    let formats = ["sharegpt", "llama-factory", "axolotl", "ms-swift", "trl-prompt-completion", "per-turn"];
    for format in formats {
        place.complete(&[
            "export",
            "in.jsonl",
            "--teacher",
            "simulated",
            "--tools",
            "regenerate",
            "--to",
            format,
            "-o",
            "to.jsonl",
        ]);
        assert!(place.read("to.jsonl").contains("tide"), "{format}");
    }
}

fn distilled(place: &Place, more: &[&str]) -> Vec<Value> {
    place.complete(&[&["distill", "in.jsonl", "--tools", "regenerate"], more].concat());
    rows(&place.read("distilled.jsonl"))
}

/// The calls of a row's messages, with the results after them.
fn calls_in(row: &Value) -> Vec<String> {
    let messages = row["messages"].as_array().unwrap();
    let said = messages.iter().filter_map(|message| {
        if let Some(calls) = message["tool_calls"].as_array() {
            let calls = calls.iter().map(|call| {
                let function = &call["function"];
                let arguments: Value = serde_json::from_str(function["arguments"].as_str().unwrap()).unwrap();
                format!("{}{arguments}", function["name"].as_str().unwrap())
            });
            return Some(calls.collect::<Vec<_>>().join(" "));
        }
        (message["role"] == "tool").then(|| message["content"].as_str().unwrap().to_owned())
    });
    said.collect()
}

const CALLS: [&str; 5] = ["tide{\"at\":0} wind{}", "3 m", "4 Bft", "tide{\"at\":1}", "5 m"];

#[test]
fn calls_are_read_from_servers_of_each_kind_streamed_and_whole() {
    let server = MockServer::start(&[]);
    for (name, address) in [
        ("chat", format!("sim@http://{}/v1", server.address)),
        ("messages", format!("sim@http://{}/v1/messages", server.address)),
    ] {
        for stream in ["true", "false"] {
            let place = Place::new();
            place.write("in.jsonl", jsonl(&exact_rows()));
            let made = distilled(&place, &["--teacher", &address, "--stream", stream, "--max-tokens", "2000"]);
            assert_eq!(made.len(), 3);
            assert_eq!(calls_in(&made[0]), CALLS, "{name}, streamed: {stream}");
            assert_eq!(made[0]["messages"].as_array().unwrap().len(), 11, "{name}, streamed: {stream}");
        }
    }
}

#[test]
fn a_call_is_trained_on_and_its_result_is_not_in_every_format() {
    let place = Place::new();
    place.write("in.jsonl", jsonl(&exact_rows()));
    let made = |to: &str| {
        let more = ["--teacher", "simulated", "--to", to];
        place.run(&[&["distill", "in.jsonl", "--tools", "regenerate"][..], &more].concat());
        rows(&place.read("distilled.jsonl"))
    };
    let masks = |row: &Value, field: &str| -> Vec<(String, Value)> {
        let messages = row["messages"].as_array().unwrap().iter();
        messages.map(|message| (message["role"].as_str().unwrap().to_owned(), message[field].clone())).collect()
    };
    let axolotl = &made("axolotl")[0];
    assert!(masks(axolotl, "train").iter().all(|(role, train)| *train == (role == "assistant")), "{axolotl}");
    let swift = &made("ms-swift")[0];
    assert!(masks(swift, "loss").iter().all(|(role, loss)| if role == "assistant" {
        *loss == true
    } else {
        loss.is_null()
    }));
    let per_turn = made("per-turn");
    assert_eq!(per_turn.len(), 3 * 5, "a row for each answer, calls included");
    let call = &per_turn[1]["messages"];
    assert_eq!(
        (&call[3]["role"], &call[3]["train"], &call[1]["train"]),
        (&json!("assistant"), &json!(true), &json!(false))
    );
    assert_eq!(call[3]["tool_calls"].as_array().unwrap().len(), 2);
    let trl = made("trl-prompt-completion");
    assert_eq!((trl.len(), trl[1]["completion"][0]["tool_calls"].as_array().unwrap().len()), (15, 2));
    assert_eq!(trl[2]["prompt"].as_array().unwrap().last().unwrap()["role"], "tool");
    let sharegpt = &made("sharegpt")[0]["conversations"];
    let from: Vec<&str> = sharegpt.as_array().unwrap().iter().map(|said| said["from"].as_str().unwrap()).collect();
    let expected = ["human", "gpt", "human", "function_call", "observation", "observation", "function_call"];
    assert_eq!(from[..7], expected);
    let llama = made("llama-factory");
    let said: Vec<(&str, &str)> = llama[0]["conversations"]
        .as_array()
        .unwrap()
        .iter()
        .map(|said| (said["from"].as_str().unwrap(), said["value"].as_str().unwrap()))
        .collect();
    let from: Vec<&str> = said.iter().map(|(from, _)| *from).collect();
    let expected = ["human", "gpt", "human", "function_call", "observation", "function_call", "observation", "gpt"];
    assert_eq!((llama.len(), &from[..8]), (3, &expected[..]));
    assert_eq!(said[4].1, r#"["3 m","4 Bft"]"#, "one result of two calls at once");
    let again = read(&llama[0]).unwrap();
    assert_eq!(again.turns.len(), 5, "it is read again as two results");
    assert_eq!(again.turns[2].messages.len(), 2);
    let openai = &made("openai")[0];
    assert_eq!((calls_in(openai), openai["tools"].as_array().unwrap().len()), (CALLS.map(str::to_owned).to_vec(), 2));
    for row in [openai, axolotl, swift] {
        assert_eq!(row["messages"][3]["tool_calls"][0]["id"], row["messages"][4]["tool_call_id"]);
    }
}

#[test]
fn tokens_of_calls_are_trained_on_and_those_of_results_are_not() {
    let place = Place::new();
    place.write("in.jsonl", jsonl(&exact_rows()));
    let made = distilled(&place, &["--teacher", "simulated", "--token-ids", "--to", "token-ids"]);
    assert_eq!(made.len(), 3, "each conversation is one sequence");
    for row in &made {
        let mask: Vec<u64> = row["loss_mask"].as_array().unwrap().iter().map(|bit| bit.as_u64().unwrap()).collect();
        let answers = mask.windows(2).filter(|pair| pair == &[0, 1]).count();
        assert_eq!((answers, mask.last()), (5, Some(&1)), "two of the five answers are calls");
    }
}

#[test]
fn a_row_that_is_written_is_read_again_with_the_same_calls() {
    let place = Place::new();
    place.write("in.jsonl", jsonl(&exact_rows()));
    let made = distilled(&place, &["--teacher", "simulated"]);
    for (row, source) in made.iter().zip(exact_rows()) {
        let (again, before) = (read(row).unwrap(), read(&source).unwrap());
        assert_eq!(again.turns.len(), before.turns.len());
        let names = |seed: &Seed| -> Vec<usize> { seed.turns.iter().map(|turn| turn.follows.len()).collect() };
        assert_eq!(names(&again), names(&before));
    }
}

#[test]
fn rows_are_counted_by_what_ended_them_and_a_rerun_asks_nothing() {
    let place = Place::new();
    place.write("in.jsonl", jsonl(&(0..40).map(conversation_with_calls).collect::<Vec<_>>()));
    let line = ["distill", "in.jsonl", "--teacher", "simulated", "--tools", "regenerate", "--progress", "json"];
    let first = place.run(&line);
    let summary = first.summary();
    let reasons = summary["reasons"].to_string();
    assert_eq!(first.code, Some(3), "{reasons}");
    assert!(reasons.contains("tool_call: other_arguments") && !reasons.contains("turn 2"), "{reasons}");
    let written = place.read("distilled.jsonl");
    for row in rows(&written) {
        let last = row["messages"].as_array().unwrap().last().unwrap();
        assert!(last["role"] == "assistant" && last["tool_calls"].is_null(), "{row}");
    }
    let again = place.run(&line);
    assert_eq!((again.summary()["answered"].clone(), place.read("distilled.jsonl")), (json!(0), written));
    let by_name = place.run(&[&line[..], &["--tool-match", "name"]].concat());
    let marked = rows(&place.read("distilled.jsonl"))
        .iter()
        .filter(|row| row["meta"].to_string().contains("tool_result_of_other_arguments"))
        .count();
    assert!(marked > 0, "{}", by_name.stderr);
    let counted = by_name.summary().to_string();
    assert!(counted.contains("tool_result_of_other_arguments"), "{counted}");
}

#[test]
fn a_command_answers_each_call_once_over_all_runs() {
    let place = Place::new();
    place.write("in.jsonl", jsonl(&exact_rows()));
    place.write("tool.sh", "read line; echo \"$line\" >> asked; printf '{\"content\": \"%s letters\"}\\n' ${#line}");
    place.write("cohobate.toml", "max-tokens = 900\n[models.simulated]\nprice = { input = 1.0, output = 1.0 }\n");
    // A command costs nothing, so that a cap on dollars holds without a price for it.
    let line = ["--teacher", "simulated", "--tool-results", "sh tool.sh", "--max-cost", "5"];
    let made = distilled(&place, &line);
    assert_eq!(
        calls_in(&made[0]),
        ["tide{\"at\":0} wind{}", "36 letters", "30 letters", "tide{\"at\":1}", "36 letters"]
    );
    let asked = place.read("asked");
    let mut distinct: Vec<&str> = asked.lines().collect();
    distinct.sort_unstable();
    assert_eq!(distinct[0], r#"{"name":"tide","arguments":{"at":0}}"#);
    let count = distinct.len();
    distinct.dedup();
    assert_eq!((count, distinct.len()), (5, 5), "equal calls are answered once");
    let written = place.read("distilled.jsonl");
    distilled(&place, &line);
    assert_eq!((place.read("asked"), place.read("distilled.jsonl")), (asked, written));
    // The settings of the last run are known to commands that send nothing.
    place.complete(&["export", "-o", "exported.jsonl"]);
    assert_eq!(place.read("exported.jsonl"), place.read("distilled.jsonl"));
    place.write("tool.sh", "echo '{\"error\": \"closed\"}'");
    let failed = place.run(&[
        "distill",
        "in.jsonl",
        "--tools",
        "regenerate",
        "--teacher",
        "simulated",
        "--tool-results",
        "sh  ./tool.sh",
        "-o",
        "other.jsonl",
    ]);
    assert_eq!(failed.code, Some(3), "{}", failed.stderr);
    assert!(failed.stderr.contains("closed"), "{}", failed.stderr);
}

#[test]
fn other_commands_refuse_to_regenerate_calls() {
    let place = Place::new();
    place.write("in.jsonl", jsonl(&exact_rows()));
    for line in [
        vec!["evaluate", "in.jsonl", "--judge", "simulated", "--tools", "regenerate"],
        vec![
            "simulate",
            "in.jsonl",
            "--teacher",
            "simulated",
            "--user",
            "simulated",
            "--turns",
            "2",
            "--tools",
            "regenerate",
            "-o",
            "out.jsonl",
        ],
    ] {
        let refused = place.run(&line);
        assert!(refused.stderr.contains("only distill regenerates calls to tools"), "{}", refused.stderr);
    }
    for more in [["--tool-match", "name"], ["--tool-results", "cat"]] {
        let refused = place.run(&[&["distill", "in.jsonl", "--teacher", "simulated"][..], &more].concat());
        assert!(refused.stderr.contains("has no effect without --tools regenerate"), "{}", refused.stderr);
    }
    let samples = ["--samples", "2", "--judge", "simulated"];
    let refused = place
        .run(&[&["distill", "in.jsonl", "--teacher", "simulated", "--tools", "regenerate"][..], &samples].concat());
    assert!(refused.stderr.contains("no judge ranks calls"), "{}", refused.stderr);
    let inspected = place.complete(&["inspect", "in.jsonl", "--tools", "regenerate"]);
    assert!(inspected.stdout.contains("tool_calls_regenerated"), "{}", inspected.stdout);
}
