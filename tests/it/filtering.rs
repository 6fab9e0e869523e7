//! What is kept of finished rows: rules, duplicates, the best by score.

use serde_json::{Value, json};

use crate::support::{Place, conversation, jsonl};

fn row(id: &str, turns: &[(&str, &str)]) -> Value {
    let messages = turns.iter().flat_map(|(user, answer)| {
        [json!({"role": "user", "content": user}), json!({"role": "assistant", "content": answer})]
    });
    json!({"id": id, "topic": "harbors", "messages": messages.collect::<Vec<_>>()})
}

fn ids(place: &Place, name: &str) -> Vec<String> {
    place.rows(name).iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect()
}

fn report(place: &Place) -> Value {
    serde_json::from_str(&place.read("report.json")).unwrap()
}

#[test]
fn rows_with_bad_answers_go_with_their_reason_or_are_cut() {
    let place = Place::new();
    let babble = "I will say it once more. ".repeat(40);
    let rows = [
        row("good", &[("Where is the harbor?", "In the north.")]),
        row("late", &[("Where is the harbor?", "In the north."), ("And the mill?", &babble)]),
        row("first", &[("Where is the harbor?", &babble)]),
        row("leaky", &[("Where is the harbor?", "North.<|im_end|>")]),
        row("declined", &[("Where is the harbor?", "I'm sorry, but I can't help with that.")]),
        json!({"id": "cut", "messages": [{"role": "user", "content": "Why?"}, {"role": "assistant", "content": "Because"}],
            "meta": {"turns": [{"finish_reason": "length"}]}}),
        json!({"id": "nothing", "dialogue": []}),
    ];
    place.write("in.jsonl", jsonl(&rows));
    let command = ["filter", "in.jsonl", "-o", "kept.jsonl", "--rejected", "rejected.jsonl", "--report", "report.json"];
    let finished = place.run(&command);
    assert_eq!(finished.code, Some(3), "{}", finished.stderr);
    assert_eq!(ids(&place, "kept.jsonl"), ["good", "declined"]);
    let reasons: Vec<String> = place
        .rows("rejected.jsonl")
        .iter()
        .map(|row| format!("{} {}", row["id"].as_str().unwrap(), row["meta"]["rejected"].as_str().unwrap()))
        .collect();
    assert_eq!(
        reasons,
        [
            "late turn 2: loop_token",
            "first turn 1: loop_token",
            "leaky turn 1: template_leak",
            "cut turn 1: finish_length"
        ]
    );
    assert_eq!(place.rows("rejected.jsonl")[0]["meta"]["topic"], "harbors");
    let found = report(&place);
    assert_eq!(found["rejected"], json!({"loop_token": 2, "template_leak": 1, "finish_length": 1}));
    assert_eq!((&found["rows"], &found["kept"], &found["invalid"]), (&json!(7), &json!(2), &json!(1)));
    assert_eq!(found["quality"]["rules"]["refusal"]["examples"], json!(["declined"]));
    assert_eq!(found["gate"], "standard@2");
    insta::assert_snapshot!(finished.stderr);

    // Other thresholds, the same rows, the same place.
    place.run(&[&command[..], &["--on-reject", "cut"]].concat());
    assert_eq!(ids(&place, "kept.jsonl"), ["good", "late", "declined"]);
    let late = &place.rows("kept.jsonl")[1];
    assert_eq!(
        (late["messages"].as_array().unwrap().len(), &late["meta"]["stopped"]),
        (2, &json!("turn 2: loop_token"))
    );
    place.run(&[&command[..], &["--gate", "strict"]].concat());
    assert_eq!(ids(&place, "kept.jsonl"), ["good"]);
    place.run(&[&command[..], &["--rules", "loop_token=off,dup_10gram=off,loop_char=off,template_leak=flag"]].concat());
    assert_eq!(ids(&place, "kept.jsonl"), ["good", "late", "first", "leaky", "declined"]);
    let text = place.read("kept.jsonl");
    place.run(&[&command[..], &["--rules", "loop_token=off,dup_10gram=off,loop_char=off,template_leak=flag"]].concat());
    assert_eq!(place.read("kept.jsonl"), text);
}

