"""Distils with a judge that is a function: of several answers to each turn the one with the best mark is kept, and the finished
rows are scored by the same function.

    TEACHER=NAME@URL python examples/custom_judge.py INPUT OUTPUT

An exception in the function is the reason of its row, and ends nothing. Marks are stored like answers: change the version when
you change the function, and it is asked again.
"""

from __future__ import annotations

import os
import statistics
import sys

import cohobate

WORDS_MAX = 60


def is_brief(messages: list[dict[str, object]]) -> float:
    """Scores an answer: the fewer words, the higher."""
    return -float(len(str(messages[-1]["content"]).split()))


def mark(case: cohobate.Case) -> tuple[float, str]:
    """Marks an answer from 1 to 10, and says why. Any program can stand here: a parser, a compiler, a model of your own."""
    count = len(case.answer.split())
    return max(1.0, 10.0 - max(0, count - WORDS_MAX) / 10), f"{count} words"


def main(rows: str, output: str) -> int:
    teacher = os.environ.get("TEACHER", "simulated")
    scorer = cohobate.Scorer(is_brief, version="1")
    run = cohobate.distill(rows, teacher=teacher, samples=3, scorer=scorer, output=output).wait()
    kept = [message for row in run.rows() for message in row["messages"] if message["role"] == "assistant"]
    print(f"{len(kept)} answers kept, {statistics.mean(len(message['content'].split()) for message in kept):.0f} words each")

    judge = cohobate.Judge(mark, version="1")
    marked = cohobate.evaluate(output, judge=judge, per="dialogue", output=f"{output}.scores.jsonl").wait()
    print(f"{sum(1 for _ in marked.rows())} dialogues marked")
    return max(run.exit_code or 0, marked.exit_code or 0)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1], sys.argv[2]))
