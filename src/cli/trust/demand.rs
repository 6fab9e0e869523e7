//! What a configuration file asks for that a stranger must not have.

use std::path::{Component, Path, PathBuf};

use cohobate::job::{KeySource, Keys};
use cohobate::model::{Endpoint, EndpointPath, ModelReference, Origin};
use toml::{Table, Value};

use super::class::{Class, of_field, of_option};

/// Links to what is not there that are followed one after the other.
const LINKS_MAX: u32 = 8;

/// A setting that reaches beyond the questions and the directory of its file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Demand {
    /// The setting, such as `store` or `models.qwen.key-env`.
    pub setting: String,
    /// What it does, as the end of a sentence, for people.
    pub effect: String,
    /// All that trust depends on: the setting, its value, and where it goes.
    pub exact: String,
    /// The server, where all that matters is whether it gets a key.
    pub server: Option<Origin>,
}

impl Demand {
    /// True if this needs trust with these keys. A server that gets no key, or a provider's own key at the provider's own
    /// host, does not.
    pub fn matters(&self, keys: &Keys) -> bool {
        let Some(server) = &self.server else { return true };
        // Elsewhere the key is withheld, and the setting that would change that matters by itself.
        server.is_private() && keys.source(server) == KeySource::Default
    }

    /// Returns the setting at the top of the file that this belongs to.
    pub fn option(&self) -> &str {
        self.setting.split('.').next().unwrap_or_default()
    }
}

/// Returns what the settings of a file in `directory` ask for, in the order of their names.
pub fn demands(table: &Table, directory: &Path) -> Vec<Demand> {
    let mut found = Vec::new();
    for (name, value) in table {
        match of_option(name) {
            Class::Profiles => {
                for (model, profile) in value.as_table().into_iter().flatten() {
                    found.extend(
                        profile.as_table().into_iter().flat_map(|profile| of_profile(model, profile, directory)),
                    );
                }
            }
            class => found.extend(of_setting(class, name.clone(), value, "", directory)),
        }
    }
    found
}

fn of_profile(model: &str, profile: &Table, directory: &Path) -> Vec<Demand> {
    let servers = profile.get("url").and_then(Value::as_str).map(servers).unwrap_or_default();
    let to = match &servers[..] {
        [] => format!("any address that is given as `{}`", shown(model)),
        servers => servers.iter().map(Origin::to_string).collect::<Vec<_>>().join(", "),
    };
    // With a variable or a command the key does not depend on the host; with an empty variable there is no key.
    let names_key = profile.contains_key("key-env") || profile.contains_key("key-command");
    let fields = profile.iter().filter(|(name, _)| !(names_key && *name == "url"));
    let of_field = |(name, value): (&String, &Value)| {
        of_setting(of_field(name), format!("models.{model}.{name}"), value, &to, directory)
    };
    fields.flat_map(of_field).collect()
}

/// Returns what one setting asks for. `to` says which servers get what it sends.
fn of_setting(class: Class, setting: String, value: &Value, to: &str, directory: &Path) -> Vec<Demand> {
    let text = value.as_str();
    let demand = |effect: String| Demand {
        setting: shown(&setting),
        effect,
        exact: format!("{setting:?} = {value}, {to}"),
        server: None,
    };
    let path = |path: &str| {
        let path = outside(path, directory)?;
        let effect = format!("uses {}, which is outside of its directory", shown(&path.to_string_lossy()));
        Some(Demand { exact: format!("{setting:?} = {}", exact(&path)), ..demand(effect) })
    };
    let server = |server: Origin| {
        let effect = format!("sends questions, and COHOBATE_API_KEY with them if it is set, to {server}");
        Demand { exact: format!("{setting:?} = {server}"), server: Some(server), ..demand(effect) }
    };
    match class {
        Class::Harmless | Class::Profiles => Vec::new(),
        Class::Store if text.is_some_and(|text| text.contains("://")) => {
            vec![demand("keeps answers in a database".to_owned())]
        }
        Class::Store | Class::Path => text.and_then(path).into_iter().collect(),
        Class::Text => texts(value).into_iter().filter_map(|text| path(text.strip_prefix('@')?)).collect(),
        Class::Model => match text.map(str::parse) {
            Some(Ok(ModelReference::Http { urls, .. })) => servers(&urls).into_iter().map(server).collect(),
            _ => Vec::new(),
        },
        Class::Url => servers(text.unwrap_or_default()).into_iter().map(server).collect(),
        Class::Variable if text == Some("") => Vec::new(),
        Class::Variable => {
            let variable = text.map_or_else(|| shown(&value.to_string()), shown);
            vec![demand(format!("sends the environment variable {variable} to {to}"))]
        }
        Class::Command => {
            let sent = if to.is_empty() { String::new() } else { format!(" and sends what it prints to {to}") };
            vec![demand(format!("runs the command {}{sent}", shown(&value.to_string())))]
        }
        Class::Headers => {
            let headers = value.as_table().into_iter().flatten();
            let effect = |(name, value): (&String, &Value)| {
                let from = match value {
                    value if is_from_environment(value) => " from the environment",
                    // Behind a shared front, this header decides who gets the request and its key.
                    _ if name.eq_ignore_ascii_case("host") => "",
                    _ => return None,
                };
                let exact = format!("{setting:?}.{name:?} = {value}, {to}");
                let (name, value) = (shown(name), shown(&value.to_string()));
                Some(Demand { exact, ..demand(format!("sends the header {name}{from} ({value}) to {to}")) })
            };
            headers.filter_map(effect).collect()
        }
        Class::Listener => {
            vec![demand(format!("shows the counts of a run to everybody who can reach {}", shown(&value.to_string())))]
        }
        Class::Connection if value.as_bool() == Some(false) => Vec::new(),
        Class::Connection => {
            vec![demand(format!("changes how connections are protected ({})", shown(&value.to_string())))]
        }
        Class::Unknown => vec![demand(format!("is set to {}", shown(&value.to_string())))],
    }
}

