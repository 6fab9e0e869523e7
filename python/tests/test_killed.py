"""Whatever ends the program, no process is left, no answer is lost, and the same call resumes."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from subprocess import Popen
from typing import Callable

import cohobate
from support import conversations, processes_of, program, server

WORK = """
import cohobate
from support import conversations
run = cohobate.distill(conversations(60, 4), teacher={teacher!r}, concurrency=8)
for event in run:
    if isinstance(event, cohobate.events.Progress) and event.answered > 20:
        print(event.answered, flush=True)
        break
{then}
"""


def begun(teacher: str, place: Path, then: str) -> Popen[str]:
    """Starts a distillation, and returns once it has answers."""
    started = program(WORK.format(teacher=teacher, then=then), place)
    assert started.stdout is not None
    assert int(started.stdout.readline()) > 20
    return started


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def resumed(teacher: str) -> None:
    run = cohobate.distill(conversations(60, 4), teacher=teacher)
    assert len(list(run.rows())) == 60
    assert run.summary is not None
    assert run.summary.reused > 20
    assert run.summary.reused + run.summary.answered == 240


def is_tidy(place: Path) -> bool:
    """Returns whether no process and no spooled row is left; this process is in the place too."""
    return processes_of(place) == [os.getpid()] and not list(place.glob("cohobate-*"))


def test_killing_the_program_stops_the_command_and_the_next_call_resumes(place: Path) -> None:
    with server(50) as teacher:
        started = begun(teacher, place, "run.wait()")
        started.kill()
        started.wait()
        # The server is in this place as well.
        until(lambda: len(processes_of(place)) == 2 and not list(place.glob("cohobate-*")))
        resumed(teacher)


def test_a_fork_that_outlives_the_program_keeps_no_command_alive(place: Path) -> None:
    with server(50) as teacher:
        fork = "import os, time; forked = os.fork(); forked or time.sleep(600); print(forked, flush=True); run.wait()"
        started = begun(teacher, place, fork)
        assert started.stdout is not None
        forked = int(started.stdout.readline())
        started.kill()
        started.wait()
        until(lambda: len(processes_of(place)) == 3)
        os.kill(forked, signal.SIGKILL)


def test_killing_program_and_command_loses_no_answer(place: Path) -> None:
    with server(50) as teacher:
        started = begun(teacher, place, "print(run._execution.process.pid, flush=True); run.wait()")
        assert started.stdout is not None
        command = int(started.stdout.readline())
        os.kill(started.pid, signal.SIGKILL)
        os.kill(command, signal.SIGKILL)
        started.wait()
        until(lambda: len(processes_of(place)) == 2)
        resumed(teacher)


def test_killing_the_command_alone_is_an_error_with_a_hint(place: Path) -> None:
    with server(50) as teacher:
        run = cohobate.distill(conversations(60, 4), teacher=teacher, concurrency=8)
        until(lambda: run.progress is not None and run.progress.answered > 20)
        os.kill(run._execution.process.pid, signal.SIGKILL)
        try:
            run.wait()
        except cohobate.Killed as error:
            assert error.exit_code == run.exit_code == 137
            assert error.hint is not None and "same call" in error.hint
        else:
            raise AssertionError("no error")
        resumed(teacher)


def test_one_interrupt_stops_cleanly_and_the_next_call_resumes(place: Path) -> None:
    with server(50) as teacher:
        started = begun(teacher, place, "print('waits', flush=True); run.wait(show=True)")
        assert started.stdout is not None
        started.stdout.readline()
        time.sleep(0.3)
        started.send_signal(signal.SIGINT)
        said = started.communicate()[1]
        assert "KeyboardInterrupt" in said
        assert "a second Ctrl-C" in said
        until(lambda: len(processes_of(place)) == 2 and not list(place.glob("cohobate-*")))
        resumed(teacher)


def test_a_program_that_ends_takes_its_command_with_it(place: Path) -> None:
    with server(50) as teacher:
        started = begun(teacher, place, "")
        started.communicate()
        assert len(processes_of(place)) == 2
        resumed(teacher)
    assert is_tidy(place)
