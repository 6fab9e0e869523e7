use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::FileExt;

use serde::Serialize;

use super::ViewIndex;
use super::names::{NameList, bit};
use super::record::{ItemStatus, RECORD_BYTES, Record};
use super::summary::Head;
use crate::view::query::Query;

/// Records that are read at a time.
const CHUNK_RECORDS: u64 = 8 << 10;

/// A part of a list.
#[derive(Debug, Default, Serialize)]
pub struct Listing {
    /// The conversations.
    pub items: Vec<Listed>,
    /// How many pass the filter, from the first item on.
    pub total: u64,
    /// Where the next part begins.
    pub next: Option<u64>,
}

/// A conversation in a list.
#[derive(Debug, Serialize)]
pub struct Listed {
    /// Its number.
    pub item: u64,
    /// The row's id, or the conversation's key; empty while it is not read yet.
    pub id: String,
    /// How the user begins.
    pub opening: String,
    /// True where no row makes it.
    pub is_without_row: bool,
    /// Why its row cannot be shown.
    pub unavailable: Option<String>,
    /// How far it has come; nothing while it is not read yet.
    pub status: Option<&'static str>,
    /// Why it stopped or failed.
    pub reason: String,
    /// Its turns.
    pub turns: u32,
    /// Its answered turns.
    pub answered: u32,
    /// Rules that rejected answers.
    pub rules: Vec<String>,
    /// Rules that flagged answers.
    pub flags: Vec<String>,
    /// The mean score of its answers.
    pub score: Option<f32>,
    /// Its language.
    pub language: String,
    /// The characters of its answers.
    pub characters: u64,
}

/// How many conversations have what, for the choices of a filter.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// All that are read.
    pub read: u64,
    /// Their turns.
    pub turns: u64,
    /// Those that are answered.
    pub answered: u64,
    /// By status.
    pub status: BTreeMap<String, u64>,
    /// By a rule that rejected an answer.
    pub rules: BTreeMap<String, u64>,
    /// By a rule that flagged an answer.
    pub flags: BTreeMap<String, u64>,
    /// By reason.
    pub reasons: BTreeMap<String, u64>,
    /// By language.
    pub languages: BTreeMap<String, u64>,
    /// With a score.
    pub scored: u64,
}

impl ViewIndex {
    /// Lists what passes a query, in the order of the rows.
    pub fn list(&self, query: &Query) -> io::Result<Listing> {
        let mut listing = Listing::default();
        let mut wanted = Vec::new();
        self.for_each_passing(query, &mut |item, record| {
            listing.total += 1;
            if item >= query.from {
                if wanted.len() < query.limit {
                    wanted.push((item, *record));
                } else if listing.next.is_none() {
                    listing.next = Some(item);
                }
            }
            Ok(())
        })?;
        let names = self.state().names.clone();
        for (item, record) in wanted {
            let head = self.head(&record)?;
            let of = |list: &NameList, bits: u64| {
                list.iter().filter(|(number, _)| bits & bit(*number) != 0).map(|(_, name)| name.to_owned()).collect()
            };
            listing.items.push(Listed {
                item,
                id: head.id,
                opening: head.opening,
                is_without_row: head.is_without_row,
                unavailable: head.unavailable,
                status: record.is_read.then(|| record.status.name()),
                reason: names.reasons.name(record.reason as usize).to_owned(),
                turns: record.turns,
                answered: record.answered,
                rules: of(&names.rules, record.rules),
                flags: of(&names.rules, record.flags),
                score: record.score,
                language: names.languages.name(record.language as usize).to_owned(),
                characters: record.characters,
            });
        }
        Ok(listing)
    }

