"""A step for distilabel: the teacher regenerates every assistant turn, and a killed pipeline pays for no answer twice.

    from cohobate.integrations.distilabel import Distill

    regenerate = Distill(teacher="Qwen/Qwen3-32B@http://localhost:8000/v1", options={"temperature": 0.7})
    load_data >> regenerate >> keep_columns

Needs `pip install cohobate[distilabel]`.
"""

# No `from __future__ import annotations`: distilabel reads the annotations of `process`, and pydantic those of the fields.

import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from typing import Any, Dict, List, Optional

from distilabel.constants import DISTILABEL_METADATA_KEY, SIGINT_HANDLER_CALLED_ENV_NAME
from distilabel.exceptions import DistilabelOfflineBatchGenerationNotFinishedException as Later
from distilabel.mixins.runtime_parameters import RuntimeParameter
from distilabel.steps import GlobalStep, StepInput
from pydantic import Field

import cohobate
from cohobate import binary, events, flags
from cohobate.run import Run

# What the step sets itself.
OWN = {
    "teacher": "set `teacher` of the step",
    "store": "set `store` of the step",
    "output": "the rows go to the next step; read them there",
    "to": "the rows are in distilabel's own format; convert them after the pipeline with `cohobate convert --to`",
    "dry_run": "run `cohobate plan` on the rows",
}
LOGGED_EVERY_PERCENT = 10
# The reason of a row that is not there although the run does not say why.
LEFT_OUT = "an option of the step left the row out"


