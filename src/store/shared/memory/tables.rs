//! The tables, and what is read off them.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use super::super::database::{
    Caps, ControlVerb, DatabaseError, NewAnswer, NewNote, OpeningHash, SeenRun, SeenWorker, WorkerId, WorkerStanding,
    WorkerStart,
};
use super::super::frames::entry_of;
use super::super::spending::Allowance;
use crate::conversation::{Digest, Fingerprint};
use crate::store::entry::{LostCalls, Run, Spent};
use crate::store::index::MemoryIndex;
use crate::store::place::{Place, Position};

/// A lease that ends later than this many times its length from now was given by another clock.
const LEASE_AHEAD: u32 = 2;

#[derive(Default)]
pub struct Tables {
    pub now: Duration,
    pub lease: Duration,
    pub workers: BTreeMap<WorkerId, WorkerRow>,
    pub runs: Vec<RunRow>,
    pub slots: BTreeMap<(u32, OpeningHash), SlotRow>,
    pub answers: BTreeMap<Fingerprint, (u64, WorkerId, NewAnswer)>,
    pub notes: BTreeMap<(WorkerId, u64), (u64, NewNote)>,
    pub lost: HashMap<Fingerprint, LostCalls>,
    pub spent: BTreeMap<(WorkerId, String), Spent>,
    pub controls: Vec<(u32, ControlVerb)>,
    /// What the answers and notes fold to.
    pub index: MemoryIndex,
    pub sequence: u64,
    pub joins: u64,
}

pub struct WorkerRow {
    pub start: WorkerStart,
    pub number: u64,
    pub started: Duration,
    pub seen: Duration,
    pub until: Duration,
    pub taken: u64,
    pub has_left: bool,
    pub is_idle: bool,
    pub run: u32,
    pub position: Position,
    pub booked: Allowance,
    pub granted: Allowance,
    pub answers: u64,
}

pub struct RunRow {
    pub run: Run,
    pub name: String,
    pub settings: Digest,
    pub rows: [u8; 32],
    pub caps: Caps,
    pub writer: Option<(WorkerId, String)>,
    pub is_written: bool,
}

#[derive(Clone)]
pub struct SlotRow {
    pub high: OpeningHash,
    pub weight: u32,
    pub owner: Option<WorkerId>,
    pub epoch: u64,
    pub is_done: bool,
    pub has_failures: bool,
}

impl Tables {
    pub fn worker(&mut self, id: WorkerId) -> Result<&mut WorkerRow, DatabaseError> {
        self.workers.get_mut(&id).ok_or_else(|| DatabaseError::Refused {
            message: format!("worker {id} is unknown"),
            hint: "run the same command again".to_owned(),
        })
    }

    pub fn is_live(&self, worker: &WorkerRow) -> bool {
        let ahead = self.now + self.lease * LEASE_AHEAD;
        !worker.has_left && worker.until >= self.now && worker.until <= ahead
    }

    pub fn run_row(&mut self, number: u32) -> Option<&mut RunRow> {
        self.runs.iter_mut().find(|row| row.run.number == number)
    }

    pub fn caps_of(&self, run: u32) -> Caps {
        self.runs.iter().find(|row| row.run.number == run).map(|row| row.caps).unwrap_or_default()
    }

    pub fn undone(&self, run: u32) -> u64 {
        self.slots.range((run, 0)..=(run, u64::MAX)).filter(|(_, slot)| !slot.is_done).count() as u64
    }

    pub fn holds_none(&self, run: u32, worker: WorkerId) -> bool {
        !self.slots.range((run, 0)..=(run, u64::MAX)).any(|(_, slot)| slot.owner == Some(worker) && !slot.is_done)
    }

    pub fn standing(&self, id: WorkerId, run: u32, after_control: u64) -> WorkerStanding {
        let mut live: Vec<(u64, WorkerId, bool)> = self
            .workers
            .iter()
            .filter(|(other, row)| row.run == run && (self.is_live(row) || **other == id))
            .map(|(other, row)| (row.number, *other, row.is_idle))
            .collect();
        live.sort_unstable();
        let own = self.workers.get(&id);
        let controls = self.controls.iter().filter(|(of, verb)| *of == run && verb.number > after_control);
        WorkerStanding {
            taken: own.map_or(0, |row| row.taken),
            live: live.len() as u32,
            rank: live.iter().position(|(_, other, _)| *other == id).unwrap_or(0) as u32,
            idle: live.iter().filter(|(_, _, is_idle)| *is_idle).count() as u32,
            granted: own.map(|row| row.granted).unwrap_or_default(),
            undone: self.undone(run),
            caps: self.caps_of(run),
            controls: controls.map(|(_, verb)| verb.clone()).collect(),
        }
    }

    pub fn granted(&self) -> Allowance {
        let sums = self.workers.values().map(|row| row.granted.max(&row.booked));
        sums.fold(Allowance::default(), |sum, own| sum.plus(&own))
    }

    pub fn free_slots_of(&mut self, run: u32, id: WorkerId) {
        for (_, slot) in self.slots.range_mut((run, 0)..=(run, u64::MAX)) {
            if slot.owner == Some(id) && !slot.is_done {
                slot.owner = None;
                slot.epoch += 1;
            }
        }
    }

    pub fn free_lapsed(&mut self, run: u32, asking: WorkerId) -> Vec<WorkerId> {
        let lapsed: Vec<WorkerId> = self
            .workers
            .iter()
            .filter(|(id, row)| **id != asking && row.run == run && !self.is_live(row) && !self.holds_none(run, **id))
            .map(|(id, _)| *id)
            .collect();
        for id in &lapsed {
            if let Some(row) = self.workers.get_mut(id) {
                row.taken += 1;
            }
            self.free_slots_of(run, *id);
        }
        lapsed
    }

    /// Folds an entry that was just stored.
    pub fn fold(&mut self, number: u64, frame: &[u8]) {
        if let Some(entry) = entry_of(frame) {
            self.index.add(Place { segment: 1, offset: number, length: 1, checksum: 0 }, &entry);
        }
    }

    pub fn seen_run(&self, row: &RunRow) -> SeenRun {
        let number = row.run.number;
        let slots = self.slots.range((number, 0)..=(number, u64::MAX)).count() as u64;
        let answers = self.answers.values().filter(|(_, _, answer)| answer.run == number).count() as u64;
        SeenRun {
            run: Run { answers, ..row.run.clone() },
            name: row.name.clone(),
            slots,
            done: slots - self.undone(number),
            caps: row.caps,
            writer: row.writer.as_ref().map(|(_, place)| place.clone()),
            is_written: row.is_written,
        }
    }

    pub fn seen_worker(&self, row: &WorkerRow) -> SeenWorker {
        let held = self
            .slots
            .iter()
            .filter(|((run, _), slot)| *run == row.run && slot.owner == Some(row.start.id) && !slot.is_done);
        SeenWorker {
            start: row.start.clone(),
            seen_ago: self.now.saturating_sub(row.seen),
            started_ago: self.now.saturating_sub(row.started),
            is_live: self.is_live(row),
            has_left: row.has_left,
            run: (row.run > 0).then_some(row.run),
            slots: held.count() as u64,
            answers: row.answers,
            booked: row.booked,
            granted: row.granted,
        }
    }
}
