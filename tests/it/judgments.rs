//! Published figures, recomputed from the published judgments.

use std::path::{Path, PathBuf};

use serde_json::Value;

use cohobate::conversation::{Scope, TurnIndex, Vote, Winner};
use cohobate::dataset::read_vote;
use cohobate::report::AgreementReport;
use cohobate::statistics::{mean, pass_hat_k};

use crate::support::shared_data;

fn judgments() -> Option<PathBuf> {
    shared_data("judgments")
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn votes(path: &Path) -> Vec<Vote> {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().filter_map(|line| read_vote(line.as_bytes(), "judge").unwrap()).collect()
}

/// The command's report over the MT-Bench votes, and what is known of them.
fn mt_bench() -> Option<(Value, Value)> {
    let directory = judgments()?.join("mtbench_human");
    let (judge, human) = (votes(&directory.join("gpt4_pair.jsonl")), votes(&directory.join("human.jsonl")));
    let report = serde_json::to_value(AgreementReport::of(&judge, &human)).unwrap();
    Some((report, json(&directory.join("expected.json"))))
}

#[track_caller]
fn near(found: &Value, expected: &Value, tolerance: f64, what: &str) {
    let (found, expected) = (found.as_f64().unwrap(), expected.as_f64().unwrap());
    assert!((found - expected).abs() <= tolerance, "{what}: {found} is not {expected}");
}

#[test]
fn the_mt_bench_papers_table_5() {
    let Some((report, expected)) = mt_bench() else { return };
    let group = |name: &str| match name {
        "gpt4" => "gpt4_pair",
        "human" => "expert",
        _ => "author",
    };
    let mut compared = 0;
    for turn in [1, 2] {
        for (names, shares) in expected["table5"][format!("turn{turn}")].as_object().unwrap() {
            let (first, second) = names.split_once('-').unwrap();
            let (first, second) = (group(first), group(second));
            let rows = report["agreement"].as_array().unwrap();
            let row = rows.iter().find(|row| row["turn"] == turn && row["first"] == first && row["second"] == second);
            let row = row.unwrap_or_else(|| panic!("{names} in turn {turn}"));
            for (ours, theirs) in [("with_ties", "S1"), ("without_ties", "S2")] {
                assert_eq!(row[ours]["agree"], shares[theirs]["agree"], "{names} {theirs}");
                assert_eq!(row[ours]["total"], shares[theirs]["total"], "{names} {theirs}");
                near(&row[ours]["share"], &shares[theirs]["ratio"], 1e-6, names);
                compared += 1;
            }
        }
    }
    assert_eq!(compared, 16);
}

#[test]
fn kappa_alpha_and_position() {
    let Some((report, expected)) = mt_bench() else { return };
    let (majority, kappa) = (&report["majority"], &expected["kappa_majority_vs_gpt4"]);
    assert_eq!((&majority["items"], &majority["decided_items"]), (&kappa["n"], &kappa["n_nontie"]));
    near(&majority["agreement"], &kappa["raw"], 1e-6, "agreement");
    near(&majority["kappa"], &kappa["kappa"], 1e-6, "kappa");
    near(&majority["decided_agreement"], &kappa["raw_nontie"], 1e-6, "agreement without ties");
    near(&majority["decided_kappa"], &kappa["kappa_nontie"], 1e-6, "kappa without ties");
    let alpha = &expected["krippendorff_alpha_nominal_humans"];
    assert_eq!(report["human_alpha"]["units"], alpha["units"]);
    near(&report["human_alpha"]["alpha"], &alpha["alpha"], 1e-6, "alpha");
    assert_eq!(report["judge"]["inconsistent"], expected["gpt4_position_inconsistent"]["inconsistent"]);
    assert_eq!(report["judge"]["votes"], expected["gpt4_position_inconsistent"]["n"]);
}

#[test]
fn wins_and_bradley_terry() {
    let Some((report, expected)) = mt_bench() else { return };
    let sides = [("judge", "gpt4_pair"), ("human", "human_all")];
    for (ours, theirs) in sides {
        for (name, known) in expected["wins"][theirs].as_object().unwrap() {
            let systems = report[ours]["systems"].as_array().unwrap();
            let system = systems.iter().find(|system| system["name"] == name.as_str()).unwrap();
            for (count, of) in [("wins", "win"), ("losses", "loss"), ("ties", "tie")] {
                assert_eq!(system[count], known[of], "{name}");
            }
            near(&system["win_rate"], &known["win_rate"], 1e-6, name);
            near(&system["win_rate_adjusted"], &known["win_rate_adjusted"], 1e-6, name);
            let strength = &expected["bradley_terry_ties_half"][theirs][name];
            near(&system["strength"], &strength["theta"], 1e-3, name);
            near(&system["elo"], &strength["elo_mean1000"], 0.2, name);
        }
    }
    // The same of experts alone.
    let directory = judgments().unwrap().join("mtbench_human");
    let experts: Vec<Vote> =
        votes(&directory.join("human.jsonl")).into_iter().filter(|vote| vote.judge.starts_with("expert")).collect();
    let systems = cohobate::report::Ballot::of(&experts).systems();
    for system in systems {
        let known = &expected["wins"]["human_expert"][&system.name];
        assert_eq!((known["win"].as_u64(), known["tie"].as_u64()), (Some(system.wins), Some(system.ties)));
    }
}

/// Returns a report on a pair, seen from `a`: its own order is that of the names.
fn pair<'a>(pairs: &'a Value, a: &str, b: &str) -> (&'a Value, bool) {
    let turned = a > b;
    let (first, second) = if turned { (b, a) } else { (a, b) };
    let found = pairs.as_array().unwrap().iter().find(|pair| pair["a"] == first && pair["b"] == second);
    (found.unwrap_or_else(|| panic!("{a} against {b}")), turned)
}

