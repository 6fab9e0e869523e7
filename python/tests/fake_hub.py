"""A Hub on loopback: what `huggingface_hub`, `datasets` and the command ask of the real one, in memory."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Callable, Optional
from urllib.parse import parse_qs, unquote, urlsplit

from fake_xet import XetStore

# What the Hub's `.gitattributes` of a new dataset has as large files.
LARGE = (".parquet", ".arrow", ".gz", ".zst")
PAGE = 50


@dataclass(frozen=True)
class Entry:
    """A file of a commit."""

    content: bytes
    is_large: bool

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()

    @property
    def oid(self) -> str:
        """The hash that git knows: of the content, or of the pointer to it."""
        stored = f"oid sha256:{self.sha256}".encode() if self.is_large else self.content
        return hashlib.sha1(b"blob %d\0" % len(stored) + stored).hexdigest()

    @property
    def etag(self) -> str:
        return self.sha256 if self.is_large else self.oid

    def listed(self, path: str) -> dict[str, Any]:
        found: dict[str, Any] = {"type": "file", "path": path, "oid": self.oid, "size": len(self.content)}
        if self.is_large:
            found["lfs"] = {"oid": self.sha256, "size": len(self.content), "pointerSize": 134}
        return found


Files = dict[str, Entry]


@dataclass
class Repository:
    """A dataset: its commits, oldest first, and the branches that are not `main`."""

    commits: list[tuple[str, Files, str]] = field(default_factory=list)
    is_gated: bool = False

    def commit(self, files: Files, summary: str) -> str:
        oid = hashlib.sha1(repr((len(self.commits), sorted(files.items()), summary)).encode()).hexdigest()
        self.commits.append((oid, files, summary))
        return oid

    def at(self, revision: str) -> Optional[tuple[str, Files]]:
        if revision in ("main", "HEAD") and self.commits:
            return self.commits[-1][:2]
        return next(((oid, files) for oid, files, _ in self.commits if oid == revision), None)

    @property
    def files(self) -> Files:
        return self.commits[-1][1]


@dataclass
class Hub:
    """What the Hub knows, what it was asked, and what goes wrong on it."""

    url: str = ""
    repositories: dict[str, Repository] = field(default_factory=dict)
    requests: list[tuple[str, str]] = field(default_factory=list)
    """Method and path of every request."""
    tokens: list[tuple[str, Optional[str]]] = field(default_factory=list)
    """Host and path, and the token that came with it."""
    large: dict[str, bytes] = field(default_factory=dict)
    xet: XetStore = field(default_factory=XetStore)
    uploaded: list[str] = field(default_factory=list)
    """The SHA-256 of each content that arrived over LFS."""
    token: Optional[str] = None
    """Where there is one, nothing can be read without it."""
    cuts: list[int] = field(default_factory=list)
    """Each cuts one download after that many bytes."""
    damages: int = 0
    """That many downloads arrive with another content."""
    elsewhere: Optional[str] = None
    """Where large files are redirected to, instead of another name of this server."""
    before_commit: Optional[Callable[[str], None]] = None
    """Called with the summary before a commit is made."""
    sent: int = 0
    """Bytes of files that were sent."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def dataset(self, name: str, files: dict[str, bytes]) -> str:
        """Makes a commit with these files, and returns it."""
        entries = {path: Entry(content, path.endswith(LARGE)) for path, content in files.items()}
        return self.repositories.setdefault(name, Repository()).commit(entries, "files of a test")

    def content(self, sha256: str) -> Optional[bytes]:
        if sha256 in self.large:
            return self.large[sha256]
        return self.xet.content(sha256)

    def count(self, method: str, part: str) -> int:
        return sum(1 for asked, path in self.requests if asked == method and part in path)


@contextmanager
def hub() -> Iterator[Hub]:
    """Serves an empty Hub."""
    state = Hub()

    class Handler(Requests):
        hub = state

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    state.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()


