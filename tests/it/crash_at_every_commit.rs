//! Every recipe is crashed at every commit, before and after the commit became durable, and run again. Two
//! properties hold for each: the resumed run ends where an uninterrupted one ends, and a committed question is
//! never asked again.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex};

use cohobate::conversation::{
    Answer, ConversationKey, Extras, Fingerprint, Outcome, RequestOptions, Sampling, Seed, Target, TokenDetail,
};
use cohobate::model::{Call, Model, PaceLimits, PendingCall, Simulated};
use cohobate::quality::{Gate, Strictness};
use cohobate::recipe::{
    BestOf, CallRules, Cast, Compare, ComparedHistory, Distill, Evaluate, History, Judge, JudgedHistory, JudgedScope,
    PassPurpose, Prompt, Ranker, Recipe, Replay, ReplayEnd, Scale, Simulate, System, Tutor,
};
use cohobate::store::{ConversationState, Entry, MemoryStore, Reader, Status};
use cohobate::worker::{self, Admit, Ended, Served, Silent, StopStage, Work, WorkerError};
use proptest::prelude::*;
use tokio::sync::watch;

use crate::support::{CrashingStore, SeedList, seed, target, tool_seed};

/// Every recipe there is. A new one is a line here.
pub fn recipes() -> Vec<(&'static str, Arc<dyn Recipe>)> {
    let best_of = BestOf { samples: 2, ranker: Ranker::Judge(judge(Scale::Score)), min_score: None };
    let good_enough = BestOf { min_score: Some(5.0), ..best_of.clone() };
    vec![
        ("distill", Arc::new(Distill::new(target(), None))),
        ("distill through a gate", Arc::new(Distill::new(target(), None).with_gate(gate()))),
        ("distill, efforts that are drawn", Arc::new(Distill::new(drawn(), None).with_gate(gate()))),
        ("distill, token ids", Arc::new(Distill::new(with_tokens(), None).with_gate(gate()))),
        ("distill, the best of two", Arc::new(Distill::new(target(), None).with_best_of(best_of))),
        ("distill, the best if it is good", Arc::new(Distill::new(target(), None).with_best_of(good_enough))),
        ("distill, calls to tools", Arc::new(Distill::new(target(), None).with_calls(CallRules::default()))),
        ("distill, calls that somebody answers", Arc::new(Distill::new(target(), None).with_calls(answered_calls()))),
        ("simulate", Arc::new(Simulate::new(target(), user(), 4, vec!["a cook".to_owned()], Some(gate()), None))),
        ("tutor", tutor(History::Forced, PassPurpose::Rows)),
        ("tutor, the student's history", tutor(History::Student, PassPurpose::Rows)),
        ("tutor, mixed histories", tutor(History::Mixed(0.5), PassPurpose::Rows)),
        ("tutor, scores alone", tutor(History::Forced, PassPurpose::Scores)),
        ("evaluate", Arc::new(Evaluate::new(judge(Scale::Score), JudgedScope::Both, JudgedHistory::Own, Vec::new()))),
        ("compare", Arc::new(Compare::new(systems(), judge(Scale::Pair), JudgedScope::Turns, ComparedHistory::Own))),
        (
            "compare one by one",
            Arc::new(Compare::new(systems(), judge(Scale::Pair), JudgedScope::Both, ComparedHistory::Shared)),
        ),
    ]
}

/// Calls of which another model gives the results.
fn answered_calls() -> CallRules {
    CallRules { answered_by: Some(user()), ..CallRules::default() }
}

/// The same conversation with calls to tools, where a recipe regenerates them.
pub fn with_calls_for(name: &str, seed: Seed) -> Seed {
    if !name.starts_with("distill, calls") {
        return seed;
    }
    let words: Vec<String> = seed.turns.iter().map(|turn| turn.last_user().unwrap_or_default().to_owned()).collect();
    let mut with_calls = Seed { counts_replaced: seed.counts_replaced, ..tool_seed(&seed.id, &words) };
    if name.ends_with("somebody answers") {
        with_calls.turns.retain(|turn| turn.follows.is_empty());
    }
    with_calls
}

/// A model that is asked with an effort of its own in each conversation.
fn drawn() -> Arc<Target> {
    let choices = "reasoning_effort=low:1,high:1".parse().unwrap();
    let extras = Extras::new(RequestOptions { choices, ..RequestOptions::default() }).unwrap();
    Target::with_extras("simulated", Simulated::DIALECT, Sampling::default(), extras)
}

/// A model that is asked for the tokens of each answer.
fn with_tokens() -> Arc<Target> {
    target().with_detail(Some(TokenDetail::Logprobs(2)), &[])
}

