//! Which key goes to which server.
//!
//! A profile that names a variable gets its key, for the profile's own servers. Else a provider's own host gets the
//! provider's own variable, and any other host the key of this program. A key never goes unencrypted to a server outside
//! of this network, unless the profile allows it.

use std::collections::BTreeMap;

use crate::job::JobError;
use crate::model::{Endpoint, EndpointPath, ModelProfile, Origin, Secret, profile_table};

/// API keys, resolved by the caller: a job reads no environment variable.
#[derive(Clone, Debug, Default)]
pub struct Keys {
    /// The key for servers that have none of their own.
    pub default: Option<Secret>,
    /// Keys by variable: those that profiles name as `key-env`, and those of
    /// [`PROVIDER_KEYS`](crate::model::PROVIDER_KEYS).
    pub by_variable: BTreeMap<String, Secret>,
    /// The key of the program that started this one, for the functions that it serves. Default: none.
    pub caller: Option<CallerKey>,
}

/// A key for one server of this machine, which the program that started this one serves.
#[derive(Clone, Debug)]
pub struct CallerKey {
    /// The server.
    pub server: Origin,
    /// The key.
    pub key: Secret,
}

/// Where the key of a server comes from, if its profile names no variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// The variable of the provider whose own host it is.
    Provider(&'static str),
    /// The key for servers that have none of their own.
    Default,
    /// No key.
    Nowhere,
}

/// A key that was chosen for a server.
#[derive(Clone, Debug, Default)]
pub struct ChosenKey {
    /// The key, if one is sent.
    pub key: Option<Secret>,
    /// Why a key is not sent, which the user may not expect.
    pub caution: Option<String>,
    /// The environment variable that holds the key.
    pub variable: Option<String>,
}

impl Keys {
    /// Returns where the key of a server comes from, if its profile names no variable.
    pub fn source(&self, server: &Origin) -> KeySource {
        match server.key_variable().filter(|variable| self.by_variable.contains_key(*variable)) {
            Some(variable) => KeySource::Provider(variable),
            None if self.default.is_some() => KeySource::Default,
            None => KeySource::Nowhere,
        }
    }

    /// Chooses the key that a model's server gets.
    pub(super) fn choose(&self, model: &str, profile: &ModelProfile, url: &str) -> Result<ChosenKey, JobError> {
        let Some(server) = Origin::of(url) else { return Ok(ChosenKey::default()) };
        if let Some(caller) = self.caller.as_ref().filter(|caller| caller.server == server && server.is_local()) {
            return Ok(ChosenKey { key: Some(caller.key.clone()), ..ChosenKey::default() });
        }
        for secret in named_secrets(profile) {
            refuse_foreign(model, profile, &server, &secret)?;
        }
        if profile.key_command.is_some() {
            if profile.key_env.as_deref().is_some_and(|variable| !variable.is_empty()) {
                return Err(JobError::usage("a profile has both key-env and key-command", "remove one of them"));
            }
            return Ok(ChosenKey::default());
        }
        match profile.key_env.as_deref() {
            Some("") => Ok(ChosenKey::default()),
            Some(variable) => {
                let key = self.by_variable.get(variable).cloned().ok_or_else(|| {
                    let message = format!("the environment variable {variable} is not set");
                    JobError::usage(message, "set it to the API key, or remove key-env")
                })?;
                Ok(ChosenKey { key: Some(key), caution: None, variable: Some(variable.to_owned()) })
            }
            None => Ok(self.choose_by_host(model, profile, &server)),
        }
    }

    fn choose_by_host(&self, model: &str, profile: &ModelProfile, server: &Origin) -> ChosenKey {
        let (key, variable) = match self.source(server) {
            KeySource::Provider(variable) => (self.by_variable.get(variable).cloned(), variable),
            KeySource::Default => (self.default.clone(), "COHOBATE_API_KEY"),
            KeySource::Nowhere => return ChosenKey::default(),
        };
        if may_travel(profile, server) {
            return ChosenKey { key, caution: None, variable: Some(variable.to_owned()) };
        }
        let caution = format!(
            "{variable} is not sent to {server}, because the connection is not encrypted; use https, or set \
             allow-http-key = true in {table}",
            table = profile_table(model)
        );
        ChosenKey { caution: Some(caution), ..ChosenKey::default() }
    }
}

/// Says which secrets a profile itself names. They are for the profile's own servers.
fn named_secrets(profile: &ModelProfile) -> Vec<String> {
    let variable = profile.key_env.iter().filter(|variable| !variable.is_empty());
    let variable = variable.map(|variable| format!("key-env names {variable}"));
    let command = profile.key_command.iter().map(|_| "key-command prints a key".to_owned());
    let headers = profile.headers.iter().filter_map(|(name, value)| Some((name, value.variable()?)));
    let headers = headers.map(|(name, variable)| format!("the header {name} has the value of {variable}"));
    variable.chain(command).chain(headers).collect()
}

fn may_travel(profile: &ModelProfile, server: &Origin) -> bool {
    server.is_private() || profile.allow_http_key.unwrap_or(false)
}

