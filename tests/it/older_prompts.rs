//! A conversation is finished under the prompts under which it was begun: better prompts do not buy answers again.

use serde_json::Value;

use crate::support::{Finished, Place};

/// Nobody answers there: a call would end the run.
const DEAD: [&str; 3] = ["--stream=false", "--give-up-after=1s", "--judge=m@http://127.0.0.1:1/v1"];
const M: &str = "m@http://127.0.0.1:1/v1";
const N: &str = "n@http://127.0.0.1:1/v1";

/// A place with the rows and the store of runs under version 1 of the prompts. Their models gave verdicts, grades, cards and
/// messages of which later versions read other ones: broken JSON, quotes that are not there, the prompt's own placeholders.
fn frozen() -> Place {
    let place = Place::new();
    let fixture = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/store-prompted");
    std::fs::create_dir_all(place.path(".cohobate/journal")).unwrap();
    let journal = "journal/00000001.journal";
    std::fs::copy(fixture.join(journal), place.path(".cohobate").join(journal)).unwrap();
    for file in ["rows.jsonl", "criteria.txt"] {
        std::fs::copy(fixture.join(file), place.path(file)).unwrap();
    }
    place
}

fn fixture(file: &str) -> String {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/store-prompted").join(file);
    std::fs::read_to_string(path).unwrap()
}

/// What a command writes, and the fixture that holds it.
type Written = (&'static str, &'static str);

/// Each command as it was run, with what it writes.
fn commands() -> [(Vec<&'static str>, Vec<Written>); 6] {
    [
        (vec!["compare", "--a", M, "--b", N, "-o", "compared"], vec![("compared/verdicts.jsonl", "verdicts.jsonl")]),
        (vec!["evaluate", "--per=both", "-o", "scores.jsonl"], vec![("scores.jsonl", "scores.jsonl")]),
        (
            vec!["evaluate", "--mode=check", "--criteria=criteria.txt", "-o", "checks.jsonl"],
            vec![("checks.jsonl", "checks.jsonl")],
        ),
        (
            vec!["simulate", "--teacher", M, "--user", N, "--turns=4", "-o", "simulated.jsonl"],
            vec![("simulated.jsonl", "simulated.jsonl")],
        ),
        (
            vec!["tutor", "--student", N, "--teacher", M, "-o", "tutored"],
            vec![("tutored/turns.csv", "turns.csv"), ("tutored/sft.jsonl", "sft.jsonl")],
        ),
        (vec!["distill", "--teacher", N, "--samples=2", "-o", "best.jsonl"], vec![("best.jsonl", "best.jsonl")]),
    ]
}

fn run(place: &Place, command: &[&str], more: &[&str]) -> Finished {
    let judged = &DEAD[..if command[0] == "simulate" { 2 } else { 3 }];
    place.run(&[&command[..1], &["rows.jsonl"], &command[1..], judged, more].concat())
}

#[test]
fn a_store_of_the_first_prompts_is_resumed_without_a_call_and_exported_as_it_was() {
    let place = frozen();
    for (command, written) in commands() {
        let finished = run(&place, &command, &["--progress=plain"]);
        assert_eq!(finished.code, Some(0), "{command:?}: {}", finished.stderr);
        let text = &finished.stderr;
        assert!(
            text.contains(" 0 new") || text.contains(" 0 answers") || text.contains("0 verdicts new"),
            "{command:?}: {text}"
        );
        assert!(text.contains("3 conversations continue under version 1"), "{command:?}: {text}");
        assert!(text.contains("--rules-version 2 would ask"), "{command:?}: {text}");
        for (output, expected) in written {
            assert_eq!(place.read(output), fixture(expected), "{output}");
        }
    }
}

#[test]
fn a_plan_says_what_the_newest_prompts_would_ask_and_a_version_can_be_named() {
    let place = frozen();
    for (command, _) in commands() {
        let plan = |more: &[&str]| -> Value {
            let finished = run(&place, &command, &[&["--dry-run", "--progress=json"], more].concat());
            serde_json::from_str(&finished.stdout).unwrap_or_else(|error| panic!("{error}: {}", finished.stderr))
        };
        let unnamed = plan(&[]);
        assert_eq!(unnamed["calls"], 0, "{command:?}: {unnamed}");
        let rules = unnamed["rules"].as_str().unwrap_or_else(|| panic!("{command:?}: {unnamed}"));
        assert!(rules.starts_with("3 conversations continue under version 1"), "{rules}");
        let first = plan(&["--rules-version=1"]);
        assert_eq!((&first["calls"], &first["rules"]), (&0.into(), &Value::Null), "{command:?}: {first}");
        let second = plan(&["--rules-version=2"]);
        assert!(second["calls"].as_u64().unwrap() > 0, "{command:?}: {second}");
        assert_eq!(second["rules"], Value::Null, "{command:?}");
    }
}

#[test]
fn new_conversations_of_an_old_store_begin_under_the_newest_prompts_and_the_report_says_so() {
    let place = frozen();
    let mut rows = place.read("rows.jsonl");
    rows.push_str(
        &rows.replace("kite", "boat").replace("bread", "cake").replace("tides", "winds").replace("moon", "sun"),
    );
    place.write("rows.jsonl", rows);
    let judge = crate::support::MockServer::start(&[]);
    let judge = judge.model().replace("sim@", "m@");
    let line = ["evaluate", "rows.jsonl", "--per=both", "-o", "scores.jsonl", "--stream=false", "--judge", &judge];
    place.complete(&[&line[..], &["--no-controls"]].concat());
    let report: Value = serde_json::from_str(&place.read("scores.report.json")).unwrap();
    let caution = report["cautions"][0].as_str().unwrap_or_else(|| panic!("{report}"));
    assert!(caution.starts_with("3 of 6 conversations were begun under version 1 of the prompts"), "{caution}");
    let old: Vec<String> = fixture("scores.jsonl").lines().map(str::to_owned).collect();
    assert_eq!(place.read("scores.jsonl").lines().take(3).collect::<Vec<_>>(), old);
}
