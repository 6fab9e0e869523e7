//! Reading a whole file: MB/s of rows cut, parsed and made into conversations, beside `serde_json` alone on the same file.
//! Prints the most memory that this process has held.
//!
//! `cargo bench --bench reading -- FILE...`

#![expect(clippy::print_stdout, clippy::expect_used, reason = "a benchmark prints its figures")]

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::time::{Duration, Instant};

use cohobate::dataset::{Input, InputForm, Reading, RowReader};

fn main() {
    let files: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    if files.is_empty() {
        println!("reading: name files to read; benches/side_by_side.sh read makes some");
    }
    let spool = std::env::temp_dir().join(format!("cohobate-reading-{}", std::process::id()));
    std::fs::create_dir_all(&spool).expect("a directory for what is unpacked");
    for (number, file) in files.iter().enumerate() {
        let opening = Instant::now();
        let input = Input::open(file, &spool, number, InputForm::default()).expect("the file can be read");
        let opened = opening.elapsed();
        let bytes = std::fs::metadata(input.path()).expect("it has just been opened").len();
        let cut = timed(|| each(&input, |_| {}));
        let read = timed(|| {
            let reader = RowReader::default();
            each(&input, |row| {
                if let Reading::Ready { seed, .. } = reader.read(row) {
                    std::hint::black_box(seed.digest());
                }
            });
        });
        let peak = peak_bytes() / 1_000_000;
        // Values as serde_json makes them, for each line; a Parquet file has been written out as lines.
        let parsed = timed(|| {
            let mut lines = BufReader::with_capacity(256 << 10, File::open(input.path()).expect("it is there"));
            let mut line = Vec::new();
            while lines.read_until(b'\n', &mut line).expect("it can be read") > 0 {
                std::hint::black_box(serde_json::from_slice::<serde_json::Value>(&line).expect("it is JSON"));
                line.clear();
            }
        });
        let speed = |time: Duration| bytes as f64 / 1e6 / time.as_secs_f64();
        println!(
            "{file}: {:.0} MB of JSON; opening {:.1} s, cutting {:.0} MB/s, reading {:.0} MB/s, serde_json alone {:.0} MB/s \
             (reading takes {:.2} times as long), peak {peak} MB",
            bytes as f64 / 1e6,
            opened.as_secs_f64(),
            speed(cut),
            speed(read),
            speed(parsed),
            read.as_secs_f64() / parsed.as_secs_f64(),
        );
    }
    let _ = std::fs::remove_dir_all(spool);
}

fn timed(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

fn each(input: &Input, mut take: impl FnMut(&[u8])) {
    let mut rows = input.rows().expect("the file can be read");
    while let Some(row) = rows.next().expect("the file can be read") {
        take(row.expect("a row").bytes);
    }
}

/// Most memory that this process has held, in bytes (Linux, `VmHWM`).
fn peak_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok()).unwrap_or_default() * 1024
}