#[test]
fn of_duplicates_and_near_duplicates_the_first_stays() {
    let place = Place::new();
    let long = "Please write a short letter to the harbor master about the broken crane on the northern quay.";
    let near = long.replace("short", "brief");
    let shout = long.to_uppercase();
    let rows = [
        row("bad", &[(long, "So be it.<|im_end|>")]),
        row("one", &[(long, "Dear harbor master.")]),
        row("shouted", &[(&shout, "Dear master.")]),
        row("near", &[(&near, "Dear sir.")]),
        row("other", &[("Why is the sea salty?", "Rivers bring it.")]),
    ];
    place.write("in.jsonl", jsonl(&rows));
    let command = ["filter", "in.jsonl", "-o", "kept.jsonl", "--report", "report.json"];
    place.complete(&command);
    assert_eq!(ids(&place, "kept.jsonl"), ["one", "shouted", "near", "other"]);
    place.complete(&[&command[..], &["--duplicates", "drop", "--near-duplicates", "0.8"]].concat());
    assert_eq!(ids(&place, "kept.jsonl"), ["one", "other"]);
    assert_eq!(report(&place)["rejected"], json!({"template_leak": 1, "duplicate": 1, "near_duplicate": 1}));
    place.complete(&[&command[..], &["--gate", "off", "--near-duplicates", "0.8"]].concat());
    assert_eq!(ids(&place, "kept.jsonl"), ["bad", "other"]);
}

#[test]
fn the_best_stay_in_input_order_and_keep_their_distance() {
    let place = Place::new();
    let long = "Please write a short letter to the harbor master about the broken crane on the northern quay.";
    let scored = |id: &str, user: &str, score: Value| {
        let mut row = row(id, &[(user, "An answer.")]);
        row["judge"] = json!({"score": score});
        row
    };
    let near = long.replace("short", "brief");
    let rows = [
        scored("low", "Why is the sea salty?", json!(2)),
        scored("high", long, json!(9)),
        scored("near", &near, json!(8.5)),
        scored("middle", "How deep is the lake behind the mill?", json!(7)),
        scored("unscored", "Who built the mill?", Value::Null),
    ];
    place.write("in.jsonl", jsonl(&rows));
    let command =
        ["filter", "in.jsonl", "-o", "kept.jsonl", "--report", "report.json", "--score", "judge.score", "--top", "2"];
    place.complete(&command);
    assert_eq!(ids(&place, "kept.jsonl"), ["high", "near"]);
    place.complete(&[&command[..], &["--min-distance", "0.2"]].concat());
    assert_eq!(ids(&place, "kept.jsonl"), ["high", "middle"]);
    assert_eq!(report(&place)["rejected"], json!({"near_duplicate": 1, "no_score": 1, "outscored": 1}));
}

#[test]
fn what_a_run_writes_is_filtered_as_it_is_and_constant_answers_are_named() {
    let place = Place::new();
    let rows: Vec<Value> = (0..10).map(|number| conversation(&format!("subject {number}"), 2)).collect();
    place.write("in.jsonl", jsonl(&rows));
    place.complete(&["distill", "in.jsonl", "--teacher", "simulated", "-o", "out.jsonl"]);
    // The simulated teacher has few sentences, and says some of them twice.
    place.complete(&["filter", "out.jsonl", "-o", "kept.jsonl", "--rules", "dup_10gram=off"]);
    assert!(place.read("kept.jsonl") == place.read("out.jsonl"), "the rows are not the same");
    let constant: Vec<Value> = (0..6)
        .map(|number| row(&number.to_string(), &[(&format!("Question {number}?"), "That is a very good question.")]))
        .collect();
    place.write("constant.jsonl", jsonl(&constant));
    place.complete(&["filter", "constant.jsonl", "-o", "kept.jsonl", "--report", "report.json"]);
    assert_eq!(report(&place)["quality"]["rules"]["boilerplate_constant"]["hits"], 3);
    let finished = place.run(&["filter", "constant.jsonl", "-o", "kept.jsonl", "--near-duplicates", "0.2"]);
    assert_eq!(finished.code, Some(2));
}

#[test]
fn rows_that_cannot_be_read_stand_between_others_and_each_decision_meets_its_row() {
    let place = Place::new();
    let mut text = String::new();
    for number in 0..40 {
        let answer = if number % 4 == 0 { "North.<|im_end|>" } else { "In the north." };
        let mut row = row(&number.to_string(), &[(&format!("Where is harbor {number}?"), answer)]);
        row["score"] = json!(number);
        text += if number % 3 == 0 { "{\"no row\n".to_owned() } else { jsonl(&[row]) }.as_str();
    }
    place.write("in.jsonl", text);
    let command = ["filter", "in.jsonl", "-o", "kept.jsonl", "--report", "report.json"];
    place.run(&command);
    let good: Vec<String> = (0..40).filter(|n| n % 3 != 0 && n % 4 != 0).map(|n| n.to_string()).collect();
    assert_eq!(ids(&place, "kept.jsonl"), good);
    place.run(&[&command[..], &["--top", "5"]].concat());
    assert_eq!(ids(&place, "kept.jsonl"), good[good.len() - 5..]);
    assert_eq!(report(&place)["rejected"], json!({"outscored": good.len() - 5, "template_leak": 6}));
}

