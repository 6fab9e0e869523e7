//! Where the database is and how it is reached: the connection strings of libpq.
//!
//! `text.rs` reads the two forms, `parameters.rs` knows the names, `passfile.rs` the file of passwords. tokio-postgres reads
//! addresses too, and refuses what most rented databases contain: `sslmode=verify-full`, `sslrootcert`, `passfile`.

mod parameters;
mod passfile;
mod text;

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use parameters::Parameters;
pub(super) use passfile::Found;
use tokio_postgres::config::{ChannelBinding, SslNegotiation};

const PORT: u16 = 5432;
/// What is waited for a connection where the address says nothing.
const CONNECT_TIMEOUT_SECONDS: u64 = 10;
const SECONDS_MAX: u64 = 3600;
const HOSTS_MAX: usize = 64;

/// Where a database is and how it is reached. Neither its text nor its debug output has the password.
#[derive(Clone, Debug)]
pub struct PostgresAddress {
    pub(super) servers: Vec<Server>,
    pub(super) database: String,
    pub(super) user: String,
    pub(super) application_name: String,
    pub(super) options: Option<String>,
    pub(super) channel_binding: ChannelBinding,
    pub(super) tls: Tls,
    pub(super) times: Times,
    pub(super) is_shuffled: bool,
    password: Option<Secret>,
    passfile: Option<PathBuf>,
}

/// What an address is completed with. It is given, because only the command line reads the environment.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// The environment.
    pub variables: HashMap<String, String>,
    /// The user's home directory.
    pub home: Option<PathBuf>,
}

/// Why a text is not an address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct AddressError {
    /// What is wrong. It never quotes a password.
    pub message: String,
    /// What to do.
    pub hint: String,
}

/// A text that is never shown.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Secret(pub String);

/// One of the servers, which are tried in turn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Server {
    pub host: Host,
    /// Where it is reached, if it is not to be looked up.
    pub address: Option<IpAddr>,
    pub port: u16,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Host {
    Name(String),
    /// The folder of a socket.
    Folder(PathBuf),
    /// The socket in the usual folder.
    Usual,
}

/// How far the server must prove who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum SslMode {
    Disable,
    Allow,
    Prefer,
    Require,
    VerifyCa,
    VerifyFull,
}

/// Whom to trust.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Roots {
    System,
    File(PathBuf),
    /// A file that may be missing.
    Usual(Option<PathBuf>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "parameters of an address, none of which follows from another")]
pub(super) struct Tls {
    pub mode: SslMode,
    pub negotiation: SslNegotiation,
    pub roots: Roots,
    /// The client's certificate and key, and whether the address names them; the usual ones may be missing.
    pub client: Option<(PathBuf, PathBuf)>,
    pub is_client_named: bool,
    pub sends_name: bool,
    pub allows_1_2: bool,
    pub allows_1_3: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Times {
    pub connect: Duration,
    pub keeps_alive: bool,
    pub idle: Duration,
    pub interval: Duration,
    pub count: u32,
    pub user: Duration,
}

impl PostgresAddress {
    /// True if a text is a URL of PostgreSQL.
    pub fn is_url(text: &str) -> bool {
        text::is_url(text)
    }

    /// Reads an address: a URL or `name=value` pairs, completed by the environment as libpq does. Reads no file.
    pub fn parse(text: &str, surroundings: &Surroundings) -> Result<Self, AddressError> {
        let parameters = Parameters::new(text::pairs(text)?, text::is_url(text), surroundings)?;
        let home = surroundings.home.as_deref();
        let user = match parameters.get("user") {
            Some(user) => user.to_owned(),
            None => ["USER", "LOGNAME", "USERNAME"]
                .iter()
                .find_map(|name| surroundings.variables.get(*name).filter(|name| !name.is_empty()))
                .cloned()
                .ok_or_else(|| AddressError::new("the address names no user", "write postgres://USER@HOST/DATABASE"))?,
        };
        check_attributes(&parameters)?;
        let named = parameters.get("application_name").or(parameters.get("fallback_application_name"));
        Ok(Self {
            servers: servers(&parameters)?,
            database: parameters.get("dbname").map_or_else(|| user.clone(), str::to_owned),
            user,
            application_name: named.unwrap_or("cohobate").to_owned(),
            options: parameters.get("options").map(str::to_owned),
            channel_binding: parameters.choice(
                "channel_binding",
                &[
                    ("prefer", ChannelBinding::Prefer),
                    ("require", ChannelBinding::Require),
                    ("disable", ChannelBinding::Disable),
                ],
            )?,
            tls: tls(&parameters, home)?,
            times: times(&parameters)?,
            is_shuffled: parameters.choice("load_balance_hosts", &[("disable", false), ("random", true)])?,
            password: parameters.get("password").map(|password| Secret(password.to_owned())),
            passfile: parameters.get("passfile").map(PathBuf::from).or_else(|| home.map(|home| home.join(".pgpass"))),
        })
    }

