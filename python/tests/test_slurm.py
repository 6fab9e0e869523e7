"""The example for Slurm, run by a Slurm of one node."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from one_node_slurm import Slurm, Unavailable, one_node
from support import asked, conversations, server, until
from test_examples import EXAMPLES, INPUT, commands, run, stand_in

TASKS = 3


@pytest.fixture(scope="module")
def slurm() -> Iterator[Slurm]:
    try:
        with one_node() as cluster:
            yield cluster
    except Unavailable as reason:
        pytest.skip(f"{reason}")


def submit(slurm: Slurm, place: Path, first: int, **variables: str) -> str:
    """Submits the example with a smaller array and returns the number of the job."""
    line = ["sbatch", "--parsable", "--export=ALL", f"--chdir={place}", f"--array={first}-{first + TASKS - 1}"]
    path = os.pathsep.join([commands(place), os.environ["PATH"]])
    return slurm.run(*line, f"{EXAMPLES / 'slurm/array.sbatch'}", PATH=path, **variables).strip()


def logs(place: Path) -> str:
    return "".join(path.read_text(errors="replace") for path in sorted(place.glob("cohobate-*.log")))


def merged(place: Path, input: str, teacher: str) -> bytes:
    done = run(place, [f"{EXAMPLES / 'slurm/merge.sh'}", "all.jsonl"], INPUT=input, TEACHER=teacher)
    assert "the store is sound" in done.stdout
    return (place / "all.jsonl").read_bytes()


def on_one_machine(place: Path, input: str, teacher: str) -> bytes:
    run(place, ["cohobate", "distill", input, "--teacher", teacher, "-o", "whole.jsonl", "--store", "whole"])
    return (place / "whole.jsonl").read_bytes()


def test_an_array_writes_what_one_machine_writes(slurm: Slurm, place: Path) -> None:
    job = submit(slurm, place, 1, INPUT=INPUT, TEACHER="simulated")
    slurm.finish(job)
    for task in range(1, TASKS + 1):
        known = slurm.task(job, task)
        assert (known["JobState"], known["ExitCode"], known["Restarts"]) == ("COMPLETED", "0:0", "0"), logs(place)
    assert merged(place, INPUT, "simulated") == on_one_machine(place, INPUT, "simulated")


def test_a_task_that_is_signalled_queues_itself_again_and_resumes(slurm: Slurm, place: Path) -> None:
    rows, turns = 12, 10
    (place / "mine.jsonl").write_text("".join(json.dumps(row) + "\n" for row in conversations(rows, turns)))
    # The run waits for its own server until the teacher replies; one server for all tasks counts what is asked.
    stand_in(place, "vllm", "exec sleep 600")
    with server(400) as teacher:
        job = submit(slurm, place, 1, INPUT="mine.jsonl", TEACHER=teacher, NO_PROXY="127.0.0.1")
        begun = place / ".cohobate" / "shard-02-of-03"
        until(lambda: begun.exists() and asked(teacher) > rows, "the tasks do not begin")
        # As Slurm does before the time limit: `--signal=B:USR1@600`.
        slurm.run("scancel", "--batch", "--signal=USR1", f"{job}_2")
        slurm.finish(job)
        tasks = [slurm.task(job, task) for task in range(1, TASKS + 1)]
        assert [(known["JobState"], known["ExitCode"]) for known in tasks] == [("COMPLETED", "0:0")] * TASKS, logs(place)
        assert [known["Restarts"] for known in tasks] == ["0", "1", "0"], logs(place)
        assert asked(teacher) == rows * turns, "nothing is asked twice"
        output = merged(place, "mine.jsonl", teacher)
        assert asked(teacher) == rows * turns, "merging asks nothing"
        assert output.count(b"\n") == rows
        assert output == on_one_machine(place, "mine.jsonl", teacher)
