use std::str::FromStr;

use reqwest::Url;

use super::address::{split_address, split_replicas, with_scheme};
use super::dialect::EndpointPath;
use super::url_key::{key_in, without_secrets};

/// A user's reference to a model: `NAME@URL`, `NAME@URL1,URL2` for replicas of one model, the name of a profile,
/// `simulated` or `simulated-NAME`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ModelReference {
    /// The built-in simulated model; `simulated-NAME` is a second one with other answers.
    Simulated,
    /// A model on a server.
    Http {
        /// The model's name on the server.
        name: String,
        /// The user's URLs, for [`Endpoint::new`].
        urls: String,
    },
    /// A `[models.NAME]` table of the configuration.
    Profile(String),
}

/// A model's name and where it is served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// The model's name on the server.
    pub name: String,
    /// The request URLs, one for each replica; at least one.
    pub urls: Vec<String>,
}

/// A model reference is invalid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    /// The name before the `@` is missing.
    #[error("the model reference `{0}` has no name before the `@`")]
    NoName(String),
    /// The URL is invalid.
    #[error("the model's URL `{url}` is invalid: {reason}")]
    Url {
        /// The URL.
        url: String,
        /// The reason.
        reason: String,
    },
    /// The URL contains a key.
    #[error("the model's URL `{url}` contains {what}; keys come from the environment only")]
    Key {
        /// The URL without the key.
        url: String,
        /// What it contains, without the key.
        what: String,
    },
}

impl FromStr for ModelReference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "simulated" || text.starts_with("simulated-") && !text.contains('@') {
            return Ok(Self::Simulated);
        }
        match split_address(text) {
            None => Ok(Self::Profile(text.to_owned())),
            Some(("", urls)) => Err(ReferenceError::NoName(format!("@{}", without_secrets(urls)))),
            Some((name, urls)) => Ok(Self::Http { name: name.to_owned(), urls: urls.to_owned() }),
        }
    }
}

impl Endpoint {
    /// Completes base URLs as people write them: with or without a scheme, with or without `/v1`, with or without the
    /// dialect's path. Commas separate replicas.
    pub fn new(name: &str, urls: &str, path: EndpointPath) -> Result<Self, ReferenceError> {
        let urls = Self::replicas(urls).into_iter().map(|url| complete_url(&url, path));
        let urls = urls.collect::<Result<Vec<_>, _>>()?;
        match urls.iter().enumerate().find(|(index, url)| urls[..*index].contains(url)) {
            None => Ok(Self { name: name.to_owned(), urls }),
            Some((_, url)) => Err(ReferenceError::Url { url: url.clone(), reason: "it is given twice".to_owned() }),
        }
    }

    /// Returns the base URLs of replicas one by one, each with its scheme.
    pub fn replicas(urls: &str) -> Vec<String> {
        split_replicas(urls).iter().map(|url| with_scheme(url)).collect()
    }
}

fn complete_url(url: &str, path: EndpointPath) -> Result<String, ReferenceError> {
    let fault = |reason: &str| ReferenceError::Url { url: without_secrets(url), reason: reason.to_owned() };
    let parsed = Url::parse(url).map_err(|error| fault(&error.to_string()))?;
    if !matches!(parsed.scheme(), "http" | "https") {
        return Err(fault("only http:// and https:// are supported"));
    }
    if let Some(what) = key_in(&parsed) {
        return Err(ReferenceError::Key { url: without_secrets(url), what });
    }
    let given = parsed.path().trim_end_matches('/');
    let (suffix, needs_version) = match path {
        EndpointPath::AsGiven => return Ok(url.to_owned()),
        EndpointPath::Below(suffix) => (suffix, given.is_empty()),
        EndpointPath::BelowVersion(suffix) => (suffix, !given.rsplit('/').next().is_some_and(is_version)),
    };
    let mut complete = parsed.clone();
    if !given.ends_with(suffix) {
        complete.set_path(&format!("{given}{}{suffix}", if needs_version { "/v1" } else { "" }));
    }
    Ok(complete.to_string())
}

