//! Addresses of databases, as `--store` takes them.

/// The beginnings of an address of a database.
const SCHEMES: [&str; 2] = ["postgres://", "postgresql://"];

/// True if a text is the address of a database.
pub fn is_address(text: &str) -> bool {
    SCHEMES.iter().any(|scheme| text.starts_with(scheme))
}

/// True for what was meant as an address and cannot be one. As a directory its name would hold a password.
pub fn is_mistaken(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    let is_meant = lower.contains("://") || ["postgres:", "postgresql:"].iter().any(|scheme| lower.starts_with(scheme));
    is_meant && !is_address(text)
}

/// Returns a text of an address that can be shown and stored: without a password.
pub fn without_password(text: &str) -> String {
    if is_address(text) { shown(text) } else { text.to_owned() }
}

#[cfg(feature = "postgres")]
mod server {
    use std::sync::Arc;

    use cohobate::job::{ErrorKind, JobError, SharedAccess};
    use cohobate::store::StoreError;
    use cohobate::store::postgres::{AddressError, Create, PostgresAddress, PostgresDatabase};
    use cohobate::store::shared::{Defences, WorkerId};

    use crate::cli::environment;

    pub fn open(address: &str, run: Option<String>, create: bool) -> Result<SharedAccess, JobError> {
        let address = parse(address)?;
        let create = if create { Create::IfMissing } else { Create::Never };
        let database = PostgresDatabase::open(&address, create).map_err(|error| {
            let error = JobError::from(StoreError::from(error));
            // Before anything is done, what a database refuses is the command line's or the account's fault.
            if error.kind == ErrorKind::Storage { JobError { kind: ErrorKind::Usage, ..error } } else { error }
        })?;
        Ok(SharedAccess {
            database: Arc::new(database),
            shown: address.shown(),
            host: environment::host_name(),
            run,
            new_id: WorkerId::random,
            lease: environment::lease(),
            defences: Defences::default(),
        })
    }

    /// Returns a text that is equal for addresses of the same store.
    pub fn identity(address: &str) -> String {
        parse(address).map_or_else(|_| String::new(), |address| address.identity())
    }

    pub fn shown(address: &str) -> String {
        parse(address).map_or_else(|_| "postgres://...".to_owned(), |address| address.shown())
    }

    /// Returns an address without its password, and the password, where it has one.
    pub fn password_apart(address: &str) -> Option<(String, String)> {
        PostgresAddress::password_apart(address)
    }

    fn parse(address: &str) -> Result<PostgresAddress, JobError> {
        let refused = |AddressError { message, hint }| JobError::usage(format!("--store: {message}"), hint);
        PostgresAddress::parse(address, &environment::postgres()).map_err(refused)
    }
}

#[cfg(not(feature = "postgres"))]
mod server {
    use cohobate::job::{JobError, SharedAccess};

    pub fn open(_: &str, _: Option<String>, _: bool) -> Result<SharedAccess, JobError> {
        let hint = "build it with the feature `postgres`, which is on by default";
        Err(JobError::usage("this program was built without databases as stores", hint))
    }

    pub fn identity(_: &str) -> String {
        String::new()
    }

    pub fn shown(_: &str) -> String {
        "postgres://...".to_owned()
    }

    pub fn password_apart(_: &str) -> Option<(String, String)> {
        None
    }
}

pub use server::{identity, open, password_apart, shown};
