//! Every environment variable that the program reads, beside those that `key-env` names.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::PathBuf;

use cohobate::conversation::Digest;
use cohobate::job::Keys;
use cohobate::model::{PROVIDER_KEYS, Proxies, Secret};
use cohobate::store::shared::WorkerId;

/// The API key for servers that have no variable of their own.
pub const COHOBATE_API_KEY: &str = "COHOBATE_API_KEY";
/// The directory of the user's state.
pub const XDG_STATE_HOME: &str = "XDG_STATE_HOME";
/// The directory for what lives as long as a session of the user.
pub const XDG_RUNTIME_DIR: &str = "XDG_RUNTIME_DIR";
/// The user's own directory.
pub const HOME: &str = "HOME";

/// Returns the keys of the environment: the program's own, those of providers, and those in the variables that profiles
/// name.
pub fn keys<'a>(named: impl IntoIterator<Item = &'a str>) -> Keys {
    let of_providers = PROVIDER_KEYS.iter().map(|(_, variable)| *variable);
    let variables = of_providers.chain(named);
    let by_variable = variables.filter_map(|name| Some((name.to_owned(), secret(name)?))).collect();
    Keys { default: secret(COHOBATE_API_KEY), by_variable }
}

/// Returns the proxies of the environment, as the HTTP client reads them: in upper case before lower case, and none where
/// the environment may have been set by a web server's request.
pub fn proxies() -> Proxies {
    if std::env::var_os("REQUEST_METHOD").is_some() {
        return Proxies::default();
    }
    let value = |variable: &str| {
        let lower = || std::env::var(variable.to_lowercase());
        std::env::var(variable).or_else(|_| lower()).unwrap_or_default()
    };
    let [http, https, all, no] = ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"].map(value);
    Proxies { http, https, all, no }
}

/// The variables by which a cluster tells a process which of several it is.
pub type ArrayVariables = BTreeMap<&'static str, String>;

/// Returns those of a Slurm array and of an indexed job of Kubernetes that are set.
pub fn array() -> ArrayVariables {
    let names = [
        "SLURM_ARRAY_TASK_ID",
        "SLURM_ARRAY_TASK_MIN",
        "SLURM_ARRAY_TASK_COUNT",
        "SLURM_ARRAY_TASK_STEP",
        "JOB_COMPLETION_INDEX",
    ];
    names.into_iter().filter_map(|name| Some((name, std::env::var_os(name)?.to_string_lossy().into_owned()))).collect()
}

/// Returns the directory for what lives as long as a session of the user, where there is one.
pub fn runtime_directory() -> Option<PathBuf> {
    std::env::var_os(XDG_RUNTIME_DIR).map(PathBuf::from).filter(|path| path.is_absolute() && path.is_dir())
}

/// Returns where the program may keep what outlives a run and belongs to no store: `XDG_STATE_HOME`, else
/// `~/.local/state`. The standard has relative paths ignored.
pub fn state_directory() -> Option<PathBuf> {
    let absolute = |variable: &str| std::env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute());
    absolute(XDG_STATE_HOME).or_else(|| Some(absolute(HOME)?.join(".local/state"))).map(|state| state.join("cohobate"))
}

/// Returns what completes the address of a database, as libpq has it: `PG*`, the user's name and directory.
#[cfg(feature = "postgres")]
pub fn postgres() -> cohobate::store::postgres::Surroundings {
    let is_read = |name: &str| name.starts_with("PG") || ["USER", "LOGNAME", "USERNAME"].contains(&name);
    let variables = std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value)));
    let read = variables.filter(|(name, _)| is_read(name));
    cohobate::store::postgres::Surroundings {
        variables: read.map(|(name, value)| (name, value.to_string_lossy().into_owned())).collect(),
        home: std::env::var_os(HOME).map(PathBuf::from).filter(|path| path.is_absolute()),
    }
}

/// Returns the name of this host.
pub fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// Returns 16 random bytes for the start of a worker.
pub fn new_worker_id() -> WorkerId {
    let mut id = [0; 16];
    let read = std::fs::File::open("/dev/urandom").and_then(|mut random| random.read_exact(&mut id));
    if read.is_err() {
        // Without a source of randomness the time and the process tell starts on one host apart.
        let now =
            std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_nanos());
        let text = format!("{now} {} {}", std::process::id(), host_name());
        id.copy_from_slice(&Digest::of_text("cohobate worker 1", &text).0[..16]);
    }
    WorkerId(id)
}

fn secret(variable: &str) -> Option<Secret> {
    // A name with `=` or a zero byte is no variable.
    let is_name = !variable.is_empty() && !variable.contains(['=', '\0']);
    is_name.then(|| std::env::var(variable).ok()).flatten().as_deref().and_then(Secret::new)
}
