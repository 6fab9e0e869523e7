"""Writes `cohobate/events.py`, `cohobate/options.py` and `cohobate/kinds.py`.

Events come from `docs/events.schema.json`, options from the help of the command. A test fails where the files differ from
what this program prints.

    python python/generate.py [PATH OF THE COMMAND, else the newest below target/]
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

from cohobate import callables

ROOT = Path(__file__).resolve().parent.parent
COMMANDS = [
    "distill", "plan", "compare", "evaluate", "simulate", "tutor", "filter", "convert", "inspect", "verify", "show",
]  # fmt: skip
# These decide how a terminal shows something; the package sets them itself.
HIDDEN = {"help", "progress", "quiet", "json", "detach", "show-request"}
WIDTH = 110
# Options of the package alone.
PRIVATE = ("private", "bool", "Create the dataset of an output on the Hub as a private one")
PUSH_EVERY = (
    "push_every",
    "str | float",
    "Push what is finished to `partial/` of an output on the Hub, such as every `10m`",
)
FURTHER = {"distill": [PRIVATE, PUSH_EVERY], "convert": [PRIVATE], "filter": [PRIVATE]}


def main() -> None:
    built = [path for path in (ROOT / "target").glob("*/cohobate") if os.access(path, os.X_OK)]
    command = sys.argv[1] if len(sys.argv) > 1 else str(max(built, key=lambda path: path.stat().st_mtime))
    package = ROOT / "python" / "cohobate"
    (package / "events.py").write_text(events(), encoding="utf-8")
    types, kinds = options(command)
    (package / "options.py").write_text(types, encoding="utf-8")
    (package / "kinds.py").write_text(kinds, encoding="utf-8")


def events() -> str:
    """Returns the text of `events.py`."""
    schema = json.loads((ROOT / "docs" / "events.schema.json").read_text(encoding="utf-8"))
    nested: list[str] = []
    classes: list[str] = []
    kinds: list[str] = []
    for kind, definition in schema["$defs"].items():
        name = camel(kind)
        kinds.append(f'    "{kind}": {name},')
        fields = {key: value for key, value in definition["properties"].items() if key != "event"}
        classes.append(data_class(name, "Event", definition["description"], fields, nested))
    return "\n".join([EVENTS_HEAD, *nested, *classes, "KINDS: dict[str, type[Event]] = {", *kinds, "}"]) + "\n"


def data_class(name: str, base: str, what: str, fields: dict[str, Any], nested: list[str]) -> str:
    lines = ["@dataclass(frozen=True)", f"class {name}({base}):" if base else f"class {name}:"]
    lines += [f'    """{what}"""', ""]
    # `time` is a field of the base class.
    for key, value in fields.items():
        if base and key == "time":
            continue
        attribute = f"{key}_" if key == "from" else key
        lines.append(f"    {attribute}: {type_of(value, name + camel(key), nested)}")
        if "description" in value:
            lines.append(f'    """{sentence(value["description"])}"""')
    return "\n".join(lines).rstrip() + "\n\n"


def type_of(value: dict[str, Any], name: str, nested: list[str]) -> str:
    """Returns the annotation of a schema; objects with known fields become classes of their own."""
    if "enum" in value:
        return f"Literal[{', '.join(json.dumps(each) for each in value['enum'])}]"
    kinds = value["type"] if isinstance(value["type"], list) else [value["type"]]
    simple = {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "null": "None"}
    found = []
    for kind in kinds:
        if kind == "array":
            found.append(f"list[{type_of(value['items'], name.removesuffix('s'), nested)}]")
        elif kind == "object" and "properties" in value:
            nested.append(data_class(name, "", f"A part of an event: `{name}`.", value["properties"], nested))
            found.append(name)
        elif kind == "object":
            inner = value.get("additionalProperties")
            inner = type_of(inner, name, nested) if isinstance(inner, dict) else "Any"
            found.append(f"dict[str, {inner}]")
        else:
            found.append(simple[kind])
    return " | ".join(found)


def options(command: str) -> tuple[str, str]:
    """Returns the texts of `options.py` and `kinds.py`, from the help of that command."""
    classes, kinds = [], []
    for name in COMMANDS:
        lines = [f"class {camel(name)}Options(TypedDict, total=False):"]
        lines += [f'    """Options of `cohobate {name}`."""', ""]
        kinds.append(f'    "{name}": {{')
        for flag, value, what in sorted(set(flags(command, name))):
            key = flag.replace("-", "_")
            kind, annotation = kind_of(value, what)
            if name in callables.COMMANDS.get(key, ()):
                annotation = " | ".join([annotation, *(each.__name__ for each in callables.PLACES[key])])
            kinds.append(f'        "{key}": "{kind}",')
            lines.append(f"    {key}: {annotation}")
            lines += documentation(what)
        for key, annotation, what in FURTHER.get(name, ()):
            lines.append(f"    {key}: {annotation}")
            lines += documentation(what)
        kinds.append("    },")
        if name != "show":
            classes.append("\n".join(lines) + "\n\n")
    types = "\n".join([OPTIONS_HEAD, *classes]).rstrip() + "\n"
    return types, "\n".join([KINDS_HEAD, "KINDS: dict[str, dict[str, str]] = {", *kinds, "}"]) + "\n"


def flags(command: str, name: str) -> list[tuple[str, str, str]]:
    """Returns flag, value and meaning of each option that the help of a command lists."""
    text = subprocess.run([command, name, "-h"], env=os.environ, capture_output=True, text=True, check=True).stdout
    # An option begins at the left; the lines of its meaning that follow begin far from it.
    text = re.sub(r"\n {10,}", " ", text)
    pattern = re.compile(r"^(?:      |  -\w, )--([a-z][a-z-]*)(\[=<[^>]*>\]|(?: <[^>]*>\.*)*)(?:  +(.*))?$")
    found = [match.groups(default="") for match in map(pattern.match, text.splitlines()) if match]
    return [(flag, value.strip(), what) for flag, value, what in found if flag not in HIDDEN]


def kind_of(value: str, what: str) -> tuple[str, str]:
    """Returns how a value is written on the command line, and its annotation."""
    if not value:
        return "flag", "bool"
    if value.count("<") == 2:
        return "pair", "tuple[PathLike, PathLike]"
    if value.startswith("["):
        return "switch", "bool | str"
    inner = value.strip("<>")
    if inner == "BOOL":
        return "switch", "bool"
    if inner == "on|off":
        return "on-off", "bool | str"
    if inner == "JSON":
        return "json", "str | Mapping[str, Any]"
    if inner in ("N", "K", "R"):
        return "value", "int"
    if inner == "N|auto":
        return "value", "int | str"
    if inner in ("T", "P", "SHARE", "DOLLARS", "SIMILARITY", "DISTANCE", "SCORE"):
        return "value", "float"
    if inner in ("FILE", "DIR", "OUT", "KEPT", "SCORES"):
        return "value", "PathLike"
    if "more than once" in what:
        return "values", "str | Sequence[str]"
    return "value", "str"


def documentation(what: str) -> list[str]:
    text = sentence(what).replace("\\", "\\\\").replace('"""', "'''")
    if text.endswith('"'):
        text += " "
    lines = textwrap.wrap(text, WIDTH - 10)
    if not lines:
        return []
    return textwrap.indent('"""' + "\n".join(lines) + '"""', "    ").splitlines()


