"""The step for distilabel, in pipelines of the real package; skipped where distilabel is not installed."""

from __future__ import annotations

import json
import os
import re
import signal
import time
import urllib.request
from pathlib import Path
from subprocess import Popen
from typing import Any, Callable

import pytest

import cohobate
from support import conversations, processes_of, program, server

# Importing distilabel takes seconds, so only where it is there.
pytest.importorskip("distilabel")

PIPELINE = """
import sys
from cohobate.integrations.distilabel import Distill
from distilabel.pipeline import Pipeline
from distilabel.steps import KeepColumns, LoadDataFromDicts
from support import conversations

rows = [{{"conversation": row["messages"], "topic": row["id"]}} for row in conversations({rows}, 2)]
{change}
with Pipeline(name="swapped", cache_dir="cache") as pipeline:
    load = LoadDataFromDicts(data=rows, batch_size=25)
    distill = Distill(name="distill", teacher={teacher!r}, {options})
    load >> distill >> KeepColumns(columns=["topic", {column!r}, "model_name", "distilabel_metadata"])
made = pipeline.run(use_cache=False)
made.save_to_disk("made")
"""


def pipeline(place: Path, teacher: str, rows: int = 100, change: str = "", options: str = "", column: str = "conversation") -> Popen[str]:
    """Starts a pipeline that has one step of this package, in a process group of its own."""
    text = PIPELINE.format(teacher=teacher, rows=rows, change=change, options=options, column=column)
    return program(text, place)


def ended(started: Popen[str]) -> str:
    """Returns what a pipeline said that ended well."""
    said = "".join(started.communicate(timeout=240))
    assert started.returncode == 0, said
    return said


def written() -> list[dict[str, Any]]:
    import datasets

    rows: Any = datasets.load_from_disk("made/default/train")
    return list(rows)


def requests(teacher: str) -> int:
    address = teacher.split("@")[1].removesuffix("/v1")
    with urllib.request.urlopen(f"{address}/stats") as reply:
        return int(json.load(reply)["requests"])


def test_a_step_is_swapped_and_rows_that_fail_say_why(place: Path) -> None:
    change = """
rows[60]["conversation"] = None
rows[61]["conversation"] = [{"role": "assistant", "content": "nobody asks"}]
for row in rows:
    row["distilabel_metadata"] = {"earlier": "kept"}
"""
    ended(pipeline(place, "simulated", change=change))
    rows = written()
    assert [row["topic"] for row in rows] == [f"r{number}" for number in range(100)]
    assert {row["model_name"] for row in rows} == {"simulated"}
    expected = list(cohobate.distill(conversations(100, 2), teacher="simulated", output="plain.jsonl").rows())
    for number, (row, plain) in enumerate(zip(rows, expected)):
        metadata = row["distilabel_metadata"]
        assert metadata["earlier"] == "kept"
        if number in (60, 61):
            assert row["conversation"] is None
            assert metadata["incomplete_distill"] == ("no conversation" if number == 60 else "no_user")
            continue
        assert [(each["role"], each["content"]) for each in row["conversation"]] == [
            (each["role"], each["content"]) for each in plain["messages"]
        ]
        assert metadata["incomplete_distill"] == ""
        assert metadata["statistics_distill"]["output_tokens"] > 0
        assert metadata["raw_input_distill"][1]["content"] == "old"


def test_another_column_and_what_distilabel_saved_is_read(place: Path) -> None:
    change = "rows = [{'messages': row['conversation'], 'topic': row['topic']} for row in rows]"
    ended(pipeline(place, "simulated", rows=30, change=change, options="column='messages'", column="messages"))
    before = [[message["content"] for message in row["messages"]] for row in written()]
    for path in ("made", "made/default", *shards()):
        run = cohobate.distill(path, teacher="simulated", output="again.jsonl", store="another")
        assert [[message["content"] for message in row["messages"]] for row in run.rows()] == before


def shards() -> list[str]:
    """Returns the directories in which distilabel keeps the rows of the last step as Parquet."""
    return sorted({f"{path.parent}" for path in Path("cache").glob("**/steps_outputs/**/*.parquet")})


@pytest.mark.parametrize("whom", ["everything", "the program alone"])
def test_a_killed_pipeline_asks_nothing_again(place: Path, whom: str) -> None:
    with server(100) as teacher:
        options = "options={'concurrency': 4}"
        started = pipeline(place, teacher, options=options)
        until(lambda: requests(teacher) > 60)
        os.killpg(started.pid, signal.SIGKILL) if whom == "everything" else started.kill()
        started.wait()
        # The step stops the command: nothing is asked on behalf of a pipeline that is gone.
        until(lambda: not commands(place))
        if whom != "everything":
            # What distilabel leaves behind is not ours.
            os.killpg(started.pid, signal.SIGKILL)
        before = requests(teacher)
        assert before < 200
        said = ended(pipeline(place, teacher, options=options))
        assert "of them reused" in re.sub(r"\s+", " ", said)
        assert [row["conversation"][3]["role"] for row in written()] == ["assistant"] * 100
        # At most what was in flight at the kill is asked again.
        assert 200 <= requests(teacher) <= 204


def test_ctrl_c_stops_cleanly_and_the_pipeline_ends(place: Path) -> None:
    with server(100) as teacher:
        options = "options={'concurrency': 4}"
        started = pipeline(place, teacher, options=options)
        until(lambda: requests(teacher) > 60)
        # A terminal sends it to every process of the pipeline.
        os.killpg(started.pid, signal.SIGINT)
        said = re.sub(r"\s+", " ", "".join(started.communicate(timeout=120)))
        assert "stopped" in said
        until(lambda: not commands(place))
        assert requests(teacher) < 200
        ended(pipeline(place, teacher, options=options))
        assert requests(teacher) == 200, "a clean stop loses no answer"
        assert all(row["conversation"] for row in written())


def test_an_option_of_the_step_itself_is_refused_before_anything_starts(place: Path) -> None:
    started = pipeline(place, "simulated", options="options={'output': 'x.jsonl'}")
    said = re.sub(r"\s+", " ", "".join(started.communicate(timeout=120)))
    assert started.returncode != 0
    assert "Distill takes no option `output`" in said
    assert not Path(".cohobate").exists()


def commands(place: Path) -> list[int]:
    """Returns the distillations at work in that place."""
    return [number for number in processes_of(place) if b"distill\0--progress" in _line_of(number)]


def _line_of(number: int) -> bytes:
    try:
        return Path(f"/proc/{number}/cmdline").read_bytes()
    except OSError:
        return b""


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)
