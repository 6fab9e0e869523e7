"""What one call of a function comes to: the command line, the rows, and where things are."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Optional

from . import binary, flags
from .errors import OptionError
from .kinds import KINDS
from .spool import Spool

# The command itself has no default for these.
OUTPUTS = {"filter": "filtered.jsonl", "convert": "converted.jsonl"}
# These print what they find as JSON, and write no rows.
FINDERS = ("plan", "inspect", "verify")


class Call:
    """A command with its rows and options, ready to start."""

    def __init__(self, command: str, rows: Any, options: Mapping[str, Any]) -> None:
        """Checks the options, finds the command, and spools the rows unless they are paths, in this order."""
        self.command = command
        chosen = dict(options)
        if command in OUTPUTS:
            chosen.setdefault("output", OUTPUTS[command])
        given = flags.arguments(command, chosen)
        if chosen.get("output") == "-":
            raise OptionError("the rows cannot go to standard output", "name a file, and read Run.rows()", 2)
        self.binary = binary.find()
        # The program may go elsewhere while the command is at work.
        self.directory = os.getcwd()
        self.prints_json = command in FINDERS or bool(chosen.get("dry_run"))
        self.output: Optional[str] = None
        if not self.prints_json and chosen.get("output") is not None:
            self.output = os.fsdecode(chosen["output"])
        kinds = KINDS[command]
        self.place = flags.arguments(command, {name: chosen.get(name) for name in ("store", "config") if name in kinds})
        self.spool = Spool(rows)
        if "-" in self.spool.inputs:
            raise OptionError("the rows cannot come from standard input", "give the rows, or name a file", 2)
        json_flag = ["--json"] if command in FINDERS else []
        self.line = [self.binary, command, "--progress=json", *json_flag, *given, "--", *self.spool.inputs]
        self.show = self._show(chosen)

    def _show(self, chosen: Mapping[str, Any]) -> list[str]:
        """Returns the options with which `cohobate show` finds the conversations of this run."""
        known = KINDS["show"]
        # Without a teacher, those of the store's last run are taken.
        names = known if self.command == "distill" and chosen.get("teacher") else ("store", "config")
        found = flags.arguments("show", {name: value for name, value in chosen.items() if name in names})
        return [*found, *(f"--input={path}" for path in self.spool.inputs)]
