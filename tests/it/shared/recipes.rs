//! Every recipe over a shared store: a worker dies at the operations of its database, before and after each was carried out, and
//! the next start in its directory ends where an uninterrupted one ends.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use cohobate::conversation::{Answer, ConversationKey, Fingerprint, Outcome, Seed};
use cohobate::model::{Model, PaceLimits};
use cohobate::recipe::{Recipe, Replay, ReplayEnd};
use cohobate::store::{ConversationState, Entry, Reader, Status};
use cohobate::worker::{self, Admit, Ended, Event, Observer, Served, StopStage, Work, WorkerError};
use tokio::sync::watch;

use super::keeper::SharedKeeper;
use super::link::{Link, Plan};
use crate::crash_at_every_commit::{Noting, answered, recipes, with_calls_for};
use crate::support::{SeedList, seed};

/// Calls in flight at most: what a death costs.
const CONCURRENCY: usize = 3;

struct Trial {
    recipe: Arc<dyn Recipe>,
    seeds: Vec<Seed>,
    keeper: SharedKeeper,
    model: Arc<Noting>,
    sent: AtomicU64,
}

/// Counts calls as they are sent: a server may never hear of one.
struct Sent<'a>(&'a AtomicU64);

impl Observer for Sent<'_> {
    fn on_event(&mut self, event: &Event) {
        self.0.fetch_add(u64::from(matches!(event, Event::Sent)), Ordering::SeqCst);
    }
}

/// What each conversation came to, all its answers, and the states.
type End = (Vec<(Outcome, Vec<Arc<Answer>>)>, BTreeMap<ConversationKey, ConversationState>);

impl Trial {
    fn new(recipe: &Arc<dyn Recipe>, seeds: &[Seed]) -> Self {
        let (keeper, model) = (SharedKeeper::new(), Arc::default());
        Self { recipe: Arc::clone(recipe), seeds: seeds.to_vec(), keeper, model, sent: AtomicU64::new(0) }
    }

    /// Runs until the end, or until the worker dies.
    fn run(&self, dies_at: Option<(u64, bool)>) -> (Result<Ended, String>, Arc<Link>) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        self.keeper.run(Plan { dies_at, ..Plan::default() }, |store, ledger| {
            let models = ["simulated", "simulated-other"]
                .map(|name| (name.to_owned(), Served::by_one(name, Arc::clone(&self.model) as Arc<dyn Model>)));
            let seeds = Arc::new(SeedList(self.seeds.clone()));
            let rows = Box::new((0..self.seeds.len() as u64).map(|row| Ok(Admit::Row(row))));
            let work = Work {
                pace: PaceLimits { concurrency: Some(CONCURRENCY), ..PaceLimits::default() },
                ledger,
                ..Work::new(Arc::clone(&self.recipe), store, models.into(), seeds, rows)
            };
            let (_keep, stop) = watch::channel(StopStage::Go);
            runtime.block_on(worker::run(work, stop, &mut Sent(&self.sent)))
        })
    }

    fn end(&self) -> End {
        let entries = self.keeper.entries();
        let answers = entries.iter().filter_map(|entry| match entry {
            Entry::Answered { fingerprint, answer, .. } => Some((*fingerprint, Arc::clone(answer))),
            _ => None,
        });
        let answers: BTreeMap<Fingerprint, Arc<Answer>> = answers.collect();
        let mut reached: BTreeSet<Fingerprint> = BTreeSet::new();
        let outcome = |seed: &Seed| {
            let mut replay = Replay::new(&*self.recipe, seed);
            let progress = replay.advance(|fingerprint, _| -> Result<_, WorkerError> {
                reached.insert(*fingerprint);
                Ok(answers.get(fingerprint).cloned())
            });
            match progress.unwrap() {
                ReplayEnd::Done(outcome) => (outcome, replay.answered().iter().cloned().collect()),
                ReplayEnd::Open(open) => panic!("{} questions are open", open.len()),
            }
        };
        let outcomes = self.seeds.iter().map(outcome).collect();
        let orphans = answers.keys().filter(|fingerprint| !reached.contains(*fingerprint)).count();
        assert_eq!(orphans, 0, "answers whose history is in no store");
        let mut states = BTreeMap::new();
        self.keeper.reader().for_each_state(&mut |key, state| drop(states.insert(key, state))).unwrap();
        (outcomes, states)
    }

    /// Asserts that the end is that of a run that nobody has harmed, and what it has cost.
    fn check(&self, expected: &End, place: &str) -> usize {
        assert!(self.end() == *expected, "{place}: it ends elsewhere");
        let is_over = |state: &ConversationState| matches!(state.status, Status::Complete | Status::Stopped { .. });
        assert!(expected.1.values().all(is_over), "{place}");
        let asked = self.model.0.lock().unwrap().clone();
        let distinct = asked.iter().collect::<BTreeSet<_>>().len();
        assert!(asked.len() <= distinct + CONCURRENCY, "{place}: {} calls for {distinct} questions", asked.len());
        let spending = self.keeper.reader().spending().unwrap();
        let booked: u64 = spending.values().map(|spent| spent.calls + spent.unknown_calls).sum();
        let (paid, sent) = (asked.len() as u64, self.sent.load(Ordering::SeqCst));
        // Each start asks once whether the server gives tokens, and one of these calls may be booked twice: at a death, what is
        // booked in the journal may still be in flight on record.
        let token_trials = if place.starts_with("distill, token ids") { 3 } else { 0 };
        assert!(paid <= booked && booked <= sent + token_trials, "{place}: {booked} booked, {paid} paid, {sent} sent");
        asked.len()
    }
}

#[test]
fn every_recipe_survives_a_death_at_every_operation_of_its_database() {
    let words = |list: &[&str]| list.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let (mut trials, mut deaths, mut calls) = (0u64, 0u64, 0usize);
    for (name, recipe) in recipes() {
        let seeds = [words(&["a", "b"]), words(&["a", "你好"])];
        let seeds = seeds.iter().map(|words| with_calls_for(name, answered(seed("x", words))));
        let seeds: Vec<Seed> = seeds.take(if name.starts_with("compare") { 1 } else { 2 }).collect();
        let whole = Trial::new(&recipe, &seeds);
        let (ended, link) = whole.run(None);
        assert_eq!(ended, Ok(Ended::Finished), "{name}");
        let (operations, expected) = (link.operations.load(Ordering::SeqCst), whole.end());
        for (operation, is_after) in (0..operations).flat_map(|operation| [(operation, false), (operation, true)]) {
            let trial = Trial::new(&recipe, &seeds);
            // Commits may be sent in larger groups than before, so a late death may not come any more.
            let has_died = trial.run(Some((operation, is_after))).1.is_dead();
            let (kept, asked_before) = (trial.keeper.kept(), trial.model.0.lock().unwrap().len());
            let (ended, _) = trial.run(None);
            let place = format!("{name}, operation {operation} of {operations}, after it {is_after}, died {has_died}");
            assert_eq!(ended, Ok(Ended::Finished), "{place}");
            let asked_after = trial.model.0.lock().unwrap()[asked_before..].to_vec();
            let again = asked_after.iter().filter(|asked| kept.contains(*asked)).count();
            assert_eq!(again, 0, "{place}: what was kept is paid again");
            calls += trial.check(&expected, &place);
            (trials, deaths) = (trials + 1, deaths + u64::from(has_died));
        }
    }
    assert!(deaths > trials / 2, "{deaths} deaths in {trials} trials");
    println!("{trials} trials, {deaths} deaths, {calls} calls");
}
