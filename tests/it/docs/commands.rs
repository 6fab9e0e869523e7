//! The commands of README and docs run, and print what is shown.

use std::os::unix::fs::symlink;
use std::process::Command;

use super::page::{Page, pages, root};
use crate::support::{MockServer, Place, finish};

/// Servers that pages name; each `gpu2` is another than the rest.
const ADDRESSES: [&str; 6] =
    ["localhost:8000", "localhost:8001", "localhost:11434", "api.openai.com", "gpu1:8000", "gpu2:8000"];

/// Something that runs right now, or that the program was built with.
const SKIPPED: [&str; 2] = ["cargo test", "cargo install"];

/// A folder in which a page's commands run.
struct Desk {
    place: Place,
    servers: [MockServer; 2],
    path: String,
}

impl Desk {
    fn for_page(page: &Page) -> Self {
        let place = Place::new();
        for name in ["fixtures", "Cargo.toml"] {
            symlink(root().join(name), place.path(name)).unwrap();
        }
        std::fs::copy(root().join("fixtures/conversations.jsonl"), place.path("mine.jsonl")).unwrap();
        let path = install(&place);
        let desk = Self { place, servers: [(); 2].map(|()| MockServer::start(&[])), path };
        for block in page.blocks() {
            if let Some(name) = &block.file {
                desk.place.write(name, desk.with_servers(&block.text));
            }
        }
        desk
    }

    /// Puts the mock servers in the place of those that a text names.
    fn with_servers(&self, text: &str) -> String {
        ADDRESSES.iter().fold(text.to_owned(), |text, address| {
            let server = &self.servers[usize::from(*address == "gpu2:8000")].address;
            text.replace(&format!("https://{address}"), &format!("http://{server}")).replace(address, server)
        })
    }

    fn shell(&self, script: &str) -> Command {
        let mut shell = Command::new("bash");
        shell.args(["-c", &self.with_servers(script)]).current_dir(self.place.path("")).env("PATH", &self.path);
        shell.env_remove("COHOBATE_API_KEY").env("OPENAI_API_KEY", "sk-test").env("NO_PROXY", "127.0.0.1");
        shell.env("XDG_STATE_HOME", self.place.path("state"));
        shell
    }
}

/// Puts the program into a folder `bin`, as `cargo install` does, and returns a `PATH` with it.
pub fn install(place: &Place) -> String {
    let bin = place.path("bin");
    std::fs::create_dir(&bin).unwrap();
    symlink(env!("CARGO_BIN_EXE_cohobate"), bin.join("cohobate")).unwrap();
    format!("{}:{}", bin.display(), std::env::var("PATH").unwrap())
}

#[test]
fn every_command_runs_and_prints_what_the_page_shows() {
    let (mut faults, mut run_count) = (Vec::new(), 0);
    for page in pages() {
        let desk = Desk::for_page(&page);
        let mut printed = String::new();
        for block in page.blocks() {
            match block.kind.as_str() {
                "sh" => {
                    for command in commands(&block.text) {
                        run_count += 1;
                        let finished = finish(&mut desk.shell(&command));
                        printed = finished.stdout + &finished.stderr;
                        let expected = expected_code(&command);
                        if finished.code != Some(expected) {
                            let code = finished.code;
                            faults.push(format!("{}: {command}\nended with {code:?}\n{printed}", page.name));
                        }
                    }
                }
                "output" => faults.extend(
                    missing_line(&block.text, &printed)
                        .map(|line| format!("{}: not printed: {line}\nbut:\n{printed}", page.name)),
                ),
                _ => {}
            }
        }
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n\n"));
    assert!(run_count >= 30, "only {run_count} commands were found");
}

/// Returns the commands of a block, continued lines joined.
fn commands(block: &str) -> Vec<String> {
    let text = block.replace("\\\n", " ");
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.filter(|line| !SKIPPED.iter().any(|skipped| line.starts_with(skipped))).map(str::to_owned).collect()
}

fn expected_code(command: &str) -> i32 {
    command.split_once("# exit code ").map_or(0, |(_, code)| code.trim().parse().expect("`# exit code N`"))
}

/// Returns the first line of a block that is not among the printed ones, in their order.
fn missing_line(shown: &str, printed: &str) -> Option<String> {
    let mut printed = printed.lines().map(without_durations);
    shown.lines().map(without_durations).find(|line| match line.strip_suffix('…') {
        Some(beginning) => !printed.any(|other| other.starts_with(beginning.trim_end())),
        None => !printed.any(|other| other == *line),
    })
}

/// Puts `TIME` in the place of durations such as `0.4 s` and `3 min 20 s`.
fn without_durations(line: &str) -> String {
    let words: Vec<&str> = line.trim_end().split(' ').collect();
    let is_number = |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let is_unit = |word: &str| ["s", "ms", "min", "h"].contains(&word.trim_end_matches([',', '.', ';', ')']));
    let (mut kept, mut at) = (Vec::new(), 0);
    while at < words.len() {
        if is_number(words[at]) && words.get(at + 1).is_some_and(|next| is_unit(next)) {
            kept.push("TIME");
            at += 2;
        } else {
            kept.push(words[at]);
            at += 1;
        }
    }
    kept.join(" ")
}
