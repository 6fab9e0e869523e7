"""Distils a dataset with a model of OpenAI's, under a cap on dollars that holds over all runs.

    OPENAI_API_KEY=... python examples/openai/distil_with_cap.py INPUT OUTPUT

The settings are in `cohobate.toml` beside this file. TEACHER=simulated tries the program without a key.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import cohobate

SETTINGS = Path(__file__).with_name("cohobate.toml")


def main(rows: str, output: str) -> int:
    # A table of the file.
    teacher = os.environ.get("TEACHER", "teacher")
    plan = cohobate.plan(rows, teacher=teacher, config=SETTINGS).report or {}
    print(f"{plan['calls']} calls, {plan['answered']} turns are answered already")

    run = cohobate.distill(rows, teacher=teacher, config=SETTINGS, output=output)
    try:
        run.wait()
    except cohobate.Stopped as stop:
        # The cap is reached, or Ctrl-C. Nothing is lost; raise `max-cost`, and run this again.
        print(stop)
        return stop.exit_code
    assert run.summary is not None
    cost = f"{run.summary.cost:.4f} dollars" if run.summary.cost is not None else "no price"
    print(f"{run.summary.answered} new answers, {run.summary.reused} reused, {cost}")
    for reason, count in run.summary.reasons.items():
        print(f"{count} rows are not whole: {reason}")
    return run.exit_code or 0


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1], sys.argv[2]))
