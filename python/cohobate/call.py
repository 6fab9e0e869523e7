"""What one call of a function comes to: the command line, the rows, and where things are."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Optional

from . import binary, callables, flags
from .errors import OptionError
from .kinds import KINDS
from .spool import Spool

if TYPE_CHECKING:
    from .callables import Served
    from .push import Target
    from .serving import Serving

# The command itself has no default for these.
OUTPUTS = {"filter": "filtered.jsonl", "convert": "converted.jsonl"}
# These push their rows themselves, where the output is on the Hub.
PUSHED = ("distill", "convert", "filter")
# The store where none is named; only of use for a place beside it.
STORE = ".cohobate"
# These print what they find as JSON, and write no rows.
FINDERS = ("plan", "inspect", "verify")


class Call:
    """A command with its rows and options, ready to start."""

    def __init__(self, command: str, rows: Any, options: Mapping[str, Any]) -> None:
        """Checks the options, finds the command, and spools the rows unless they are paths, in this order."""
        self.command = command
        chosen = dict(options)
        self.push = self._push_target(chosen)
        functions = callables.served_in(command, chosen)
        for name in functions:
            chosen[name] = None
        if command in OUTPUTS:
            chosen.setdefault("output", OUTPUTS[command])
        # Before rows are written and a server is started.
        flags.arguments(command, chosen)
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
        self.serving: Optional[Serving] = None
        self.spool = Spool(rows)
        if "-" in self.spool.inputs:
            raise OptionError("the rows cannot come from standard input", "give the rows, or name a file", 2)
        if functions:
            self._serve(functions, chosen)
        given = flags.arguments(command, chosen)
        self.export_line = [self.binary, "export", "--progress=json", *_without_output(given), "--", *self.spool.inputs]
        self.place = flags.arguments(command, {name: chosen.get(name) for name in ("store", "config") if name in kinds})
        json_flag = ["--json"] if command in FINDERS else []
        self.line = [self.binary, command, "--progress=json", *json_flag, *given, "--", *self.spool.inputs]
        self.show = self._show(chosen)

    def _push_target(self, chosen: dict[str, Any]) -> Optional[Target]:
        """Takes out of the options what is about the Hub; returns where the rows are pushed to, if they are."""
        every, private = chosen.pop("push_every", None), chosen.pop("private", None)
        output = chosen.get("output")
        if not isinstance(output, str) or not output.startswith("hf://"):
            if every is not None or private is not None:
                name = "push_every" if every is not None else "private"
                raise OptionError(f"{name} has no effect without output=\"hf://datasets/OWNER/NAME\"", "leave it out", 2)
            return None
        if self.command not in PUSHED:
            hint = f"write to a directory such as output=\"out/\", and call push_to_hub(); {', '.join(PUSHED)} push themselves"
            raise OptionError(f"{self.command}() cannot write to {output}", hint, 2)
        from . import hub, push

        repository = hub.repository_of(output)
        hub.check_installed()
        if every is not None and self.command != "distill":
            raise OptionError(f"{self.command}() has no unfinished rows to push", "leave push_every out", 2)
        store = os.fsdecode(chosen.get("store") or STORE)
        # A store on a server has no directory of its own.
        store = os.path.abspath(STORE if "://" in store else store)
        target = push.Target(repository, store, None if every is None else push.seconds(every), private)
        chosen["output"] = target.directory
        return target

    def _serve(self, functions: Mapping[str, Served], chosen: dict[str, Any]) -> None:
        """Serves functions, and puts into the options how the command finds them."""
        from .serving import Serving

        try:
            self.serving = Serving(functions, self.spool.directory)
        except BaseException:
            self.spool.remove()
            raise
        for name, value in self.serving.options.items():
            if chosen.get(name) is None:
                chosen[name] = value
        if "judge" in functions and self.command in ("evaluate", "compare") and chosen.get("controls") is None:
            chosen["no_controls"] = True

    @property
    def left_behind(self) -> Optional[str]:
        """The directory that is deleted for this program if it is killed."""
        if self.spool.directory is not None or self.serving is None:
            return self.spool.directory
        return self.serving.directory

    def release(self) -> None:
        """Ends what was there for the command: it has ended."""
        self.spool.release()
        if self.serving is not None:
            self.serving.close()

    def _show(self, chosen: Mapping[str, Any]) -> list[str]:
        """Returns the options with which `cohobate show` finds the conversations of this run."""
        known = KINDS["show"]
        # Without a teacher, those of the store's last run are taken.
        names = known if self.command == "distill" and chosen.get("teacher") else ("store", "config")
        found = flags.arguments("show", {name: value for name, value in chosen.items() if name in names})
        return [*found, *(f"--input={path}" for path in self.spool.inputs)]


def _without_output(arguments: list[str]) -> list[str]:
    return [each for each in arguments if not each.startswith("--output=")]