    /// Returns a URL without its password, and the password; `None` where it has none.
    pub fn password_apart(text: &str) -> Option<(String, String)> {
        text::password_apart(text)
    }

    /// Returns the address without its password and its parameters.
    pub fn shown(&self) -> String {
        format!("postgres://{}@{}/{}", self.user, self.shown_servers(), self.database)
    }

    /// Returns a text that is the same for the same store, whoever asks: servers, database, schema.
    pub fn identity(&self) -> String {
        let servers = self.shown_servers().to_lowercase();
        let schema = self.options.as_deref().and_then(schema).unwrap_or_default();
        format!("{servers}/{} {schema}", self.database).trim_end().to_owned()
    }

    /// Returns the password for a server: the address's, or that of the password file, which is read each time.
    pub(super) fn password(&self, server: &Server) -> Found {
        if let Some(password) = &self.password {
            return Found::Password(password.clone());
        }
        let Some(path) = &self.passfile else { return Found::Nothing };
        let host = match (&server.host, &server.address) {
            (Host::Name(name), _) if !name.is_empty() => name.clone(),
            (Host::Folder(folder), _) if !USUAL_FOLDERS.iter().any(|usual| folder == Path::new(usual)) => {
                folder.display().to_string()
            }
            (_, Some(address)) => address.to_string(),
            _ => "localhost".to_owned(),
        };
        passfile::find(path, [&host, &server.port.to_string(), &self.database, &self.user])
    }

