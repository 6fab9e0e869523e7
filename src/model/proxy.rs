use hyper::Uri;
use hyper_util::client::proxy::matcher::Matcher;

/// The proxies of the environment, as the variables `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY` have them;
/// empty where one is not set. The caller reads them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proxies {
    /// For URLs that begin with `http://`.
    pub http: String,
    /// For URLs that begin with `https://`.
    pub https: String,
    /// For those of the two that have none of their own.
    pub all: String,
    /// Hosts that are reached without a proxy.
    pub no: String,
}

impl Proxies {
    /// Returns the proxy of a URL, without user name and password; `None` if it is reached without one. The rules are
    /// those of the HTTP client.
    pub fn of(&self, url: &str) -> Option<String> {
        let matcher = Matcher::builder().http(&*self.http).https(&*self.https).all(&*self.all).no(&*self.no).build();
        let proxy = matcher.intercept(&url.parse::<Uri>().ok()?)?;
        let uri = proxy.uri();
        let authority = uri.authority()?.as_str();
        let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        Some(format!("{}://{host}", uri.scheme_str().unwrap_or("http")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_found_by_scheme_and_host_and_shown_without_password() {
        let proxies = Proxies {
            http: "http://me:hunter2@proxy.corp:3128".to_owned(),
            https: "proxy.corp:3129".to_owned(),
            all: String::new(),
            no: "localhost,127.0.0.1,.internal".to_owned(),
        };
        let of = |url| proxies.of(url);
        assert_eq!(of("http://gpu1/v1").as_deref(), Some("http://proxy.corp:3128"));
        assert_eq!(of("https://api.openai.com/v1").as_deref(), Some("http://proxy.corp:3129"));
        for direct in ["http://localhost:8000", "http://127.0.0.1:8000", "http://gpu.internal"] {
            assert_eq!(of(direct), None, "{direct}");
        }
        assert_eq!(Proxies::default().of("http://gpu1"), None);
        let all = Proxies { all: "socks5://me:hunter2@p:1080".to_owned(), ..Proxies::default() };
        assert_eq!(all.of("http://gpu1").as_deref(), Some("socks5://p:1080"));
    }
}
