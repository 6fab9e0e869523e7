//! Workers that are cut off from the database: in network namespaces of their own, so that it takes root.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use super::cluster::{Cluster, QUICK};
use super::site::{IN_FLIGHT, Site, under, wait_until};

const LEASE_MS: u64 = 2_000;
const MACHINES: usize = 3;

/// A machine's network: a way to the database, and one to the model.
struct Network {
    namespace: String,
    number: u32,
    /// Requests that have come from it.
    requests: Arc<AtomicU64>,
    model: String,
}

impl Network {
    /// Makes a namespace whose requests go to `server`; `None` where that is not allowed.
    fn new(machine: usize, server: &str) -> Option<Self> {
        static MADE: AtomicU32 = AtomicU32::new(0);
        // Numbers of tests that run at once differ.
        let number = (std::process::id() * 8 + MADE.fetch_add(1, Ordering::Relaxed)) % 250;
        let namespace = format!("cohobate-{number}-{machine}");
        if !ip(&["netns", "add", &namespace]) {
            return None;
        }
        let requests = Arc::new(AtomicU64::new(0));
        let mut network = Self { namespace, number, requests, model: String::new() };
        let way = |net: &str| {
            let (near, far) = (network.link(net), format!("{net}1"));
            let made = ip(&["link", "add", &near, "type", "veth", "peer", "name", &far, "netns", &network.namespace])
                && ip(&["addr", "add", &format!("{}/24", network.address(net, 1)), "dev", &near])
                && ip(&["link", "set", &near, "up"])
                && network.ip(&["addr", "add", &format!("{}/24", network.address(net, 2)), "dev", &far])
                && network.ip(&["link", "set", &far, "up"]);
            made.then_some(())
        };
        way("pg")?;
        way("mo")?;
        network.ip(&["link", "set", "lo", "up"]).then_some(())?;
        let listener = TcpListener::bind((network.address("mo", 1), 0)).ok()?;
        network.model = format!("sim@http://{}", listener.local_addr().ok()?);
        forward(listener, server.to_owned(), Arc::clone(&network.requests));
        Some(network)
    }

    fn link(&self, net: &str) -> String {
        format!("co{net}{}", self.number)
    }

    fn address(&self, net: &str, end: u32) -> String {
        format!("10.{}.{}.{end}", if net == "pg" { 231 } else { 232 }, self.number)
    }

    /// Runs `ip` in the namespace.
    fn ip(&self, arguments: &[&str]) -> bool {
        ip(&[&["-n", &self.namespace], arguments].concat())
    }

    fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// Starts a worker in the namespace.
    fn start(&self, site: &Site, machine: usize) -> Child {
        let url = format!("postgres://worker@{}:{}/postgres", self.address("pg", 1), site.cluster.port());
        let (output, outbox) = (format!("out-{machine}.jsonl"), format!("machine-{machine}"));
        let calls = IN_FLIGHT.to_string();
        let inside = site.place.command(&[
            "distill",
            "in.jsonl",
            "--teacher",
            &self.model,
            "-o",
            &output,
            "--outbox",
            &outbox,
            "--concurrency",
            &calls,
            "--store",
            &url,
        ]);
        let mut runner = Command::new("ip");
        runner.args(["netns", "exec", &self.namespace]);
        let mut command = under(runner, &inside);
        command.env("NO_PROXY", "*").env("COHOBATE_TEST_LEASE_MS", LEASE_MS.to_string());
        let log = std::fs::File::create(site.place.path(&format!("log-{machine}"))).unwrap();
        command.stdout(std::process::Stdio::null()).stderr(log).spawn().unwrap()
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        // The links go with it.
        ip(&["netns", "del", &self.namespace]);
        ip(&["link", "del", &self.link("pg")]);
        ip(&["link", "del", &self.link("mo")]);
    }
}

fn ip(arguments: &[&str]) -> bool {
    Command::new("ip").args(arguments).output().is_ok_and(|output| output.status.success())
}

