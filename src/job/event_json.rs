//! Events for machines: every kind has a name and its fields. docs/events.schema.json describes them.

use std::time::Duration;

use serde_json::{Value, json};

use super::events::{InvalidRow, JobEvent, Phase};
use super::run_line::run_line;
use crate::store::merge::Orphan;
use crate::worker::{Event, Wait, WaitCause};

/// A kind of event that a command reports as JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// A line for people.
    Message,
    /// What the user should know before trusting the result.
    Caution,
    /// Why the command, or a model, failed.
    Error,
    /// What to do next.
    Hint,
    /// A store without a usable index is being read.
    JournalRead,
    /// The index was rebuilt.
    IndexRebuilt,
    /// The end of the journal held an unfinished write.
    TailCut,
    /// A part of the journal is damaged.
    SegmentDamaged,
    /// The store is read from its journal.
    ReadingJournalOnly,
    /// A row of the input is invalid.
    RowInvalid,
    /// Further rows are invalid.
    MoreRowsInvalid,
    /// An answer was built on one that is not used after a merge.
    Orphaned,
    /// Further such answers.
    MoreOrphans,
    /// The run before was killed with requests in flight.
    CallsUnknown,
    /// How far a pass over the rows is.
    Phase,
    /// A run is about to send its first call.
    Start,
    /// How far a run is.
    Progress,
    /// A call failed.
    CallFailed,
    /// How requests are written has changed, because a server refused them.
    Adjusted,
    /// A model's limit on calls in flight changed.
    Pace,
    /// A server asked for a pause.
    Rested,
    /// A server is down.
    Parked,
    /// A server answers again.
    Recovered,
    /// A replica gets no new calls.
    Drained,
    /// What the run waits for while it sends nothing.
    Waiting,
    /// The run is stopping.
    Stopping,
    /// Somebody has steered the job, or tried to.
    Steered,
    /// The end of a distillation.
    Summary,
    /// The report of another command.
    Report,
    /// The end of the command.
    End,
}

impl EventKind {
    /// All kinds.
    pub const ALL: &[Self] = &[
        Self::Message,
        Self::Caution,
        Self::Error,
        Self::Hint,
        Self::JournalRead,
        Self::IndexRebuilt,
        Self::TailCut,
        Self::SegmentDamaged,
        Self::ReadingJournalOnly,
        Self::RowInvalid,
        Self::MoreRowsInvalid,
        Self::Orphaned,
        Self::MoreOrphans,
        Self::CallsUnknown,
        Self::Phase,
        Self::Start,
        Self::Progress,
        Self::CallFailed,
        Self::Adjusted,
        Self::Pace,
        Self::Rested,
        Self::Parked,
        Self::Recovered,
        Self::Drained,
        Self::Waiting,
        Self::Stopping,
        Self::Steered,
        Self::Summary,
        Self::Report,
        Self::End,
    ];

    /// Returns the name in the field `event`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Message => "message",
            Self::Caution => "caution",
            Self::Error => "error",
            Self::Hint => "hint",
            Self::JournalRead => "journal_read",
            Self::IndexRebuilt => "index_rebuilt",
            Self::TailCut => "tail_cut",
            Self::SegmentDamaged => "segment_damaged",
            Self::ReadingJournalOnly => "reading_journal_only",
            Self::RowInvalid => "row_invalid",
            Self::MoreRowsInvalid => "more_rows_invalid",
            Self::Orphaned => "orphaned",
            Self::MoreOrphans => "more_orphans",
            Self::CallsUnknown => "calls_unknown",
            Self::Phase => "phase",
            Self::Start => "start",
            Self::Progress => "progress",
            Self::CallFailed => "call_failed",
            Self::Adjusted => "adjusted",
            Self::Pace => "pace",
            Self::Rested => "rested",
            Self::Parked => "parked",
            Self::Recovered => "recovered",
            Self::Drained => "drained",
            Self::Waiting => "waiting",
            Self::Stopping => "stopping",
            Self::Steered => "steered",
            Self::Summary => "summary",
            Self::Report => "report",
            Self::End => "end",
        }
    }
}

