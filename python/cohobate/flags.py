"""From options of Python to arguments of the command line."""

from __future__ import annotations

import difflib
import json
import os
from collections.abc import Iterator, Mapping
from typing import Any

from .errors import OptionError
from .kinds import KINDS

# What a terminal needs, or what the package does itself.
ELSEWHERE = {
    "progress": "iterate the Run for its events",
    "quiet": "iterate the Run for its events",
    "json": "read Run.report",
    "detach": "a Run is at work beside the program; wait() waits for it",
    "help": "read docs/configuration.md",
    "show_request": "use `cohobate plan --show-request` in a shell",
}
SECRETS = ("key", "token", "secret", "password")


def arguments(command: str, options: Mapping[str, Any]) -> list[str]:
    """Returns the arguments for the options of a command.

    `None` leaves an option out. True is a bare flag, a list repeats the flag, a mapping is JSON (`body`). Raises OptionError
    for an option that the command does not have, with the closest name, and for a value that cannot be written.
    """
    kinds = KINDS[command]
    found: list[str] = []
    for name, value in options.items():
        if name not in kinds:
            raise _unknown(command, name)
        if value is not None:
            found.extend(_written(name, kinds[name], value))
    return found


def _written(name: str, kind: str, value: Any) -> Iterator[str]:
    flag = "--" + name.replace("_", "-")
    if kind == "flag":
        if not isinstance(value, bool):
            raise OptionError(f"{name} is a flag and takes no value", f"write {name}=True", 2)
        if value:
            yield flag
    elif kind == "pair":
        if isinstance(value, (str, bytes)) or not hasattr(value, "__len__") or len(value) != 2:
            raise OptionError(f"{name} takes two files", f"write {name}=(A, B)", 2)
        yield flag
        yield from (_plain(name, each) for each in value)
    elif kind == "switch" and isinstance(value, bool):
        if name != "metrics":
            yield f"{flag}={'true' if value else 'false'}"
        elif value:
            yield flag
    elif kind == "on-off" and isinstance(value, bool):
        yield f"{flag}={'on' if value else 'off'}"
    elif kind == "json" and isinstance(value, Mapping):
        yield f"{flag}={json.dumps(dict(value))}"
    elif isinstance(value, (list, tuple)):
        yield from (f"{flag}={_plain(name, each)}" for each in value)
    else:
        yield f"{flag}={_plain(name, value)}"


def _plain(name: str, value: Any) -> str:
    """Returns a value as text; numbers of numpy and the like are numbers."""
    if isinstance(value, (str, os.PathLike)):
        return os.fsdecode(value)
    if hasattr(value, "item") and not isinstance(value, (int, float)):
        value = value.item()
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return repr(value)
    raise OptionError(f"{name} cannot be a {type(value).__name__}", f"cohobate COMMAND --help says what {name} takes", 2)


def _unknown(command: str, name: str) -> OptionError:
    text = f"{command}() has no option `{name}`"
    if name in ELSEWHERE:
        return OptionError(text, ELSEWHERE[name], 2)
    close = difflib.get_close_matches(name, KINDS[command], n=1, cutoff=0.6)
    if close:
        return OptionError(text, f"write {close[0]}", 2)
    if any(word in name for word in SECRETS):
        hint = "keys are read from the environment alone: set COHOBATE_API_KEY, or the variable of the provider"
        return OptionError(text, hint, 2)
    return OptionError(text, f"cohobate {command} --help lists the options", 2)
