//! A plan says what the run will do: the same calls, about the same tokens, split by who is asked.

use serde_json::{Value, json};

use crate::support::{MockServer, Place, conversation, jsonl};

/// A dry run's plan.
fn planned(place: &Place, line: &[&str]) -> Value {
    let finished = place.complete(&[line, &["--dry-run", "--progress=json"]].concat());
    serde_json::from_str(&finished.stdout).unwrap_or_else(|error| panic!("{error}: {}", finished.stdout))
}

/// Calls, prompt tokens and completion tokens that the store has paid for.
fn spent(place: &Place) -> [u64; 3] {
    let status: Value = serde_json::from_str(&place.complete(&["status", "--json"]).stdout).unwrap();
    let of = |name: &str| {
        let models = status["spending"].as_object().unwrap().values();
        models.map(|spent| spent[name].as_u64().unwrap()).sum()
    };
    [of("answers"), of("prompt_tokens"), of("completion_tokens")]
}

fn assert_near(found: u64, expected: u64, percent: u64, what: &str) {
    let allowed = expected * percent / 100;
    assert!(found.abs_diff(expected) <= allowed, "{what}: planned {found}, used {expected}");
}

/// Runs a line over a quarter of the rows, plans the rest, and runs it. `percent` is how far the calls may be off.
fn compare_with_run(line: &[&str], percent: u64) {
    compare_with_run_after("--limit=12", line, percent);
}

fn compare_with_run_after(limit: &str, line: &[&str], percent: u64) {
    let what = line.join(" ");
    let place = Place::with_conversations(48, 3);
    let run = |more: &[&str]| {
        let finished = place.run(&[line, more].concat());
        assert!(matches!(finished.code, Some(0 | 3)), "{what}: {}", finished.stderr);
    };
    run(&[limit]);
    let before = spent(&place);
    let plan = planned(&place, line);
    run(&[]);
    let after = spent(&place);
    let [calls, prompt, completion] = [0, 1, 2].map(|at| after[at] - before[at]);
    assert!(calls > 0, "{what}");
    assert_near(plan["calls"].as_u64().unwrap(), calls, percent, &format!("{what}: calls"));
    assert_near(plan["prompt_tokens"].as_u64().unwrap(), prompt, 20, &format!("{what}: prompt tokens"));
    assert_near(plan["completion_tokens"].as_u64().unwrap(), completion, 20, &format!("{what}: completion tokens"));
    let roles = plan["roles"].as_array().unwrap();
    let sum = |name: &str| roles.iter().map(|role| role[name].as_u64().unwrap()).sum::<u64>();
    for name in ["calls", "prompt_tokens", "completion_tokens"] {
        assert_eq!(plan[name], sum(name), "{what}: {name} by role");
    }
    assert!(plan["basis"].as_array().unwrap().len() > roles.len(), "{what}: {plan}");
    // Everything is there now.
    assert_eq!(planned(&place, line)["calls"], 0, "{what}");
}

#[test]
fn a_distillation_is_planned_call_by_call() {
    compare_with_run(&["distill", "in.jsonl", "--teacher=simulated", "-o=out.jsonl"], 0);
}

#[test]
fn several_samples_and_their_judge_are_planned_call_by_call() {
    let line = ["distill", "in.jsonl", "--teacher=simulated-t", "-o=out.jsonl", "--samples=3", "--judge=simulated-j"];
    compare_with_run(&line, 0);
}

#[test]
fn a_gate_is_planned_as_it_has_judged_so_far() {
    let gate = ["--gate=standard", "--rules=length=retry:40..400"];
    let line = ["distill", "in.jsonl", "--teacher=simulated", "-o=out.jsonl"];
    compare_with_run(&[&line[..], &gate[..1]].concat(), 10);
}

