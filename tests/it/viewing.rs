//! `cohobate view`: the page, and who may see it.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{MockServer, Place, conversation, files_below, finish, jsonl};

/// A page that is served.
pub struct Viewed {
    pub child: Child,
    pub port: u16,
    pub token: String,
    pub cookie: String,
    /// Later links, each of which lets one more browser in.
    links: Receiver<String>,
}

pub struct Reply {
    pub status: u16,
    pub headers: String,
    pub body: String,
}

impl Viewed {
    pub fn start(place: &Place, arguments: &[&str]) -> Self {
        let mut command = place.command(&["view", "--port", "0"]);
        let mut child = command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut printed = BufReader::new(child.stdout.take().unwrap()).lines();
        let link = printed.next().expect("the page is served").unwrap();
        // Later links are read too, so that the page never waits.
        let (sender, links) = channel();
        std::thread::spawn(move || printed.map_while(Result::ok).for_each(|line| drop(sender.send(line))));
        let rest = link.strip_prefix("open http://127.0.0.1:").unwrap();
        let (port, token) = rest.split_once("/?token=").unwrap();
        let mut viewed =
            Self { child, port: port.parse().unwrap(), token: token.to_owned(), cookie: String::new(), links };
        let entered = viewed.send("GET", &format!("/?token={token}"), &viewed.host(), &[]);
        assert_eq!(entered.status, 303, "{}", entered.headers);
        let cookie = entered.headers.lines().find_map(|line| line.strip_prefix("set-cookie: ")).unwrap();
        assert!(cookie.ends_with("; Path=/; HttpOnly; SameSite=Strict"), "{cookie}");
        cookie.split(';').next().unwrap().clone_into(&mut viewed.cookie);
        viewed
    }

    /// Returns a link to a path that lets one more browser in.
    pub fn link(&self, path: &str) -> String {
        let link = self.links.recv_timeout(Duration::from_secs(10)).expect("a used link is followed by another");
        let token = link.rsplit_once("token=").unwrap().1;
        format!("http://{}{path}{}token={token}", self.host(), if path.contains('?') { '&' } else { '?' })
    }

    pub fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    fn send(&self, method: &str, path: &str, host: &str, headers: &[(&str, &str)]) -> Reply {
        self.send_body(method, path, host, headers, "")
    }

    pub fn send_body(&self, method: &str, path: &str, host: &str, headers: &[(&str, &str)], body: &str) -> Reply {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        let headers = headers.iter().fold(String::new(), |text, (name, value)| text + name + ": " + value + "\r\n");
        let length = body.len();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {host}\r\n{headers}Connection: close\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        let text = String::from_utf8(bytes).unwrap();
        let (headers, body) = text.split_once("\r\n\r\n").unwrap();
        let status = headers.split(' ').nth(1).unwrap().parse().unwrap();
        let is_chunked = headers.contains("transfer-encoding: chunked");
        let body = if is_chunked { unchunked(body) } else { body.to_owned() };
        Reply { status, headers: headers.to_owned(), body }
    }

    pub fn get(&self, path: &str) -> Reply {
        self.send("GET", path, &self.host(), &[("Cookie", &self.cookie)])
    }

    pub fn json(&self, path: &str) -> Value {
        let reply = self.get(path);
        assert_eq!(reply.status, 200, "{path}: {}", reply.body);
        assert!(reply.headers.contains("content-type: application/json"), "{}", reply.headers);
        serde_json::from_str(&reply.body).unwrap()
    }

