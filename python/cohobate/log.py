"""The events of a run, read by one thread and followed by any number of readers, of threads and of asyncio."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import AsyncIterator, Iterator
from typing import Callable, Optional

from .events import Event

# The newest events are kept for a late reader. A run of days has too many to keep all.
KEPT = 1_000


class EventLog:
    """The newest events, and whether more can come."""

    def __init__(self) -> None:
        self._events: deque[Event] = deque(maxlen=KEPT)
        self._count = 0
        self._is_closed = False
        self._changed = threading.Condition()
        self._listeners: list[Callable[[], None]] = []

    def add(self, event: Event) -> None:
        with self._changed:
            self._events.append(event)
            self._count += 1
            self._tell()

    def close(self) -> None:
        """Ends every iteration, once it has had the events that are kept."""
        with self._changed:
            self._is_closed = True
            self._tell()

    def _tell(self) -> None:
        self._changed.notify_all()
        for listener in self._listeners:
            listener()

    def _next(self, at: int) -> tuple[int, Optional[Event]]:
        """Returns the event at a position, or after it where that one is no longer kept, and the position of the next."""
        at = max(at, self._count - len(self._events))
        if at == self._count:
            return at, None
        return at + 1, self._events[at - self._count]

    def wait(self, at: int, timeout_s: Optional[float] = None) -> tuple[int, Optional[Event]]:
        """Returns as `_next` does; waits for an event where there is none yet and the log is open."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_closed or at < self._count, timeout_s)
            return self._next(at)

    def __iter__(self) -> Iterator[Event]:
        at = 0
        while True:
            at, event = self.wait(at)
            if event is None:
                return
            yield event

    async def follow(self) -> AsyncIterator[Event]:
        """Iterates as `__iter__` does, without blocking the event loop."""
        import asyncio

        loop, woken, at = asyncio.get_running_loop(), asyncio.Event(), 0

        def listener() -> None:
            # The loop may be closed while the run is at work.
            if not loop.is_closed():
                loop.call_soon_threadsafe(woken.set)

        with self._changed:
            self._listeners.append(listener)
        try:
            while True:
                woken.clear()
                with self._changed:
                    at, event = self._next(at)
                    is_closed = self._is_closed
                if event is not None:
                    yield event
                elif is_closed:
                    return
                else:
                    await woken.wait()
        finally:
            with self._changed:
                self._listeners.remove(listener)
