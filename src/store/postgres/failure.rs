//! What went wrong, and whether it will go wrong again.
//!
//! | SQLSTATE | what it means here |
//! |---|---|
//! | 40001, 40P01, 55P03 | the transaction is tried again, a few times; then the database is away |
//! | 08, 57P, 53, 58, XX, 25006, 57014, 25P03 | the database is away: it restarts, is overloaded, or is a standby now |
//! | 28 | refused: who asks |
//! | 3D000, 3F000, 42501, 42P01, others | refused: what is asked |

use std::error::Error as _;
use std::io;
use std::time::Duration;

use tokio_postgres::error::SqlState;

use crate::store::shared::DatabaseError;

/// Why a transaction did not succeed.
#[derive(Debug)]
pub enum Failure {
    /// Another transaction was in the way.
    Conflict(String),
    /// See [`DatabaseError`].
    Final(DatabaseError),
}

impl Failure {
    /// The database refuses, and would refuse again.
    pub fn refused(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Final(DatabaseError::Refused { message: message.into(), hint: hint.into() })
    }

    /// Nothing came within the time.
    pub fn timeout(what: &str, after: Duration) -> Self {
        Self::Final(DatabaseError::Away(format!("{what} took longer than {} s", after.as_secs())))
    }

    /// Returns what is left of it once nothing is tried again.
    pub fn into_error(self) -> DatabaseError {
        match self {
            Self::Conflict(message) => DatabaseError::Away(message),
            Self::Final(error) => error,
        }
    }

    /// True if the connection may be in any state.
    pub fn is_away(&self) -> bool {
        matches!(self, Self::Final(DatabaseError::Away(_)))
    }
}

impl From<DatabaseError> for Failure {
    fn from(error: DatabaseError) -> Self {
        Self::Final(error)
    }
}

impl From<tokio_postgres::Error> for Failure {
    fn from(error: tokio_postgres::Error) -> Self {
        let message = told(&error);
        let Some(code) = error.code() else {
            let is_settled = is_certificate(&error) || is_negotiation(&message);
            return if is_settled {
                Self::refused(message, NEGOTIATION)
            } else {
                Self::Final(DatabaseError::Away(message))
            };
        };
        match kind(code, &message) {
            Kind::Conflict => Self::Conflict(message),
            Kind::Away => Self::Final(DatabaseError::Away(message)),
            Kind::Refused(hint) => Self::refused(message, hint),
        }
    }
}

const NEGOTIATION: &str = "check sslmode, sslrootcert and channel_binding of the address";

#[derive(Debug, PartialEq, Eq)]
enum Kind {
    Conflict,
    Away,
    Refused(&'static str),
}

fn kind(code: &SqlState, message: &str) -> Kind {
    let has = |needle: &str| message.to_lowercase().contains(needle);
    match code.code() {
        "40001" | "40P01" | "55P03" => Kind::Conflict,
        "25006" | "57014" | "25P03" | "25P04" => Kind::Away,
        "57P04" | "3D000" => Kind::Refused("create the database, or correct the address"),
        "28000" if has("no encryption") || has("ssl off") => Kind::Refused("use sslmode=require: the server wants TLS"),
        "28P01" | "28000" => Kind::Refused("check user and password of the address, and pg_hba.conf of the server"),
        "3F000" => Kind::Refused("create the schema of search_path, or name another one: options=-c search_path=NAME"),
        "42501" => Kind::Refused(
            "grant the user SELECT, INSERT, UPDATE and DELETE on the tables cohobate_*, and USAGE on the sequence cohobate_batch; \
             to create them it needs CREATE on the schema",
        ),
        "42P01" | "42703" | "42883" => {
            Kind::Refused("the tables are not those of this program: run `cohobate store init`, or check search_path")
        }
        // A pooler says all of its own in this code.
        "08P01" if has("startup parameter") => Kind::Refused(
            "the pooler refuses it: set it in the database (ALTER ROLE … SET …), or connect without the pooler",
        ),
        "08P01" if has("statement pooling") => {
            Kind::Refused("set pool_mode=transaction or session in the pooler: a commit is several statements")
        }
        "08P01" if has("no such database") || has("no such user") || has("ssl required") || has("auth") => {
            Kind::Refused("check database, user and sslmode of the address, and the pooler's settings")
        }
        code if ["08", "53", "57", "58", "XX"].iter().any(|class| code.starts_with(class)) => Kind::Away,
        code if code.starts_with("28") => Kind::Refused("check user and password of the address"),
        _ => Kind::Refused("this is a fault of the program or of the tables; the message above is the database's"),
    }
}

/// Returns what an error and its causes say.
fn told(error: &tokio_postgres::Error) -> String {
    if let Some(database) = error.as_db_error() {
        let detail = database.detail().map(|detail| format!(" ({detail})")).unwrap_or_default();
        return format!("{}{detail} [{}]", database.message(), database.code().code());
    }
    let mut message = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let text = cause.to_string();
        if !message.contains(&text) {
            message = format!("{message}: {text}");
        }
        source = cause.source();
    }
    message
}

/// True if the server's certificate was refused, or it refused ours.
pub fn is_certificate(error: &tokio_postgres::Error) -> bool {
    let mut source = error.source();
    while let Some(cause) = source {
        let inner = cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        let tls = inner.and_then(|inner| inner.downcast_ref::<rustls::Error>());
        if let Some(rustls::Error::InvalidCertificate(_) | rustls::Error::AlertReceived(_)) = tls {
            return true;
        }
        source = cause.source();
    }
    false
}

/// True if client and server have no way to connect in common, as tokio-postgres says it.
fn is_negotiation(message: &str) -> bool {
    let settled = ["server does not support TLS", "channel binding", "unsupported authentication", "password missing"];
    settled.iter().any(|text| message.contains(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_restart_is_away_and_a_wrong_password_is_refused() {
        let of = |code: &str, message: &str| kind(&SqlState::from_code(code), message);
        for code in ["08006", "08P01", "57P01", "57P02", "57P03", "53300", "25006", "57014", "58030", "XX000", "53200"]
        {
            assert_eq!(of(code, "x"), Kind::Away, "{code}");
        }
        for code in ["40001", "40P01", "55P03"] {
            assert_eq!(of(code, "x"), Kind::Conflict, "{code}");
        }
        for code in ["28P01", "28000", "3D000", "3F000", "42501", "42P01", "42601", "22P02", "23505"] {
            assert!(matches!(of(code, "x"), Kind::Refused(_)), "{code}");
        }
        for message in [
            "unsupported startup parameter: options",
            "no such database: x",
            "transaction blocks not allowed in statement pooling mode",
        ] {
            assert!(matches!(of("08P01", message), Kind::Refused(_)), "{message}");
        }
        assert_eq!(of("08P01", "query_wait_timeout"), Kind::Away);
    }
}
