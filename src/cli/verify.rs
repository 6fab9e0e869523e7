use std::collections::HashMap;
use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;

use clap::Args;

use super::error::exit_code;
use super::first_pass::prepare;
use super::model::{find_teacher, prices};
use super::options::{
    DuplicateArgs, GateArgs, JudgeArgs, Options, QuestionArgs, ReadArgs, RemainArgs, RuleArgs, SampleArgs,
    SamplingArgs, StoreArgs, SystemArgs, WriteArgs,
};
use super::output::{Gated, Writer};
use super::{CliError, CliResult, recipe, store};
use crate::export::is_directory;
use crate::report::words::{counted, number};
use crate::store::{Verification, repair, verify};

/// Prove the store sound and, given input and output, the output complete
#[derive(Args)]
pub struct VerifyArgs {
    /// The files that were distilled; with them --teacher and -o
    input: Vec<String>,

    /// The teacher that they were distilled with, sampling options included
    #[arg(long, value_name = "MODEL")]
    teacher: Option<String>,

    /// The output to hold against input and store
    #[arg(short, long, value_name = "OUT")]
    output: Option<String>,

    /// The output was written with --keep-partial
    #[arg(long)]
    keep_partial: bool,

    /// Take out what is damaged and build the index anew; damaged segments are kept beside the new ones
    #[arg(long)]
    repair: bool,

    #[command(flatten)]
    store: StoreArgs,

    #[command(flatten)]
    read: ReadArgs,

    #[command(flatten)]
    rule: RuleArgs,

    #[command(flatten)]
    duplicate: DuplicateArgs,

    #[command(flatten)]
    write: WriteArgs,

    #[command(flatten)]
    gate: GateArgs,

    #[command(flatten)]
    remain: RemainArgs,

    #[command(flatten)]
    sampling: SamplingArgs,

    #[command(flatten)]
    question: QuestionArgs,

    #[command(flatten)]
    system: SystemArgs,

    #[command(flatten)]
    sample: SampleArgs,

    #[command(flatten)]
    judge: JudgeArgs,
}

pub fn run(args: VerifyArgs) -> CliResult {
    let options = Options::resolve(
        &args.store,
        &[
            &args.read,
            &args.rule,
            &args.duplicate,
            &args.write,
            &args.gate,
            &args.remain,
            &args.sampling,
            &args.question,
            &args.system,
            &args.sample,
            &args.judge,
        ],
    )?;
    if args.input.is_empty() != args.output.is_none() {
        return Err(CliError::usage(
            "an output is verified against its input",
            "name both: cohobate verify INPUT... --teacher MODEL -o OUT, or neither",
        ));
    }
    let path = options.store_path();
    if args.repair {
        for damage in repair(&path)? {
            let (start, end) = (damage.bytes.start, damage.bytes.end);
            print(&format!("taken out: {} bytes {start} to {end}", damage.path.display()))?;
        }
        // Opening it builds the index anew.
        store::open(&options)?.close()?;
    }
    let found = verify(&path)?;
    print(&as_text(&found))?;
    let is_sound = found.damages.is_empty() && found.disagreements.is_empty();
    let store_code = if is_sound { exit_code::COMPLETE } else { exit_code::STORE };
    let output_code = match &args.output {
        Some(output) => verify_output(&args, output, &options)?,
        None => exit_code::COMPLETE,
    };
    // 4 says more than 3.
    Ok(store_code.max(output_code))
}

fn as_text(found: &Verification) -> String {
    let mut lines = vec![format!(
        "journal        {}, {} of {}",
        counted(found.entries, "whole entry").replace("entrys", "entries"),
        counted(found.answers, "answer"),
        counted(found.conversations, "conversation")
    )];
    for damage in &found.damages {
        let (start, end) = (damage.bytes.start, damage.bytes.end);
        lines.push(format!("damaged        {} bytes {start} to {end}", damage.path.display()));
    }
    if found.missing > 0 {
        lines.push(format!("missing        {}; the next run asks again", counted(found.missing, "answer")));
    }
    match &found.distrusted {
        Some(reason) => lines.push(format!("index          will be built anew from the journal: {reason}")),
        None if found.disagreements.is_empty() => lines.push("index          agrees with the journal".to_owned()),
        None => lines.extend(found.disagreements.iter().map(|fault| format!("index          {fault}"))),
    }
    let is_sound = found.damages.is_empty() && found.disagreements.is_empty();
    lines.push(if is_sound {
        "the store is sound".to_owned()
    } else {
        "the store is damaged\nhint: `cohobate verify --repair` takes out what is damaged; nothing that can be read is lost".to_owned()
    });
    lines.join("\n")
}