/// True for a segment of a path such as `v1` or `v1beta`.
fn is_version(segment: &str) -> bool {
    segment.strip_prefix('v').is_some_and(|rest| rest.starts_with(|first: char| first.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(text: &str, path: EndpointPath) -> Result<Endpoint, ReferenceError> {
        match text.parse()? {
            ModelReference::Http { name, urls } => Endpoint::new(&name, &urls, path),
            other => panic!("{other:?} is no address"),
        }
    }

    fn check(text: &str, name: &str, url: &str) {
        let urls = url.split(' ').map(str::to_owned).collect();
        let expected = Endpoint { name: name.to_owned(), urls };
        assert_eq!(endpoint(text, EndpointPath::Below("/chat/completions")), Ok(expected));
    }

    #[test]
    fn addresses_are_completed_as_people_mean_them() {
        check("q@http://localhost:8000", "q", "http://localhost:8000/v1/chat/completions");
        check("q@http://localhost:8000/v1", "q", "http://localhost:8000/v1/chat/completions");
        check("q@http://localhost:8000/v1/", "q", "http://localhost:8000/v1/chat/completions");
        check("a/b@rev@https://x.example/api/v1", "a/b@rev", "https://x.example/api/v1/chat/completions");
        check("q@http://a:1,https://b/v1/", "q", "http://a:1/v1/chat/completions https://b/v1/chat/completions");
        check("q@https://x.example/d/chat/completions?v=1", "q", "https://x.example/d/chat/completions?v=1");
        let messages = |url: &str| Endpoint::new("q", url, EndpointPath::BelowVersion("/messages")).unwrap().urls;
        for (url, complete) in [
            ("https://api.anthropic.com", "https://api.anthropic.com/v1/messages"),
            ("https://api.anthropic.com/v1/", "https://api.anthropic.com/v1/messages"),
            ("https://api.deepseek.com/anthropic", "https://api.deepseek.com/anthropic/v1/messages"),
            ("http://localhost:8000/v1/messages", "http://localhost:8000/v1/messages"),
        ] {
            assert_eq!(messages(url), [complete]);
        }
        // Without a scheme: https for public hosts, http for machines of this network.
        check("q@gpu1:8000/v1", "q", "http://gpu1:8000/v1/chat/completions");
        check("q@localhost:8000", "q", "http://localhost:8000/v1/chat/completions");
        check("q@10.0.0.7", "q", "http://10.0.0.7/v1/chat/completions");
        check("q@[::1]:8000/v1", "q", "http://[::1]:8000/v1/chat/completions");
        check("a/b@api.openai.com/v1", "a/b", "https://api.openai.com/v1/chat/completions");
        check("q@gpu1:443/v1", "q", "https://gpu1/v1/chat/completions");
        check(
            "q@gpu1:1,gpu.example.com/v1",
            "q",
            "http://gpu1:1/v1/chat/completions https://gpu.example.com/v1/chat/completions",
        );
        check("q@http://a:1,b:2/v1", "q", "http://a:1/v1/chat/completions http://b:2/v1/chat/completions");
        check("q@https://x.example/v1?a=1,2.5", "q", "https://x.example/v1/chat/completions?a=1,2.5");
        let given = endpoint("rm@localhost:9000/score", EndpointPath::AsGiven).unwrap();
        assert_eq!(given.urls, ["http://localhost:9000/score"]);
        let given = endpoint("rm@http://localhost:9000/score", EndpointPath::AsGiven).unwrap();
        assert_eq!(given.urls, ["http://localhost:9000/score"]);
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_reading_an_address_panic(text in "[@:/?#,.a-z0-9\\[\\]é-]{0,24}") {
            for path in [EndpointPath::AsGiven, EndpointPath::Below("/chat/completions")] {
                if let Ok(ModelReference::Http { name, urls }) = text.parse() {
                    let _ = Endpoint::new(&name, &urls, path);
                }
            }
        }
    }

    #[test]
    fn what_is_no_address_is_refused_without_showing_a_secret() {
        let path = EndpointPath::Below("/chat/completions");
        for text in [
            "q@https://me:hunter2@x.example",
            "q@me:hunter2@x.example",
            "q@https://hunter2@x.example",
            "q@ftp://me:hunter2@x.example",
            "@http://me:hunter2@x.example",
            "q@https://x.example/v1?api_key=hunter2",
            "q@https://x.example/v1?a=b&Key=hunter2",
            "q@x.example/v1?access-token=hunter2",
            "q@https://a/v1,https://x.example/v1?subscription-key=hunter2",
            "q@https://x.example/v1?x=sk-hunter2aaaaaaaaaaaaaaaa",
            "q@https://x.example/v1#key=hunter2",
            "q@http://[?key=hunter2",
        ] {
            let error = endpoint(text, path).unwrap_err();
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
        let version = endpoint("q@https://x.example/v1?api-version=2024-10-21", path).unwrap();
        assert_eq!(version.urls, ["https://x.example/v1/chat/completions?api-version=2024-10-21"]);
        let twice = endpoint("q@http://x,http://x/v1", path).unwrap_err();
        assert!(twice.to_string().contains("twice"), "{twice}");
        assert!("@http://x".parse::<ModelReference>().is_err());
        assert_eq!("teacher".parse(), Ok(ModelReference::Profile("teacher".to_owned())));
        assert_eq!("simulated".parse(), Ok(ModelReference::Simulated));
        for name in ["claude-3@20240229", "a/b@v1.2", "q@rev.1", "q@2024.06", "q8:8b"] {
            assert_eq!(name.parse(), Ok(ModelReference::Profile(name.to_owned())), "{name}");
        }
    }
}
