use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use reqwest::Certificate;

use super::{HttpSettings, HttpSetupError};

/// Less than the five seconds after which vLLM, uvicorn, Node and llama-server close an idle connection.
const POOL_IDLE: Duration = Duration::from_secs(3);

/// What the program calls itself.
pub const USER_AGENT: &str = concat!("cohobate/", env!("CARGO_PKG_VERSION"));

/// Makes the client of a server. Connections are HTTP/1.1, one for each call in flight: a single HTTP/2 connection stalls
/// at the server's 100 streams.
pub fn client(settings: &HttpSettings) -> Result<reqwest::Client, HttpSetupError> {
    let fault = |error: &dyn std::fmt::Display| HttpSetupError(error.to_string());
    // Fails only if a provider is already installed, which is equally good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    // A server may listen on one of the two, whatever the system's table of hosts says. The port is the URL's.
    let localhost = [(Ipv4Addr::LOCALHOST, 0).into(), (Ipv6Addr::LOCALHOST, 0).into()];
    let builder = reqwest::Client::builder()
        .user_agent(USER_AGENT)
        .http1_only()
        .tcp_nodelay(true)
        .tcp_keepalive(Duration::from_secs(60))
        .connect_timeout(settings.timeouts.connect)
        .pool_idle_timeout(POOL_IDLE)
        .pool_max_idle_per_host(usize::MAX)
        .resolve_to_addrs("localhost", &localhost)
        .redirect(reqwest::redirect::Policy::none());
    let builder = match &settings.authorities {
        Some(pem) => builder.tls_certs_merge(certificates(pem)?),
        None => builder,
    };
    builder.build().map_err(|error| fault(&error))
}

fn certificates(pem: &[u8]) -> Result<Vec<Certificate>, HttpSetupError> {
    let fault = |reason: &str| HttpSetupError(format!("ca-file has no usable certificate: {reason}"));
    let certificates = Certificate::from_pem_bundle(pem).map_err(|error| fault(&error.to_string()))?;
    if certificates.is_empty() {
        Err(fault("it has no part that begins with BEGIN CERTIFICATE"))
    } else {
        Ok(certificates)
    }
}
