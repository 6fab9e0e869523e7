use std::path::Path;

use serde::Serialize;

use super::JobError;
use crate::export::{OutputFile, is_directory};

/// Writes a report: a page where the name says so, else JSON.
pub fn write_report(path: &str, report: &serde_json::Value, page: impl FnOnce() -> String) -> Result<(), JobError> {
    let is_page = Path::new(path).extension().is_some_and(|ending| ending.eq_ignore_ascii_case("html"));
    write_text(path, &if is_page { page() } else { format!("{report:#}\n") })
}

/// Writes a report beside an output, as JSON and as a page; returns the two paths without their endings, or nothing for
/// standard output.
pub fn write_reports(output: &str, report: &impl Serialize, page: &str) -> Result<Option<String>, JobError> {
    if output == "-" {
        return Ok(None);
    }
    let stem = output.trim_end_matches('/');
    let stem = [".gz", ".zst"].iter().find_map(|ending| stem.strip_suffix(ending)).unwrap_or(stem);
    let stem = if is_directory(output) { stem } else { stem.strip_suffix(".jsonl").unwrap_or(stem) };
    let stem = format!("{stem}.report");
    write_both(&stem, report, page)?;
    Ok(Some(stem))
}

/// Writes a report into a directory, as JSON and as a page.
pub fn write_reports_in(directory: &str, report: &impl Serialize, page: &str) -> Result<(), JobError> {
    write_both(&format!("{directory}/report"), report, page)
}

fn write_both(stem: &str, report: &impl Serialize, page: &str) -> Result<(), JobError> {
    let json = serde_json::to_string_pretty(report)?;
    write_text(&format!("{stem}.json"), &format!("{json}\n"))?;
    write_text(&format!("{stem}.html"), page)
}

/// Writes a file.
pub fn write_text(path: &str, text: &str) -> Result<(), JobError> {
    let mut file = OutputFile::create(path)?;
    file.write(text.as_bytes())?;
    Ok(file.finish()?)
}
