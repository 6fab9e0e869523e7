//! `hf://` as input, from a server that answers as the Hub does. The Python package's tests have the whole Hub.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use ring::digest::{SHA256, digest};
use serde_json::{Value, json};

use crate::support::{Finished, Place, conversation, finish, jsonl};

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
const TOKEN: &str = "hf_token_of_a_test";

/// A dataset of one large file, its list and its one redirect to another host.
struct Hub {
    address: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

/// What came with a request.
#[derive(Clone, Debug)]
struct Asked {
    host: String,
    path: String,
    range: Option<String>,
    token: bool,
}

impl Hub {
    /// Serves these rows. Each of the `cuts` ends one download after that many bytes.
    fn start(rows: &str, cuts: &[usize]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, asked) = (listener.local_addr().unwrap().to_string(), Arc::new(Mutex::new(Vec::new())));
        let (log, rows, cuts) = (Arc::clone(&asked), rows.to_owned(), Arc::new(Mutex::new(cuts.to_vec())));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (log, rows, cuts) = (Arc::clone(&log), rows.clone(), Arc::clone(&cuts));
                std::thread::spawn(move || serve(stream.unwrap(), &rows, &log, &cuts));
            }
        });
        Self { address, asked }
    }

    fn run(&self, place: &Place, arguments: &[&str]) -> Finished {
        let mut command = place.command(arguments);
        command.env("HF_ENDPOINT", format!("http://{}", self.address)).env("HF_TOKEN", TOKEN);
        command.env("HF_HUB_CACHE", place.path("cache")).env("NO_PROXY", "127.0.0.1,localhost");
        finish(&mut command)
    }

    fn asked(&self, part: &str) -> Vec<Asked> {
        self.asked.lock().unwrap().iter().filter(|asked| asked.path.contains(part)).cloned().collect()
    }
}

