use proptest::prelude::*;

use super::*;

fn surroundings(variables: &[(&str, &str)]) -> Surroundings {
    let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Surroundings { variables: variables.collect(), home: Some(PathBuf::from("/home/me")) }
}

fn parse(text: &str) -> Result<PostgresAddress, AddressError> {
    PostgresAddress::parse(text, &surroundings(&[("USER", "me")]))
}

fn parsed(text: &str) -> PostgresAddress {
    parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn the_usual_addresses_of_rented_databases_are_read() {
    let texts = [
        "postgresql://me:pw@ep-x.eu.aws.neon.tech/db?sslmode=require&channel_binding=require",
        "postgres://me.ref:pw@aws-0.pooler.supabase.com:6543/postgres",
        "postgres://me:pw@db.rds.amazonaws.com:5432/db?sslmode=verify-full&sslrootcert=/etc/rds.pem",
        "postgres://me:pw@x.postgres.database.azure.com/db?sslmode=verify-full&sslrootcert=system",
        "host=a,b,c port=5432 dbname=db user=me target_session_attrs=read-write connect_timeout=5",
        "postgres://x.db.ondigitalocean.com:25060/defaultdb?sslmode=require&application_name=a&keepalives_idle=20",
        "postgres://me@h/db?options=-c%20search_path%3Dteam",
    ];
    for text in texts {
        parsed(text);
    }
}

#[test]
fn what_is_missing_comes_from_the_environment() {
    let variables = [
        ("PGHOST", "db1,db2"),
        ("PGPORT", "6000"),
        ("PGUSER", "worker"),
        ("PGPASSWORD", "hunter2"),
        ("PGSSLMODE", "verify-ca"),
        ("PGAPPNAME", "mine"),
        ("PGOPTIONS", "-c search_path=team"),
    ];
    let address = PostgresAddress::parse("postgres://", &surroundings(&variables)).expect("an address");
    assert_eq!(address.shown(), "postgres://worker@db1:6000,db2:6000/worker");
    assert_eq!(address.identity(), "db1:6000,db2:6000/worker team");
    assert_eq!((address.tls.mode, address.application_name.as_str()), (SslMode::VerifyCa, "mine"));
    let Found::Password(password) = address.password(&address.servers[0]) else { panic!("a password") };
    assert_eq!(password.0, "hunter2");
    // The address counts before the environment.
    let address = PostgresAddress::parse("postgres://you@h:1/d?sslmode=disable", &surroundings(&variables));
    let address = address.expect("an address");
    assert_eq!((address.shown().as_str(), address.tls.mode), ("postgres://you@h:1/d", SslMode::Disable));
}

#[test]
fn what_nobody_says_is_as_in_libpq() {
    let address = parsed("");
    assert_eq!(address.servers, [Server { host: Host::Usual, address: None, port: 5432 }]);
    assert_eq!((address.user.as_str(), address.database.as_str()), ("me", "me"));
    assert_eq!(address.tls.mode, SslMode::Prefer);
    assert_eq!(address.tls.roots, Roots::Usual(Some(PathBuf::from("/home/me/.postgresql/root.crt"))));
    assert_eq!(address.passfile, Some(PathBuf::from("/home/me/.pgpass")));
    assert_eq!(address.times.connect, Duration::from_secs(10));
    assert!(!address.tls.is_client_named && address.tls.allows_1_2 && address.tls.allows_1_3);
    let error = PostgresAddress::parse("postgres://h", &Surroundings::default()).expect_err("no user");
    assert_eq!(error.message, "the address names no user");
}

#[test]
fn servers_are_lists_of_the_same_length() {
    let servers = |text: &str| parse(text).map(|address| address.shown_servers()).map_err(|error| error.message);
    assert_eq!(servers("postgres://a,b:7,[::1]:8/x").as_deref(), Ok("a:5432,b:7,::1:8"));
    assert_eq!(servers("host=/run/x port=7").as_deref(), Ok("/run/x:7"));
    assert_eq!(servers("hostaddr=127.0.0.1").as_deref(), Ok("127.0.0.1:5432"));
    assert_eq!(servers("host=name hostaddr=127.0.0.1").as_deref(), Ok("name:5432"));
    assert_eq!(servers("host=a,b port=1,2,3"), Err("port and host have different numbers of entries".to_owned()));
    assert_eq!(servers("host=a,b hostaddr=::1"), Err("hostaddr and host have different numbers of entries".to_owned()));
    assert_eq!(servers("hostaddr=localhost"), Err("hostaddr is not an IP address".to_owned()));
    assert_eq!(servers("host=a port=70000"), Err("a port is out of range".to_owned()));
    assert_eq!(servers("host=@x"), Err("abstract sockets are not supported".to_owned()));
}

#[test]
fn a_parameter_without_effect_is_refused_with_a_hint() {
    let cases = [
        ("postgres://h/d?pgbouncer=true", "the address has an unknown parameter: `pgbouncer`"),
        ("host=h pgbouncer=true", "the address has an unknown parameter: number 2"),
        ("postgres://h/d?sslmode=strict", "sslmode is `strict`"),
        (
            "postgres://h/d?sslmode=require&sslrootcert=system",
            "sslrootcert=system with a weaker sslmode proves nothing",
        ),
        ("postgres://h/d?sslnegotiation=direct", "sslnegotiation=direct needs encryption"),
        ("postgres://h/d?gssencmode=require", "gssencmode=require is not supported"),
        ("postgres://h/d?client_encoding=latin1", "client_encoding=latin1 is not supported"),
        ("postgres://h/d?sslcrl=x", "sslcrl is not supported"),
        ("postgres://h/d?service=x", "service is not supported"),
        ("postgres://h/d?require_auth=password", "require_auth is not supported"),
        ("postgres://h/d?target_session_attrs=standby", "target_session_attrs asks for a standby"),
        ("postgres://h/d?connect_timeout=soon", "connect_timeout is `soon`"),
        (
            "postgres://h/d?ssl_min_protocol_version=TLSv1.3&ssl_max_protocol_version=TLSv1.2",
            "ssl_min_protocol_version is above ssl_max_protocol_version",
        ),
    ];
    for (text, expected) in cases {
        let error = parse(text).expect_err(text);
        assert_eq!(error.message, expected, "{text}");
        assert!(!error.hint.is_empty(), "{text}");
    }
    let error = PostgresAddress::parse("postgres://h", &surroundings(&[("USER", "me"), ("PGSERVICE", "x")]));
    assert_eq!(error.expect_err("a service").message, "PGSERVICE is not supported");
}

proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(text in "(postgres://)?[a-z0-9:@/?&=%,\\[\\]' \\\\.]{0,60}") {
        let _ = parse(&text);
    }

    #[test]
    fn a_password_is_read_and_never_shown(password in "[!-~]{8,20}", ending in "(/db|/db\\?sslmode=nonsense|:x|/db\\?y=1)?") {
        let encoded: Vec<String> = password.bytes().map(|byte| format!("%{byte:02x}")).collect();
        let encoded = encoded.concat();
        let quoted = password.replace('\\', "\\\\").replace('\'', "\\'");
        let texts = [
            (format!("postgres://me:{encoded}@h{ending}"), ending.is_empty() || ending == "/db"),
            (format!("host=h password='{quoted}'"), true),
            (format!("postgres://me:{password}@h{ending}"), false),
            (format!("host=h password={password} x"), false),
        ];
        for (text, must_work) in texts {
            match parse(&text) {
                Ok(address) => {
                    let Found::Password(found) = address.password(&address.servers[0]) else { panic!("a password") };
                    if must_work {
                        prop_assert_eq!(&found.0, &password);
                    }
                    let told = format!("{address:?} {} {}", address.shown(), address.identity());
                    prop_assert!(!told.contains(&found.0), "{}", told);
                }
                Err(error) => {
                    prop_assert!(!must_work, "{text}: {error}");
                    prop_assert!(!format!("{error:?}").contains(&password), "{text}: {error:?}");
                }
            }
        }
    }
}

#[test]
fn a_password_is_taken_out_of_a_url() {
    let apart = |text: &str| PostgresAddress::password_apart(text);
    let of = |kept: &str, password: &str| Some((kept.to_owned(), password.to_owned()));
    assert_eq!(apart("postgres://ada:a%40b@h:5/d?sslmode=require"), of("postgres://ada@h:5/d?sslmode=require", "a@b"));
    assert_eq!(apart("postgresql://h/d?a=b&password=x%26y&c=d"), of("postgresql://h/d?a=b&c=d", "x&y"));
    assert_eq!(apart("postgres://ada:x@h?password=z"), of("postgres://ada@h", "z"));
    for without in ["postgres://ada@h:5/d", "postgres://h:5/d?sslmode=require", "postgres://ada:@h/d", "elsewhere"] {
        assert_eq!(apart(without), None, "{without}");
    }
}
