"""Reads the question that `judge.txt` makes for a judge of Python: everything in it is between marks with a number that is a
hash of the texts, so that no text can hold a mark."""

from __future__ import annotations

import json
import re
from typing import Optional

from .callables import Case, Message

HEAD = re.compile(r"number ([0-9a-f]{12}) about (all|the last)\n")
ROLES = "system|user|assistant|assistant_a|assistant_b|tool"


def case_of(question: str) -> Optional[Case]:
    """Returns what a question is about; None for one that is about nothing."""
    head = HEAD.match(question)
    if head is None:
        return None
    number, rest = head[1], question[head.end() :]
    first, second = _within(rest, "first", number), _within(rest, "second", number)
    after = rest[rest.rindex(f"</{'first' if second is None else 'second'} {number}>") :]
    return Case(
        messages=_messages(first or "", number),
        other=None if second is None else _messages(second, number),
        reference=_within(after, "reference", number),
        criterion=_within(after, "criterion", number) or "",
        is_whole=head[2] == "all",
    )


def _within(text: str, label: str, number: str) -> Optional[str]:
    found = re.search(rf"<{label} {number}>\n(.*?)\n?</{label} {number}>", text, re.DOTALL)
    return None if found is None else found[1]


def _messages(text: str, number: str) -> list[Message]:
    marks = re.finditer(rf"<({ROLES}) {number}>\n(.*?)\n</\1 {number}>", text, re.DOTALL)
    return [_message(mark[1].split("_")[0], mark[2]) for mark in marks]


def _message(role: str, words: str) -> Message:
    """Returns a message; calls to tools are the last line of its words, as JSON."""
    before, _, last = words.rpartition("\n")
    if last.startswith("{") and '"tool_call' in last:
        try:
            fields = json.loads(last)
        except ValueError:
            fields = None
        if isinstance(fields, dict) and "content" not in fields and "role" not in fields:
            return {"role": role, "content": before, **fields}
    return {"role": role, "content": words}
