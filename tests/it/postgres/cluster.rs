//! A PostgreSQL of the distribution, in a folder of its own, run by a user who is not root.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use cohobate::store::postgres::{Create, PostgresAddress, PostgresDatabase, Surroundings};
use cohobate::store::shared::DatabaseError;

/// A server that runs. It ends with this.
pub struct Cluster {
    folder: tempfile::TempDir,
    binaries: PathBuf,
    port: u16,
}

/// Settings of servers whose durability is no subject.
pub const QUICK: &str = "-c fsync=off -c full_page_writes=off";

impl Cluster {
    /// Starts a server with these settings, reached by a socket; prints why not where there is none.
    pub fn start(settings: &str) -> Option<Self> {
        let cluster = Self::made()?;
        cluster.run(settings);
        Some(cluster)
    }

    /// Makes a cluster; starts no server.
    pub fn made() -> Option<Self> {
        let Some(binaries) = binaries() else {
            println!("skipped: PostgreSQL is not installed");
            return None;
        };
        let folder = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let cluster = Self { folder, binaries, port };
        if is_root() {
            let chown = Command::new("chown").arg("nobody").arg(cluster.folder()).status().unwrap();
            assert!(chown.success());
        }
        let data = cluster.path("data");
        let mut made = cluster.tool("initdb");
        made.args(["-A", "trust", "-U", "worker", "-N", "-E", "UTF8", "--locale=C", "-D"]);
        checked(&made.arg(&data).output().unwrap());
        Some(cluster)
    }

    /// Starts the server.
    pub fn run(&self, settings: &str) {
        self.run_with(settings, &[]);
    }

    /// Starts the server with variables of its own.
    pub fn run_with(&self, settings: &str, variables: &[(&str, &str)]) {
        let options = format!("-k {} -p {} -c listen_addresses='' {settings}", self.folder().display(), self.port);
        // They are for the server alone: what changes the user would be preloaded as well.
        let mut start = as_nobody(Path::new("env"));
        start.args(variables.iter().map(|(name, value)| format!("{name}={value}")));
        start.arg(self.binaries.join("pg_ctl")).current_dir(self.folder());
        start.args(["start", "-w", "-t", "60", "-o", &options, "-l"]).arg(self.path("log")).arg("-D");
        // Its output would stay open as long as the server runs.
        let status = start.arg(self.path("data")).stdout(std::process::Stdio::null()).status().unwrap();
        assert!(status.success(), "{}", fs::read_to_string(self.path("log")).unwrap_or_default());
    }

    /// Stops the server: `immediate` is a crash.
    pub fn stop(&self, mode: &str) {
        let mut stop = self.tool("pg_ctl");
        checked(&stop.args(["stop", "-w", "-m", mode, "-D"]).arg(self.path("data")).output().unwrap());
    }

    /// Runs SQL as the owner of the cluster and returns what it prints, unaligned.
    pub fn sql(&self, sql: &str) -> String {
        let mut psql = Command::new(self.binaries.join("psql"));
        psql.args(["-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", "-U", "worker", "-d", "postgres", "-c", sql]);
        let output = psql.arg("-h").arg(self.folder()).args(["-p", &self.port.to_string()]).output().unwrap();
        checked(&output);
        String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
    }

    /// The address by the socket, with parameters.
    pub fn address(&self, parameters: &str) -> String {
        format!("host={} port={} user=worker dbname=postgres {parameters}", self.folder().display(), self.port)
    }

    /// Opens a store in a new schema.
    pub fn schema(&self, name: &str) -> PostgresDatabase {
        self.sql(&format!("CREATE SCHEMA {name}"));
        open(&self.address(&format!("options='-c search_path={name}'"))).unwrap()
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Writes a file that the server may read.
    pub fn write(&self, name: &str, text: &[u8]) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, text).unwrap();
        own(&path);
        path
    }

    /// A tool of PostgreSQL, run by who may run it.
    fn tool(&self, name: &str) -> Command {
        let mut command = as_nobody(&self.binaries.join(name));
        command.current_dir(self.folder());
        command
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let mut stop = self.tool("pg_ctl");
        let _ = stop.args(["stop", "-w", "-m", "immediate", "-D"]).arg(self.path("data")).output();
    }
}

/// A command that is not run by root: servers refuse that.
pub fn as_nobody(program: &Path) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=nobody", "--regid=nogroup", "--clear-groups", "--"]).arg(program);
    command
}

/// Gives a file to whom [`as_nobody`] is, readable by nobody else.
pub fn own(path: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
    if is_root() {
        assert!(Command::new("chown").arg("nobody").arg(path).status().unwrap().success());
    }
}

/// Opens a store with nothing of the environment.
pub fn open(address: &str) -> Result<PostgresDatabase, DatabaseError> {
    open_with(address, &Surroundings::default())
}

pub fn open_with(address: &str, surroundings: &Surroundings) -> Result<PostgresDatabase, DatabaseError> {
    let address = PostgresAddress::parse(address, surroundings).unwrap();
    PostgresDatabase::open(&address, Create::IfMissing)
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Returns the folder of the newest PostgreSQL that is installed.
fn binaries() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let number =
        |path: &PathBuf| path.file_name().and_then(|name| name.to_str()).and_then(|name| name.parse::<u32>().ok());
    let versions = versions.map(|version| version.path()).filter(|path| path.join("bin/initdb").exists());
    if let Some(newest) = versions.max_by_key(number) {
        return Some(newest.join("bin"));
    }
    let output = Command::new("pg_config").arg("--bindir").output().ok()?;
    let folder = PathBuf::from(String::from_utf8(output.stdout).ok()?.trim());
    folder.join("initdb").exists().then_some(folder)
}

fn checked(output: &Output) {
    assert!(output.status.success(), "{output:?}");
}