/// Returns the texts in a value, however deep.
fn texts(value: &Value) -> Vec<&str> {
    match value {
        Value::String(text) => vec![text],
        Value::Array(values) => values.iter().flat_map(texts).collect(),
        Value::Table(table) => table.values().flat_map(texts).collect(),
        _ => Vec::new(),
    }
}

/// True unless a header's value is plain text: `$NAME`, `${NAME}`, `env:NAME` and tables name a variable.
fn is_from_environment(value: &Value) -> bool {
    value.as_str().is_none_or(|text| text.contains('$') || text.to_lowercase().starts_with("env"))
}

/// Returns the servers of addresses. Invalid ones are refused elsewhere, and get nothing.
fn servers(urls: &str) -> Vec<Origin> {
    let endpoint = Endpoint::new("", urls, EndpointPath::AsGiven);
    endpoint.map_or_else(|_| Vec::new(), |endpoint| endpoint.urls.iter().filter_map(|url| Origin::of(url)).collect())
}

/// Returns where a path leads, if that is outside of the directory.
fn outside(path: &str, directory: &Path) -> Option<PathBuf> {
    let resolved = resolve(&directory.join(path), LINKS_MAX);
    (!resolved.starts_with(resolve(directory, LINKS_MAX))).then_some(resolved)
}

/// Returns where a path leads, whether or not it exists: through symbolic links, and through links to what is not there
/// yet, which would be followed when a file is made.
fn resolve(path: &Path, links: u32) -> PathBuf {
    let mut found = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => drop(found.pop()),
            part => {
                let parent = found.clone();
                found.push(part);
                if let Ok(existing) = found.canonicalize() {
                    found = existing;
                } else if let Ok(target) = found.read_link() {
                    // A link to itself leads nowhere, and nowhere is outside.
                    found = if links == 0 { PathBuf::new() } else { resolve(&parent.join(target), links - 1) };
                }
            }
        }
    }
    found
}

/// Returns a path as a text that is the same for no two paths, also where they are not UTF-8.
pub fn exact(path: &Path) -> String {
    format!("{:?}", path.as_os_str().as_encoded_bytes())
}

/// Returns a text of the file for a terminal: without control characters, and not longer than a line.
pub fn shown(text: &str) -> String {
    const LETTERS_MAX: usize = 200;
    let is_hidden = |letter: &char| letter.is_control() || ('\u{200b}'..='\u{206f}').contains(letter);
    let letters = text.chars().map(|letter| if is_hidden(&letter) { '\u{fffd}' } else { letter });
    let mut shown: String = letters.take(LETTERS_MAX).collect();
    if text.chars().nth(LETTERS_MAX).is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Vec<Demand> {
        demands(&text.parse().unwrap(), Path::new("/nowhere/here"))
    }

    fn effects(text: &str) -> Vec<String> {
        of(text).into_iter().map(|demand| format!("{} {}", demand.setting, demand.effect)).collect()
    }

    #[test]
    fn commands_headers_and_protection_are_named_with_where_they_go() {
        let profile = |field: &str| format!("[models.m]\nurl = \"https://gpu.example/v1\"\n{field}\n");
        for (field, expected) in [
            (
                "key-command = \"pass show x\"",
                "models.m.key-command runs the command \"pass show x\" and sends what it prints to https://gpu.example",
            ),
            (
                "key-command = [\"a\", \"b\"]",
                "models.m.key-command runs the command [\"a\", \"b\"] and sends what it prints to https://gpu.example",
            ),
            (
                "headers = { x-a = \"$SECRET\" }",
                "models.m.headers sends the header x-a from the environment (\"$SECRET\") to https://gpu.example",
            ),
            (
                "headers = { x-a = { env = \"SECRET\" } }",
                "models.m.headers sends the header x-a from the environment ({ env = \"SECRET\" }) to https://gpu.example",
            ),
            (
                "headers = { Host = \"evil.example\" }",
                "models.m.headers sends the header Host (\"evil.example\") to https://gpu.example",
            ),
            ("ca-file = \"ca.pem\"", "models.m.ca-file changes how connections are protected (\"ca.pem\")"),
            ("proxy = \"http://p\"", "models.m.proxy changes how connections are protected (\"http://p\")"),
            ("from-the-future = 1", "models.m.from-the-future is set to 1"),
        ] {
            assert!(effects(&profile(field)).contains(&expected.to_owned()), "{:?}", effects(&profile(field)));
        }
        let harmless = "headers = { x-a = \"b\" }\nauth-header = \"api-key\"\nbody = { top_k = 20 }\nkey-env = \"\"";
        assert_eq!(effects(&profile(harmless)), [""; 0]);
    }

    #[test]
    fn trust_depends_on_the_whole_value_and_not_on_its_wording() {
        let long = "x".repeat(1000);
        let exact = |text: &str| of(text).into_iter().map(|demand| demand.exact).collect::<Vec<_>>();
        let command = |end: &str| format!("[models.m]\nkey-command = \"{long}{end}\"\n");
        assert_ne!(exact(&command("a")), exact(&command("b")));
        let to = |host: &str| format!("[models.m]\nkey-env = \"K\"\nurl = \"http://{host}\"\n");
        assert_ne!(exact(&to("a")), exact(&to("b")));
        assert_eq!(exact(&to("a")), exact(&to("a/v1")), "the path sends a key nowhere else");
    }
}
