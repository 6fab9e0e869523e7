//! Small traps: what a person meets on the first evening.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::Command;

use cohobate::conversation::{ConversationStop, Spoken};
use cohobate::quality::{Boilerplate, RULES};
use cohobate::store::DiskStore;
use serde_json::Value;

use crate::support::{Finished, MockServer, Place, conversation, finish, jsonl, rows, source_files};

/// The command lines of every command that reads rows; the first name is the input, the last the output.
const READERS: [&[&str]; 10] = [
    &["distill", "in.jsonl", "--teacher", "simulated", "-o", "out.jsonl"],
    &["plan", "in.jsonl", "--teacher", "simulated"],
    &["export", "in.jsonl", "--teacher", "simulated", "-o", "out.jsonl"],
    &["convert", "in.jsonl", "-o", "out.jsonl"],
    &["filter", "in.jsonl", "-o", "out.jsonl"],
    &["inspect", "in.jsonl"],
    &["evaluate", "in.jsonl", "--judge", "simulated", "-o", "out.jsonl"],
    &["compare", "in.jsonl", "--a", "simulated", "--b", "simulated-b", "--judge", "simulated", "-o", "out"],
    &["simulate", "in.jsonl", "--turns", "2", "--user", "simulated", "--teacher", "simulated", "-o", "out.jsonl"],
    &["tutor", "in.jsonl", "--student", "simulated-s", "--teacher", "simulated", "--judge", "simulated", "-o", "out"],
];

#[test]
fn a_reader_that_closes_a_stream_ends_every_command_quietly() {
    let place = Place::with_conversations(400, 2);
    place.complete(&["distill", "in.jsonl", "--teacher", "simulated", "-o", "out.jsonl", "-q"]);
    let binary = env!("CARGO_BIN_EXE_cohobate");
    let through = |line: &str| {
        let script = format!("set -o pipefail; {binary} {line}");
        finish(Command::new("bash").args(["-c", &script]).current_dir(place.path("")))
    };
    for line in [
        "inspect in.jsonl | true",
        "inspect in.jsonl --json | head -n 1",
        "plan in.jsonl --teacher simulated | true",
        "status --json | true",
        "verify | true",
        "convert in.jsonl -o - --to sharegpt | head -n 1",
        "filter out.jsonl -o - -q | head -n 1",
        "export in.jsonl --teacher simulated -o - -q | head -n 1",
        "evaluate out.jsonl --judge simulated -o - -q | head -n 1",
        "simulate in.jsonl --turns 2 --user simulated --teacher simulated -o - -q | head -n 1",
        "init --list | true",
        "completions bash | head -n 1",
        "man | head -n 1",
        "distill --help | true",
    ] {
        let finished = through(line);
        // On a busy machine a pass takes long enough to be shown.
        let said: Vec<&str> = finished.stderr.lines().filter(|line| !line.contains("going over the rows")).collect();
        assert_eq!((finished.code, said), (Some(0), Vec::new()), "{line}");
    }
    // Lines for people: whoever reads them may leave, and the work is done all the same.
    for mode in ["plain", "json", "auto"] {
        let line =
            format!("distill in.jsonl --teacher simulated --store s-{mode} -o {mode}.jsonl -v --progress {mode}");
        let finished = through(&format!("{line} 2>&1 >/dev/null | true"));
        assert_eq!((finished.code, finished.stderr.as_str()), (Some(0), ""), "{mode}");
        assert_eq!(place.rows(&format!("{mode}.jsonl")).len(), 400);
    }
    let refused = through("distill missing.jsonl --teacher simulated 2>&1 | true");
    assert_eq!(refused.code, Some(2), "an error stays one where nobody reads it");
}