/// Passes connections on to the server and counts the requests in them.
fn forward(listener: TcpListener, server: String, requests: Arc<AtomicU64>) {
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let Ok(mut client) = client else { return };
            let Ok(mut server) = TcpStream::connect(&server) else { return };
            let (mut back, mut forth) = (server.try_clone().unwrap(), client.try_clone().unwrap());
            std::thread::spawn(move || drop(std::io::copy(&mut back, &mut forth)));
            let requests = Arc::clone(&requests);
            std::thread::spawn(move || {
                let mut buffer = vec![0; 65_536];
                while let Some(read) = client.read(&mut buffer).ok().filter(|read| *read > 0) {
                    let begun = buffer[..read].windows(9).filter(|part| part == b"POST /v1/").count();
                    requests.fetch_add(begun as u64, Ordering::Relaxed);
                    if server.write_all(&buffer[..read]).is_err() {
                        break;
                    }
                }
                let _ = server.shutdown(std::net::Shutdown::Write);
            });
        }
    });
}

/// A site, and workers in namespaces; `None` where these cannot be made.
fn begin(rows: usize) -> Option<(Site, Vec<Network>, Vec<Child>)> {
    if !rustix::process::geteuid().is_root() {
        println!("skipped: network namespaces need root");
        return None;
    }
    let cluster = Cluster::made()?;
    let mut allowed = std::fs::OpenOptions::new().append(true).open(cluster.path("data/pg_hba.conf")).unwrap();
    writeln!(allowed, "host all all 10.231.0.0/16 trust").unwrap();
    cluster.run(&format!("-c listen_addresses='*' {QUICK}"));
    let site = Site::new(cluster, rows, 10, LEASE_MS);
    let networks: Option<Vec<Network>> =
        (0..MACHINES).map(|machine| Network::new(machine, &site.server.address)).collect();
    let Some(networks) = networks else {
        println!("skipped: network namespaces are not allowed here");
        return None;
    };
    let workers = networks.iter().enumerate().map(|(machine, network)| network.start(&site, machine)).collect();
    Some((site, networks, workers))
}

/// Sees to it that a worker that was cut off asks nothing more once its lease has passed. Calls in flight may end meanwhile.
fn asks_nothing(network: &Network) {
    std::thread::sleep(Duration::from_millis(LEASE_MS));
    let asked = network.requests();
    std::thread::sleep(Duration::from_millis(LEASE_MS));
    assert_eq!(network.requests(), asked, "a worker that is cut off has asked something");
}

#[test]
fn others_do_the_work_of_a_worker_that_is_cut_off() {
    let Some((site, networks, workers)) = begin(60) else { return };
    site.wait_for_requests(site.questions / 4);
    assert!(ip(&["link", "set", &networks[0].link("pg"), "down"]));
    asks_nothing(&networks[0]);
    wait_until("the others to end all slots", || {
        site.number("SELECT count(*) FROM cohobate_slot WHERE NOT is_done") == 0
    });
    assert!(site.number("SELECT sum(taken) FROM cohobate_worker") > 0);
    assert!(ip(&["link", "set", &networks[0].link("pg"), "up"]));
    site.finish_all(workers);
    let others: u64 = networks[1..].iter().map(Network::requests).sum();
    println!("{} requests of the one, {others} of the others", networks[0].requests());
    site.check(MACHINES, &[], IN_FLIGHT);
}

#[test]
fn a_worker_that_was_cut_off_for_two_leases_goes_on() {
    let Some((site, networks, workers)) = begin(120) else { return };
    site.wait_for_requests(site.questions / 10);
    let blackhole = format!("{}/32", networks[1].address("pg", 2));
    // In both directions, then in one: what the database replies is lost, and what the worker sends arrives.
    assert!(ip(&["link", "set", &networks[0].link("pg"), "down"]));
    asks_nothing(&networks[0]);
    assert!(ip(&["link", "set", &networks[0].link("pg"), "up"]));
    assert!(ip(&["route", "add", "blackhole", &blackhole]));
    asks_nothing(&networks[1]);
    assert!(ip(&["route", "del", "blackhole", &blackhole]));
    let asked = [networks[0].requests(), networks[1].requests()];
    let left = site.number("SELECT count(*) FROM cohobate_slot WHERE NOT is_done");
    site.finish_all(workers);
    println!(
        "{asked:?} asked before, {} and {} in all; {left} slots were left",
        networks[0].requests(),
        networks[1].requests()
    );
    site.check(MACHINES, &[], 2 * IN_FLIGHT);
}
