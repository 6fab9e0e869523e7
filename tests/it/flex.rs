//! The flex tier: asked for, charged by the server's own word, left for the standard tier when it has no room.

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use crate::capture::{Capture, answer, refused};
use crate::support::{MockServer, Place, distill_whole};

/// 10 dollars for an answer's token, 1 for a flex answer's.
const PRICE: &str = "price = { input = 0.0, output = 10000000.0, flex = { input = 0.0, output = 1000000.0 } }\n";

/// Returns an answer of seven tokens, charged at the tier with this name.
fn charged(body: &Value, tier: &str) -> (u16, Value) {
    let (status, mut reply) = answer(body);
    reply["service_tier"] = json!(tier);
    (status, reply)
}

fn no_room() -> (u16, Value) {
    let message = "Resource unavailable. Try again later.";
    (429, json!({"error": {"message": message, "type": "resource_unavailable", "code": "resource_unavailable"}}))
}

#[test]
fn each_answer_is_booked_at_the_tier_that_the_server_charged() {
    let place = Place::with_conversations(2, 2);
    let count = AtomicUsize::new(0);
    // Every second answer is charged at the standard tier, whatever was asked for.
    let server = Capture::with(move |request| {
        let is_even = count.fetch_add(1, Ordering::Relaxed).is_multiple_of(2);
        charged(&request.body(), if is_even { "flex" } else { "default" })
    });
    let model = server.model("m");
    place.write("cohobate.toml", format!("[models.m]\n{PRICE}"));
    let finished = place.complete(&distill_whole(&model, &["--lane", "flex"]));
    assert!(server.bodies().iter().all(|body| body["service_tier"] == "flex"), "{:?}", server.bodies());
    // Two answers of seven tokens at 1 dollar, two at 10.
    assert!(finished.stderr.contains("$154.00"), "{}", finished.stderr);
    assert!(finished.stderr.contains("2 of 4 answers charged at the flex tier"), "{}", finished.stderr);
    let status = place.complete(&["status"]).stdout;
    assert!(status.contains("m: 4 answers (2 flex)") && status.contains("$154.00"), "{status}");
    // A cap counts them in the next run, from the index and from the journal alone.
    for _ in 0..2 {
        let capped = place.run(&distill_whole(&model, &["--max-cost", "160", "--max-tokens", "9", "--seed", "1"]));
        assert_eq!(capped.code, Some(75), "{}", capped.stderr);
        assert!(capped.stderr.contains("--max-cost"), "{}", capped.stderr);
        std::fs::remove_dir_all(place.path(".cohobate/index")).unwrap();
    }
    assert_eq!(server.count(), 4, "a call may cost 90 dollars at the standard tier");
    // The lane is no part of a question.
    place.complete(&distill_whole(&model, &[]));
    place.complete(&distill_whole(&model, &["--lane", "online"]));
    assert_eq!(server.count(), 4);
    let online = place.run(&distill_whole(&model, &["--seed", "2"]));
    assert!(!online.stderr.contains("of 4 answers") || online.stderr.contains("2 of 4"), "{}", online.stderr);
    assert!(server.bodies()[4..].iter().all(|body| body.get("service_tier").is_none()));
}

#[test]
fn a_question_without_room_in_the_flex_tier_is_asked_at_the_standard_tier_after_four_tries() {
    let place = Place::with_conversations(3, 1);
    let server = Capture::with(|request| {
        let body = request.body();
        let is_second = body["messages"].to_string().contains("kites 1");
        match body["service_tier"].as_str() {
            Some("flex") if is_second => no_room(),
            Some("flex") => charged(&body, "flex"),
            _ => charged(&body, "default"),
        }
    });
    place.write("cohobate.toml", format!("[models.m]\nlane = \"flex\"\n{PRICE}"));
    let finished = place.complete(&distill_whole(&server.model("m"), &[]));
    assert_eq!(place.rows("out.jsonl").len(), 3);
    let of_second = server.bodies().into_iter().filter(|body| body["messages"].to_string().contains("kites 1"));
    let tiers: Vec<Value> = of_second.map(|body| body["service_tier"].clone()).collect();
    assert_eq!(tiers, [json!("flex"), json!("flex"), json!("flex"), json!("flex"), Value::Null]);
    assert!(finished.stderr.contains("4 × flex_full"), "{}", finished.stderr);
    assert!(finished.stderr.contains("2 of 3 answers charged at the flex tier"), "{}", finished.stderr);
    let tiers: Vec<Value> =
        place.rows("out.jsonl").iter().map(|row| row["meta"]["turns"][0]["service_tier"].clone()).collect();
    assert_eq!(tiers, [json!("flex"), Value::Null, json!("flex")]);
}

#[test]
fn the_mock_server_has_a_flex_tier() {
    let (place, server) =
        (Place::with_conversations(6, 2), MockServer::start(&["--fault", "flex-full:0.5", "--latency", "1"]));
    place.write("cohobate.toml", format!("[models.m]\n{PRICE}"));
    let model = format!("m@http://{}", server.address);
    let finished = place.complete(&["distill", "in.jsonl", "-o", "out.jsonl", "--teacher", &model, "--lane", "flex"]);
    assert_eq!(place.rows("out.jsonl").len(), 6);
    assert!(finished.stderr.contains("of 12 answers charged at the flex tier"), "{}", finished.stderr);
}