    /// Passes every item that passes a query to `take`, wherever the query begins.
    pub fn for_each_passing(
        &self,
        query: &Query,
        take: &mut dyn FnMut(u64, &Record) -> io::Result<()>,
    ) -> io::Result<()> {
        let found = if query.text.trim().is_empty() { None } else { Some(self.search(&query.text, query.voice)?) };
        let (filter, item_count) = {
            let state = self.state();
            (query.resolved(&state.names), state.item_count)
        };
        let mut bytes = vec![0; RECORD_BYTES * CHUNK_RECORDS as usize];
        let mut first = 0;
        while first < item_count {
            let items = first..(first + CHUNK_RECORDS).min(item_count);
            first = items.end;
            if found.as_ref().is_some_and(|found| !found.has_any(items.clone())) {
                continue;
            }
            let bytes = &mut bytes[..RECORD_BYTES * (items.end - items.start) as usize];
            self.read_records(items.start, bytes)?;
            for (item, record) in items.zip(bytes.as_chunks::<RECORD_BYTES>().0) {
                let record = Record::read(record);
                if found.as_ref().is_none_or(|found| found.has(item)) && filter.passes(&record) {
                    take(item, &record)?;
                }
            }
        }
        Ok(())
    }

    /// Counts what conversations have.
    pub fn counts(&self) -> io::Result<Counts> {
        let names = self.state().names.clone();
        let mut counts = Counts::default();
        let (mut statuses, mut rules, mut flags) = ([0; ItemStatus::ALL.len()], [0u64; 64], [0u64; 64]);
        let mut reasons = vec![0u64; names.reasons.len() + 1];
        let mut languages = vec![0u64; names.languages.len() + 1];
        self.for_each_passing(&Query::default(), &mut |_, record| {
            if record.is_read {
                counts.read += 1;
                counts.turns += u64::from(record.turns);
                counts.answered += u64::from(record.answered);
                counts.scored += u64::from(record.score.is_some());
                statuses[record.status as usize] += 1;
                for (counts, bits) in [(&mut rules, record.rules), (&mut flags, record.flags)] {
                    counts.iter_mut().enumerate().for_each(|(at, count)| *count += bits >> at & 1);
                }
                // Names may have been added since.
                reasons.get_mut(record.reason as usize).into_iter().for_each(|count| *count += 1);
                languages.get_mut(record.language as usize).into_iter().for_each(|count| *count += 1);
            }
            Ok(())
        })?;
        let some = |name: &str, count: u64| (count > 0 && !name.is_empty()).then(|| (name.to_owned(), count));
        let of_bits = |counts: &[u64; 64]| {
            names.rules.iter().filter_map(|(number, name)| some(name, *counts.get(number - 1)?)).collect()
        };
        let of_list = |list: &NameList, counts: &[u64]| {
            list.iter().filter_map(|(number, name)| some(name, *counts.get(number)?)).collect()
        };
        counts.rules = of_bits(&rules);
        counts.flags = of_bits(&flags);
        counts.reasons = of_list(&names.reasons, &reasons);
        counts.languages = of_list(&names.languages, &languages);
        counts.status =
            ItemStatus::ALL.iter().filter_map(|status| some(status.name(), statuses[*status as usize])).collect();
        Ok(counts)
    }

    /// Returns what a list shows of an item; nothing while it is not read yet.
    pub fn head(&self, record: &Record) -> io::Result<Head> {
        if !record.is_read {
            return Ok(Head::default());
        }
        let mut bytes = vec![0; record.head.length.min(1 << 20) as usize];
        match self.heads.read_exact_at(&mut bytes, record.head.offset) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(Head::default()),
            other => other.map(|()| serde_json::from_slice(&bytes).unwrap_or_default()),
        }
    }

    /// Reads the records from an item on; those behind the end of the file are not read yet.
    fn read_records(&self, first: u64, bytes: &mut [u8]) -> io::Result<()> {
        let mut done = 0;
        while done < bytes.len() {
            match self.records.read_at(&mut bytes[done..], first * RECORD_BYTES as u64 + done as u64)? {
                0 => break,
                count => done += count,
            }
        }
        bytes[done..].fill(0);
        Ok(())
    }
}
