"""The store behind Xet uploads: it takes blocks of chunks (xorbs) and lists of chunks (shards), and puts files together
from them, so that a test knows that what was uploaded is the file."""

from __future__ import annotations

import struct
from typing import Any, Optional

ENTRY = 48
END = b"\xff" * 32
WITH_VERIFICATION = 1 << 31
WITH_METADATA = 1 << 30


class XetStore:
    """Blocks by their hashes, and files by the SHA-256 of their contents."""

    def __init__(self) -> None:
        self.blocks: dict[str, list[bytes]] = {}
        self.files: dict[str, list[tuple[str, int, int]]] = {}

    def answer(self, method: str, parts: list[str], body: bytes) -> tuple[int, Any]:
        """Answers a request to the store: `v1/xorbs/default/HASH` and `v1/shards` take something."""
        if method == "POST" and "xorbs" in parts:
            is_new = parts[-1] not in self.blocks
            self.blocks[parts[-1]] = chunks(body)
            return 200, {"was_inserted": is_new}
        if method == "POST" and "shards" in parts:
            self.files.update(files(body))
            # Version 2 is a stream of lines, of which the last says what came of it.
            return 200, {"type": "result", "result": 1} if parts[0] == "v2" else {"result": 1}
        return 404, {"error": "no such chunk"}

    def content(self, sha256: str) -> Optional[bytes]:
        """Returns a file, or None where it was not uploaded whole."""
        segments = self.files.get(sha256)
        if segments is None or any(block not in self.blocks for block, _, _ in segments):
            return None
        return b"".join(chunk for block, start, end in segments for chunk in self.blocks[block][start:end])


def chunks(block: bytes) -> list[bytes]:
    """Returns the chunks of a block: each has a head of eight bytes with its lengths, and how it is compressed."""
    import pyarrow

    found, at = [], 0
    while at + 8 <= len(block) and block[at] == 0:
        stored, kind = int.from_bytes(block[at + 1 : at + 4], "little"), block[at + 4]
        length = int.from_bytes(block[at + 5 : at + 8], "little")
        data = block[at + 8 : at + 8 + stored]
        if kind:
            data = pyarrow.Codec("lz4").decompress(data, decompressed_size=length, asbytes=True)
        found.append(together(data) if kind == 2 else data)
        at += 8 + stored
    return found


def together(data: bytes) -> bytes:
    """Undoes the grouping of every fourth byte."""
    out, at = bytearray(len(data)), 0
    for group in range(4):
        count = (len(data) + 3 - group) // 4
        out[group::4] = data[at : at + count]
        at += count
    return bytes(out)


def files(shard: bytes) -> dict[str, list[tuple[str, int, int]]]:
    """Returns the files of a shard: the SHA-256 of each, and which chunks of which blocks it is made of."""
    found: dict[str, list[tuple[str, int, int]]] = {}
    at = ENTRY
    while shard[at : at + 32] != END:
        flags, count = struct.unpack_from("<II", shard, at + 32)
        at += ENTRY
        segments = []
        for _ in range(count):
            start, end = struct.unpack_from("<II", shard, at + 40)
            segments.append((hash_text(shard[at : at + 32]), start, end))
            at += ENTRY
        if flags & WITH_VERIFICATION:
            at += ENTRY * count
        if flags & WITH_METADATA:
            found[hash_text(shard[at : at + 32])] = segments
            at += ENTRY
    return found


def hash_text(raw: bytes) -> str:
    """Returns a hash as its text: four numbers of eight bytes, each with its last byte first."""
    return "".join(raw[at : at + 8][::-1].hex() for at in range(0, 32, 8))