class Requests(BaseHTTPRequestHandler):
    """Answers one request after the other of a connection."""

    hub: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        self.answer()

    def do_HEAD(self) -> None:
        self.answer()

    def do_POST(self) -> None:
        self.answer()

    def do_PUT(self) -> None:
        self.answer()

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.headers.get("Transfer-Encoding") == "chunked":
            body = self.chunked()
        url = urlsplit(self.path)
        token = (self.headers.get("Authorization") or "").removeprefix("Bearer ") or None
        with self.hub.lock:
            self.hub.requests.append((self.command, self.path))
            self.hub.tokens.append((f"{self.headers['Host']}{url.path}", token))
        parts = [unquote(part) for part in url.path.strip("/").split("/")]
        if parts[0] == "cas":
            status, found = self.hub.xet.answer(self.command, parts[1:], body)
            return self.send(status, found)
        if parts[0] == "cdn":
            return self.stored(parts[1], body)
        if self.hub.token is not None and token != self.hub.token:
            return self.refuse(401, "RepoNotFound", "Invalid username or password.")
        if parts[0] == "api":
            return self.api(parts[1:], parse_qs(url.query), body)
        if parts[0] == "datasets" and parts[3:4] == ["resolve"]:
            return self.resolve("/".join(parts[1:3]), parts[4], "/".join(parts[5:]))
        if parts[0] == "datasets" and parts[-1] == "batch":
            return self.batch(json.loads(body))
        return self.refuse(404, "EntryNotFound", self.path)

    def chunked(self) -> bytes:
        body = b""
        while True:
            size = int(self.rfile.readline().split(b";")[0], 16)
            body += self.rfile.read(size)
            self.rfile.readline()
            if size == 0:
                return body

    def api(self, parts: list[str], query: dict[str, list[str]], body: bytes) -> None:
        if parts == ["validate-yaml"]:
            return self.send(200, {"errors": [], "warnings": []})
        if parts == ["whoami-v2"]:
            return self.send(200, {"type": "user", "name": "somebody", "auth": {}})
        if parts == ["repos", "create"]:
            asked = json.loads(body)
            name = f"{asked['organization']}/{asked['name']}"
            if name in self.hub.repositories:
                return self.send(409, {"error": "You already created it", "url": f"{self.hub.url}/datasets/{name}"})
            self.hub.dataset(name, {".gitattributes": b"*.parquet filter=lfs\n"})
            return self.send(200, {"url": f"{self.hub.url}/datasets/{name}", "id": name})
        name, verb = "/".join(parts[1:3]), parts[3:]
        repository = self.hub.repositories.get(name)
        if parts[0] != "datasets" or repository is None:
            return self.refuse(404, "RepoNotFound", "Repository not found")
        if repository.is_gated:
            return self.refuse(403, "GatedRepo", "Access to this dataset is restricted")
        revision = verb[1] if len(verb) > 1 else "main"
        found = repository.at(revision)
        if found is None:
            return self.refuse(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        oid, files = found
        if not verb or verb[0] == "revision":
            siblings = [{"rfilename": path} for path in files]
            about = {"id": name, "sha": oid, "siblings": siblings, "private": False, "gated": False, "tags": []}
            return self.send(200, {**about, "downloads": 0, "likes": 0, "lastModified": "2026-01-01T00:00:00.000Z"})
        if verb[0] == "tree":
            return self.tree(files, "/".join(verb[2:]), query)
        if verb[0] == "paths-info":
            wanted = parse_qs(body.decode()).get("paths") if body[:1] != b"{" else json.loads(body)["paths"]
            return self.send(200, [files[path].listed(path) for path in wanted or [] if path in files])
        if verb[0] == "preupload":
            return self.preupload(files, json.loads(body))
        if verb[0] in ("xet-write-token", "xet-read-token"):
            headers = {"X-Xet-Cas-Url": f"{self.hub.url}/cas", "X-Xet-Access-Token": "xet"}
            headers["X-Xet-Token-Expiration"] = "4102444800"
            about = {"casUrl": headers["X-Xet-Cas-Url"], "accessToken": "xet", "exp": 4102444800}
            return self.send(200, about, headers)
        if verb[0] == "commit":
            return self.commit(name, repository, body)
        return self.refuse(404, "EntryNotFound", self.path)

    def tree(self, files: Files, folder: str, query: dict[str, list[str]]) -> None:
        start = f"{folder}/" if folder else ""
        inside = sorted(path for path in files if path.startswith(start))
        listed: list[dict[str, Any]] = [files[path].listed(path) for path in inside]
        folders = {start + path[len(start) :].rsplit("/", 1)[0] for path in inside if "/" in path[len(start) :]}
        if query.get("recursive", ["false"])[0].lower() != "true":
            listed = [each for each in listed if "/" not in each["path"][len(start) :]]
            folders = {start + path[len(start) :].split("/")[0] for path in inside if "/" in path[len(start) :]}
        listed += [{"type": "directory", "path": each, "oid": "0" * 40, "size": 0} for each in sorted(folders)]
        if not listed:
            return self.refuse(404, "EntryNotFound", folder)
        at = int(query.get("cursor", ["0"])[0])
        headers = {}
        if at + PAGE < len(listed):
            path = urlsplit(self.path).path
            headers["Link"] = f'<{self.hub.url}{path}?recursive=true&cursor={at + PAGE}>; rel="next"'
        self.send(200, listed[at : at + PAGE], headers)

    def preupload(self, files: Files, asked: dict[str, Any]) -> None:
        modes = []
        for each in asked["files"]:
            path = each["path"]
            mode = "lfs" if path.endswith(LARGE) else "regular"
            there = files.get(path)
            oid = there.etag if there is not None else None
            modes.append({"path": path, "uploadMode": mode, "shouldIgnore": False, "oid": oid})
        self.send(200, {"files": modes})

    def batch(self, asked: dict[str, Any]) -> None:
        objects = []
        for each in asked["objects"]:
            answer = {"oid": each["oid"], "size": each["size"], "authenticated": True}
            if self.hub.content(each["oid"]) is None:
                answer["actions"] = {"upload": {"href": f"{self.hub.url}/cdn/{each['oid']}"}}
            objects.append(answer)
        self.send(200, {"transfer": "basic", "objects": objects})

    def commit(self, name: str, repository: Repository, body: bytes) -> None:
        lines = [json.loads(line) for line in body.splitlines() if line]
        header = next(line["value"] for line in lines if line["key"] == "header")
        if self.hub.before_commit is not None:
            self.hub.before_commit(header["summary"])
        with self.hub.lock:
            files = dict(repository.files)
            parent = header.get("parentCommit")
            if parent is not None and parent != repository.commits[-1][0]:
                return self.refuse(412, "PreconditionFailed", "A commit has happened since.")
            for line in lines:
                value = line["value"]
                if line["key"] == "file":
                    files[value["path"]] = Entry(base64.b64decode(value["content"]), False)
                elif line["key"] == "lfsFile":
                    content = self.hub.content(value["oid"])
                    if content is None or len(content) != value["size"]:
                        return self.refuse(400, "BadRequest", f"LFS file {value['path']} was not uploaded")
                    files[value["path"]] = Entry(content, True)
                elif line["key"] == "deletedFile":
                    del files[value["path"]]
                elif line["key"] == "deletedFolder":
                    folder = value["path"].rstrip("/") + "/"
                    files = {path: entry for path, entry in files.items() if not path.startswith(folder)}
            oid = repository.commit(files, header["summary"])
        url = f"{self.hub.url}/datasets/{name}/commit/{oid}"
        self.send(200, {"success": True, "commitUrl": url, "commitOid": oid, "hookOutput": ""})

    def resolve(self, name: str, revision: str, path: str) -> None:
        repository = self.hub.repositories.get(name)
        found = repository.at(revision) if repository is not None else None
        if found is None:
            return self.refuse(404, "RevisionNotFound" if repository else "RepoNotFound", revision)
        oid, files = found
        if path not in files:
            return self.refuse(404, "EntryNotFound", path)
        entry = files[path]
        headers = {"X-Repo-Commit": oid, "ETag": f'"{entry.etag}"', "X-Linked-Etag": f'"{entry.etag}"'}
        headers["X-Linked-Size"] = str(len(entry.content))
        if entry.is_large:
            self.hub.large.setdefault(entry.sha256, entry.content)
            host = self.hub.elsewhere or self.hub.url.replace("127.0.0.1", "localhost")
            return self.send(302, b"", {**headers, "Location": f"{host}/cdn/{entry.sha256}?signature=secret"})
        self.whole_or_part(entry.content, headers)

    def stored(self, sha256: str, body: bytes) -> None:
        if self.command == "PUT":
            if hashlib.sha256(body).hexdigest() != sha256:
                return self.refuse(400, "BadDigest", sha256)
            with self.hub.lock:
                self.hub.large[sha256] = body
                self.hub.uploaded.append(sha256)
            return self.send(200, b"")
        content = self.hub.large.get(sha256)
        if content is None:
            return self.refuse(404, "EntryNotFound", sha256)
        self.whole_or_part(content, {"ETag": f'"{sha256}"'})

    def whole_or_part(self, content: bytes, headers: dict[str, str]) -> None:
        with self.hub.lock:
            is_read = self.command == "GET"
            cut = self.hub.cuts.pop(0) if self.hub.cuts and is_read else None
            if self.hub.damages and is_read:
                self.hub.damages -= 1
                content = bytes(len(content))
        asked = (self.headers.get("Range") or "").removeprefix("bytes=")
        if not asked:
            return self.send(200, content, {**headers, "Accept-Ranges": "bytes"}, cut)
        start, _, end = asked.partition("-")
        first, last = int(start), min(int(end or len(content)), len(content) - 1)
        if first > last:
            return self.send(416, b"", {"Content-Range": f"bytes */{len(content)}"})
        where = {"Content-Range": f"bytes {first}-{last}/{len(content)}"}
        if is_read:
            self.hub.sent += last + 1 - first
        self.send(206, content[first : last + 1], {**headers, **where}, cut)

    def refuse(self, status: int, code: str, message: str) -> None:
        self.send(status, {"error": message}, {"X-Error-Code": code, "X-Error-Message": message})

    def send(self, status: int, found: Any, headers: Optional[dict[str, str]] = None, cut: Optional[int] = None) -> None:
        body = found if isinstance(found, bytes) else json.dumps(found).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        if not isinstance(found, bytes):
            self.send_header("Content-Type", "application/json")
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        if cut is not None and cut < len(body):
            self.wfile.write(body[:cut])
            self.wfile.flush()
            self.close_connection = True
            self.connection.close()
            return
        self.wfile.write(body)
