//! Judgments that other programs have made: votes, scores and preferences, of both sides or of one.

use serde_json::{Value, json};

use crate::support::{Place, jsonl, shared_data};

fn report(place: &Place, arguments: &[&str]) -> Value {
    let finished = place.complete(&[&["agreement", "--json"], arguments].concat());
    serde_json::from_str(&finished.stdout).unwrap()
}

#[track_caller]
fn near(found: &Value, expected: f64) {
    let found = found.as_f64().unwrap_or_else(|| panic!("{found} is no number"));
    assert!((found - expected).abs() < 1e-9, "{found} is not {expected}");
}

/// A row of `FastChat`'s `gpt-4_single.jsonl`.
fn single(question: u32, model: &str, turn: u32, score: f64) -> Value {
    json!({
        "question_id": question, "model": model, "judge": ["gpt-4", "single-v1"], "user_prompt": "[Question]",
        "judgment": "Rating: [[7]]", "score": score, "turn": turn, "tstamp": 1.5,
    })
}

#[test]
fn averages_of_mt_bench_from_single_judgments() {
    let place = Place::new();
    // An average of MT-Bench is over both turns; -1 is a reply without a rating.
    let rows = [
        single(81, "x", 1, 7.0),
        single(81, "x", 2, 8.5),
        single(82, "x", 1, 10.0),
        single(82, "x", 2, -1.0),
        single(81, "y", 1, 9.0),
        single(81, "y", 2, 9.0),
        single(82, "y", 1, 6.0),
        single(82, "y", 2, 9.5),
    ];
    place.write("single.jsonl", jsonl(&rows));
    let found = report(&place, &["--judge", "single.jsonl"]);
    let systems = &found["scores"]["judge"];
    let means = |name: &str| {
        let system = systems.as_array().unwrap().iter().find(|system| system["name"] == name).unwrap();
        let turn = |number: usize| system["turns"][number - 1]["mean"].as_f64().unwrap();
        (system["mean"].as_f64().unwrap(), turn(1), turn(2), system["count"].as_u64().unwrap())
    };
    assert_eq!(means("x"), (8.5, 8.5, 8.5, 3));
    assert_eq!(means("y"), (8.375, 7.5, 9.25, 4));
    assert_eq!((&found["unparsed"]["judge"], found.get("human"), found.get("majority")), (&json!(1), None, None));
    let shown = place.complete(&["agreement", "--judge", "single.jsonl"]);
    insta::assert_snapshot!(shown.stdout);
}

#[test]
fn scores_of_two_sides_are_correlated_by_answer_and_by_system() {
    let place = Place::new();
    let table = |scores: &[(&str, &str, f64)], judge: &str| {
        let rows = scores.iter().map(|(item, model, score)| format!("{item},{model},{score},{judge}\n"));
        "item,model,score,judge\n".to_owned() + &rows.collect::<String>()
    };
    let judge = [("a", "x", 1.0), ("b", "x", 2.0), ("a", "y", 2.0), ("b", "y", 3.0), ("a", "z", 5.0), ("b", "z", 8.0)];
    let human = [("a", "x", 2.0), ("b", "x", 1.0), ("a", "y", 3.0), ("b", "y", 3.0), ("a", "z", 9.0), ("b", "z", 4.0)];
    place.write("judge.csv", table(&judge, "gpt"));
    // Two people on one answer: their mean counts.
    place.write("human.csv", table(&human, "ann") + "b,z,6,ben\nc,z,1,ben\n");
    let found = report(&place, &["--judge", "judge.csv", "--human", "human.csv"]);
    let (answers, systems) = (&found["scores"]["answers"], &found["scores"]["systems"]);
    assert_eq!((&answers["count"], &systems["count"]), (&json!(6), &json!(3)));
    // scipy 1.17: pearsonr, spearmanr, kendalltau of (1,2,2,3,5,8) and (2,1,3,3,9,5), and of the three means.
    near(&answers["pearson"], ANSWERS[0]);
    near(&answers["spearman"], ANSWERS[1]);
    near(&answers["kendall"], ANSWERS[2]);
    near(&systems["pearson"], SYSTEMS);
    near(&systems["kendall"], 1.0);
    assert_eq!(found["scores"]["human"][0]["name"], "z");
    near(&found["scores"]["human"][0]["mean"], 5.0);
    insta::assert_snapshot!(place.complete(&["agreement", "--judge", "judge.csv", "--human", "human.csv"]).stdout);
    // One file of each side without names of systems: they are about the same answers.
    place.write("left.jsonl", "{\"id\":1,\"score\":1}\n{\"id\":2,\"score\":4}\n");
    place.write("right.jsonl", "{\"id\":1,\"rating\":\"2\"}\n{\"id\":2,\"rating\":\"9\"}\n");
    near(&report(&place, &["--judge", "left.jsonl", "--human", "right.jsonl"])["scores"]["answers"]["pearson"], 1.0);
    let apart = place.run(&["agreement", "--judge", "left.jsonl", "--human", "judge.csv"]);
    assert!(apart.code == Some(2) && apart.stderr.contains("no item in common"), "{}", apart.stderr);
    let nobody = place.run(&["agreement"]);
    assert_eq!(nobody.code, Some(2), "{}", nobody.stderr);
}

