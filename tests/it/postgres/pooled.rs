//! A transaction pooler between a worker and its database changes nothing.

use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;

use cohobate::store::shared::DatabaseError;

use super::cluster::{Cluster, QUICK, as_nobody, open};
use super::contract::CONTRACT;

/// A pooler that runs. It ends with this.
struct Pooler(Child);

impl Drop for Pooler {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts PgBouncer before a server, with its socket in the folder `name`; prints why not where there is none.
fn pooler(cluster: &Cluster, name: &str, mode: &str) -> Option<Pooler> {
    let program = ["/usr/sbin/pgbouncer", "/usr/bin/pgbouncer"].map(Path::new).into_iter().find(|path| path.exists());
    let Some(program) = program else {
        println!("skipped: PgBouncer is not installed");
        return None;
    };
    let folder = cluster.folder().display();
    let settings = format!(
        "[databases]\npostgres = host={folder} port={port} dbname=postgres user=worker\n[pgbouncer]\nauth_type = any\n\
         listen_addr =\nlisten_port = {port}\nunix_socket_dir = {folder}/{name}\npool_mode = {mode}\n\
         default_pool_size = 3\nmax_prepared_statements = 0\nlogfile = {folder}/{name}.log\npidfile = {folder}/{name}.pid\n",
        port = cluster.port()
    );
    // Older ones do not know the setting.
    let settings = if is_old(program) { settings.replace("max_prepared_statements = 0\n", "") } else { settings };
    let file = cluster.write(&format!("{name}.ini"), settings.as_bytes());
    assert!(as_nobody(Path::new("mkdir")).arg(cluster.path(name)).status().unwrap().success());
    let mut command = as_nobody(program);
    let child = command.arg("-q").arg(&file).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let pooler = Pooler(child);
    for _ in 0..600 {
        if cluster.path(&format!("{name}/.s.PGSQL.{}", cluster.port())).exists() {
            return Some(pooler);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("{}", std::fs::read_to_string(cluster.path(&format!("{name}.log"))).unwrap_or_default());
}

fn is_old(program: &Path) -> bool {
    let output = as_nobody(program).arg("--version").output().unwrap();
    let version = String::from_utf8_lossy(&output.stdout).into_owned();
    let minor = version.split("1.").nth(1).and_then(|rest| rest.split('.').next()?.trim().parse::<u32>().ok());
    minor.is_some_and(|minor| minor < 21)
}

fn address(cluster: &Cluster, name: &str, parameters: &str) -> String {
    format!(
        "host={}/{name} port={} user=worker dbname=postgres {parameters}",
        cluster.folder().display(),
        cluster.port()
    )
}

#[test]
fn the_contract_holds_through_a_transaction_pooler() {
    let Some(cluster) = Cluster::start(QUICK) else { return };
    let Some(_pooler) = pooler(&cluster, "pooler", "transaction") else { return };
    for (name, part) in CONTRACT {
        println!("{name}");
        cluster.sql(&format!("CREATE SCHEMA {name}"));
        // The pooler refuses options: the schema is set in each transaction.
        let database = open(&address(&cluster, "pooler", &format!("options='-c search_path={name}'"))).unwrap();
        part(&database, &std::thread::sleep);
    }
    assert_eq!(cluster.sql("SELECT count(*) FROM pg_prepared_statements"), "0");
}

#[test]
fn a_pooler_of_single_statements_is_refused() {
    let Some(cluster) = Cluster::start(QUICK) else { return };
    let Some(_pooler) = pooler(&cluster, "pooler", "statement") else { return };
    match open(&address(&cluster, "pooler", "")).err() {
        Some(DatabaseError::Refused { hint, .. }) => assert!(hint.contains("pool_mode=transaction"), "{hint}"),
        other => panic!("{other:?}"),
    }
}
