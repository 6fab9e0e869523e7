"""Data frames and datasets, in and out; skipped where the libraries are not installed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import cohobate
from support import conversations


@pytest.mark.parametrize("library", ["pandas", "polars", "pyarrow", "datasets"])
def test_rows_of_a_table_are_the_rows_of_its_list(place: Path, library: str) -> None:
    module: Any = pytest.importorskip(library)
    rows = conversations(1_500, 2)
    make = {
        "pandas": lambda: module.DataFrame(rows),
        "polars": lambda: module.DataFrame(rows),
        "pyarrow": lambda: module.Table.from_pylist(rows),
        "datasets": lambda: module.Dataset.from_list(rows),
    }
    assert written(make[library](), place / "table.jsonl") == written(rows, place / "list.jsonl")


def written(rows: Any, output: Path) -> bytes:
    cohobate.distill(rows, teacher="simulated", output=output).wait()
    return output.read_bytes()


def test_rows_become_a_data_frame(place: Path) -> None:
    pytest.importorskip("pandas")
    frame = cohobate.distill(conversations(5), teacher="simulated").to_pandas()
    assert list(frame["id"]) == ["r0", "r1", "r2", "r3", "r4"]
    again = cohobate.distill(frame, teacher="simulated", output="again.jsonl")
    assert again.summary is not None and again.summary.reused == 5


def test_a_missing_value_of_a_data_frame_is_null(place: Path) -> None:
    pandas: Any = pytest.importorskip("pandas")
    frame = pandas.DataFrame([{**row, "note": note} for row, note in zip(conversations(2), ("a", None))])
    frame["score"] = [1.5, float("nan")]
    rows = list(cohobate.distill(frame, teacher="simulated").rows())
    assert [row["meta"].get("score") for row in rows] == [1.5, None]
    assert [row["meta"].get("note") for row in rows] == ["a", None]


@pytest.mark.parametrize("output", ["rows.jsonl", "shards/"])
def test_rows_become_a_dataset(place: Path, output: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HOME", str(place / "hub"))
    pytest.importorskip("datasets")
    run = cohobate.distill(conversations(5), teacher="simulated", output=output)
    dataset = run.to_datasets()
    assert dataset["id"][:] == [row["id"] for row in run.rows()] == ["r0", "r1", "r2", "r3", "r4"]
    assert dataset[0]["messages"][1]["content"] != "old"
