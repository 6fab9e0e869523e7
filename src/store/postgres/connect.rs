//! Opens connections: the servers of the address in turn, with and without TLS as `sslmode` says.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use deadpool::managed::{Manager, Metrics, RecycleError, RecycleResult};
use tokio::task::JoinHandle;
use tokio_postgres::config::{SslMode as WireMode, TargetSessionAttrs};
use tokio_postgres::{Client, Config, NoTls};

use super::address::{Found, Host, PostgresAddress, Server, SslMode, USUAL_FOLDERS};
use super::failure::{Failure, is_certificate};
use super::options;
use super::tls::TlsMaker;

/// Opens connections for the pool. deadpool-postgres would add a cache of named statements, which a transaction pooler does
/// not keep.
pub struct Opener {
    address: PostgresAddress,
    tls: TlsMaker,
    /// A pooler has refused the options: they are set in each transaction instead.
    sets_options: AtomicBool,
    turn: std::sync::atomic::AtomicUsize,
}

/// A connection and the task that drives it.
pub struct Connection {
    pub client: Client,
    task: JoinHandle<()>,
    /// A transaction was begun on it before.
    pub is_proven: AtomicBool,
}

impl Opener {
    pub fn new(address: PostgresAddress, tls: TlsMaker) -> Self {
        let turn = if address.is_shuffled { std::process::id() as usize } else { 0 };
        Self { address, tls, sets_options: AtomicBool::new(false), turn: turn.into() }
    }

    /// Returns the variables that each transaction sets, because the server was not told them.
    pub fn settings(&self) -> Vec<(String, String)> {
        let options = self.address.options.as_deref().filter(|_| self.sets_options.load(Ordering::Relaxed));
        options.and_then(options::settings).unwrap_or_default()
    }

    async fn open(&self) -> Result<Connection, Failure> {
        let servers = &self.address.servers;
        let first = if self.address.is_shuffled { self.turn.fetch_add(1, Ordering::Relaxed) } else { 0 };
        let mut failure = None;
        for at in 0..servers.len() {
            let server = &servers[(first + at) % servers.len()];
            match self.open_at(server).await {
                Ok(connection) => return Ok(connection),
                Err(other) => {
                    // What keeps a reachable server from being used says more than that others cannot be reached.
                    let is_new = failure.as_ref().is_none_or(Failure::is_away);
                    failure = if is_new { Some(other) } else { failure };
                }
            }
        }
        Err(failure.unwrap_or_else(|| Failure::refused("the address has no servers", "name a host")))
    }

    async fn open_at(&self, server: &Server) -> Result<Connection, Failure> {
        let password = self.address.password(server);
        let modes: &[WireMode] = match (&server.host, self.address.tls.mode) {
            (Host::Folder(_) | Host::Usual, _) | (_, SslMode::Disable) => &[WireMode::Disable],
            (_, SslMode::Allow) => &[WireMode::Disable, WireMode::Require],
            (_, SslMode::Prefer) => &[WireMode::Prefer, WireMode::Disable],
            _ => &[WireMode::Require],
        };
        let mut first: Option<tokio_postgres::Error> = None;
        for mode in modes {
            let mut config = self.config(server, &password);
            config.ssl_mode(*mode);
            let Ok(opened) = tokio::time::timeout(2 * self.address.times.connect, self.attempt(&config)).await else {
                return Err(Failure::timeout(&format!("connecting to {server}"), 2 * self.address.times.connect));
            };
            match opened {
                Ok(connection) => return Ok(connection),
                // Only a server that wants the other way is asked the other way.
                Err(error) if wants_other_way(&error) && first.is_none() => first = Some(error),
                Err(error) => {
                    first.get_or_insert(error);
                    break;
                }
            }
        }
        let error = first.expect("at least one mode was tried");
        Err(explained(server, &password, error))
    }

    /// Connects with the options of the address, or without where a pooler refuses them and each transaction can set them.
    async fn attempt(&self, config: &Config) -> Result<Connection, tokio_postgres::Error> {
        if let Some(options) = self.address.options.as_ref().filter(|_| !self.sets_options.load(Ordering::Relaxed)) {
            match self.connect(config.clone().options(options)).await {
                Err(error) if refuses_options(&error) && options::settings(options).is_some() => {
                    self.sets_options.store(true, Ordering::Relaxed);
                }
                opened => return opened,
            }
        }
        self.connect(config).await
    }

