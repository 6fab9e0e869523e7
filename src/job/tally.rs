use std::time::Instant;

use crate::conversation::{ServiceTier, Usage};
use crate::report::{Arrivals, Efficiency, Tally, Waiting};
use crate::worker::{ConversationEnd, Event, LowerBound, Wait, WaitCause};

/// Counts an event of a run that has happened now.
pub fn count(tally: &mut Tally, event: &Event, now: Instant) {
    match event {
        Event::Reused => tally.taken += 1,
        Event::NotStored(answers) => tally.not_stored += answers,
        Event::Shared => {
            tally.shared += 1;
            tally.rates.push(now, Arrivals { counted: 1, settled: 1, tokens: 0 });
        }
        Event::Sent => {
            tally.sent += 1;
            tally.waiting = None;
        }
        Event::Slots(slots) => tally.slots = *slots,
        Event::Waiting(wait) => tally.waiting = wait.as_ref().map(|wait| waiting(wait, tally, now)),
        Event::Reopened { unused } => {
            tally.closed = tally.closed.saturating_sub(1);
            tally.unused = tally.unused.saturating_sub(*unused);
        }
        Event::Closed(closed) => {
            tally.closed += u64::from(!closed.was_finished && closed.end != ConversationEnd::Interrupted);
            tally.unused += closed.unused;
            tally.rejected += closed.rejected;
            tally.rates.push(now, Arrivals { settled: closed.unused, ..Arrivals::default() });
        }
        Event::Answered { model, reported, usage, history_cut, is_counted, is_damaged, .. } => {
            let counted = u64::from(*is_counted);
            tally.counted += counted;
            let tokens = usage.completion_tokens.unwrap_or(0);
            tally.rates.push(now, Arrivals { counted, settled: counted, tokens });
            tally.damaged += u64::from(*is_damaged);
            tally.returned += 1;
            tally.answered += 1;
            tally.history_cut += u64::from(*history_cut);
            match tally.reported.get_mut(model).and_then(|names| names.get_mut(reported)) {
                Some(count) => *count += 1,
                None => drop(tally.reported.entry(model.clone()).or_default().insert(reported.clone(), 1)),
            }
            if usage.tier == ServiceTier::Flex {
                *tally.flex.get_or_insert(0) += 1;
            }
            add(&mut tally.usage, usage);
            tally.cost += tally.prices.get(model).map_or(0.0, |price| price.cost(usage));
        }
        Event::Failed { code, message, .. } => {
            tally.returned += 1;
            tally.last_failure = Some(format!("{code}: {message}"));
            *tally.failures.entry(code.clone()).or_default() += 1;
        }
        Event::Adjusted { model, adjustment } => {
            let said = format!("{model}: {adjustment}");
            if !tally.adjusted.contains(&said) {
                tally.adjusted.push(said);
            }
        }
        Event::Measured(bound) => tally.efficiency = Some(efficiency(bound)),
        Event::Opened
        | Event::Rejected { .. }
        | Event::Pace { .. }
        | Event::Rested { .. }
        | Event::Parked { .. }
        | Event::Recovered { .. }
        | Event::Drained { .. }
        | Event::Stopping { .. } => {}
    }
}

/// Says what a run waits for.
fn waiting(wait: &Wait, tally: &Tally, now: Instant) -> Waiting {
    let Wait { model, cause, time } = wait;
    let reason = match cause {
        WaitCause::Outage => match &tally.last_failure {
            Some(failure) => format!("{model} does not answer ({failure})"),
            None => format!("{model} does not answer"),
        },
        WaitCause::RateLimit => format!("a limit of {model}'s server is used up"),
        WaitCause::Pace => "--rpm or --tpm is used up for now".to_owned(),
        WaitCause::Retry => match &tally.last_failure {
            Some(failure) => format!("{model} failed ({failure})"),
            None => format!("{model} failed"),
        },
    };
    Waiting { reason, until: time.map(|time| now + time) }
}

fn efficiency(bound: &LowerBound) -> Efficiency {
    let LowerBound { busy, slots, longest_chain, elapsed, .. } = *bound;
    Efficiency { share: bound.efficiency(), bound: bound.duration(), busy, slots, longest_chain, elapsed }
}

fn add(total: &mut Usage, usage: &Usage) {
    let fields = [
        (&mut total.prompt_tokens, usage.prompt_tokens),
        (&mut total.cached_tokens, usage.cached_tokens),
        (&mut total.cache_write_tokens, usage.cache_write_tokens),
        (&mut total.completion_tokens, usage.completion_tokens),
        (&mut total.reasoning_tokens, usage.reasoning_tokens),
    ];
    for (sum, part) in fields {
        if let Some(part) = part {
            *sum = Some(sum.unwrap_or(0).saturating_add(part));
        }
    }
}