/// Refuses to send a secret that a profile names to a server that is not the profile's, or that it would reach
/// unencrypted. `what` says which one.
fn refuse_foreign(model: &str, profile: &ModelProfile, server: &Origin, what: &str) -> Result<(), JobError> {
    let own = profile.url.as_ref().and_then(|urls| Endpoint::new(model, urls, EndpointPath::AsGiven).ok());
    let is_own = own.is_none_or(|own| own.urls.iter().any(|url| Origin::of(url).as_ref() == Some(server)));
    if !is_own {
        return Err(JobError::usage(
            format!(
                "{what} in {table}, for the url of that profile, and {server} is another server",
                table = profile_table(model)
            ),
            format!(
                "add {server} to the url of {table}, or give it a profile of its own",
                table = profile_table(model)
            ),
        ));
    }
    if !may_travel(profile, server) {
        return Err(JobError::usage(
            format!("{what} in {table}, and it would be sent to {server} unencrypted", table = profile_table(model)),
            format!("use https, or set allow-http-key = true in {table}", table = profile_table(model)),
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(default: bool, variables: &[&str]) -> Keys {
        let named = |name: &&str| ((*name).to_owned(), Secret::new(&format!("key-of-{name}")).unwrap());
        Keys {
            default: default.then(|| Secret::new("own").unwrap()),
            by_variable: variables.iter().map(named).collect(),
            caller: None,
        }
    }

    fn source(keys: &Keys, url: &str) -> KeySource {
        keys.source(&Origin::of(url).unwrap())
    }

    #[test]
    fn a_provider_key_goes_to_its_own_host_alone() {
        let both = keys(true, &["OPENAI_API_KEY", "GROQ_API_KEY"]);
        assert_eq!(source(&both, "https://api.openai.com/v1"), KeySource::Provider("OPENAI_API_KEY"));
        assert_eq!(source(&both, "https://api.groq.com/openai/v1"), KeySource::Provider("GROQ_API_KEY"));
        assert_eq!(source(&both, "https://api.mistral.ai/v1"), KeySource::Default);
        assert_eq!(source(&both, "http://localhost:8000"), KeySource::Default);
        let ambient = keys(false, &["OPENAI_API_KEY"]);
        assert_eq!(source(&ambient, "http://localhost:8000"), KeySource::Nowhere);
        assert_eq!(source(&ambient, "https://api.openai.com.evil.example"), KeySource::Nowhere);
    }

    #[test]
    fn the_key_of_the_calling_program_goes_to_its_own_server_alone() {
        let caller =
            |url: &str| CallerKey { server: Origin::of(url).unwrap(), key: Secret::new("for-functions").unwrap() };
        let chosen = |keys: &Keys, url: &str| keys.choose("f", &ModelProfile::default(), url).unwrap().key;
        let keys = Keys { caller: Some(caller("http://127.0.0.1:4711")), ..keys(true, &["OPENAI_API_KEY"]) };
        assert_eq!(chosen(&keys, "http://127.0.0.1:4711/v1/chat/completions"), Secret::new("for-functions"));
        for other in ["http://127.0.0.1:4712/v1", "http://localhost:4711/v1", "https://127.0.0.1:4711/v1"] {
            assert_eq!(chosen(&keys, other), Secret::new("own"), "{other}");
        }
        assert_eq!(chosen(&keys, "https://api.openai.com/v1"), Secret::new("key-of-OPENAI_API_KEY"));
        let keys = Keys { caller: Some(caller("http://functions.example.com")), ..Keys::default() };
        assert_eq!(chosen(&keys, "http://functions.example.com/v1"), None, "it is no server of this machine");
    }

    #[test]
    fn a_key_chosen_by_default_is_withheld_where_it_would_travel_unencrypted() {
        let (keys, mut profile) = (keys(true, &["OPENAI_API_KEY"]), ModelProfile::default());
        for url in ["http://gpu.example.com/v1", "http://api.openai.com/v1"] {
            let chosen = keys.choose("m", &profile, url).unwrap();
            assert!(chosen.key.is_none() && chosen.caution.unwrap().contains("allow-http-key"), "{url}");
        }
        assert!(keys.choose("m", &profile, "http://gpu1:8000/v1").unwrap().key.is_some());
        profile.allow_http_key = Some(true);
        assert!(keys.choose("m", &profile, "http://gpu.example.com/v1").unwrap().key.is_some());
    }

    #[test]
    fn a_key_that_a_profile_names_is_for_its_own_servers() {
        let keys = keys(true, &["K"]);
        let mut profile = ModelProfile { key_env: Some("K".to_owned()), ..ModelProfile::default() };
        assert!(keys.choose("m", &profile, "https://anywhere.example/v1").unwrap().key.is_some());
        let unencrypted = keys.choose("m", &profile, "http://anywhere.example/v1").unwrap_err();
        assert!(unencrypted.message.contains("unencrypted"), "{unencrypted}");
        profile.url = Some("https://a.example/v1,gpu1:8000".to_owned());
        for own in ["https://a.example/other", "http://gpu1:8000/v1"] {
            assert!(keys.choose("m", &profile, own).unwrap().key.is_some(), "{own}");
        }
        for other in ["https://b.example/v1", "http://gpu2:8000/v1", "http://gpu1:8001/v1", "https://a.example:8443/v1"]
        {
            assert!(keys.choose("m", &profile, other).is_err(), "{other}");
        }
        profile.key_env = Some(String::new());
        assert!(keys.choose("m", &profile, "https://b.example/v1").unwrap().key.is_none());
    }
}