const ANSWERS: [f64; 3] = [0.635_386_585_718_486_9, 0.808_823_529_411_764_7, 0.642_857_142_857_142_9];
const SYSTEMS: f64 = 0.997_050_141_065_987_5;

#[test]
fn answers_that_pass_or_fail_have_mcnemars_test() {
    let place = Place::new();
    let rows = (0..30).flat_map(|item| {
        let score = |model: &str, passes: bool| json!({"item": item, "model": model, "score": passes});
        [score("old", item % 3 == 0), score("new", item % 3 == 0 && item < 27 || item % 2 == 0)]
    });
    place.write("checks.jsonl", jsonl(&rows.collect::<Vec<_>>()));
    let found = report(&place, &["--judge", "checks.jsonl"]);
    let pair = &found["scores"]["passes"][0]["pairs"][0];
    // Only `new`: even and not divisible by three, 10. Only `old`: 27 alone.
    assert_eq!((&pair["a"], &pair["only_a"], &pair["only_b"]), (&json!("new"), &json!(10), &json!(1)));
    near(&pair["mcnemar_p"], 2.0 * 12.0 / 2048.0);
    let text = place.complete(&["agreement", "--judge", "checks.jsonl"]).stdout;
    assert!(text.contains("McNemar p = 0.0117"), "{text}");
}

#[test]
fn votes_of_fastchat_and_of_an_arena_with_one_side_alone() {
    let place = Place::new();
    let pair = |question: u32, first: &str, second: &str| {
        json!({"question_id": question, "model_1": "x", "model_2": "y", "g1_winner": first, "g2_winner": second,
            "judge": ["gpt-4", "pair-v2"], "turn": 1})
    };
    let rows = [
        pair(81, "model_1", "model_1"),
        pair(82, "model_2", "model_1"),
        pair(83, "error", "model_1"),
        pair(84, "tie", "tie"),
        pair(85, "model_2", "model_2"),
    ];
    place.write("pair.jsonl", jsonl(&rows));
    let found = report(&place, &["--judge", "pair.jsonl"]);
    let system = &found["judge"]["systems"][0];
    assert_eq!([&system["wins"], &system["losses"], &system["ties"]].map(Value::as_u64), [Some(1), Some(1), Some(2)]);
    assert_eq!((&found["judge"]["inconsistent"], &found["unparsed"]["judge"]), (&json!(1), &json!(1)));
    let arena = "id,model_a,model_b,winner_model_a,winner_model_b,winner_tie\n1,x,y,1,0,0\n2,x,y,0,0,1\n3,y,x,1,0,0\n";
    place.write("arena.csv", arena);
    let found = report(&place, &["--human", "arena.csv"]);
    let system = &found["human"]["systems"][1];
    assert_eq!((&system["name"], &system["win_rate_adjusted"]), (&json!("y"), &json!(0.5)));
    assert_eq!((&found["human_alpha"]["units"], found.get("judge")), (&json!(0), None));
    insta::assert_snapshot!(place.complete(&["agreement", "--human", "arena.csv"]).stdout);
}

fn annotation(number: usize, preference: Value) -> Value {
    let words = |count: usize| "word ".repeat(count);
    json!({
        "instruction": format!("Question {number}?"), "output_1": words(20 + number % 7), "output_2": words(5 + number % 11),
        "generator_1": "base", "generator_2": "x", "annotator": "weighted", "preference": preference,
    })
}

