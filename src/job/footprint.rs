use std::time::Duration;

use crate::report::Footprint;

/// Returns what this process has used so far, where `/proc` tells (proc(5)).
pub fn footprint() -> Option<Footprint> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: u64 = peak.trim().trim_end_matches("kB").trim().parse().ok()?;
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // Behind the name, which may hold spaces: fields 3 and on; user and system time are fields 14 and 15.
    let (_, fields) = stat.rsplit_once(')')?;
    let ticks = fields.split_ascii_whitespace().skip(11).take(2);
    let ticks = ticks.map(|field| field.parse::<u64>().ok()).sum::<Option<u64>>()?;
    // 100 ticks a second on every Linux.
    Some(Footprint { cpu: Duration::from_millis(ticks * 10), memory_peak_bytes: kilobytes * 1024 })
}
