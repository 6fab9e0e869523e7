//! What the tests share: an input, a server whose answers are a function of the question, and the output and the store
//! that an undisturbed run makes of them.

use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::questions::{Asked, Before, Departure, departures};
use super::recorder::{Recorder, read_log};
use super::server::Server;
use super::{Findings, KEY, words};
use crate::support::{Finished, Place, conversation, finish, jsonl};

const CONVERSATIONS: usize = 8;
const TURNS: usize = 4;
const CONCURRENCY: usize = 8;
/// A call is in flight until its answer is on disk, so a few more than the slots may have something to lose.
const IN_FLIGHT: usize = CONCURRENCY + 4;
/// Long enough that what is written at once often spans blocks.
const ANSWER_LETTERS: usize = 4_000;

pub struct Lab {
    pub place: Place,
    pub recorder: Recorder,
    pub server: Server,
    /// What the output must be.
    pub output: Vec<u8>,
}

impl Lab {
    /// Makes an undisturbed run in the directory `finished`, with the store `.cohobate`. `None` without a recorder.
    pub fn new() -> Option<Self> {
        let place = Place::new();
        let recorder = Recorder::build(&place)?;
        let server = Server::of_words(Duration::from_millis(3), ANSWER_LETTERS);
        let rows: Vec<_> = (0..CONVERSATIONS).map(|row| conversation(&format!("kites {row}"), TURNS)).collect();
        place.write("in.jsonl", jsonl(&rows));
        let mut lab = Self { place, recorder, server, output: Vec::new() };
        let directory = lab.place.path("finished");
        fs::create_dir(&directory).unwrap();
        lab.complete(&directory, &lab.distill(&[]));
        lab.output = fs::read(directory.join("out.jsonl")).unwrap();
        Some(lab)
    }

    /// `distill` into `out.jsonl`, with these words at the end.
    pub fn distill(&self, more: &[&str]) -> Vec<String> {
        let (input, model, concurrency) = (self.input(), self.server.model(), CONCURRENCY.to_string());
        let line = ["distill", &input, "--teacher", &model, "-o", "out.jsonl", "--concurrency", &concurrency];
        [words(&line), words(&["--stream", "false"]), words(more)].concat()
    }

    /// The same file for all, so that what a store remembers of it is used.
    pub fn input(&self) -> String {
        self.place.path("in.jsonl").display().to_string()
    }

    /// The program, ready to run in a directory, with the key in its environment.
    pub fn command(&self, directory: &Path, arguments: &[String]) -> Command {
        let mut command = self.place.command(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
        command.current_dir(directory).env("COHOBATE_API_KEY", KEY);
        command
    }

    /// Runs a command without waiting for the disk.
    pub fn run(&self, directory: &Path, arguments: &[String]) -> Finished {
        self.recorder.run_fast(&mut self.command(directory, arguments))
    }

    /// Runs what must succeed.
    pub fn complete(&self, directory: &Path, arguments: &[String]) {
        let finished = self.run(directory, arguments);
        assert_eq!(finished.code, Some(0), "{arguments:?}\n{}", finished.stderr);
    }

    /// Resumes a run that ended somehow, and compares what it asks with what the run had asked before.
    pub fn resume(&self, root: &Path, line: &[String], before: &Before) -> Findings {
        let mut found = Findings { acknowledged: before.acknowledged.len(), ..Findings::default() };
        let there = fs::read(root.join("out.jsonl")).ok();
        found.wrong_if(before.has_said_done && there.is_none(), || "the output of a finished run is gone".to_owned());
        found.wrong_if(there.is_some_and(|there| there != self.output), || "a part of an output is there".to_owned());
        self.finish_run(root, line, &mut found, |asked, found| {
            let again = |questions: &HashSet<Asked>| {
                asked.iter().filter(|departure| questions.contains(&departure.asked())).count()
            };
            let (lost, repeated) = (again(&before.acknowledged), again(&before.asked));
            let acknowledged = before.acknowledged.len();
            found.lost(lost, || format!("{lost} of {acknowledged} acknowledged answers asked again"));
            let too_many = if lost > 0 { 0 } else { repeated.saturating_sub(IN_FLIGHT) };
            found.lost(too_many, || format!("{repeated} answers asked again, which is more than were in flight"));
        });
        found
    }

    /// Runs a line to its end, hands over what it asked, and checks output and store.
    pub fn finish_run(
        &self,
        root: &Path,
        line: &[String],
        found: &mut Findings,
        check: impl FnOnce(&[Departure], &mut Findings),
    ) {
        let log = root.with_extension("log");
        let finished = finish(self.recorder.record_fast(&mut self.command(root, line), &log));
        check(&departures(&read_log(&log)), found);
        let _ = fs::remove_file(&log);
        found.wrong_if(finished.code != Some(0), || format!("exit code {:?}: {}", finished.code, finished.stderr));
        found.wrong_if(fs::read(root.join("out.jsonl")).ok().as_ref() != Some(&self.output), || {
            format!("the output differs: {}", finished.stderr)
        });
        let mut verify = words(&["verify"]);
        verify.extend(line.iter().skip_while(|word| *word != "--store").cloned());
        let verified = self.run(root, &verify);
        let is_sound = verified.code == Some(0) && verified.stdout.contains("the store is sound");
        found.wrong_if(!is_sound, || format!("verify: {}{}", verified.stdout, verified.stderr));
        found.look_for_key(root);
    }
}
