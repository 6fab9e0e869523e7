//! List prices: known for well-known models at their own providers, said before they are relied on.

use crate::support::{Place, conversation, finish, jsonl};

const OPENAI: &str = "--teacher=gpt-4.1@https://api.openai.com/v1";

fn place() -> Place {
    let place = Place::new();
    place.write("in.jsonl", jsonl(&[conversation("kites", 2)]));
    place
}

#[test]
fn a_plan_knows_the_list_price_and_says_where_it_is_from() {
    let place = place();
    let plan = place.complete(&["plan", "in.jsonl", OPENAI, "--max-cost=1", "--max-tokens=100"]);
    assert!(plan.stdout.contains("price          about $0.0"), "{}", plan.stdout);
    let said = "list price of November 2026 (https://developers.openai.com/api/docs/pricing): dollars per million tokens \
                2 in, 0.5 cached, 8 out; [models.\"gpt-4.1\"] price takes precedence";
    assert!(plan.stderr.contains(said), "{}", plan.stderr);
    // The configuration takes precedence, and then nothing is said.
    place.write("p.toml", "[models.\"gpt-4.1\"]\nprice = { input = 1000.0, output = 1000.0 }\n");
    let plan = place.complete(&["plan", "in.jsonl", OPENAI, "--config=p.toml"]);
    assert!(!plan.stderr.contains("list price") && plan.stdout.contains("about $0.0860"), "{plan:?}");
    // Elsewhere the price is unknown, and a cap is refused.
    let plan = place.complete(&["plan", "in.jsonl", "--teacher=gpt-4.1@https://gateway.example/v1"]);
    assert!(plan.stdout.contains("price          unknown"), "{}", plan.stdout);
    let refused =
        place.run(&["plan", "in.jsonl", "--teacher=gpt-9@https://api.openai.com", "--max-cost=1", "--max-tokens=9"]);
    assert!(
        refused.code == Some(2) && refused.stderr.contains("the price of `gpt-9` is unknown"),
        "{}",
        refused.stderr
    );
}

#[test]
fn a_run_says_the_list_price_that_its_cap_relies_on_before_the_first_call() {
    let place = place();
    let run = |more: &[&str]| {
        let mut command = place.command(&[&["distill", "in.jsonl", OPENAI, "--give-up-after=1s"], more].concat());
        // There is no proxy, so that no call leaves this machine.
        finish(command.env("HTTPS_PROXY", "http://127.0.0.1:9").env("NO_PROXY", "").env_remove("no_proxy")).stderr
    };
    let capped = run(&["--max-cost=1", "--max-tokens=100"]);
    let (before, _) = capped.split_once("does not answer").unwrap_or_else(|| panic!("{capped}"));
    assert!(before.contains("list price of November 2026"), "{capped}");
    assert!(!run(&[]).contains("list price"));
}
