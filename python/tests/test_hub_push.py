"""Rows that go to a Hub on loopback, with the real `huggingface_hub`, and are read there by `datasets`."""

from __future__ import annotations

import gzip
import importlib.util
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable

import pytest

import cohobate
from cohobate.card import with_progress, without_progress
from cohobate.pushed import Pushed
from fake_hub import Entry, Hub, hub
from support import PACKAGE, conversations, processes_of, server

NAME = "somebody/distilled"
OUTPUT = f"hf://datasets/{NAME}"


def missing(*modules: str) -> bool:
    return any(importlib.util.find_spec(module) is None for module in modules)


needs_hub = pytest.mark.skipif(missing("huggingface_hub"), reason="skipped: huggingface_hub is not installed")
needs_datasets = pytest.mark.skipif(missing("datasets", "pyarrow"), reason="skipped: datasets is not installed")
needs_xet = pytest.mark.skipif(missing("hf_xet", "pyarrow"), reason="skipped: hf_xet is not installed")


@pytest.fixture
def remote(place: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """An empty Hub. Its client reads its settings when it is imported, so that each program of a test is a process."""
    with hub() as state:
        state.token = "hf_of_a_test"
        for name, value in environment(state, place).items():
            monkeypatch.setenv(name, value)
        yield state


def environment(state: Hub, place: Path) -> dict[str, str]:
    return {
        "HF_ENDPOINT": state.url,
        "HF_HOME": str(place / "hf"),
        "HF_TOKEN": "hf_of_a_test",
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "NO_PROXY": "127.0.0.1,localhost",
        "PYTHONPATH": os.pathsep.join([str(PACKAGE), str(PACKAGE / "tests")]),
    }


HEAD = "import json, sys, cohobate\nfrom support import conversations\n"


def start(text: str, place: Path, **variables: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", HEAD + text],
        cwd=place,
        env={**os.environ, "TMPDIR": str(place / "temporary"), **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(text: str, place: Path, **variables: str) -> str:
    """Runs a program, and returns what it prints."""
    child = start(text, place, **variables)
    out, said = child.communicate(timeout=180)
    assert child.returncode == 0, said
    assert "hf_of_a_test" not in out + said
    return out.strip()


def until(holds: Callable[[], bool], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it takes too long"
        time.sleep(0.05)


def files(state: Hub) -> dict[str, Entry]:
    return state.repositories[NAME].files


def commits(state: Hub) -> list[str]:
    return [summary for _, _, summary in state.repositories[NAME].commits[1:]]


LOADED = f"""
import datasets, huggingface_hub
found = datasets.load_dataset("{NAME}", split="train")
print(len(found), found[0]["id"], found[0]["messages"][0]["content"])
print(sorted(huggingface_hub.HfApi().list_repo_files("{NAME}", repo_type="dataset")))
"""
DISTIL = 'run = cohobate.distill(conversations(300), teacher="simulated", output="OUTPUT").wait()\n'.replace("OUTPUT", OUTPUT)


@needs_hub
@needs_datasets
def test_shards_and_card_are_pushed_in_one_commit_and_read_by_other_clients(remote: Hub, place: Path) -> None:
    assert len(run(DISTIL + "print(run.pushed)", place)) == 40
    assert commits(remote) == ["1 shard by cohobate"]
    assert sorted(files(remote)) == [".gitattributes", "README.md", "data/train-00000-of-00001.parquet"]
    assert files(remote)["data/train-00000-of-00001.parquet"].is_large and not files(remote)["README.md"].is_large
    assert remote.uploaded == [files(remote)["data/train-00000-of-00001.parquet"].sha256]
    loaded = run(LOADED, place).splitlines()
    assert loaded[0] == "300 r0 question 0 0" and "data/train-00000-of-00001.parquet" in loaded[1]
    # The command reads it as any input.
    assert len(list(cohobate.convert(OUTPUT, output="back.jsonl").rows())) == 300


@needs_hub
@needs_datasets
@needs_xet
def test_uploads_over_xet_arrive_whole(remote: Hub, place: Path) -> None:
    run(DISTIL, place, HF_HUB_DISABLE_XET="0")
    shard = files(remote)["data/train-00000-of-00001.parquet"]
    assert remote.uploaded == [] and len(remote.xet.blocks) >= 1 and remote.xet.content(shard.sha256) == shard.content
    assert shard.content == (place / ".cohobate/hub/somebody--distilled/data/train-00000-of-00001.parquet").read_bytes()
    assert run(LOADED, place, HF_HUB_DISABLE_XET="0").startswith("300 r0")
    before, blocks = len(remote.repositories[NAME].commits), len(remote.xet.blocks)
    assert run(DISTIL + "print(run.pushed)", place, HF_HUB_DISABLE_XET="0") == "None"
    assert (len(remote.repositories[NAME].commits), len(remote.xet.blocks)) == (before, blocks)


@needs_hub
def test_nothing_is_pushed_twice(remote: Hub, place: Path) -> None:
    run(DISTIL, place)
    asked = len(remote.requests)
    assert run(DISTIL + f'print(run.pushed, run.push_to_hub("{NAME}"))', place) == "None None"
    assert len(commits(remote)) == 1 and len(remote.uploaded) == 1
    assert not any(method == "POST" and "/commit/" in path for method, path in remote.requests[asked:])
    # Another number of rows is another shard, which takes the place of the first.
    more = DISTIL.replace("conversations(300)", "conversations(301)")
    assert run(more + "print(run.summary.reused, run.summary.answered)", place) == "300 1"
    assert len(commits(remote)) == 2 and len(remote.uploaded) == 2 and len(files(remote)) == 3


@needs_hub
def test_a_file_of_rows_is_pushed_as_shards(remote: Hub, place: Path) -> None:
    text = f"""
run = cohobate.distill(conversations(20), teacher="simulated")
print(run.push_to_hub("{NAME}", private=True, message="mine"))
filtered = cohobate.filter("distilled.jsonl", output="kept/")
print(filtered.push_to_hub("somebody/kept"))
try:
    cohobate.convert("distilled.jsonl").push_to_hub("somebody/kept")
except cohobate.RowsError as error:
    print(error.hint)
"""
    first, second, hint = run(text, place).splitlines()
    assert len(first) == len(second) == 40 and "output=" in hint
    assert commits(remote) == ["mine"] and "data/train-00000-of-00001.parquet" in files(remote)
    assert "data/train-00000-of-00001.parquet" in remote.repositories["somebody/kept"].files


@needs_hub
def test_stale_shards_go_in_the_same_commit_and_other_files_stay(remote: Hub, place: Path) -> None:
    old = {f"data/train-{number:05}-of-00002.parquet": b"PAR1 old" for number in range(2)}
    remote.dataset(NAME, {**old, "README.md": b"old", "notes.txt": b"keep", "partial/rows-00001.jsonl.gz": b"x"})
    run(DISTIL, place)
    assert sorted(files(remote)) == ["README.md", "data/train-00000-of-00001.parquet", "notes.txt"]
    assert len(remote.repositories[NAME].commits) == 2


@needs_hub
@pytest.mark.parametrize("way", ["lfs", pytest.param("xet", marks=needs_xet)])
def test_a_kill_between_shard_and_commit_loses_nothing(remote: Hub, place: Path, way: str) -> None:
    xet = {"HF_HUB_DISABLE_XET": "0" if way == "xet" else "1"}
    reached, stopped = threading.Event(), threading.Event()

    def hold(summary: str) -> None:
        reached.set()
        stopped.wait(60)
        raise ConnectionError("the client is gone")

    remote.before_commit = hold
    child = start(DISTIL, place, **xet)
    assert reached.wait(120)
    child.send_signal(signal.SIGKILL)
    child.wait()
    stopped.set()
    uploaded = len(remote.uploaded), remote.count("POST", "/v1/xorbs/")
    assert uploaded == ((0, 1) if way == "xet" else (1, 0)) and commits(remote) == []
    remote.before_commit = None
    again = run(DISTIL + "print(run.summary.reused, run.summary.answered)", place, **xet)
    assert again == "300 0" and commits(remote) == ["1 shard by cohobate"]
    # What was uploaded before the kill was not uploaded again.
    assert (len(remote.uploaded), remote.count("POST", "/v1/xorbs/")) == uploaded


PUSHING = """
run = cohobate.distill(conversations(COUNT, 2), teacher=sys.argv[1], output="OUTPUT", push_every="1s", concurrency=8)
run.wait()
print(run.summary.reused, run.summary.answered)
""".replace("OUTPUT", OUTPUT)


def partial_rows(state: Hub) -> list[dict[str, Any]]:
    names = sorted(path for path in files(state) if path.startswith("partial/"))
    contents = [gzip.decompress(files(state)[name].content) for name in names]
    return [json.loads(line) for content in contents for line in content.splitlines()]


@needs_hub
@needs_datasets
def test_finished_rows_are_pushed_on_the_way_and_replaced_at_the_end(remote: Hub, place: Path) -> None:
    text = PUSHING.replace("COUNT", "240").replace("sys.argv[1]", repr("TEACHER"))
    with server(200) as teacher:
        text = text.replace("TEACHER", teacher)
        others = set(processes_of(place))
        first = start(text, place)
        until(lambda: NAME in remote.repositories and len(commits(remote)) >= 2)
        # Killed on the way: what is pushed can be read, and the next call continues.
        first.send_signal(signal.SIGKILL)
        first.wait()
        until(lambda: set(processes_of(place)) <= others)
        card = files(remote)["README.md"].content.decode()
        assert "**Unfinished**: " in card and "of 480 turns" in card and card.count("<!-- progress -->") == 1
        seen = partial_rows(remote)
        assert len({row["id"] for row in seen}) == len(seen) > 0
        count, rest = run(LOADED, place).split(" ", 1)
        assert int(count) == len(seen) and "partial/rows-00001.jsonl.gz" in rest
        before = sum(1 for path in files(remote) if path.startswith("partial/"))
        second = start(text, place)
        until(lambda: sum(1 for path in files(remote) if path.startswith("partial/")) != before)
        seen = partial_rows(remote)
        assert len({row["id"] for row in seen}) == len(seen)
        out, said = second.communicate(timeout=180)
        assert second.returncode == 0, said
        reused, answered = map(int, out.split())
        assert reused > 0 and reused + answered == 480
    assert sorted(files(remote)) == [".gitattributes", "README.md", "data/train-00000-of-00001.parquet"]
    assert "Unfinished" not in files(remote)["README.md"].content.decode()
    assert len(set(remote.uploaded)) == len(remote.uploaded)
    assert not (place / ".cohobate/hub/somebody--distilled.pushed").exists()
    assert run(LOADED, place).startswith("240 r0")


@needs_hub
def test_a_hub_that_fails_ends_no_run_and_the_next_call_pushes(remote: Hub, place: Path) -> None:
    def refuse(summary: str) -> None:
        raise ConnectionError("no")

    remote.before_commit = refuse
    failing = DISTIL.replace(".wait()", "") + """
try:
    run.wait()
except cohobate.PushError as error:
    print(error.exit_code, run.exit_code, error.hint, len(list(run._execution.log._events)) > 0)
"""
    assert run(failing, place).startswith("1 0 make the same call again")
    remote.before_commit = None
    assert run(DISTIL + "print(run.summary.reused)", place) == "300"
    assert len(commits(remote)) == 1
    remote.token = "another"
    assert run(failing.replace("conversations(300)", "conversations(2)"), place).startswith("1 0")


@needs_hub
def test_mistakes_are_told_before_anything_is_paid_for(place: Path) -> None:
    rows = conversations(1)
    for options, match in (
        ({"output": "hf://datasets/nothing"}, "no dataset to push to"),
        ({"output": "hf://models/a/b"}, "no dataset to push to"),
        ({"output": f"{OUTPUT}@v1"}, "no dataset to push to"),
        ({"output": OUTPUT, "push_every": "soon"}, "push_every cannot be"),
        ({"output": OUTPUT, "push_every": 0}, "push_every cannot be"),
        ({"push_every": "10m"}, "has no effect without"),
        ({"private": True}, "has no effect without"),
    ):
        given: Any = options
        with pytest.raises(cohobate.OptionError, match=match):
            cohobate.distill(rows, teacher="simulated", **given)
    with pytest.raises(cohobate.OptionError, match="cannot write to"):
        cohobate.evaluate(rows, judge="simulated", output=OUTPUT)
    assert list(place.iterdir()) == [place / "temporary"]


def test_without_the_library_the_hint_says_what_to_install(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(cohobate.OptionError) as caught:
        cohobate.distill(conversations(1), teacher="simulated", output=OUTPUT)
    assert "cohobate[hub]" in str(caught.value.hint)


def test_a_card_gets_its_line_and_keeps_what_it_says() -> None:
    for before in ("", "words\n", "---\nlicense: mit\n---\nwords\n", "---\r\nlicense: mit\r\n---\r\nwords\r\n"):
        one = with_progress(before, "1 row", False)
        assert one.startswith("---\n") and "data_files: partial/*.jsonl.gz" in one and one.count("1 row") == 1
        two = with_progress(one, "2 rows", False)
        assert two == one.replace("1 row", "2 rows") and ("words" in two) == ("words" in before)
        assert "progress" not in without_progress(two)
    own = "---\nconfigs:\n- config_name: default\n  data_files: data/*\n---\nwords\n"
    assert "partial/" not in with_progress(own, "1 row", False)
    assert "configs" not in with_progress("---\nlicense: mit\n---\n", "1 row", True)


def test_rows_are_new_until_the_hub_has_them(tmp_path: Path) -> None:
    rows, out = tmp_path / "rows", tmp_path / "out"
    pushed = Pushed(str(tmp_path / "database"))
    assert pushed.settle([])

    def new(lines: str, name: str) -> list[str]:
        rows.write_text("".join(line + "\n" for line in lines))
        count = pushed.take_new(str(rows), str(out), name)
        found = gzip.decompress(out.read_bytes()).decode().split()
        assert len(found) == count
        return found

    assert new("abb", pushed.next_name()) == ["a", "b"] and new("abc", pushed.next_name()) == ["c"]
    assert pushed.settle(["rows-00001.jsonl.gz", "rows-00002.jsonl.gz"]) and pushed.row_count == 3
    # The commit of the second was never made: its rows are new again.
    assert pushed.settle(["rows-00001.jsonl.gz"]) and pushed.row_count == 2
    assert pushed.next_name() == "rows-00002.jsonl.gz" and new("abcd", pushed.next_name()) == ["c", "d"]
    # Somebody else's file: nothing counts any more.
    assert not pushed.settle(["rows-00001.jsonl.gz", "other.jsonl.gz"]) and pushed.row_count == 0
    pushed.remove()
    assert not (tmp_path / "database").exists()
