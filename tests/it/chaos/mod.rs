//! Chaos: the real program under power cuts, kills, a full disk, odd replies and flipped bits. Whatever happens, no
//! acknowledged answer is lost, no cap is exceeded, no key leaks, and an output with exit code 0 is right.
//!
//! Each test prints its seed and rows of one table. `COHOBATE_CHAOS_SEED` repeats a draw; the moments of a kill still
//! depend on the machine. `COHOBATE_CHAOS_STATES` sets the number of crash states; the other
//! numbers grow with it.

mod disk;
mod lab;
mod questions;
mod recorder;
mod segments;
mod server;

mod bit_flips;
mod caps;
mod crash_states;
mod full_disk;
mod kills;
mod odd_bodies;
mod odd_replies;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use cohobate::conversation::Dice;

use crate::support::{copy_directory, files_below};

/// The key that the runs have; it must be nowhere afterwards.
pub const KEY: &str = "sk-chaos-51d0c2a77e9b4f36";

/// The seed of this run. Printed, so that a failure names it.
pub fn seed() -> u64 {
    let seed = std::env::var("COHOBATE_CHAOS_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(20_261_127);
    println!("seed {seed} (COHOBATE_CHAOS_SEED)");
    seed
}

/// How many cases to try: `usual` in continuous integration, with 200 crash states, and `full` with 500.
pub fn scaled(usual: usize, full: usize) -> usize {
    let states = std::env::var("COHOBATE_CHAOS_STATES").ok().and_then(|states| states.parse().ok()).unwrap_or(200);
    if states <= 200 { (usual * states).div_ceil(200) } else { usual + (full - usual) * (states - 200) / 300 }
}

/// Dice for one case out of many, so that each can be tried alone.
pub fn dice(purpose: &'static str, seed: u64, case: usize) -> Dice {
    Dice::new(purpose, format!("{seed} {case}").as_bytes())
}

/// What was found in one case or in many.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    pub tried: usize,
    /// Acknowledged answers that were looked for.
    pub acknowledged: usize,
    /// Acknowledged answers that were asked again, or that are gone.
    pub lost: usize,
    /// Requests or money over a cap.
    pub over_a_cap: usize,
    /// Files and texts with the key in them.
    pub leaked: usize,
    /// Outputs that are wrong although the exit code is 0, and stores that are not sound at the end.
    pub wrong: usize,
    /// What exactly, for people.
    pub notes: Vec<String>,
}

impl Findings {
    pub fn lost(&mut self, count: usize, note: impl FnOnce() -> String) {
        self.lost += count;
        self.note_if(count > 0, note);
    }

    pub fn wrong_if(&mut self, is_wrong: bool, note: impl FnOnce() -> String) {
        self.wrong += usize::from(is_wrong);
        self.note_if(is_wrong, note);
    }

    /// Looks for the key in everything below a directory.
    pub fn look_for_key(&mut self, directory: &Path) {
        for path in files_below(directory) {
            let is_there = memchr::memmem::find(&fs::read(&path).unwrap_or_default(), KEY.as_bytes()).is_some();
            self.leaked += usize::from(is_there);
            self.note_if(is_there, || format!("the key is in {}", path.display()));
        }
    }

    fn note_if(&mut self, applies: bool, note: impl FnOnce() -> String) {
        if applies {
            self.notes.push(note());
        }
    }

    pub fn is_clean(&self) -> bool {
        self.lost + self.over_a_cap + self.leaked + self.wrong == 0
    }

    pub fn add(&mut self, other: Findings) {
        self.tried += other.tried;
        self.acknowledged += other.acknowledged;
        self.lost += other.lost;
        self.over_a_cap += other.over_a_cap;
        self.leaked += other.leaked;
        self.wrong += other.wrong;
        self.notes.extend(other.notes);
    }
}

/// The table: a row for each kind.
#[derive(Default)]
pub struct Table(Vec<(String, Findings)>);

impl Table {
    pub fn row(&mut self, kind: impl Into<String>, findings: Findings) {
        self.0.push((kind.into(), findings));
    }

    /// Prints the table and fails where anything was found.
    pub fn finish(self) {
        println!("chaos | {:44} | tried | acknowledged | lost | over a cap | leaked | wrong", "kind");
        for (kind, found) in &self.0 {
            let acknowledged = if found.acknowledged > 0 { found.acknowledged.to_string() } else { "-".to_owned() };
            let Findings { tried, lost, over_a_cap, leaked, wrong, .. } = found;
            println!(
                "chaos | {kind:44} | {tried:5} | {acknowledged:>12} | {lost:4} | {over_a_cap:10} | {leaked:6} | {wrong:5}"
            );
        }
        let notes: Vec<&String> = self.0.iter().flat_map(|(_, found)| found.notes.iter().take(6)).collect();
        for note in &notes {
            println!("{note}");
        }
        assert!(self.0.iter().all(|(_, found)| found.is_clean()), "what was found is printed above");
    }
}

/// Runs cases on as many threads as there are processors, and adds up what they found.
pub fn for_each_case(count: usize, case: impl Fn(usize) -> Findings + Sync) -> Findings {
    let (next, found) = (AtomicUsize::new(0), Mutex::new(Findings::default()));
    let threads = std::thread::available_parallelism().map_or(2, usize::from).clamp(2, 8);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= count {
                        break;
                    }
                    let of_case = case(number);
                    found.lock().unwrap().add(of_case);
                }
            });
        }
    });
    found.into_inner().unwrap()
}

pub fn words(list: &[&str]) -> Vec<String> {
    list.iter().map(|word| (*word).to_owned()).collect()
}

/// Keeps a directory in which something was found, for people; returns where.
pub fn keep(directory: &Path, name: &str) -> PathBuf {
    let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join("chaos").join(name);
    let _ = fs::remove_dir_all(&kept);
    copy_directory(directory, &kept);
    kept
}
