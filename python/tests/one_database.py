"""A PostgreSQL of the distribution in a directory of its own, run by a user who is not root."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PASSWORD = "only-for-this-test"


@contextmanager
def one_database() -> Iterator[str]:
    """Starts a server as compose.yaml does: a user, a database and a password. Gives the address, without the password."""
    binaries = newest()
    place = Path(tempfile.mkdtemp(prefix="postgres-", dir="/tmp"))
    (place / "password").write_text(PASSWORD)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = f"-k {place} -p {port} -c listen_addresses=127.0.0.1 -c fsync=off"
    data = f"{place / 'data'}"
    server = [f"{binaries / 'pg_ctl'}", "-w", "-D", data]
    try:
        if os.geteuid() == 0:
            for path in (place, place / "password"):
                shutil.chown(path, "nobody")
        line = [f"{binaries / 'initdb'}", "-A", "scram-sha-256", f"--pwfile={place / 'password'}", "-U", "cohobate", "-N"]
        as_nobody(place, [*line, "-E", "UTF8", "--locale=C", "-D", data])
        as_nobody(place, [*server, "-o", options, "-l", f"{place / 'log'}", "start"])
        as_nobody(place, [f"{binaries / 'createdb'}", "-h", "127.0.0.1", "-p", f"{port}", "-U", "cohobate", "distill"])
        yield f"postgres://cohobate@127.0.0.1:{port}/distill"
    finally:
        if (place / "data" / "postmaster.pid").exists():
            as_nobody(place, [*server, "-m", "immediate", "stop"])
        shutil.rmtree(place, ignore_errors=True)


class Unavailable(Exception):
    """PostgreSQL is not installed."""


def newest() -> Path:
    """Returns the directory of the programs of the newest PostgreSQL that is installed."""
    installed = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    versions = [path.parent for path in installed if path.parent.parent.name.isdigit()]
    if versions:
        return max(versions, key=lambda path: int(path.parent.name))
    elsewhere = shutil.which("initdb")
    if elsewhere is None:
        raise Unavailable("PostgreSQL is not installed")
    return Path(elsewhere).resolve().parent


def as_nobody(place: Path, line: list[str]) -> None:
    """Runs a program that refuses to be run by root."""
    if os.geteuid() == 0:
        line = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "--", *line]
    environment = {**os.environ, "PGPASSWORD": PASSWORD}
    # A pipe would stay open as long as the server runs.
    with tempfile.TemporaryFile("w+") as output:
        done = subprocess.run(line, cwd=place, env=environment, stdout=output, stderr=output, timeout=120)
        output.seek(0)
        assert done.returncode == 0, output.read()
