//! The ways in which a server is reached: TLS, passwords, several hosts.

use std::collections::HashMap;
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use cohobate::store::postgres::Surroundings;
use cohobate::store::shared::{Database as _, DatabaseError};

use super::cluster::{Cluster, QUICK, open, open_with};

const PASSWORD: &str = "correct horse";

const OTHER_AUTHORITY: &str = "-----BEGIN CERTIFICATE-----
MIIBkDCCATWgAwIBAgIUMXRrMlsa+sZ8oAFng9HQ2onSRz4wCgYIKoZIzj0EAwIw
HDEaMBgGA1UEAwwRYW5vdGhlciBhdXRob3JpdHkwIBcNMjYxMTI4MDUwODA4WhgP
MjEyNjExMDQwNTA4MDhaMBwxGjAYBgNVBAMMEWFub3RoZXIgYXV0aG9yaXR5MFkw
EwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAErBqQ7Igo4kpn/qKgjaChPrvRFf0NoqzF
4YCjlKvsMPVUjBFZUQ7YkUMxz2MFwSWW2vjLyIvG/cxWddVmWGOR7aNTMFEwHQYD
VR0OBBYEFN3+5MJc/VcTMmqnIa04106mmTMjMB8GA1UdIwQYMBaAFN3+5MJc/VcT
MmqnIa04106mmTMjMA8GA1UdEwEB/wQFMAMBAf8wCgYIKoZIzj0EAwIDSQAwRgIh
AMVZqBKhpWxxrTvOAQ9tRdYm62tB9rKwjcTeiOh7YgwgAiEAzNMl9SbQDtqwCYDw
kMNOWf25CKAWxNUcoyrUZFHxvcE=
-----END CERTIFICATE-----
";

fn certificate(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/certificates").join(name)
}

/// A server that takes TLS connections of who knows the password, and those of its socket.
fn encrypted(settings: &str, rules: &str) -> Option<Cluster> {
    let cluster = Cluster::made()?;
    for name in ["server.pem", "server.key"] {
        cluster.write(name, &fs::read(certificate(name)).unwrap());
    }
    let rules = format!("local all all trust\n{rules}hostssl all all 127.0.0.1/32 scram-sha-256\n");
    cluster.write("data/pg_hba.conf", rules.as_bytes());
    let file = |name: &str| cluster.path(name).display().to_string();
    cluster.run(&format!(
        "{QUICK} -c listen_addresses=127.0.0.1 -c ssl=on -c ssl_cert_file={} -c ssl_key_file={} {settings}",
        file("server.pem"),
        file("server.key"),
    ));
    cluster.sql(&format!("ALTER USER worker PASSWORD '{PASSWORD}'"));
    Some(cluster)
}

fn refused(address: &str) -> (String, String) {
    match open(address).err() {
        Some(DatabaseError::Refused { message, hint }) => (message, hint),
        other => panic!("{address}: {other:?}"),
    }
}

#[test]
fn sslmode_means_what_it_means_in_libpq() {
    let Some(cluster) = encrypted("", "") else { return };
    let authority = certificate("ca.pem");
    let tcp = format!("port={} user=worker dbname=postgres password='{PASSWORD}'", cluster.port());
    let authority = format!("sslrootcert={}", authority.display());
    let good = [
        format!("host=localhost sslmode=verify-full {authority}"),
        format!("host=localhost sslmode=verify-full {authority} channel_binding=require"),
        format!("host=127.0.0.1 sslmode=verify-full {authority} ssl_max_protocol_version=TLSv1.2"),
        format!("host=db.example hostaddr=127.0.0.1 sslmode=verify-ca {authority}"),
        "host=localhost sslmode=require".to_owned(),
        "host=localhost sslmode=prefer sslsni=0".to_owned(),
        "host=localhost sslmode=allow".to_owned(),
        "host=localhost".to_owned(),
    ];
    for parameters in good {
        let database = open(&format!("{parameters} {tcp}")).unwrap_or_else(|error| panic!("{parameters}: {error}"));
        database.runs().unwrap();
        let encrypted = "SELECT bool_and(ssl) AND count(*) > 0 FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) \
             WHERE application_name = 'cohobate'";
        assert_eq!(cluster.sql(encrypted), "t", "{parameters}");
    }
    let wrong = format!("sslrootcert={}", certificate("server.pem").display());
    // A certificate that is trusted itself is trusted though no other one signs it.
    open(&format!("host=localhost sslmode=verify-full {wrong} {tcp}")).unwrap();
    let other = tempfile::NamedTempFile::new().unwrap();
    fs::write(other.path(), OTHER_AUTHORITY).unwrap();
    let wrong = format!("sslrootcert={}", other.path().display());
    let bad = [
        (format!("host=db.example hostaddr=127.0.0.1 sslmode=verify-full {authority}"), "not valid for name"),
        (format!("host=localhost sslmode=verify-full {wrong}"), "certificate"),
        (format!("host=localhost sslmode=verify-ca {wrong}"), "certificate"),
        (format!("host=localhost sslmode=require {wrong}"), "certificate"),
        ("host=localhost sslrootcert=system".to_owned(), "certificate"),
        ("host=localhost sslmode=verify-full sslrootcert=/nowhere/ca.pem".to_owned(), "/nowhere/ca.pem does not exist"),
        ("host=localhost sslmode=verify-full".to_owned(), "sslmode asks for a check"),
        ("host=localhost sslmode=disable".to_owned(), "no encryption"),
    ];
    for (parameters, expected) in bad {
        let (message, hint) = refused(&format!("{parameters} {tcp}"));
        assert!(message.contains(expected) && !hint.is_empty(), "{parameters}: {message} ({hint})");
    }
}