#[test]
fn no_usable_row_is_an_error_of_every_command() {
    for (text, said) in [
        ("", ["no row", "0 rows", "nothing to"]),
        ("{\"a\": 1}\n{\"b\": 2}\n", ["no row of", "2 rows can", "nothing to"]),
        ("{\"messages\": [{\"role\": \"assistant\", \"content\": \"x\"}]}\n", ["no row of", "1 row can", "nothing to"]),
    ] {
        for line in READERS {
            let place = Place::new();
            place.write("in.jsonl", text);
            if line[0] == "export" {
                place.write("other.jsonl", jsonl(&[conversation("kites", 1)]));
                place.complete(&["distill", "other.jsonl", "--teacher", "simulated", "-o", "other-out.jsonl"]);
            }
            let finished = place.run(line);
            // Rows without a question are answers all the same.
            if finished.code == Some(0) && ["convert", "filter"].contains(&line[0]) && text.contains("assistant") {
                continue;
            }
            assert_eq!(finished.code, Some(2), "{line:?} {text:?}: {}", finished.stderr);
            let error = finished.stderr.lines().find(|line| line.starts_with("error: ")).unwrap_or_default();
            assert!(said.iter().any(|said| error.contains(said)), "{line:?}: {error}");
            assert!(finished.stderr.contains("hint: "), "{line:?}: {}", finished.stderr);
            assert!(!place.exists("out.jsonl"), "{line:?} wrote an output");
        }
    }
}

fn with_configuration(text: &str, more: &[&str]) -> Finished {
    let place = Place::with_conversations(1, 1);
    place.write("c.toml", text);
    place.run(&[&["distill", "in.jsonl", "--teacher", "simulated", "--config", "c.toml", "-q"], more].concat())
}

#[test]
fn a_mistake_in_the_configuration_names_line_key_and_the_closest_key() {
    for (text, line, named, hint) in [
        ("seed = 1\n\ntemprature = 1\n", 3, "`temprature`", "`temperature`"),
        ("max_tokens = 3\n", 1, "`max_tokens`", "`max-tokens`"),
        ("# models\n[model.q]\nurl = \"http://x\"\n", 2, "`model`", "`models`"),
        ("[models.q]\nurl = \"http://x\"\nkeyenv = \"A\"\n", 3, "`keyenv`", "`key-env`"),
        ("[models.q]\nprice = { input = 1, ouput = 2 }\n", 2, "`ouput`", "`output`"),
        ("zzzzzz = 1\n", 1, "`zzzzzz`", "write one of store, run, outbox, progress"),
        ("seed = 1\ntemperature = \"warm\"\n", 2, "`temperature`", "correct that line"),
        ("[models.q]\n\nurl = 3\n", 3, "`url`", "correct that line"),
        ("seed = 1\ngate = \"strikt\"\n", 2, "`gate`", "the closest is `strict`"),
        ("seed = 1\nseed = 2\n", 2, "`seed`", "correct that line"),
        ("\ntemperature = \n", 2, "`temperature`", "correct that line"),
        ("seed = 1\ntemperature = 99\n", 2, "`temperature`", "from 0 to 10"),
        ("seed = 1\nrpm = 0\n", 2, "`rpm`", "at least 1"),
        ("seed = 1\ntime-limit = \"8\"\n", 2, "`time-limit`", "8h"),
        ("seed = 1\nuntil = \"late\"\n", 2, "`until`", "06:30"),
        ("seed = 1\nto = \"opanai\"\n", 2, "`to`", "write one of"),
        ("seed = 1\nformat = \"opanai\"\n", 2, "`format`", "write one of"),
        ("seed = 1\nencoding = \"klingon\"\n", 2, "`encoding`", "such as"),
        ("gate = \"standard\"\nrules = \"nonsense=reject\"\n", 2, "`rules`", ""),
        ("seed = 1\nconfig = \"other.toml\"\n", 2, "`config`", "--config"),
    ] {
        let finished = with_configuration(text, &[]);
        let shown = &finished.stderr;
        assert_eq!(finished.code, Some(2), "{text:?}: {shown}");
        assert!(shown.contains(&format!("c.toml, line {line}: ")), "{text:?}: {shown}");
        assert!(shown.lines().next().unwrap().contains(named) && shown.contains(hint), "{text:?}: {shown}");
        assert!(shown.lines().all(|line| line.chars().count() < 1_000), "{shown}");
    }
    let on_the_line = with_configuration("temperature = 1\n", &["--temperature", "99"]);
    assert!(on_the_line.stderr.contains("--temperature cannot be 99"), "{}", on_the_line.stderr);
}

