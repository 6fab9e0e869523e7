//! The page of `cohobate view` in a real browser, where there is one.

use std::process::Command;

use serde_json::{Value, json};

use crate::support::{MockServer, Place, finish, jsonl};
use crate::viewing::Viewed;

/// Texts that would become markup in a page that does not keep data and markup apart.
const EVIL: &str = "</script><img src=x onerror=alert(1)>";

fn browser() -> Option<&'static str> {
    let names = ["chromium", "chromium-browser", "google-chrome"];
    let is_there =
        |name: &&str| Command::new(name).arg("--version").output().is_ok_and(|output| output.status.success());
    names.into_iter().find(is_there)
}

/// Returns what the browser makes of a page: its elements, and how texts are written in them.
fn dom(browser: &str, place: &Place, link: &str) -> String {
    let mut command = Command::new(browser);
    command.args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]);
    command.args(["--disable-background-networking", "--disable-component-update", "--disable-sync"]);
    command.args(["--window-size=1280,900", "--dump-dom", "--virtual-time-budget=3000"]);
    command.arg(format!("--user-data-dir={}", place.path("profile").display())).arg(link);
    finish(&mut command).stdout
}

#[test]
fn lists_and_conversations_are_rendered_and_data_stays_text() {
    let Some(browser) = browser() else {
        println!("skipped: there is no Chromium here");
        return;
    };
    let (place, server) = (Place::new(), MockServer::start(&[]));
    let row = |row: usize| {
        json!({"id": format!("{row}{EVIL}"), "messages": [{"role": "user", "content": format!("What of {row}? {EVIL}")},
            {"role": "assistant", "content": format!("Old {EVIL}")}], "column": EVIL})
    };
    place.write("in.jsonl", jsonl(&(0..8).map(row).collect::<Vec<Value>>()));
    let teacher = format!("{EVIL}@{}", server.model().split_once('@').unwrap().1);
    place.complete(&["distill", "in.jsonl", "--teacher", &teacher, "-o", "out.jsonl"]);
    let viewed = Viewed::start(&place, &[]);
    viewed.wait();
    let escaped = EVIL.replace('<', "&lt;").replace('>', "&gt;");
    let list = dom(browser, &place, &viewed.link("/"));
    assert_eq!(list.matches("data-item=").count(), 8, "{list}");
    for text in ["8 conversations", "all 8 conversations", &format!("3{escaped}"), &format!("What of 7? {escaped}")] {
        assert!(list.contains(text), "{text} is not shown: {list}");
    }
    let shown = dom(browser, &place, &viewed.link("/c/3"));
    for text in
        [r#"<section id="turn-1">"#, "old answer", "new answer", &format!("What of 3? {escaped}"), "finish stop"]
    {
        assert!(shown.contains(text), "{text} is not shown: {shown}");
    }
    // The model's name is among where the answer comes from.
    assert!(shown.contains(&format!(r#"class="origin">{escaped}"#)), "{shown}");
    let searched = dom(browser, &place, &viewed.link("/?text=what+of+5"));
    assert_eq!(searched.matches("data-item=").count(), 1, "{searched}");
    for page in [list, shown, searched] {
        assert!(!page.contains("<img") && page.matches("<script").count() == 3, "data became markup: {page}");
    }
}
