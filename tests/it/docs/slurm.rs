//! The example of a batch script, run with stand-ins for what a cluster has.

use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::commands::install;
use super::page::Page;
use crate::support::{MockServer, Place, conversation, jsonl};

#[test]
fn the_batch_script_queues_itself_again_and_finishes() {
    let (place, server) = (Place::new(), MockServer::start(&["--latency", "100"]));
    let rows: Vec<_> = (0..8).map(|row| conversation(&format!("subject {row}"), 6)).collect();
    place.write("mine.jsonl", jsonl(&rows));
    let path = install(&place);
    for (name, text) in [("vllm", "exec sleep 60"), ("scontrol", "echo \"$@\" >> queued")] {
        let name = format!("bin/{name}");
        place.write(&name, format!("#!/bin/bash\n{text}\n"));
        std::fs::set_permissions(place.path(&name), PermissionsExt::from_mode(0o755)).unwrap();
    }
    let blocks = Page::read("docs/operations.md").blocks();
    let script = blocks.iter().find(|block| block.text.contains("#SBATCH")).unwrap();
    let script = script.text.replace("localhost:8000", &server.address);
    let job = || {
        let mut job = Command::new("bash");
        job.args(["-c", &script]).current_dir(place.path("")).env("PATH", &path).env("SLURM_JOB_ID", "17");
        job.env("NO_PROXY", "127.0.0.1").stdout(Stdio::null()).stderr(Stdio::null());
        job.spawn().unwrap()
    };

    let mut warned = job();
    let started = Instant::now();
    while server.count("requests") < 12 {
        assert!(started.elapsed() < Duration::from_secs(60), "the run has not begun");
        std::thread::sleep(Duration::from_millis(2));
    }
    let sent = Command::new("kill").args(["-USR1", &warned.id().to_string()]).status();
    assert!(sent.unwrap().success());
    assert_eq!(warned.wait().unwrap().code(), Some(75));
    assert_eq!(place.read("queued"), "requeue 17\n");
    assert!(!place.exists("distilled.jsonl"));

    assert_eq!(job().wait().unwrap().code(), Some(0));
    assert_eq!(place.read("queued"), "requeue 17\n");
    assert_eq!((place.rows("distilled.jsonl").len(), server.count("requests")), (8, 48), "nothing is asked twice");
}
