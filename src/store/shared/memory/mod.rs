//! The database in memory: what each operation means, without a server. The oracle of the tests of every other one.

mod tables;

use std::collections::btree_map::Entry;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tables::{RunRow, SlotRow, Tables, WorkerRow};

use super::database::{
    Batch, CapName, Caps, Claimed, ControlVerb, Database, DatabaseError, Granted, Held, Joined, JoinedRun, OpeningHash,
    Published, PublishedTo, RunRequest, SeenRun, SeenWorker, SlotRange, StoredConversations, WorkerId, WorkerStanding,
    WorkerStart, Writer,
};
use super::spending::Allowance;
use crate::conversation::{ConversationKey, Fingerprint};
use crate::store::entry::{ConversationState, LostCalls, Run, Spending};
use crate::store::index::IndexReader;
use crate::store::place::Position;

/// A database in memory. Its clock is set by hand: time passes only where a test says so.
#[derive(Default)]
pub struct MemoryDatabase {
    tables: Mutex<Tables>,
}

impl MemoryDatabase {
    /// Moves the database's clock.
    pub fn set_clock(&self, now: Duration) {
        self.tables().now = now;
    }

    /// Lets time pass.
    pub fn pass(&self, time: Duration) {
        let mut tables = self.tables();
        tables.now += time;
    }

    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Database for MemoryDatabase {
    fn join(&self, start: &WorkerStart, lease: Duration) -> Result<(), DatabaseError> {
        let mut tables = self.tables();
        tables.lease = lease;
        tables.joins += 1;
        let (now, number) = (tables.now, tables.joins);
        let row = WorkerRow {
            start: start.clone(),
            number,
            started: now,
            seen: now,
            until: now + lease,
            taken: 0,
            has_left: false,
            is_idle: false,
            run: 0,
            position: Position::default(),
            booked: Allowance::default(),
            granted: Allowance::default(),
            answers: 0,
        };
        tables.workers.entry(start.id).or_insert(row);
        Ok(())
    }

    fn published(&self, worker: WorkerId) -> Result<Option<PublishedTo>, DatabaseError> {
        let tables = self.tables();
        let spent = tables.spent.iter().filter(|((id, _), _)| *id == worker);
        let spent = spent.map(|((_, model), spent)| (model.clone(), *spent)).collect();
        Ok(tables.workers.get(&worker).map(|row| (row.position, spent)))
    }

    fn run(&self, worker: WorkerId, request: &RunRequest<'_>) -> Result<Joined, DatabaseError> {
        let mut tables = self.tables();
        let digest = request.settings.digest();
        let is_same = |row: &RunRow| row.settings == digest && row.rows == request.rows;
        let found = match request.name {
            Some(name) => tables.runs.iter().position(|row| row.name == name),
            None => tables.runs.iter().rposition(is_same),
        };
        let is_new = found.is_none();
        if let Some(at) = found
            && !is_same(&tables.runs[at])
        {
            let row = &tables.runs[at];
            return Ok(Joined::Differs { settings: row.run.settings.clone(), same_rows: row.rows == request.rows });
        }
        if is_new {
            let number = tables.runs.len() as u32 + 1;
            let run = Run { number, started_ms: request.started_ms, settings: request.settings.clone(), answers: 0 };
            let name = request.name.map_or_else(|| format!("run-{number}"), str::to_owned);
            tables.runs.push(RunRow {
                run,
                name,
                settings: digest,
                rows: request.rows,
                caps: Caps::default(),
                writer: None,
                is_written: false,
            });
            for slot in request.slots {
                let row = SlotRow {
                    high: slot.range.high,
                    weight: slot.weight,
                    owner: None,
                    epoch: 0,
                    is_done: false,
                    has_failures: false,
                };
                tables.slots.insert((number, slot.range.low), row);
            }
        }
        let at = found.unwrap_or(tables.runs.len() - 1);
        let number = tables.runs[at].run.number;
        let writes = tables.runs[at].writer.as_ref().filter(|_| !tables.runs[at].is_written);
        let is_being_written =
            writes.is_some_and(|(id, _)| tables.workers.get(id).is_some_and(|row| tables.is_live(row)));
        if tables.undone(number) == 0 && !is_being_written {
            for (_, slot) in tables.slots.range_mut((number, 0)..=(number, u64::MAX)) {
                if slot.has_failures {
                    (slot.is_done, slot.has_failures, slot.owner) = (false, false, None);
                    slot.epoch += 1;
                }
            }
            (tables.runs[at].writer, tables.runs[at].is_written) = (None, false);
        }
        let row = &mut tables.runs[at];
        row.caps.cost_nano = request.caps.cost_nano.or(row.caps.cost_nano);
        row.caps.requests = request.caps.requests.or(row.caps.requests);
        row.caps.output_tokens = request.caps.output_tokens.or(row.caps.output_tokens);
        let (run, name, caps) = (row.run.clone(), row.name.clone(), row.caps);
        tables.worker(worker)?.run = number;
        let controls = tables.controls.iter().filter(|(of, _)| *of == number).map(|(_, verb)| verb.clone()).collect();
        Ok(Joined::Run(JoinedRun { run, name, is_new, caps, controls }))
    }

    fn claim(&self, worker: WorkerId, run: u32, count: u32) -> Result<Claimed, DatabaseError> {
        let mut tables = self.tables();
        let lapsed = tables.free_lapsed(run, worker);
        let mut free: Vec<(u32, OpeningHash)> = tables
            .slots
            .range((run, 0)..=(run, u64::MAX))
            .filter(|(_, slot)| !slot.is_done && slot.owner.is_none())
            .map(|((_, low), slot)| (slot.weight, *low))
            .collect();
        free.sort_unstable_by_key(|(weight, low)| (std::cmp::Reverse(*weight), *low));
        free.truncate(count as usize);
        let mut slots = Vec::new();
        for (_, low) in free {
            if let Some(slot) = tables.slots.get_mut(&(run, low)) {
                slot.owner = Some(worker);
                slot.epoch += 1;
                slots.push(Held { range: SlotRange { low, high: slot.high }, epoch: slot.epoch });
            }
        }
        let is_idle = slots.is_empty() && tables.holds_none(run, worker);
        tables.worker(worker)?.is_idle = is_idle;
        Ok(Claimed { slots, undone: tables.undone(run), lapsed })
    }

    fn held(&self, worker: WorkerId, run: u32) -> Result<Vec<Held>, DatabaseError> {
        let tables = self.tables();
        let own = tables.slots.range((run, 0)..=(run, u64::MAX)).filter(|(_, slot)| slot.owner == Some(worker));
        let own = own.filter(|(_, slot)| !slot.is_done);
        Ok(own
            .map(|((_, low), slot)| Held { range: SlotRange { low: *low, high: slot.high }, epoch: slot.epoch })
            .collect())
    }

    fn publish(
        &self,
        worker: WorkerId,
        run: u32,
        batch: &Batch,
        lease: Duration,
        after_control: u64,
    ) -> Result<Published, DatabaseError> {
        let mut tables = self.tables();
        tables.worker(worker)?;
        let mut winners = Vec::new();
        for answer in &batch.answers {
            match tables.answers.get(&answer.fingerprint) {
                Some((_, other, stored)) if *other != worker && stored.frame != answer.frame => {
                    winners.push((answer.fingerprint, stored.frame.clone()));
                }
                Some(_) => {}
                None => {
                    tables.sequence += 1;
                    let number = tables.sequence;
                    tables.answers.insert(answer.fingerprint, (number, worker, answer.clone()));
                    tables.fold(number, &answer.frame);
                    tables.worker(worker)?.answers += 1;
                }
            }
        }
        for note in &batch.notes {
            tables.sequence += 1;
            let number = tables.sequence;
            if let Entry::Vacant(place) = tables.notes.entry((worker, note.number)) {
                place.insert((number, note.clone()));
                tables.fold(number, &note.frame);
            }
        }
        for (question, lost) in &batch.lost {
            let kept = tables.lost.entry(*question).or_default();
            if lost.calls >= kept.calls {
                *kept = lost.clone();
            }
        }
        for (model, spent) in &batch.spent {
            let kept = tables.spent.entry((worker, model.clone())).or_default();
            if spent.calls + spent.unknown_calls >= kept.calls + kept.unknown_calls {
                *kept = *spent;
            }
        }
        for done in &batch.done {
            if let Some(slot) = tables.slots.get_mut(&(run, done.slot.range.low))
                && slot.owner == Some(worker)
                && slot.epoch == done.slot.epoch
                && slot.high == done.slot.range.high
            {
                (slot.is_done, slot.has_failures) = (true, done.has_failures);
            }
        }
        let now = tables.now;
        let row = tables.worker(worker)?;
        (row.seen, row.until) = (now, now + lease);
        row.position = row.position.max(batch.position);
        row.booked = row.booked.max(&batch.booked);
        row.granted = row.granted.max(&row.booked);
        Ok(Published { winners, standing: tables.standing(worker, run, after_control) })
    }

    fn look(&self, worker: WorkerId, run: u32, after_control: u64) -> Result<WorkerStanding, DatabaseError> {
        Ok(self.tables().standing(worker, run, after_control))
    }

    fn give_back(&self, worker: WorkerId, run: u32, slots: &[(Held, OpeningHash)]) -> Result<(), DatabaseError> {
        let mut tables = self.tables();
        for (held, from) in slots {
            let Some(slot) = tables.slots.get_mut(&(run, held.range.low)) else { continue };
            if slot.owner != Some(worker) || slot.epoch != held.epoch || slot.is_done || slot.high != held.range.high {
                continue;
            }
            if *from <= held.range.low {
                slot.owner = None;
                slot.epoch += 1;
            } else if *from <= slot.high {
                let upper = SlotRow { owner: None, epoch: 0, ..slot.clone() };
                slot.high = from - 1;
                tables.slots.insert((run, *from), upper);
            }
        }
        Ok(())
    }

    fn grant(
        &self,
        worker: WorkerId,
        run: u32,
        wanted: &Allowance,
        least: &Allowance,
    ) -> Result<Granted, DatabaseError> {
        let mut tables = self.tables();
        let (caps, sum) = (tables.caps_of(run), tables.granted());
        let room = |cap: Option<u64>, granted: u64| cap.map_or(u64::MAX, |cap| cap.saturating_sub(granted));
        let rooms = Allowance {
            cost_nano: room(caps.cost_nano, sum.cost_nano),
            requests: room(caps.requests, sum.requests),
            output_tokens: room(caps.output_tokens, sum.output_tokens),
        };
        let short = [
            (CapName::Cost, rooms.cost_nano < least.cost_nano),
            (CapName::Requests, rooms.requests < least.requests),
            (CapName::OutputTokens, rooms.output_tokens < least.output_tokens),
        ];
        let short = short.into_iter().find(|(_, is_short)| *is_short).map(|(name, _)| name);
        let row = tables.worker(worker)?;
        if short.is_none() {
            let more = Allowance {
                cost_nano: wanted.cost_nano.min(rooms.cost_nano),
                requests: wanted.requests.min(rooms.requests),
                output_tokens: wanted.output_tokens.min(rooms.output_tokens),
            };
            row.granted = row.granted.max(&row.booked).plus(&more);
        }
        let granted = row.granted;
        let mut result = Granted { granted, short, room: rooms, ..Granted::default() };
        for row in tables.workers.values().filter(|row| row.start.id != worker) {
            let held = row.granted.minus(&row.booked);
            if held.is_nothing() {
                continue;
            }
            if tables.is_live(row) {
                result.held_by_live = result.held_by_live.plus(&held);
            } else {
                result.held_by_dead = result.held_by_dead.plus(&held);
                result.dead += 1;
            }
        }
        Ok(result)
    }

    fn release(&self, worker: WorkerId, keep: &Allowance) -> Result<Allowance, DatabaseError> {
        let mut tables = self.tables();
        let row = tables.worker(worker)?;
        let kept = row.booked.max(keep);
        row.granted = Allowance {
            cost_nano: row.granted.cost_nano.min(kept.cost_nano),
            requests: row.granted.requests.min(kept.requests),
            output_tokens: row.granted.output_tokens.min(kept.output_tokens),
        };
        Ok(row.granted)
    }

    fn leave(&self, worker: WorkerId) -> Result<(), DatabaseError> {
        let mut tables = self.tables();
        let row = tables.worker(worker)?;
        (row.has_left, row.granted) = (true, row.booked);
        let run = row.run;
        tables.free_slots_of(run, worker);
        Ok(())
    }

    fn writer(&self, worker: WorkerId, run: u32, place: &str) -> Result<Writer, DatabaseError> {
        let mut tables = self.tables();
        let current = tables.run_row(run).and_then(|row| row.writer.clone().map(|writer| (writer, row.is_written)));
        if let Some(((other, named), is_written)) = current
            && other != worker
            && (is_written || tables.workers.get(&other).is_some_and(|row| tables.is_live(row)))
        {
            return Ok(Writer::Other(named));
        }
        if let Some(row) = tables.run_row(run) {
            row.writer = Some((worker, place.to_owned()));
        }
        Ok(Writer::Own)
    }

    fn written(&self, worker: WorkerId, run: u32) -> Result<(), DatabaseError> {
        let mut tables = self.tables();
        if let Some(row) = tables.run_row(run)
            && row.writer.as_ref().is_some_and(|(id, _)| *id == worker)
        {
            row.is_written = true;
        }
        Ok(())
    }

    fn answers(&self, questions: &[Fingerprint]) -> Result<Vec<(Fingerprint, Vec<u8>)>, DatabaseError> {
        let tables = self.tables();
        let found = questions.iter().filter_map(|question| Some((*question, tables.answers.get(question)?)));
        Ok(found.map(|(question, (_, _, answer))| (question, answer.frame.clone())).collect())
    }

    fn conversations(&self, keys: &[ConversationKey]) -> Result<StoredConversations, DatabaseError> {
        let tables = self.tables();
        let state = |key: &ConversationKey| Some((*key, tables.index.states.get(key)?.clone()));
        Ok(StoredConversations { states: keys.iter().filter_map(state).collect(), answers: Vec::new() })
    }

    fn for_each_frame(&self, visit: &mut dyn FnMut(Vec<u8>) -> bool) -> Result<(), DatabaseError> {
        let tables = self.tables();
        let mut frames: Vec<(u64, Vec<u8>)> = Vec::new();
        frames.extend(tables.answers.values().map(|(number, _, answer)| (*number, answer.frame.clone())));
        frames.extend(tables.notes.values().map(|(number, note)| (*number, note.frame.clone())));
        drop(tables);
        frames.sort_unstable();
        frames.into_iter().all(|(_, frame)| visit(frame));
        Ok(())
    }

    fn for_each_state(&self, visit: &mut dyn FnMut(ConversationKey, ConversationState)) -> Result<(), DatabaseError> {
        let index = self.tables().index.clone();
        // An index in memory cannot fail.
        let _ = index.for_each_state(visit);
        Ok(())
    }

    fn lost(&self, question: &Fingerprint) -> Result<LostCalls, DatabaseError> {
        Ok(self.tables().lost.get(question).cloned().unwrap_or_default())
    }

    fn spending(&self) -> Result<Spending, DatabaseError> {
        let tables = self.tables();
        let mut sum = Spending::new();
        for ((_, model), spent) in &tables.spent {
            sum.entry(model.clone()).or_default().plus(spent);
        }
        Ok(sum)
    }

    fn runs(&self) -> Result<Vec<SeenRun>, DatabaseError> {
        let tables = self.tables();
        Ok(tables.runs.iter().map(|row| tables.seen_run(row)).collect())
    }

    fn workers(&self) -> Result<Vec<SeenWorker>, DatabaseError> {
        let tables = self.tables();
        let mut rows: Vec<&WorkerRow> = tables.workers.values().collect();
        rows.sort_by_key(|row| std::cmp::Reverse(row.number));
        Ok(rows.into_iter().map(|row| tables.seen_worker(row)).collect())
    }

    fn control(&self, run: u32, text: &str, caps: Option<Caps>) -> Result<(), DatabaseError> {
        let mut tables = self.tables();
        let number = tables.controls.len() as u64 + 1;
        tables.controls.push((run, ControlVerb { number, text: text.to_owned() }));
        if let (Some(caps), Some(row)) = (caps, tables.run_row(run)) {
            row.caps = caps;
        }
        Ok(())
    }

    fn reconcile(&self, unseen_for: Duration) -> Result<Vec<SeenWorker>, DatabaseError> {
        let mut tables = self.tables();
        let now = tables.now;
        let settled: Vec<SeenWorker> = tables
            .workers
            .values()
            .filter(|row| !tables.is_live(row) && row.granted != row.booked)
            .filter(|row| now.saturating_sub(row.seen) >= unseen_for)
            .map(|row| tables.seen_worker(row))
            .collect();
        for worker in &settled {
            let row = tables.worker(worker.start.id)?;
            row.granted = row.booked;
        }
        Ok(settled)
    }
}
