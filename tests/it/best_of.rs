//! `--samples N`: several answers to each turn, the best goes on, and everything about it is resumable.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Value, json};

use crate::support::{MockServer, Place, conversation, jsonl};

fn questions(place: &Place, count: usize, turns: usize) {
    let rows: Vec<Value> = (0..count).map(|row| conversation(&format!("subject {row}"), turns)).collect();
    place.write("in.jsonl", jsonl(&rows));
}

/// A reward model that likes what is long, and counts.
fn reward_model() -> (String, Arc<AtomicU64>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("length@http://{}/reward", listener.local_addr().unwrap());
    let count = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&count);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, counted) = (stream.unwrap(), Arc::clone(&counted));
            std::thread::spawn(move || {
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                loop {
                    let (mut head, mut length) = (String::new(), 0);
                    while reader.read_line(&mut head).is_ok_and(|read| read > 2) {
                        let lower = head.to_lowercase();
                        if let Some((_, value)) = lower.rsplit_once("content-length: ") {
                            length = value.trim().parse().unwrap();
                        }
                        if !head.ends_with('\n') {
                            return;
                        }
                    }
                    if head.is_empty() {
                        return;
                    }
                    let mut body = vec![0; length];
                    reader.read_exact(&mut body).unwrap();
                    assert!(head.starts_with("POST /reward "), "{head}");
                    let asked: Value = serde_json::from_slice(&body).unwrap();
                    let last = asked["messages"].as_array().unwrap().last().unwrap().clone();
                    assert_eq!(last["role"], "assistant");
                    counted.fetch_add(1, Ordering::Relaxed);
                    let reply = json!({"score": last["content"].as_str().unwrap().len()}).to_string();
                    write!(
                        stream,
                        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{reply}",
                        reply.len()
                    )
                    .unwrap();
                }
            });
        }
    });
    (url, count)
}

/// Answers of the simulated model have more than a hundred letters, and fewer than a million.
#[test]
fn a_conversation_ends_before_a_turn_without_a_good_enough_answer() {
    let (place, (scorer, count)) = (Place::new(), reward_model());
    questions(&place, 4, 3);
    let run = |least: &str, out: &str| {
        place.run(&["distill", "in.jsonl", "--teacher=simulated", "--min-score", least, "--scorer", &scorer, "-o", out])
    };
    assert_eq!(run("1", "good.jsonl").code, Some(0));
    assert_eq!(count.load(Ordering::Relaxed), 12, "one answer to each turn is scored too");
    assert!(place.rows("good.jsonl").iter().all(|row| row["messages"].as_array().unwrap().len() == 6));
    // The same answers and scores: what is enough decides what is built on them, not what is asked.
    assert_eq!(run("1000000", "none.jsonl").code, Some(3));
    assert_eq!(count.load(Ordering::Relaxed), 12);
    let listed = place.rows("none.jsonl.incomplete.jsonl");
    assert!(listed.len() == 4 && listed.iter().all(|row| row["reason"] == "turn 1: min_score"), "{listed:?}");
    let plan =
        place.complete(&["plan", "in.jsonl", "--teacher=simulated-2", "--min-score=1000000", "--scorer", &scorer]);
    assert!(plan.stdout.contains("24 calls"), "a plan knows no score, and counts on a good one: {}", plan.stdout);
    for (wrong, says) in [
        (&["--min-score=5"][..], "nothing gives any"),
        (&["--min-score=nan", "--judge=simulated"], "min-score cannot be"),
        (&["--min-score=5", "--judge=simulated", "--tools=regenerate"], "no judge ranks calls"),
    ] {
        let refused = place.run(&[&["distill", "in.jsonl", "--teacher=simulated"], wrong].concat());
        assert!(refused.code == Some(2) && refused.stderr.contains(says), "{}", refused.stderr);
    }
}