#[test]
fn win_rates_of_alpaca_eval_and_which_length_control_is_shown() {
    let place = Place::new();
    let preferences =
        [json!(1), json!(2.0), json!(1.25), json!(0), json!(1.5), Value::Null, json!(1.999), json!("1.1")];
    let rows: Vec<Value> =
        preferences.iter().enumerate().map(|(number, preference)| annotation(number, preference.clone())).collect();
    place.write("annotations.json", Value::from(rows).to_string());
    let found = report(&place, &["--judge", "annotations.json"]);
    let rate = &found["win_rates"][0];
    // alpaca_eval's `get_winrate`: 47.842857 % of 7, error 15.183353, 2 wins, 3 losses, 2 draws.
    near(&rate["win_rate"], (0.0 + 1.0 + 0.25 + 0.5 + 0.5 + 0.999 + 0.1) / 7.0);
    near(&rate["error"], ERROR);
    let counts = ["count", "wins", "losses", "draws", "unparsed"].map(|name| rate[name].as_u64().unwrap());
    assert_eq!(counts, [7, 2, 3, 2, 1]);
    near(&rate["discrete_win_rate"], 3.0 / 7.0);
    assert_eq!(rate["length_controlled"]["method"], "length_term");
    assert_eq!(found["judge"]["votes"], 7, "preferences are votes too");
    let shown = place.complete(&["agreement", "--judge", "annotations.json"]).stdout;
    assert!(shown.contains("this program's estimate") && shown.contains("--lc-baseline"), "{shown}");

    let gamed = (0..16).map(|number| {
        let (index, difference) = (number % 8, if number < 8 { 1.2 } else { -1.4 });
        let share = 0.5 - 0.3 * difference + 0.01 * f64::from(index);
        format!("{index},gamed,{share},{difference},{},False\n", 0.3 * f64::from(index) - 1.0)
    });
    let head = "index,model,preference,std_delta_len,instruction_difficulty,not_gamed_baseline\n";
    place.write("df_gamed.csv", head.to_owned() + &gamed.collect::<String>());
    let with = ["--judge", "annotations.json", "--lc-baseline", "df_gamed.csv"];
    let rate = &report(&place, &with)["win_rates"][0];
    assert_eq!(rate["length_controlled"]["method"], "alpaca_eval");
    let rate = rate["length_controlled"]["win_rate"].as_f64().unwrap();
    assert!(rate > 0.0 && rate < 1.0, "{rate}");
    let shown = place.complete(&[&["agreement"], &with[..]].concat()).stdout;
    assert!(shown.contains("AlpacaEval's length_controlled_v1") && !shown.contains("estimate"), "{shown}");

    place.write("short.csv", head.to_owned() + "0,gamed,0.5,1,0.1,False\n");
    place.write("votes.csv", "item,a,b,winner\n1,x,y,x\n");
    for (arguments, said) in [
        (["--judge", "annotations.json", "--lc-baseline", "short.csv"], "does not fit"),
        (["--judge", "votes.csv", "--lc-baseline", "df_gamed.csv"], "changes nothing"),
        (["--judge", "annotations.json", "--lc-baseline", "votes.csv"], "it has no `index`"),
    ] {
        let finished = place.run(&[&["agreement"], &arguments[..]].concat());
        assert!(finished.code == Some(2) && finished.stderr.contains(said), "{arguments:?}: {}", finished.stderr);
    }
}

const ERROR: f64 = 0.151_833_533_083_793_74;

#[test]
fn published_scores_of_wild_bench_from_its_files() {
    let Some(directory) = shared_data("judgments/wildbench") else { return };
    let published: Value =
        serde_json::from_slice(&std::fs::read(directory.join("published_score.json")).unwrap()).unwrap();
    let names: Vec<&String> = published.as_object().unwrap().keys().collect();
    let files: Vec<String> =
        names.iter().map(|name| directory.join(format!("{name}.jsonl")).display().to_string()).collect();
    let arguments: Vec<&str> = files.iter().flat_map(|file| ["--judge", file.as_str()]).collect();
    let found = report(&Place::new(), &arguments);
    let systems = found["scores"]["judge"].as_array().unwrap();
    assert_eq!(systems.len(), names.len());
    for system in systems {
        let known = &published[system["name"].as_str().unwrap()];
        assert_eq!((&system["count"], &system["mean"]), (&known["total"], &known["score"]));
    }
}
