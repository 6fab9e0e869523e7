//! Every environment variable that the program reads, beside those that `key-env` names.

use std::collections::BTreeMap;
use std::path::PathBuf;

use cohobate::job::Keys;
use cohobate::model::{PROVIDER_KEYS, Proxies, Secret};

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

fn secret(variable: &str) -> Option<Secret> {
    // A name with `=` or a zero byte is no variable.
    let is_name = !variable.is_empty() && !variable.contains(['=', '\0']);
    is_name.then(|| std::env::var(variable).ok()).flatten().as_deref().and_then(Secret::new)
}
