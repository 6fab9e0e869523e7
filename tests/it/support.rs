//! What the tests share: the real binary, a mock server, small datasets, conversations in memory.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use cohobate::conversation::{Columns, Message, Role, Sampling, Seed, Target, ToolCall, ToolSet, Turn};
use cohobate::model::{PROVIDER_KEYS, Simulated};
use cohobate::store::{Entry, MemoryStore, Store, StoreError};
use cohobate::worker::Seeds;
use serde_json::{Value, json};

/// A folder of its own for a test, with the program ready to run in it.
pub struct Place {
    directory: tempfile::TempDir,
}

/// What a finished command left.
#[derive(Debug)]
pub struct Finished {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Finished {
    /// Returns the summary among the events of `--progress json`.
    pub fn summary(&self) -> Value {
        let events = rows(&self.stderr);
        events.into_iter().find(|event| event["event"] == "summary").unwrap_or_else(|| panic!("{self:?}"))
    }
}

impl Place {
    pub fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    /// A folder with `in.jsonl`: this many conversations of this many turns.
    pub fn with_conversations(rows: usize, turns: usize) -> Self {
        let place = Self::new();
        let rows: Vec<Value> = (0..rows).map(|row| conversation(&format!("kites {row}"), turns)).collect();
        place.write("in.jsonl", jsonl(&rows));
        place
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    pub fn exists(&self, name: &str) -> bool {
        self.path(name).exists()
    }

    pub fn rows(&self, name: &str) -> Vec<Value> {
        rows(&self.read(name))
    }

    /// The program, ready to run here, with no key in its environment.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cohobate"));
        command.current_dir(self.directory.path()).args(arguments);
        command.env_remove("COHOBATE_API_KEY").env("NO_PROXY", "127.0.0.1").env("XDG_STATE_HOME", self.path("state"));
        for (_, variable) in PROVIDER_KEYS {
            command.env_remove(variable);
        }
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Finished {
        finish(&mut self.command(arguments))
    }

    /// Runs something and kills it once `server` has had so many requests; true where it was still running.
    pub fn kill_at(&self, arguments: &[&str], server: &MockServer, requests: u64) -> bool {
        let mut child = self.command(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        while server.count("requests") < requests && child.try_wait().unwrap().is_none() {
            std::thread::sleep(std::time::Duration::from_micros(300));
        }
        let was_running = child.try_wait().unwrap().is_none();
        child.kill().unwrap();
        child.wait().unwrap();
        was_running
    }

    /// Runs what must succeed.
    pub fn complete(&self, arguments: &[&str]) -> Finished {
        let finished = self.run(arguments);
        assert_eq!(finished.code, Some(0), "{arguments:?}\n{}", finished.stderr);
        finished
    }
}

pub fn finish(command: &mut Command) -> Finished {
    let output = command.stdin(Stdio::null()).output().unwrap();
    Finished {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

pub fn rows(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// A mock server in a process of its own.
pub struct MockServer {
    child: Child,
    pub address: String,
}

impl MockServer {
    pub fn start(arguments: &[&str]) -> Self {
        Self::start_at(0, arguments)
    }

    pub fn start_at(port: u16, arguments: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cohobate"));
        command
            .args(["mock", "--port", &port.to_string()])
            .args(arguments)
            .stderr(Stdio::piped())
            .stdout(Stdio::null());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stderr.as_mut().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("listening on http://").and_then(|rest| rest.strip_suffix("/v1"));
        let address = address.unwrap_or_else(|| panic!("the mock said {line:?}")).to_owned();
        Self { child, address }
    }

    /// The model reference of a model called `sim` on this server.
    pub fn model(&self) -> String {
        format!("sim@http://{}", self.address)
    }

    pub fn stats(&self) -> Value {
        serde_json::from_str(&self.get("/stats")).unwrap()
    }

    pub fn count(&self, name: &str) -> u64 {
        self.stats()[name].as_u64().unwrap()
    }

    pub fn get(&self, path: &str) -> String {
        self.request("GET", path)
    }

    /// Starts the most requests in flight over.
    pub fn reset_peak(&self) {
        self.request("POST", "/stats/peak");
    }

    fn request(&self, method: &str, path: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        write!(stream, "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.address).unwrap();
        let mut reply = String::new();
        stream.read_to_string(&mut reply).unwrap();
        reply.split_once("\r\n\r\n").unwrap().1.to_owned()
    }
}

impl Drop for MockServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Passes everything on to a server and keeps what was sent.
pub fn recorder(server: &MockServer) -> (String, Arc<Mutex<Vec<Vec<u8>>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let model = format!("sim@http://{}", listener.local_addr().unwrap());
    let (address, sent) = (server.address.clone(), Arc::new(Mutex::new(Vec::new())));
    let kept = Arc::clone(&sent);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut client, mut server) = (stream.unwrap(), TcpStream::connect(&address).unwrap());
            let (mut back, mut forth) = (server.try_clone().unwrap(), client.try_clone().unwrap());
            std::thread::spawn(move || drop(std::io::copy(&mut back, &mut forth)));
            let number = {
                let mut kept = kept.lock().unwrap();
                kept.push(Vec::new());
                kept.len() - 1
            };
            let kept = Arc::clone(&kept);
            std::thread::spawn(move || {
                let mut buffer = [0; 8192];
                while let Some(read) = client.read(&mut buffer).ok().filter(|read| *read > 0) {
                    kept.lock().unwrap()[number].extend_from_slice(&buffer[..read]);
                    if server.write_all(&buffer[..read]).is_err() {
                        break;
                    }
                }
                let _ = server.shutdown(Shutdown::Write);
            });
        }
    });
    (model, sent)
}

/// The messages of every request in what was sent over a connection.
pub fn requests(sent: &[u8]) -> Vec<Value> {
    let (text, mut found) = (String::from_utf8(sent.to_vec()).unwrap(), Vec::new());
    let mut rest = text.as_str();
    while let Some((head, behind)) = rest.split_once("\r\n\r\n") {
        let lower = head.to_lowercase();
        let length = lower
            .split("content-length: ")
            .nth(1)
            .map_or(0, |rest| rest.split("\r\n").next().unwrap().parse::<usize>().unwrap());
        let body: Value = serde_json::from_str(&behind[..length]).unwrap();
        found.push(body["messages"].clone());
        rest = &behind[length..];
    }
    found
}

/// A conversation in `OpenAI`'s shape whose words depend on `name` alone.
pub fn conversation(name: &str, turn_count: usize) -> Value {
    let messages: Vec<Value> = (0..turn_count)
        .flat_map(|turn| {
            let question = format!("What about {name}, part {turn}? Please consider window, harbor and violin.");
            [json!({"role": "user", "content": question}), json!({"role": "assistant", "content": "An old answer."})]
        })
        .collect();
    json!({"id": name, "messages": messages})
}

pub fn jsonl(rows: &[Value]) -> String {
    rows.iter().fold(String::new(), |mut text, row| {
        writeln!(text, "{row}").unwrap();
        text
    })
}

/// Returns the source files: the path inside `src/`, and the text.
pub fn source_files() -> BTreeMap<String, String> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let files = files_below(&src).into_iter().filter(|path| path.extension().is_some_and(|ending| ending == "rs"));
    let inside = |path: &Path| path.strip_prefix(&src).unwrap().to_str().unwrap().to_owned();
    files.map(|path| (inside(&path), fs::read_to_string(&path).unwrap())).collect()
}

/// Returns every file below a directory.
pub fn files_below(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect()
}

/// Copies a directory with everything in it.
pub fn copy_directory(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(|entry| entry.unwrap().path()) {
        let target = to.join(entry.file_name().unwrap());
        // Files of a database that is at work come and go.
        if entry.is_dir() { copy_directory(&entry, &target) } else { drop(fs::copy(&entry, &target)) }
    }
}

/// Real datasets, where they lie beside the checkout.
pub fn shared_data(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data").join(name);
    if path.exists() {
        return Some(path);
    }
    println!("skipped: {} is not here", path.display());
    None
}

pub fn target() -> Arc<Target> {
    Target::new("simulated", Simulated::DIALECT, Sampling::default())
}

/// A seed that says these words, turn by turn.
pub fn seed(id: &str, words: &[String]) -> Seed {
    let turn = |text: &String| Turn {
        messages: vec![Message::new(Role::User, text.clone())],
        replaced: None,
        given: Vec::new(),
        follows: Vec::new(),
        ends_in_calls: false,
    };
    Seed {
        id: id.to_owned(),
        turns: words.iter().map(turn).collect(),
        tools: None,
        columns: Columns::new(),
        counts_replaced: false,
        criteria: Vec::new(),
    }
}

/// A seed whose users say these words, and ask for calls to tools in some of them, as they follow each word's own plan. The
/// simulated model makes most of these calls.
pub fn tool_seed(id: &str, words: &[String]) -> Seed {
    let plan = |word: &str| -> &'static [&'static [(&'static str, &'static str)]] {
        match word {
            "a" => &[&[("tide", r#"{"at":1}"#)]],
            "b" => &[&[("tide", r#"{"at":2}"#), ("wind", "{}")], &[("tide", r#"{"at":3}"#)]],
            _ => &[],
        }
    };
    let mut made = seed(id, &[]);
    let mut count = 0;
    for word in words {
        let quote = |step: &&[(&str, &str)]| {
            step.iter().map(|(name, arguments)| format!("call {name} {arguments}")).collect::<Vec<_>>().join(" and ")
        };
        let steps = plan(word);
        let text = format!("{word} {}", steps.iter().map(quote).collect::<Vec<_>>().join(" then "));
        made.turns.extend(seed(id, &[text]).turns);
        for step in steps {
            let calls: Vec<ToolCall> = step
                .iter()
                .map(|(name, arguments)| {
                    count += 1;
                    let arguments = (*arguments).to_owned();
                    ToolCall { id: format!("c{count}"), name: (*name).to_owned(), arguments }
                })
                .collect();
            let result = |call: &ToolCall| {
                let fields = Columns::from_iter([("tool_call_id".to_owned(), call.id.as_str().into())]);
                Message::with_fields(Role::Tool, result_of(call), fields)
            };
            let messages = calls.iter().map(result).collect();
            made.turns.push(Turn { messages, replaced: None, given: Vec::new(), follows: calls, ends_in_calls: false });
        }
    }
    let tools = ["tide", "wind"].map(|name| json!({"type": "function", "function": {"name": name}}));
    Seed { tools: Some(ToolSet::new(tools.to_vec())), ..made }
}

/// A row with calls to tools, in the form of the dataset's files: two at once and one after them, then words.
pub fn conversation_with_calls(number: usize) -> Value {
    let call = |id: &str, name: &str, arguments: Value| json!({"id": id, "type": "function", "function": {"name": name, "arguments": arguments.to_string()}});
    let (at, next) = (json!({"at": number}), json!({"at": number + 1}));
    let said = format!("Please call tide {at} and call wind {{}} then call tide {next}");
    let tools = ["tide", "wind"].map(|name| json!({"type": "function", "function": {"name": name, "parameters": {"type": "object", "properties": {}}}}));
    json!({"id": format!("row {number}"), "tools": tools, "messages": [
        {"role": "user", "content": format!("What about kite {number}?")},
        {"role": "assistant", "content": "It flies."},
        {"role": "user", "content": said},
        {"role": "assistant", "content": null, "tool_calls": [call("c1", "wind", json!({})), call("c2", "tide", at)]},
        {"role": "tool", "tool_call_id": "c1", "content": "4 Bft"},
        {"role": "tool", "tool_call_id": "c2", "content": "3 m"},
        {"role": "assistant", "content": null, "tool_calls": [call("c3", "tide", next)]},
        {"role": "tool", "tool_call_id": "c3", "content": "5 m"},
        {"role": "assistant", "content": "It is 5 m."},
        {"role": "user", "content": "Thank you for that."},
        {"role": "assistant", "content": "You are welcome."},
    ]})
}

/// The result that a call has in [`tool_seed`]: it says of which call it is.
pub fn result_of(call: &ToolCall) -> String {
    format!("result of {} {}", call.name, call.canonical_arguments().unwrap_or_default())
}

/// Conversations in memory.
pub struct SeedList(pub Vec<Seed>);

impl Seeds for SeedList {
    fn seed(&self, row: u64) -> Result<Seed, String> {
        self.0.get(row as usize).cloned().ok_or_else(|| "there is no such row".to_owned())
    }
}

/// A store that fails at a chosen entry, having kept it or not. The entries before it are kept either way.
pub struct CrashingStore {
    inner: Arc<MemoryStore>,
    entries_left: Mutex<Option<u64>>,
    keeps_the_last: bool,
}

impl CrashingStore {
    pub fn new(inner: Arc<MemoryStore>, crash_after: Option<u64>, keeps_the_last: bool) -> Self {
        Self { inner, entries_left: Mutex::new(crash_after), keeps_the_last }
    }
}

impl Store for CrashingStore {
    fn commit(&self, entries: Vec<Entry>) -> Result<(), StoreError> {
        let mut left = self.entries_left.lock().unwrap();
        for entry in entries {
            let crashes = *left == Some(0);
            if !crashes || self.keeps_the_last {
                self.inner.commit(vec![entry])?;
            }
            if crashes {
                return Err(StoreError::Poisoned);
            }
            *left = left.map(|left| left - 1);
        }
        Ok(())
    }
}

/// Has a store answer from the one in its field `inner`.
macro_rules! reads_inner {
    ($store:ty) => {
        impl cohobate::store::Reader for $store {
            fn answer(
                &self,
                fingerprint: &cohobate::conversation::Fingerprint,
            ) -> Result<Option<cohobate::store::Stored>, cohobate::store::StoreError> {
                self.inner.answer(fingerprint)
            }
            fn state(
                &self,
                key: &cohobate::conversation::ConversationKey,
            ) -> Result<Option<cohobate::store::ConversationState>, cohobate::store::StoreError> {
                self.inner.state(key)
            }
            fn for_each_state(
                &self,
                visit: &mut dyn FnMut(cohobate::conversation::ConversationKey, cohobate::store::ConversationState),
            ) -> Result<(), cohobate::store::StoreError> {
                self.inner.for_each_state(visit)
            }
            fn runs(&self) -> Result<Vec<cohobate::store::Run>, cohobate::store::StoreError> {
                self.inner.runs()
            }
            fn lost(
                &self,
                fingerprint: &cohobate::conversation::Fingerprint,
            ) -> Result<cohobate::store::LostCalls, cohobate::store::StoreError> {
                self.inner.lost(fingerprint)
            }
            fn spending(&self) -> Result<cohobate::store::Spending, cohobate::store::StoreError> {
                self.inner.spending()
            }
        }
    };
}
pub(crate) use reads_inner;
reads_inner!(CrashingStore);

/// Arguments that distil `in.jsonl` into `out.jsonl`, each answer in one piece.
pub fn distill_whole<'a>(model: &'a str, options: &[&'a str]) -> Vec<&'a str> {
    [&["distill", "in.jsonl", "-o", "out.jsonl", "--teacher", model, "--stream", "false"], options].concat()
}

/// Runs a script of an official Python client against the mock server; skipped where the package is not installed.
pub fn run_python_client(package: &str, script: &str, path: &str) {
    let python = std::env::var("COHOBATE_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let import = format!("import {package}");
    let has_client = Command::new(&python).args(["-c", &import]).output().is_ok_and(|output| output.status.success());
    if !has_client {
        println!("skipped: {python} has no {package} package (COHOBATE_TEST_PYTHON names another)");
        return;
    }
    let server = MockServer::start(&["--model", "sim"]);
    let base = format!("http://{}{path}", server.address);
    let output = Command::new(&python).args(["-c", script, &base]).env("NO_PROXY", "127.0.0.1").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
