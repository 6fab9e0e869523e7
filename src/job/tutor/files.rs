use std::collections::BTreeMap;

use crate::conversation::{Lesson, Pairing, Record, Seed};
use crate::export::{
    FORMATS, OutputFile, OutputFormat, Sink, Table, critique_row, hard_record, lesson_labels, lesson_pair,
    lesson_record, output_format_named,
};
use crate::job::JobError;
use crate::job::left_out::LeftOut;
use crate::job::left_out_list::Left;
use crate::job::output::would_empty;

/// The files of a round.
pub struct Files {
    directory: String,
    records: BTreeMap<&'static str, Sink>,
    critique: OutputFile,
    rows: BTreeMap<&'static str, u64>,
}

const SFT: &str = "sft.jsonl";
const DPO: &str = "dpo.jsonl";
const KTO: &str = "kto.jsonl";
const HARD: &str = "hard.jsonl";
const CRITIQUE: &str = "critique.jsonl";

/// Formats in which the answers before the correction are not learned, whatever the trainer.
pub const SFT_FORMATS: [&str; 2] = ["trl-prompt-completion", "per-turn"];

/// Returns the format of `sft.jsonl`: what the command line says, or the configuration, where that can be for this command.
pub fn sft_format(named_now: Option<&str>, configured: Option<&str>) -> Result<&'static dyn OutputFormat, JobError> {
    let configured = configured.filter(|name| SFT_FORMATS.contains(name));
    let name = named_now.or(configured).unwrap_or(SFT_FORMATS[0]);
    let format = output_format_named(name).filter(|format| SFT_FORMATS.contains(&format.name()));
    format.ok_or_else(|| {
        let hint = format!(
            "give --to {}; `cohobate convert DIR/sft.jsonl --to {name}` makes another",
            SFT_FORMATS.join(" or --to ")
        );
        JobError::usage(format!("sft.jsonl cannot be written as {name}"), hint)
    })
}

impl Files {
    /// Begins to write into a directory, which is made where it is not there.
    pub fn create(directory: &str, sft: &'static dyn OutputFormat) -> Result<Self, JobError> {
        let path = |name: &str| format!("{directory}/{name}");
        let format = |name: &str| output_format_named(name).expect("it is in the list of formats");
        let formats = [(SFT, sft), (DPO, format("dpo")), (KTO, format("kto")), (HARD, FORMATS[0])];
        let records = formats.map(|(name, format)| Ok((name, Sink::create(&path(name), format)?)));
        Ok(Self {
            directory: directory.to_owned(),
            records: records.into_iter().collect::<Result<_, JobError>>()?,
            critique: OutputFile::create(&path(CRITIQUE))?,
            rows: [SFT, DPO, KTO, HARD, CRITIQUE].map(|name| (name, 0)).into(),
        })
    }

    /// Writes the rows that a conversation makes, and returns those that do not fit their format.
    pub fn write(&mut self, seed: &Seed, lessons: &[Lesson], history: &str) -> Result<Vec<Left>, JobError> {
        let mut unfit = Vec::new();
        for lesson in lessons {
            if let Some(record) = lesson_record(seed, lesson, history) {
                unfit.extend(self.put(SFT, &record)?);
            }
            if let Some(pair) = lesson_pair(seed, lesson, history) {
                unfit.extend(self.put(DPO, &pair)?);
            }
            for record in lesson_labels(seed, lesson, history) {
                unfit.extend(self.put(KTO, &record)?);
            }
            let mut row = Vec::new();
            if critique_row(seed, lesson, history, &mut row) {
                self.critique.write(&row)?;
                *self.rows.entry(CRITIQUE).or_default() += 1;
            }
        }
        if let Some(record) = hard_record(seed, lessons, history) {
            unfit.extend(self.put(HARD, &record)?);
        }
        Ok(unfit)
    }

    fn put(&mut self, name: &'static str, record: &Record) -> Result<Option<Left>, JobError> {
        let Some(sink) = self.records.get_mut(name) else { return Ok(None) };
        Ok(match sink.write(record)? {
            Ok(count) => {
                *self.rows.entry(name).or_default() += count;
                None
            }
            Err(unfit) => Some(Left { part: Some(name.to_owned()), ..Left::from(LeftOut::Unfit(unfit)) }),
        })
    }

    /// Puts the files in their places, and returns how many rows each has. Where there is no row at all, files that have some
    /// are kept.
    pub fn finish(self) -> Result<BTreeMap<&'static str, u64>, JobError> {
        let count = self.rows.values().sum();
        if self.rows.keys().any(|name| would_empty(&format!("{}/{name}", self.directory), count)) {
            return Ok(BTreeMap::new());
        }
        self.records.into_values().try_for_each(Sink::finish)?;
        self.critique.finish()?;
        Ok(self.rows)
    }
}

/// The columns of `turns.csv`, a row for each turn that the student has answered.
const COLUMNS: [&str; 14] = [
    "round",
    "history",
    "id",
    "turn",
    "student_score",
    "teacher_score",
    "remedy",
    "pair",
    "margin",
    "student_fault",
    "errors",
    "said_before",
    "student_letters",
    "teacher_letters",
];

/// Begins to write `turns.csv`.
pub fn turns_table(directory: &str) -> Result<Table, JobError> {
    Ok(Table::create(&format!("{directory}/turns.csv"), &COLUMNS)?)
}

/// Returns a turn as a row of `turns.csv`; what is not known is empty.
pub fn turn_row(round: u32, history: &str, id: &str, lesson: &Lesson) -> [String; COLUMNS.len()] {
    let score = |score: Option<f64>| score.map(|score| score.to_string()).unwrap_or_default();
    let letters = |text: &str| text.chars().count().to_string();
    let correction = lesson.correction.as_ref();
    let margin = match correction.map(|correction| correction.pairing) {
        Some(Pairing::Accepted(margin)) => Some(margin),
        _ => None,
    };
    let errors = lesson.grade.iter().flat_map(|grade| &grade.flaws).map(|flaw| flaw.kind).collect::<Vec<_>>();
    [
        round.to_string(),
        history.to_owned(),
        id.to_owned(),
        lesson.turn.to_string(),
        score(lesson.student_score()),
        score(lesson.correction_score()),
        correction.map_or("", |correction| correction.remedy.name()).to_owned(),
        correction.map_or("", |correction| correction.pairing.name()).to_owned(),
        score(margin),
        lesson.fault.unwrap_or_default().to_owned(),
        errors.join(" "),
        lesson.history.last().map_or("", |speaker| speaker.name()).to_owned(),
        letters(lesson.student.text()),
        correction.map_or(String::new(), |correction| letters(correction.answer.text())),
    ]
}
