//! The progress bar on a terminal: at most two lines that fit its width, also when that changes.

use std::collections::BTreeSet;

use crate::support::{Finished, MockServer, Place, finish};

/// A terminal as wide as it is told, which understands what the program sends.
struct Terminal {
    columns: usize,
    rows: Vec<Vec<char>>,
    at: (usize, usize),
    /// A line was longer than the terminal is wide.
    has_wrapped: bool,
}

impl Terminal {
    fn new(columns: usize) -> Self {
        Self { columns, rows: vec![Vec::new()], at: (0, 0), has_wrapped: false }
    }

    /// Takes what the program wrote, and passes the screen to `see` before each time that something is erased.
    fn take(&mut self, text: &str, see: &mut dyn FnMut(&[String])) {
        let mut letters = text.chars();
        while let Some(letter) = letters.next() {
            match letter {
                '\r' => self.at.1 = 0,
                '\n' => self.at = (self.at.0 + 1, 0),
                '\u{1b}' => {
                    assert_eq!(letters.next(), Some('['));
                    let mut count = String::new();
                    let verb = loop {
                        match letters.next().unwrap() {
                            digit if digit.is_ascii_digit() => count.push(digit),
                            verb => break verb,
                        }
                    };
                    match verb {
                        'A' => {
                            see(&self.screen());
                            self.at.0 -= count.parse::<usize>().unwrap();
                        }
                        'J' => {
                            self.rows.truncate(self.at.0 + 1);
                            self.rows[self.at.0].truncate(self.at.1);
                        }
                        other => panic!("the program sends {other}"),
                    }
                }
                letter => {
                    if self.at.1 == self.columns {
                        self.has_wrapped = true;
                        self.at = (self.at.0 + 1, 0);
                    }
                    self.rows.resize(self.rows.len().max(self.at.0 + 1), Vec::new());
                    let row = &mut self.rows[self.at.0];
                    row.resize(row.len().max(self.at.1 + 1), ' ');
                    row[self.at.1] = letter;
                    self.at.1 += 1;
                }
            }
            self.rows.resize(self.rows.len().max(self.at.0 + 1), Vec::new());
        }
        see(&self.screen());
    }

    fn screen(&self) -> Vec<String> {
        self.rows.iter().map(|row| row.iter().collect()).collect()
    }
}

/// Runs the program on a terminal of `columns`; what it wrote.
fn on_terminal(place: &Place, columns: usize, arguments: &[&str]) -> Finished {
    let binary = env!("CARGO_BIN_EXE_cohobate");
    let line = format!("stty cols {columns} rows 24 && exec {binary} {}", arguments.join(" "));
    let mut command = std::process::Command::new("script");
    finish(command.args(["-qec", &line, "/dev/null"]).current_dir(place.path("")).stdin(std::process::Stdio::null()))
}

#[test]
fn the_bar_fits_the_terminal_and_leaves_nothing_behind() {
    let server = MockServer::start(&["--latency", "150", "--fault", "500:0.1"]);
    let model = server.model();
    for columns in [60, 80, 120] {
        let place = Place::with_conversations(12, 4);
        let arguments = ["distill", "in.jsonl", "--teacher", &model, "-o", "out.jsonl", "--concurrency", "4"];
        let finished = on_terminal(&place, columns, &arguments);
        assert_eq!(finished.code, Some(0), "{finished:?}");
        let (mut terminal, mut bars) = (Terminal::new(columns), BTreeSet::new());
        let mut headers = 0;
        terminal.take(&finished.stdout.replace("\r\n", "\n"), &mut |screen| {
            let drawn: Vec<&String> =
                screen.iter().filter(|row| row.contains(" calls") && row.contains("/s")).collect();
            assert!(drawn.len() <= 1, "{columns}: a bar was left behind: {screen:#?}");
            headers += usize::from(screen.iter().any(|row| row.starts_with("teacher ")));
            bars.extend(drawn.into_iter().cloned());
        });
        println!("{columns} columns: {bars:#?}");
        assert!(bars.len() > 2 && headers > 2, "{columns}: {:#?}", terminal.screen());
        assert!(bars.iter().all(|bar| bar.chars().count() < columns), "{bars:#?}");
        let screen = terminal.screen();
        let is_bar = |row: &String| row.contains("ETA") || row.contains("tok/s") || row.contains("tokens/s");
        assert!(!screen.iter().any(is_bar), "{screen:#?}");
        assert!(screen.iter().any(|row| row.starts_with("done: 12 conversations, 48 turns")), "{screen:#?}");
        let lines: Vec<&str> = ["teacher", "input", "cap", "output"]
            .into_iter()
            .filter(|name| screen.iter().any(|row| row.starts_with(name)))
            .collect();
        assert_eq!(lines, ["teacher", "input", "cap", "output"], "{screen:#?}");
        assert!(!terminal.has_wrapped || columns < 100, "{screen:#?}");
    }
}
