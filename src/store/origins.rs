//! Where a store's answers come from: its runs, the starts that have paid, and what each has spent.

use std::collections::{BTreeMap, BTreeSet};

use super::entry::{Run, Spending};
use super::place::Position;
use super::start::StartId;

/// A run of another store: its start, and its number there.
pub type KeptRunId = (StartId, u32);

/// What an index knows of runs and starts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Origins {
    /// Where the store's own starts begin in its journal. What is before the first has a start without a name.
    pub begun: BTreeMap<Position, StartId>,
    /// The store's own runs by number, with their starts.
    pub own_runs: BTreeMap<u32, (Option<StartId>, Run)>,
    /// Runs of other stores.
    pub kept_runs: BTreeMap<KeptRunId, Run>,
    /// What the store's own starts have spent; `None` is the start without a name.
    pub own: BTreeMap<Option<StartId>, Spending>,
    /// What starts of other stores have spent, as far as it was known when they were merged.
    pub kept: BTreeMap<StartId, Spending>,
}

impl Origins {
    /// Returns the start that has written what is at a position of the journal.
    pub fn start_at(&self, position: Position) -> Option<StartId> {
        self.begun.range(..=position).next_back().map(|(_, start)| *start)
    }

    /// Returns all runs, oldest first. The store's own keep their numbers. Those of other stores get the numbers that are free,
    /// in the order in which they began: the same ones in whatever order stores were merged.
    pub fn runs(&self) -> Vec<Run> {
        let numbers = self.run_numbers();
        let kept = self.kept_runs.iter().filter_map(|(id, run)| Some(Run { number: *numbers.get(id)?, ..run.clone() }));
        let mut runs: Vec<Run> = self.own_runs.values().map(|(_, run)| run.clone()).chain(kept).collect();
        runs.sort_by_key(|run| run.number);
        runs
    }

    /// Returns the numbers of runs of other stores here.
    pub fn run_numbers(&self) -> BTreeMap<KeptRunId, u32> {
        let by_time: BTreeSet<(u64, KeptRunId)> =
            self.kept_runs.iter().map(|(id, run)| (run.started_ms, *id)).collect();
        let free = (1..).filter(|number| !self.own_runs.contains_key(number));
        by_time.into_iter().map(|(_, id)| id).zip(free).collect()
    }

    /// Returns what each start has spent. `unnamed` is the id of the start without a name.
    pub fn spending_by_start(&self, unnamed: Option<StartId>) -> BTreeMap<StartId, Spending> {
        let mut all = self.kept.clone();
        for (start, spending) in &self.own {
            if let Some(start) = start.or(unnamed) {
                join(all.entry(start).or_default(), spending);
            }
        }
        all
    }

    /// Returns the sum over all starts. `unnamed` is the id of the start without a name; it matters only where a store has kept
    /// spending of that start, too.
    pub fn spending(&self, unnamed: Option<StartId>) -> Spending {
        let mut sum = Spending::new();
        let nameless = self.own.get(&None).filter(|_| unnamed.is_none());
        for spending in self.spending_by_start(unnamed).values().chain(nameless) {
            for (model, spent) in spending {
                sum.entry(model.clone()).or_default().plus(spent);
            }
        }
        sum
    }
}

/// Takes each larger count of two values of one start's spending.
pub fn join(spending: &mut Spending, other: &Spending) {
    for (model, spent) in other {
        let known = spending.entry(model.clone()).or_default();
        *known = known.max(*spent);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conversation::Settings;
    use crate::store::entry::Spent;

    const A: StartId = StartId([1; 16]);
    const B: StartId = StartId([2; 16]);

    fn run(number: u32, started_ms: u64) -> Run {
        Run { number, started_ms, settings: Settings::default(), answers: 0 }
    }

    fn spending(calls: u64) -> Spending {
        Spending::from([("m".to_owned(), Spent { calls, ..Spent::default() })])
    }

    #[test]
    fn runs_of_other_stores_get_the_numbers_that_are_free() {
        let origins = Origins {
            own_runs: BTreeMap::from([(2, (None, run(2, 50)))]),
            kept_runs: BTreeMap::from([((A, 1), run(1, 90)), ((A, 2), run(2, 10)), ((B, 1), run(1, 10))]),
            ..Origins::default()
        };
        let found: Vec<(u32, u64)> = origins.runs().iter().map(|run| (run.number, run.started_ms)).collect();
        assert_eq!(found, [(1, 10), (2, 50), (3, 10), (4, 90)]);
        assert_eq!(origins.run_numbers(), BTreeMap::from([((A, 1), 4), ((A, 2), 1), ((B, 1), 3)]));
    }

    #[test]
    fn a_start_that_is_known_twice_counts_once() {
        let origins = Origins {
            own: BTreeMap::from([(None, spending(5)), (Some(A), spending(7))]),
            kept: BTreeMap::from([(A, spending(3)), (B, spending(9))]),
            ..Origins::default()
        };
        assert_eq!(origins.spending(None), spending(5 + 7 + 9));
        assert_eq!(origins.spending(Some(StartId([3; 16]))), spending(5 + 7 + 9));
        assert_eq!(origins.spending(Some(B)), spending(7 + 9), "its own value is older than the one that was merged");
    }

    #[test]
    fn a_position_belongs_to_the_last_start_before_it() {
        let at = |segment, offset| Position { segment, offset };
        let origins = Origins { begun: BTreeMap::from([(at(1, 100), A), (at(2, 40), B)]), ..Origins::default() };
        let starts = [at(1, 99), at(1, 100), at(2, 39), at(2, 40), at(9, 0)].map(|position| origins.start_at(position));
        assert_eq!(starts, [None, Some(A), Some(A), Some(B), Some(B)]);
    }
}