    /// Waits until the index covers input and journal.
    pub fn wait(&self) {
        for _ in 0..600 {
            let coverage = &self.json("/api/live")["coverage"];
            if coverage["items_read"] == coverage["items"] && coverage["journal_left"] == 0 && coverage["items"] != 0 {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("the index does not catch up: {}", self.json("/api/live"));
    }

    pub fn ids(&self, query: &str) -> Vec<String> {
        let list = self.json(&format!("/api/list?{query}"));
        list["items"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect()
    }
}

impl Drop for Viewed {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn unchunked(mut body: &str) -> String {
    let mut whole = String::new();
    while let Some((length, rest)) = body.split_once("\r\n") {
        let length = usize::from_str_radix(length, 16).unwrap();
        whole.push_str(&rest[..length]);
        body = rest[length..].strip_prefix("\r\n").unwrap();
    }
    whole
}

fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut text, byte| {
        write!(text, "%{byte:02X}").unwrap();
        text
    })
}

const ASKED: [&str; 4] = ["--input", "in.jsonl", "--teacher", "simulated"];

fn simulated(place: &Place, rows: &[Value]) {
    place.write("in.jsonl", jsonl(rows));
    place.complete(&["distill", "in.jsonl", "--teacher", "simulated", "-o", "out.jsonl"]);
}

#[test]
fn only_a_browser_that_was_let_in_on_this_machine_sees_the_page() {
    let place = Place::new();
    simulated(&place, &[conversation("a", 2)]);
    let viewed = Viewed::start(&place, &ASKED);
    let (host, cookie) = (viewed.host(), ("Cookie", viewed.cookie.as_str()));
    for path in ["/", "/page.js", "/api/list", "/api/item/0", "/c/0", "/nowhere"] {
        let without = viewed.send("GET", path, &host, &[]);
        assert_eq!(without.status, 403, "{path}");
        let wrong = viewed.send("GET", path, &host, &[("Cookie", &format!("cohobate-{}=0", viewed.port))]);
        assert_eq!(wrong.status, 403, "{path}");
        assert!(!without.body.contains("part 0") && without.headers.contains("default-src 'none'"));
    }
    let used = viewed.send("GET", &format!("/?token={}", viewed.token), &host, &[]);
    assert_eq!(used.status, 403, "a token is good once");
    // A name that an attacker has made resolve to this machine.
    for rebound in ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "192.168.0.7:8421", ""] {
        assert_eq!(viewed.send("GET", "/api/list", rebound, &[cookie]).status, 421, "{rebound}");
    }
    for forwarded in ["localhost:9999", "127.0.0.1:1", "[::1]:8080", "localhost"] {
        assert_eq!(viewed.send("GET", "/api/list", forwarded, &[cookie]).status, 200, "{forwarded}");
    }
    for origin in ["http://evil.example", "null", "http://127.0.0.1:1", "https://127.0.0.1"] {
        let foreign = viewed.send("POST", "/api/list", &host, &[cookie, ("Origin", origin)]);
        assert_eq!(foreign.status, 403, "{origin}");
    }
    assert_eq!(viewed.send("POST", "/api/list", &host, &[cookie]).status, 403, "no origin");
    let own = viewed.send("POST", "/api/list", &host, &[cookie, ("Origin", &format!("http://{host}"))]);
    assert_eq!(own.status, 405, "the page's own request passes, and a list takes no POST");
    assert_eq!(viewed.send("DELETE", "/api/list", &host, &[cookie]).status, 405);
    let page = viewed.get("/");
    for header in [
        "content-security-policy: default-src 'none'; script-src 'self'; style-src 'self';",
        "x-content-type-options: nosniff",
        "cache-control: no-store",
        "referrer-policy: no-referrer",
    ] {
        assert!(page.headers.contains(header), "{header}\n{}", page.headers);
    }
    assert!(!page.headers.contains("unsafe"));
    let text = &page.body;
    for inline in ["<style", "style=", "javascript:", "onclick", "http:", "https:"] {
        assert!(!text.contains(inline), "{inline}");
    }
    assert_eq!(text.matches("<script").count(), 3);
}

#[test]
fn nothing_that_a_dataset_or_a_model_says_becomes_part_of_the_page() {
    let evil = "</script><img src=x onerror=alert(1)>";
    let (place, server) = (Place::new(), MockServer::start(&["--fault-by", "question", "--fault", "400:0.5"]));
    let rows: Vec<Value> = (0..12)
        .map(|row| {
            json!({"id": format!("{row}{evil}"), "messages": [{"role": "user", "content": format!("{row} {evil}")},
            {"role": "assistant", "content": evil}], "more": evil})
        })
        .collect();
    place.write("in.jsonl", jsonl(&rows));
    let teacher = format!("{evil}@{}", server.model().split_once('@').unwrap().1);
    place.run(&["distill", "in.jsonl", "--teacher", &teacher, "-o", "out.jsonl"]);
    let viewed = Viewed::start(&place, &["--input", "in.jsonl", "--teacher", &teacher]);
    viewed.wait();
    for path in ["/", "/c/0", "/c/11"] {
        let page = viewed.get(path);
        assert_eq!(page.body, include_str!("../../src/view/page/page.html"), "the page is the same for any data");
    }
    let statuses = &viewed.json("/api/counts")["status"];
    assert!(statuses["failed"].as_u64() > Some(0) && statuses["complete"].as_u64() > Some(0), "{statuses}");
    // Texts, ids, names and messages are data: JSON that no browser takes for a page.
    for (item, row) in rows.iter().enumerate() {
        let shown = viewed.json(&format!("/api/item/{item}"));
        assert_eq!(shown["id"], row["id"]);
    }
    let wrong = viewed.get(&format!("/api/list?status={}", encoded(evil)));
    assert_eq!((wrong.status, wrong.headers.contains("content-type: text/plain")), (400, true), "{}", wrong.headers);
    assert!(wrong.headers.contains("x-content-type-options: nosniff"));
    for script in ["/page.js", "/pairs.js", "/run.js"] {
        let script = viewed.get(script).body;
        for markup in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function"] {
            assert!(!script.contains(markup), "{markup} makes markup or code of data");
        }
    }
}

