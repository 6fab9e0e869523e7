"""The events of a run, as classes. Made by `python/generate.py` from `docs/events.schema.json`; do not edit.

`docs/events.md` says what each field means; `parsing.event_of` reads one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True)
class Event:
    """What every event has."""

    time: str
    """UTC, RFC 3339 with milliseconds."""


@dataclass(frozen=True)
class Unknown(Event):
    """An event of a kind, or with fields, that this version of the package does not know."""

    event: str
    fields: dict[str, Any]


@dataclass(frozen=True)
class StartModel:
    """A part of an event: `StartModel`."""

    role: str
    model: str
    addresses: list[str]


@dataclass(frozen=True)
class ProgressWaiting:
    """A part of an event: `ProgressWaiting`."""

    reason: str
    next_try_s: float | None


@dataclass(frozen=True)
class SummaryOutput:
    """A part of an event: `SummaryOutput`."""

    path: str
    rows: int


@dataclass(frozen=True)
class SummaryListed:
    """A part of an event: `SummaryListed`."""

    path: str
    rows: int


@dataclass(frozen=True)
class SummaryBound:
    """A part of an event: `SummaryBound`."""

    bound_s: float
    busy_s: float
    slots: float
    longest_chain_s: float
    asking_s: float


@dataclass(frozen=True)
class Message(Event):
    """A line for people."""

    text: str
    """The line for people."""


@dataclass(frozen=True)
class Caution(Event):
    """What the user should know before trusting the result."""

    text: str
    """The line for people."""


@dataclass(frozen=True)
class Error(Event):
    """Why the command, or a model, failed."""

    text: str
    hint: str | None
    """What to do next."""


@dataclass(frozen=True)
class Hint(Event):
    """What to do next."""

    text: str
    """The line for people."""


@dataclass(frozen=True)
class JournalRead(Event):
    """A store without a usable index is being read from its journal."""

    store: str
    percent: int


@dataclass(frozen=True)
class IndexRebuilt(Event):
    """The index was rebuilt from the journal."""

    store: str
    reason: str


@dataclass(frozen=True)
class TailCut(Event):
    """The end of the journal held an unfinished write, which was cut off."""

    segment: str
    bytes: int


@dataclass(frozen=True)
class SegmentDamaged(Event):
    """A part of the journal is damaged; the answers in it are requested again."""

    segment: str
    from_: int
    to: int


@dataclass(frozen=True)
class ReadingJournalOnly(Event):
    """The store cannot be opened for writing; the committed answers are read from its journal."""

    reason: str


@dataclass(frozen=True)
class RowInvalid(Event):
    """A row of the input is invalid."""

    source: str
    line: int
    """From 1."""
    reason: str


@dataclass(frozen=True)
class MoreRowsInvalid(Event):
    """Further invalid rows that are not reported one by one."""

    count: int


@dataclass(frozen=True)
class Orphaned(Event):
    """An answer was built on one that is not used after a merge."""

    conversation: str
    turn: int
    fingerprint: str


@dataclass(frozen=True)
class MoreOrphans(Event):
    """Further such answers that are not reported one by one."""

    count: int


@dataclass(frozen=True)
class CallsUnknown(Event):
    """The run before was killed with requests in flight."""

    calls: int
    cost_max: float | None
    """Dollars."""


@dataclass(frozen=True)
class Phase(Event):
    """How far a pass over the rows is; once a second."""

    name: str
    done: int
    total: int | None
    unit: Literal["byte", "row", "answer"]


@dataclass(frozen=True)
class Start(Event):
    """A run is about to send its first call."""

    models: list[StartModel]
    rows: int
    shard: str | None
    """The shard whose rows are asked about, such as 3/16."""
    conversations: int
    unit: Literal["turn", "answer", "mark"]
    total: int
    reused: int
    reused_is_exact: bool
    caps: list[str]
    output: str
    rules: str | None
    controls: str | None


@dataclass(frozen=True)
class Progress(Event):
    """How far a run is; once a second and at its end."""

    unit: Literal["turn", "answer", "mark"]
    done: int
    total: int
    reused: int
    reused_is_exact: bool
    shared: int
    answered: int
    conversations_done: int
    conversations: int
    in_flight: int
    in_flight_max: int
    per_second: float
    tokens_per_second: float
    prompt_tokens: int | None
    completion_tokens: int | None
    cost: float | None
    cost_at_end: float | None
    failures: dict[str, int]
    rejected: int
    waiting: ProgressWaiting | None
    elapsed_s: float
    eta_s: float | None


@dataclass(frozen=True)
class CallFailed(Event):
    """A call failed; with --verbose."""

    code: str
    message: str
    retry_s: float | None
    """Null if it is not sent again."""
    text: str
    """The line for people."""


@dataclass(frozen=True)
class Adjusted(Event):
    """Requests are written differently because a server refused them."""

    model: str
    adjustment: str
    text: str
    """The line for people."""


@dataclass(frozen=True)
class Pace(Event):
    """A model's limit on calls in flight changed; with --verbose."""

    model: str
    from_: int
    to: int
    reason: str
    text: str
    """The line for people."""