fn serve(mut stream: TcpStream, rows: &str, log: &Mutex<Vec<Asked>>, cuts: &Mutex<Vec<usize>>) {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
    let first = lines.next().unwrap().unwrap();
    let head: Vec<String> = lines.map_while(Result::ok).take_while(|line| !line.is_empty()).collect();
    let header = |name: &str| {
        let value = |line: &String| {
            Some(line.split_once(": ").filter(|(given, _)| given.eq_ignore_ascii_case(name))?.1.to_owned())
        };
        head.iter().find_map(value)
    };
    let (host, path, range) = (header("host").unwrap(), first.split(' ').nth(1).unwrap().to_owned(), header("range"));
    let token = header("authorization").is_some_and(|value| value == format!("Bearer {TOKEN}"));
    log.lock().unwrap().push(Asked { host: host.clone(), path: path.clone(), range: range.clone(), token });
    let mut reply = |status: &str, headers: &str, body: &[u8], sent: usize| {
        let head = format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\nConnection: close\r\n\r\n", body.len());
        let _ = stream.write_all(&[head.as_bytes(), &body[..sent.min(body.len())]].concat());
    };
    if path.starts_with("/api/datasets/o/n/revision/") {
        reply("200 OK", "", json!({"sha": COMMIT}).to_string().as_bytes(), usize::MAX);
    } else if path.starts_with("/api/datasets/o/n/tree/") {
        let hash = hex(digest(&SHA256, rows.as_bytes()).as_ref());
        let large = json!({"oid": hash, "size": rows.len(), "pointerSize": 130});
        let file = json!({"type": "file", "path": "data/train.jsonl", "oid": COMMIT, "size": rows.len(), "lfs": large});
        reply("200 OK", "", json!([file]).to_string().as_bytes(), usize::MAX);
    } else if path.starts_with("/datasets/o/n/resolve/") {
        let port = host.rsplit(':').next().unwrap();
        reply("302 Found", &format!("Location: http://localhost:{port}/cdn?signature=s3cret\r\n"), b"", 0);
    } else if path.starts_with("/cdn") {
        let from: usize = range.map_or(0, |range| range[6..].trim_end_matches('-').parse().unwrap());
        let cut = cuts.lock().unwrap().pop().unwrap_or(usize::MAX);
        let (status, range) = match from {
            0 => ("200 OK", String::new()),
            from => {
                ("206 Partial Content", format!("Content-Range: bytes {from}-{}/{}\r\n", rows.len() - 1, rows.len()))
            }
        };
        reply(status, &range, &rows.as_bytes()[from..], cut);
    } else {
        reply("404 Not Found", "X-Error-Code: RepoNotFound\r\n", b"{\"error\": \"Repository not found\"}", usize::MAX);
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

fn rows(count: usize) -> String {
    let rows: Vec<Value> = (0..count).map(|row| conversation(&format!("tides {row}"), 1)).collect();
    jsonl(&rows)
}

const DISTIL: [&str; 6] = ["distill", "hf://datasets/o/n", "--teacher", "simulated", "--progress", "json"];

#[test]
fn a_dataset_is_downloaded_once_and_its_commit_is_in_the_run_log() {
    let (place, hub) = (Place::new(), Hub::start(&rows(20), &[]));
    let first = hub.run(&place, &DISTIL);
    assert_eq!(first.code, Some(0), "{}", first.stderr);
    assert_eq!(place.rows("distilled.jsonl").len(), 20);
    assert!(place.read(".cohobate/runs/runs.jsonl").contains(&format!("hf://datasets/o/n@{COMMIT}/data/train.jsonl")));
    let again = hub.run(&place, &DISTIL);
    assert_eq!((again.summary()["reused"].as_u64(), hub.asked("/cdn").len()), (Some(20), 1));
    // The list of a commit never changes.
    assert_eq!((hub.asked("/tree/").len(), hub.asked("/revision/").len()), (1, 2));
}

#[test]
fn the_token_stays_with_the_hub_and_no_signature_is_shown() {
    let (place, hub) = (Place::new(), Hub::start(&rows(3), &[]));
    let done = hub.run(&place, &DISTIL);
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    let (own, other) = (hub.asked("datasets"), hub.asked("/cdn"));
    assert!(own.len() >= 3 && own.iter().all(|asked| asked.token && asked.host == hub.address), "{own:?}");
    assert!(other.len() == 1 && !other[0].token && other[0].host.starts_with("localhost:"), "{other:?}");
    let wrong = hub.run(&place, &["inspect", "hf://datasets/o/other"]);
    assert_eq!(wrong.code, Some(2));
    for said in [done.stderr, wrong.stderr, place.read(".cohobate/runs/runs.jsonl")] {
        assert!(!said.contains(TOKEN) && !said.contains("s3cret"), "{said}");
    }
}

#[test]
fn a_download_that_breaks_off_continues_where_it_was() {
    let text = rows(2_000);
    let (place, hub) = (Place::new(), Hub::start(&text, &[30_000, 50_000]));
    let done = hub.run(&place, &["inspect", "hf://datasets/o/n", "--json"]);
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    assert_eq!(serde_json::from_str::<Value>(&done.stdout).unwrap()["rows"], 2_000);
    let ranges: Vec<Option<String>> = hub.asked("/cdn").into_iter().map(|asked| asked.range).collect();
    assert_eq!(ranges, [None, Some("bytes=50000-".to_owned()), Some("bytes=80000-".to_owned())]);
    let blob = place.path("cache/datasets--o--n/blobs").join(hex(digest(&SHA256, text.as_bytes()).as_ref()));
    assert_eq!(std::fs::read_to_string(blob).unwrap(), text);
}

#[test]
fn an_output_on_the_hub_is_refused_with_the_way_there() {
    let place = Place::with_conversations(1, 1);
    for arguments in [
        &["distill", "in.jsonl", "--teacher", "simulated", "-o", "hf://datasets/o/n"][..],
        &["convert", "in.jsonl", "-o", "hf://datasets/o/n"],
        &["compare", "--answers", "in.jsonl", "in.jsonl", "--judge", "simulated", "-o", "hf://datasets/o/n"],
    ] {
        let refused = place.run(arguments);
        assert!(refused.code == Some(2) && refused.stderr.contains("push_to_hub"), "{}", refused.stderr);
    }
    assert!(!place.exists("hf:"));
}