    async fn connect(&self, config: &Config) -> Result<Connection, tokio_postgres::Error> {
        if config.get_ssl_mode() == WireMode::Disable {
            let (client, connection) = config.connect(NoTls).await?;
            Ok(Connection::new(client, tokio::spawn(async move { drop(connection.await) })))
        } else {
            let (client, connection) = config.connect(self.tls.clone()).await?;
            Ok(Connection::new(client, tokio::spawn(async move { drop(connection.await) })))
        }
    }

    fn config(&self, server: &Server, password: &Found) -> Config {
        let address = &self.address;
        let mut config = Config::new();
        match &server.host {
            Host::Name(name) if name.is_empty() => &mut config,
            Host::Name(name) => config.host(name),
            Host::Folder(folder) => config.host_path(folder),
            Host::Usual => config.host_path(usual_folder(server.port)),
        };
        if let Some(address) = server.address {
            config.hostaddr(address);
        }
        if let Found::Password(password) = password {
            config.password(&password.0);
        }
        config
            .port(server.port)
            .user(&address.user)
            .dbname(&address.database)
            .application_name(&address.application_name)
            .ssl_negotiation(address.tls.negotiation)
            .channel_binding(address.channel_binding)
            .connect_timeout(address.times.connect)
            .tcp_user_timeout(address.times.user)
            .keepalives(address.times.keeps_alive)
            .keepalives_idle(address.times.idle)
            .keepalives_interval(address.times.interval)
            .keepalives_retries(address.times.count)
            // A store is written to: a standby among several servers is passed over.
            .target_session_attrs(TargetSessionAttrs::ReadWrite);
        config
    }
}

/// Adds what the error cannot know.
fn explained(server: &Server, password: &Found, error: tokio_postgres::Error) -> Failure {
    use crate::store::shared::DatabaseError::{Away, Refused};
    match (Failure::from(error), password) {
        (Failure::Final(Refused { message, .. }), Found::Ignored(path)) => Failure::refused(
            format!("{server}: {message}"),
            format!("{0} is not used, because others may read it: run chmod 600 {0}", path.display()),
        ),
        (Failure::Final(Refused { message, hint }), _) => Failure::refused(format!("{server}: {message}"), hint),
        (Failure::Final(Away(message)), _) => Failure::Final(Away(format!("{server}: {message}"))),
        (failure, _) => failure,
    }
}

/// Returns the folder of sockets in which there is one of this port.
fn usual_folder(port: u16) -> &'static str {
    let has_socket = |folder: &&&str| std::path::Path::new(folder).join(format!(".s.PGSQL.{port}")).exists();
    USUAL_FOLDERS.iter().find(has_socket).unwrap_or(&USUAL_FOLDERS[0])
}

/// True if a server may be used with TLS where it was asked without, or the other way round.
fn wants_other_way(error: &tokio_postgres::Error) -> bool {
    let is_refused = error.code().is_some_and(|code| code.code() == "28000");
    is_refused || is_certificate(error) || error.to_string().contains("TLS handshake")
}

fn refuses_options(error: &tokio_postgres::Error) -> bool {
    error.as_db_error().is_some_and(|error| {
        let message = error.message();
        message.contains("startup parameter") && message.contains("options")
    })
}

impl Connection {
    fn new(client: Client, task: JoinHandle<()>) -> Self {
        Self { client, task, is_proven: AtomicBool::new(false) }
    }

    /// Closes it at once, whatever it waits for.
    pub fn abort(self) {
        self.task.abort();
    }
}

impl Manager for Opener {
    type Type = Connection;
    type Error = Failure;

    async fn create(&self) -> Result<Connection, Failure> {
        self.open().await
    }

    async fn recycle(&self, connection: &mut Connection, _: &Metrics) -> RecycleResult<Failure> {
        if connection.client.is_closed() { Err(RecycleError::message("the connection is closed")) } else { Ok(()) }
    }
}

/// The time that `open` may take, however many servers there are.
pub fn opening_time_max(address: &PostgresAddress) -> Duration {
    let each = 4 * address.times.connect;
    each * u32::try_from(address.servers.len()).unwrap_or(u32::MAX)
}

/// A pool of connections.
pub type Pool = deadpool::managed::Pool<Opener>;
/// A connection of a pool.
pub type Pooled = deadpool::managed::Object<Opener>;

/// Returns the opener of a pool.
pub fn pool(opener: Opener, size: usize) -> Result<Arc<Pool>, Failure> {
    let builder = Pool::builder(opener).max_size(size);
    builder.build().map(Arc::new).map_err(|error| Failure::refused(error.to_string(), "this is a fault of the program"))
}
