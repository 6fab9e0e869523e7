//! Every recipe gives over a shared store what it gives over a directory.

use super::cluster::{Cluster, QUICK};
use super::site::{Site, wait};

/// Runs a recipe with two workers at once, and alone over a directory; their files are the same.
fn is_the_same(site: &Site, name: &str, arguments: &[&str], output: &str) {
    let over = |outbox: &str, written: &str| {
        let arguments: Vec<String> = arguments.iter().map(|argument| argument.replace("OUT", written)).collect();
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let log = std::fs::File::create(site.place.path(&format!("{outbox}.log"))).unwrap();
        let mut command = site.command(&[&arguments[..], &["--outbox", outbox]].concat());
        command.stdin(std::process::Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap()
    };
    let workers = [1, 2]
        .map(|worker| (format!("{name}-{worker}"), over(&format!("{name}-{worker}"), &format!("{name}-{worker}"))));
    for (outbox, mut worker) in workers {
        let said = || site.place.read(&format!("{outbox}.log"));
        assert_eq!(wait(&mut worker, &outbox, said), Some(0), "{name}: {}", said());
    }
    let alone: Vec<String> =
        arguments.iter().map(|argument| argument.replace("OUT", &format!("{name}-alone"))).collect();
    let alone: Vec<&str> = alone.iter().map(String::as_str).collect();
    site.place.complete(&[&alone[..], &["--store", &format!("{name}-calm")]].concat());
    let expected = site.place.read(&output.replace("OUT", &format!("{name}-alone")));
    let names = [1, 2].map(|worker| output.replace("OUT", &format!("{name}-{worker}")));
    let written: Vec<&String> = names.iter().filter(|name| site.place.exists(name)).collect();
    assert!(!written.is_empty(), "{name}: nobody has written {output}");
    for written in written {
        assert!(site.place.read(written) == expected, "{name}: {written}");
    }
}

#[test]
fn every_recipe_gives_what_it_gives_over_a_directory() {
    let Some(cluster) = Cluster::start(QUICK) else { return };
    let site = Site::with_latency(cluster, (30, 3), 20_000, 20);
    let model = site.server.model();
    let other = model.replace("sim@", "other@");
    is_the_same(&site, "distill", &["distill", "in.jsonl", "--teacher", &model, "-o", "OUT.jsonl"], "OUT.jsonl");
    is_the_same(&site, "evaluate", &["evaluate", "in.jsonl", "--judge", &model, "-o", "OUT.jsonl"], "OUT.jsonl");
    let compare = ["compare", "in.jsonl", "--a", &model, "--b", &other, "--judge", &model, "-o", "OUT"];
    is_the_same(&site, "compare", &compare, "OUT/verdicts.jsonl");
    let simulate = ["simulate", "in.jsonl", "--teacher", &model, "--user", &other, "--turns", "4", "-o", "OUT.jsonl"];
    is_the_same(&site, "simulate", &simulate, "OUT.jsonl");
    let tutor = ["tutor", "in.jsonl", "--student", &other, "--teacher", &model, "-o", "OUT"];
    is_the_same(&site, "tutor", &tutor, "OUT/sft.jsonl");
}
