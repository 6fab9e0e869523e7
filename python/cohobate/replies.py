"""One call of a function: from the request of the command to its reply, whatever the function does."""

from __future__ import annotations

import inspect
import json
import math
import threading
import time
import traceback
from collections.abc import Mapping
from typing import Any, Callable

from .callables import Judge, Rule, Served, Tools
from .judge_prompt import case_of

# Characters of a reason: its end is what the exception says.
REASON_CHARS_MAX = 3_500
# Calls that have taken too long and are still there. Python cannot end them.
STUCK_MAX = 16
ERROR = "callable_error"
# How long a call waits for others. With the longest call it is less than the command waits: 15 minutes, for tools one.
QUEUE_S = 240.0
TOOL_QUEUE_S = 6.0

Reply = tuple[int, dict[str, Any]]


class TooLong(Exception):
    """A call took longer than it may."""


class Busy(Exception):
    """Other calls of the function take so long that this one has not begun."""


class Function:
    """A function that is served. As many calls as it allows run at a time; the others wait."""

    def __init__(self, served: Served) -> None:
        self._served = served
        self._room = threading.Semaphore(served.parallel)
        self._stuck = 0

    def reply(self, body: Mapping[str, Any]) -> Reply:
        """Returns the status and the reply to a request. What the function raises is the reason of the row."""
        served = self._served
        try:
            if isinstance(served, Tools):
                return 200, {"content": self._call(lambda: _tool(served, body))}
            messages = [dict(message) for message in body["messages"]]
            if isinstance(served, Judge):
                case = case_of(str(messages[-1]["content"]))
                # The command asks whether the server is there.
                text = "ready" if case is None else _verdict(self._call(lambda: served.function(case)))
                return 200, _completion(served.identity, text)
            return 200, {"score": _score(served, self._call(lambda: served.function(messages)))}
        except Busy:
            return 429, {"error": {"code": "rate_limit_exceeded", "message": f"{served.name} is busy"}}
        except BaseException as error:
            return 422, {"error": {"code": ERROR, "message": reason_of(error)}}

    def _call(self, function: Callable[[], Any]) -> Any:
        """Calls on a thread of its own, which is left behind where it takes too long."""
        limit = self._served.timeout_s
        if self._stuck >= STUCK_MAX:
            raise TooLong(f"{self._stuck} calls of {self._served.name} have not ended; no further one is made")
        if not self._room.acquire(timeout=TOOL_QUEUE_S if isinstance(self._served, Tools) else QUEUE_S):
            raise Busy
        try:
            done: list[Any] = []
            failed: list[BaseException] = []
            thread = threading.Thread(target=_run, args=(function, done, failed), name=self._served.name, daemon=True)
            thread.start()
            thread.join(limit)
        finally:
            self._room.release()
        if failed:
            raise failed[0]
        if not done:
            self._stuck += 1
            raise TooLong(f"the call took more than {limit:g} s")
        return done[0]


def _run(function: Callable[[], Any], done: list[Any], failed: list[BaseException]) -> None:
    try:
        result = function()
        done.append(_result(result))
    except BaseException as error:
        failed.append(error)


def _result(found: Any) -> Any:
    """Returns what a function has returned; waits for a coroutine."""
    if not inspect.isawaitable(found):
        return found
    import asyncio

    async def awaited() -> Any:
        return await found

    return asyncio.run(awaited())


def _tool(served: Tools, body: Mapping[str, Any]) -> Any:
    name, arguments = str(body["name"]), body.get("arguments")
    if not isinstance(arguments, dict):
        raise TypeError(f"the arguments of {name} are no object: {arguments!r}")
    if not isinstance(served.function, Mapping):
        found = served.function(name, arguments)
    elif name in served.function:
        found = served.function[name](**arguments)
    else:
        raise LookupError(f"no tool is called {name}")
    found = _result(found)
    # Checked here, where the reason can name it.
    text = found if isinstance(found, str) else json.dumps(found)
    if found is None:
        raise TypeError(f"{name} returned nothing")
    return text


def _score(served: Served, found: Any) -> float:
    if isinstance(served, Rule):
        if not isinstance(found, (bool, int)):
            raise TypeError(f"{served.name} returned {found!r}; a rule returns True or False")
        return 1.0 if found else 0.0
    number = float(found)
    if not math.isfinite(number):
        raise ValueError(f"{served.name} returned {number}")
    return number


def _verdict(found: Any) -> str:
    verdict: Any = found
    reason: Any = ""
    if isinstance(found, tuple) and len(found) == 2:
        verdict, reason = found
    if isinstance(verdict, bool):
        said = "YES" if verdict else "NO"
    elif isinstance(verdict, str) and verdict.strip().upper() in ("A", "B", "C", "TIE"):
        said = verdict.strip().upper().replace("TIE", "C")
    elif not isinstance(verdict, str) and 1 <= float(verdict) <= 10:
        said = f"{float(verdict):g}"
    else:
        raise ValueError(f'{verdict!r} is no verdict; return 1 to 10, True or False, or "A", "B" or "tie"')
    return json.dumps({"explanation": str(reason), "verdict": said}, ensure_ascii=False)


def _completion(model: str, text: str) -> dict[str, Any]:
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}
    usage = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
    created = int(time.time())
    return {"id": "f", "object": "chat.completion", "created": created, "model": model, "choices": [choice], "usage": usage}


def reason_of(error: BaseException) -> str:
    """Returns what an exception says and its traceback, the functions of this package left out, in one line."""
    said = "".join(traceback.format_exception_only(type(error), error)).strip()
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename != __file__]
    places = [f"{frame.filename}:{frame.lineno} in {frame.name}: {frame.line}" for frame in frames]
    text = " ".join(" | ".join([said, *reversed(places)]).split())
    return text if len(text) <= REASON_CHARS_MAX else text[:REASON_CHARS_MAX] + "…"