#[test]
fn a_profile_that_is_printed_can_be_pasted() {
    for name in ["Qwen/Qwen3-32B", "with space", "quote\"and\\back", "한국어", "dots.and.more"] {
        let place = Place::with_conversations(1, 1);
        let refused = place.run(&["distill", "in.jsonl", "--teacher", name]);
        assert_eq!(refused.code, Some(2));
        let start = refused.stderr.find("[models.").unwrap();
        let table = refused.stderr[start..].split_once(" table").unwrap().0;
        let text = format!("{table}\nname = \"m\"\n");
        place.write("cohobate.toml", &text);
        let unaddressed = place.run(&["distill", "in.jsonl", "--teacher", name]);
        assert!(unaddressed.stderr.contains("has no url"), "{name}: {}", unaddressed.stderr);
        // What is to be added is a whole table.
        let added = unaddressed.stderr.split_once(":\n").unwrap().1;
        place.write("cohobate.toml", added);
        let planned = place.run(&["plan", "in.jsonl", "--teacher", name]);
        assert_eq!(planned.code, Some(0), "{added}: {}", planned.stderr);
    }
    let place = Place::with_conversations(1, 1);
    let line =
        ["distill", "in.jsonl", "--teacher", "m x@http://127.0.0.1:9/v1", "--max-cost", "1", "--max-tokens", "9"];
    let unpriced = place.run(&line);
    let price = unpriced.stderr.split_once("tokens:\n").unwrap().1;
    place.write("cohobate.toml", price);
    let planned = place.run(&[&["plan"], &line[1..]].concat());
    assert!(planned.code == Some(0) && planned.stdout.contains("about $"), "{price}: {planned:?}");
}

#[test]
fn a_time_without_a_unit_and_limits_of_nothing_are_refused() {
    for (option, value, said) in [
        ("--time-limit", "8", "8h, 8m or 8s"),
        ("--give-up-after", "30", "30h, 30m or 30s"),
        ("--time-limit", "0s", "no time at all"),
        ("--give-up-after", "0m", "no time at all"),
        ("--rpm", "0", "at least 1"),
        ("--tpm", "0", "at least 1"),
        ("--max-requests", "0", "at least 1"),
        ("--max-output-tokens", "0", "at least 1"),
        ("--max-cost", "0", "above 0"),
        ("--max-cost", "nan", "above 0"),
        ("--max-cost", "inf", "above 0"),
        ("--max-tokens", "0", "at least 1"),
        ("--min-turns", "0", "at least 1"),
        ("--limit", "0", "at least 1"),
        ("--samples", "0", "1 to 63"),
    ] {
        let refused = with_configuration("", &[option, value]);
        assert_eq!(refused.code, Some(2), "{option} {value}: {}", refused.stderr);
        assert!(refused.stderr.contains(said) && refused.stderr.contains(option), "{option}: {}", refused.stderr);
    }
    let top = Place::with_conversations(1, 1).run(&["filter", "in.jsonl", "-o", "o.jsonl", "--top", "0"]);
    assert_eq!(top.code, Some(2), "{}", top.stderr);
    let endless = with_configuration("", &["--time-limit", "5000000000000000h"]);
    assert_eq!(endless.code, Some(0), "{}", endless.stderr);
}

