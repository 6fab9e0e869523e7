use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read};
use std::sync::{Mutex, PoisonError};

use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{self, HeaderName};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use axum::response::Response;

use crate::view::query::pairs;

/// Bytes of a token.
const TOKEN_BYTES: usize = 24;
/// Browsers that may be let in, one after the other.
const SESSIONS_MAX: usize = 32;

/// Headers of every reply: nothing but the page's own files is loaded, nobody may frame it, and no cache keeps it.
const SEAL: [(HeaderName, &str); 6] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'none'; \
         base-uri 'none'; frame-ancestors 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::CACHE_CONTROL, "no-store"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

/// Who may see the page.
///
/// A browser is let in by a link with a random token, which works once, and gets a cookie for it: `SameSite=Strict`, so that
/// no other site can send requests in its name, and `HttpOnly`. The host of a request must be a name of the loopback
/// address, whatever the port (`ssh -L` changes it), so that a foreign name that resolves to this machine sees nothing. What
/// changes something must be a POST that the page itself sends.
pub struct Access {
    port: u16,
    cookie: String,
    secrets: Mutex<Secrets>,
    on_link: Box<dyn Fn(&str) + Send + Sync>,
}

struct Secrets {
    /// The token of the next link.
    token: String,
    /// The cookies of browsers that were let in.
    sessions: Vec<String>,
}

impl Access {
    /// Access to the page on this port.
    pub fn new(port: u16, on_link: Box<dyn Fn(&str) + Send + Sync>) -> io::Result<Self> {
        let secrets = Mutex::new(Secrets { token: random()?, sessions: Vec::new() });
        // Browsers do not keep the cookies of two ports apart.
        Ok(Self { port, cookie: format!("cohobate-{port}"), secrets, on_link })
    }

    /// Tells the link that lets a browser in.
    pub fn tell_link(&self) {
        let token = self.secrets.lock().unwrap_or_else(PoisonError::into_inner).token.clone();
        (self.on_link)(&format!("http://127.0.0.1:{}/?token={token}", self.port));
    }

    /// Lets a request pass, or returns what to reply in its place.
    pub fn check(&self, request: &Request) -> Result<(), Box<Response>> {
        let host = host_of(request).filter(|host| is_loopback(host));
        let Some(host) = host else {
            let text = "This page is for its own machine: open it as 127.0.0.1 or localhost. Through ssh, forward the port \
                        with ssh -L.";
            return Err(Box::new(refusal(StatusCode::MISDIRECTED_REQUEST, text)));
        };
        let token = request.uri().query().and_then(|query| pairs(query).find(|(name, _)| name == "token"));
        if request.method() == Method::GET
            && let Some((_, token)) = token
            && let Some(session) = self.exchange(&token)
        {
            return Err(Box::new(self.let_in(request.uri(), &session)));
        }
        if !self.has_session(request.headers()) {
            let text = "Open the link that `cohobate view` prints: it lets this browser in once. After that, links to \
                        this page work without it.";
            return Err(Box::new(refusal(StatusCode::FORBIDDEN, text)));
        }
        match *request.method() {
            Method::GET | Method::HEAD => Ok(()),
            Method::POST if origin_of(request.headers()) == Some(&format!("http://{host}")) => Ok(()),
            Method::POST => {
                Err(Box::new(refusal(StatusCode::FORBIDDEN, "Only this page itself may change something.")))
            }
            _ => {
                let text = "There is nothing here for this method.";
                Err(Box::new(refusal(StatusCode::METHOD_NOT_ALLOWED, text)))
            }
        }
    }

    /// Returns the cookie that a token is good for, and makes another token.
    fn exchange(&self, token: &str) -> Option<String> {
        let mut secrets = self.secrets.lock().unwrap_or_else(PoisonError::into_inner);
        if !is_equal(token, &secrets.token) {
            return None;
        }
        let (session, next) = (random().ok()?, random().ok()?);
        secrets.token = next;
        secrets.sessions.push(session.clone());
        if secrets.sessions.len() > SESSIONS_MAX {
            secrets.sessions.remove(0);
        }
        drop(secrets);
        self.tell_link();
        Some(session)
    }