#[test]
fn a_reward_model_chooses_and_a_rerun_asks_nothing() {
    let (place, (scorer, count)) = (Place::new(), reward_model());
    questions(&place, 6, 3);
    let arguments = ["distill", "in.jsonl", "--teacher=simulated", "--samples=4", "--keep=best", "--scorer", &scorer];
    let finished = place.complete(&[&arguments[..], &["-o=out.jsonl"]].concat());
    assert!(finished.stderr.contains("144 answers"), "72 answers and as many scores: {}", finished.stderr);
    assert_eq!(count.load(Ordering::Relaxed), 72);
    for row in place.rows("out.jsonl") {
        let answers = row["messages"].as_array().unwrap().iter().filter(|message| message["role"] == "assistant");
        for (answer, turn) in answers.zip(row["meta"]["turns"].as_array().unwrap()) {
            assert_eq!(turn["score"], answer["content"].as_str().unwrap().len() as f64);
            assert_eq!(turn["rejected"], json!(["outscored", "outscored", "outscored"]));
        }
    }
    place.complete(&[&arguments[..], &["-o=again.jsonl"]].concat());
    assert_eq!(count.load(Ordering::Relaxed), 72);
    assert_eq!(place.read("out.jsonl"), place.read("again.jsonl"));
    // The store has the pairs: the best against the worst, with how far apart they are.
    let export =
        ["export", "in.jsonl", "--teacher=simulated", "--samples=4", "--scorer", &scorer, "--to=dpo", "-o=dpo.jsonl"];
    place.complete(&export);
    let pairs = place.rows("dpo.jsonl");
    assert_eq!(pairs.len(), 18);
    for pair in &pairs {
        let length = |side: &str| pair[side][0]["content"].as_str().unwrap().len() as f64;
        let margin = length("chosen") - length("rejected");
        assert!(margin > 0.0, "{pair}");
        let said = pair["margin"].as_f64().or_else(|| pair["meta"]["margin"].as_f64());
        assert_eq!(said, Some(margin), "{pair}");
    }
}

#[test]
fn a_judge_chooses_and_a_kill_in_the_middle_changes_nothing() {
    let (place, teacher) =
        (Place::new(), MockServer::start(&["--latency", "10", "--fault", "babble:0.2", "--fault-by", "question"]));
    questions(&place, 10, 3);
    let model = teacher.model();
    let base = ["distill", "in.jsonl", "--teacher", &model, "--judge=simulated", "--samples=3", "--gate=standard"];
    let arguments = [&base[..], &["--seed=1", "-o=out.jsonl", "--concurrency=8"]].concat();
    for until in [20, 60] {
        place.kill_at(&arguments, &teacher, until);
    }
    place.run(&arguments);
    let calm = [&base[..], &["--seed=1", "-o=calm.jsonl", "--store=calm"]].concat();
    let finished = place.run(&calm);
    assert!(place.read("out.jsonl") == place.read("calm.jsonl"), "{}", finished.stderr);
    let rows = place.rows("out.jsonl");
    assert!(rows.len() > 7, "{}", finished.stderr);
    assert!(rows.iter().all(|row| !row.to_string().contains("I will say it once more. I will say it once more.")));
    let plan = place.run(&[
        "plan",
        "in.jsonl",
        "--teacher",
        &model,
        "--judge=simulated",
        "--samples=3",
        "--gate=standard",
        "--seed=1",
        "--json",
    ]);
    let plan: Value = serde_json::from_str(&plan.stdout).unwrap();
    assert_eq!(plan["calls"], 0, "{plan}");
}

#[test]
fn several_answers_need_somebody_who_chooses() {
    let place = Place::new();
    questions(&place, 1, 1);
    for (arguments, expected) in [
        (&["--samples=3"][..], "nothing says which is best"),
        (&["--samples=0", "--judge=simulated"], "--samples is "),
        (&["--scorer=rm@http://localhost:1/score"], "nothing to choose from"),
        (&["--samples=2", "--scorer=http://localhost:1/score"], "no name or no address"),
    ] {
        let finished = place.run(&[&["distill", "in.jsonl", "--teacher=simulated"], arguments].concat());
        assert_eq!(finished.code, Some(2), "{arguments:?}: {}", finished.stderr);
        assert!(finished.stderr.contains(expected), "{arguments:?}: {}", finished.stderr);
    }
    let plan =
        place.complete(&["plan", "in.jsonl", "--teacher=simulated", "--samples=3", "--judge=simulated", "--json"]);
    let plan: Value = serde_json::from_str(&plan.stdout).unwrap();
    assert_eq!(plan["calls"], 6, "{plan}");
}
