"""Pushes what a run has written to the Hub: at its end, and on the way what is finished so far."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
import threading
import time
import warnings
from typing import TYPE_CHECKING, Optional

from . import card, hub
from .errors import CohobateError, OptionError, PushError, Stopped
from .pushed import Pushed

if TYPE_CHECKING:
    from .call import Call
    from .execution import Execution

PARTIAL = "partial/"
SHARD = re.compile(r"data/train-\d{5}-of-\d{5}\.parquet")
UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}
# Somebody else may make a commit in between.
TRIES_MAX = 3


def seconds(text: object) -> float:
    """Returns the seconds of `10m`, `90s`, `2h`, or of a number of seconds. Raises OptionError for anything else."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smh])", text) if isinstance(text, str) else None
    number = float(found[1]) * UNITS[found[2]] if found else text
    if isinstance(number, bool) or not isinstance(number, (int, float)) or number < 1:
        raise OptionError(f"push_every cannot be {text!r}", 'write a time of at least a second, such as "10m"', 2)
    return float(number)


def push_shards(remote: hub.Remote, directory: str, message: Optional[str] = None) -> Optional[str]:
    """Pushes a directory of shards with its card, in one commit that also removes shards of another number and `partial/`.

    Returns the commit, or None where the Hub has all of it.
    """
    data = os.path.join(directory, "data")
    names = sorted(name for name in os.listdir(data) if name.endswith(".parquet")) if os.path.isdir(data) else []
    if not names:
        raise PushError(f"{directory} holds no shards", "let the output end in / for a directory of shards", 2)
    add: dict[str, hub.Content] = {f"data/{name}": os.path.join(data, name) for name in names}
    add["README.md"] = os.path.join(directory, "README.md")
    for tries in range(1, TRIES_MAX + 1):
        old = [path for path in remote.files if SHARD.fullmatch(path) and path not in add]
        try:
            count = "1 shard" if len(names) == 1 else f"{len(names):,} shards"
            return remote.commit(message or f"{count} by cohobate", add, [*old, PARTIAL])
        except PushError:
            before = remote.head
            remote.refresh()
            if tries == TRIES_MAX or remote.head == before:
                raise
    raise AssertionError("the loop returns or raises")


class Pusher:
    """Pushes a run's rows on a thread of its own, until the run has ended and all is pushed."""

    def __init__(self, call: Call, execution: Execution) -> None:
        assert call.push is not None
        self._call = call
        self._execution = execution
        self._target = call.push
        self.failure: Optional[CohobateError] = None
        self.commit: Optional[str] = None
        call.spool.retain()
        self._thread = threading.Thread(target=self._work, name="cohobate-push", daemon=True)
        self._thread.start()

    def wait(self) -> None:
        """Waits until everything is pushed."""
        self._thread.join()

    def raise_failure(self) -> None:
        """Raises why the last push failed, if it did."""
        if self.failure is not None:
            raise self.failure.with_traceback(None)

    def _work(self) -> None:
        try:
            self._until_the_end()
        except CohobateError as error:
            self.failure = error
        except Exception as error:
            self.failure = PushError(f"cannot push to {self._target.repository}: {error}", hub.AGAIN, 1)
        finally:
            self._call.spool.release()

    def _until_the_end(self) -> None:
        every = self._target.every_s
        ended = self._execution.process.has_ended
        while not ended.wait(every):
            self._push_partial()
        failure = self._execution.failure
        if failure is None:
            remote = hub.Remote(self._target.repository)
            remote.create(self._target.private)
            self.commit = push_shards(remote, self._target.directory)
            if os.path.exists(self._target.database):
                Pushed(self._target.database).remove()
        elif isinstance(failure, Stopped) and every is not None:
            self._push_partial()

    def _push_partial(self) -> None:
        """Pushes rows that are finished since the last time. A failure is told: the next time, or the end, makes up for it."""
        try:
            push_finished(self._call.export_line, self._call.directory, self._target, self._state())
        except CohobateError as error:
            warnings.warn(f"{error.text}; the run goes on", RuntimeWarning, stacklevel=2)

    def _state(self) -> str:
        progress = self._execution.progress
        if progress is None:
            return ""
        return f", {progress.done:,} of {progress.total:,} {progress.unit}s"


class Target:
    """Where a run is pushed to. `every_s` is None where only the end is pushed."""

    def __init__(self, repository: str, store: str, every_s: Optional[float], private: Optional[bool]) -> None:
        self.repository = repository
        self.every_s = every_s
        self.private = private
        place = os.path.join(store, "hub", repository.replace("/", "--"))
        self.directory = place + "/"
        self.database = place + ".pushed"


def push_finished(export_line: list[str], directory: str, target: Target, state: str) -> Optional[str]:
    """Pushes the rows that are finished since the last time, as a file in `partial/`, with a line about the progress in the
    card. Returns the commit, or None where no row is new.
    """
    os.makedirs(os.path.dirname(target.database), exist_ok=True)
    remote = hub.Remote(target.repository)
    remote.create(target.private)
    pushed = Pushed(target.database)
    try:
        there = [path[len(PARTIAL) :] for path in remote.files if path.startswith(PARTIAL)]
        delete = [] if pushed.settle(there) else [PARTIAL + name for name in there]
        with tempfile.TemporaryDirectory(prefix="cohobate-push-") as temporary:
            rows, new = os.path.join(temporary, "rows.jsonl"), os.path.join(temporary, "new.jsonl.gz")
            if not export(export_line, directory, rows):
                return None
            name = pushed.next_name()
            if pushed.take_new(rows, new, name) == 0:
                return None
            line = f"**Unfinished**: {pushed.row_count:,} rows{state}, {time.strftime('%Y-%m-%d %H:%M', time.gmtime())} UTC."
            has_rows = any(SHARD.fullmatch(path) for path in remote.files)
            text = card.with_progress(remote.text("README.md") or "", line, has_rows)
            add: dict[str, hub.Content] = {PARTIAL + name: new, "README.md": text.encode()}
            return remote.commit(f"{pushed.row_count:,} finished rows by cohobate", add, delete)
    finally:
        pushed.close()


def export(line: list[str], directory: str, path: str) -> bool:
    """Writes the rows that are finished into a file; returns whether there are any."""
    command = [*line[:2], f"--output={path}", *line[2:]]
    done = subprocess.run(
        command, cwd=directory, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        start_new_session=True,
    )  # fmt: skip
    if done.returncode not in (0, 3):
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise PushError(f"the finished rows cannot be written: {said[-1] if said else done.returncode}", None, 1)
    return os.path.exists(path) and os.path.getsize(path) > 0
