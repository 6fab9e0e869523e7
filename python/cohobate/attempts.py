"""Every answer that a store has of a run's rows, kept or rejected, one after the other."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Optional

from .errors import CohobateError, error_of
from .events import Error
from .parsing import event_of


@dataclass(frozen=True)
class Attempt:
    """One answer to one turn."""

    id: str
    """The row's id."""
    turn: int
    """The turn, from 1."""
    attempt: int
    """The attempt at it, from 1; with `samples`, each sample has three of its own."""
    lane: str
    """Whose line it is; empty for the teacher's."""
    fate: str
    """`kept` where it is in the history, else what became of it, such as `rejected`."""
    rule: Optional[str]
    """The rule that rejected it: one of the gate, `outscored`, `min_score`."""
    flags: list[str]
    """Rules that flagged it."""
    score: Optional[float]
    """Its score, where it was ranked."""
    text: str
    """The answer."""
    reasoning: Optional[str]
    """The reasoning before it."""
    origin: dict[str, Any]
    """Where it comes from: model, tokens, how often it was sent; empty where that is not known."""


def attempts(command: list[str], directory: str) -> Iterator[Attempt]:
    """Yields the attempts that `cohobate show --all --json` prints; one conversation is in memory at a time.

    Raises a CohobateError where the store or the rows cannot be read.
    """
    with tempfile.TemporaryFile() as said:
        child = subprocess.Popen(
            command, cwd=directory, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=said, start_new_session=True
        )
        try:
            assert child.stdout is not None
            with child.stdout:
                for line in child.stdout:
                    yield from _of(json.loads(line))
            code = child.wait()
        finally:
            # Whoever reads may stop early.
            child.kill()
            child.wait()
        if code != 0:
            said.seek(0)
            raise _failure(said.readlines(), code)


def _of(conversation: dict[str, Any]) -> Iterator[Attempt]:
    for turn in conversation["turns"]:
        for answer in turn["answers"]:
            yield Attempt(
                id=conversation["id"],
                turn=turn["number"],
                attempt=answer["attempt"],
                lane=answer["lane"],
                fate=answer["fate"],
                rule=answer["rule"],
                flags=answer["flags"],
                score=answer["score"],
                text="".join(piece["text"] for piece in answer["pieces"] if piece["mark"] != "removed"),
                reasoning=answer["reasoning"],
                origin=answer["origin"] or {},
            )


def _failure(lines: list[bytes], code: int) -> CohobateError:
    errors = [event for event in map(event_of, lines) if isinstance(event, Error)]
    text, hint = (errors[-1].text, errors[-1].hint) if errors else (None, None)
    return error_of(code, text, hint) or CohobateError("the store cannot be read")