/// A model that is asked at a temperature of its own in each conversation.
fn drawn_warmth() -> Arc<Target> {
    let temperatures = "0.3:1,0.7:2,1.0:1".parse().unwrap();
    let extras = Extras::new(RequestOptions { temperatures, ..RequestOptions::default() }).unwrap();
    Target::with_extras("simulated", Simulated::DIALECT, Sampling::default(), extras)
}

/// A threshold that some of the simulated teacher's answers are beyond, so that attempts are rejected.
fn gate() -> Gate {
    Gate::new(Strictness::Standard, "loop_char=reject@1.7").unwrap()
}

fn tutor(history: History, purpose: PassPurpose) -> Arc<dyn Recipe> {
    let cast = Cast { student: user(), teacher: target(), grader: target(), judge: judge(Scale::Pair) };
    Arc::new(Tutor::new(cast, 0, history, purpose, Some(gate()), None))
}

/// A model that plays the user, or is a student.
fn user() -> Arc<Target> {
    Target::new("simulated-other", Simulated::DIALECT, Sampling::default())
}

/// A judge, two verdicts on each matter.
fn judge(scale: Scale) -> Judge {
    Judge { target: target(), prompt: Prompt::standard(scale), repeats: 2 }
}

fn systems() -> Vec<System> {
    let system = |name: &str| System {
        name: name.to_owned(),
        target: Some(Target::new(name, Simulated::DIALECT, Sampling::default())),
        system: None,
    };
    vec![system("simulated"), system("simulated-other")]
}

/// The simulated model, noting every question that it is asked.
#[derive(Default)]
pub struct Noting(pub Mutex<Vec<Fingerprint>>);

impl Model for Noting {
    fn ask<'a>(&'a self, Call { question, attempt, .. }: Call<'a>) -> PendingCall<'a> {
        self.0.lock().unwrap().push(question.fingerprint());
        Box::pin(async move {
            // Lets the order of completion differ from the order of asking.
            for _ in 0..question.fingerprint().prefix() % 4 {
                tokio::task::yield_now().await;
            }
            Ok(Simulated::answer(question, attempt)).into()
        })
    }
}

struct Trial {
    recipe: Arc<dyn Recipe>,
    seeds: Vec<Seed>,
    store: Arc<MemoryStore>,
    model: Arc<Noting>,
}

impl Trial {
    fn new(recipe: &Arc<dyn Recipe>, seeds: &[Seed]) -> Self {
        let (store, model) = (Arc::default(), Arc::default());
        Self { recipe: Arc::clone(recipe), seeds: seeds.to_vec(), store, model }
    }

    /// Runs until the end or until the store fails.
    fn run(&self, number: u32, crash_at: Option<u64>, keeps_the_last: bool) -> Result<Ended, WorkerError> {
        let store = CrashingStore::new(Arc::clone(&self.store), crash_at, keeps_the_last);
        let models = ["simulated", "simulated-other"]
            .map(|name| (name.to_owned(), Served::by_one(name, Arc::clone(&self.model) as Arc<dyn Model>)));
        let seeds = Arc::new(SeedList(self.seeds.clone()));
        let rows = Box::new((0..self.seeds.len() as u64).map(|row| Ok(Admit::Row(row))));
        let work = Work {
            run: number,
            pace: PaceLimits { concurrency: Some(3), ..PaceLimits::default() },
            ..Work::new(Arc::clone(&self.recipe), Arc::new(store), models.into(), seeds, rows)
        };
        let (_keep, stop) = watch::channel(StopStage::Go);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(worker::run(work, stop, &mut Silent))
    }

    /// What each conversation came to, and all its answers.
    fn outcomes(&self) -> Vec<(Outcome, Vec<Arc<Answer>>)> {
        let outcome = |seed| {
            let mut replay = Replay::new(&*self.recipe, seed);
            let progress = replay.advance(|fingerprint, _| {
                self.store.answer(fingerprint).map(|stored| stored.map(|stored| stored.answer))
            });
            match progress.unwrap() {
                ReplayEnd::Done(outcome) => (outcome, replay.answered().iter().cloned().collect()),
                ReplayEnd::Open(open) => panic!("{} questions are open", open.len()),
            }
        };
        self.seeds.iter().map(outcome).collect()
    }

    fn states(&self) -> BTreeMap<ConversationKey, ConversationState> {
        let mut states = BTreeMap::new();
        self.store.for_each_state(&mut |key, state| drop(states.insert(key, state))).unwrap();
        states
    }

    fn committed(&self) -> Vec<Fingerprint> {
        let entries = self.store.entries();
        let answered = entries.iter().filter_map(|entry| match entry {
            Entry::Answered { fingerprint, .. } => Some(*fingerprint),
            _ => None,
        });
        answered.collect()
    }
}

