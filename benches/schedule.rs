//! How near the worker's schedule comes to the lower bound max(latencies / slots, longest conversation), in virtual
//! time: the real worker over a model that takes lognormal times, conversations of 1 to 30 turns. Beside it the same
//! work in input order, and in batches that wait for their slowest call at every turn.

#![expect(clippy::print_stdout, clippy::expect_used, reason = "a benchmark prints its figures")]

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use cohobate::conversation::{
    Columns, ConversationKey, Dice, Fingerprint, Message, Role, Sampling, Seed, Target, Turn,
};
use cohobate::model::{Call, Model, PaceLimits, PendingCall, Simulated};
use cohobate::recipe::Distill;
use cohobate::store::{ConversationState, Entry, LostCalls, Reader, Run, Spending, Store, StoreError, Stored};
use cohobate::worker::{self, Admit, CommitMode, Event, LowerBound, Observer, Seeds, Served, StopStage, Work};
use tokio::sync::watch;

const MEAN_S: f64 = 2.0;
const SIGMA: f64 = 0.7;
const TURNS_MAX: usize = 30;
/// Turns for each slot: enough that the last round, in which slots fall free one by one, does not decide.
const TURNS_PER_SLOT: usize = 500;

fn main() {
    println!("{:>6}  {:<34}{:>10}{:>10}{:>12}", "slots", "schedule", "took s", "bound s", "efficiency");
    for slots in [64, 512, 4096] {
        let conversations = slots * TURNS_PER_SLOT * 2 / (TURNS_MAX + 1);
        let lengths: Arc<[usize]> = (0..conversations).map(|row| length(row as u64)).collect();
        let mut longest_first: Vec<u64> = (0..conversations as u64).collect();
        let bound = run(slots, &lengths, (0..conversations as u64).collect());
        print_row(slots, "input order", bound.elapsed.as_secs_f64(), bound.duration().as_secs_f64());
        longest_first.sort_by_key(|row| std::cmp::Reverse(lengths[*row as usize]));
        let bound = run(slots, &lengths, longest_first);
        print_row(slots, "longest first (cohobate)", bound.elapsed.as_secs_f64(), bound.duration().as_secs_f64());
        let barriers = batches(slots, &lengths);
        print_row(slots, "batches, a barrier at every turn", barriers, bound.duration().as_secs_f64());
    }
}

fn print_row(slots: usize, schedule: &str, took: f64, bound: f64) {
    println!("{slots:>6}  {schedule:<34}{took:>10.0}{bound:>10.0}{:>10.1} %", 100.0 * bound / took);
}

fn length(row: u64) -> usize {
    1 + Dice::new("length", &row.to_le_bytes()).below(TURNS_MAX)
}

fn latency(row: u64, turn: u64) -> Duration {
    let mut dice = Dice::new("latency", &[row.to_le_bytes(), turn.to_le_bytes()].concat());
    Duration::from_secs_f64(MEAN_S * (SIGMA * dice.normal() - SIGMA * SIGMA / 2.0).exp())
}

/// Batches of as many conversations as there are slots; each turn of a batch waits for its slowest call.
fn batches(slots: usize, lengths: &[usize]) -> f64 {
    let batch_time = |(batch, lengths): (usize, &[usize])| -> f64 {
        let turn_time = |turn: usize| {
            let active = (0..lengths.len()).filter(|index| lengths[*index] > turn);
            active.map(|index| latency((batch * slots + index) as u64, turn as u64).as_secs_f64()).fold(0.0, f64::max)
        };
        (0..TURNS_MAX).map(turn_time).sum()
    };
    lengths.chunks(slots).enumerate().map(batch_time).sum()
}

fn run(slots: usize, lengths: &Arc<[usize]>, order: Vec<u64>) -> LowerBound {
    let target = Target::new("sleeper", Simulated::DIALECT, Sampling::default());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let mut measure = Measure(None);
    runtime.expect("a runtime").block_on(async {
        let (recipe, seeds) = (Arc::new(Distill::new(target, None)), Arc::new(Conversations(Arc::clone(lengths))));
        let rows = Box::new(order.into_iter().map(|row| Ok(Admit::Row(row))));
        let models = HashMap::from([("sleeper".to_owned(), Served::by_one("sleeper", Arc::new(Sleeper)))]);
        let work = Work {
            pace: PaceLimits { concurrency: Some(slots), ..PaceLimits::default() },
            commit_mode: CommitMode::Inline,
            ..Work::new(recipe, Arc::new(Forgetful), models, seeds, rows)
        };
        let (_go, stop) = watch::channel(StopStage::Go);
        worker::run(work, stop, &mut measure).await.expect("a run without faults");
    });
    measure.0.expect("every run is measured")
}

struct Conversations(Arc<[usize]>);

impl Seeds for Conversations {
    fn seed(&self, row: u64) -> Result<Seed, String> {
        let turn = |turn: usize| {
            let messages = vec![Message::new(Role::User, format!("{row} {turn}"))];
            Turn { messages, replaced: None, given: Vec::new(), follows: Vec::new(), ends_in_calls: false }
        };
        let turns = (0..self.0[row as usize]).map(turn).collect();
        Ok(Seed {
            id: row.to_string(),
            turns,
            tools: None,
            columns: Columns::new(),
            counts_replaced: false,
            criteria: Vec::new(),
        })
    }
}

/// Keeps nothing: what is measured is the schedule.
struct Forgetful;

impl Store for Forgetful {
    fn commit(&self, _: Vec<Entry>) -> Result<(), StoreError> {
        Ok(())
    }
}

impl Reader for Forgetful {
    fn answer(&self, _: &Fingerprint) -> Result<Option<Stored>, StoreError> {
        Ok(None)
    }
    fn state(&self, _: &ConversationKey) -> Result<Option<ConversationState>, StoreError> {
        Ok(None)
    }
    fn for_each_state(&self, _: &mut dyn FnMut(ConversationKey, ConversationState)) -> Result<(), StoreError> {
        Ok(())
    }
    fn runs(&self) -> Result<Vec<Run>, StoreError> {
        Ok(Vec::new())
    }
    fn lost(&self, _: &Fingerprint) -> Result<LostCalls, StoreError> {
        Ok(LostCalls::default())
    }
    fn spending(&self) -> Result<Spending, StoreError> {
        Ok(Spending::new())
    }
}

/// Answers after the time that belongs to the row and the turn.
struct Sleeper;

impl Model for Sleeper {
    fn ask<'a>(&'a self, call: Call<'a>) -> PendingCall<'a> {
        Box::pin(async move {
            let last = call.question.messages.last().map_or("", |message| message.content());
            let (row, turn) = last.split_once(' ').expect("a row and a turn");
            let number = |text: &str| text.parse().expect("a number");
            tokio::time::sleep(latency(number(row), number(turn))).await;
            Ok(Simulated::answer(call.question, call.attempt)).into()
        })
    }
}

struct Measure(Option<LowerBound>);

impl Observer for Measure {
    fn on_event(&mut self, event: &Event) {
        if let Event::Measured(bound) = event {
            self.0 = Some(*bound);
        }
    }
}
