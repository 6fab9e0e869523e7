//! Every environment variable that the program reads, beside those that `key-env` names.

use std::collections::BTreeMap;
use std::path::PathBuf;

use cohobate::hub::HubSettings;
use cohobate::job::{CallerKey, Keys};
use cohobate::model::{Origin, PROVIDER_KEYS, Proxies, Secret};
#[cfg(feature = "postgres")]
use cohobate::store::shared::LEASE;

/// The API key for servers that have no variable of their own.
pub const COHOBATE_API_KEY: &str = "COHOBATE_API_KEY";
/// The URL at which the program that started this one serves its functions.
pub const COHOBATE_CALLER: &str = "COHOBATE_CALLER";
/// The key for that URL, and for no other server.
pub const COHOBATE_CALLER_KEY: &str = "COHOBATE_CALLER_KEY";
/// The directory of the user's state.
pub const XDG_STATE_HOME: &str = "XDG_STATE_HOME";
/// The directory for what lives as long as a session of the user.
pub const XDG_RUNTIME_DIR: &str = "XDG_RUNTIME_DIR";
/// The password of a database, as libpq reads it.
pub const PGPASSWORD: &str = "PGPASSWORD";
/// The user's own directory.
pub const HOME: &str = "HOME";

/// The directory of the user's caches.
pub const XDG_CACHE_HOME: &str = "XDG_CACHE_HOME";
/// The URL of the Hub.
pub const HF_ENDPOINT: &str = "HF_ENDPOINT";
/// The token for the Hub.
pub const HF_TOKEN: &str = "HF_TOKEN";
/// The file with the token for the Hub.
pub const HF_TOKEN_PATH: &str = "HF_TOKEN_PATH";
/// The directory of what the Hub's clients keep.
pub const HF_HOME: &str = "HF_HOME";
/// The directory of what was downloaded from the Hub.
pub const HF_HUB_CACHE: &str = "HF_HUB_CACHE";
/// No request to the Hub.
pub const HF_HUB_OFFLINE: &str = "HF_HUB_OFFLINE";

/// A shorter lease could not be renewed in time.
#[cfg(feature = "postgres")]
const LEASE_MIN: std::time::Duration = std::time::Duration::from_millis(200);

/// Returns the keys of the environment: the program's own, those of providers, and those in the variables that profiles
/// name.
pub fn keys<'a>(named: impl IntoIterator<Item = &'a str>) -> Keys {
    let of_providers = PROVIDER_KEYS.iter().map(|(_, variable)| *variable);
    let variables = of_providers.chain(named);
    let by_variable = variables.filter_map(|name| Some((name.to_owned(), secret(name)?))).collect();
    Keys { default: secret(COHOBATE_API_KEY), by_variable, caller: caller() }
}

fn caller() -> Option<CallerKey> {
    let server = Origin::of(&std::env::var(COHOBATE_CALLER).ok()?)?;
    Some(CallerKey { server, key: secret(COHOBATE_CALLER_KEY)? })
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

/// Returns how long the lease of a worker lasts that shares a store. Tests shorten it with a variable, in milliseconds; it is
/// never longer than usual, so that nobody waits longer for the slots of a dead worker.
#[cfg(feature = "postgres")]
pub fn lease() -> std::time::Duration {
    let shortened = std::env::var("COHOBATE_TEST_LEASE_MS").ok().and_then(|text| text.parse().ok());
    shortened.map_or(LEASE, std::time::Duration::from_millis).clamp(LEASE_MIN, LEASE)
}

/// Returns the name of this host.
#[cfg(feature = "postgres")]
pub fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// Returns where the Hub is and what is known to it, from the variables that the Hub's own clients read. The token is that of
/// the environment, else the one that `hf auth login` has stored.
pub fn hub() -> HubSettings {
    let text = |variable: &str| std::env::var(variable).ok().filter(|text| !text.trim().is_empty());
    let path = |variable: &str| Some(with_home(&text(variable)?));
    let caches = path(XDG_CACHE_HOME).or_else(|| Some(absolute(HOME)?.join(".cache")));
    let home = path(HF_HOME).or_else(|| Some(caches?.join("huggingface")));
    let token_file = path(HF_TOKEN_PATH).or_else(|| Some(home.as_ref()?.join("token")));
    let stored = || std::fs::read_to_string(token_file?).ok().as_deref().and_then(Secret::new);
    HubSettings {
        endpoint: text(HF_ENDPOINT).unwrap_or_else(|| HubSettings::ENDPOINT.to_owned()),
        token: secret(HF_TOKEN).or_else(stored),
        cache: path(HF_HUB_CACHE).or_else(|| Some(home.as_ref()?.join("hub"))),
        is_offline: text(HF_HUB_OFFLINE).is_some_and(|text| is_true(&text)),
    }
}

/// Returns a path in which `~` is the user's own directory.
fn with_home(text: &str) -> PathBuf {
    match text.strip_prefix("~/").zip(absolute(HOME)) {
        Some((rest, home)) => home.join(rest),
        None => PathBuf::from(text),
    }
}

fn absolute(variable: &str) -> Option<PathBuf> {
    std::env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute())
}

fn is_true(text: &str) -> bool {
    ["1", "on", "yes", "true"].contains(&text.trim().to_lowercase().as_str())
}

fn secret(variable: &str) -> Option<Secret> {
    // A name with `=` or a zero byte is no variable.
    let is_name = !variable.is_empty() && !variable.contains(['=', '\0']);
    is_name.then(|| std::env::var(variable).ok()).flatten().as_deref().and_then(Secret::new)
}
