"""Packs a wheel of a command that is built already, so that it can be tried without a second build.

    python python/wheel.py PATH OF THE COMMAND DIRECTORY

It holds what `maturin build` puts into one. Its tag says which C library the command needs, which is that of the machine
that built it; the wheel for everybody is built by `.ci/run manylinux`.
"""

from __future__ import annotations

import base64
import hashlib
import platform
import re
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    command, directory = Path(sys.argv[1]), Path(sys.argv[2])
    directory.mkdir(parents=True, exist_ok=True)
    for old in directory.glob("cohobate-*.whl"):
        old.unlink()
    program = command.read_bytes()
    version, tag = setting("Cargo.toml", "version"), f"py3-none-{platform_of(program)}"
    wheel = directory / f"cohobate-{version}-{tag}.whl"
    pack(wheel, contents(program, version, tag), f"cohobate-{version}.dist-info/RECORD")
    print(f"{wheel}: {wheel.stat().st_size / 1e6:.1f} MB")


def contents(program: bytes, version: str, tag: str) -> dict[str, bytes]:
    """Returns the files of the wheel."""
    information = f"cohobate-{version}.dist-info"
    package = ROOT / "python" / "cohobate"
    sources = [path for path in package.rglob("*") if path.suffix in (".py", ".txt") or path.name == "py.typed"]
    files = {f"cohobate/{path.relative_to(package)}": path.read_bytes() for path in sorted(sources)}
    files[f"cohobate-{version}.data/scripts/cohobate"] = program
    metadata = [
        "Metadata-Version: 2.4",
        "Name: cohobate",
        f"Version: {version}",
        f"Summary: {setting('pyproject.toml', 'description')}",
        f"License-Expression: {setting('pyproject.toml', 'license')}",
        f"Requires-Python: {setting('pyproject.toml', 'requires-python')}",
    ]
    files[f"{information}/METADATA"] = text(*metadata)
    files[f"{information}/WHEEL"] = text("Wheel-Version: 1.0", "Generator: cohobate", "Root-Is-Purelib: false", f"Tag: {tag}")
    return files


def platform_of(program: bytes) -> str:
    """Returns the platform of the tag: the oldest C library that has every symbol of the command."""
    needed = [int(minor) for minor in re.findall(rb"GLIBC_2\.(\d+)", program)]
    machine = platform.machine()
    if sys.platform == "linux" and needed:
        return f"manylinux_2_{max(needed)}_{machine}"
    return f"{sys.platform}_{machine}"


def setting(file: str, name: str) -> str:
    """Returns the first setting of that name in a file."""
    found = re.search(rf'^{name} = "(.*)"$', (ROOT / file).read_text(encoding="utf-8"), re.MULTILINE)
    if found is None:
        raise SystemExit(f"{file} has no {name}")
    return found[1]


def pack(wheel: Path, files: dict[str, bytes], record: str) -> None:
    """Writes the files, and the record of their hashes."""
    lines = []
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
            lines.append(f"{name},sha256={digest},{len(content)}")
            add(archive, name, content)
        add(archive, record, text(*lines, f"{record},,"))


def add(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    # The same files make the same wheel.
    entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.external_attr = (0o100755 if "/scripts/" in name else 0o100644) << 16
    archive.writestr(entry, content)


def text(*lines: str) -> bytes:
    return ("\n".join(lines) + "\n").encode()


if __name__ == "__main__":
    main()
