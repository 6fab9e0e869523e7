"""Events agree with the schema, options with the help of the command."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

from cohobate import binary, events
from cohobate.events import Unknown
from cohobate.parsing import event_of
from support import PACKAGE


def generator() -> dict[str, Any]:
    return runpy.run_path(str(PACKAGE / "generate.py"))


def written(name: str) -> str:
    return (PACKAGE / "cohobate" / name).read_text(encoding="utf-8")


def test_the_classes_of_events_are_those_of_the_schema() -> None:
    assert generator()["events"]() == written("events.py"), "run python/generate.py"


def test_the_options_are_those_of_the_help() -> None:
    types, kinds = generator()["options"](binary.find())
    assert types == written("options.py"), "run python/generate.py"
    assert kinds == written("kinds.py"), "run python/generate.py"


def test_an_event_that_this_version_does_not_know_is_kept_as_it_is() -> None:
    assert event_of(b'{"event":"new","time":"T","x":1}') == Unknown("T", "new", {"x": 1})
    assert event_of(b'{"event":"end","time":"T"}') == Unknown("T", "end", {})
    assert event_of(b'{"event":"end","time":"T","exit_code":0,"more":1}') == events.End("T", 0)
    assert event_of(b'{"event":"pace","time":"T","model":"m","from":1,"to":2,"reason":"r","text":"t"}') == events.Pace(
        "T", "m", 1, 2, "r", "t"
    )
    assert event_of(b"thread panicked") is None and event_of(b"[1]") is None


def test_the_marker_for_type_checkers_is_there() -> None:
    assert Path(PACKAGE / "cohobate" / "py.typed").exists()