class Distill(GlobalStep):
    """Has a teacher regenerate every assistant turn of each conversation.

    It is a global step: all conversations are open to one run, so that no batch waits for its slowest row. Answers are
    stored as they arrive; run the pipeline again after a kill, and stored answers are reused. Run it with
    `pipeline.run(use_cache=False)`: distilabel's own cache waits forever for a global step that was killed (1.5.3), and returns
    rows that are not whole without asking again. The store does neither.

    A row whose conversation cannot be finished stays in the dataset, with null in place of the conversation and the reason
    in `distilabel_metadata`, as distilabel's own tasks do it. The step fails only where the whole run does.

    Attributes:
        teacher: The model, as `NAME@URL`, or a profile of `cohobate.toml`.
        column: The column of the conversations.
        store: The directory of the answers; `.cohobate` in the working directory where it is None.
        options: Further options of `cohobate distill`, with `_` for `-`.
        add_raw_input: Whether to keep the conversation as it came in `distilabel_metadata`.

    Runtime parameters:
        - `teacher`: The model, as `NAME@URL`, or a profile of `cohobate.toml`.
        - `store`: The directory of the answers.
        - `options`: Further options of `cohobate distill`.
        - `add_raw_input`: Whether to keep the conversation as it came.

    Input columns:
        - conversation (`List[Dict[str, str]]`): The messages; another column with `column="messages"`. A column `tools`
            goes to the model too.

    Output columns:
        - conversation (`List[Dict[str, str]]`): The messages, with new answers; null where they are not whole.
        - model_name (`str`): The name of the teacher.
        - distilabel_metadata (`dict`): `statistics_NAME`, `incomplete_NAME` (why the conversation is not whole; empty where
            it is) and `raw_input_NAME`, where NAME is that of the step.

    Categories:
        - chat-generation
    """

    teacher: RuntimeParameter[str] = Field(default="", description="The model, as NAME@URL, or a profile of cohobate.toml.")
    column: str = "conversation"
    store: Optional[RuntimeParameter[str]] = Field(default=None, description="The directory of the answers.")
    options: Optional[RuntimeParameter[Dict[str, Any]]] = Field(
        default_factory=dict, description="Further options of `cohobate distill`."
    )
    add_raw_input: RuntimeParameter[bool] = Field(default=True, description="Whether to keep the conversation as it came.")

    @property
    def inputs(self) -> List[str]:
        return [self.column]

    @property
    def outputs(self) -> List[str]:
        return [self.column, "model_name", DISTILABEL_METADATA_KEY]

    def load(self) -> None:
        """Checks command and options, before any step of the pipeline is at work."""
        super().load()
        binary.find()
        given = self.options or {}
        for name, hint in OWN.items():
            if name in given:
                raise cohobate.OptionError(f"Distill takes no option `{name}`", hint, 2)
        flags.arguments("distill", given)

    def process(self, inputs: StepInput) -> Iterator[List[Dict[str, Any]]]:  # type: ignore[override, unused-ignore]
        """Distils all rows in one run, and yields them in their order."""
        asked = [number for number, row in enumerate(inputs) if row[self.column]]
        finished: Dict[int, Dict[str, Any]] = {}
        reasons = {number: "no conversation" for number, row in enumerate(inputs) if not row[self.column]}
        teacher = ""
        if asked:
            with tempfile.TemporaryDirectory(prefix="cohobate-") as directory:
                output = os.path.join(directory, "rows.jsonl")
                run = cohobate.distill((self._sent(number, inputs[number]) for number in asked), **self._settings(output))
                self._follow(run)
                try:
                    # A failure of the whole run is raised here.
                    finished = {int(row["id"]): row for row in run.rows()}
                except cohobate.Stopped as stop:
                    self._logger.warning(f"{stop}")
                    raise Later(()) from stop
                reasons.update((asked[row["line"] - 1], row["reason"]) for row in _lines(f"{output}.incomplete.jsonl"))
                teacher = _teacher(run)
        rows: List[Dict[str, Any]] = []
        for number, row in enumerate(inputs):
            written = finished.get(number)
            rows.append(self._row(row, written, reasons.get(number, "" if written else LEFT_OUT), teacher))
        yield rows

    def _settings(self, output: str) -> Dict[str, Any]:
        return {**(self.options or {}), "teacher": self.teacher or None, "store": self.store, "output": output}

    def _sent(self, number: int, row: Mapping[str, Any]) -> Dict[str, Any]:
        """Returns what the run reads of a row: what decides what is asked, and the number by which the row is found again."""
        tools = row.get("tools")
        return {"id": f"{number}", "messages": row[self.column], **({} if tools is None else {"tools": tools})}

    def _follow(self, run: Run) -> None:
        """Logs how far the run is, and stops it cleanly where nobody waits for its rows any more.

        distilabel hands a step Ctrl-C as a variable, and leaves the step's process at work where its own is killed.
        """
        logged, pipeline = 0, os.getppid()
        for event in run:
            if os.environ.get(SIGINT_HANDLER_CALLED_ENV_NAME) or os.getppid() != pipeline:
                self._logger.warning("the run stops; calls in flight may finish")
                run.stop()
                return
            if isinstance(event, events.Progress) and event.total:
                percent = event.done * 100 // event.total
                if percent >= logged + LOGGED_EVERY_PERCENT:
                    logged = percent - percent % LOGGED_EVERY_PERCENT
                    self._logger.info(f"{event.done:,} of {event.total:,} turns, {event.reused:,} of them reused")
            elif isinstance(event, (events.Caution, events.Parked)):
                self._logger.warning(event.text)

    def _row(
        self, row: Mapping[str, Any], finished: Optional[Mapping[str, Any]], incomplete: str, teacher: str
    ) -> Dict[str, Any]:
        turns = finished["meta"].get("turns", []) if finished is not None else []
        metadata = {
            f"statistics_{self.name}": {
                "input_tokens": sum(turn["prompt_tokens"] or 0 for turn in turns),
                "output_tokens": sum(turn["completion_tokens"] or 0 for turn in turns),
            },
            # Text in every row: distilabel writes a file for each batch, and all must have the same schema.
            f"incomplete_{self.name}": incomplete,
        }
        if self.add_raw_input:
            metadata[f"raw_input_{self.name}"] = row[self.column]
        return {
            **row,
            self.column: None if finished is None else finished["messages"],
            "model_name": teacher,
            DISTILABEL_METADATA_KEY: {**(row.get(DISTILABEL_METADATA_KEY) or {}), **metadata},
        }


def _teacher(run: Run) -> str:
    """Returns the teacher's name: in `cohobate.toml` it may be another one than that of the profile."""
    models = run.start.models if run.start is not None else []
    return next((model.model for model in models if model.role == "teacher"), "")


def _lines(path: str) -> Iterator[Dict[str, Any]]:
    """Yields the rows of a file that is not written where there would be none."""
    if os.path.exists(path):
        with open(path, encoding="utf-8") as file:
            yield from (json.loads(line) for line in file)
