//! Checks of the places that a job writes to, before any money is spent.

use std::path::Path;

use super::JobError;
use super::output::companion;
use super::settings::OutputSettings;
use crate::dataset::possible_files;
use crate::export::{FORMATS, OutputFile, OutputFormat, Sink, is_directory};
use crate::files::{parent_of, path_of};
use crate::hub::HubReference;

/// Fails where an output of rows would destroy an input or cannot be written.
pub fn check(output: &OutputSettings, inputs: &[String]) -> Result<(), JobError> {
    check_output(&output.path, inputs)?;
    check_writable(&output.path, output.format)
}

/// Fails for a format of token ids: rows that are read, and answers that are made in another way than by `distill`, have none.
pub fn refuse_tokens(format: &dyn OutputFormat) -> Result<(), JobError> {
    if !format.wants_tokens() {
        return Ok(());
    }
    let message = format!("no row would be written: {} holds token ids, which only `distill` asks for", format.name());
    Err(JobError::usage(message, "choose another --to, or use `cohobate distill` with --token-ids"))
}

/// Makes a directory for outputs. Fails where it cannot be written to, or where a file in it that is read would be
/// overwritten: one whose name begins as one of `ours` does.
pub fn check_directory(directory: &str, read: &[String], ours: &[&str]) -> Result<(), JobError> {
    let fault = |error: std::io::Error| {
        let hint = "name a directory that can be written to with -o";
        JobError::storage(format!("cannot write to {directory}: {error}"), hint)
    };
    refuse_hub(directory)?;
    std::fs::create_dir_all(path_of(directory)).map_err(fault)?;
    drop(OutputFile::create(&format!("{directory}/report.json"))?);
    let resolved = |path: &Path| path.canonicalize().ok();
    let files = read.iter().flat_map(|name| possible_files(name));
    for path in files {
        let path = &*path_of(&path);
        let name = path.file_name().map_or("".into(), |name| name.to_string_lossy());
        let is_ours = ours.iter().any(|start| name.starts_with(start));
        let parent = resolved(path).and_then(|path| path.parent().map(Path::to_owned));
        if is_ours && parent.is_some() && parent == resolved(&path_of(directory)) {
            let message =
                format!("{} is read, and lies in {directory}, where it would be written over", path.display());
            return Err(JobError::usage(message, "give -o another directory"));
        }
    }
    Ok(())
}

/// Fails where the output cannot be written, before anything is paid.
fn check_writable(path: &str, format: &dyn OutputFormat) -> Result<(), JobError> {
    if path == "-" {
        return Ok(());
    }
    companion(format, path)?;
    if is_directory(path) {
        drop(Sink::create(path, FORMATS[0])?);
        return Ok(());
    }
    if path_of(path).is_dir() {
        let hint = format!("name a file with -o, or {path}/ for a directory of Parquet shards");
        return Err(JobError::usage(format!("the output {path} is a directory"), hint));
    }
    check_file(path)
}

/// Fails where a file cannot be written. A directory that is missing is created.
pub fn check_file(path: &str) -> Result<(), JobError> {
    let is_special = std::fs::metadata(path_of(path)).is_ok_and(|metadata| !metadata.is_file());
    // Opening a pipe would tell its reader that there is nothing.
    if !is_special && path != "-" {
        drop(OutputFile::create(path)?);
    }
    Ok(())
}

/// Refuses an output on the Hub. To upload, the Hub's own client is needed, which the Python package uses.
fn refuse_hub(path: &str) -> Result<(), JobError> {
    if !HubReference::is_one(path) {
        return Ok(());
    }
    let hint =
        "write to a directory such as out/, and upload it: run.push_to_hub(\"OWNER/NAME\") in Python, or `hf upload`";
    Err(JobError::usage(format!("the output {path} is on the Hub, and the command only writes files"), hint))
}

/// Refuses an output that would destroy an input, or whose name promises another format.
pub fn check_output(path: &str, inputs: &[String]) -> Result<(), JobError> {
    refuse_hub(path)?;
    let real = |path: &Path| path.canonicalize().ok();
    let output = &*path_of(path);
    let parent = parent_of(output);
    for input in inputs {
        // What cannot be found is told when it is read.
        let files = possible_files(input);
        let is_one =
            real(output).is_some_and(|output| files.iter().any(|file| real(&path_of(file)) == Some(output.clone())));
        if is_one {
            return Err(JobError::usage(format!("the output {path} is the input {input}"), "give -o another name"));
        }
        let directory = path_of(input).is_dir().then(|| real(&path_of(input))).flatten();
        if directory.zip(real(parent)).is_some_and(|(directory, parent)| parent.starts_with(directory)) {
            let message = format!("the output {path} lies in the input {input}, the next run would read it");
            return Err(JobError::usage(message, "give -o a place outside of it"));
        }
    }
    let lower = path.to_lowercase();
    let foreign = [".parquet", ".arrow", ".csv", ".tsv", ".json", ".bz2"];
    if let Some(ending) = foreign.iter().find(|ending| lower.ends_with(**ending)) {
        let message = format!("the output {path} ends in {ending}, but rows are written as JSONL");
        return Err(JobError::usage(
            message,
            "let it end in .jsonl, .jsonl.gz or .jsonl.zst, or in / for a directory of Parquet shards",
        ));
    }
    Ok(())
}
