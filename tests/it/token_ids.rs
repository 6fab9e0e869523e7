//! Token ids and log-probabilities: asked for, stored, reused, and found again whole.

use std::collections::BTreeMap;
use std::sync::Arc;

use cohobate::conversation::{Answer, Lane, TokenDetail};
use cohobate::model::Simulated;
use cohobate::store::{DiskStore, Reader, Sequences};
use serde_json::{Value, json};

use crate::capture::{Capture, answer};
use crate::support::{MockServer, Place, conversation_with_calls, distill_whole, jsonl};

/// An answer and the whole sequence of its prompt and its own tokens.
type Turn = (Arc<Answer>, Option<Vec<u32>>);

/// Returns the teacher's answers of each conversation in a store, in their order.
fn turns(place: &Place) -> Vec<Vec<Turn>> {
    let (store, _) = DiskStore::open(&place.path(".cohobate"), &mut |_, _| {}).unwrap();
    let mut conversations = BTreeMap::new();
    store
        .for_each_state(&mut |key, state| {
            conversations.insert(key, state);
        })
        .unwrap();
    let of = |(slot, fingerprint): &(cohobate::conversation::Slot, _)| {
        let answer = store.answer(fingerprint).unwrap().unwrap().answer;
        // Each from nothing, as after a restart.
        let ids = Sequences::default().of(&store, fingerprint, &answer).unwrap();
        (slot.lane == Lane::Main).then(|| (answer, ids.map(|ids| ids.to_vec())))
    };
    conversations.into_values().map(|state| state.history.iter().filter_map(of).collect()).collect()
}

/// Asserts that every answer has its tokens, and that what was sampled is the beginning of the next prompt.
fn assert_whole(conversations: &[Vec<Turn>], logprobs: Option<u8>) {
    for conversation in conversations {
        let mut earlier: &[u32] = &[];
        for (answer, ids) in conversation {
            let (tokens, ids) = (answer.tokens.as_ref().expect("tokens"), ids.as_deref().expect("a whole sequence"));
            assert!(ids.starts_with(earlier) && ids.ends_with(&tokens.completion));
            assert_eq!(Some(tokens.completion.len() as u64), answer.usage.completion_tokens);
            let prompt = ids.len() - tokens.completion.len();
            assert_eq!(Some(prompt as u64), answer.usage.prompt_tokens);
            assert_eq!(tokens.prompt.shared.is_some(), !earlier.is_empty(), "a prompt is held once");
            let top = tokens.logprobs.as_ref();
            assert_eq!(top.map(|top| (top.count, top.len())), logprobs.map(|count| (count, tokens.completion.len())));
            earlier = ids;
        }
    }
}

#[test]
fn every_servers_ids_are_stored_whole_and_streamed() {
    for fields in ["vllm", "sglang"] {
        for stream in ["true", "false"] {
            let (place, server) = (Place::with_conversations(4, 3), MockServer::start(&["--token-ids", fields]));
            let model = server.model();
            let mut line = vec!["distill", "in.jsonl", "-o", "out.jsonl", "--teacher", &model, "--logprobs", "2"];
            line.extend(["--stream", stream]);
            let finished = place.complete(&line);
            assert_eq!(server.count("distinct"), 12, "{}", finished.stderr);
            assert!(!finished.stderr.contains("is not sent"), "{}", finished.stderr);
            assert_whole(&turns(&place), Some(2));
        }
    }
}

#[test]
fn a_server_without_ids_is_an_error_before_the_first_question() {
    let (place, server) = (Place::with_conversations(4, 2), MockServer::start(&["--token-ids", "none"]));
    for options in [&["--token-ids"][..], &["--logprobs", "2"]] {
        let finished = place.run(&distill_whole(&server.model(), options));
        assert_eq!(finished.code, Some(2), "{}", finished.stderr);
        assert!(finished.stderr.contains("gives no token ids"), "{}", finished.stderr);
    }
    assert_eq!((server.count("requests"), server.count("distinct")), (2, 0), "one probe for each run");
    // They are booked like any call: one more run exceeds the cap of two.
    let finished =
        place.run(&distill_whole(&server.model(), &["--token-ids", "--max-requests", "2", "--max-tokens", "9"]));
    assert_eq!((finished.code, server.count("requests")), (Some(75), 2), "{}", finished.stderr);
}

/// Each server is tried, whichever is asked first.
#[test]
fn a_replica_without_ids_is_an_error_before_the_first_question() {
    let (with, without) = (MockServer::start(&["--latency", "30"]), MockServer::start(&["--token-ids", "none"]));
    for order in [[&with, &without], [&without, &with]] {
        let place = Place::with_conversations(6, 2);
        let model = format!("m@http://{}/v1,http://{}/v1", order[0].address, order[1].address);
        let finished = place.run(&distill_whole(&model, &["--token-ids"]));
        assert_eq!(finished.code, Some(2), "{}", finished.stderr);
        assert!(finished.stderr.contains(&without.address), "{}", finished.stderr);
        assert_eq!((with.count("distinct"), without.count("distinct")), (0, 0));
    }
}