#[test]
fn conversations_are_searched_and_filtered_in_any_script() {
    let place = Place::new();
    let words = ["The Harbour is open", "港は開いている", "항구가 열려 있다", "港口已经开放", "Der Hafen ist geöffnet"];
    let mut rows: Vec<Value> = words
        .iter()
        .enumerate()
        .map(|(row, words)| {
            json!({"id": format!("w{row}"), "messages": [{"role": "user", "content": format!("{words}?")},
            {"role": "assistant", "content": format!("old zebra {row}")}]})
        })
        .collect();
    rows.extend((0..300).map(|row| conversation(&format!("r{row}"), 1 + row % 3)));
    simulated(&place, &rows);
    let viewed = Viewed::start(&place, &ASKED);
    viewed.wait();
    for (text, id) in [("HARBOUR", "w0"), ("開いて", "w1"), ("열려", "w2"), ("口", "w3"), ("GEÖFFNET", "w4")] {
        assert_eq!(viewed.ids(&format!("text={}", encoded(text))), [id], "{text}");
        assert_eq!(viewed.ids(&format!("text={}&in=old", encoded(text))), [""; 0], "{text}");
    }
    assert_eq!(viewed.ids("text=zebra+3&in=old"), ["w3"]);
    let answer = place.rows("out.jsonl")[7]["messages"][1]["content"].as_str().unwrap().to_owned();
    assert!(viewed.ids(&format!("in=new&text={}", encoded(&answer))).contains(&"r2".to_owned()), "{answer}");
    // Every part of the list, in the order of the rows.
    let (mut all, mut from) = (Vec::new(), 0);
    loop {
        let part = viewed.json(&format!("/api/list?turns-min=3&limit=40&from={from}"));
        assert_eq!(part["total"], 100);
        all.extend(part["items"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap().to_owned()));
        let Some(next) = part["next"].as_u64() else { break };
        from = next;
    }
    let wanted: Vec<String> = (0..300).filter(|row| row % 3 == 2).map(|row| format!("r{row}")).collect();
    assert_eq!(all, wanted);
    assert_eq!(viewed.json("/api/counts")["status"], json!({"complete": 305}));
    let saved = viewed.get("/api/save?as=ids&turns-min=3");
    assert_eq!(saved.body.lines().collect::<Vec<_>>(), wanted);
    let lines = viewed.get("/api/save?text=zebra&as=jsonl").body;
    let first: Value = serde_json::from_str(lines.lines().next().unwrap()).unwrap();
    assert_eq!((lines.lines().count(), &first["id"]), (5, &json!("w0")));
    let key = first["key"].as_str().unwrap();
    for name in ["w3", "r17"] {
        let item = viewed.json(&format!("/api/find?name={name}"));
        assert_eq!(viewed.json(&format!("/api/item/{item}"))["id"], name);
    }
    assert_eq!(viewed.json(&format!("/api/find?name={}", &key[..10])), 0);
    assert_eq!(viewed.json("/api/find?name=nobody"), Value::Null);
    assert_eq!(viewed.get("/api/item/999").status, 404);
}

