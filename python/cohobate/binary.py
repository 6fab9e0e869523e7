"""Where the command is."""

from __future__ import annotations

import os
import shutil
import sys
import sysconfig
from typing import Iterator

from .errors import CommandNotFound

NAME = "cohobate"


def find() -> str:
    """Returns the path of the command: `COHOBATE_BIN`, that of this environment, or the one on `PATH`.

    Raises CommandNotFound where there is no such file.
    """
    named = os.environ.get("COHOBATE_BIN")
    if named:
        if not _is_program(named):
            raise CommandNotFound(f"COHOBATE_BIN is {named}, which is not a program", "name the file", 2)
        return os.path.abspath(named)
    for directory in _directories():
        path = os.path.join(directory, NAME)
        if _is_program(path):
            return path
    found = shutil.which(NAME)
    if found is None:
        hint = "run `pip install cohobate`, or set COHOBATE_BIN to the path of the command"
        raise CommandNotFound("the command `cohobate` is not installed", hint, 2)
    return os.path.abspath(found)


def _directories() -> Iterator[str]:
    """Returns where pip puts commands: of this environment, of the user, and beside a `pip install --target`."""
    yield sysconfig.get_path("scripts")
    yield os.path.dirname(sys.executable)
    if f"{os.name}_user" in sysconfig.get_scheme_names():
        yield sysconfig.get_path("scripts", f"{os.name}_user")
    yield os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "bin")


def _is_program(path: str) -> bool:
    return os.path.isfile(path) and os.access(path, os.X_OK)
