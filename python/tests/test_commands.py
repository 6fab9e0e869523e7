"""Every command that works on rows, and steering."""

from __future__ import annotations

from pathlib import Path

import pytest

import cohobate
from cohobate.events import Progress, Steered
from support import conversations, server


def test_plan_inspect_and_verify_report_what_they_find(place: Path) -> None:
    rows = conversations(4, 2)
    plan = cohobate.plan(rows, teacher="simulated").report
    assert plan is not None and plan["turns"] == 8
    same = cohobate.distill(rows, teacher="simulated", dry_run=True)
    assert same.report == plan and not (place / "distilled.jsonl").exists()
    found = cohobate.inspect(rows).report
    assert found is not None and found["rows"] == 4
    cohobate.distill(rows, teacher="simulated").wait()
    sound = cohobate.verify(rows, teacher="simulated", output="distilled.jsonl").report
    assert sound is not None and sound["is_sound"] and sound["output"]["rows"] == 4
    assert cohobate.verify().report is not None
    with pytest.raises(cohobate.RowsError, match="plan has written no rows"):
        cohobate.plan(rows, teacher="simulated").rows()


def test_filter_and_convert_have_outputs_of_their_own(place: Path) -> None:
    rows = list(cohobate.distill(conversations(3), teacher="simulated").rows())
    kept = cohobate.filter(rows)
    assert kept.report is not None and kept.report["rows"] == 3
    assert len(list(kept.rows())) == kept.report["kept"] and (place / "filtered.jsonl").exists()
    converted = cohobate.convert(rows, to="sharegpt")
    assert "conversations" in next(converted.rows())
    assert converted.output == "converted.jsonl"


def test_a_judge_scores_and_compares(place: Path) -> None:
    rows = conversations(3)
    scored = cohobate.evaluate(rows, judge="simulated")
    assert len(list(scored.rows())) == 3 and scored.report is not None and "schema" in scored.report
    compared = cohobate.compare(rows, a="simulated", b="simulated", judge="simulated")
    assert compared.report is not None and compared.output == "comparison/"
    assert list(compared.rows())


def test_users_and_students_are_simulated(place: Path) -> None:
    longer = cohobate.simulate(conversations(2), teacher="simulated", user="simulated", turns=2)
    assert all(len(row["messages"]) >= 4 for row in longer.rows())
    taught = cohobate.tutor(conversations(8), student="simulated", teacher="simulated").wait()
    assert taught.report is not None
    assert list(taught.rows()) and list(taught.rows("kto.jsonl"))


def test_a_run_is_paused_limited_resumed_and_stopped(place: Path) -> None:
    rows = conversations(100, 4)
    with server(50) as teacher:
        run = cohobate.distill(rows, teacher=teacher, concurrency=4)
        run.pause()
        assert run.status()["phase"] == "paused"
        run.set(concurrency=2, rpm=None)
        run.resume()
        assert run.status()["run"]["limits"]["concurrency"] == 2
        with pytest.raises(cohobate.SteeringError):
            run.set(colour=1)
        next(event for event in run if isinstance(event, Progress) and event.answered > 5)
        run.stop()
        assert run.wait() is run and run.exit_code == 75
        assert {event.verb for event in run if isinstance(event, Steered)} >= {"pause", "resume", "set", "stop"}
        assert run.summary is not None and run.summary.ended == "stopped"
        with pytest.raises(cohobate.Stopped):
            run.rows()
        with pytest.raises(cohobate.SteeringError, match="has ended"):
            run.pause()
        run.stop()
        again = cohobate.distill(rows[:20], teacher=teacher)
        assert again.summary is not None and again.summary.reused > 5


def test_a_with_block_stops_what_is_at_work(place: Path) -> None:
    with server(100) as teacher, cohobate.distill(conversations(100, 4), teacher=teacher) as run:
        next(event for event in run if isinstance(event, Progress))
    assert run.exit_code == 75
