use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use serde_json::{Value, json};

use crate::conversation::Fingerprint;

/// The counters of a mock server.
#[derive(Debug, Default)]
pub struct Stats {
    requests: AtomicU64,
    faults: AtomicU64,
    repeated: AtomicU64,
    present: AtomicU64,
    present_max: AtomicU64,
    prompt_tokens: AtomicU64,
    cached_tokens: AtomicU64,
    completion_tokens: AtomicU64,
    distinct: Mutex<HashSet<Fingerprint>>,
}

impl Stats {
    /// Counts a request and returns its number, from 0.
    pub(super) fn arrived(&self) -> u64 {
        self.requests.fetch_add(1, Ordering::Relaxed)
    }

    /// Counts a request as present until the guard is dropped.
    pub(super) fn enter(&self) -> Present<'_> {
        let present = self.present.fetch_add(1, Ordering::Relaxed) + 1;
        self.present_max.fetch_max(present, Ordering::Relaxed);
        Present { stats: self, count: present }
    }

    /// Starts the most requests in flight over, with those that are in flight now.
    pub(super) fn reset_peak(&self) {
        self.present_max.store(self.present.load(Ordering::Relaxed), Ordering::Relaxed);
    }

    pub(super) fn faulted(&self) {
        self.faults.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts the tokens of a prompt and how many of them the cache had.
    pub(super) fn prompt(&self, tokens: u64, cached: u64) {
        self.prompt_tokens.fetch_add(tokens, Ordering::Relaxed);
        self.cached_tokens.fetch_add(cached, Ordering::Relaxed);
    }

    /// Counts the tokens of an answer that is sent.
    pub(super) fn delivers(&self, tokens: u64) {
        self.completion_tokens.fetch_add(tokens, Ordering::Relaxed);
    }

    pub(super) fn answered(&self, fingerprint: Fingerprint) {
        let mut distinct = self.distinct.lock().unwrap_or_else(PoisonError::into_inner);
        if !distinct.insert(fingerprint) {
            self.repeated.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Returns the counters: requests, faults, distinct questions answered, repeated answers, most requests in flight,
    /// prompt tokens, cached prompt tokens and completion tokens.
    pub fn to_json(&self) -> Value {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let distinct = self.distinct.lock().unwrap_or_else(PoisonError::into_inner).len();
        let (prompt_tokens, cached_tokens) = (get(&self.prompt_tokens), get(&self.cached_tokens));
        json!({
            "requests": get(&self.requests),
            "faults": get(&self.faults),
            "distinct": distinct,
            "repeated": get(&self.repeated),
            "in_flight": get(&self.present),
            "in_flight_max": get(&self.present_max),
            "prompt_tokens": prompt_tokens,
            "cached_tokens": cached_tokens,
            "completion_tokens": get(&self.completion_tokens),
            "hit_rate": cached_tokens as f64 / prompt_tokens.max(1) as f64,
        })
    }
}

/// A request in flight.
pub(super) struct Present<'a> {
    stats: &'a Stats,
    /// The number of requests in flight, this one included.
    pub count: u64,
}

impl Drop for Present<'_> {
    fn drop(&mut self) {
        self.stats.present.fetch_sub(1, Ordering::Relaxed);
    }
}
