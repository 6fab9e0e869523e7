"""`cohobate ctl`: steers a run that is at work, over the socket in its store."""

from __future__ import annotations

import json
import subprocess
import time
from typing import Any, Optional

from .errors import SteeringError
from .events import Error
from .execution import Execution
from .parsing import event_of

# A run has made its socket by the time that it may send its first call, or soon after.
SOCKET_S = 5.0
AGAIN_S = 0.05


class Steering:
    """Steers one run. `place` are the options that say where its store is."""

    def __init__(self, command: str, place: list[str], directory: str, execution: Execution) -> None:
        self._command = command
        self._place = place
        self._directory = directory
        self._execution = execution

    def steer(self, *words: str) -> Optional[dict[str, Any]]:
        """Sends a verb, waits until the run obeys, and returns what `--json` prints.

        Waits for the moment in which the run may send its first call: before it there is nothing to steer. Raises
        SteeringError where the run refuses, and where it has ended.
        """
        self._execution.wait_for_start()
        deadline = time.monotonic() + SOCKET_S
        while not self._execution.process.has_ended.is_set():
            done = subprocess.run(
                [self._command, "ctl", words[0], "--progress=json", *self._place, *words[1:]],
                cwd=self._directory,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                # Ctrl-C is for the run.
                start_new_session=True,
            )
            if done.returncode == 0:
                return json.loads(done.stdout) if done.stdout.lstrip().startswith(b"{") else None
            if b"no run is at work" not in done.stderr or time.monotonic() > deadline:
                raise _refusal(done.stderr, done.returncode)
            time.sleep(AGAIN_S)
        raise SteeringError("the run has ended", "make the same call again to resume", 2)


def limits(values: dict[str, Optional[float]]) -> list[str]:
    """Returns the limits as `ctl set` reads them; None removes a limit. Raises SteeringError if none is given."""
    if not values:
        raise SteeringError("no limit is given", "name concurrency, rpm or max_cost", 2)
    return [f"{name.replace('_', '-')}={'none' if value is None else value}" for name, value in values.items()]


def _refusal(said: bytes, code: int) -> SteeringError:
    for line in said.splitlines():
        event = event_of(line)
        if isinstance(event, Error):
            return SteeringError(event.text, event.hint, code)
    return SteeringError(said.decode(errors="replace").strip() or "the run refuses", None, code)