@dataclass(frozen=True)
class Rested(Event):
    """A server asked for a pause."""

    model: str
    wait_s: float
    text: str
    """The line for people."""


@dataclass(frozen=True)
class Parked(Event):
    """A server is down; only probes are sent."""

    model: str
    message: str
    next_try_s: float
    text: str
    """The line for people."""


@dataclass(frozen=True)
class Recovered(Event):
    """A server answers again."""

    model: str
    text: str
    """The line for people."""


@dataclass(frozen=True)
class Drained(Event):
    """A replica gets no new calls for a while."""

    model: str
    reason: str
    text: str
    """The line for people."""


@dataclass(frozen=True)
class Waiting(Event):
    """What the next call waits for, while none is in flight."""

    model: str
    cause: Literal["outage", "rate_limit", "pace", "retry"]
    next_try_s: float | None
    """Null while one is made."""
    text: str
    """The line for people."""


@dataclass(frozen=True)
class Stopping(Event):
    """The run is stopping; calls in flight may finish."""

    reason: str
    in_flight: int
    text: str
    """The line for people."""


@dataclass(frozen=True)
class Steered(Event):
    """Somebody has steered the run, or tried to."""

    verb: str
    """What was asked for, such as `set`."""
    detail: str
    """Its values, such as `concurrency=4`."""
    outcome: str
    """What came of it, or why it was refused."""
    refused: bool


@dataclass(frozen=True)
class Summary(Event):
    """The end of a distillation; --report writes the same fields."""

    ended: Literal["done", "stopped"]
    exit_code: int
    shard: str | None
    """The shard whose rows are asked about, such as 3/16."""
    elapsed_s: float
    conversations: int
    turns: int
    reused: int
    reused_is_exact: bool
    answered: int
    shared: int
    damaged: int
    flex: int | None
    prompt_tokens: int | None
    cached_tokens: int | None
    cache_write_tokens: int | None
    completion_tokens: int | None
    cost: float | None
    models: dict[str, dict[str, int]]
    history_cut: int
    failures: dict[str, int]
    adjusted: list[str]
    incomplete: int
    reasons: dict[str, int]
    quality: dict[str, Any] | None
    findings: str | None
    """Where all that the gate found is listed; null where it found nothing."""
    left_out: dict[str, int]
    changed: dict[str, int]
    input_changes: list[str]
    output: SummaryOutput | None
    listed: SummaryListed | None
    unstable: int | None
    """Conversations with a row for each answer, because their token ids are not prefix-stable; null for formats without token ids."""
    unusable: str | None
    hint: str | None
    efficiency: float | None
    bound: SummaryBound | None
    cpu_s: float | None
    memory_peak_bytes: int | None


@dataclass(frozen=True)
class Report(Event):
    """The report of evaluate, compare, simulate, tutor or filter, as its file holds it; or that of merge."""

    report: dict[str, Any]
    shard: str | None
    """The shard whose rows are asked about, such as 3/16."""


@dataclass(frozen=True)
class End(Event):
    """The command is over; always the last line."""

    exit_code: int


KINDS: dict[str, type[Event]] = {
    "message": Message,
    "caution": Caution,
    "error": Error,
    "hint": Hint,
    "journal_read": JournalRead,
    "index_rebuilt": IndexRebuilt,
    "tail_cut": TailCut,
    "segment_damaged": SegmentDamaged,
    "reading_journal_only": ReadingJournalOnly,
    "row_invalid": RowInvalid,
    "more_rows_invalid": MoreRowsInvalid,
    "orphaned": Orphaned,
    "more_orphans": MoreOrphans,
    "calls_unknown": CallsUnknown,
    "phase": Phase,
    "start": Start,
    "progress": Progress,
    "call_failed": CallFailed,
    "adjusted": Adjusted,
    "pace": Pace,
    "rested": Rested,
    "parked": Parked,
    "recovered": Recovered,
    "drained": Drained,
    "waiting": Waiting,
    "stopping": Stopping,
    "steered": Steered,
    "summary": Summary,
    "report": Report,
    "end": End,
}
