"""Places, rows and servers for the tests."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cohobate import binary

PACKAGE = Path(__file__).resolve().parent.parent


def row(number: int, turns: int = 1) -> dict[str, Any]:
    """Returns a conversation with that number in its id and its words."""
    said = [(f"question {number} {turn}", "old") for turn in range(turns)]
    both = (({"role": "user", "content": user}, {"role": "assistant", "content": old}) for user, old in said)
    return {"id": f"r{number}", "messages": [message for pair in both for message in pair]}


def conversations(count: int, turns: int = 1) -> list[dict[str, Any]]:
    return [row(number, turns) for number in range(count)]


@contextmanager
def server(latency_ms: int) -> Iterator[str]:
    """Serves the simulated model; gives the teacher's name and address."""
    command = [binary.find(), "mock", "--port", "0", "--latency", str(latency_ms)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        assert process.stdout is not None
        address = None
        while address is None:
            address = re.search(r"127\.0\.0\.1:\d+", process.stdout.readline())
        yield f"m@http://{address.group()}/v1"
    finally:
        process.kill()
        process.wait()


def asked(teacher: str) -> int:
    """Returns how many questions the server of a teacher has received."""
    address = teacher.split("@")[1].replace("/v1", "/stats")
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(address, timeout=10) as reply:
        return int(json.load(reply)["requests"])


def until(condition: Callable[[], bool], complaint: str, limit_s: int = 120) -> None:
    """Waits for a condition. The limit is for a test that would never end."""
    started = time.monotonic()
    while not condition():
        assert time.monotonic() - started < limit_s, complaint
        time.sleep(0.05)


def program(text: str, place: Path) -> subprocess.Popen[str]:
    """Starts a program of Python that has the package and `support`, in a place of its own."""
    path = os.pathsep.join([str(PACKAGE), str(PACKAGE / "tests")])
    environment = {**os.environ, "PYTHONPATH": path, "TMPDIR": str(place)}
    # A shell that started the tests in the background has them ignore Ctrl-C.
    text = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n" + text
    return subprocess.Popen(
        [sys.executable, "-c", text],
        cwd=place,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def processes_of(place: Path) -> list[int]:
    """Returns the processes whose working directory is that place."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                if os.readlink(f"/proc/{name}/cwd") == str(place):
                    found.append(int(name))
            except OSError:
                continue
    return found