/// Words in place of the ids of the most probable tokens are no detail.
#[test]
fn logprobs_without_ids_are_an_error() {
    let place = Place::with_conversations(1, 1);
    let server = Capture::with(|request| {
        let (status, mut reply) = answer(&request.body());
        reply["prompt_token_ids"] = json!([1, 2]);
        reply["choices"][0]["token_ids"] = json!([3]);
        reply["usage"] = json!({"prompt_tokens": 2, "completion_tokens": 1});
        let word = json!({"token": "the", "logprob": -1.0});
        let content = json!([{"token": "the", "logprob": -1.0, "top_logprobs": [word]}]);
        reply["choices"][0]["logprobs"] = json!({"content": content});
        (status, reply)
    });
    let model = server.model("m");
    let finished = place.run(&distill_whole(&model, &["--logprobs", "1"]));
    assert_eq!(finished.code, Some(2), "{}", finished.stderr);
    assert!(finished.stderr.contains("no log-probabilities with the id of each token"), "{}", finished.stderr);
    place.complete(&distill_whole(&model, &["--token-ids"]));
}

/// The question is asked first without ids and then with them: the ids are new. From then on they serve both.
#[test]
fn answers_with_more_serve_questions_with_less_and_never_the_other_way() {
    let (place, server) = (Place::with_conversations(3, 2), MockServer::start(&[]));
    let model = server.model();
    let asked = |options: &[&str]| {
        let before = server.count("distinct");
        place.complete(&distill_whole(&model, options));
        server.count("distinct") - before
    };
    assert_eq!(asked(&[]), 6);
    let messages = || place.rows("out.jsonl").iter().map(|row| row["messages"].clone()).collect::<Vec<_>>();
    let plain = messages();
    assert_eq!(asked(&["--token-ids"]), 6, "the stored answers have no ids");
    assert_eq!((asked(&[]), asked(&["--token-ids"])), (0, 0));
    assert_eq!(messages(), plain);
    assert_eq!(asked(&["--logprobs", "3"]), 6);
    assert_eq!((asked(&["--logprobs", "3"]), asked(&["--logprobs", "1"]), asked(&["--token-ids"])), (0, 0, 0));
    assert_eq!(asked(&["--logprobs", "4"]), 6);
    // A plan, an export and a view look where the run does.
    let fresh = Place::with_conversations(3, 2);
    fresh.complete(&distill_whole(&model, &["--token-ids"]));
    let planned = fresh.complete(&["plan", "in.jsonl", "--teacher", &model]).stdout;
    assert!(planned.contains("answered       6 turns") && planned.contains("new            0 calls"), "{planned}");
    fresh.complete(&["export", "in.jsonl", "--teacher", &model, "-o", "again.jsonl"]);
    assert_eq!(fresh.read("again.jsonl"), fresh.read("out.jsonl"));
    fresh.complete(&distill_whole(&model, &[]));
    let shown = fresh.complete(&["show", "kites 0"]).stdout;
    assert!(shown.contains(place.rows("out.jsonl")[0]["messages"][3]["content"].as_str().unwrap()), "{shown}");
}

/// The ids of a conversation are whole wherever the run was killed.
#[test]
fn ids_are_whole_after_kills() {
    let (place, server) = (Place::with_conversations(8, 5), MockServer::start(&["--latency", "2"]));
    let model = server.model();
    let line = distill_whole(&model, &["--token-ids", "--concurrency", "4"]);
    for requests in [7, 13, 21] {
        place.kill_at(&line, &server, server.count("requests") + requests);
    }
    place.complete(&line);
    assert_eq!(server.count("distinct"), 40);
    let conversations = turns(&place);
    assert_eq!(conversations.len(), 8);
    assert_whole(&conversations, None);
}

/// An answer that comes without ids is paid for and kept.
#[test]
fn an_answer_without_ids_is_kept() {
    let server = MockServer::start(&["--fault", "no-ids:0.4", "--fault-by", "question"]);
    let place = Place::with_conversations(10, 2);
    // The probe may be one of those without ids; another model name is another draw.
    let model = ["m", "n", "o", "p"].map(|name| format!("{name}@http://{}/v1", server.address));
    let code = |model: &String| place.run(&distill_whole(model, &["--token-ids"])).code;
    assert!(model.iter().any(|model| code(model) == Some(0)), "one of four models passes its probe");
    let answers: Vec<Turn> = turns(&place).into_iter().flatten().collect();
    let without = answers.iter().filter(|(answer, _)| answer.tokens.is_none()).count();
    assert!(without > 0 && without < answers.len(), "{without} of {}", answers.len());
}