#[test]
fn an_evaluation_and_a_comparison_are_planned_call_by_call() {
    compare_with_run(&["evaluate", "in.jsonl", "--judge=simulated", "-o=scores.jsonl"], 0);
    let line = ["compare", "in.jsonl", "--a=simulated-x", "--b=simulated-y", "--judge=simulated-j", "-o=compared"];
    compare_with_run(&line, 0);
}

#[test]
fn a_simulation_is_planned_as_users_have_been_so_far() {
    let line = ["simulate", "in.jsonl", "--teacher=simulated-t", "--user=simulated-u", "--turns=5", "-o=out.jsonl"];
    compare_with_run(&line, 10);
}

#[test]
fn tutoring_is_planned_as_students_have_been_so_far() {
    let line =
        ["tutor", "in.jsonl", "--student=simulated-s", "--teacher=simulated-t", "--judge=simulated-j", "-o=tutored"];
    // What a lesson needs varies from student to student: twelve of them are too few to tell within a tenth.
    compare_with_run_after("--limit=24", &line, 10);
}

#[test]
fn the_answer_that_is_assumed_depends_on_the_question_alone() {
    let (place, server) = (Place::new(), MockServer::start(&[]));
    let rows: Vec<Value> = (0..50)
        .map(|row| {
            let mut messages = conversation("kites", 3)["messages"].clone();
            for message in messages.as_array_mut().unwrap().iter_mut().filter(|message| message["role"] == "assistant")
            {
                message["content"] = json!(format!("Old answer {row}. {}", "More words. ".repeat(row)));
            }
            json!({"id": row.to_string(), "messages": messages})
        })
        .collect();
    place.write("in.jsonl", jsonl(&rows));
    let model = server.model();
    let line = ["distill", "in.jsonl", "--teacher", &model, "-o", "out.jsonl"];
    let plan = planned(&place, &line);
    assert_eq!((&plan["calls"], &plan["shared"]), (&json!(3), &json!(147)));
    place.complete(&line);
    assert_eq!(server.count("requests"), 3);
}

#[test]
fn a_dry_run_creates_no_store_and_asks_nobody() {
    let place = Place::with_conversations(3, 2);
    let dead = "m@http://127.0.0.1:1/v1";
    let lines: [&[&str]; 6] = [
        &["plan", "in.jsonl", "--teacher", dead],
        &["distill", "in.jsonl", "--teacher", dead, "--dry-run"],
        &["evaluate", "in.jsonl", "--judge", dead, "--dry-run"],
        &["compare", "in.jsonl", "--a", dead, "--b=simulated", "--judge", dead, "--controls", "--dry-run"],
        &["simulate", "in.jsonl", "--teacher", dead, "--user", dead, "--turns=3", "--dry-run"],
        &["tutor", "in.jsonl", "--student", dead, "--teacher", dead, "--dry-run"],
    ];
    for line in lines {
        let plan = place.complete(line).stdout;
        assert!(plan.contains("new ") && plan.contains("basis "), "{line:?}: {plan}");
        let left: Vec<_> = std::fs::read_dir(place.path("")).unwrap().map(|file| file.unwrap().file_name()).collect();
        assert_eq!(left, ["in.jsonl"], "{line:?}");
    }
    let json = place.complete(&["plan", "in.jsonl", "--teacher=simulated", "--json"]).stdout;
    let dry = place.complete(&["distill", "in.jsonl", "--teacher=simulated", "--dry-run", "--progress=json"]).stdout;
    assert_eq!(json, dry, "plan is distill --dry-run");
}

