use std::collections::HashMap;

use super::decide::users;
use super::decision::Decision;
use super::decisions::{DecisionWriter, Decisions};
use crate::dataset::Notes;
use crate::job::JobError;
use crate::job::input::{RecordStream, read_record};
use crate::job::left_out::Rejection;
use crate::quality::NearDuplicates;

/// Keeps the `count` rows with the best scores, of equal ones the earlier; with a least distance, of rows that are more
/// alike only the best.
///
/// Memory: 16 bytes for each row with a score. A row is looked at when its turn by score has come. The texts of candidates are
/// read in one more pass, as many at a time as are wanted, so that beyond that it is bounded by what is kept.
pub fn keep_best(
    decisions: &Decisions,
    count: usize,
    min_distance: Option<f64>,
    rows: &RecordStream,
) -> Result<Decisions, JobError> {
    let mut chosen = choose(&ranked(decisions)?, count, min_distance, rows)?;
    chosen.sort_unstable_by_key(|choice| choice.row);
    let mut chosen = chosen.into_iter().peekable();
    let (mut reader, mut writer) = (decisions.read()?, DecisionWriter::create(rows.spool())?);
    while let Some((row, decision)) = reader.next()? {
        let choice = chosen.next_if(|choice| choice.row == row);
        let decision = match (&decision, choice) {
            (Decision::Drop(_) | Decision::Unread, _) | (_, Some(Choice { near: None, .. })) => decision,
            (_, Some(Choice { near: Some(of), .. })) => Decision::Drop(Rejection::NearDuplicate { of }),
            (kept, None) if kept.score().is_none() => Decision::Drop(Rejection::NoScore),
            (_, None) => Decision::Drop(Rejection::Outscored),
        };
        writer.push(row, &decision)?;
    }
    writer.finish()
}

/// A row whose turn has come.
struct Choice {
    row: u64,
    /// The kept row that it is too much like.
    near: Option<u32>,
}

/// Returns the rows with scores, best first.
fn ranked(decisions: &Decisions) -> Result<Vec<(f64, u64)>, JobError> {
    let (mut reader, mut ranked) = (decisions.read()?, Vec::new());
    while let Some((row, decision)) = reader.next()? {
        ranked.extend(decision.score().map(|score| (score, row)));
    }
    ranked.sort_unstable_by(|left, right| right.0.total_cmp(&left.0).then(left.1.cmp(&right.1)));
    Ok(ranked)
}

/// Fewer candidates are not worth a pass over the rows.
const CANDIDATES_MIN: usize = 10_000;

/// Returns the rows that are kept and those before the last of them that are too much like one.
fn choose(
    ranked: &[(f64, u64)],
    count: usize,
    min_distance: Option<f64>,
    rows: &RecordStream,
) -> Result<Vec<Choice>, JobError> {
    let Some(distance) = min_distance else {
        return Ok(ranked.iter().take(count).map(|(_, row)| Choice { row: *row, near: None }).collect());
    };
    let (mut chosen, mut kept) = (Vec::new(), 0);
    let mut near = NearDuplicates::new(1.0 - distance);
    for candidates in ranked.chunks(count.max(CANDIDATES_MIN)) {
        if kept >= count {
            break;
        }
        let texts = texts(candidates, rows)?;
        for (_, row) in candidates {
            if kept < count {
                let near = near.find(texts.get(row).map_or("", String::as_str));
                kept += usize::from(near.is_none());
                chosen.push(Choice { row: *row, near });
            }
        }
    }
    Ok(chosen)
}

fn texts(candidates: &[(f64, u64)], rows: &RecordStream) -> Result<HashMap<u64, String>, JobError> {
    let mut texts: HashMap<u64, String> = candidates.iter().map(|(_, row)| (*row, String::new())).collect();
    let mut number = 0;
    rows.each_raw(&mut |_, row| {
        if let Some(text) = texts.get_mut(&number)
            && let (_, Ok(record)) = read_record(row, "", rows.reader(), &mut Notes::default())
        {
            *text = users(&record);
        }
        number += 1;
        Ok(())
    })?;
    Ok(texts)
}
