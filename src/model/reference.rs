use std::str::FromStr;

use super::dialect::EndpointPath;

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
}

impl FromStr for ModelReference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "simulated" || text.starts_with("simulated-") && !text.contains('@') {
            return Ok(Self::Simulated);
        }
        // A model's name may contain an `@`; the one before the scheme separates.
        let split = ["@http://", "@https://"].iter().filter_map(|separator| text.find(separator)).min();
        match split {
            None => Ok(Self::Profile(text.to_owned())),
            Some(0) => Err(ReferenceError::NoName(text.to_owned())),
            Some(at) => Ok(Self::Http { name: text[..at].to_owned(), urls: text[at + 1..].to_owned() }),
        }
    }
}

impl Endpoint {
    /// Completes base URLs as people write them: with or without `/v1`, with or without the dialect's path. Commas
    /// separate replicas.
    pub fn new(name: &str, urls: &str, path: EndpointPath) -> Result<Self, ReferenceError> {
        // A comma inside a URL is not followed by a scheme.
        let spread = urls.replace(",http://", "\nhttp://").replace(",https://", "\nhttps://");
        let urls = spread.split('\n').map(|url| complete_url(url, path)).collect::<Result<Vec<_>, _>>()?;
        match urls.iter().enumerate().find(|(index, url)| urls[..*index].contains(url)) {
            None => Ok(Self { name: name.to_owned(), urls }),
            Some((_, url)) => Err(ReferenceError::Url { url: url.clone(), reason: "it is given twice".to_owned() }),
        }
    }
}

fn complete_url(url: &str, path: EndpointPath) -> Result<String, ReferenceError> {
    let fault = |reason: &str| ReferenceError::Url { url: without_credentials(url), reason: reason.to_owned() };
    let parsed = reqwest::Url::parse(url).map_err(|error| fault(&error.to_string()))?;
    if !parsed.username().is_empty() || parsed.password().is_some() {
        return Err(fault("it contains a user name or password; keys come from the environment only"));
    }
    if !matches!(parsed.scheme(), "http" | "https") {
        return Err(fault("only http:// and https:// are supported"));
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

fn without_credentials(url: &str) -> String {
    match (url.find("://"), url.rfind('@')) {
        (Some(scheme), Some(at)) if scheme < at => format!("{}://***{}", &url[..scheme], &url[at..]),
        _ => url.to_owned(),
    }
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
        let given = endpoint("rm@http://localhost:9000/score", EndpointPath::AsGiven).unwrap();
        assert_eq!(given.urls, ["http://localhost:9000/score"]);
    }

    #[test]
    fn what_is_no_address_is_refused_without_showing_a_password() {
        let path = EndpointPath::Below("/chat/completions");
        let error = endpoint("q@https://me:hunter2@x.example", path).unwrap_err();
        assert!(!error.to_string().contains("hunter2"), "{error}");
        let twice = endpoint("q@http://x,http://x/v1", path).unwrap_err();
        assert!(twice.to_string().contains("twice"), "{twice}");
        assert!("@http://x".parse::<ModelReference>().is_err());
        assert_eq!("teacher".parse(), Ok(ModelReference::Profile("teacher".to_owned())));
        assert_eq!("simulated".parse(), Ok(ModelReference::Simulated));
    }
}
