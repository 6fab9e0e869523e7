//! Every command in the README works as it stands there.

use std::path::Path;
use std::process::Command;

use crate::support::{MockServer, Place};

fn readme() -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap()
}

/// The lines of all `sh` blocks, continued lines joined.
fn commands() -> Vec<String> {
    let text = readme().replace("\\\n", " ");
    let blocks = text.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap().to_owned());
    let lines = blocks.flat_map(|block| block.lines().map(|line| line.trim().to_owned()).collect::<Vec<_>>());
    lines.filter(|line| !line.is_empty() && !line.starts_with('#')).collect()
}

#[test]
fn every_command_of_the_readme_runs() {
    let place = Place::new();
    let server = MockServer::start(&[]);
    for name in ["fixtures", "Cargo.toml", "benches"] {
        let target = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
        std::os::unix::fs::symlink(target, place.path(name)).unwrap();
    }
    std::fs::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/conversations.jsonl"), place.path("mine.jsonl"))
        .unwrap();
    // The program stands where `cargo install` puts it.
    let bin = place.path("bin");
    std::fs::create_dir(&bin).unwrap();
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_cohobate"), bin.join("cohobate")).unwrap();
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let mut run_count = 0;
    for command in commands() {
        // This is what runs right now, and what the demo's program was built with.
        if command.starts_with("cargo test") || command.starts_with("cargo install") {
            continue;
        }
        let command = command.replace("cargo run --release --", "cohobate");
        let addresses = ["localhost:8000", "localhost:8001", "localhost:11434", "api.openai.com"];
        let command = addresses.iter().fold(command, |command, address| {
            command
                .replace(&format!("https://{address}"), &format!("http://{}", server.address))
                .replace(address, &server.address)
        });
        let mut shell = Command::new("bash");
        shell.args(["-c", &command]).current_dir(place.path("")).env("PATH", &path).env("OPENAI_API_KEY", "sk-test");
        let finished = crate::support::finish(&mut shell);
        assert_eq!(finished.code, Some(0), "{command}\n{}{}", finished.stdout, finished.stderr);
        run_count += 1;
    }
    assert!(run_count >= 6, "only {run_count} commands were found");
}

#[test]
fn the_readme_names_every_command_and_exit_code() {
    let text = readme();
    for word in ["distill", "plan", "export", "status", "mock", "`0`", "`1`", "`2`", "`3`", "`4`", "`75`", "`130`"] {
        assert!(text.contains(word), "{word}");
    }
}