#[test]
fn memory_does_not_grow_with_answers_that_are_built_alike() {
    let place = Place::new();
    // Each is compressed to see whether it is a loop.
    let answer = |row: usize| {
        (0..12).fold(String::new(), |text, line| {
            let word = |salt: usize| (row * 31 + line * 7 + salt) * 2_654_435_761 % 1_000_003;
            text + &format!("Then, the property called {:x} has the value {:x} in the store.\n", word(1), word(2))
        })
    };
    let peak = |rows: usize| {
        let rows: Vec<Value> =
            (0..rows).map(|number| row("r", &[(&format!("What of {number}?"), &answer(number))])).collect();
        place.write("in.jsonl", jsonl(&rows));
        place.complete(&["filter", "in.jsonl", "-o", "kept.jsonl", "--report", "report.json"]);
        assert_eq!(report(&place)["kept"], rows.len());
        report(&place)["memory_peak_bytes"].as_u64().unwrap()
    };
    let (few, many) = (peak(100), peak(2_000));
    assert!(many < few + (10 << 20), "{few} bytes for 100 rows, {many} for 2,000");
}

#[test]
fn options_that_would_change_nothing_are_refused() {
    let place = Place::new();
    place.write("in.jsonl", jsonl(&[conversation("a", 1)]));
    for command in ["convert", "filter"] {
        let finished = place.run(&[command, "in.jsonl", "-o", "out.jsonl", "--greeting", "drop"]);
        assert_eq!(finished.code, Some(2), "{command}: {}", finished.stderr);
    }
}

/// Rows with an answer that is flagged, one that is rejected, and good ones.
fn mixed() -> Vec<Value> {
    let babble = "I will say it once more. ".repeat(40);
    vec![
        row("good", &[("Where is the harbor?", "In the north.")]),
        row("late", &[("Where is the harbor?", "In the north."), ("And the mill?", &babble)]),
        row(
            "declined",
            &[("Where is it?", "I'm sorry, but I can't help with that."), ("Who knows?", "Ask +49 30 1234567 89.")],
        ),
    ]
}

fn findings(place: &Place, name: &str) -> Vec<String> {
    let said =
        |row: &Value| ["id", "turn", "rule", "action"].map(|name| row[name].to_string().replace('"', "")).join(" ");
    place.rows(name).iter().map(said).collect()
}

#[test]
fn what_is_flagged_is_marked_in_the_row_and_everything_is_listed() {
    let place = Place::new();
    place.write("in.jsonl", jsonl(&mixed()));
    let finished = place.complete(&["filter", "in.jsonl", "-o", "kept.jsonl", "--report", "report.json"]);
    let found = ["late 2 loop_token reject", "declined 1 refusal flag", "declined 2 pii flag"];
    assert_eq!(findings(&place, "kept.jsonl.findings.jsonl"), found);
    assert!(finished.stderr.contains("found in kept.jsonl.findings.jsonl"), "{}", finished.stderr);
    let kept = place.rows("kept.jsonl");
    assert_eq!(kept[0]["meta"].get("quality"), None);
    assert_eq!(kept[1]["meta"]["quality"], json!([{"turn": 1, "flags": ["refusal"]}, {"turn": 2, "flags": ["pii"]}]));
    let report = report(&place);
    assert_eq!(report["findings"], "kept.jsonl.findings.jsonl");
    let languages = &report["quality"]["languages"];
    let of =
        |name: &str| languages.as_object().unwrap().values().map(|count| count[name].as_u64().unwrap()).sum::<u64>();
    assert_eq!((of("answers"), of("rejected"), report["quality"]["answers"].as_u64()), (5, 1, Some(5)));
    let loops = &report["quality"]["values"]["loop_token"];
    assert_eq!(
        (&loops["threshold"], &loops["counts"][0], &loops["counts"][9 + 11]),
        (&json!(0.2), &json!(4), &json!(1))
    );

    // A cut row keeps the marks before the cut, a laxer gate removes marks, and a list without rows goes.
    place.complete(&["filter", "in.jsonl", "-o", "kept.jsonl", "--on-reject", "cut"]);
    assert_eq!(ids(&place, "kept.jsonl"), ["good", "late", "declined"]);
    place.complete(&["filter", "kept.jsonl", "-o", "again.jsonl", "--rules", "refusal=off,pii=off"]);
    assert!(place.rows("again.jsonl").iter().all(|row| row["meta"].get("quality").is_none()));
    assert!(!place.path("again.jsonl.findings.jsonl").exists());
    place.complete(&["filter", "kept.jsonl", "-o", "again.jsonl", "--gate", "off"]);
    assert_eq!(place.rows("again.jsonl")[2]["meta"]["quality"], kept[1]["meta"]["quality"], "nobody judged");
}

