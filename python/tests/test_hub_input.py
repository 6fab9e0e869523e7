"""Datasets of the Hub as input, from a Hub on loopback."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import cohobate
from cohobate import binary
from fake_hub import Hub, Repository, hub
from support import conversations

CARD = b"""---
configs:
- config_name: en
  default: true
  data_files:
  - {split: train, path: data/train-*}
  - {split: test, path: data/test.jsonl}
- config_name: de
  data_files: de.jsonl
---
"""
NAME = "somebody/talks"


def lines(rows: list[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


@pytest.fixture
def remote(place: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A Hub with a dataset of five files, and nothing of it in the cache."""
    monkeypatch.setenv("HF_HOME", str(place / "hf"))
    for variable in ("HF_TOKEN", "HF_TOKEN_PATH", "HF_HUB_CACHE", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(variable, raising=False)
    with hub() as state:
        monkeypatch.setenv("HF_ENDPOINT", state.url)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
        rows = conversations(8)
        files = {
            "README.md": CARD,
            "data/train-00000.jsonl": lines(rows[:3]),
            "data/train-00001.jsonl.gz": packed(lines(rows[3:5])),
            "data/test.jsonl": lines(rows[5:7]),
            "de.jsonl": lines(rows[7:]),
        }
        state.dataset(NAME, files)
        yield state


def packed(content: bytes) -> bytes:
    import gzip

    return gzip.compress(content, mtime=0)


def ids(source: str, **options: Any) -> list[str]:
    return [row["id"] for row in cohobate.convert(source, to="openai", **options).rows()]


def test_the_card_chooses_the_files_and_only_those_are_downloaded(remote: Hub) -> None:
    assert ids(f"hf://datasets/{NAME}") == ["r0", "r1", "r2", "r3", "r4"]
    read = [path for method, path in remote.requests if "/resolve/" in path]
    assert len(read) == 3 and not any("test" in path or "de." in path for path in read)
    assert ids(f"hf://datasets/{NAME}#en/test") == ["r5", "r6"]
    assert ids(f"hf://datasets/{NAME}#de") == ["r7"]
    assert ids(f"hf://datasets/{NAME}#/test") == ids(f"hf://datasets/{NAME}", split="test") == ["r5", "r6"]
    assert ids(f"hf://datasets/{NAME}/data/train-00000.jsonl") == ["r0", "r1", "r2"]
    assert ids(f"hf://datasets/{NAME}@main/data") == ["r5", "r6", "r0", "r1", "r2", "r3", "r4"]
    # Each file was downloaded once.
    read = [path for method, path in remote.requests if "/resolve/" in path]
    assert len(read) == len(set(read)) == 5


def test_a_run_names_the_commit_and_resumes_from_the_cache_alone(remote: Hub, place: Path) -> None:
    source = f"hf://datasets/{NAME}"
    commit = remote.repositories[NAME].commits[-1][0]
    run = cohobate.distill(source, teacher="simulated")
    assert len(list(run.rows())) == 5 and run.summary is not None and run.summary.answered == 5
    assert run.conversation("r4")["turns"][0]["said"][0]["text"] == "question 4 0"
    log = "".join(path.read_text() for path in (place / ".cohobate" / "runs").iterdir() if path.is_file())
    assert f"{source}@{commit}/data/train-00000.jsonl" in log
    before = len(remote.requests)
    pinned = cohobate.distill(f"{source}@{commit}", teacher="simulated").wait()
    assert pinned.summary is not None and (pinned.summary.reused, pinned.summary.answered) == (5, 0)
    assert len(remote.requests) == before
    # A branch that has moved is another commit: what is new in it is asked.
    remote.dataset(NAME, {"README.md": CARD, "data/train-0.jsonl": lines(conversations(6)), "data/test.jsonl": b""})
    moved = cohobate.distill(source, teacher="simulated").wait()
    assert moved.summary is not None and (moved.summary.reused, moved.summary.answered) == (5, 1)


def test_without_a_network_what_is_cached_is_read(remote: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    source = f"hf://datasets/{NAME}"
    with monkeypatch.context() as offline:
        offline.setenv("HF_HUB_OFFLINE", "1")
        with pytest.raises(cohobate.UsageError, match="HF_HUB_OFFLINE"):
            ids(source)
        assert remote.requests == []
    assert len(ids(source)) == 5
    before = len(remote.requests)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert len(ids(source)) == 5 and len(remote.requests) == before


def test_a_download_that_is_cut_is_resumed(remote: Hub, place: Path) -> None:
    rows = conversations(2000)
    content = lines(rows)
    remote.dataset("somebody/long", {"rows.jsonl.gz": packed(content), "rows.jsonl": content})
    remote.cuts = [70_000, 20_000]
    assert len(ids("hf://datasets/somebody/long/rows.jsonl")) == 2000
    ranges = [path for _, path in remote.requests if path.endswith("/resolve/" + remote.repositories["somebody/long"].commits[-1][0] + "/rows.jsonl")]
    assert len(ranges) == 3 and remote.cuts == []
    blob = place / "hf/hub/datasets--somebody--long/blobs"
    assert [path.name for path in blob.iterdir() if "incomplete" in path.name] == []


def test_a_download_continues_what_a_killed_process_has_left(remote: Hub, place: Path) -> None:
    content = packed(lines(conversations(3000)))
    remote.dataset("somebody/long", {"rows.jsonl.gz": content})
    sha256 = hashlib.sha256(content).hexdigest()
    blobs = place / "hf/hub/datasets--somebody--long/blobs"
    blobs.mkdir(parents=True)
    half = len(content) // 2
    (blobs / f"{sha256}.cohobate.incomplete").write_bytes(content[:half])
    remote.sent = 0
    assert len(ids("hf://datasets/somebody/long")) == 3000
    assert remote.sent == len(content) - half
    assert (blobs / sha256).read_bytes() == content


def test_what_arrives_damaged_is_downloaded_again_and_then_refused(remote: Hub) -> None:
    remote.dataset("somebody/packed", {"rows.jsonl.gz": packed(lines(conversations(3)))})
    remote.damages = 1
    assert len(ids("hf://datasets/somebody/packed")) == 3
    remote.dataset("somebody/other", {"rows.jsonl.gz": packed(lines(conversations(4)))})
    remote.damages = 100
    with pytest.raises(cohobate.Stopped, match="another content"):
        ids("hf://datasets/somebody/other")


def test_the_token_goes_to_the_hub_alone_and_is_shown_nowhere(
    remote: Hub, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    remote.token = "hf_secret_of_a_test"
    source = f"hf://datasets/{NAME}"
    with pytest.raises(cohobate.UsageError) as caught:
        ids(source)
    assert caught.value.hint is not None and "HF_TOKEN" in caught.value.hint
    monkeypatch.setenv("HF_TOKEN", "hf_wrong_of_a_test")
    with pytest.raises(cohobate.UsageError, match="does not accept the token"):
        ids(source)
    monkeypatch.setenv("HF_TOKEN", remote.token)
    run = cohobate.distill(source, teacher="simulated", verbose=True).wait()
    assert run.exit_code == 0
    elsewhere = [token for where, token in remote.tokens if where.startswith("localhost")]
    assert elsewhere == [None] and any(token == remote.token for where, token in remote.tokens)
    for path in place.rglob("*"):
        if path.is_file() and not path.is_symlink():
            assert b"_of_a_test" not in path.read_bytes(), path
    # As `hf auth login` stores it.
    monkeypatch.delenv("HF_TOKEN")
    (place / "hf/token").write_text("hf_secret_of_a_test\n")
    assert len(ids(source + "#de")) == 1


def test_each_refusal_says_what_to_do(remote: Hub) -> None:
    def refusal(source: str) -> cohobate.CohobateError:
        with pytest.raises(cohobate.UsageError) as caught:
            ids(source)
        assert caught.value.hint
        return caught.value

    assert "no revision v9" in refusal(f"hf://datasets/{NAME}@v9").text
    assert "private" in refusal("hf://datasets/somebody/nothing").text
    assert "has no file" in refusal(f"hf://datasets/{NAME}/x.jsonl").text
    assert "no configuration fr" in refusal(f"hf://datasets/{NAME}#fr").text
    assert "no split dev" in refusal(f"hf://datasets/{NAME}#en/dev").text
    assert "only datasets" in refusal("hf://models/a/b").text
    remote.dataset("somebody/gated", {"rows.jsonl": lines(conversations(1))})
    remote.repositories["somebody/gated"].is_gated = True
    gated = refusal("hf://datasets/somebody/gated")
    assert "gated" in gated.text and f"{remote.url}/datasets/somebody/gated" in str(gated.hint)
    remote.repositories["somebody/empty"] = Repository()
    remote.dataset("somebody/empty", {"README.md": b"nothing"})
    assert "no file in it ends in" in refusal("hf://datasets/somebody/empty").text


def test_a_hub_that_is_not_there_is_an_early_stop(
    remote: Hub, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    command = [binary.find(), "inspect", f"hf://datasets/{NAME}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 75 and "cannot be read" in done.stderr and "hint: run the same command again" in done.stderr


def test_the_command_pushes_nothing(remote: Hub) -> None:
    for output in ("hf://datasets/somebody/out", "hf://x"):
        command = [binary.find(), "distill", f"hf://datasets/{NAME}", "--teacher", "simulated", "-o", output]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 2 and "push_to_hub" in done.stderr, done.stderr
    assert not os.path.exists("hf:")
