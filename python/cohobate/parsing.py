"""From a line of `--progress json` to an event."""

from __future__ import annotations

import dataclasses
import json
from typing import Any, Optional

from . import events
from .events import KINDS, Event, Unknown

# Fields that are objects of their own.
PARTS: dict[tuple[type[Event], str], type[Any]] = {
    (events.Progress, "waiting"): events.ProgressWaiting,
    (events.Summary, "output"): events.SummaryOutput,
    (events.Summary, "listed"): events.SummaryListed,
    (events.Summary, "bound"): events.SummaryBound,
}
NAMES: dict[type[Any], list[tuple[str, str]]] = {}


def event_of(line: bytes) -> Optional[Event]:
    """Returns the event in a line, or None where the line is not JSON.

    Fields that this version does not know are ignored. An event of an unknown kind, or without a field, is Unknown.
    """
    try:
        found = json.loads(line)
    except ValueError:
        return None
    if not isinstance(found, dict) or not isinstance(found.get("event"), str):
        return None
    kind = KINDS.get(found["event"])
    if kind is not None:
        try:
            return _event(kind, found)
        except (KeyError, TypeError):
            pass
    rest = {key: value for key, value in found.items() if key not in ("event", "time")}
    return Unknown(str(found.get("time", "")), found["event"], rest)


def _event(kind: type[Event], found: dict[str, Any]) -> Event:
    values = _known(kind, found)
    for name, value in values.items():
        part = PARTS.get((kind, name))
        if part is not None and value is not None:
            values[name] = part(**_known(part, value))
    if kind is events.Start:
        values["models"] = [events.StartModel(**_known(events.StartModel, each)) for each in values["models"]]
    return kind(**values)


def _known(kind: type[Any], found: dict[str, Any]) -> dict[str, Any]:
    """Returns the fields of a class; `from`, a word of Python, is called `from_`."""
    if kind not in NAMES:
        NAMES[kind] = [(field.name, field.name.rstrip("_")) for field in dataclasses.fields(kind)]
    return {name: found[key] for name, key in NAMES[kind]}