    fn shown_servers(&self) -> String {
        let shown: Vec<String> = self.servers.iter().map(Server::to_string).collect();
        shown.join(",")
    }
}

/// Where servers of distributions, and those that were built by hand, have their sockets.
pub(super) const USUAL_FOLDERS: [&str; 2] = ["/var/run/postgresql", "/tmp"];

/// Returns the `search_path` that is set among the options.
fn schema(options: &str) -> Option<String> {
    super::options::settings(options)?.into_iter().rev().find(|(name, _)| name == "search_path").map(|(_, value)| value)
}

/// A store is written to, so that a standby is of no use.
fn check_attributes(parameters: &Parameters) -> Result<(), AddressError> {
    const NAME: &str = "target_session_attrs";
    let writes = parameters.choice(
        NAME,
        &[
            ("any", true),
            ("read-write", true),
            ("primary", true),
            ("prefer-standby", false),
            ("standby", false),
            ("read-only", false),
        ],
    )?;
    let error = || AddressError::new(format!("{NAME} asks for a standby"), "use read-write: a store is written to");
    writes.then_some(()).ok_or_else(error)
}

/// Returns the servers of the lists of hosts, addresses and ports.
fn servers(parameters: &Parameters) -> Result<Vec<Server>, AddressError> {
    let list = |name| parameters.get(name).map(|list| list.split(',').map(str::trim).collect::<Vec<_>>());
    let (hosts, addresses, ports) = (list("host"), list("hostaddr"), list("port"));
    let count = hosts.as_ref().or(addresses.as_ref()).map_or(1, Vec::len);
    if count > HOSTS_MAX {
        return Err(AddressError::new(format!("the address has {count} hosts"), format!("name at most {HOSTS_MAX}")));
    }
    if addresses.as_ref().is_some_and(|addresses| addresses.len() != count) {
        return Err(AddressError::new(
            "hostaddr and host have different numbers of entries",
            "name one address for each host",
        ));
    }
    if ports.as_ref().is_some_and(|ports| ports.len() != 1 && ports.len() != count) {
        return Err(AddressError::new(
            "port and host have different numbers of entries",
            "name one port, or one for each host",
        ));
    }
    let server = |at: usize| {
        let of = |list: &Option<Vec<&str>>| list.as_ref().map_or("", |list| list[at.min(list.len() - 1)]).to_owned();
        let (host, address, port) = (of(&hosts), of(&addresses), of(&ports));
        let port = if port.is_empty() { Some(PORT) } else { port.parse().ok().filter(|port| *port > 0) };
        let address = if address.is_empty() {
            None
        } else {
            let error = |_| AddressError::new("hostaddr is not an IP address", "write a name as host");
            Some(address.parse().map_err(error)?)
        };
        Ok(Server {
            host: match host {
                host if host.starts_with('/') => Host::Folder(PathBuf::from(host)),
                host if host.starts_with('@') => {
                    return Err(AddressError::new("abstract sockets are not supported", "name the socket's folder"));
                }
                host if host.is_empty() => address.map_or(Host::Usual, |_: IpAddr| Host::Name(String::new())),
                host => Host::Name(host),
            },
            address,
            port: port.ok_or_else(|| AddressError::new("a port is out of range", "use a number from 1 to 65535"))?,
        })
    };
    (0..count).map(server).collect()
}

fn tls(parameters: &Parameters, home: Option<&Path>) -> Result<Tls, AddressError> {
    let usual = |name: &str| home.map(|home| home.join(".postgresql").join(name));
    let named = |name| parameters.get(name).map(PathBuf::from);
    let mut mode = parameters.choice(
        "sslmode",
        &[
            ("prefer", SslMode::Prefer),
            ("disable", SslMode::Disable),
            ("allow", SslMode::Allow),
            ("require", SslMode::Require),
            ("verify-ca", SslMode::VerifyCa),
            ("verify-full", SslMode::VerifyFull),
        ],
    )?;
    let roots = match parameters.get("sslrootcert") {
        Some("system") if parameters.get("sslmode").is_none_or(|mode| mode == "verify-full") => {
            mode = SslMode::VerifyFull;
            Roots::System
        }
        Some("system") => {
            let hint = "use sslmode=verify-full: anybody can get a certificate from a public authority";
            return Err(AddressError::new("sslrootcert=system with a weaker sslmode proves nothing", hint));
        }
        Some(path) => Roots::File(PathBuf::from(path)),
        None => Roots::Usual(usual("root.crt")),
    };
    let negotiation = parameters
        .choice("sslnegotiation", &[("postgres", SslNegotiation::Postgres), ("direct", SslNegotiation::Direct)])?;
    if negotiation == SslNegotiation::Direct && mode < SslMode::Require {
        let hint = "use sslmode=require or a stronger one";
        return Err(AddressError::new("sslnegotiation=direct needs encryption", hint));
    }
    let least: u8 = parameters
        .choice("ssl_min_protocol_version", &[("TLSv1.2", 2), ("TLSv1", 2), ("TLSv1.1", 2), ("TLSv1.3", 3)])?;
    let most: u8 = parameters.choice("ssl_max_protocol_version", &[("TLSv1.3", 3), ("TLSv1.2", 2)])?;
    if least > most {
        let hint = "remove one of them";
        return Err(AddressError::new("ssl_min_protocol_version is above ssl_max_protocol_version", hint));
    }
    let certificate = named("sslcert").or_else(|| usual("postgresql.crt"));
    let key = named("sslkey").or_else(|| usual("postgresql.key"));
    Ok(Tls {
        mode,
        negotiation,
        roots,
        client: certificate.zip(key),
        is_client_named: parameters.get("sslcert").is_some(),
        sends_name: parameters.choice("sslsni", &[("1", true), ("0", false)])?,
        allows_1_2: least <= 2,
        allows_1_3: most >= 3,
    })
}

/// Returns the times of a connection. A connection that is silently dead is noticed without them only after hours.
fn times(parameters: &Parameters) -> Result<Times, AddressError> {
    let seconds = |name, usual: u64| {
        let given = parameters.number(name, SECONDS_MAX)?.filter(|seconds| *seconds > 0);
        Ok(Duration::from_secs(given.unwrap_or(usual)))
    };
    let user = parameters.number("tcp_user_timeout", SECONDS_MAX * 1000)?.filter(|milliseconds| *milliseconds > 0);
    Ok(Times {
        connect: seconds("connect_timeout", CONNECT_TIMEOUT_SECONDS)?,
        keeps_alive: parameters.number("keepalives", 1)? != Some(0),
        idle: seconds("keepalives_idle", 30)?,
        interval: seconds("keepalives_interval", 10)?,
        count: parameters.number("keepalives_count", 100)?.filter(|count| *count > 0).unwrap_or(3) as u32,
        user: Duration::from_millis(user.unwrap_or(30_000)),
    })
}

impl AddressError {
    fn new(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { message: message.into(), hint: hint.into() }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("…")
    }
}

impl fmt::Display for Server {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.host, self.address) {
            (Host::Name(name), Some(address)) if name.is_empty() => write!(out, "{address}:{}", self.port),
            (Host::Name(name), _) => write!(out, "{name}:{}", self.port),
            (Host::Folder(folder), _) => write!(out, "{}:{}", folder.display(), self.port),
            (Host::Usual, _) => write!(out, "localhost:{}", self.port),
        }
    }
}

#[cfg(test)]
mod tests;
