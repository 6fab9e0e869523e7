"""The first steps: rows in, rows out, and what a Run tells."""

from __future__ import annotations

import asyncio
import gc
import gzip
import json
import time
from pathlib import Path
from typing import Any

import pytest

import cohobate
from cohobate.events import End, Progress, Start, Summary
from support import conversations, server


def test_three_lines_distil_rows(place: Path) -> None:
    run = cohobate.distill(conversations(100), teacher="simulated")
    rows = list(run.rows())
    assert [row["id"] for row in rows] == [f"r{number}" for number in range(100)]
    assert all(row["messages"][1]["content"] != "old" for row in rows)
    assert (place / "distilled.jsonl").exists() and (place / ".cohobate").exists()
    assert run.exit_code == 0 and run.output == "distilled.jsonl"
    assert repr(run) == "<cohobate distill: ended with exit code 0, 100 of 100 turns>"


def test_events_are_typed_and_may_be_read_again_after_the_end(place: Path) -> None:
    run = cohobate.distill(conversations(5), teacher="simulated")
    for _ in range(2):
        kinds = [type(event) for event in run]
        assert kinds[0] is Start and kinds[-2:] == [Summary, End] and Progress in kinds
    assert run.start is not None and run.start.models[0].model == "simulated"
    assert run.progress is not None and run.progress.done == 5
    assert run.summary is not None and run.summary.output is not None and run.summary.output.rows == 5


def test_the_same_call_reuses_every_answer_wherever_the_rows_come_from(place: Path) -> None:
    rows = conversations(5)
    for row in rows:
        del row["id"]
    cohobate.distill(rows, teacher="simulated").wait()
    before = (place / "distilled.jsonl").read_bytes()
    again = cohobate.distill(iter(rows), teacher="simulated").wait()
    assert again.summary is not None and (again.summary.reused, again.summary.answered) == (5, 0)
    assert (place / "distilled.jsonl").read_bytes() == before
    (place / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    from_file = cohobate.distill(place / "rows.jsonl", teacher="simulated").wait()
    assert from_file.summary is not None and from_file.summary.reused == 5
    assert (place / "distilled.jsonl").read_bytes() == before


def test_spooled_rows_are_deleted_with_the_run(place: Path) -> None:
    run = cohobate.distill(conversations(3), teacher="simulated").wait()
    assert len(list((place / "temporary").glob("*/rows.jsonl"))) == 1
    assert run.conversation("r2")["turns"][0]["said"][0]["text"] == "question 2 0"
    del run
    assert list((place / "temporary").iterdir()) == []


def test_a_run_that_nobody_keeps_has_its_rows_until_it_ends(place: Path) -> None:
    with server(50) as teacher:
        cohobate.distill(conversations(20, 4), teacher=teacher, concurrency=4)
        gc.collect()
        assert len(list((place / "temporary").glob("*/rows.jsonl"))) == 1
        while not (place / "distilled.jsonl").exists() or list((place / "temporary").iterdir()):
            time.sleep(0.05)
    assert len((place / "distilled.jsonl").read_text().splitlines()) == 20


def test_attempts_are_every_answer_kept_or_not(place: Path) -> None:
    run = cohobate.distill(conversations(5, 2), teacher="simulated", samples=3, judge="simulated").wait()
    attempts = list(run.attempts())
    assert len(attempts) == 30 and {attempt.id for attempt in attempts} == {f"r{number}" for number in range(5)}
    kept = {(each.id, each.turn): each.text for each in attempts if each.fate == "kept"}
    written = {
        (row["id"], turn): row["messages"][2 * turn - 1]["content"] for row in run.rows() for turn in (1, 2)
    }
    assert kept == written
    rejected = [each for each in attempts if each.fate == "rejected"]
    assert len(rejected) == 20 and all(each.rule == "outscored" and each.score is not None for each in rejected)
    assert next(iter(run.attempts())).origin["model"] == "simulated"


def test_attempts_at_rows_that_are_gone_are_an_error(place: Path) -> None:
    (place / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in conversations(2)))
    run = cohobate.distill("rows.jsonl", teacher="simulated").wait()
    (place / "rows.jsonl").unlink()
    with pytest.raises(cohobate.UsageError, match="rows are not known"):
        list(run.attempts())


def test_a_conversation_that_is_not_there_is_an_error(place: Path) -> None:
    run = cohobate.distill(conversations(3), teacher="simulated").wait()
    with pytest.raises(cohobate.UsageError, match="no conversation is called"):
        run.conversation("r9")


def test_rows_that_are_not_whole_are_no_error(place: Path) -> None:
    broken: list[Any] = [*conversations(2), {"id": "bad", "messages": "none"}]
    run = cohobate.distill(broken, teacher="simulated").wait()
    assert run.exit_code == 3 and len(list(run.rows())) == 2
    assert any(isinstance(event, cohobate.events.RowInvalid) for event in run)


def test_a_failure_is_an_exception_with_hint_and_exit_code(place: Path) -> None:
    run = cohobate.distill("nothing.jsonl", teacher="simulated")
    for ends in (run.wait, run.rows, lambda: run.summary):
        with pytest.raises(cohobate.UsageError) as caught:
            ends()
        assert caught.value.exit_code == 2
        assert caught.value.hint == "name files that exist, or - for standard input"
        assert "nothing.jsonl" in caught.value.text


def test_a_mistake_in_the_configuration_is_an_exception_too(place: Path) -> None:
    (place / "cohobate.toml").write_text("temprature = 1\n")
    with pytest.raises(cohobate.UsageError, match="temprature"):
        cohobate.distill(conversations(1), teacher="simulated").wait()


def test_a_store_in_use_is_an_early_stop(place: Path) -> None:
    with server(200) as teacher, cohobate.distill(conversations(50, 4), teacher=teacher, concurrency=2) as first:
        next(event for event in first if isinstance(event, Progress))
        with pytest.raises(cohobate.Stopped) as caught:
            cohobate.distill(conversations(3), teacher=teacher).wait()
        assert caught.value.exit_code == 75 and caught.value.hint
    assert first.exit_code == 75


def test_async_for_and_await_work(place: Path) -> None:
    async def both() -> tuple[int, int]:
        run = cohobate.distill(conversations(20), teacher="simulated")
        kinds = [type(event) async for event in run]
        other = await cohobate.distill(conversations(20), teacher="simulated", store="other", output="other.jsonl")
        return kinds.index(Summary), len(list(other.rows()))

    found, count = asyncio.run(both())
    assert found > 0 and count == 20


def test_a_cancelled_await_stops_the_run(place: Path) -> None:
    async def cut() -> cohobate.Run:
        run = cohobate.distill(conversations(50, 4), teacher=teacher, concurrency=2)
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(run, 1)
        with pytest.raises(cohobate.Stopped):
            await run
        return run

    with server(200) as teacher:
        run = asyncio.run(cut())
    assert run.exit_code == 143


def test_a_program_may_change_its_directory(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = cohobate.distill(conversations(3), teacher="simulated")
    (place / "elsewhere").mkdir()
    monkeypatch.chdir(place / "elsewhere")
    assert len(list(run.rows())) == 3 and run.conversation("r1")["id"] == "r1"


def test_compressed_rows_are_read(place: Path) -> None:
    run = cohobate.distill(conversations(3), teacher="simulated", output="out/rows.jsonl.gz")
    assert len(list(run.rows())) == 3
    assert gzip.open(place / "out/rows.jsonl.gz").readline().startswith(b'{"id"')
