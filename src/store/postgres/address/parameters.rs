//! The parameters of libpq, and which of them have an effect here. One that would change who is trusted or what is sent, and
//! has no effect here, is refused.

use std::collections::BTreeMap;

use super::text::Pairs;
use super::{AddressError, Surroundings};

/// What becomes of a parameter.
enum Use {
    /// It has its effect.
    Effect,
    /// Only these values; they are what happens anyway.
    Only(&'static [&'static str]),
    /// It is refused, with this hint.
    Refused(&'static str),
}

struct Parameter {
    name: &'static str,
    variable: &'static str,
    usage: Use,
}

const fn effect(name: &'static str, variable: &'static str) -> Parameter {
    Parameter { name, variable, usage: Use::Effect }
}

const fn only(name: &'static str, variable: &'static str, values: &'static [&'static str]) -> Parameter {
    Parameter { name, variable, usage: Use::Only(values) }
}

const fn refused(name: &'static str, variable: &'static str, hint: &'static str) -> Parameter {
    Parameter { name, variable, usage: Use::Refused(hint) }
}

const NO_SERVICE: &str = "write the service's parameters into the address";
const NO_LISTS: &str = "revocation lists are not read; remove the parameter";
const NO_GSS: &str = "GSSAPI is not supported; use a password or a client certificate";

const PARAMETERS: &[Parameter] = &[
    effect("host", "PGHOST"),
    effect("hostaddr", "PGHOSTADDR"),
    effect("port", "PGPORT"),
    effect("dbname", "PGDATABASE"),
    effect("user", "PGUSER"),
    effect("password", "PGPASSWORD"),
    effect("passfile", "PGPASSFILE"),
    effect("channel_binding", "PGCHANNELBINDING"),
    effect("connect_timeout", "PGCONNECT_TIMEOUT"),
    effect("options", "PGOPTIONS"),
    effect("application_name", "PGAPPNAME"),
    effect("fallback_application_name", ""),
    effect("keepalives", ""),
    effect("keepalives_idle", ""),
    effect("keepalives_interval", ""),
    effect("keepalives_count", ""),
    effect("tcp_user_timeout", ""),
    effect("sslmode", "PGSSLMODE"),
    effect("sslnegotiation", "PGSSLNEGOTIATION"),
    effect("sslcert", "PGSSLCERT"),
    effect("sslkey", "PGSSLKEY"),
    effect("sslrootcert", "PGSSLROOTCERT"),
    effect("sslsni", "PGSSLSNI"),
    effect("ssl_min_protocol_version", "PGSSLMINPROTOCOLVERSION"),
    effect("ssl_max_protocol_version", "PGSSLMAXPROTOCOLVERSION"),
    effect("target_session_attrs", "PGTARGETSESSIONATTRS"),
    effect("load_balance_hosts", "PGLOADBALANCEHOSTS"),
    only("client_encoding", "", &["utf8", "utf-8", "unicode", "auto"]),
    only("gssencmode", "", &["disable", "prefer"]),
    only("sslcertmode", "PGSSLCERTMODE", &["allow"]),
    only("sslcompression", "", &["0"]),
    only("min_protocol_version", "PGMINPROTOCOLVERSION", &["3.0"]),
    only("max_protocol_version", "", &["3.0", "3.2", "latest"]),
    refused("service", "PGSERVICE", NO_SERVICE),
    refused("servicefile", "", NO_SERVICE),
    refused("sslcrl", "PGSSLCRL", NO_LISTS),
    refused("sslcrldir", "PGSSLCRLDIR", NO_LISTS),
    refused("sslpassword", "", "encrypted keys are not read; `openssl pkey` writes one without a password"),
    refused("sslkeylogfile", "", "keys are not logged; remove the parameter"),
    refused("require_auth", "PGREQUIREAUTH", "use channel_binding=require or sslmode=verify-full instead"),
    refused("requirepeer", "PGREQUIREPEER", "remove the parameter, or use TCP with sslmode=verify-full"),
    refused("replication", "", "a store is no replica; remove the parameter"),
    refused("krbsrvname", "", NO_GSS),
    refused("gsslib", "", NO_GSS),
    refused("gssdelegation", "", NO_GSS),
];

/// The parameters that have an effect, by name; empty ones are left out.
pub struct Parameters(BTreeMap<&'static str, String>);

impl Parameters {
    /// Checks what an address names and adds the environment's. An error names a parameter that the address has only where
    /// it cannot be a part of a password: `is_url`.
    pub fn new(pairs: Pairs, is_url: bool, surroundings: &Surroundings) -> Result<Self, AddressError> {
        let mut values = BTreeMap::new();
        for (at, (name, value)) in pairs.into_iter().enumerate() {
            let Some(parameter) = PARAMETERS.iter().find(|parameter| parameter.name == name) else {
                let named = if is_url { format!("`{name}`") } else { format!("number {}", at + 1) };
                return Err(AddressError::new(
                    format!("the address has an unknown parameter: {named}"),
                    "remove it; the parameters are those of libpq, and no other driver's",
                ));
            };
            if let Some(value) = parameter.checked(value, parameter.name)? {
                values.insert(parameter.name, value);
            }
        }
        for parameter in PARAMETERS.iter().filter(|parameter| !parameter.variable.is_empty()) {
            let value = surroundings.variables.get(parameter.variable);
            let is_given = values.contains_key(parameter.name);
            if let Some(value) = value.filter(|_| !is_given)
                && let Some(value) = parameter.checked(value.clone(), parameter.variable)?
            {
                values.insert(parameter.name, value);
            }
        }
        Ok(Self(values))
    }

    /// Returns a parameter's value.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Returns the meaning of a parameter's value, the first one where it is not given.
    pub fn choice<T: Copy>(&self, name: &'static str, choices: &[(&'static str, T)]) -> Result<T, AddressError> {
        let Some(value) = self.get(name) else { return Ok(choices[0].1) };
        let found = choices.iter().find(|(choice, _)| *choice == value);
        found.map(|(_, meaning)| *meaning).ok_or_else(|| {
            let all: Vec<&str> = choices.iter().map(|(choice, _)| *choice).collect();
            AddressError::new(format!("{name} is `{value}`"), format!("use one of {}", all.join(", ")))
        })
    }

    /// Returns a number; `None` where it is not given.
    pub fn number(&self, name: &'static str, max: u64) -> Result<Option<u64>, AddressError> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let number = value.trim().parse().ok().filter(|number| *number <= max);
        let error = || AddressError::new(format!("{name} is `{value}`"), format!("use a number from 0 to {max}"));
        Ok(Some(number.ok_or_else(error)?))
    }
}

impl Parameter {
    /// Returns the value, if it has an effect. `shown` is where it was given.
    fn checked(&self, value: String, shown: &str) -> Result<Option<String>, AddressError> {
        if value.is_empty() {
            return Ok(None);
        }
        if value.contains('\0') {
            return Err(AddressError::new(format!("{shown} contains a zero byte"), "remove it"));
        }
        match self.usage {
            Use::Effect => Ok(Some(value)),
            Use::Only(values) if values.contains(&value.to_lowercase().as_str()) => Ok(None),
            Use::Only(values) => {
                let hint = format!("remove it, or use one of {}", values.join(", "));
                Err(AddressError::new(format!("{shown}={value} is not supported"), hint))
            }
            Use::Refused(hint) => Err(AddressError::new(format!("{shown} is not supported"), hint)),
        }
    }
}
