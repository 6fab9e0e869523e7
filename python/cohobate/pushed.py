"""Which finished rows are on the Hub already, in a small database beside the store: an interrupted run continues there."""

from __future__ import annotations

import gzip
import hashlib
import os
import sqlite3
from collections.abc import Iterable

HASH_BYTES = 16
SCHEMA = """
CREATE TABLE IF NOT EXISTS rows (hash BLOB PRIMARY KEY, file TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS files (name TEXT PRIMARY KEY, rows INTEGER NOT NULL) WITHOUT ROWID;
"""


class Pushed:
    """The rows of `partial/`, by the hashes of their lines. Rows that are equal in all are one."""

    def __init__(self, path: str) -> None:
        self._path = path
        # Used by one thread at a time, which need not be the one that opened it.
        self._database = sqlite3.connect(path, check_same_thread=False)
        self._database.executescript(SCHEMA)

    @property
    def row_count(self) -> int:
        """Rows in the files that are known."""
        return int(self._database.execute("SELECT coalesce(sum(rows), 0) FROM files").fetchone()[0])

    def settle(self, there: Iterable[str]) -> bool:
        """Compares with the files of `partial/` that are on the Hub, and forgets the rows of those that are not.

        A file was noted before its commit, so one that is there is known. Returns False where an unknown one is: then nothing
        counts as pushed, and all of them have to go.
        """
        there = set(there)
        known = {name for (name,) in self._database.execute("SELECT name FROM files")}
        gone = known if there - known else known - there
        with self._database:
            for name in gone:
                self._database.execute("DELETE FROM rows WHERE file = ?", (name,))
                self._database.execute("DELETE FROM files WHERE name = ?", (name,))
        return not there - known

    def take_new(self, rows: str, out: str, name: str) -> int:
        """Writes those lines of a file that are new into another, notes them as that of `name`, and returns how many."""
        count = 0
        with self._database, open(rows, "rb") as lines, open(out, "wb") as raw:
            # The same rows make the same file.
            with gzip.GzipFile(fileobj=raw, mode="wb", filename="", mtime=0) as packed:
                for line in lines:
                    digest = hashlib.blake2b(line, digest_size=HASH_BYTES).digest()
                    added = self._database.execute("INSERT OR IGNORE INTO rows VALUES (?, ?)", (digest, name))
                    if added.rowcount == 1:
                        packed.write(line)
                        count += 1
            if count:
                self._database.execute("INSERT INTO files VALUES (?, ?)", (name, count))
        return count

    def next_name(self) -> str:
        """Returns the name of the next file of `partial/`."""
        newest = self._database.execute("SELECT coalesce(max(name), 'rows-00000') FROM files").fetchone()[0]
        return f"rows-{int(newest[5:10]) + 1:05}.jsonl.gz"

    def close(self) -> None:
        self._database.close()

    def remove(self) -> None:
        """Deletes the database: what it was for is over."""
        self.close()
        for ending in ("", "-journal"):
            if os.path.exists(self._path + ending):
                os.unlink(self._path + ending)
