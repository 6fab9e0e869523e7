"""Checks rows of token ids before a draft model is trained on them, and says how much of them is learned.

    python examples/draft_model/check_masks.py ROWS
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any


def rows_of(path: str) -> Iterator[dict[str, Any]]:
    with open(path, encoding="utf-8") as file:
        yield from (json.loads(line) for line in file)


def main(path: str) -> int:
    tokens = learned = rows = 0
    for row in rows_of(path):
        ids, mask = row["input_ids"], row["loss_mask"]
        if len(ids) != len(mask) or not set(mask) <= {0, 1} or 1 not in mask:
            print(f"{row['id']}: {len(ids)} ids, {len(mask)} of the mask, {sum(mask)} learned")
            return 1
        # `labels`, where the format has it, says the same for trainers that know no mask.
        labels = row.get("labels", [token if one else -100 for token, one in zip(ids, mask)])
        if any(label != (token if one else -100) for label, token, one in zip(labels, ids, mask)):
            print(f"{row['id']}: labels and mask differ")
            return 1
        tokens, learned, rows = tokens + len(ids), learned + sum(mask), rows + 1
    print(f"{rows} rows, {tokens} tokens, {learned} of them learned")
    return 0 if rows else 1


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1]))