#[test]
fn an_annotated_row_has_every_value_and_place_and_none_is_rejected() {
    let place = Place::new();
    place.write("in.jsonl", jsonl(&mixed()));
    let command = ["filter", "in.jsonl", "-o", "all.jsonl", "--annotate"];
    place.complete(&[&command[..], &["--report", "report.json"]].concat());
    assert_eq!(ids(&place, "all.jsonl"), ["good", "late", "declined"]);
    let rows = place.rows("all.jsonl");
    let entry = |row: usize, turn: usize| rows[row]["meta"]["quality"][turn - 1].clone();
    let looped = entry(1, 2);
    assert_eq!(looped["rejects"], json!(["loop_token", "dup_10gram", "loop_char"]), "also after the first");
    assert!(
        looped["values"]["loop_char"].as_f64().unwrap() > 6.0 && looped["values"]["loop_token"].as_f64().unwrap() > 0.9
    );
    let answer = rows[1]["messages"][3]["content"].as_str().unwrap();
    let bounds: Vec<[usize; 2]> = serde_json::from_value(looped["places"]["loop_token"].clone()).unwrap();
    assert_eq!(bounds.len(), 1, "places are joined");
    assert!(answer[bounds[0][0]..bounds[0][1]].starts_with("I will say it once more."));
    let declined = entry(2, 1);
    assert_eq!((&declined["flags"], &declined["rejects"]), (&json!(["refusal"]), &json!([])));
    assert_eq!(declined["places"]["refusal"], json!([[0, 38]]));
    assert_eq!(entry(2, 2)["places"]["pii"], json!([[4, 21]]));
    assert_eq!(entry(0, 1)["values"]["loop_token"], 0.0);
    let found = ["late 2 loop_token reject", "late 2 dup_10gram reject", "late 2 loop_char reject"];
    assert_eq!(findings(&place, "all.jsonl.findings.jsonl")[..3], found);
    let counted = &report(&place)["quality"];
    assert_eq!(
        (&counted["rules"]["loop_char"]["hits"], &counted["rules"]["loop_char"]["rejected"]),
        (&json!(1), &json!(0))
    );
    assert_eq!(counted["values"]["loop_char"]["counts"].as_array().unwrap().len(), 21);

    for (more, words) in [
        (["--gate", "off"], "no rules to ask"),
        (["--min-turns", "2"], "cannot be used with"),
        (["--on-reject", "cut"], "cannot be used with"),
    ] {
        let finished = place.run(&[&command[..], &more].concat());
        assert_eq!(finished.code, Some(2));
        assert!(finished.stderr.contains(words), "{}", finished.stderr);
    }
}

#[test]
fn a_report_as_a_page_shows_how_values_are_spread() {
    let place = Place::new();
    place.write("in.jsonl", jsonl(&mixed()));
    place.complete(&["filter", "in.jsonl", "-o", "kept.jsonl", "--report", "report.html"]);
    let page = place.read("report.html");
    for words in ["Findings of the rules", "By language of the answer", "Values of loop_token", "stroke-dasharray"] {
        assert!(page.contains(words), "{words}");
    }
}

#[test]
fn a_gated_run_lists_what_its_rules_found_in_answers_and_attempts() {
    let place = Place::new();
    // Where a question has one word to speak of, the simulated teacher says the same sentences again.
    let rows: Vec<Value> = (0..30)
        .map(|number| row(&format!("r{number}"), &[(&format!("{number} xy harbor?"), "-"), ("Why?", "-")]))
        .collect();
    place.write("in.jsonl", jsonl(&rows));
    let command = ["distill", "in.jsonl", "--teacher", "simulated", "-o", "out.jsonl", "--gate", "standard"];
    let command = [&command[..], &["--rules", "loop_char=flag@1.5"]].concat();
    let finished = place.run(&command);
    let listed = findings(&place, "out.jsonl.findings.jsonl");
    assert!(finished.stderr.contains("all of them: out.jsonl.findings.jsonl"), "{}", finished.stderr);
    for action in ["flag", "reject"] {
        assert!(listed.iter().any(|line| line.ends_with(action)), "{listed:?}");
    }
    for row in place.rows("out.jsonl") {
        for (turn, fact) in row["meta"]["turns"].as_array().unwrap().iter().enumerate() {
            for (name, action) in [("flags", "flag"), ("rejected", "reject")] {
                for rule in fact[name].as_array().into_iter().flatten() {
                    let line =
                        format!("{} {} {} {action}", row["id"].as_str().unwrap(), turn + 1, rule.as_str().unwrap());
                    assert!(listed.contains(&line), "{line}");
                }
            }
        }
    }
    let before = place.read("out.jsonl.findings.jsonl");
    place.run(&command);
    assert_eq!(place.read("out.jsonl.findings.jsonl"), before);
    place.run(&["export", "-o", "exported.jsonl"]);
    assert_eq!(place.read("exported.jsonl.findings.jsonl"), before);
}
