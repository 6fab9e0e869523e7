"""Options and rows: what they become, and what is refused before anything starts."""

from __future__ import annotations

import datetime
import json
import os
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import cohobate
from cohobate import binary, flags
from cohobate.spool import Spool
from support import conversations, row


def test_options_become_flags() -> None:
    options = {
        "keep_partial": True,
        "retry_failed": False,
        "seed": None,
        "max_tokens": 20,
        "temperature": 0.5,
        "report": Path("a b.json"),
        "body": {"top_k": 20},
        "thinking": False,
        "stream": False,
        "metrics": True,
    }
    written = ["--keep-partial", "--max-tokens=20", "--temperature=0.5", "--report=a b.json", '--body={"top_k": 20}']
    assert flags.arguments("distill", options) == [*written, "--thinking=off", "--stream=false", "--metrics"]
    assert flags.arguments("compare", {"answers": ("a", Path("b")), "system": ["x=y", "z=w"]}) == [
        *("--answers", "a", "b"),
        *("--system=x=y", "--system=z=w"),
    ]
    assert flags.arguments("tutor", {"student": ["a", "b"]}) == ["--student=a", "--student=b"]


@pytest.mark.parametrize(
    ("options", "text", "hint"),
    [
        ({"teachr": "m"}, "no option `teachr`", "write teacher"),
        ({"max_token": 3}, "no option `max_token`", "write max_tokens"),
        ({"api_key": "sk-hidden"}, "no option `api_key`", "environment"),
        ({"progress": "json"}, "no option `progress`", "iterate"),
        ({"keep_partial": "yes"}, "is a flag", "keep_partial=True"),
        ({"temperature": object()}, "cannot be a object", "--help"),
        ({"output": "-"}, "standard output", "name a file"),
    ],
)
def test_a_wrong_option_is_refused_with_a_hint(place: Path, options: dict[str, Any], text: str, hint: str) -> None:
    with pytest.raises(cohobate.OptionError) as caught:
        cohobate.distill(conversations(1), **options)
    assert text in caught.value.text and hint in str(caught.value.hint)
    assert "sk-hidden" not in str(caught.value) and "sk-hidden" not in repr(caught.value)
    assert isinstance(caught.value, TypeError) and list((place / "temporary").iterdir()) == []


def test_a_key_reaches_the_command_through_the_environment_alone(monkeypatch: pytest.MonkeyPatch, place: Path) -> None:
    monkeypatch.setenv("COHOBATE_API_KEY", "sk-very-hidden")
    run = cohobate.distill(conversations(2), teacher="m@http://127.0.0.1:1/v1", give_up_after="1s")
    with pytest.raises(cohobate.Stopped) as caught:
        run.wait()
    assert "sk-very-hidden" not in str(caught.value) + repr(run) + repr(list(run))
    files = [path for path in place.rglob("*") if path.is_file()]
    assert files and all(b"sk-very-hidden" not in path.read_bytes() for path in files)


@pytest.mark.parametrize("rows", [{"messages": []}, 5, [1], [["a"]], b"rows"])
def test_rows_of_another_type_are_refused(rows: Any) -> None:
    with pytest.raises(cohobate.RowsError):
        cohobate.distill(rows, teacher="simulated")


def test_values_of_other_libraries_are_written_as_json(place: Path) -> None:
    class Number:
        def tolist(self) -> list[int]:
            return [1, 2]

    odd = {"id": "é\ud800", "at": datetime.date(2026, 1, 2), "n": Number(), "gone": float("nan"), "path": Path("x")}
    spool = Spool([odd])
    read = json.loads(Path(spool.inputs[0]).read_bytes())
    assert read == {"id": "é\ud800", "at": "2026-01-02", "n": [1, 2], "gone": None, "path": "x"}
    assert os.stat(spool.inputs[0]).st_mode & 0o077 == 0 or os.stat(os.path.dirname(spool.inputs[0])).st_mode & 0o077 == 0
    spool.remove()
    with pytest.raises(cohobate.RowsError, match="object"):
        Spool([{"a": object()}])
    assert list((place / "temporary").iterdir()) == []


def test_a_failing_iterable_leaves_nothing(place: Path) -> None:
    def rows() -> Iterator[dict[str, Any]]:
        yield row(1)
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        cohobate.distill(rows(), teacher="simulated")
    assert list((place / "temporary").iterdir()) == []


def test_rows_of_a_generator_are_not_held() -> None:
    tracemalloc.start()
    spool = Spool(row(number) for number in range(20_000))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    spool.remove()
    assert peak < 4_000_000


def test_several_paths_are_several_inputs(place: Path) -> None:
    for name in ("a.jsonl", "b.jsonl"):
        (place / name).write_text(json.dumps(row(ord(name[0]))) + "\n")
    assert len(list(cohobate.distill([place / "a.jsonl", place / "b.jsonl"], teacher="simulated").rows())) == 2


def test_a_command_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COHOBATE_BIN", "/nowhere/cohobate")
    with pytest.raises(cohobate.CommandNotFound, match="/nowhere/cohobate"):
        binary.find()