/// Has each turn answered already, so that a judge has something to judge.
pub fn answered(mut seed: Seed) -> Seed {
    seed.turns.iter_mut().for_each(|turn| turn.replaced = Some("It was so.".to_owned()));
    seed.counts_replaced = true;
    seed
}

/// Conversations out of few words, so that many share beginnings and some are equal.
fn conversations() -> impl Strategy<Value = Vec<Seed>> {
    let words = prop::collection::vec(prop::sample::select(vec!["a", "b", "你好"]).prop_map(str::to_owned), 1..4);
    prop::collection::vec(words, 1..5)
        .prop_map(|list| list.iter().enumerate().map(|(row, words)| answered(seed(&row.to_string(), words))).collect())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_resumed_run_ends_where_an_uninterrupted_one_ends_and_asks_nothing_twice(seeds in conversations()) {
        let warmth: Arc<dyn Recipe> = Arc::new(Distill::new(drawn_warmth(), None).with_gate(gate()));
        for (name, recipe) in recipes().into_iter().chain([("distill, temperatures that are drawn", warmth)]) {
            // Each pair of answers is four verdicts: one short conversation fails in as many ways as many long ones.
            let (conversations, turns) = match name.split([' ', ',']).next() {
                Some("compare") => (2, 1),
                Some("tutor") => (1, 3),
                _ if name.starts_with("distill, calls") => (2, 3),
                _ => (usize::MAX, usize::MAX),
            };
            let mut seeds: Vec<Seed> = seeds.iter().take(conversations).cloned().collect();
            for seed in &mut seeds {
                seed.turns.truncate(turns);
                *seed = with_calls_for(name, seed.clone());
            }
            let whole = Trial::new(&recipe, &seeds);
            prop_assert_eq!(whole.run(1, None, true).unwrap(), Ended::Finished);
            let entry_count = whole.store.entries().len() as u64;
            for crash_at in 0..entry_count {
                for keeps_the_last in [false, true] {
                    let trial = Trial::new(&recipe, &seeds);
                    // The order of commits may differ between runs, so a late crash may not come any more.
                    let crashed = trial.run(1, Some(crash_at), keeps_the_last).is_err();
                    let asked_before = trial.model.0.lock().unwrap().len();
                    let committed_before: HashSet<_> = trial.committed().into_iter().collect();
                    prop_assert_eq!(trial.run(2, None, true).unwrap(), Ended::Finished);
                    let place = format!("{name}, crash at entry {crash_at}, kept {keeps_the_last}, crashed {crashed}");
                    prop_assert_eq!(trial.outcomes(), whole.outcomes(), "{}", place);
                    prop_assert_eq!(trial.states(), whole.states(), "{}", place);
                    let is_over = |state: &ConversationState| matches!(state.status, Status::Complete | Status::Stopped { .. });
                    prop_assert!(trial.states().values().all(is_over));
                    let asked_after = trial.model.0.lock().unwrap()[asked_before..].to_vec();
                    let repeated = asked_after.iter().filter(|asked| committed_before.contains(*asked)).count();
                    prop_assert_eq!(repeated, 0, "{} asked committed questions again", place);
                    let mut committed = trial.committed();
                    let count = committed.len();
                    committed.sort_unstable();
                    committed.dedup();
                    prop_assert_eq!(committed.len(), count, "{} committed an answer twice", place);
                }
            }
        }
    }
}

#[test]
fn equal_conversations_and_equal_beginnings_are_asked_once() {
    let words = |list: &[&str]| list.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let seeds = [words(&["a", "b", "c"]), words(&["a", "b", "c"]), words(&["a", "b", "d"]), words(&["a"])];
    let seeds: Vec<Seed> = seeds.iter().map(|words| answered(seed("x", words))).collect();
    for (name, recipe) in recipes() {
        let trial = Trial::new(&recipe, &seeds);
        trial.run(1, None, true).unwrap();
        let asked = trial.model.0.lock().unwrap().clone();
        assert_eq!(asked.iter().collect::<HashSet<_>>().len(), asked.len(), "{name}");
        // A gate asks once more for what it rejects.
        let is_plain = name == "distill" || name.starts_with("distill, calls");
        assert!(if is_plain { asked.len() == 4 } else { asked.len() > 4 }, "{name}: {}", asked.len());
        let states = trial.states();
        assert_eq!(states.len(), 3, "{name}");
        // Each names all its answers, also those that another conversation has asked for.
        if name == "distill" {
            let mut histories: Vec<Vec<_>> = states.into_values().map(|state| state.history).collect();
            histories.sort_by_key(Vec::len);
            let [one, other, third] = &histories[..] else { panic!("{histories:?}") };
            assert!(other.len() == 3 && third.len() == 3 && other[..2] == third[..2], "{histories:?}");
            assert_eq!(one[..], other[..1]);
        }
    }
}