#[test]
fn attempts_are_the_calls_of_a_question_failed_ones_included() {
    let place = Place::with_conversations(20, 2);
    let server = MockServer::start(&["--fault", "500:0.3", "--model", "sim"]);
    let model = server.model();
    let report = ["--report", "report.json", "-q"];
    let line = [&["distill", "in.jsonl", "--teacher", &model, "-o", "out.jsonl"], &report[..]].concat();
    place.complete(&line);
    let turns: Vec<Value> =
        place.rows("out.jsonl").iter().flat_map(|row| row["meta"]["turns"].as_array().unwrap().clone()).collect();
    let attempts: u64 = turns.iter().map(|turn| turn["attempts"].as_u64().unwrap()).sum();
    assert!(turns.iter().any(|turn| turn["attempts"].as_u64() > Some(1)));
    assert_eq!(attempts, server.count("requests"));
    let summary: Value = serde_json::from_str(&place.read("report.json")).unwrap();
    let failed: u64 = summary["failures"].as_object().unwrap().values().map(|count| count.as_u64().unwrap()).sum();
    assert_eq!(attempts, summary["answered"].as_u64().unwrap() + failed, "as in the summary");
}

#[test]
fn every_flag_that_the_program_sets_is_documented() {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/gate.md")).unwrap();
    let own = [
        Boilerplate::FLAG,
        ConversationStop::ORPHAN_REFERENCE,
        ConversationStop::ORPHAN_REFERENCE_WEAK,
        Spoken::USER_REWRITTEN,
    ];
    let flags = RULES.iter().map(|rule| rule.name()).chain(own);
    // A flag that is written out somewhere is one that this list does not know.
    for (file, text) in source_files() {
        let is_written_out = |call: &str| text.contains(&format!("{call}(\""));
        assert!(!is_written_out("Hit::flag") && !is_written_out("flags.push"), "{file:?}");
    }
    for flag in flags {
        assert!(page.contains(&format!("`{flag}`")), "docs/gate.md says nothing of `{flag}`");
    }
}

#[test]
fn paths_need_not_be_utf_8() {
    let place = Place::new();
    let root = place.path("");
    let path = |bytes: &[u8]| root.join(OsStr::from_bytes(bytes));
    let data = path(b"data\xff");
    fs::create_dir(&data).unwrap();
    let text = jsonl(&[conversation("kites", 2), conversation("boats", 1)]);
    fs::write(data.join(OsStr::from_bytes(b"in\xfe.jsonl")), &text).unwrap();
    let run = |arguments: &[&[u8]]| {
        let mut command = place.command(&[]);
        finish(command.args(arguments.iter().map(|argument| OsStr::from_bytes(argument))))
    };
    let inputs: [&[u8]; 4] = [b"data\xff/in\xfe.jsonl", b"data\xff", b"data\xff/*.jsonl", b"dat*/**/*.jsonl"];
    for (number, input) in inputs.into_iter().enumerate() {
        let output = [b"out\xfd", number.to_string().as_bytes(), b".jsonl"].concat();
        let line: [&[u8]; 8] =
            [b"distill", input, b"--teacher", b"simulated", b"--store", b"store\xfc", b"-o", &output];
        let finished = run(&line);
        assert_eq!(finished.code, Some(0), "{input:?}: {}", finished.stderr);
        assert!(number == 0 || finished.stderr.contains("reused     3 of 3 turns"), "{}", finished.stderr);
        assert!(finished.stderr.contains("out\u{fffd}"), "a name is shown as far as it can be: {}", finished.stderr);
        assert_eq!(rows(&fs::read_to_string(path(&output)).unwrap()).len(), 2, "{input:?}");
    }
    assert!(path(b"store\xfc").join("journal").is_dir());
    let input: &[u8] = inputs[0];
    for line in [
        [b"status".as_slice(), b"--store", b"store\xfc"].as_slice(),
        &[b"verify", b"--store", b"store\xfc", input, b"--teacher", b"simulated", b"-o", b"out\xfd0.jsonl"],
        &[b"export", input, b"--teacher", b"simulated", b"--store", b"store\xfc", b"-o", b"e\xff.jsonl.gz"],
        &[b"plan", input, b"--teacher", b"simulated", b"--store", b"store\xfc"],
        &[b"inspect", input],
        &[b"convert", input, b"-o", b"new\xff/c.jsonl"],
        &[
            b"filter",
            input,
            b"-o",
            b"f\xff.jsonl",
            b"--report",
            b"f\xff.html",
            b"--rejected",
            b"r\xff.jsonl",
            b"--gate",
            b"off",
        ],
        &[b"compare", b"--answers", b"out\xfd0.jsonl", input, b"--judge", b"simulated", b"-o", b"cmp\xff"],
        &[b"evaluate", b"out\xfd0.jsonl", b"--judge", b"simulated", b"-o", b"sc\xff.jsonl", b"--references", input],
    ] {
        let finished = run(line);
        assert_eq!(finished.code, Some(0), "{}: {}", String::from_utf8_lossy(line[0]), finished.stderr);
    }
    for written in
        [b"new\xff/c.jsonl".as_slice(), b"f\xff.html", b"cmp\xff/report.html", b"sc\xff.report.html", b"e\xff.jsonl.gz"]
    {
        assert!(path(written).is_file(), "{}", String::from_utf8_lossy(written));
    }
    let onto_itself = run(&[b"convert", input, b"-o", input]);
    assert!(onto_itself.code == Some(2) && onto_itself.stderr.contains("is the input"), "{}", onto_itself.stderr);
    let system: &[u8] = b"@sys\xff.txt";
    fs::write(path(&system[1..]), "Be brief.").unwrap();
    let prompted = run(&[b"distill", input, b"--teacher", b"simulated", b"-o", b"s.jsonl", b"--system", system]);
    assert_eq!(prompted.code, Some(0), "{}", prompted.stderr);
    assert!(place.read("s.jsonl").contains("Be brief."));
    let text = run(&[b"distill", input, b"--teacher", b"simulated", b"-o", b"s.jsonl", b"--system", b"Be\xff"]);
    assert!(text.code == Some(2) && text.stderr.contains("not UTF-8"), "{}", text.stderr);
}

