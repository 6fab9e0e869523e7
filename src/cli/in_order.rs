//! Work that is done by several threads and taken in order, a bounded distance ahead.

use std::collections::BTreeMap;
use std::sync::mpsc::channel;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Items that a thread does at a time.
const BLOCK_ITEMS: u64 = 16;
/// Blocks that may be done before they are taken.
const AHEAD_BLOCKS: u64 = 16;

/// Does `work` for 0 to `count` on all processors and gives the results to `take` in order. Ends with the first error of
/// `take`.
pub fn in_order<Done: Send, Error>(
    count: u64,
    work: impl Fn(u64) -> Done + Sync,
    mut take: impl FnMut(Done) -> Result<(), Error>,
) -> Result<(), Error> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let gate = Gate::default();
    let blocks = count.div_ceil(BLOCK_ITEMS);
    std::thread::scope(|scope| {
        let (finished, arrivals) = channel();
        for _ in 0..threads {
            let (finished, gate, work) = (finished.clone(), &gate, &work);
            scope.spawn(move || {
                // However this thread ends, nobody waits for it for ever.
                let _stopper = Stopper { gate, is_taker: false };
                while let Some(block) = gate.claim(blocks) {
                    let items = block * BLOCK_ITEMS..count.min((block + 1) * BLOCK_ITEMS);
                    if finished.send((block, items.map(&work).collect::<Vec<_>>())).is_err() {
                        return;
                    }
                }
            });
        }
        drop(finished);
        let _stopper = Stopper { gate: &gate, is_taker: true };
        let mut early = BTreeMap::new();
        for (block, done) in arrivals {
            early.insert(block, done);
            while let Some(done) = early.remove(&gate.taken()) {
                done.into_iter().try_for_each(&mut take)?;
                gate.take();
            }
        }
        Ok(())
    })
}

/// How far the work has come.
#[derive(Default)]
struct Gate {
    state: Mutex<State>,
    moved: Condvar,
}

#[derive(Default)]
struct State {
    claimed: u64,
    taken: u64,
    stopped: bool,
}

impl Gate {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the next block to be done, as soon as it is not too far ahead.
    fn claim(&self, blocks: u64) -> Option<u64> {
        let is_ahead = |state: &mut State| !state.stopped && state.claimed >= state.taken + AHEAD_BLOCKS;
        let mut state = self.moved.wait_while(self.lock(), is_ahead).unwrap_or_else(PoisonError::into_inner);
        if state.stopped || state.claimed >= blocks {
            return None;
        }
        state.claimed += 1;
        Some(state.claimed - 1)
    }

    fn taken(&self) -> u64 {
        self.lock().taken
    }

    fn take(&self) {
        self.lock().taken += 1;
        self.moved.notify_all();
    }
}

/// Ends the work: the taker's when it leaves, a worker's when it panics.
struct Stopper<'a> {
    gate: &'a Gate,
    is_taker: bool,
}

impl Drop for Stopper<'_> {
    fn drop(&mut self) {
        if self.is_taker || std::thread::panicking() {
            self.gate.lock().stopped = true;
            self.gate.moved.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_order_whatever_the_work_takes() {
        for count in [0, 1, 15, 16, 17, 5_000] {
            let mut taken = Vec::new();
            let work = |item: u64| {
                if item.is_multiple_of(97) {
                    std::thread::sleep(std::time::Duration::from_millis(1));
                }
                item * 3
            };
            in_order(count, work, |done| {
                taken.push(done);
                Ok::<_, ()>(())
            })
            .unwrap();
            assert_eq!(taken, (0..count).map(|item| item * 3).collect::<Vec<_>>());
        }
    }

    #[test]
    fn an_error_ends_the_work_soon() {
        let done = std::sync::atomic::AtomicU64::new(0);
        let work = |item: u64| {
            done.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            item
        };
        let result = in_order(1_000_000, work, |item| if item == 100 { Err("no more") } else { Ok(()) });
        assert_eq!(result, Err("no more"));
        let done = done.into_inner();
        assert!(done < 2_000, "{done} items were done for 100");
    }

    #[test]
    #[should_panic(expected = "a scoped thread panicked")]
    fn a_panic_in_the_work_does_not_hang() {
        let work = |item: u64| assert_ne!(item, 300, "on purpose");
        let _ = in_order(100_000, work, |()| Ok::<_, ()>(()));
    }
}
