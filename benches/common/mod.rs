//! What benchmarks share.

use cohobate::quality::{Gate, RULES, Rule, Strictness};

/// Returns a gate with one rule alone.
pub fn alone(rule: &dyn Rule, strictness: Strictness) -> Gate {
    let others = RULES.iter().filter(|other| other.name() != rule.name());
    let others: Vec<String> = others.map(|other| format!("{}=off", other.name())).collect();
    Gate::new(strictness, &others.join(",")).expect("the rules are known")
}
