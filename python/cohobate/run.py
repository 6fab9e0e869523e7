"""A command at work, or one that has ended, with what it wrote."""

from __future__ import annotations

import os
import signal
import tempfile
import weakref
from collections.abc import AsyncIterator, Generator, Iterator
from typing import TYPE_CHECKING, Any, Optional

from . import output, steering
from .errors import RowsError, SteeringError
from .events import Event, Progress, Start, Summary
from .execution import Execution

if TYPE_CHECKING:
    import datasets
    import pandas

    from .attempts import Attempt
    from .call import Call
    from .push import Pusher


class Run:
    """What `distill` and the other functions return. The command is at work already, beside the program.

    Iterate it for its events, with `for` or `async for`. `wait()` or `await` it for its end; rows, `summary` and `report`
    wait for the end themselves. In a `with` block it is stopped at the end of the block.
    """

    def __init__(self, call: Call) -> None:
        self._call = call
        spool = call.spool
        try:
            environment = call.serving.environment if call.serving is not None else None
            self._execution = Execution(
                call.line, call.directory, call.prints_json, call.left_behind, call.release, environment
            )
        except BaseException:
            call.release()
            spool.remove()
            raise
        self._pusher: Optional[Pusher] = None
        if call.push is not None and not call.prints_json:
            from .push import Pusher

            self._pusher = Pusher(call, self._execution)
        # The rows are kept as long as this object, for `conversation`.
        weakref.finalize(self, spool.release)
        self._steering = steering.Steering(call.binary, call.place, call.directory, self._execution)
        self._was_stopped = False

    @property
    def start(self) -> Optional[Start]:
        """Models, rows and caps; None before the first call may be sent."""
        return self._execution.start

    @property
    def progress(self) -> Optional[Progress]:
        """The newest state; None before the first."""
        return self._execution.progress

    @property
    def exit_code(self) -> Optional[int]:
        """The exit code; None while the command is at work. 3 says that some rows are not whole."""
        return self._execution.exit_code

    @property
    def output(self) -> Optional[str]:
        """The path of the rows; None where the command writes no rows, or has not said yet where."""
        start = self._execution.start
        return self._call.output or (start.output if start is not None else None)

    @property
    def summary(self) -> Optional[Summary]:
        """The end of a distillation, stopped or complete; None for other commands. Waits for the end."""
        self._settle()
        return self._execution.summary

    @property
    def report(self) -> Optional[dict[str, Any]]:
        """What the other commands found, as `docs/output.schema.json` and their report files say. Waits for the end."""
        self._settle()
        return self._execution.report

    def wait(self, show: Optional[bool] = None) -> Run:
        """Waits for the end and returns this Run.

        Shows a bar on standard error in a notebook and on a terminal; `show` decides otherwise. Ctrl-C stops the command
        cleanly: calls in flight may finish, which takes a minute at most; a second Ctrl-C gives them up. Then
        KeyboardInterrupt is raised. Raises a CohobateError where the command failed, or stopped early without `stop`.
        """
        self._execution.wait(show)
        self._execution.raise_failure(except_stops=self._was_stopped)
        if self._pusher is not None:
            self._pusher.wait()
            self._pusher.raise_failure()
        return self

    def _settle(self) -> None:
        self._execution.wait(None)
        self._execution.raise_failure(except_stops=True)

    def __iter__(self) -> Iterator[Event]:
        return iter(self._execution)

    def __aiter__(self) -> AsyncIterator[Event]:
        return self._execution.__aiter__()

    def __await__(self) -> Generator[Any, None, Run]:
        return self._finish().__await__()

    async def _finish(self) -> Run:
        await self._execution.finish()
        if self._pusher is not None:
            import asyncio

            await asyncio.get_running_loop().run_in_executor(None, self._pusher.wait)
        return self.wait(show=False)

    def rows(self, name: Optional[str] = None) -> Iterator[dict[str, Any]]:
        """Yields the rows that were written, one in memory at a time; waits for the end.

        Of a directory (`compare`, `tutor`) `name` is the file. Raises the failure of the command, also an early stop: the
        output is written at the end.
        """
        return output.rows(self._file(name))

    def to_datasets(self, name: Optional[str] = None) -> datasets.Dataset:
        """Returns the rows as a `datasets.Dataset`; waits for the end. Needs `datasets`."""
        import datasets

        path = self._file(name)
        if path.endswith("/"):
            return datasets.Dataset.from_parquet([*output.shards(path)])
        return datasets.Dataset.from_json(path)

    def to_pandas(self, name: Optional[str] = None) -> pandas.DataFrame:
        """Returns the rows as a data frame; waits for the end. Needs `pandas`."""
        import pandas

        return pandas.DataFrame(list(self.rows(name)))

    def push_to_hub(self, repository: str, private: Optional[bool] = None, message: Optional[str] = None) -> Optional[str]:
        """Pushes the shards and the card to `OWNER/NAME` in one commit, and returns it; waits for the end of the run.

        None says that the Hub has all of it already. What was uploaded before is not uploaded again. A dataset that is not
        there is created, public unless `private`. Needs `huggingface_hub`, and a token that may write. Where the output is no
        directory of shards, shards are made of the store's answers. Raises PushError, and the failure of the command.
        """
        from . import hub, push

        name = hub.repository_of(repository)
        hub.check_installed()
        path = self._file(None)
        with tempfile.TemporaryDirectory(prefix="cohobate-push-") as temporary:
            if not path.endswith("/"):
                if self._call.command != "distill":
                    raise RowsError(f"{path} is no directory of shards", 'let the output end in /, as output="out/"', 2)
                path = temporary + "/shards/"
                push.export(self._call.export_line, self._call.directory, path)
            remote = hub.Remote(name)
            remote.create(private)
            return push.push_shards(remote, path, message)

    @property
    def pushed(self) -> Optional[str]:
        """The commit with all rows, where `output` is on the Hub; None before it, and where nothing has changed."""
        return self._pusher.commit if self._pusher is not None else None

    def _file(self, name: Optional[str]) -> str:
        self._execution.wait(None)
        self._execution.raise_failure()
        if self.output is None:
            raise RowsError(f"{self._call.command} has written no rows", "read Run.report", 2)
        path = os.path.join(self._call.directory, self.output)
        return output.file_of(self._call.command, path, name)

    def conversation(self, id: str) -> dict[str, Any]:
        """Returns what the store has of a row: old and new answers and rejected attempts, as `cohobate show --json` does.

        It may be asked while the command is at work. Raises a CohobateError where no row has that id.
        """
        line = [self._call.binary, "show", "--json", "--progress=json", *self._call.show, "--", id]
        done = Execution(line, self._call.directory, True)
        done.wait(False)
        done.raise_failure()
        return done.report or {}

    def attempts(self) -> Iterator[Attempt]:
        """Yields every answer that the store has of the rows, kept or rejected, in the order of the rows.

        It may be asked while the command is at work. One conversation is in memory at a time.
        """
        from .attempts import attempts

        line = [self._call.binary, "show", "--all", "--json", "--progress=json", *self._call.show]
        return attempts(line, self._call.directory)

    def pause(self) -> None:
        """Sends no further call; those in flight finish. Raises SteeringError where the run has ended."""
        self._steering.steer("pause")

    def resume(self) -> None:
        """Ends a pause. Raises SteeringError where the run has ended."""
        self._steering.steer("resume")

    def set(self, **limits: Optional[float]) -> None:
        """Changes `concurrency`, `rpm` or `max_cost`; None removes a limit. A limit stays for later runs of the store."""
        self._steering.steer("set", *steering.limits(limits))

    def status(self) -> dict[str, Any]:
        """Returns progress, limits, servers and failures of the run at work, as `docs/steering.md` says."""
        return self._steering.steer("status", "--json") or {}

    def stop(self, now: bool = False) -> None:
        """Stops the run and waits; the same call resumes it. `now` gives up the calls in flight.

        Does nothing where the run has ended.
        """
        self._was_stopped = True
        number: Optional[int] = signal.SIGTERM
        # Before the first call there is nothing to finish, and nobody to ask.
        if self.start is not None:
            try:
                self._steering.steer("stop", *(["--now"] if now else []))
                number = None
            except SteeringError:
                # It is about to end, or has ended.
                pass
        self._execution.stop(number)

    def __enter__(self) -> Run:
        return self

    def __exit__(self, *_: object) -> None:
        if not self._execution.process.has_ended.is_set():
            self.stop()

    def __repr__(self) -> str:
        code, now = self.exit_code, self.progress
        state = "at work" if code is None else f"ended with exit code {code}"
        far = f", {now.done:,} of {now.total:,} {now.unit}s" if now is not None else ""
        return f"<cohobate {self._call.command}: {state}{far}>"
