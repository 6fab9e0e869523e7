//! What a worker asks of the shared budget. Pure.
//!
//! A worker's reserve covers twice the worst case of the calls that it may have in flight: those in flight, and one group of
//! commits. It is raised when half of it is used, so that calls do not wait for it; and what a worker that has nothing to do
//! has left is returned, so that others do not wait for it either.

use crate::report::words::{counted, money};
use crate::store::shared::{Allowance, CapName, Granted, nano};
use crate::worker::{Amount, BudgetNeed};

/// What is to be done about the reserve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReserveStep {
    /// Nothing.
    Keep,
    /// Ask for this much more, and for nothing less than `least`.
    Raise { wanted: Allowance, least: Allowance },
    /// Return what is above this much, all in all.
    Release { keep: Allowance },
}

/// Decides what to do. `before` is what this start had booked when the run began, `granted` what it may spend all in all.
pub fn step(need: &BudgetNeed, before: &Allowance, granted: &Allowance, has_work: bool) -> ReserveStep {
    let used = before.plus(&units(&need.used));
    let left = granted.minus(&used);
    let per_call = units(&need.per_call);
    let calls = need.calls_max.max(1) as u64;
    if !has_work && need.next.is_none() {
        // Between two conversations the reserve stays.
        let is_idle = !need.has_calls && !left.is_nothing();
        return if is_idle { ReserveStep::Release { keep: used } } else { ReserveStep::Keep };
    }
    let is_low = below(&left, &per_call.times(calls));
    let Some(least) = need.next.as_ref().map(units).or_else(|| is_low.then_some(per_call)) else {
        return ReserveStep::Keep;
    };
    let wanted = per_call.max(&least).times(2 * calls).minus(&left);
    ReserveStep::Raise { wanted, least: least.minus(&left) }
}

/// What sums of costs may differ by, in billionths of a dollar.
const ROUNDING_NANO: u64 = 1_000;

/// What a reply means for a worker that had no room for a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shortage {
    /// There is room.
    None,
    /// Others have reserved what is left, or this worker has calls in flight: wait. `returns` says that its own rest is to be
    /// returned meanwhile, so that one of them gets enough.
    Wait { returns: bool },
    /// The cap is reached.
    Over(String),
}

/// Says what a reply to a question for at least `least` means.
pub fn shortage(need: &BudgetNeed, least: &Allowance, granted: &Granted) -> Shortage {
    let Some(cap) = granted.short.filter(|_| need.next.is_some()) else { return Shortage::None };
    if need.has_calls {
        return Shortage::Wait { returns: false };
    }
    let of = |amount: &Allowance| match cap {
        CapName::Cost => amount.cost_nano,
        CapName::Requests => amount.requests,
        CapName::OutputTokens => amount.output_tokens,
    };
    // A worker waits only if the reserves of live workers would be enough for its next call. Otherwise two workers could wait
    // forever for what rounding has left of each other's reserve.
    if of(&granted.held_by_live) > 0 && of(&granted.room).saturating_add(of(&granted.held_by_live)) >= of(least) {
        return Shortage::Wait { returns: true };
    }
    let option = match cap {
        CapName::Cost => "--max-cost",
        CapName::Requests => "--max-requests",
        CapName::OutputTokens => "--max-output-tokens",
    };
    let rounding = if cap == CapName::Cost { ROUNDING_NANO } else { 0 };
    if of(&granted.held_by_dead) <= rounding {
        return Shortage::Over(format!("{option} is reached"));
    }
    let held = match cap {
        CapName::Cost => money(granted.held_by_dead.dollars()),
        CapName::Requests => counted(granted.held_by_dead.requests, "request"),
        CapName::OutputTokens => counted(granted.held_by_dead.output_tokens, "token"),
    };
    let workers = counted(u64::from(granted.dead), "worker");
    Shortage::Over(format!(
        "{option} is reached: {workers} that ended without leaving still {} {held} reserved. They settle it when they are \
         started again; `cohobate store reconcile` returns it, once they were not seen for 10 minutes (--unseen-for)",
        if granted.dead == 1 { "has" } else { "have" }
    ))
}