#[test]
fn a_directory_that_is_missing_is_created_and_one_that_cannot_be_is_named_before_the_first_call() {
    let server = MockServer::start(&["--model", "sim"]);
    let model = server.model();
    let place = Place::with_conversations(2, 1);
    place.write("file", "");
    for (number, line) in [
        &["distill", "in.jsonl", "--teacher", &model, "-o", "AT/x/out.jsonl"][..],
        &[
            "distill",
            "in.jsonl",
            "--teacher",
            &model,
            "-o",
            "out.jsonl",
            "--report",
            "AT/x/r.html",
            "--gate",
            "standard",
        ],
        &["distill", "in.jsonl", "--teacher", &model, "-o", "AT/x/"],
        &["export", "in.jsonl", "--teacher", &model, "-o", "AT/x/out.jsonl"],
        &["convert", "in.jsonl", "-o", "AT/x/out.jsonl"],
        &["filter", "in.jsonl", "-o", "out.jsonl", "--report", "AT/x/r.json", "--gate", "off"],
        &["filter", "in.jsonl", "-o", "out.jsonl", "--rejected", "AT/x/r.jsonl", "--gate", "off"],
        &["evaluate", "in.jsonl", "--judge", &model, "-o", "AT/x/scores.jsonl"],
        &["simulate", "in.jsonl", "--turns", "1", "--user", "simulated", "--teacher", &model, "-o", "AT/x/s.jsonl"],
        &["compare", "in.jsonl", "--a", &model, "--b", "simulated", "--judge", "simulated", "-o", "AT/x"],
        &["tutor", "in.jsonl", "--student", "simulated", "--teacher", &model, "-o", "AT/x"],
    ]
    .into_iter()
    .enumerate()
    {
        let at = |directory: &str| line.iter().map(|word| word.replace("AT", directory)).collect::<Vec<_>>();
        let before = server.count("requests");
        let blocked = at("file");
        let fresh = format!("fresh{number}");
        let blocked = [blocked, vec!["--store".to_owned(), fresh]].concat();
        let has_store = !["convert", "filter"].contains(&line[0]);
        let shown: Vec<&str> =
            blocked[..blocked.len() - if has_store { 0 } else { 2 }].iter().map(String::as_str).collect();
        if line[0] != "export" {
            let refused = place.run(&shown);
            assert_eq!(refused.code, Some(4), "{line:?}: {}", refused.stderr);
            assert!(refused.stderr.contains("file/x"), "{line:?}: {}", refused.stderr);
            assert!(!refused.stderr.contains("answers are"), "{line:?}: {}", refused.stderr);
            assert_eq!(server.count("requests"), before, "{line:?} asked before it looked");
        }
        let made = at(&format!("made{number}"));
        let finished = place.run(&made.iter().map(String::as_str).collect::<Vec<_>>());
        assert!(matches!(finished.code, Some(0 | 3)), "{line:?}: {}", finished.stderr);
        assert!(place.exists(&format!("made{number}/x")), "{line:?}");
    }
}

