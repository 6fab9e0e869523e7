use std::collections::HashMap;

use super::decide::{Decision, users};
use crate::dataset::Notes;
use crate::job::JobError;
use crate::job::input::{RecordStream, read_record};
use crate::job::left_out::Rejection;
use crate::quality::NearDuplicates;

/// Keeps the `count` rows with the best scores, of equal ones the earlier; with a least distance, of rows that are more
/// alike only the best.
///
/// A row is looked at when its turn by score has come. The texts of candidates are read in one more pass, as many at a time
/// as are wanted, so that memory is bounded by what is kept.
pub fn keep_best(
    decisions: &mut [Decision],
    count: usize,
    min_distance: Option<f64>,
    rows: &RecordStream,
) -> Result<(), JobError> {
    let mut ranked: Vec<(f64, usize)> = Vec::new();
    for (row, decision) in decisions.iter_mut().enumerate().filter(|(_, decision)| decision.is_kept()) {
        match decision.score() {
            Some(score) => ranked.push((score, row)),
            None => *decision = Decision::Drop(Rejection::NoScore),
        }
    }
    ranked.sort_by(|left, right| right.0.total_cmp(&left.0).then(left.1.cmp(&right.1)));
    let mut kept = 0;
    let mut near = min_distance.map(|distance| NearDuplicates::new(1.0 - distance));
    let chunk = count.max(CANDIDATES_MIN);
    for candidates in ranked.chunks(chunk) {
        let texts = match near {
            Some(_) if kept < count => texts(candidates, rows)?,
            _ => HashMap::new(),
        };
        for (_, row) in candidates {
            let text = texts.get(row).map_or("", String::as_str);
            decisions[*row] = match near.as_mut().filter(|_| kept < count).and_then(|near| near.find(text)) {
                _ if kept >= count => Decision::Drop(Rejection::Outscored),
                Some(of) => Decision::Drop(Rejection::NearDuplicate { of }),
                None => {
                    kept += 1;
                    continue;
                }
            };
        }
    }
    Ok(())
}

/// Fewer candidates are not worth a pass over the rows.
const CANDIDATES_MIN: usize = 10_000;

fn texts(candidates: &[(f64, usize)], rows: &RecordStream) -> Result<HashMap<usize, String>, JobError> {
    let mut texts: HashMap<usize, String> = candidates.iter().map(|(_, row)| (*row, String::new())).collect();
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
