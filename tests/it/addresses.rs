//! Addresses as people write them, and what an error says about the way to a server.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::json;

use crate::support::{Finished, MockServer, Place, conversation, finish, jsonl};

fn place() -> Place {
    let place = Place::new();
    place.write("in.jsonl", jsonl(&[conversation("kites", 1)]));
    place
}

/// Reads a request.
fn read_request(stream: &mut impl Read) {
    let (mut request, mut buffer) = (Vec::new(), [0; 4096]);
    while !request.ends_with(b"}") {
        match stream.read(&mut buffer) {
            Ok(count @ 1..) => request.extend_from_slice(&buffer[..count]),
            _ => break,
        }
    }
}

/// A reply with an answer.
fn answer() -> String {
    let message = json!({"role": "assistant", "content": "Yes."});
    let body = json!({"choices": [{"message": message, "finish_reason": "stop"}]}).to_string();
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close";
    format!("{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

/// A server that gives every request one reply; returns its port.
fn server(listener: TcpListener, reply: impl Fn(TcpStream) + Send + 'static) -> u16 {
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || listener.incoming().flatten().for_each(reply));
    port
}

fn replying(reply: String) -> u16 {
    server(TcpListener::bind("127.0.0.1:0").unwrap(), move |mut stream| {
        read_request(&mut stream);
        let _ = stream.write_all(reply.as_bytes());
    })
}

/// Distils one turn; variables of the environment come first.
fn distill(place: &Place, environment: &[(&str, &str)], more: &[&str]) -> Finished {
    let mut command = place.command(&[&["distill", "in.jsonl", "-o", "out.jsonl"], more].concat());
    for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy", "no_proxy"] {
        command.env_remove(name);
    }
    finish(command.envs(environment.iter().copied()))
}

#[test]
fn both_addresses_of_localhost_are_tried_and_a_scheme_is_not_needed() {
    for host in ["127.0.0.1", "[::1]"] {
        let Ok(listener) = TcpListener::bind(format!("{host}:0")) else {
            println!("skipped: {host} is not an address of this machine");
            continue;
        };
        let port = server(listener, |mut stream| {
            read_request(&mut stream);
            let _ = stream.write_all(answer().as_bytes());
        });
        for address in [format!("localhost:{port}"), format!("http://localhost:{port}/v1"), format!("{host}:{port}/v1")]
        {
            let place = place();
            let finished = distill(&place, &[], &[&format!("--teacher=m@{address}")]);
            assert_eq!(finished.code, Some(0), "{address}: {}", finished.stderr);
        }
    }
}

#[test]
fn a_redirect_is_not_followed_and_shows_where_it_leads() {
    let head = "HTTP/1.1 301 Moved Permanently\r\nLocation: https://api.example.org/v1/chat/completions?key=hunter2";
    let port = replying(format!("{head}\r\nConnection: close\r\nContent-Length: 16\r\n\r\n<html>301</html>"));
    let finished = distill(&place(), &[], &[&format!("--teacher=m@127.0.0.1:{port}")]);
    assert!(
        finished.stderr.contains("redirects to https://api.example.org/v1/chat/completions"),
        "{}",
        finished.stderr
    );
    assert!(!finished.stderr.contains("hunter2") && finished.code != Some(0), "{}", finished.stderr);
}

#[test]
fn a_model_that_the_server_does_not_have_lists_those_that_it_has() {
    let server = MockServer::start(&["--model", "qwen3-8b-instruct", "--model", "other"]);
    let finished = distill(&place(), &[], &[&format!("--teacher=qwen3@{}", server.address)]);
    assert!(finished.stderr.contains("it offers `qwen3-8b-instruct`, `other`"), "{}", finished.stderr);
    assert_ne!(finished.code, Some(0));
}

#[test]
fn a_proxy_is_named_where_it_refuses_or_is_gone() {
    let refusal = "HTTP/1.1 403 Forbidden\r\nConnection: close\r\nContent-Length: 6\r\n\r\ndenied";
    let port = replying(refusal.to_owned());
    let proxy = format!("http://me:hunter2@127.0.0.1:{port}");
    let through = [("HTTP_PROXY", proxy.as_str()), ("NO_PROXY", "")];
    let finished = distill(&place(), &through, &["--teacher=m@http://gpu1/v1"]);
    assert!(finished.stderr.contains(&format!("through the proxy http://127.0.0.1:{port}")), "{}", finished.stderr);
    assert!(!finished.stderr.contains("hunter2"), "{}", finished.stderr);
    // A tunnel needs the proxy's consent, which does not come by waiting.
    let port = server(TcpListener::bind("127.0.0.1:0").unwrap(), |mut stream| {
        let _ = stream.read(&mut [0; 4096]);
        let _ = stream.write_all(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n");
    });
    let through = [("HTTPS_PROXY", &*format!("127.0.0.1:{port}")), ("NO_PROXY", "")];
    let finished = distill(&place(), &through, &["--teacher=m@https://gpu.example.com/v1"]);
    assert!(finished.stderr.contains("refuses every request: http_407"), "{}", finished.stderr);
    assert!(finished.stderr.contains(&format!("through the proxy http://127.0.0.1:{port}")), "{}", finished.stderr);
    // A proxy that is not there is an outage, which is named too.
    let through = [("http_proxy", "http://127.0.0.1:9"), ("NO_PROXY", "")];
    let finished = distill(&place(), &through, &["--teacher=m@http://gpu1/v1", "--give-up-after=1s", "-v"]);
    assert!(finished.stderr.contains("through the proxy http://127.0.0.1:9"), "{}", finished.stderr);
    assert_eq!(finished.code, Some(75));
}

fn certificate(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/certificates").join(name).to_str().unwrap().to_owned()
}

#[test]
fn a_certificate_authority_of_a_file_is_trusted_beside_the_systems() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let chain = CertificateDer::pem_file_iter(certificate("server.pem")).unwrap().map(Result::unwrap).collect();
    let key = PrivateKeyDer::from_pem_file(certificate("server.key")).unwrap();
    let config = rustls::ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key).unwrap();
    let config = Arc::new(config);
    let port = server(TcpListener::bind("127.0.0.1:0").unwrap(), move |stream| {
        let connection = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
        let mut stream = rustls::StreamOwned::new(connection, stream);
        read_request(&mut stream);
        let _ = stream.write_all(answer().as_bytes());
        stream.conn.send_close_notify();
        let _ = stream.flush();
    });
    let teacher = format!("--teacher=m@https://localhost:{port}");
    let refused = distill(&place(), &[], &[&teacher]);
    assert!(refused.stderr.contains("refuses every request: tls"), "{}", refused.stderr);
    let place = place();
    place.write("ca.toml", format!("[models.m]\nca-file = \"{}\"\n", certificate("ca.pem")));
    let finished = distill(&place, &[], &[&teacher, "--config=ca.toml"]);
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    for (file, text) in [("missing.pem", None), ("empty.pem", Some("")), ("wrong.pem", Some("no certificate"))] {
        text.inspect(|text| place.write(file, text));
        place.write("ca.toml", format!("[models.m]\nca-file = \"{file}\"\n"));
        let finished = distill(&place, &[], &[&teacher, "--config=ca.toml", "--store=new"]);
        assert!(finished.code == Some(2) && finished.stderr.contains("hint:"), "{file}: {}", finished.stderr);
    }
}
