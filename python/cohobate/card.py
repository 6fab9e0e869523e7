"""The card of a dataset whose rows are not all finished."""

from __future__ import annotations

BEGIN, END = "<!-- progress -->", "<!-- end of progress -->"
CONFIGS = "configs:\n- config_name: default\n  data_files: partial/*.jsonl.gz\n"
FENCE = "---\n"


def with_progress(card: str, line: str, has_rows: bool) -> str:
    """Returns a card with a line about the progress, in place of the one that it has.

    Where there are no finished shards yet, the card names the files of `partial/`, unless it names files itself.
    """
    front, body = _split(without_progress(card))
    if not has_rows and "configs:" not in front:
        front += CONFIGS
    block = f"{BEGIN}\n{line}\n{END}\n"
    return (f"{FENCE}{front}{FENCE}" if front else "") + block + body


def without_progress(card: str) -> str:
    """Returns a card without the line."""
    before, begin, rest = card.partition(BEGIN)
    _, end, after = rest.partition(END)
    return before + after.lstrip("\n") if begin and end else card


def _split(card: str) -> tuple[str, str]:
    """Returns the front matter without its fences, and the rest."""
    text = card.replace("\r\n", "\n")
    if text.startswith(FENCE):
        front, fence, body = text[len(FENCE) :].partition("\n" + FENCE)
        if fence:
            return front + "\n", body
    return "", text
