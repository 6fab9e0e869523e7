//! A rule of this program judges answers beside those of the standard gate.
//!
//! ```sh
//! cargo run --example custom_rule
//! ```

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;

use cohobate::quality::{Action, Candidate, Gate, Rule, Strictness};

/// An answer that promises something that a text cannot keep.
struct Promise;

impl Rule for Promise {
    fn name(&self) -> &'static str {
        "promise"
    }

    fn actions(&self) -> (Action, Action) {
        (Action::Flag, Action::Reject)
    }

    fn hits(&self, candidate: &Candidate<'_>, _threshold: f64) -> bool {
        candidate.answer.to_lowercase().contains("i will call you")
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let gate = Gate::new(Strictness::Standard, "refusal=reject")?.with_rule(&Promise, Action::Reject);
    println!("gate: {gate}");
    for answer in ["The still is a vessel.", "I will call you tomorrow.", "  "] {
        let verdict = gate.judge(&Candidate::new("What is a still?", answer));
        println!("{answer:?}: {}", verdict.rejected_by.unwrap_or("good"));
    }
    // `DistillQuestions::gate` takes such a gate; its name is part of what conversations are asked under.
    Ok(())
}