/// Returns an amount in the units of caps.
pub fn units(amount: &Amount) -> Allowance {
    Allowance { cost_nano: nano(amount.cost), requests: amount.requests, output_tokens: amount.output_tokens }
}

fn below(left: &Allowance, bound: &Allowance) -> bool {
    left.cost_nano < bound.cost_nano || left.requests < bound.requests || left.output_tokens < bound.output_tokens
}

#[cfg(test)]
mod tests {
    use super::*;

    fn requests(count: u64) -> Allowance {
        Allowance { requests: count, ..Allowance::default() }
    }

    fn need(used: u64, next: Option<u64>, has_calls: bool) -> BudgetNeed {
        let amount = |requests| Amount { requests, ..Amount::default() };
        BudgetNeed {
            used: amount(used),
            next: next.map(amount),
            per_call: amount(1),
            calls_max: 8,
            has_calls,
            allowed: None,
        }
    }

    #[test]
    fn a_reserve_is_raised_when_half_of_it_is_used() {
        let step = |used, granted| super::step(&need(used, None, true), &requests(100), &requests(granted), true);
        assert_eq!(step(0, 100), ReserveStep::Raise { wanted: requests(16), least: requests(1) });
        assert_eq!(step(8, 116), ReserveStep::Keep);
        assert_eq!(step(9, 116), ReserveStep::Raise { wanted: requests(9), least: requests(0) });
        let idle = |need| super::step(&need, &requests(100), &requests(116), false);
        assert_eq!(idle(need(9, None, true)), ReserveStep::Keep);
        assert_eq!(idle(need(9, None, false)), ReserveStep::Release { keep: requests(109) });
        assert_eq!(idle(need(16, None, false)), ReserveStep::Keep, "nothing is left");
    }

    #[test]
    fn a_cap_is_reached_once_nobody_can_return_anything() {
        let shortage = |need: &BudgetNeed, granted: &Granted| super::shortage(need, &requests(1), granted);
        let short = Granted { short: Some(CapName::Requests), ..Granted::default() };
        let live = Granted { held_by_live: requests(3), ..short.clone() };
        let dead = Granted { held_by_dead: requests(5), dead: 1, ..short.clone() };
        assert_eq!(shortage(&need(0, None, false), &short), Shortage::None, "nothing waits for it");
        assert_eq!(shortage(&need(0, Some(1), true), &short), Shortage::Wait { returns: false });
        assert_eq!(shortage(&need(0, Some(1), false), &live), Shortage::Wait { returns: true });
        assert_eq!(shortage(&need(0, Some(1), false), &short), Shortage::Over("--max-requests is reached".to_owned()));
        let Shortage::Over(said) = shortage(&need(0, Some(1), false), &dead) else { panic!("it is over") };
        assert!(said.contains("1 worker that ended without leaving still has 5 requests reserved"), "{said}");
        assert!(said.contains("`cohobate store reconcile`"), "{said}");
        // What others could return would not be enough.
        let cost = |cost_nano| Allowance { cost_nano, ..Allowance::default() };
        let of_cost = Granted { short: Some(CapName::Cost), room: cost(10), ..live.clone() };
        let over = Shortage::Over("--max-cost is reached".to_owned());
        for (held, dead, expected) in
            [(0, 0, &over), (1, 1, &over), (39, 0, &over), (40, 0, &Shortage::Wait { returns: true })]
        {
            let granted = Granted { held_by_live: Allowance { requests: 3, ..cost(held) }, ..of_cost.clone() };
            let granted = Granted { held_by_dead: cost(dead), dead: dead as u32, ..granted };
            assert_eq!(&super::shortage(&need(0, Some(1), false), &cost(50), &granted), expected, "{held}");
        }
    }
}
