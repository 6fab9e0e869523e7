"""The errors of this package. Each has a message, a hint that says what to do next, and the exit code of the command."""

from __future__ import annotations

from typing import Optional


class CohobateError(Exception):
    """Any failure of this package or of the command.

    `text` says what failed, `hint` what to do next (None where there is nothing to say), and `exit_code` is that of the
    command (`docs/operations.md`), or the one that it would have. No message contains the command line or a key.
    """

    def __init__(self, text: str, hint: Optional[str] = None, exit_code: int = 1) -> None:
        super().__init__(text, hint, exit_code)
        self.text = text
        self.hint = hint
        self.exit_code = exit_code

    def __str__(self) -> str:
        hint = f"\nhint: {self.hint}" if self.hint else ""
        return f"{self.text} (exit code {self.exit_code}){hint}"


class UsageError(CohobateError):
    """Exit code 2: usage or configuration is wrong, or a server refuses every request from the start."""


class OptionError(UsageError, TypeError):
    """An option that the command does not have, or a value that it cannot take; raised before anything starts."""


class RowsError(UsageError, TypeError):
    """Rows that are neither dicts nor a path, or output rows that cannot be read here."""


class CommandNotFound(UsageError):
    """The command `cohobate` is neither in this environment nor on PATH."""


class SteeringError(UsageError):
    """The run refused to be steered, or no run is at work."""


class DamageError(CohobateError):
    """Exit code 4: the store or the output cannot be written or is damaged."""


class PushError(CohobateError):
    """What a run has written is not on the Hub, or not all of it. The same call pushes it."""


class Stopped(CohobateError):
    """Exit code 75, 129, 130 or 143: stopped early, or the store is in use. The same call resumes."""


class Killed(Stopped):
    """The command was killed by a signal that it cannot handle. The same call resumes."""


AGAIN = "make the same call again to resume; stored answers are reused"


def error_of(exit_code: int, text: Optional[str], hint: Optional[str]) -> Optional[CohobateError]:
    """Returns the error of an exit code, or None for 0 and 3: the rows that are finished are written then.

    A negative code is the number of the signal that killed the command, as `subprocess` reports it.
    """
    if exit_code in (0, 3):
        return None
    if exit_code < 0:
        return Killed(text or f"the command was killed by signal {-exit_code}", hint or AGAIN, 128 - exit_code)
    if exit_code in (75, 129, 130, 143):
        return Stopped(text or "the run stopped before it was complete", hint or AGAIN, exit_code)
    kinds = {2: UsageError, 4: DamageError}
    return kinds.get(exit_code, CohobateError)(text or "the command failed", hint, exit_code)
