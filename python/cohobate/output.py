"""Rows that a command has written."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Iterator
from typing import Any

from .errors import RowsError

# The rows of a command that writes a directory.
MAIN_FILE = {"compare": "verdicts.jsonl", "tutor": "sft.jsonl"}


def file_of(command: str, path: str, name: str | None = None) -> str:
    """Returns the file, or the directory of shards, that holds the rows; `name` picks one in a directory of files."""
    if name is not None:
        return os.path.join(path, name)
    return os.path.join(path, MAIN_FILE[command]) if command in MAIN_FILE else path


def rows(path: str) -> Iterator[dict[str, Any]]:
    """Yields the rows of a file of JSON lines (.gz and .zst too) or of a directory of Parquet shards.

    Raises RowsError where this environment cannot read the file.
    """
    if os.path.isdir(path):
        yield from _shards(path)
    elif path.endswith(".zst"):
        yield from _lines(_zstd(path))
    elif path.endswith(".gz"):
        yield from _lines(gzip.open(path, "rb"))
    else:
        yield from _lines(open(path, "rb"))


def shards(path: str) -> list[str]:
    """Returns the Parquet files of a directory, in order."""
    folder = os.path.join(path, "data")
    return sorted(os.path.join(folder, name) for name in os.listdir(folder) if name.endswith(".parquet"))


def _lines(file: Any) -> Iterator[dict[str, Any]]:
    with file:
        for line in file:
            yield json.loads(line)


def _shards(path: str) -> Iterator[dict[str, Any]]:
    try:
        import pyarrow.parquet
    except ImportError:
        raise RowsError(f"{path} holds Parquet files", "run `pip install pyarrow`, or write JSON lines", 2) from None
    for shard in shards(path):
        for batch in pyarrow.parquet.ParquetFile(shard).iter_batches():
            yield from batch.to_pylist()


def _zstd(path: str) -> Any:
    try:
        # In the standard library since Python 3.14.
        from compression import zstd
    except ImportError:
        raise RowsError(f"{path} is compressed with zstd", "use Python 3.14, or write .jsonl or .gz", 2) from None
    return zstd.open(path, "rb")
