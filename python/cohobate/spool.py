"""Rows in a temporary file of JSON lines: the command reads its input twice, an iterable can be read once."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import threading
from typing import Any, Optional

from .records import jsonable, paths, records

# Rows without an id name the file that they are from, so it is called the same each time.
FILE = "rows.jsonl"


class Spool:
    """The input of a run: paths as they were given, or a file of the rows, readable by its owner alone.

    The file is in a directory of its own below the directory for temporary files (`TMPDIR`).
    """

    def __init__(self, rows: Any) -> None:
        """Writes the rows, one after another. Raises RowsError where a row is not a dict, and what the iterable raises."""
        # The command reads the file, and so does `Run.conversation`; it is deleted when both are over.
        self._readers = 2
        self._lock = threading.Lock()
        self.directory: Optional[str] = None
        named = paths(rows)
        self.inputs: list[str] = named if named is not None else []
        if named is None and rows is not None:
            self.directory = tempfile.mkdtemp(prefix="cohobate-")
            try:
                self.inputs = [_write(os.path.join(self.directory, FILE), rows)]
            except BaseException:
                self.remove()
                raise

    def retain(self) -> None:
        """Says that somebody else needs the file too."""
        with self._lock:
            self._readers += 1

    def release(self) -> None:
        """Says that one of the two readers needs the file no more."""
        with self._lock:
            self._readers -= 1
            is_over = self._readers <= 0
        if is_over:
            self.remove()

    def remove(self) -> None:
        """Deletes the file, if there is one."""
        directory, self.directory = self.directory, None
        if directory is not None:
            shutil.rmtree(directory, ignore_errors=True)


def _write(path: str, rows: Any) -> str:
    encode = json.JSONEncoder(ensure_ascii=False, check_circular=False, default=jsonable).encode
    with open(path, "wb", buffering=1 << 20) as file:
        for row in records(rows):
            # A data frame says NaN where a value is missing, and JSON has no NaN.
            row = {key: None if isinstance(value, float) and value != value else value for key, value in row.items()}
            line = encode(row)
            try:
                file.write(line.encode())
            except UnicodeEncodeError:
                # Half a character: written as an escape, which the command reads as it reads one of a file.
                file.write(json.dumps(row, default=jsonable).encode())
            file.write(b"\n")
    return path