#[test]
fn a_store_that_is_in_use_is_75_for_every_command_that_writes_and_stops_no_other() {
    let place = Place::with_conversations(2, 1);
    place.complete(&["distill", "in.jsonl", "--teacher", "simulated", "-o", "out.jsonl", "-q"]);
    let (_held, _) = DiskStore::open(&place.path(".cohobate"), &mut |_, _| {}).unwrap();
    let expect = |line: &[&str], code: i32| {
        let finished = place.run(line);
        assert_eq!(finished.code, Some(code), "{line:?}: {}", finished.stderr);
        assert!(code == 0 || finished.stderr.contains("in use by process"), "{line:?}: {}", finished.stderr);
    };
    for line in READERS {
        let writes = ["distill", "evaluate", "compare", "simulate", "tutor"].contains(&line[0]);
        expect(line, if writes { 75 } else { 0 });
        if writes {
            expect(&[line, &["--accept-loss"]].concat(), 75);
        }
    }
    expect(&["status"], 0);
    expect(&["verify"], 0);
    expect(&["verify", "--repair"], 75);
    expect(&["verify", "--accept-loss"], 75);
}

#[test]
fn a_server_that_never_answered_and_refuses_everything_is_2_and_what_may_pass_is_75() {
    let refusing = |mock: &[&str], address: &dyn Fn(&MockServer) -> String, more: &[&str]| {
        let (place, server) = (Place::with_conversations(5, 2), MockServer::start(mock));
        let model = address(&server);
        let finished = place.run(&[&["distill", "in.jsonl", "--teacher", &model, "-o", "out.jsonl"], more].concat());
        assert!(!place.exists("out.jsonl"), "{}", finished.stderr);
        finished
    };
    let own = |server: &MockServer| server.model();
    let elsewhere = |server: &MockServer| format!("sim@http://{}/nowhere/v1", server.address);
    let other = |server: &MockServer| format!("another@http://{}/v1", server.address);
    for (what, finished) in [
        ("key", refusing(&["--fault", "401:1"], &own, &[])),
        ("address", refusing(&[], &elsewhere, &[])),
        ("model name", refusing(&["--model", "sim"], &other, &[])),
    ] {
        assert_eq!(finished.code, Some(2), "{what}: {}", finished.stderr);
        assert!(finished.stderr.contains("refuses every request"), "{what}: {}", finished.stderr);
    }
    for (what, finished) in [
        ("credit", refusing(&["--fault", "quota:1"], &own, &[])),
        ("limit", refusing(&["--fault", "429:1"], &own, &["--time-limit", "3s"])),
        ("outage", refusing(&["--fault", "503:1"], &own, &["--give-up-after", "1s", "--time-limit", "20s"])),
    ] {
        assert_eq!(finished.code, Some(75), "{what}: {}", finished.stderr);
    }
}
