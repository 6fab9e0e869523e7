"""Every example runs as it is, with the simulated model in place of a real one."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cohobate import binary
from support import PACKAGE, server

ROOT = PACKAGE.parent
EXAMPLES = ROOT / "examples"
INPUT = f"{ROOT / 'fixtures' / 'conversations.jsonl'}"
# One of the twelve rows has no user message.
ROWS = 11


def test_every_example_has_a_test() -> None:
    tests = (Path(__file__), Path(__file__).with_name("test_compose.py"))
    written = "".join(path.read_text(encoding="utf-8") for path in tests)
    # Those in Rust run in a step of their own.
    files = [path for path in EXAMPLES.rglob("*") if path.suffix in (".py", ".sh", ".sbatch", ".ipynb")]
    assert len(files) > 5
    for path in files:
        assert f'"{path.relative_to(EXAMPLES)}"' in written, path


def run(place: Path, line: list[str], **variables: str) -> subprocess.CompletedProcess[str]:
    """Runs a program that finds the command as `cohobate`, and returns once it has ended well."""
    environment = {
        **os.environ,
        "PATH": os.pathsep.join([commands(place), os.environ["PATH"]]),
        "PYTHONPATH": f"{PACKAGE}",
        "INPUT": INPUT,
        **variables,
    }
    done = subprocess.run(line, cwd=place, env=environment, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def commands(place: Path) -> str:
    """Returns a directory that has the command under its own name."""
    directory = place / "commands"
    directory.mkdir(exist_ok=True)
    if not (directory / "cohobate").exists():
        (directory / "cohobate").symlink_to(binary.find())
    return f"{directory}"


def stand_in(place: Path, name: str, script: str) -> None:
    """Puts a program of that name beside the command."""
    path = Path(commands(place)) / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_vllm(place: Path) -> None:
    script = "vllm/distil.sh"
    done = run(place, [f"{EXAMPLES / script}", INPUT, "simulated.jsonl"], TEACHER="simulated")
    assert "the store is sound" in done.stdout
    assert len(rows(place / "simulated.jsonl")) == ROWS


def test_vllm_is_started_and_stopped_by_the_run(place: Path) -> None:
    # A server of this name that takes `serve MODEL --port PORT ...` and serves the simulated model.
    stand_in(place, "vllm", 'echo "$@" >>served; exec cohobate mock --port "$4"')
    with server(0) as busy:
        # A port that is free while the tests run side by side.
        port = f"{int(busy.split(':')[-1].split('/')[0]) + 1}"
    script = "vllm/distil.sh"
    run(place, [f"{EXAMPLES / script}", INPUT, "served.jsonl"], PORT=port, NO_PROXY="127.0.0.1")
    assert len(rows(place / "served.jsonl")) == ROWS
    assert (place / "served").read_text().startswith(f"serve Qwen/Qwen3-8B --port {port}")


def test_openai(place: Path) -> None:
    script = "openai/distil_with_cap.py"
    program = [sys.executable, f"{EXAMPLES / script}", INPUT, "distilled.jsonl"]
    assert "19 new answers, 0 reused, 0.0000 dollars" in run(place, program, TEACHER="simulated").stdout
    assert "0 new answers, 21 reused" in run(place, program, TEACHER="simulated").stdout
    assert len(rows(place / "distilled.jsonl")) == ROWS


def test_custom_judge(place: Path) -> None:
    script = "custom_judge.py"
    program = [sys.executable, f"{EXAMPLES / script}", INPUT, "distilled.jsonl"]
    said = run(place, program, TEACHER="simulated").stdout
    assert "22 answers kept" in said
    assert f"{ROWS} dialogues marked" in said
    marked = rows(place / "distilled.jsonl.scores.jsonl")
    assert len(marked) == ROWS


@pytest.mark.parametrize("to", ["token-ids", "speculators", "specforge"])
def test_draft_model(place: Path, to: str) -> None:
    script, check = "draft_model/distil.sh", "draft_model/check_masks.py"
    run(place, [f"{EXAMPLES / script}", INPUT, "draft.jsonl"], TEACHER="simulated", TO=to)
    assert len(rows(place / "draft.jsonl")) >= ROWS
    done = run(place, [sys.executable, f"{EXAMPLES / check}", "draft.jsonl"])
    assert "of them learned" in done.stdout


def test_a_wrong_mask_is_noticed(place: Path) -> None:
    good = {"id": "a", "input_ids": [1, 2, 3], "loss_mask": [0, 1, 1], "labels": [-100, 2, 3]}
    for changed in ({"loss_mask": [0, 1]}, {"loss_mask": [0, 0, 0]}, {"labels": [-100, 2, 2]}):
        (place / "bad.jsonl").write_text(json.dumps({**good, **changed}) + "\n")
        line = [sys.executable, f"{EXAMPLES / 'draft_model/check_masks.py'}", "bad.jsonl"]
        assert subprocess.run(line, stdout=subprocess.DEVNULL).returncode == 1


def test_slurm(place: Path) -> None:
    array, merge = "slurm/array.sbatch", "slurm/merge.sh"
    stand_in(place, "scontrol", 'echo "$@" >>queued')
    for task in range(1, 4):
        variables = {
            "SLURM_ARRAY_JOB_ID": "9",
            "SLURM_ARRAY_TASK_ID": f"{task}",
            "SLURM_ARRAY_TASK_MIN": "1",
            "SLURM_ARRAY_TASK_STEP": "1",
            "SLURM_ARRAY_TASK_COUNT": "3",
        }
        run(place, ["bash", f"{EXAMPLES / array}"], TEACHER="simulated", **variables)
    shards = [f"distilled-0{task}-of-03.jsonl" for task in range(1, 4)]
    assert sum(len(rows(place / shard)) for shard in shards) == ROWS
    assert not (place / "queued").exists()
    if subprocess.run([binary.find(), "merge", "--help"], capture_output=True).returncode != 0:
        pytest.skip("this command has no `merge`")
    assert "the store is sound" in run(place, [f"{EXAMPLES / merge}", "all.jsonl"], TEACHER="simulated").stdout
    assert [row["id"] for row in rows(place / "all.jsonl")] == in_order(place)


def in_order(place: Path) -> list[str]:
    """Returns the ids that an undivided run writes, in order."""
    run(place, ["cohobate", "distill", INPUT, "--teacher", "simulated", "-o", "whole.jsonl", "--store", "whole"])
    return [row["id"] for row in rows(place / "whole.jsonl")]


def test_the_notebook(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nbclient: Any = pytest.importorskip("nbclient")
    nbformat: Any = pytest.importorskip("nbformat")
    pytest.importorskip("ipykernel")
    monkeypatch.setenv("PYTHONPATH", f"{PACKAGE}")
    monkeypatch.setenv("TEACHER", "simulated")
    shutil.copy(EXAMPLES / "notebook.ipynb", place)
    notebook = nbformat.read("notebook.ipynb", as_version=4)
    nbclient.NotebookClient(notebook, timeout=120, resources={"metadata": {"path": f"{place}"}}).execute()
    assert "100 turns reused, 1 new answers" in json.dumps(notebook.cells)
    assert all(not cell.get("outputs") for cell in nbformat.read("notebook.ipynb", as_version=4).cells), "kept without outputs"
