//! What a setting could do if a stranger had written it.

/// What a setting in a configuration file can reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Nothing but what is asked, and how.
    Harmless,
    /// A directory, or the address of a database.
    Store,
    /// A file or a directory.
    Path,
    /// A file, where the text begins with `@`.
    Text,
    /// A server, if the text is `NAME@URL`.
    Model,
    /// Servers.
    Url,
    /// An environment variable, which is sent to the profile's servers.
    Variable,
    /// A command, which is run.
    Command,
    /// Headers, whose values may come from the environment.
    Headers,
    /// What protects a connection, or which way it takes.
    Connection,
    /// An address on which everybody who reaches it is answered.
    Listener,
    /// Profiles by name.
    Profiles,
    /// Nothing is known about it, so that it needs trust.
    Unknown,
}

/// Settings at the top of the file.
const OPTIONS: &[(Class, &[&str])] = &[
    (Class::Store, &["store"]),
    (Class::Path, &["outbox", "prompt", "references"]),
    (Class::Text, &["system"]),
    (Class::Model, &["teacher", "judge", "orphans-judge", "scorer"]),
    (Class::Profiles, &["models"]),
    (Class::Command, &["serve", "on-end", "on-stall", "tool-results"]),
    (Class::Connection, &["proxy", "ca-file"]),
    (Class::Listener, &["metrics"]),
    (
        Class::Harmless,
        // The file cannot set the first four.
        &[
            "config",
            "accept-loss",
            "detach",
            "run",
            "shard",
            "stall-after",
            "progress",
            "quiet",
            "verbose",
            "format",
            "map",
            "split",
            "encoding",
            "threads",
            "limit",
            "greeting",
            "double-user",
            "middle-system",
            "no-system-column",
            "empty-user",
            "tools",
            "tool-match",
            "media",
            "placeholders",
            "fill",
            "duplicates",
            "to",
            "license",
            "gate",
            "rules",
            "rules-version",
            "min-turns",
            "temperature",
            "top-p",
            "max-tokens",
            "seed",
            "orphans",
            "history-reasoning",
            "token-ids",
            "logprobs",
            "per",
            "repeats",
            "controls",
            "samples",
            "min-score",
            "keep",
            "concurrency",
            "rpm",
            "tpm",
            "max-cost",
            "max-requests",
            "max-output-tokens",
            "until",
            "time-limit",
            "stop-signal",
            "give-up-after",
            "stream",
            "thinking",
            "effort",
            "body",
            "body-choice",
            "temperature-choice",
            "lane",
        ],
    ),
];

/// Settings of a `[models.NAME]` table.
const FIELDS: &[(Class, &[&str])] = &[
    (Class::Url, &["url"]),
    (Class::Variable, &["key-env"]),
    (Class::Command, &["key-command"]),
    (Class::Headers, &["headers"]),
    (Class::Connection, &["ca-file", "proxy", "allow-http-key"]),
    (Class::Text, &["system"]),
    (
        Class::Harmless,
        &[
            "dialect",
            "name",
            "side-fields",
            "stream",
            "structured",
            "max-tokens-field",
            "context-window",
            "concurrency",
            "routing",
            "prompt-cache-key",
            "session-header",
            "connect-timeout-s",
            "first-byte-timeout-s",
            "flex-timeout-s",
            "idle-timeout-s",
            "total-timeout-s",
            "price",
            "temperature",
            "top-p",
            "max-tokens",
            "seed",
            "thinking",
            "effort",
            "body",
            "body-choice",
            "temperature-choice",
            "server-family",
            "auth-header",
            "fold-system",
            "cache-control",
            "anthropic-version",
            "response-format",
            "lane",
        ],
    ),
];

/// Returns what a setting at the top of the file can reach.
pub fn of_option(name: &str) -> Class {
    find(OPTIONS, name)
}

/// Returns what a setting of a profile can reach.
pub fn of_field(name: &str) -> Class {
    find(FIELDS, name)
}

fn find(classes: &[(Class, &[&str])], name: &str) -> Class {
    classes.iter().find(|(_, names)| names.contains(&name)).map_or(Class::Unknown, |(class, _)| *class)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::options::Options;

    /// Returns the names that a configuration file may use in a place.
    fn known_names(configuration: &str) -> Vec<String> {
        let error = toml::from_str::<Options>(configuration).unwrap_err().message().to_owned();
        let expected = error.split_once("expected one of ").unwrap().1;
        expected.split('`').skip(1).step_by(2).map(str::to_owned).collect()
    }

    #[test]
    fn every_setting_is_classified() {
        let options = known_names("nonsense = 1");
        let fields = known_names("[models.m]\nnonsense = 1");
        assert!(options.len() > 40 && fields.len() > 20, "{options:?} {fields:?}");
        for name in options {
            assert_ne!(
                of_option(&name),
                Class::Unknown,
                "classify the option `{name}`: what could a stranger do with it?"
            );
        }
        for name in fields {
            assert_ne!(
                of_field(&name),
                Class::Unknown,
                "classify `{name}` of [models.NAME]: what could a stranger do with it?"
            );
        }
    }

    #[test]
    fn no_setting_is_classified_twice() {
        for classes in [OPTIONS, FIELDS] {
            let mut names: Vec<&str> = classes.iter().flat_map(|(_, names)| *names).copied().collect();
            names.sort_unstable();
            assert!(names.is_sorted_by(|one, next| one < next), "{names:?}");
        }
    }
}