#[test]
fn a_run_starts_and_works_while_the_page_follows_it() {
    let (place, server) = (Place::new(), MockServer::start(&["--latency", "30"]));
    let rows: Vec<Value> = (0..40).map(|row| conversation(&format!("{row}"), 4)).collect();
    place.write("in.jsonl", jsonl(&rows));
    let model = server.model();
    let common = ["in.jsonl", "--teacher", &model, "-o", "out.jsonl"];
    let short = [&["distill"], &common[..], &["--limit", "5"]].concat();
    place.complete(&short);
    let viewed = Viewed::start(&place, &["--input", "in.jsonl", "--teacher", &model]);
    viewed.wait();
    let answered = || {
        let list = viewed.json("/api/list?limit=200");
        list["items"].as_array().unwrap().iter().map(|item| item["answered"].as_u64().unwrap()).sum::<u64>()
    };
    assert_eq!(answered(), 20);
    let mut run = place.command(&["distill"]);
    let mut run = run.args(common).args(["--concurrency", "4"]).stderr(Stdio::null()).spawn().unwrap();
    let mut seen = Vec::new();
    while run.try_wait().unwrap().is_none() {
        seen.push(answered());
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(run.wait().unwrap().code(), Some(0), "a page is no reason not to run");
    assert!(seen.iter().any(|answered| (21..160).contains(answered)), "nothing is seen during the run: {seen:?}");
    viewed.wait();
    for _ in 0..100 {
        if answered() == 160 {
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(answered(), 160);
}

#[test]
fn index_and_journal_are_never_written_and_the_derived_index_may_be_deleted() {
    let place = Place::new();
    simulated(&place, &(0..30).map(|row| conversation(&format!("{row}"), 2)).collect::<Vec<_>>());
    let contents = || {
        let files = ["journal", "index", "index.state"].map(|name| place.path(&format!(".cohobate/{name}")));
        let files = files.iter().flat_map(|path| if path.is_dir() { files_below(path) } else { vec![path.clone()] });
        files.map(|path| (path.clone(), std::fs::read(path).unwrap())).collect::<Vec<_>>()
    };
    let before = contents();
    for _ in 0..2 {
        let viewed = Viewed::start(&place, &ASKED);
        viewed.wait();
        assert_eq!(viewed.ids("text=violin&limit=99").len(), 30);
        assert!(place.path(".cohobate/view").is_dir());
        // A second page has an index of its own.
        let second = Viewed::start(&place, &ASKED);
        second.wait();
        assert_eq!(second.ids("text=violin&limit=99").len(), 30);
        drop((viewed, second));
        std::fs::remove_dir_all(place.path(".cohobate/view")).unwrap();
    }
    assert!(contents() == before, "the store was written to");
}

#[test]
fn a_missing_input_is_named_and_the_answers_are_shown_without_it() {
    let place = Place::new();
    simulated(&place, &(0..10).map(|row| conversation(&format!("{row}"), 2)).collect::<Vec<_>>());
    std::fs::remove_file(place.path("in.jsonl")).unwrap();
    let viewed = Viewed::start(&place, &ASKED);
    viewed.wait();
    assert!(viewed.json("/api/about")["missing"].as_str().unwrap().contains("in.jsonl"));
    let list = viewed.json("/api/list");
    assert_eq!(list["total"], 10);
    assert!(list["items"].as_array().unwrap().iter().all(|item| item["is_without_row"] == true));
    let shown = viewed.json("/api/item/3");
    assert_eq!(shown["turns"][0]["said"], json!([]));
    assert!(shown["unavailable"].as_str().unwrap().contains("in.jsonl"), "{shown}");
    assert!(!shown["turns"][1]["answers"][0]["pieces"][0]["text"].as_str().unwrap().is_empty());
}

#[test]
fn a_repaired_journal_is_read_again() {
    let place = Place::new();
    simulated(&place, &(0..20).map(|row| conversation(&format!("{row}"), 2)).collect::<Vec<_>>());
    let viewed = Viewed::start(&place, &ASKED);
    viewed.wait();
    drop(viewed);
    let journal = place.path(".cohobate/journal/00000001.journal");
    let mut bytes = std::fs::read(&journal).unwrap();
    // Long enough for a whole frame with an answer.
    let middle = bytes.len() / 2;
    bytes[middle..middle + 900].fill(b'!');
    std::fs::write(&journal, bytes).unwrap();
    finish(&mut place.command(&["verify", "--repair"]));
    let viewed = Viewed::start(&place, &ASKED);
    viewed.wait();
    let counts = viewed.json("/api/counts");
    let (open, complete) = (counts["status"]["open"].as_u64().unwrap(), counts["status"]["complete"].as_u64().unwrap());
    finish(&mut place.command(&["export", "in.jsonl", "--teacher", "simulated", "-o", "again.jsonl"]));
    assert!(open > 0, "no answer was lost: {counts}");
    assert_eq!((open + complete, complete), (20, place.rows("again.jsonl").len() as u64), "{counts}");
}

/// Says something of a pair as the page does, or as another site would.
fn judge(viewed: &Viewed, pair: u64, said: &str, origin: &str) -> Reply {
    let headers = [("Cookie", viewed.cookie.as_str()), ("Origin", origin), ("Content-Type", "application/json")];
    let body = json!({"said": said}).to_string();
    viewed.send_body("POST", &format!("/api/pair/{pair}"), &viewed.host(), &headers, &body)
}

#[test]
fn pairs_are_judged_blind_and_agreement_reads_the_votes() {
    let place = Place::new();
    let rows: Vec<Value> = (0..12).map(|row| conversation(&format!("row, {row}"), 2)).collect();
    place.write("in.jsonl", jsonl(&rows));
    let compare = ["compare", "in.jsonl", "--a=simulated-x", "--b=simulated-y", "--judge=simulated", "-o=out"];
    place.complete(&compare);
    let viewed = Viewed::start(&place, &["out"]);
    viewed.wait();
    let own = format!("http://{}", viewed.host());
    assert_eq!(viewed.json("/api/about")["pairs"], 24);
    assert_eq!(viewed.json("/api/list")["total"], 24, "the answers of both systems are shown too");
    let answers = ["x", "y"].map(|name| place.rows(&format!("out/answers-simulated-{name}.jsonl")));
    let text = |pieces: &Value| -> String {
        pieces.as_array().unwrap().iter().map(|piece| piece["text"].as_str().unwrap()).collect()
    };
    let mut firsts = Vec::new();
    for pair in 0..24 {
        let blind = viewed.get(&format!("/api/pair/{pair}")).body;
        assert!(!blind.contains("simulated-"), "the page knows whose answer it is: {blind}");
        let blind: Value = serde_json::from_str(&blind).unwrap();
        assert_eq!((&blind["revealed"], &blind["said"]), (&Value::Null, &Value::Null));
        let said = ["left", "right", "tie", "skip"][pair as usize % 4];
        for origin in ["http://evil.example", "null"] {
            assert_eq!(judge(&viewed, pair, said, origin).status, 403);
        }
        assert_eq!(viewed.json(&format!("/api/pair/{pair}"))["said"], Value::Null, "a foreign site votes");
        let judged = judge(&viewed, pair, said, &own);
        assert_eq!(judged.status, 200, "{}", judged.body);
        let judged: Value = serde_json::from_str(&judged.body).unwrap();
        let names = judged["revealed"]["names"].as_array().unwrap();
        let words = judged["revealed"]["words"].as_array().unwrap();
        assert!(words.iter().all(|words| words.as_str().is_some_and(|words| words.contains("[["))), "{judged}");
        firsts.push(names[0].clone());
        // What was called left is the answer of the system that is named first.
        let (id, turn) = (&blind["id"], blind["turn"].as_u64().unwrap() as usize);
        for side in 0..2 {
            let file = &answers[usize::from(names[side] == "simulated-y")];
            let row = file.iter().find(|row| row["id"] == *id).unwrap();
            assert_eq!(
                text(&blind["sides"][side]["answer"]),
                row["messages"][2 * turn - 1]["content"].as_str().unwrap()
            );
        }
        // Saved before the reply.
        let votes = place.read("out/human-votes.csv");
        assert_eq!(votes.lines().count() as u64, pair + 2, "{votes}");
        let line = votes.lines().find(|line| line.contains(&format!("\"{}\",{turn},", id.as_str().unwrap()))).unwrap();
        let winner = match said {
            "skip" => "open".to_owned(),
            "tie" => "tie".to_owned(),
            said => {
                let name = &names[usize::from(said == "right")];
                if *name == "simulated-x" { "model_a".to_owned() } else { "model_b".to_owned() }
            }
        };
        assert!(line.ends_with(&format!("simulated-x,simulated-y,{winner},person")), "{said}: {line}");
    }
    firsts.sort_by_key(Value::to_string);
    firsts.dedup();
    assert_eq!(firsts.len(), 2, "one system is always on the left");
    assert_eq!(judge(&viewed, 99, "tie", &own).status, 404);
    assert_eq!(judge(&viewed, 0, "best", &own).status, 400);
    // Said again, it counts once.
    judge(&viewed, 3, "tie", &own);
    drop(viewed);
    let viewed = Viewed::start(&place, &["out"]);
    assert_eq!(viewed.json("/api/pair/3")["said"], "tie");
    let list = viewed.json("/api/pairs");
    assert_eq!((&list["total"], &list["judged"], &list["first_open"]), (&json!(24), &json!(19), &Value::Null));
    let agreement =
        place.complete(&["agreement", "--judge", "out/verdicts.jsonl", "--human", "out/human-votes.csv", "--json"]);
    let agreement: Value = serde_json::from_str(&agreement.stdout).unwrap();
    assert!(agreement.to_string().contains("19"), "{agreement}");
    place.complete(&[&compare[..], &["--human", "out/human-votes.csv"]].concat());
}

#[test]
fn rows_that_jobs_have_written_are_shown() {
    let place = Place::new();
    let rows: Vec<Value> = (0..6).map(|row| conversation(&format!("r{row}"), 2)).collect();
    place.write("in.jsonl", jsonl(&rows));
    place.complete(&["evaluate", "in.jsonl", "--judge=simulated", "-o=scores.jsonl"]);
    place.run(&["simulate", "in.jsonl", "--teacher=simulated", "--user=simulated-user", "--turns=3", "-o=grown.jsonl"]);
    let tutor = ["tutor", "in.jsonl", "--student=simulated-student", "--teacher=simulated", "-o=tutored"];
    place.run(&tutor);
    let scored = Viewed::start(&place, &["scores.jsonl"]);
    scored.wait();
    let (list, shown) = (scored.json("/api/list"), scored.json("/api/item/2"));
    assert_eq!((&list["total"], &shown["id"]), (&json!(6), &json!("r2")));
    let (score, written) = (&list["items"][2]["score"], &place.rows("scores.jsonl")[2]["meta"]["judge"]["score"]);
    assert!((score.as_f64().unwrap() - written.as_f64().unwrap()).abs() < 1e-4, "{score} {written}");
    let judged = &shown["turns"][1]["answers"][0]["judged"][0];
    assert!(judged["title"].as_str().unwrap().starts_with("score "), "{shown}");
    let grown = Viewed::start(&place, &["grown.jsonl"]);
    grown.wait();
    let written = &place.rows("grown.jsonl")[0];
    let shown = grown.json("/api/item/0");
    let turns = shown["turns"].as_array().unwrap();
    assert_eq!(turns.len(), written["meta"]["turns"].as_array().unwrap().len());
    assert_eq!(turns[2]["answers"][0]["origin"]["model"], written["meta"]["turns"][2]["model"]);
    assert!(shown["columns"]["user_moves"].is_array());
    let tutored = Viewed::start(&place, &["tutored"]);
    tutored.wait();
    assert!(tutored.json("/api/list")["total"].as_u64() > Some(0));
    assert!(!place.exists("tutored/view"), "an output is not written to");
}

#[test]
fn what_a_filter_found_is_marked_in_the_rows_that_it_wrote() {
    let place = Place::new();
    let said = |role: &str, text: &str| json!({"role": role, "content": text});
    let refusal = "I'm sorry, but I can't help with that. Ask the harbor.";
    let messages = [
        said("user", "Where is it?"),
        said("assistant", refusal),
        said("user", "So?"),
        said("assistant", "In the north."),
    ];
    place.write("in.jsonl", jsonl(&[json!({"id": "one", "messages": messages})]));
    place.complete(&["filter", "in.jsonl", "-o=all.jsonl", "--annotate"]);
    let viewed = Viewed::start(&place, &["all.jsonl"]);
    viewed.wait();
    let turns = &viewed.json("/api/item/0")["turns"];
    let answer = &turns[0]["answers"][0];
    assert_eq!(answer["flags"], json!(["refusal"]));
    let pieces = [
        json!({"mark": "found", "text": "I'm sorry, but I can't help with that."}),
        json!({"mark": "same", "text": " Ask the harbor."}),
    ];
    assert_eq!(answer["pieces"], json!(pieces));
    assert_eq!(
        (&turns[1]["answers"][0]["flags"], turns[1]["answers"][0]["pieces"].as_array().unwrap().len()),
        (&json!([]), 1)
    );
    assert_eq!(viewed.json("/api/list?flag=refusal")["total"], 1);
}