#[test]
fn sign_tests_wilson_and_clustered_errors() {
    let Some((report, expected)) = mt_bench() else { return };
    for (ours, theirs) in [("judge", "gpt4_pair"), ("human", "human_all")] {
        for known in expected["ab_examples"][theirs].as_array().unwrap() {
            let (a, b) = (known["A"].as_str().unwrap(), known["B"].as_str().unwrap());
            let (found, turned) = pair(&report[ours]["pairs"], a, b);
            let flipped = |value: f64| if turned { 1.0 - value } else { value };
            let (wins, losses) = if turned { ("losses", "wins") } else { ("wins", "losses") };
            assert_eq!(
                (&found["votes"], &found[wins], &found[losses]),
                (&known["n"], &known["w"], &known["l"]),
                "{a} {b}"
            );
            assert_eq!(found["conversations"]["count"], known["clusters"]);
            near(&flipped(found["score"].as_f64().unwrap()).into(), &known["win_rate_adj"], 1e-6, "score");
            near(&found["votes_sign_test_p"], &known["sign_test_p"], 1e-6, "p");
            near(&found["error_independent"], &known["se_iid"], 1e-6, "independent error");
            near(&found["error_clustered"], &known["se_cluster_question"], 1e-6, "clustered error");
            let interval = &found["decided_interval"];
            let (low, high) = (interval["low"].as_f64().unwrap(), interval["high"].as_f64().unwrap());
            let ends = if turned { [1.0 - high, 1.0 - low] } else { [low, high] };
            for (end, known) in ends.into_iter().zip(known["wilson95_decisive"].as_array().unwrap()) {
                near(&end.into(), known, 1e-6, "Wilson");
            }
        }
        for known in expected["ab_examples_per_conversation_sign_test"][theirs].as_array().unwrap() {
            let (found, turned) = pair(&report[ours]["pairs"], known[0].as_str().unwrap(), known[1].as_str().unwrap());
            let found = &found["conversations"];
            let (wins, losses) = if turned { ("losses", "wins") } else { ("wins", "losses") };
            assert_eq!((&found["count"], &found[wins], &found[losses]), (&known[2], &known[5], &known[6]));
            let score = found["score"].as_f64().unwrap();
            near(&(if turned { 1.0 - score } else { score }).into(), &known[3], 5e-5, "mean");
            near(&found["deviation"], &known[4], 5e-4, "deviation");
            near(&found["sign_test_p"], &known[7], 1e-6, "p");
        }
    }
}

#[test]
fn the_judges_bias_against_people() {
    let Some((report, expected)) = mt_bench() else { return };
    for known in expected["judge_vs_human_matched"]["rows"].as_array().unwrap() {
        let (found, turned) = pair(&report["pairs"], known[0].as_str().unwrap(), known[1].as_str().unwrap());
        let flipped = |name: &str| {
            let value = found[name].as_f64().unwrap();
            Value::from(if turned { 1.0 - value } else { value })
        };
        assert_eq!(found["conversations"], known[2]);
        near(&flipped("human"), &known[3], 5e-5, "people");
        near(&found["human_p"], &known[4], 1e-6, "people's p");
        near(&flipped("judge"), &known[5], 5e-5, "judge");
        near(&found["judge_p"], &known[6], 1e-6, "judge's p");
        let bias = found["bias"].as_f64().unwrap();
        near(&(if turned { -bias } else { bias }).into(), &known[7], 5e-5, "bias");
        near(&found["bias_error"], &known[8], 5e-5, "bias's error");
    }
}

#[test]
fn wild_bench_scores_of_seven_models() {
    let Some(directory) = judgments().map(|directory| directory.join("wildbench")) else { return };
    let published = json(&directory.join("published_score.json"));
    for (model, known) in published.as_object().unwrap() {
        let text = std::fs::read_to_string(directory.join(format!("{model}.jsonl"))).unwrap();
        let scores: Vec<f64> = text
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap()["score"].as_str().unwrap().parse().unwrap())
            .collect();
        let score = mean(&scores).unwrap();
        assert_eq!(scores.len() as u64, known["total"].as_u64().unwrap(), "{model}");
        assert_eq!(Value::from(score), known["score"], "{model}");
        assert_eq!(Value::from(cohobate::report::adjusted_score(score)), known["adjusted_score"], "{model}");
    }
    assert_eq!(published.as_object().unwrap().len(), 7);
}

#[test]
fn pass_hat_k_of_tau_bench() {
    let Some(expected) = judgments().map(|directory| json(&directory.join("tau_passk/expected.json"))) else { return };
    // The only counts of passed trials of 50 tasks with four trials each that have these four figures.
    let tasks: Vec<(u64, u64)> = [(4, 10), (3, 4), (2, 10), (1, 12), (0, 14)]
        .iter()
        .flat_map(|(passed, tasks)| std::iter::repeat_n((*passed, 4), *tasks))
        .collect();
    for (k, known) in expected["computed"].as_object().unwrap() {
        near(&pass_hat_k(&tasks, k.parse().unwrap()).into(), known, 1e-6, k);
    }
}

#[test]
fn an_inconsistent_verdict_counts_as_a_tie_and_is_told_apart() {
    let vote = |winner| Vote {
        item: "1".to_owned(),
        scope: Scope::Turn(TurnIndex::FIRST),
        first: "x".to_owned(),
        second: "y".to_owned(),
        winner,
        judge: "j".to_owned(),
    };
    let report = AgreementReport::of(&[vote(Winner::Inconsistent)], &[vote(Winner::Tie)]);
    assert_eq!((report.judge.inconsistent, report.majority.agreement), (1, Some(1.0)));
    assert!((report.pairs[0].bias).abs() < 1e-12);
}