def sentence(text: str) -> str:
    text = text.strip()
    return text and text[0].upper() + text[1:] + ("" if text.endswith((".", "]")) else ".")


def camel(name: str) -> str:
    return "".join(part.capitalize() for part in re.split(r"[-_]", name))


EVENTS_HEAD = '''"""The events of a run, as classes. Made by `python/generate.py` from `docs/events.schema.json`; do not edit.

`docs/events.md` says what each field means; `parsing.event_of` reads one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True)
class Event:
    """What every event has."""

    time: str
    """UTC, RFC 3339 with milliseconds."""


@dataclass(frozen=True)
class Unknown(Event):
    """An event of a kind, or with fields, that this version of the package does not know."""

    event: str
    fields: dict[str, Any]

'''

OPTIONS_HEAD = '''"""The options of each command, with their types, for type checkers. Made by `python/generate.py` from the help of the command; do not edit."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypedDict, Union

if TYPE_CHECKING:
    from .callables import Judge, Rule, Scorer, Tools

PathLike = Union[str, "os.PathLike[str]"]

'''

KINDS_HEAD = '''"""How each option is written on the command line. Made by `python/generate.py` from the help of the command; do not edit.

`flag`: bare. `value`: once. `values`: for each of a list. `pair`: two values. `switch`: with or without a value. `on-off`:
`on` or `off`. `json`: a mapping.
"""

from __future__ import annotations
'''

if __name__ == "__main__":
    main()