#[test]
fn a_plan_without_knowledge_says_so_and_takes_the_old_answers_for_a_measure() {
    let place = Place::new();
    let long = "The old answers of this dataset are rather long. ".repeat(40);
    let rows: Vec<Value> = (0..6)
        .map(|row| {
            json!({"id": row.to_string(), "messages": [
                {"role": "user", "content": format!("What about {row}?")}, {"role": "assistant", "content": long}
            ]})
        })
        .collect();
    place.write("in.jsonl", jsonl(&rows));
    let line = ["distill", "in.jsonl", "--teacher=simulated", "-o=out.jsonl"];
    let plan = planned(&place, &line);
    let per_answer = plan["completion_tokens"].as_u64().unwrap() / 6;
    assert!((500..600).contains(&per_answer), "{plan}");
    assert!(plan["basis"][0].as_str().unwrap().contains("the old answers of these rows"), "{plan}");
    let judged = ["--samples=2", "--judge=simulated-j"];
    let plan = planned(&place, &[&line[..], &judged].concat());
    assert!(plan["basis"].to_string().contains("judge: 200 tokens an answer, from nothing that is known"), "{plan}");
    // With a limit no answer is longer.
    let plan = planned(&place, &[&line[..], &["--max-tokens=100"]].concat());
    assert_eq!(plan["completion_tokens"], 600);
}

#[test]
fn a_store_that_knows_the_speed_and_the_cap_plans_with_them() {
    let place = Place::with_conversations(60, 2);
    let profile = "price = { input = 1.0, output = 2.0 }";
    place.write("cohobate.toml", format!("[models.slow]\n{profile}\n[models.simulated]\n{profile}\n"));
    let line = ["distill", "in.jsonl", "--teacher=simulated", "--max-tokens=100", "-o=out.jsonl"];
    let plan = planned(&place, &line);
    assert_eq!((&plan["seconds"], &plan["max_cost"], &plan["spent"]), (&Value::Null, &Value::Null, &json!(0.0)));
    let first = place.run(&[&line[..], &["--limit=30"]].concat());
    assert_eq!(first.code, Some(3), "{}", first.stderr);
    place.complete(&["ctl", "set", "max-cost=0.001"]);
    let plan = planned(&place, &[&line[..], &["--max-cost=1000"]].concat());
    assert!(plan["seconds"].as_f64().is_some_and(|seconds| seconds > 0.0), "{plan}");
    assert!(plan["basis"].to_string().contains("answers a second, as in run 1 of this store"), "{plan}");
    assert_eq!(plan["max_cost"], 0.001);
    assert!(plan["spent"].as_f64().is_some_and(|spent| spent > 0.0), "{plan}");
    let text = place.complete(&[&line[..], &["--dry-run"]].concat());
    assert!(text.stdout.contains("the run would stop there") && text.stdout.contains("time "), "{}", text.stdout);
    assert!(text.stderr.contains("max-cost is $0.0010, as `cohobate ctl set`"), "{}", text.stderr);
    // Nobody has measured another model.
    let other = ["distill", "in.jsonl", "--teacher=slow@http://127.0.0.1:1/v1", "--max-tokens=100", "-o=out.jsonl"];
    assert_eq!(planned(&place, &other)["seconds"], Value::Null);
}

#[test]
fn what_would_waste_money_is_refused() {
    let place = Place::with_conversations(2, 1);
    place.write("none.jsonl", "{\"messages\": []}\n");
    let pairs = ["in.jsonl", "--teacher=simulated", "--to=dpo", "-o=out.jsonl"];
    for (line, said) in [
        ([&["distill"], &pairs[..]].concat(), "no row would be written: dpo holds pairs"),
        ([&["plan"], &pairs[..]].concat(), "no row would be written: dpo holds pairs"),
        (vec!["plan", "none.jsonl", "--teacher=simulated"], "no row of none.jsonl can be used"),
        (
            vec!["simulate", "none.jsonl", "--teacher=simulated", "--user=simulated", "--turns=2", "--dry-run"],
            "no row of",
        ),
    ] {
        let finished = place.run(&line);
        assert_eq!(finished.code, Some(2), "{line:?}: {}", finished.stderr);
        assert!(finished.stderr.contains(said) && finished.stderr.contains("hint: "), "{line:?}: {}", finished.stderr);
    }
    let samples = ["--samples=2", "--judge=simulated"];
    place.complete(&[&["distill"], &pairs[..], &samples, &["--dry-run"]].concat());
    assert!(!place.exists(".cohobate"));
}
