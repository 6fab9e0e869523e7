"""cohobate from Python: distil multi-turn conversations with a teacher model, and resume after any stop.

Each function starts one command of the same name and returns a `Run`:

    import cohobate

    run = cohobate.distill(rows, teacher="Qwen/Qwen3-32B@http://localhost:8000/v1")
    for row in run.rows():
        print(row["messages"])

`rows` is an iterable of dicts, a `datasets.Dataset`, a data frame, a path, or a list of paths. Options are those of the
command line, with `_` for `-`. Stored answers are reused: run the same call again to resume.
"""

from typing import TYPE_CHECKING, Any

from .commands import compare, convert, distill, evaluate, filter, inspect, plan, simulate, tutor, verify
from .errors import (
    CohobateError,
    CommandNotFound,
    DamageError,
    Killed,
    OptionError,
    PushError,
    RowsError,
    SteeringError,
    Stopped,
    UsageError,
)

if TYPE_CHECKING:
    from . import events
    from .attempts import Attempt
    from .callables import Case, Judge, Rule, Scorer, Tools
    from .run import Run

__all__ = [
    "Attempt",
    "Case",
    "CohobateError",
    "CommandNotFound",
    "DamageError",
    "Judge",
    "Killed",
    "OptionError",
    "PushError",
    "RowsError",
    "Rule",
    "Run",
    "Scorer",
    "SteeringError",
    "Stopped",
    "Tools",
    "UsageError",
    "compare",
    "convert",
    "distill",
    "evaluate",
    "events",
    "filter",
    "inspect",
    "plan",
    "simulate",
    "tutor",
    "verify",
]


def __getattr__(name: str) -> Any:
    # Loaded when they are used first, so that an import takes a few milliseconds.
    import importlib

    if name == "events":
        return importlib.import_module("cohobate.events")
    if name in ("Case", "Judge", "Rule", "Scorer", "Tools"):
        return getattr(importlib.import_module("cohobate.callables"), name)
    if name == "Attempt":
        return importlib.import_module("cohobate.attempts").Attempt
    if name == "Run":
        return importlib.import_module("cohobate.run").Run
    raise AttributeError(f"module 'cohobate' has no attribute {name!r}")
