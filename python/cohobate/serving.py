"""The server on loopback that the command asks in place of a model: one for each run, for the functions of that run.

Only who has the run's random token is answered. It is given to the command in its environment, and to nobody else.
"""

from __future__ import annotations

import hmac
import json
import os
import secrets
import shlex
import shutil
import sys
import tempfile
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Optional

from . import replies
from .callables import Judge, Rule, Served, Tools

HOST = "127.0.0.1"
# A request is a conversation, or two.
BODY_BYTES_MAX = 64 << 20
# How long a connection may be silent; the command closes idle ones sooner.
IDLE_S = 60.0
# The name of the command for tools, as it is stored.
TOOL_COMMAND = "cohobate-tool"
CALLER, CALLER_KEY = "COHOBATE_CALLER", "COHOBATE_CALLER_KEY"
HERE = os.path.dirname(os.path.abspath(__file__))


class Serving:
    """Serves functions until it is closed. `options` and `environment` are for the command."""

    def __init__(self, functions: Mapping[str, Served], place: Optional[str] = None) -> None:
        """Begins to serve. `place` is where the command for tools goes, in a directory of its own; else that of `TMPDIR`."""
        self._token = secrets.token_hex(32)
        self._server = _Server((HOST, 0), _Requests)
        self._server.token = self._token
        self._server.functions = {each.identity: replies.Function(each) for each in functions.values()}
        self._directory: Optional[str] = None
        self.address = f"http://{HOST}:{self._server.server_address[1]}"
        self.options = {name: option for name, each in functions.items() for name, option in self._options(name, each)}
        if any(isinstance(each, Tools) for each in functions.values()):
            self._directory = _with_tool_command(place)
        self._lock = threading.Lock()
        self._is_closed = False
        thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), name="cohobate-functions", daemon=True)
        thread.start()

    def _options(self, name: str, served: Served) -> list[tuple[str, Any]]:
        if isinstance(served, Tools):
            return [(name, f"{TOOL_COMMAND} {served.identity}")]
        found: list[tuple[str, Any]] = [(name, f"{served.identity}@{self.address}/v1")]
        if isinstance(served, Judge):
            # Known answers say nothing about a function that looks for something else.
            found += [("prompt", os.path.join(HERE, "judge.txt"))]
        if isinstance(served, Rule):
            found += [("min_score", 1)]
        return found

    @property
    def directory(self) -> Optional[str]:
        """What is to be deleted at the end, where there is something."""
        return self._directory

    @property
    def environment(self) -> dict[str, str]:
        """The environment of the command."""
        own = {**os.environ, CALLER: self.address, CALLER_KEY: self._token}
        for name in ("NO_PROXY", "no_proxy"):
            if own.get(name) or name == "NO_PROXY":
                own[name] = ",".join(filter(None, [own.get(name), HOST]))
        if self._directory is not None:
            own["PATH"] = os.pathsep.join([self._directory, own.get("PATH", os.defpath)])
        return own

    def close(self) -> None:
        """Ends the server; a second time does nothing."""
        with self._lock:
            if self._is_closed:
                return
            self._is_closed = True
        self._server.shutdown()
        self._server.server_close()
        if self._directory is not None:
            shutil.rmtree(self._directory, ignore_errors=True)


def _with_tool_command(place: Optional[str]) -> str:
    """Writes the command for tools into a directory of its own, for the PATH: its name stays the same in every run."""
    directory = tempfile.mkdtemp(prefix="cohobate-tool-", dir=place)
    path = os.path.join(directory, TOOL_COMMAND)
    client = shlex.join([sys.executable, "-I", "-S", os.path.join(HERE, "tool_client.py")])
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o700), "w", encoding="utf-8") as file:
        file.write(f'#!/bin/sh\nexec {client} "$@"\n')
    return directory


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    # As many connections as the command opens at once.
    request_queue_size = 1024
    token: str
    functions: dict[str, replies.Function]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Says nothing: the command was stopped while it waited."""


class _Requests(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = IDLE_S
    server: _Server  # pyright: ignore[reportIncompatibleVariableOverride]

    def log_message(self, format: str, *_: Any) -> None:
        """Logs nothing."""

    def do_GET(self) -> None:
        self._send(404, {"error": {"message": "functions answer questions alone"}})

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length") or -1)
        if not 0 <= length <= BODY_BYTES_MAX:
            self.close_connection = True
            return self._send(413, {"error": {"message": f"a request has at most {BODY_BYTES_MAX >> 20} MB"}})
        given = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
        if not hmac.compare_digest(given.encode(), self.server.token.encode()):
            self.close_connection = True
            return self._send(401, {"error": {"message": "this server is another program's"}})
        try:
            body = json.loads(self.rfile.read(length))
        except ValueError:
            body = None
        if not isinstance(body, dict):
            return self._send(400, {"error": {"message": "the request is no JSON object"}})
        function = self.server.functions.get(str(body.get("model")))
        if function is None:
            return self._send(404, {"error": {"message": "there is no such function"}})
        self._send(*function.reply(body))

    def _send(self, status: int, reply: dict[str, Any]) -> None:
        body = json.dumps(reply, ensure_ascii=False).encode(errors="replace")
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
