"""The command as a process, which ends with the program that started it, however that ends."""

from __future__ import annotations

import atexit
import os
import signal
import subprocess
import sys
import threading
import weakref
from typing import IO, Callable, Optional

# A clean stop waits up to a minute for the calls in flight.
STOP_S = 90
SOON_S = 1

# Its standard input ends when the program does, also by SIGKILL. Then the command is stopped cleanly, and after a while by
# force; the rows that were spooled are deleted.
GUARD = f"""
read -r nothing
kill -TERM "$1" 2>/dev/null
seconds=0
while kill -0 "$1" 2>/dev/null && [ "$seconds" -lt {STOP_S} ]; do sleep 1; seconds=$((seconds + 1)); done
kill -KILL "$1" 2>/dev/null
[ -z "$2" ] || rm -rf -- "$2"
"""

_at_work: weakref.WeakSet[Process] = weakref.WeakSet()


class Process:
    """A command at work. `on_line` gets each line of its standard error, `on_end` the exit code, on a thread of their own."""

    def __init__(
        self,
        arguments: list[str],
        directory: str,
        keeps_output: bool,
        spooled: Optional[str],
        on_line: Callable[[bytes], None],
        on_end: Callable[[int, bytes], None],
        environment: Optional[dict[str, str]] = None,
    ) -> None:
        self._owner = os.getpid()
        self._is_asked = False
        output = subprocess.PIPE if keeps_output else subprocess.DEVNULL
        # In a session of its own, so that Ctrl-C in a terminal reaches the program alone, which passes it on once.
        self._child = subprocess.Popen(
            arguments,
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.PIPE,
            start_new_session=True,
            env=environment,
        )
        read, self._alive = os.pipe()
        try:
            self._guard = _guard(read, self._child.pid, spooled)
        except BaseException:
            self._child.kill()
            self._child.wait()
            raise
        finally:
            os.close(read)
        self.has_ended = threading.Event()
        _at_work.add(self)
        reader = threading.Thread(target=self._read, args=(on_line, on_end), name="cohobate", daemon=True)
        reader.start()

    def _read(self, on_line: Callable[[bytes], None], on_end: Callable[[int, bytes], None]) -> None:
        kept: list[bytes] = []
        output = self._child.stdout
        drain = threading.Thread(target=lambda: kept.append(_all(output)), name="cohobate-output", daemon=True)
        drain.start()
        assert self._child.stderr is not None
        with self._child.stderr:
            for line in self._child.stderr:
                on_line(line)
        code = self._child.wait()
        drain.join()
        self._dismiss()
        on_end(code, b"".join(kept))
        self.has_ended.set()

    def _dismiss(self) -> None:
        """Ends the guard before its standard input does, so that it harms no later process with the same number."""
        self._guard.kill()
        self._guard.wait()
        self.forget()
        _at_work.discard(self)

    def forget(self) -> None:
        """Closes the end of the pipe that says that this program is alive."""
        if self._alive >= 0:
            os.close(self._alive)
            self._alive = -1

    @property
    def pid(self) -> int:
        return self._child.pid

    def send(self, number: int) -> None:
        """Sends a signal; does nothing once the command has ended, and in a fork of the program."""
        if self._owner == os.getpid():
            self._child.send_signal(number)

    def ask_to_stop(self, number: int = signal.SIGTERM) -> None:
        """Sends the signal for a clean stop, once: a second one would give up the calls in flight."""
        if not self._is_asked:
            self._is_asked = True
            self.send(number)

    def end(self) -> None:
        """Stops the command cleanly, and by force where that takes too long or is interrupted."""
        if self._owner != os.getpid():
            return
        try:
            self.ask_to_stop()
            if not self.has_ended.wait(SOON_S):
                print("cohobate: waiting for the calls in flight; Ctrl-C gives them up", file=sys.stderr)
                self.has_ended.wait(STOP_S)
        finally:
            self.send(signal.SIGKILL)
            self.has_ended.wait(SOON_S)


def _guard(alive: int, pid: int, spooled: Optional[str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        ["/bin/sh", "-c", GUARD, "cohobate-guard", str(pid), spooled or ""],
        stdin=alive,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        # It needs no key.
        env={"PATH": os.environ.get("PATH", os.defpath)},
    )


def _all(stream: Optional[IO[bytes]]) -> bytes:
    if stream is None:
        return b""
    with stream:
        return stream.read()


@atexit.register
def _end_all() -> None:
    for process in list(_at_work):
        process.end()


def _forget_all() -> None:
    for process in list(_at_work):
        process.forget()


# A fork that outlives the program must not make the guards believe that it is alive.
os.register_at_fork(after_in_child=_forget_all)