    /// Sends the browser to the same page, with its filter, without the token.
    fn let_in(&self, address: &Uri, session: &str) -> Response {
        // `//name` would be another host.
        let path = if address.path().starts_with("//") { "/" } else { address.path() };
        let filter: Vec<&str> =
            address.query().unwrap_or_default().split('&').filter(|pair| !pair.starts_with("token=")).collect();
        let path = if filter.is_empty() { path.to_owned() } else { format!("{path}?{}", filter.join("&")) };
        let mut reply = Response::new(Body::empty());
        *reply.status_mut() = StatusCode::SEE_OTHER;
        let cookie = format!("{}={session}; Path=/; HttpOnly; SameSite=Strict", self.cookie);
        for (name, value) in [(header::LOCATION, path.as_str()), (header::SET_COOKIE, cookie.as_str())] {
            if let Ok(value) = HeaderValue::from_str(value) {
                reply.headers_mut().insert(name, value);
            }
        }
        reply
    }

    fn has_session(&self, headers: &HeaderMap) -> bool {
        let cookies = headers.get_all(header::COOKIE).into_iter().filter_map(|value| value.to_str().ok());
        let mut given =
            cookies.flat_map(|cookies| cookies.split(';')).filter_map(|cookie| cookie.trim().split_once('='));
        let secrets = self.secrets.lock().unwrap_or_else(PoisonError::into_inner);
        given
            .any(|(name, value)| name == self.cookie && secrets.sessions.iter().any(|session| is_equal(value, session)))
    }
}

/// Adds the headers of every reply.
pub fn sealed(mut reply: Response) -> Response {
    for (name, value) in SEAL {
        reply.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    reply
}

/// Makes a reply of plain text.
pub fn refusal(status: StatusCode, text: &str) -> Response {
    let mut reply = Response::new(Body::from(format!("{text}\n")));
    *reply.status_mut() = status;
    reply.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    reply
}

fn host_of(request: &Request) -> Option<String> {
    let mut hosts = request.headers().get_all(header::HOST).into_iter();
    let host = hosts.next()?.to_str().ok()?;
    // A request with a host in its target would say two things.
    let is_one = hosts.next().is_none() && request.uri().authority().is_none_or(|authority| authority == host);
    is_one.then(|| host.to_ascii_lowercase())
}

/// True for a name of the loopback address, with or without a port.
fn is_loopback(host: &str) -> bool {
    let (name, port) = match host.strip_prefix("[::1]") {
        Some(rest) => ("::1", rest),
        None => host.split_at(host.find(':').unwrap_or(host.len())),
    };
    let is_port = port.is_empty() || port.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok());
    let is_name = matches!(name, "localhost" | "::1")
        || name.parse::<std::net::Ipv4Addr>().is_ok_and(|address| address.is_loopback());
    is_port && is_name
}

fn origin_of(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::ORIGIN)?.to_str().ok()
}

/// Compares in a time that does not depend on where two texts differ.
fn is_equal(one: &str, other: &str) -> bool {
    one.len() == other.len()
        && one.bytes().zip(other.bytes()).fold(0, |differs, (one, other)| differs | (one ^ other)) == 0
}

/// Returns a text that nobody can guess, from the system's random numbers.
fn random() -> io::Result<String> {
    let mut bytes = [0; TOKEN_BYTES];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_the_loopback_address_are_let_in() {
        for host in ["localhost", "localhost:1", "127.0.0.1:8421", "127.9.9.9", "[::1]:80", "[::1]"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in [
            "example.com",
            "localhost.example.com",
            "127.0.0.1.example.com",
            "10.0.0.1",
            "localhost:",
            "localhost:x",
            "",
            "[::2]:80",
            "127.0.0.1:80:80",
            "localhost@example.com",
            "0.0.0.0",
            "2130706433",
        ] {
            assert!(!is_loopback(host), "{host}");
        }
    }

    #[test]
    fn a_token_lets_one_browser_in() {
        let access = Access::new(1, Box::new(|_| {})).unwrap();
        let token = access.secrets.lock().unwrap().token.clone();
        assert_eq!(token.len(), 2 * TOKEN_BYTES);
        assert!(access.exchange("").is_none() && access.exchange(&token[1..]).is_none());
        let session = access.exchange(&token).unwrap();
        assert!(access.exchange(&token).is_none(), "a used token is worth nothing");
        assert_ne!(session, token);
    }
}
