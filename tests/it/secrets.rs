//! An API key is sent to the server and goes nowhere else.

use std::io::{Read, Write};
use std::net::TcpListener;

use crate::capture::{Capture, refused};
use crate::support::{Place, conversation, files_below, finish, jsonl};

const KEY: &str = "sk-test-3f9a1c77e0b24d55";

/// A server that quotes the key in its refusal, as some do.
fn quoting_server(status: &'static str) -> (String, std::thread::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let thread = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = Vec::new();
        let mut buffer = [0; 4096];
        while !request.windows(4).any(|window| window == b"\r\n\r\n") {
            let count = stream.read(&mut buffer).unwrap();
            request.extend_from_slice(&buffer[..count]);
        }
        let body = format!("{{\"error\": {{\"message\": \"Incorrect API key provided: {KEY}\"}}}}");
        write!(stream, "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
            .unwrap();
        String::from_utf8_lossy(&request).into_owned()
    });
    (address, thread)
}

#[test]
fn the_key_reaches_the_server_and_neither_log_error_store_nor_output() {
    for (status, code) in [("401 Unauthorized", 2), ("400 Bad Request", 2)] {
        for variable in ["COHOBATE_API_KEY", "OTHER_KEY"] {
            let place = Place::new();
            place.write("in.jsonl", jsonl(&[conversation("kites", 2)]));
            let (address, server) = quoting_server(status);
            let model = format!("sim@http://{address}");
            // A trusted file names the second variable.
            if variable == "OTHER_KEY" {
                place.write("cohobate.toml", "[models.sim]\nkey-env = \"OTHER_KEY\"\n");
                place.complete(&["trust"]);
            }
            let mut command = place.command(&["distill", "in.jsonl", "--teacher", &model, "-o", "out.jsonl", "-v"]);
            let finished = crate::support::finish(command.env(variable, KEY));
            assert!(server.join().unwrap().contains(&format!("authorization: Bearer {KEY}")));
            assert_eq!(finished.code, Some(code), "{}", finished.stderr);
            assert!(finished.stderr.contains("Incorrect API key provided: ***"), "{}", finished.stderr);
            assert!(!finished.stderr.contains(KEY) && !finished.stdout.contains(KEY));
            for path in files_below(&place.path("")) {
                let bytes = std::fs::read(&path).unwrap();
                let found = bytes.windows(KEY.len()).any(|window| window == KEY.as_bytes());
                assert!(!found, "the key is in {}", path.display());
            }
        }
    }
}

#[test]
fn a_key_in_an_address_is_refused_unseen() {
    let place = Place::new();
    place.write("in.jsonl", jsonl(&[conversation("kites", 1)]));
    for address in [
        format!("http://user:{KEY}@127.0.0.1:1"),
        format!("user:{KEY}@127.0.0.1:1"),
        format!("http://127.0.0.1:1/v1?api_key={KEY}"),
        format!("127.0.0.1:1/v1?api-version=1&token={KEY}"),
        format!("http://127.0.0.1:1/v1?x={KEY}"),
        format!("http://127.0.0.1:1/v1/{KEY}"),
    ] {
        place.write("p.toml", format!("[models.sim]\nurl = \"{address}\"\n"));
        let teacher = [format!("--teacher=sim@{address}")];
        let profile = ["--teacher=sim", "--config=p.toml"].map(str::to_owned);
        let judge = ["--teacher=simulated", "--samples=2"].map(str::to_owned);
        let scorer = [&judge[..], &[format!("--scorer=rm@{address}/score")]].concat();
        let judge = [&judge[..], &[format!("--judge=sim@{address}")]].concat();
        for models in [&teacher[..], &profile, &scorer, &judge] {
            let models = models.iter().map(String::as_str);
            let finished = place.run(&["distill", "in.jsonl"].into_iter().chain(models).collect::<Vec<_>>());
            assert_eq!(finished.code, Some(2), "{address}: {}", finished.stderr);
            assert!(finished.stderr.contains("keys come from the environment"), "{address}: {}", finished.stderr);
            assert!(!finished.stderr.contains(KEY), "{}", finished.stderr);
        }
    }
}

