"""Rows of any kind, one dict at a time."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Optional, Protocol, Union

from .errors import RowsError

if TYPE_CHECKING:
    from .options import PathLike

CHUNK = 1_000


class Table(Protocol):
    """A table of pandas, polars or pyarrow. A `datasets.Dataset` is an iterable of dicts."""

    @property
    def columns(self) -> Any: ...


Rows = Union["PathLike", "Iterable[PathLike]", "Iterable[Mapping[str, Any]]", Table]


def paths(rows: Any) -> Optional[list[str]]:
    """Returns the paths that `rows` is, or None where it is something else."""
    if isinstance(rows, (str, os.PathLike)):
        return [os.fsdecode(rows)]
    if isinstance(rows, (list, tuple)) and rows and all(isinstance(each, (str, os.PathLike)) for each in rows):
        return [os.fsdecode(each) for each in rows]
    return None


def records(rows: Any) -> Iterator[Mapping[str, Any]]:
    """Returns the rows as dicts, a few of them in memory at a time.

    Raises RowsError where something else than a dict comes.
    """
    if isinstance(rows, (Mapping, bytes)):
        raise RowsError("the rows are one mapping", "give a list of dicts, or one split of a DatasetDict", 2)
    if hasattr(rows, "iloc"):
        chunks = (rows.iloc[at : at + CHUNK] for at in range(0, len(rows), CHUNK))
        yield from (row for chunk in chunks for row in chunk.to_dict("records"))
    elif hasattr(rows, "iter_rows"):
        yield from rows.iter_rows(named=True)
    elif hasattr(rows, "to_batches"):
        yield from (row for batch in rows.to_batches(max_chunksize=CHUNK) for row in batch.to_pylist())
    elif not isinstance(rows, Iterable):
        raise RowsError(f"the rows are a {type(rows).__name__}", "give an iterable of dicts, a table, or a path", 2)
    else:
        for number, row in enumerate(rows, 1):
            if not isinstance(row, Mapping):
                raise RowsError(f"row {number} is a {type(row).__name__}", "give an iterable of dicts, or a path", 2)
            yield row


def jsonable(value: Any) -> Any:
    """Returns what JSON can hold in place of a value of numpy, pandas or datetime. Raises RowsError where nothing can."""
    if type(value).__name__ in ("NAType", "NaTType"):
        return None
    for method in ("tolist", "isoformat"):
        if hasattr(value, method):
            return getattr(value, method)()
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, (set, frozenset)):
        return sorted(value, key=repr)
    if isinstance(value, os.PathLike):
        return os.fsdecode(value)
    raise RowsError(f"a row holds a {type(value).__name__}, which JSON cannot hold", "leave the column out, or make it text", 2)
