"""Functions of the program as judge, scorer, rule or tool results.

The command asks them like models, over a server on loopback (`serving.py`). Their answers are stored under NAME:VERSION, so
that a function that was changed is asked again only under another version.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from typing import Any, Callable, Optional, Union

from .errors import OptionError

NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")

Message = dict[str, Any]
"""`role`, `content`, and what else the row's message has."""

Verdict = Union[float, bool, str]
"""A mark, yes or no, or who is better: "A", "B" or "tie"."""

JudgeResult = Union[Verdict, tuple[Verdict, str]]


@dataclass(frozen=True)
class Case:
    """What a judge is asked about: one conversation, or two that are compared."""

    messages: list[Message]
    """The conversation; it ends with the answer in question. The first of two."""
    other: Optional[list[Message]] = None
    """The second of two that are compared."""
    reference: Optional[str] = None
    """A good answer, where there is one."""
    criterion: str = ""
    """What is looked for, with `mode="check"` and `mode="rubric"`."""
    is_whole: bool = False
    """All answers count, not only the last."""

    @property
    def answer(self) -> str:
        """The answer in question."""
        return str(self.messages[-1]["content"])

    @property
    def other_answer(self) -> str:
        """The second answer of two; empty for one."""
        return str(self.other[-1]["content"]) if self.other else ""


@dataclass(frozen=True)
class Served:
    """A function that the command asks. `parallel` calls run at a time, each for at most `timeout_s`."""

    function: Any
    version: str
    name: str = ""
    parallel: int = 1
    timeout_s: float = 600.0

    @property
    def timeout_max_s(self) -> float:
        """The longest `timeout_s`: the command waits a little longer."""
        return 600.0

    def __post_init__(self) -> None:
        if not self.name:
            object.__setattr__(self, "name", getattr(self.function, "__name__", type(self.function).__name__))
        if not NAME.fullmatch(self.name):
            hint = 'give it a name of letters, digits, "_", "." and "-": name="..."'
            raise OptionError(f"a function cannot be called {self.name!r}", hint, 2)
        if not isinstance(self.version, str) or not NAME.fullmatch(self.version):
            hint = 'write a text such as version="1"; change it to have everything asked again'
            raise OptionError(f"the version of {self.name} cannot be {self.version!r}", hint, 2)
        if not (self.is_callable and self.parallel >= 1 and 0 < self.timeout_s <= self.timeout_max_s):
            hint = f"give a function, parallel >= 1, and timeout_s of at most {self.timeout_max_s:g}"
            raise OptionError(f"{self.name} cannot be called", hint, 2)

    @property
    def is_callable(self) -> bool:
        return callable(self.function)

    @property
    def identity(self) -> str:
        """The name under which answers are stored."""
        return f"{self.name}:{self.version}"


@dataclass(frozen=True)
class Judge(Served):
    """A judge: gets a `Case` and returns a mark from 1 to 10 (a rubric: 1 to 5), True or False for a criterion, or "A", "B" or
    "tie" for two answers. A tuple has the reason as its second part.
    """

    function: Callable[[Case], Union[JudgeResult, Awaitable[JudgeResult]]]


@dataclass(frozen=True)
class Scorer(Served):
    """A scorer: gets the messages, the answer last, and returns a number. The answer with the highest one is kept."""

    function: Callable[[list[Message]], Union[float, Awaitable[float]]]


@dataclass(frozen=True)
class Rule(Served):
    """A rule: gets the messages, the answer last, and says whether the answer is good enough. It is a scorer of 1 and 0 with
    `min_score=1`: a conversation ends before a turn without a good answer; with `samples=N` it has N answers to choose from.
    """

    function: Callable[[list[Message]], Union[bool, Awaitable[bool]]]


@dataclass(frozen=True)
class Tools(Served):
    """Tools: functions by name, called with the arguments of the teacher's call, or one function of name and arguments.

    What comes back is text, or anything that JSON can hold.
    """

    function: Union[Mapping[str, Callable[..., Any]], Callable[[str, dict[str, Any]], Any]]
    name: str = "tools"
    parallel: int = 8
    timeout_s: float = 50.0

    @property
    def timeout_max_s(self) -> float:
        """A tool that takes a minute is killed."""
        return 50.0

    @property
    def is_callable(self) -> bool:
        if isinstance(self.function, Mapping):
            return all(callable(function) for function in self.function.values())
        return callable(self.function)


# Where each kind may stand. `judge` of other commands has prompts of its own.
PLACES: dict[str, tuple[type[Served], ...]] = {"judge": (Judge,), "scorer": (Scorer, Rule), "tool_results": (Tools,)}
COMMANDS = {
    "judge": ("distill", "plan", "verify", "evaluate", "compare"),
    "scorer": ("distill", "plan", "verify"),
    "tool_results": ("distill", "plan", "verify"),
}


def served_in(command: str, options: Mapping[str, Any]) -> dict[str, Served]:
    """Returns the functions among the options. Raises OptionError for one that stands where none of its kind can."""
    found = {name: value for name, value in options.items() if isinstance(value, Served)}
    for name, value in found.items():
        if not isinstance(value, PLACES.get(name, ())) or command not in COMMANDS[name]:
            kind = type(value).__name__
            places = [place for place, kinds in PLACES.items() if isinstance(value, kinds)]
            hint = "; ".join(f"{place} of {', '.join(COMMANDS[place])}" for place in places)
            raise OptionError(f"{name} of {command}() cannot be a {kind}", f"a {kind} may be: {hint}", 2)
    for name, value in options.items():
        if name in PLACES and callable(value) and not isinstance(value, Served):
            kind = PLACES[name][0].__name__
            hint = f'write {name}=cohobate.{kind}({getattr(value, "__name__", "function")}, version="1")'
            raise OptionError(f"{name} is a function without a version", hint, 2)
    return found
