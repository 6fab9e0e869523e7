//! What only the transport knows about a failure.

use reqwest::Url;

use crate::conversation::{FailureCode, ServiceTier};
use crate::model::failure::{Failure, FailureClass};
use crate::model::host::Origin;
use crate::model::url_key::without_secrets;

/// Characters of a redirect's address that are shown.
const TARGET_CHARACTERS_MAX: usize = 200;

/// Adds where a redirect leads. It is not followed: a key would go to a server that nobody named.
pub fn with_location(failure: Failure, location: Option<&str>, url: &Url) -> Failure {
    let FailureCode::Http(300..=399) = failure.code else { return failure };
    let Some(target) = location.and_then(|location| url.join(location).ok()) else { return failure };
    let target: String = without_secrets(target.as_str()).chars().take(TARGET_CHARACTERS_MAX).collect();
    let message =
        format!("the server redirects to {target}; if that is the right address, write it in place of this one");
    Failure { message, ..failure }
}

/// Names the proxy where it may be the cause: the connection failed, or somebody refused it.
pub fn with_proxy(mut failure: Failure, proxy: Option<&str>) -> Failure {
    use FailureCode as Code;
    // The client's words for a 407 to a tunnel. Waiting does not help, as it does where the proxy is gone.
    if failure.code == Code::Connect && failure.message.contains("proxy authorization required") {
        (failure.class, failure.code) = (FailureClass::Fatal, Code::Http(407));
    }
    let may_be_proxy = match &failure.code {
        Code::Connect | Code::Connection | Code::Closed | Code::Tls | Code::Forbidden => true,
        Code::Http(407 | 502 | 503 | 504) => true,
        _ => failure.class == FailureClass::Outage,
    };
    let Some(proxy) = proxy.filter(|_| may_be_proxy) else { return failure };
    let message = format!("{} (through the proxy {proxy}; NO_PROXY excepts hosts)", failure.message);
    Failure { message, ..failure }
}

/// Says what asked for the flex tier where a server refuses it: some models have none.
pub fn with_tier(failure: Failure, tier: ServiceTier) -> Failure {
    let words = failure.message.to_lowercase();
    let is_about_it = words.contains("service_tier") || words.contains(ServiceTier::FLEX);
    if tier != ServiceTier::Flex || failure.class != FailureClass::Refused || !is_about_it {
        return failure;
    }
    let message = format!("{} (lane = \"online\" asks for the standard tier)", failure.message);
    Failure { message, ..failure }
}

/// Says which variable a server that wants a key would get, if none was sent to it.
pub fn without_key(failure: Failure, url: &str) -> Failure {
    let Some(server) = Origin::of(url).filter(|_| failure.code == FailureCode::Auth) else { return failure };
    let variable = server.key_variable().unwrap_or("COHOBATE_API_KEY");
    Failure { message: format!("{} (no key was sent; {server} gets {variable})", failure.message), ..failure }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(code: FailureCode) -> Failure {
        Failure::new(FailureClass::Fatal, code, "no")
    }

    #[test]
    fn a_redirect_shows_where_it_leads_without_secrets() {
        let url = "http://gpu1/v1/chat/completions".parse().unwrap();
        let message = |location| with_location(failure(FailureCode::Http(301)), location, &url).message;
        assert!(message(Some("https://a.example/v1/x?token=abc")).contains("https://a.example/v1/x?***;"));
        assert!(message(Some("/v1/chat/completions/")).contains("http://gpu1/v1/chat/completions/;"));
        assert_eq!(message(None), "no");
        assert_eq!(with_location(failure(FailureCode::Http(404)), Some("/x"), &url).message, "no");
    }

    #[test]
    fn a_proxy_is_named_where_it_may_be_the_cause() {
        let message = |code, proxy| with_proxy(failure(code), proxy).message;
        for code in [FailureCode::Connect, FailureCode::Forbidden, FailureCode::Http(407)] {
            assert!(message(code.clone(), Some("http://proxy:3128")).contains("through the proxy http://proxy:3128"));
            assert_eq!(message(code, None), "no");
        }
        assert_eq!(message(FailureCode::Http(400), Some("http://proxy:3128")), "no");
    }

    #[test]
    fn a_model_without_a_flex_tier_is_told_apart() {
        let message = |words: &str, tier| {
            with_tier(Failure::new(FailureClass::Refused, FailureCode::Http(400), words), tier).message
        };
        let refusal = "Invalid service_tier argument";
        assert_eq!(
            message(refusal, ServiceTier::Flex),
            "Invalid service_tier argument (lane = \"online\" asks for the standard tier)"
        );
        assert_eq!(message(refusal, ServiceTier::Standard), refusal);
        assert_eq!(message("no", ServiceTier::Flex), "no");
    }

    #[test]
    fn a_server_that_wants_a_key_and_got_none_is_told_apart() {
        let message = |code, url| without_key(failure(code), url).message;
        assert_eq!(
            message(FailureCode::Auth, "http://gpu1:8000/v1/chat/completions"),
            "no (no key was sent; http://gpu1:8000 gets COHOBATE_API_KEY)"
        );
        assert!(message(FailureCode::Auth, "https://api.groq.com/openai/v1").ends_with("gets GROQ_API_KEY)"));
        assert_eq!(message(FailureCode::Http(404), "http://gpu1"), "no");
    }
}