/// Returns an event of a job with its fields; nothing for one that a display counts.
pub fn event_json(event: &JobEvent) -> Option<(EventKind, Value)> {
    Some(match event {
        JobEvent::JournalRead { store, percent } => {
            (EventKind::JournalRead, json!({"store": store.to_string_lossy(), "percent": percent}))
        }
        JobEvent::IndexRebuilt { store, reason } => {
            (EventKind::IndexRebuilt, json!({"store": store.to_string_lossy(), "reason": reason}))
        }
        JobEvent::TailCut { segment, bytes } => {
            (EventKind::TailCut, json!({"segment": segment.to_string_lossy(), "bytes": bytes}))
        }
        JobEvent::SegmentDamaged { segment, bytes } => {
            let (from, to) = (bytes.start, bytes.end);
            (EventKind::SegmentDamaged, json!({"segment": segment.to_string_lossy(), "from": from, "to": to}))
        }
        JobEvent::ReadingJournalOnly { reason } => (EventKind::ReadingJournalOnly, json!({"reason": reason})),
        JobEvent::RowInvalid(InvalidRow { source, line, reason }) => {
            (EventKind::RowInvalid, json!({"source": source, "line": line, "reason": reason}))
        }
        JobEvent::MoreRowsInvalid { count } => (EventKind::MoreRowsInvalid, json!({"count": count})),
        JobEvent::Orphaned(Orphan { conversation, slot, fingerprint }) => {
            let fields = json!({
                "conversation": conversation.to_string(), "turn": slot.turn + 1, "fingerprint": fingerprint.to_string(),
            });
            (EventKind::Orphaned, fields)
        }
        JobEvent::MoreOrphans { count } => (EventKind::MoreOrphans, json!({"count": count})),
        JobEvent::CallsUnknown { calls, cost_max } => {
            (EventKind::CallsUnknown, json!({"calls": calls, "cost_max": cost_max}))
        }
        JobEvent::Caution(text) => (EventKind::Caution, json!({"text": text})),
        JobEvent::Steered { verb, detail, outcome, is_refused } => {
            let fields = json!({"verb": verb, "detail": detail, "outcome": outcome, "refused": is_refused});
            (EventKind::Steered, fields)
        }
        JobEvent::DirectoryRead(note) => (EventKind::Message, json!({"text": note.to_string()})),
        JobEvent::PartDone(text) => (EventKind::Message, json!({"text": text})),
        JobEvent::Phase(Phase { name, done, total, unit }) => {
            (EventKind::Phase, json!({"name": name, "done": done, "total": total, "unit": unit}))
        }
        JobEvent::RunStarted(start) => (EventKind::Start, start.header.json(&start.tally)),
        JobEvent::Run(event) => return run_event_json(event),
        JobEvent::PhaseEnded | JobEvent::Stored(_) | JobEvent::RunEnded => return None,
    })
}

fn run_event_json(event: &Event) -> Option<(EventKind, Value)> {
    let (kind, mut fields) = match event {
        Event::Failed { code, message, again_after, .. } => {
            let fields = json!({"code": code, "message": message, "retry_s": again_after.map(seconds)});
            (EventKind::CallFailed, fields)
        }
        Event::Adjusted { model, adjustment } => {
            (EventKind::Adjusted, json!({"model": model, "adjustment": adjustment.to_string()}))
        }
        Event::Pace { model, change } => {
            (EventKind::Pace, json!({"model": model, "from": change.from, "to": change.to, "reason": change.reason}))
        }
        Event::Rested { model, wait } => (EventKind::Rested, json!({"model": model, "wait_s": seconds(*wait)})),
        Event::Parked { model, message, next_try } => {
            (EventKind::Parked, json!({"model": model, "message": message, "next_try_s": seconds(*next_try)}))
        }
        Event::Recovered { model } => (EventKind::Recovered, json!({"model": model})),
        Event::Drained { model, reason } => (EventKind::Drained, json!({"model": model, "reason": reason})),
        Event::Waiting(Some(Wait { model, cause, time })) => {
            let fields = json!({"model": model, "cause": cause_name(*cause), "next_try_s": time.map(seconds)});
            (EventKind::Waiting, fields)
        }
        Event::Stopping { reason, in_flight } => {
            (EventKind::Stopping, json!({"reason": reason, "in_flight": in_flight}))
        }
        _ => return None,
    };
    fields["text"] = run_line(event)?.text.into();
    Some((kind, fields))
}

fn cause_name(cause: WaitCause) -> &'static str {
    match cause {
        WaitCause::Outage => "outage",
        WaitCause::RateLimit => "rate_limit",
        WaitCause::Pace => "pace",
        WaitCause::Retry => "retry",
    }
}

fn seconds(time: Duration) -> f64 {
    time.as_secs_f64()
}
