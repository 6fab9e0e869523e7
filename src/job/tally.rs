use crate::conversation::{ServiceTier, Usage};
use crate::report::{Efficiency, Tally};
use crate::worker::{Event, LowerBound};

/// Counts an event of a run.
pub fn count(tally: &mut Tally, event: &Event) {
    match event {
        Event::Reused => tally.reused += 1,
        Event::Shared => tally.shared += 1,
        Event::Sent => tally.sent += 1,
        Event::Answered { model, reported, usage, history_cut, is_damaged, .. } => {
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
        | Event::Closed(_)
        | Event::Pace { .. }
        | Event::Rested { .. }
        | Event::Parked { .. }
        | Event::Recovered { .. }
        | Event::Drained { .. }
        | Event::Stopping { .. } => {}
    }
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
