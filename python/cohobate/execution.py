"""The command at work: its events, its end, and its failure."""

from __future__ import annotations

import json
import signal
from collections.abc import AsyncIterator, Iterator
from typing import Any, Callable, Optional

from . import bar
from .errors import CohobateError, Stopped, error_of
from .events import Error, Event, Hint, Progress, Report, Start, Summary
from .log import EventLog
from .parsing import event_of
from .process import Process

# Lines that are kept of those that are not events: a mistake in cohobate.toml, or a panic.
TEXT_KEPT = 20


class Execution:
    """Reads what a command says, waits for its end, and knows how it ended."""

    def __init__(
        self,
        arguments: list[str],
        directory: str,
        keeps_output: bool,
        spooled: Optional[str] = None,
        on_end: Callable[[], None] = lambda: None,
        environment: Optional[dict[str, str]] = None,
    ) -> None:
        self.start: Optional[Start] = None
        self.progress: Optional[Progress] = None
        self.summary: Optional[Summary] = None
        self.report: Optional[dict[str, Any]] = None
        self.exit_code: Optional[int] = None
        self.failure: Optional[CohobateError] = None
        self.log = EventLog()
        self._then = on_end
        self._error: Optional[Error] = None
        self._hint: Optional[str] = None
        self._text: list[str] = []
        self.process = Process(
            arguments, directory, keeps_output, spooled, self._on_line, self._on_end, environment
        )

    def _on_line(self, line: bytes) -> None:
        event = event_of(line)
        if event is None:
            self._text = [*self._text[1 - TEXT_KEPT :], line.decode(errors="replace").rstrip()]
            return
        if isinstance(event, Start):
            self.start = event
        elif isinstance(event, Progress):
            self.progress = event
        elif isinstance(event, Summary):
            self.summary = event
        elif isinstance(event, Report):
            self.report = event.report
        elif isinstance(event, Error):
            self._error = event
        elif isinstance(event, Hint):
            self._hint = event.text
        self.log.add(event)

    def _on_end(self, code: int, printed: bytes) -> None:
        if printed.lstrip().startswith(b"{"):
            self.report = json.loads(printed)
        self.failure = error_of(code, *self._reason())
        self.exit_code = code if code >= 0 else 128 - code
        self._then()
        self.log.close()

    def _reason(self) -> tuple[Optional[str], Optional[str]]:
        """Returns what failed, and what to do next."""
        if self._error is not None:
            return self._error.text, self._error.hint or self._hint
        if self._text:
            lines = [line.removeprefix("error: ") for line in self._text if not line.startswith("hint: ")]
            hints = [line.removeprefix("hint: ") for line in self._text if line.startswith("hint: ")]
            return "\n".join(lines) or None, "\n".join(hints) or self._hint
        return None, self._hint or (self.summary.hint if self.summary else None)

    def __iter__(self) -> Iterator[Event]:
        """Yields the events, the oldest of the newest 1,000 first, until the end. Ctrl-C while it waits stops the command."""
        at = 0
        while True:
            try:
                at, event = self.log.wait(at)
            except KeyboardInterrupt:
                self.stop(signal.SIGINT)
                raise
            if event is None:
                return
            yield event

    def __aiter__(self) -> AsyncIterator[Event]:
        return self.log.follow()

    def wait(self, show: Optional[bool]) -> None:
        """Waits for the end, with a bar; Ctrl-C stops the command cleanly."""
        if self.process.has_ended.is_set():
            return
        try:
            bar.follow(self.log, show)
            self.process.has_ended.wait()
        except KeyboardInterrupt:
            bar.say("stopping; calls in flight may finish, a second Ctrl-C gives them up", show)
            self.stop(signal.SIGINT)
            raise

    def wait_for_start(self) -> None:
        """Waits until the first call may be sent, or for the end of a command that sends none."""
        at = 0
        while self.start is None:
            at, event = self.log.wait(at)
            if event is None:
                self.process.has_ended.wait()
                return

    async def finish(self) -> None:
        """Waits for the end under asyncio; stops the command cleanly where the task is cancelled."""
        import asyncio

        try:
            async for _ in self.log.follow():
                pass
        except asyncio.CancelledError:
            self.process.ask_to_stop()
            raise
        self.process.has_ended.wait()

    def stop(self, number: Optional[int]) -> None:
        """Asks for a clean stop with a signal, where one is given, and waits for the end; passes each further Ctrl-C on."""
        if number is not None:
            self.process.ask_to_stop(number)
        while not self.process.has_ended.is_set():
            try:
                self.process.has_ended.wait()
            except KeyboardInterrupt:
                self.process.send(signal.SIGINT)

    def raise_failure(self, except_stops: bool = False) -> None:
        """Raises the failure of the command, if it failed; `except_stops` ignores early stops."""
        if self.failure is not None and not (except_stops and isinstance(self.failure, Stopped)):
            # Without the traceback of an earlier raise.
            raise self.failure.with_traceback(None)
