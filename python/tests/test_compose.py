"""The command of the compose file, run outside containers: two workers and a PostgreSQL."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from one_database import PASSWORD, Unavailable, one_database
from support import asked, server, until
from test_examples import EXAMPLES, ROWS, commands, rows, run

SCRIPT = "compose/data/worker.sh"


@pytest.fixture
def store() -> Iterator[str]:
    try:
        with one_database() as address:
            yield address
    except Unavailable as reason:
        pytest.skip(f"{reason}")


class Workers:
    """Workers in one directory, as containers have it; each has an outbox of its own."""

    def __init__(self, place: Path, store: str, teacher: str) -> None:
        self.place = place
        self.started: list[subprocess.Popen[bytes]] = []
        shutil.copytree(EXAMPLES / "compose/data", place / "data")
        path = os.pathsep.join([commands(place), os.environ["PATH"]])
        self.variables = {**os.environ, "PATH": path, "STORE": store, "TEACHER": teacher, "PGPASSWORD": PASSWORD}

    def start(self, name: str) -> subprocess.Popen[bytes]:
        variables = {**self.variables, "OUTBOX": f"{self.place / name}"}
        line = ["sh", f"{self.place / 'data' / Path(SCRIPT).name}"]
        with (self.place / f"{name}.log").open("ab") as log:
            self.started.append(subprocess.Popen(line, env=variables, stdin=subprocess.DEVNULL, stdout=log, stderr=log))
        return self.started[-1]

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self.started:
            worker.kill()
            worker.wait()

    def logs(self) -> str:
        return "".join(path.read_text(errors="replace") for path in sorted(self.place.glob("*.log")))

    def output(self) -> bytes:
        return (self.place / "data/distilled.jsonl").read_bytes()


def on_one_machine(place: Path, teacher: str) -> bytes:
    input = f"{EXAMPLES / 'compose/data/conversations.jsonl'}"
    run(place, ["cohobate", "distill", input, "--teacher", teacher, "-o", "whole.jsonl", "--store", "whole"])
    return (place / "whole.jsonl").read_bytes()


def test_two_workers_write_what_one_machine_writes(store: str, place: Path) -> None:
    with server(200) as teacher:
        whole = on_one_machine(place, teacher)
        questions = asked(teacher)
        with Workers(place, store, teacher) as workers:
            both = [workers.start(name) for name in ("one", "two")]
            assert [worker.wait(240) for worker in both] == [0, 0], workers.logs()
            assert workers.output() == whole
        assert asked(teacher) == 2 * questions, "no question is asked twice"
    assert len(rows(place / "data/distilled.jsonl")) == ROWS


def test_a_worker_that_is_killed_is_started_again(store: str, place: Path) -> None:
    with server(400) as teacher:
        whole = on_one_machine(place, teacher)
        questions = asked(teacher)
        with Workers(place, store, teacher) as workers:
            one, two = workers.start("one"), workers.start("two")
            until(lambda: asked(teacher) > questions + 2, "the workers do not begin")
            one.kill()
            one.wait()
            # `restart: on-failure`: the same line, with the outbox that it had.
            again = workers.start("one")
            assert [again.wait(240), two.wait(240)] == [0, 0], workers.logs()
            assert workers.output() == whole
        # At most one question of each conversation was in flight.
        assert asked(teacher) <= 2 * questions + ROWS
