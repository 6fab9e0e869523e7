"""The functions of the package, one for each command."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Optional

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from .options import (
        CompareOptions,
        ConvertOptions,
        DistillOptions,
        EvaluateOptions,
        FilterOptions,
        InspectOptions,
        PlanOptions,
        SimulateOptions,
        TutorOptions,
        VerifyOptions,
    )
    from .records import Rows
    from .run import Run


def _run(command: str, rows: Any, options: Any) -> Run:
    # An import of the package loads what a call needs only with the first call.
    from .call import Call
    from .run import Run

    return Run(Call(command, rows, options))


def distill(rows: Rows, **options: Unpack[DistillOptions]) -> Run:
    """Has a teacher regenerate every assistant turn of the rows.

    The rows go to `output` (`distilled.jsonl`), the answers to `store` (`.cohobate`), both in the working directory. The
    same call resumes, with the rows in any order. `teacher` is required, here or in `cohobate.toml`. Raises OptionError,
    RowsError or CommandNotFound before anything starts; what fails later is raised by the Run.
    """
    return _run("distill", rows, options)


def plan(rows: Rows, **options: Unpack[PlanOptions]) -> Run:
    """Says what a distillation would send and cost, in `Run.report`; sends nothing."""
    return _run("plan", rows, options)


def compare(rows: Optional[Rows] = None, **options: Unpack[CompareOptions]) -> Run:
    """Has systems (`a` and `b`, `system`, or `answers`) answer the rows, and a `judge` say whose answers are better.

    Verdicts and answers go to the directory `output` (`comparison`), the report is `Run.report` too.
    """
    return _run("compare", rows, options)


def evaluate(rows: Rows, **options: Unpack[EvaluateOptions]) -> Run:
    """Has a `judge` score the answers of the rows. The rows with their scores go to `output` (`scores.jsonl`)."""
    return _run("evaluate", rows, options)


def simulate(rows: Rows, **options: Unpack[SimulateOptions]) -> Run:
    """Continues the rows to `turns` user turns with a model as `user`. They go to `output` (`simulated.jsonl`)."""
    return _run("simulate", rows, options)


def tutor(rows: Rows, **options: Unpack[TutorOptions]) -> Run:
    """Has a `student` answer and a `teacher` grade and correct it. Rows for training go to the directory `output` (`tutored`)."""
    return _run("tutor", rows, options)


def filter(rows: Rows, **options: Unpack[FilterOptions]) -> Run:
    """Keeps the rows that are good enough, by rule; sends nothing. They go to `output` (`filtered.jsonl`)."""
    return _run("filter", rows, options)


def convert(rows: Rows, **options: Unpack[ConvertOptions]) -> Run:
    """Rewrites rows in another format (`to`); sends nothing. They go to `output` (`converted.jsonl`)."""
    return _run("convert", rows, options)


def inspect(rows: Rows, **options: Unpack[InspectOptions]) -> Run:
    """Counts what the rows hold, in `Run.report`; sends nothing."""
    return _run("inspect", rows, options)


def verify(rows: Optional[Rows] = None, **options: Unpack[VerifyOptions]) -> Run:
    """Proves a store sound and, given rows and `output`, the output complete, in `Run.report`; sends nothing."""
    return _run("verify", rows, options)