/// Writes the output anew beside the store and holds the two against each other, line by line and whatever the order.
fn verify_output(args: &VerifyArgs, output: &str, options: &Options) -> Result<u8, CliError> {
    if is_directory(output) {
        let hint = "write the rows as lines with `cohobate export -o FILE.jsonl` and verify those";
        return Err(CliError::usage("a directory of shards cannot be verified", hint));
    }
    let format = options.output_format()?;
    let found = find_teacher(args.teacher.as_deref(), options)?;
    let ranker = recipe::find_ranker(options)?;
    let system = found.system_text(options)?;
    let recipe = recipe::distill(&found, ranker.as_ref(), options, system.as_deref())?;
    let reader = store::open_reader(options)?;
    let prepared = prepare(&args.input, options, &recipe, system.as_deref())?;
    let license = options.license(&args.input);
    let writer = Writer {
        rows: &prepared.rows,
        recipe: &recipe,
        store: &*reader,
        format,
        license,
        keep_partial: args.keep_partial,
        gated: Gated::of(options, prices(&[&found]))?,
    };
    let directory = prepared.rows.spool();
    let expected_path = directory.join("expected.jsonl").display().to_string();
    let written = writer.write(&expected_path)?;
    let mut lines = Lines::default();
    lines.take(&expected_path, 1)?;
    let expected_order = std::mem::take(&mut lines.order);
    lines.take(output, -1)?;
    let missing: i64 = lines.counts.values().filter(|count| **count > 0).sum();
    let extra: i64 = -lines.counts.values().filter(|count| **count < 0).sum::<i64>();
    let rows = counted(written.rows, "row");
    if lines.torn {
        print(&format!("output         {output} ends in the middle of a row"))?;
    }
    if missing > 0 || extra > 0 {
        let (missing, extra) = (number(missing.unsigned_abs()), number(extra.unsigned_abs()));
        print(&format!("output         of {rows} {missing} are missing or differ, {extra} do not belong there"))?;
    } else if lines.order != expected_order {
        print("output         the rows are right, their order is not")?;
    } else if !lines.torn {
        print(&format!("output         {output} has the {rows} that it must have, in order"))?;
        let incomplete = written.incomplete + prepared.invalid;
        if incomplete > 0 {
            print(&format!("incomplete     {} of the input, as the run said", counted(incomplete, "row")))?;
            return Ok(exit_code::INCOMPLETE);
        }
        return Ok(exit_code::COMPLETE);
    }
    print("hint: `cohobate export` writes it anew without a call")?;
    Ok(exit_code::STORE)
}

/// Lines of two files, counted against each other: 16 bytes a distinct line.
#[derive(Default)]
struct Lines {
    counts: HashMap<u64, i64>,
    /// Changes with the order of the lines.
    order: u64,
    torn: bool,
}

impl Lines {
    fn take(&mut self, path: &str, sign: i64) -> Result<(), CliError> {
        let fault = |error: std::io::Error| {
            CliError::usage(format!("cannot read {path}: {error}"), "name the output that is to be verified with -o")
        };
        let mut reader = open(path).map_err(fault)?;
        let mut line = Vec::new();
        while reader.read_until(b'\n', &mut line).map_err(fault)? > 0 {
            self.torn |= line.last() != Some(&b'\n');
            let mut hasher = DefaultHasher::new();
            line.hash(&mut hasher);
            let hash = hasher.finish();
            *self.counts.entry(hash).or_default() += sign;
            self.order = self.order.rotate_left(5).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ hash;
            line.clear();
        }
        Ok(())
    }
}

fn open(path: &str) -> std::io::Result<Box<dyn BufRead>> {
    let file = File::open(path)?;
    let reader: Box<dyn Read> = match Path::new(path).extension().and_then(|ending| ending.to_str()) {
        Some("gz") => Box::new(flate2::read::MultiGzDecoder::new(file)),
        Some("zst") => Box::new(zstd::stream::read::Decoder::new(file)?),
        _ => Box::new(file),
    };
    Ok(Box::new(BufReader::new(reader)))
}

fn print(line: &str) -> Result<(), CliError> {
    writeln!(std::io::stdout(), "{line}").map_err(|error| CliError::failure(format!("cannot write: {error}")))
}