/// A stranger's file in the working directory gets nothing out: no request, no word of the secret.
#[test]
fn an_untrusted_configuration_sends_no_secret_and_shows_none() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    for settings in [
        "key-env = \"OTHER_KEY\"\n",
        // The program's own key would go there by default.
        "",
        "allow-http-key = true\n",
    ] {
        let place = Place::new();
        place.write("in.jsonl", jsonl(&[conversation("kites", 1)]));
        place.write("cohobate.toml", format!("teacher = \"m\"\n[models.m]\nurl = \"http://{address}\"\n{settings}"));
        for command in ["distill", "plan", "export"] {
            let mut command = place.command(&[command, "in.jsonl", "-o", "out.jsonl", "-v"]);
            let finished = crate::support::finish(command.env("COHOBATE_API_KEY", KEY).env("OTHER_KEY", KEY));
            assert_eq!(finished.code, Some(2), "{}", finished.stderr);
            let variable = if settings.contains("OTHER_KEY") { "OTHER_KEY" } else { "COHOBATE_API_KEY" };
            assert!(finished.stderr.contains(variable), "{}", finished.stderr);
            assert!(finished.stderr.contains(&address.to_string()), "{}", finished.stderr);
            assert!(!finished.stderr.contains(KEY) && !finished.stdout.contains(KEY));
        }
        assert!(listener.accept().is_err(), "{settings}: something was sent");
        let trusted = crate::support::finish(place.command(&["trust"]).env("OTHER_KEY", KEY));
        assert!(!trusted.stdout.contains(KEY) && !trusted.stderr.contains(KEY));
        for path in files_below(&place.path("")) {
            let bytes = std::fs::read(&path).unwrap();
            assert!(!bytes.windows(KEY.len()).any(|window| window == KEY.as_bytes()), "{}", path.display());
        }
    }
}

#[cfg(unix)]
#[test]
fn header_values_and_printed_tokens_are_as_secret_as_keys() {
    let quoting = Capture::with(|request| {
        let quoted: Vec<&str> =
            ["authorization", "x-literal", "x-variable"].iter().filter_map(|name| request.header(name)).collect();
        if quoted.len() == 3 { refused(400, &format!("no: {}", quoted.join(", "))) } else { refused(401, "who?") }
    });
    let place = Place::new();
    place.write("in.jsonl", jsonl(&[conversation("kites", 2)]));
    place.write("token", format!("{KEY}-token\n"));
    let profile = "key-command = \"cat token\"\nheaders = { x-literal = \"LITERAL\", x-variable = \"$HUSH\" }\n";
    let profile = profile.replace("LITERAL", &format!("{KEY}-literal"));
    place.write("cohobate.toml", format!("[models.sim]\nurl = \"http://{}\"\n{profile}", quoting.address));
    for command in ["plan", "distill", "export", "verify", "status"] {
        let line = ["in.jsonl", "-o", "out.jsonl", "--teacher", "sim"];
        let line = match command {
            "plan" => &["in.jsonl", "--teacher", "sim", "--show-request"][..],
            "status" => &[],
            _ => &line,
        };
        let config = if command == "status" { &[][..] } else { &["--config", "cohobate.toml"] };
        let finished =
            finish(place.command(&[&[command][..], line, config].concat()).env("HUSH", format!("{KEY}-variable")));
        assert!(!finished.stderr.contains(KEY) && !finished.stdout.contains(KEY), "{command}: {}", finished.stderr);
        if command == "distill" {
            assert!(finished.stderr.contains("no: Bearer ***, ***, ***"), "{}", finished.stderr);
        }
    }
    assert_eq!(quoting.requests()[0].header("authorization"), Some(format!("Bearer {KEY}-token").as_str()));
    let own = ["cohobate.toml", "token"].map(|name| place.path(name));
    for path in files_below(&place.path("")).into_iter().filter(|path| !own.contains(path)) {
        let bytes = std::fs::read(&path).unwrap();
        assert!(!bytes.windows(KEY.len()).any(|window| window == KEY.as_bytes()), "{}", path.display());
    }
    // Nor in an error about the profile itself.
    for wrong in [
        format!("headers.x-literal = {{ text = \"{KEY}\" }}"),
        format!("headers = \"{KEY}\""),
        format!("headers.x = [\"{KEY}\"]"),
    ] {
        place.write("cohobate.toml", format!("[models.sim]\n{wrong}\n"));
        let finished = place.run(&["plan", "in.jsonl", "--teacher", "sim"]);
        assert!(finished.code == Some(2) && !finished.stderr.contains(KEY), "{}", finished.stderr);
        assert!(finished.stderr.contains("must be"), "{}", finished.stderr);
    }
}
