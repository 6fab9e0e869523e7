"""A plain line that shows how far a run is, in a notebook and on a terminal."""

from __future__ import annotations

import sys
import time
from typing import Optional

from .events import Caution, Event, Hint, Message, Phase, Progress, Stopping
from .log import EventLog

CELLS = 30
INTERVAL_S = 0.2


def follow(log: EventLog, show: Optional[bool]) -> None:
    """Returns once the log is closed; draws it until then."""
    if not is_shown(show):
        for _ in log:
            pass
        return
    width, drawn_at = 0, 0.0
    for event in log:
        line, is_lasting = line_of(event)
        now = time.monotonic()
        if not line or (not is_lasting and now - drawn_at < INTERVAL_S and not is_complete(event)):
            continue
        drawn_at = now
        # What was there before is overwritten with spaces.
        sys.stderr.write("\r" + line.ljust(width) + ("\n" if is_lasting else ""))
        sys.stderr.flush()
        width = 0 if is_lasting else len(line)
    if width:
        sys.stderr.write("\n")


def say(line: str, show: Optional[bool]) -> None:
    """Writes a line for people, where a bar is shown."""
    if is_shown(show):
        sys.stderr.write(f"\n{line}\n")
        sys.stderr.flush()


def is_shown(show: Optional[bool]) -> bool:
    """Returns whether somebody looks: in a notebook, or on a terminal."""
    if show is not None:
        return show
    return "ipykernel" in sys.modules or (sys.stderr is not None and sys.stderr.isatty())


def is_complete(event: Event) -> bool:
    return isinstance(event, Progress) and event.done == event.total


def line_of(event: Event) -> tuple[str, bool]:
    """Returns the line of an event, and whether it stays; an empty one for an event that is not shown."""
    if isinstance(event, Progress):
        return progress(event), False
    if isinstance(event, Phase):
        return f"{event.name}: {event.done:,} {event.unit}s", False
    if isinstance(event, Caution):
        return f"caution: {event.text}", True
    if isinstance(event, (Message, Stopping, Hint)):
        return event.text, True
    return "", False


def progress(event: Progress) -> str:
    """Returns the bar: share, units, calls in flight, cost and remaining time, as far as they are known."""
    share = min(1.0, event.done / event.total) if event.total else 1.0
    filled = int(share * CELLS)
    parts = [f"{event.done:,} of {event.total:,} {event.unit}s", f"{event.in_flight:,} in flight"]
    if event.cost is not None:
        parts.append(f"${event.cost:,.2f}")
    if event.waiting is not None:
        parts.append(f"waiting: {event.waiting.reason}")
    elif event.eta_s is not None and event.done < event.total:
        parts.append(f"{duration(event.eta_s)} left")
    return f"[{'#' * filled}{'-' * (CELLS - filled)}] {int(share * 100):3} %  " + ", ".join(parts)


def duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