#[test]
fn a_rate_limit_is_waited_for_at_the_flex_tier() {
    let place = Place::with_conversations(1, 1);
    let count = AtomicUsize::new(0);
    let server = Capture::with(move |request| match count.fetch_add(1, Ordering::Relaxed) {
        0..6 => (429, json!({"error": {"message": "Rate limit reached. Try again in 10ms", "type": "requests"}})),
        _ => charged(&request.body(), "flex"),
    });
    place.write("cohobate.toml", format!("[models.m]\n{PRICE}"));
    place.complete(&distill_whole(&server.model("m"), &["--lane", "flex"]));
    assert!(server.bodies().iter().all(|body| body["service_tier"] == "flex"));
}

#[test]
fn a_model_without_a_flex_tier_is_refused() {
    let (place, server) = (Place::with_conversations(1, 1), Capture::start());
    let model = server.model("m");
    let refused_with = |options: &[&str], words: &str| {
        let finished = place.run(&distill_whole(&model, options));
        assert_eq!(finished.code, Some(2), "{}", finished.stderr);
        assert!(finished.stderr.contains(words), "{}", finished.stderr);
    };
    refused_with(&["--lane", "flex"], "the model `m` has no flex tier");
    refused_with(&["--lane", "fast"], "`online`");
    let simulated = place.run(&distill_whole("simulated", &["--lane", "flex"]));
    assert!(simulated.code == Some(2) && simulated.stderr.contains("no flex tier"), "{}", simulated.stderr);
    let openai = place.run(&["plan", "in.jsonl", "--teacher", "gpt-4.1@https://api.openai.com", "--lane", "flex"]);
    assert!(openai.code == Some(2) && openai.stderr.contains("no flex tier"), "{}", openai.stderr);
    place.write("cohobate.toml", "[models.m]\nprice = { input = 1.0, output = 1.0 }\n");
    refused_with(&["--lane", "flex"], "flex = { input = 0.05");
    place.write("cohobate.toml", format!("[models.m]\n{PRICE}"));
    refused_with(&["--lane", "flex", "--body", r#"{"service_tier": "auto"}"#], "sets service_tier too");
    place.write("cohobate.toml", format!("[models.m]\ndialect = \"anthropic\"\n{PRICE}"));
    refused_with(&["--lane", "flex"], "no flex tier");
    assert_eq!(server.count(), 0);
}

#[test]
fn a_server_that_refuses_the_flex_tier_ends_the_run_and_nothing_is_recorded() {
    let place = Place::with_conversations(3, 1);
    let server = Capture::with(|request| {
        let body = request.body();
        match body.get("service_tier") {
            Some(_) => refused(400, "Invalid service_tier argument"),
            None => answer(&body),
        }
    });
    place.write("cohobate.toml", format!("[models.m]\n{PRICE}"));
    let ended = place.run(&distill_whole(&server.model("m"), &["--lane", "flex"]));
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    assert!(ended.stderr.contains("lane = \"online\" asks for the standard tier"), "{}", ended.stderr);
    place.complete(&distill_whole(&server.model("m"), &[]));
    assert_eq!(place.rows("out.jsonl").len(), 3);
}

#[test]
fn a_plan_shows_both_prices() {
    let place = Place::with_conversations(1, 2);
    let plan = |options: &[&str]| place.complete(&[&["plan", "in.jsonl"], options].concat());
    let openai = "--teacher=gpt-5.4@https://api.openai.com/v1";
    let price = |stdout: &str| stdout.lines().find(|line| line.starts_with("price")).unwrap().to_owned();
    let online = price(&plan(&[openai]).stdout);
    assert!(online.contains("without cache discounts; $") && online.contains("with --lane flex"), "{online}");
    let finished = plan(&[openai, "--lane", "flex"]);
    assert!(price(&finished.stdout).contains("at the standard tier"), "{}", finished.stdout);
    assert!(finished.stderr.contains(", at the flex tier 1.25 in, 7.5 out"), "{}", finished.stderr);
    let json: Value = serde_json::from_str(&plan(&[openai, "--lane", "flex", "--json"]).stdout).unwrap();
    let of = |name: &str| json[name].as_f64().unwrap();
    assert!((of("price") * 2.0 - of("standard_price")).abs() < 1e-9 && json["price"] == json["flex_price"], "{json}");
    let request = plan(&[openai, "--lane", "flex", "--show-request"]).stdout;
    assert!(request.contains("\"service_tier\":\"flex\""), "{request}");
    let json: Value =
        serde_json::from_str(&plan(&["--teacher=gpt-4.1@https://api.openai.com", "--json"]).stdout).unwrap();
    assert!(json["flex_price"].is_null() && json["price"] == json["standard_price"], "{json}");
    let azure = plan(&["--teacher=d@https://me.openai.azure.com/openai/v1", "--lane", "flex", "--show-request"]);
    assert!(azure.stdout.contains("\"service_tier\":\"flex\"") && azure.stdout.contains("unknown"), "{}", azure.stdout);
}
