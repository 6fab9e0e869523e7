//! The tables, by version. A change is a new file and a line in `MIGRATIONS`; a file that was released never changes.

use super::failure::Failure;
use super::session::Session;

/// Statements that lead from one version to the next; the first from nothing to version 1.
const MIGRATIONS: &[&str] = &[include_str!("1.sql"), include_str!("2.sql")];

/// The version that this program reads and writes.
#[expect(clippy::cast_possible_wrap, reason = "there are a few")]
pub const VERSION: i32 = MIGRATIONS.len() as i32;

/// Whether missing tables are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Create {
    /// They are made, and older ones are brought up to date.
    IfMissing,
    /// A database without them is refused.
    Never,
}

/// The lock of whoever makes tables, and of whoever begins runs. It ends with its transaction.
pub const LOCK: &str = "SELECT pg_advisory_xact_lock(1668246626, 1)";

/// Fails unless the tables are those of this program; returns true if they are to be made or brought up to date.
pub async fn is_outdated(session: &Session, create: Create) -> Result<bool, Failure> {
    match version(session).await? {
        VERSION => Ok(false),
        newer if newer > VERSION => Err(Failure::refused(
            format!("the tables are of version {newer}, and this program knows versions up to {VERSION}"),
            "use the newer program that made them",
        )),
        _ if create == Create::IfMissing => Ok(true),
        0 => Err(Failure::refused(
            "the database has no tables of cohobate",
            "run `cohobate store init`, or check database and search_path of the address",
        )),
        older => Err(Failure::refused(
            format!("the tables are of version {older}, and this program needs {VERSION}"),
            "run `cohobate store init`",
        )),
    }
}

/// Makes the tables or brings them up to date, one process at a time.
pub async fn migrate(session: &Session) -> Result<(), Failure> {
    session.batch(LOCK).await?;
    let version = version(session).await?;
    if version == 0 {
        session.batch("CREATE TABLE cohobate_schema (version integer PRIMARY KEY, made timestamptz NOT NULL DEFAULT clock_timestamp())").await?;
    }
    for (next, statements) in (1..).zip(MIGRATIONS).filter(|(next, _)| *next > version) {
        session.batch(statements).await?;
        session.batch(&format!("INSERT INTO cohobate_schema (version) VALUES ({next})")).await?;
    }
    Ok(())
}

/// Returns the version of the tables; 0 without tables.
async fn version(session: &Session) -> Result<i32, Failure> {
    // A table in the query makes the server look at what others have made since this transaction began.
    let made = "SELECT to_regclass('cohobate_schema') IS NOT NULL FROM pg_class LIMIT 1";
    let table = session.row(made, &[]).await?;
    if !table.is_some_and(|row| row.get(0)) {
        return Ok(0);
    }
    let row = session.row("SELECT coalesce(max(version), 0) FROM cohobate_schema", &[]).await?;
    Ok(row.map_or(0, |row| row.get(0)))
}