#[test]
fn a_server_without_tls_is_used_only_where_the_address_allows_it() {
    let Some(cluster) = Cluster::start(&format!("{QUICK} -c listen_addresses=127.0.0.1")) else { return };
    let tcp = format!("host=127.0.0.1 port={} user=worker dbname=postgres", cluster.port());
    for mode in ["disable", "allow", "prefer"] {
        open(&format!("{tcp} sslmode={mode}")).unwrap_or_else(|error| panic!("{mode}: {error}"));
    }
    let (message, hint) = refused(&format!("{tcp} sslmode=require"));
    assert!(message.contains("does not support TLS") && hint.contains("sslmode"), "{message} ({hint})");
}

#[test]
fn a_password_comes_from_the_address_the_environment_or_the_password_file() {
    let Some(cluster) = encrypted("", "") else { return };
    let tcp = format!("host=localhost port={} user=worker dbname=postgres", cluster.port());
    let with = |name: &str, value: &str| Surroundings {
        variables: HashMap::from([(name.to_owned(), value.to_owned())]),
        home: Some(cluster.folder().to_owned()),
    };
    open_with(&tcp, &with("PGPASSWORD", PASSWORD)).unwrap();
    let refused = |surroundings: &Surroundings| match open_with(&tcp, surroundings).err() {
        Some(DatabaseError::Refused { message, hint }) => (message, hint),
        other => panic!("{other:?}"),
    };
    let (message, hint) = refused(&with("PGPASSWORD", "battery staple"));
    assert!(message.contains("28P01") && !format!("{message}{hint}").contains("battery"), "{message} ({hint})");
    let (message, hint) = refused(&with("X", ""));
    assert!(message.contains("password missing"), "{message} ({hint})");
    // `~/.pgpass`, and another file.
    let line = format!("localhost:{}:*:worker:{PASSWORD}\n", cluster.port());
    for (name, surroundings) in
        [(".pgpass", with("X", "")), ("other", with("PGPASSFILE", &cluster.path("other").display().to_string()))]
    {
        let file = cluster.path(name);
        fs::write(&file, &line).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        let (_, hint) = refused(&surroundings);
        assert!(hint.contains("chmod 600") && hint.contains(name), "{hint}");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        open_with(&tcp, &surroundings).unwrap();
    }
}

#[test]
fn hosts_are_tried_in_turn_and_a_standby_is_passed_over() {
    let settings = format!("{QUICK} -c listen_addresses=127.0.0.1");
    let Some(standby) = Cluster::start(&format!("{settings} -c default_transaction_read_only=on")) else { return };
    let Some(cluster) = Cluster::start(&settings) else { return };
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let ports = format!("{closed},{},{}", standby.port(), cluster.port());
    let hosts = format!("host=127.0.0.1,127.0.0.1,127.0.0.1 port={ports} user=worker dbname=postgres");
    for balance in ["disable", "random"] {
        open(&format!("{hosts} load_balance_hosts={balance}")).unwrap();
    }
    assert_eq!(
        cluster.sql("SELECT count(*) > 0 FROM cohobate_schema"),
        "t",
        "the tables are on the host that takes writes"
    );
    let away = open(&format!("host=127.0.0.1 port={closed} user=worker dbname=postgres")).err();
    assert!(matches!(&away, Some(DatabaseError::Away(message)) if message.contains("127.0.0.1")), "{away:?}");
    let away = open(&format!("host=127.0.0.1 port={} user=worker dbname=postgres", standby.port())).err();
    assert!(matches!(&away, Some(DatabaseError::Away(message)) if message.contains("writes")), "{away:?}");
    let (message, hint) = refused(&cluster.address("").replace("dbname=postgres", "dbname=nothing"));
    assert!(message.contains("\"nothing\" does not exist") && hint.contains("create the database"), "{message}");
}

#[test]
fn a_client_shows_its_certificate() {
    let rules = "hostssl all all 127.0.0.1/32 cert\n";
    let folder = tempfile::tempdir().unwrap();
    let openssl = |arguments: &str| {
        let output = Command::new("openssl").current_dir(folder.path()).args(arguments.split(' ')).output();
        output.is_ok_and(|output| output.status.success())
    };
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
    let made = openssl(&format!("req -x509 {key} -keyout ca.key -out ca.pem -days 2 -subj /CN=clients"))
        && openssl(&format!("req {key} -keyout worker.key -out worker.csr -subj /CN=worker"))
        && openssl("x509 -req -in worker.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -out worker.pem");
    if !made {
        println!("skipped: openssl makes no certificate");
        return;
    }
    let clients = folder.path().join("ca.pem");
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let Some(cluster) = encrypted(&format!("-c ssl_ca_file={}", clients.display()), rules) else { return };
    let shown = |name: &str| folder.path().join(name).display().to_string();
    let named = format!("sslcert={} sslkey={}", shown("worker.pem"), shown("worker.key"));
    let tcp = format!("host=localhost port={} user=worker dbname=postgres sslmode=require", cluster.port());
    let key = folder.path().join("worker.key");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    let (message, hint) = refused(&format!("{tcp} {named}"));
    assert!(message.contains("others may read the key") && hint.contains("chmod 600"), "{message} ({hint})");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    open(&format!("{tcp} {named}")).unwrap();
    let (message, _) = refused(&tcp);
    assert!(message.contains("certificate"), "{message}");
}