/// A row that lacks its tokens is missing, and the exit code says so.
#[test]
fn rows_without_their_tokens_make_the_output_incomplete() {
    let server = MockServer::start(&["--fault", "no-ids:0.4", "--fault-by", "question"]);
    let place = Place::with_conversations(10, 2);
    // The probe may be one of those without ids; another model name is another draw.
    let finished = ["m", "n", "o", "p"].map(|name| {
        let model = format!("{name}@http://{}/v1", server.address);
        place.run(&distill_whole(&model, &["--token-ids", "--to", "token-ids"]))
    });
    let finished = finished.iter().find(|finished| finished.code != Some(2)).expect("one of four passes its probe");
    assert_eq!(finished.code, Some(3), "{}", finished.stderr);
    assert!(finished.stderr.contains("no_tokens") && finished.stderr.contains("left out"), "{}", finished.stderr);
}

/// What a server sends beside the standard may be anything; loss on the wrong tokens would train on them.
#[test]
fn ids_that_are_not_as_many_as_were_counted_are_an_error() {
    for (ids, is_right) in
        [(json!([3, 4]), true), (json!([3]), false), (json!([3, 4, 5]), false), (json!(["x", 4]), false)]
    {
        let place = Place::with_conversations(1, 1);
        let server = Capture::with(move |request| {
            let (status, mut reply) = answer(&request.body());
            reply["prompt_token_ids"] = json!([1, 2]);
            reply["choices"][0]["token_ids"] = ids.clone();
            reply["usage"] = json!({"prompt_tokens": 2, "completion_tokens": 2});
            (status, reply)
        });
        let finished = place.run(&distill_whole(&server.model("m"), &["--token-ids"]));
        assert_eq!(finished.code, Some(if is_right { 0 } else { 2 }), "{}", finished.stderr);
    }
}

/// The teacher's calls have ids as its words do.
#[test]
fn calls_have_their_tokens_over_http() {
    let place = Place::new();
    place.write("in.jsonl", jsonl(&[0, 1, 2, 3].map(conversation_with_calls)));
    for fields in ["vllm", "sglang"] {
        for stream in ["true", "false"] {
            let server = MockServer::start(&["--token-ids", fields]);
            let model = format!("simulated@http://{}/v1", server.address);
            let store = format!("store-{fields}-{stream}");
            let line = ["distill", "in.jsonl", "-o", "out.jsonl", "--teacher", &model, "--tools", "regenerate"];
            let finished = place.run(
                &[
                    &line[..],
                    &["--token-ids", "--to", "token-ids", "--keep-partial", "--stream", stream, "--store", &store],
                ]
                .concat(),
            );
            assert!(matches!(finished.code, Some(0 | 3)), "{}", finished.stderr);
            assert!(!finished.stderr.contains("no_tokens"), "{}", finished.stderr);
            assert!(place.read("out.jsonl").contains("tool_calls"), "{}", finished.stderr);
        }
    }
}

#[test]
fn what_cannot_be_asked_for_is_refused() {
    let place = Place::with_conversations(1, 1);
    for (options, words) in [
        (&["--logprobs", "0"][..], "--logprobs is 0"),
        (&["--logprobs", "21"], "--logprobs is 21"),
        (&["--token-ids", "--body", r#"{"return_token_ids": false}"#], "contradicts --token-ids"),
        (&["--logprobs", "3", "--body", r#"{"top_logprobs": 2}"#], "contradicts --token-ids"),
    ] {
        let finished = place.run(&distill_whole("simulated", options));
        assert_eq!(finished.code, Some(2), "{}", finished.stderr);
        assert!(finished.stderr.contains(words), "{}", finished.stderr);
    }
    let finished = place.run(&distill_whole("m@http://127.0.0.1:9/v1/messages", &["--token-ids"]));
    assert_eq!(finished.code, Some(2), "{}", finished.stderr);
    assert!(finished.stderr.contains("dialect anthropic, which gives no token ids"), "{}", finished.stderr);
}

/// The built-in model gives the tokens that its server gives.
#[test]
fn the_simulated_model_and_its_server_give_the_same_tokens() {
    let (local, remote) = (Place::with_conversations(3, 3), Place::with_conversations(3, 3));
    let server = MockServer::start(&[]);
    local.complete(&distill_whole("simulated", &["--logprobs", "3"]));
    remote.complete(&distill_whole(&format!("simulated@http://{}/v1", server.address), &["--logprobs", "3"]));
    let tokens = |place: &Place| {
        let mut all: Vec<Value> = turns(place)
            .into_iter()
            .flatten()
            .map(|(answer, ids)| {
                let top = answer.tokens.as_ref().and_then(|tokens| tokens.logprobs.clone());
                json!([answer.text(), ids, format!("{:?}", top.map(|top| (top.ids.len(), top.sampled)))])
            })
            .collect();
        all.sort_by_key(ToString::to_string);
        all
    };
    assert_eq!(tokens(&local).len(), 9);
    let texts = |place: &Place| tokens(place).into_iter().map(|turn| json!([turn[0], turn[1]])).collect::<Vec<_>>();
    assert_eq!(texts(&local), texts(&remote));
    assert_eq!((Simulated::DIALECT, TokenDetail::Ids.to_string().as_str()), ("simulated", "token ids"));
}
