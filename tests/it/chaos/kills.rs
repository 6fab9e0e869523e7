//! Every recipe and every writing command, killed with SIGKILL at random moments. The output is byte for byte that of an
//! undisturbed run, and at most what was in flight is paid for again.

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use cohobate::conversation::Dice;

use super::{Findings, KEY, Table, dice, for_each_case, scaled, seed};
use crate::support::{Finished, MockServer, Place, conversation_with_calls, files_below, finish, jsonl};

const CONCURRENCY: u64 = 4;
/// Kills of one store, after which it is completed and another begun.
const KILLS_OF_A_STORE: usize = 5;

/// What is killed: a name, the arguments, and what it writes. `MODEL` is the server's model, `OUT` the output.
const LINES: [(&str, &str); 13] = [
    ("distill", "distill in.jsonl --teacher MODEL -o OUT/out.jsonl"),
    ("distill, a gate", "distill in.jsonl --teacher MODEL --gate strict -o OUT/out.jsonl"),
    ("distill, best of two", "distill in.jsonl --teacher MODEL --samples 2 --judge MODEL --seed 1 -o OUT/out.jsonl"),
    ("distill, calls", "distill tools.jsonl --teacher MODEL --tools regenerate -o OUT/out.jsonl"),
    (
        "distill, a command answers calls",
        "distill tools.jsonl --teacher MODEL --tools regenerate --tool-results sh\ttool.sh -o OUT/out.jsonl",
    ),
    ("distill, shards", "distill in.jsonl --teacher MODEL -o OUT/shards/"),
    ("compare", "compare in.jsonl --a MODEL --b simulated-b --judge MODEL --controls -o OUT/compared"),
    ("evaluate", "evaluate in.jsonl --judge MODEL -o OUT/scores.jsonl"),
    ("simulate", "simulate in.jsonl --teacher MODEL --user MODEL --turns 3 -o OUT/simulated.jsonl"),
    ("tutor", "tutor in.jsonl --student MODEL --teacher MODEL --history forced,student --seed 1 -o OUT/tutored"),
    ("filter", "filter finished.jsonl -o OUT/kept.jsonl --rejected OUT/rejected.jsonl"),
    ("export", "export in.jsonl --teacher MODEL --store finished -o OUT/out.jsonl"),
    ("export, shards", "export in.jsonl --teacher MODEL --store finished -o OUT/shards/"),
];

#[test]
fn every_recipe_killed_at_random_moments_ends_as_an_undisturbed_run() {
    let (seed, kills) = (seed(), scaled(110, 500).div_ceil(LINES.len()));
    let mut table = Table::default();
    let all = std::sync::Mutex::new(Vec::new());
    for_each_case(LINES.len(), |number| {
        let (name, line) = LINES[number];
        let found = kill_line(line, kills, &mut dice("kills of a recipe", seed, number));
        all.lock().unwrap().push((number, format!("killed: {name}"), found));
        Findings::default()
    });
    let mut all = all.into_inner().unwrap();
    all.sort_by_key(|(number, ..)| *number);
    for (_, name, found) in all {
        table.row(name, found);
    }
    table.finish();
}

/// A line with its server and what an undisturbed run of it wrote.
struct Victim<'a> {
    place: &'a Place,
    server: &'a MockServer,
    line: &'a str,
}

fn kill_line(line: &str, kills: usize, dice: &mut Dice) -> Findings {
    // Some answers are rejected by a gate, the same ones in each run.
    let faults = ["--fault", "babble:0.1", "--fault", "leak:0.05", "--fault-by", "question"];
    let server = MockServer::start(&[&["--latency", "6"], &faults[..]].concat());
    let place = Place::with_conversations(6, 3);
    place.write("tools.jsonl", jsonl(&(0..6).map(conversation_with_calls).collect::<Vec<_>>()));
    place.write("tool.sh", "read line; printf '{\"content\": \"%s letters\"}\\n' ${#line}");
    let victim = Victim { place: &place, server: &server, line };
    if line.contains("finished") {
        let model = server.model();
        let made = place.run(&["distill", "in.jsonl", "--teacher", &model, "--store=finished", "-o=finished.jsonl"]);
        assert_eq!(made.code, Some(0), "{}", made.stderr);
    }
    let begun = Instant::now();
    let calm = victim.run("calm");
    let duration = begun.elapsed();
    assert!(matches!(calm.code, Some(0 | 3)), "{line}: {}", calm.stderr);
    let mut found = Findings::default();
    for store in 0..kills {
        if found.tried >= kills {
            break;
        }
        let name = format!("killed-{store}");
        // The undisturbed run has asked everything once, the first run of this store asks it again.
        let asked = server.count("distinct") + server.count("repeated");
        let paid_before = server.count("repeated");
        let expected = if line.contains("finished") { 0 } else { server.count("distinct") };
        let moments = (0..KILLS_OF_A_STORE).map(|_| duration.mul_f64(1.1 * dice.fraction()));
        let count = moments.filter(|moment| victim.kill(&name, *moment)).count();
        let finished = victim.run(&name);
        let again = (server.count("repeated") - paid_before).saturating_sub(expected);
        let allowed = count as u64 * (CONCURRENCY + 4);
        found.lost(again.saturating_sub(allowed) as usize, || {
            format!("{line}: {again} answers paid for again after {count} kills, of {asked}")
        });
        found.wrong_if(finished.code != calm.code, || format!("{line}: {:?} {}", finished.code, finished.stderr));
        let (there, whole) = (outputs(&place.path(&name)), outputs(&place.path("calm")));
        found.wrong_if(there != whole, || format!("{line}: the output differs: {}", finished.stderr));
        found.tried += count;
    }
    found.look_for_key(&place.path(""));
    found
}

impl Victim<'_> {
    fn command(&self, name: &str) -> std::process::Command {
        let out = self.place.path(name).join("out");
        fs::create_dir_all(&out).unwrap();
        let line = self.line.replace("MODEL", &self.server.model()).replace("OUT", &format!("{name}/out"));
        let mut command = self.place.command(&line.split(' ').collect::<Vec<_>>());
        command.env("COHOBATE_API_KEY", KEY);
        if !line.contains("filter") && !line.contains("--store") {
            command.args(["--store", &format!("{name}/store")]);
        }
        if !line.contains("filter") && !line.contains("export") {
            command.args(["--concurrency", &CONCURRENCY.to_string()]);
        }
        command
    }

    fn run(&self, name: &str) -> Finished {
        finish(&mut self.command(name))
    }

    /// Returns true where the run was still running.
    fn kill(&self, name: &str, after: Duration) -> bool {
        let mut child = self.command(name).stderr(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
        std::thread::sleep(after);
        let was_running = child.try_wait().unwrap().is_none();
        let _ = child.kill();
        child.wait().unwrap();
        was_running
    }
}

/// What a run wrote, without what a killed one left half written, and without paths and times.
fn outputs(directory: &Path) -> Vec<(String, Vec<u8>)> {
    let out = directory.join("out");
    let name_of = |path: &Path| path.strip_prefix(&out).unwrap().display().to_string();
    let files = files_below(&out).into_iter().map(|path| (name_of(&path), fs::read(&path).unwrap()));
    let mut files: Vec<_> = files.filter(|(name, _)| !name.contains(".partial") && !name.contains(".old")).collect();
    files.sort();
    files
}
