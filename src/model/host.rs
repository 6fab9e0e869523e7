//! Which server a URL belongs to, and whether that is on this network: by its name alone, nothing is looked up.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use reqwest::Url;

use super::provider::key_variable_of;

/// The server that a URL belongs to: scheme, host and port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin(Url);

impl Origin {
    /// Returns the server of a URL; `None` if the URL is invalid.
    pub fn of(url: &str) -> Option<Self> {
        let mut url = Url::parse(url).ok().filter(Url::has_host)?;
        url.set_path("");
        url.set_query(None);
        url.set_fragment(None);
        Some(Self(url))
    }

    /// True if the connection is encrypted.
    pub fn is_encrypted(&self) -> bool {
        self.0.scheme() == "https"
    }

    /// True if the server is on this machine or this network.
    pub fn is_local(&self) -> bool {
        is_local(&self.0)
    }

    /// True if a key may be sent without asking: nobody but the server can read it on its way.
    pub fn is_private(&self) -> bool {
        self.is_encrypted() || self.is_local()
    }

    /// True if the server has this host name.
    pub fn has_host(&self, host: &str) -> bool {
        self.0.host_str().is_some_and(|own| own.trim_end_matches('.') == host)
    }

    /// True if the server's host name ends in this domain.
    pub fn is_below(&self, domain: &str) -> bool {
        let host = self.0.host_str().unwrap_or_default().trim_end_matches('.');
        host.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.'))
    }

    /// Returns the environment variable of the provider whose own host this is.
    pub fn key_variable(&self) -> Option<&'static str> {
        key_variable_of(self.0.host_str()?)
    }
}

/// Without a `/` at the end.
impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str().trim_end_matches('/'))
    }
}

/// Endings of names that no public server has.
const LOCAL_ENDINGS: [&str; 3] = ["local", "internal", "localhost"];

/// True if a URL's host is this machine or a machine of the same network: a loopback, private, link-local or shared
/// (100.64.0.0/10) address, a name without a dot, a name that ends in `.local`, `.internal` or `.localhost`, or a service
/// of Kubernetes.
///
/// Local servers are expected to speak plain HTTP, and a key may travel to them unencrypted.
pub fn is_local(url: &Url) -> bool {
    // An address in brackets or in any notation of its numbers is an address once the URL is parsed.
    let Some(host) = url.host_str() else { return false };
    if let Some(address) = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return address.parse().is_ok_and(is_local_v6);
    }
    host.parse().map_or_else(|_| is_local_name(host), is_local_v4)
}

fn is_local_v4(address: Ipv4Addr) -> bool {
    let [first, second, ..] = address.octets();
    let is_shared = first == 100 && (64..128).contains(&second);
    address.is_loopback() || address.is_private() || address.is_link_local() || address.is_unspecified() || is_shared
}

fn is_local_v6(address: Ipv6Addr) -> bool {
    if let Some(mapped) = address.to_ipv4_mapped() {
        return is_local_v4(mapped);
    }
    let is_local = address.is_unique_local() || address.is_unicast_link_local();
    is_local || address.is_loopback() || address.is_unspecified()
}

fn is_local_name(name: &str) -> bool {
    let labels: Vec<&str> = name.trim_end_matches('.').split('.').collect();
    match labels[..] {
        [_] => true,
        // SERVICE.NAMESPACE.svc, with or without the cluster's own ending.
        [_, ref rest @ ..] => rest.contains(&"svc") || rest.last().is_some_and(|ending| LOCAL_ENDINGS.contains(ending)),
        [] => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn local(host: &str) -> bool {
        is_local(&format!("http://{host}:8000/v1").parse().unwrap())
    }

    #[test]
    fn machines_of_this_network_are_local() {
        for host in [
            "localhost",
            "LOCALHOST",
            "localhost.",
            "a.localhost",
            "127.0.0.1",
            "127.8.9.1",
            "2130706433",
            "0.0.0.0",
            "[::1]",
            "[::ffff:127.0.0.1]",
            "10.1.2.3",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "169.254.10.10",
            "100.64.0.1",
            "100.127.255.254",
            "[fd00::1]",
            "[fe80::1]",
            "gpu1",
            "gpu-box.local",
            "host.docker.internal",
            "vllm.models.svc",
            "vllm.models.svc.cluster.local",
            "vllm.models.svc.k8s.example.com",
        ] {
            assert!(local(host), "{host}");
        }
    }

    #[test]
    fn every_other_machine_is_not() {
        for host in [
            "api.openai.com",
            "gpu.example.com",
            "8.8.8.8",
            "128.0.0.1",
            "11.0.0.1",
            "172.15.0.1",
            "172.32.0.1",
            "192.169.0.1",
            "100.63.0.1",
            "100.128.0.1",
            "[2001:db8::1]",
            "[::ffff:8.8.8.8]",
            "local.example.com",
            "internal.example.com",
            "localhost.example.com",
            "svc.example.com",
            "127.0.0.1.example.com",
        ] {
            assert!(!local(host), "{host}");
        }
    }
}
