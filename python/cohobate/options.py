"""The options of each command, with their types, for type checkers. Made by `python/generate.py` from the help of the command; do not edit."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypedDict, Union

if TYPE_CHECKING:
    from .callables import Judge, Rule, Scorer, Tools

PathLike = Union[str, "os.PathLike[str]"]


class DistillOptions(TypedDict, total=False):
    """Options of `cohobate distill`."""

    accept_loss: bool
    """Continue without the answers that an incomplete store has lost; what is missing is asked again."""
    body: str | Mapping[str, Any]
    """Add these fields to each request's body, such as `{"top_k": 20}`."""
    body_choice: str
    """Draw a body field for each conversation by weights, such as `reasoning_effort=low:0.5,high:0.5`."""
    concurrency: int | str
    """Keep at most N calls in flight; auto finds the server's limit [default: auto]"""
    config: PathLike
    """Read options and model profiles from this file [default: cohobate.toml, where it exists]"""
    double_user: str
    """Two user messages in a row: join them, keep both, or skip the row [default: join]"""
    dry_run: bool
    """Show what would be sent and what it would cost, and send no call; JSON with --progress json."""
    duplicates: str
    """Rows whose user messages equal an earlier row's, apart from case and spaces: keep or drop them
    [default: keep]"""
    effort: str
    """How much the model reasons, such as low, medium or high [default: the server's]"""
    empty_user: str
    """An empty user turn: cut the conversation before it, or skip the row [default: cut]"""
    encoding: str
    """Read text in this encoding, such as windows-1252, gb18030 or shift-jis [default: UTF-8; UTF-16 with
    a byte order mark is recognised]"""
    fill: str
    """Fill placeholders in user and system messages, such as name=Ada,author=the team."""
    format: str
    """Read every row in this format [default: each row's format is recognised]"""
    gate: str
    """Judge each answer before the next is built on it; retry a rejected answer, and cut the conversation
    after the third: off, standard, strict [default: off; filter, simulate, tutor: standard]"""
    give_up_after: str
    """Stop when a server has not answered for this time [default: wait indefinitely; 30m for one that
    refuses every request]"""
    greeting: str
    """A greeting of the assistant before the first user message: keep it as context, or drop it [default:
    keep]"""
    history_reasoning: bool
    """Send each answer's reasoning back with it, as <think>...</think> [default: false]"""
    judge: str | Judge
    """Who judges: NAME@URL, a profile of cohobate.toml, or simulated."""
    keep_partial: bool
    """Write an incomplete conversation up to its last good turn."""
    lane: str
    """Ask models at this tier: online, the standard one, or flex, slower and often for half the price
    [default: online]"""
    license: str
    """Name this licence in the card of a directory of shards [default: that of the inputs' cards]"""
    limit: int
    """Read only the first N rows."""
    logprobs: int
    """Store the log-probabilities of the K most probable tokens at each place too, 1 to 20; implies
    --token-ids."""
    map: str
    """Read a list of messages with other names, such as role=from,content=value or
    messages=dialog,role=who,content=says."""
    max_cost: float
    """Spend at most this many dollars, earlier runs of this store included; needs prices and --max-tokens."""
    max_output_tokens: int
    """Let models write at most N tokens, earlier runs of this store included; needs --max-tokens."""
    max_requests: int
    """Send at most N requests, earlier runs of this store included."""
    max_tokens: int
    """Most tokens in one answer, reasoning included [default: the server's]"""
    media: str
    """Rows with images, audio or video: skip them, or drop all but the text [default: skip]"""
    metrics: bool | str
    """Serve the counts of the run for Prometheus at http://ADDR/metrics, without a password [default: not
    served; without ADDR 127.0.0.1:9464]"""
    middle_system: str
    """A system message after the first turn: keep it there, fold it into the next user turn, or drop it
    [default: keep]"""
    min_score: float
    """Keep the best answer only if its score is at least SCORE; otherwise the conversation ends before
    that turn."""
    min_turns: int
    """Leave out conversations that the gate has cut to fewer turns [default: 1]"""
    no_system_column: bool
    """Leave columns such as `system` and `system_prompt` in meta [default: the text becomes the first
    message]"""
    on_end: str
    """Run this command when the run has ended, however it ended, with the summary as JSON on its standard
    input."""
    on_stall: str
    """Run this command when no answer has come for long, with the state of the run as JSON on its standard
    input."""
    orphans: str
    """User messages that refer to a replaced answer: keep and mark them, truncate the conversation before
    the first, or rewrite them; doubtful ones are marked alone [default: not looked for]"""
    orphans_judge: str
    """Who decides whether a doubtful message refers to a replaced answer: NAME@URL, a profile of
    cohobate.toml, or simulated; needs --orphans [default: nobody]"""
    outbox: PathLike
    """With a shared store, keep what is this machine's own in this directory: each answer is written there
    first [default: .cohobate/shared-...]"""
    output: PathLike
    """Write the rows here, - for standard output; .gz and .zst are compressed; DIR/ is a directory of
    Parquet shards with a dataset card [default: distilled.jsonl]"""
    placeholders: str
    """Rows with unfilled placeholders such as {{name}}: keep or skip them [default: keep]"""
    prompt: PathLike
    """Use this minijinja template as the judge's prompt."""
    report: PathLike
    """Write the summary here, as JSON; as a page of what the gate found where the name ends in .html."""
    retry_failed: bool
    """Send questions again that failed permanently in an earlier run."""
    rpm: int
    """Send at most N requests a minute."""
    rules: str
    """Change actions and thresholds of the gate's rules, such as `refusal=reject,loop_char=reject@8`."""
    rules_version: int
    """Use this version of the gate's rules and of the built-in prompts for every conversation, also those
    that were begun under another one [default: the version under which a conversation was begun, 2 for
    new ones]"""
    run: str
    """Of a shared store, work on the run of this name [default: the run with the same settings and rows];
    for show and view, the number of a run as `cohobate status` has it [default: the last one]"""
    samples: int
    """Ask for N answers to each turn and keep the best, 1 to 63; needs --judge or --scorer [default: 1]"""
    scorer: str | Scorer | Rule
    """A reward model that scores each answer: NAME@URL; it gets {"messages": [...]} and returns {"score":
    NUMBER}."""
    seed: int
    """Seed for the server's random numbers."""
    serve: str
    """Start this server for the run, such as `vllm serve MODEL`; start it again when it ends, and stop it
    at the end. What it prints goes to served.log in the store."""
    shard: str
    """Ask about the I-th of N parts of the rows, counted from 1, such as 3/16; auto takes the task of a
    Slurm array, auto/N also the index of a Kubernetes job. {shard} in --store and in names of outputs
    becomes 03-of-16 [default: all rows; the store of a shard is .cohobate/shard-03-of-16]"""
    split: str
    """Of a directory with splits, read this one [default: train, or the only one that begins so]"""
    stall_after: str
    """How long no answer comes before --on-stall [default: 10m]"""
    stop_signal: str
    """Stop cleanly, with exit code 75, on this signal too: USR1 or USR2."""
    store: PathLike
    """Store answers in this directory, or in a PostgreSQL that many machines share:
    `postgres://HOST/DATABASE` [default: .cohobate]"""
    stream: bool
    """Have the server stream its answers; false requests each answer whole [default: true] [possible
    values: true, false]"""
    system: str
    """Use this system message in place of the rows' own; @FILE reads it from a file."""
    teacher: str
    """Who answers: NAME@URL, NAME@URL1,URL2 for several servers, a profile of cohobate.toml, or simulated."""
    temperature: float
    """Sampling temperature [default: the server's]"""
    temperature_choice: str
    """Draw the temperature for each conversation by weights, such as `0.3:1,0.7:2,1.0:1`."""
    thinking: bool | str
    """Let the model reason before it answers, or not: on, off [default: the server's]"""
    threads: str
    """For trees of messages: best, the thread with the best ranks, or all [default: best]"""
    time_limit: str
    """Stop cleanly after this time, such as 8h, 90m, 45s."""
    to: str
    """Write rows for this trainer: openai, sharegpt, llama-factory, axolotl, ms-swift, trl-prompt-
    completion, per-turn, dpo, kto, token-ids, speculators, specforge [default: openai]"""
    token_ids: bool
    """Have the server give the token ids of each prompt and answer, and store them; for --to token-ids,
    speculators and specforge [default: false]"""
    tool_match: str
    """With --tools regenerate: the row's result follows a call with the same name and arguments (exact),
    or also one with the same name and other arguments (name) [default: exact]"""
    tool_results: str | Tools
    """With --tools regenerate: have this command answer calls in place of the row's results: one line of
    JSON in, one out. It is stored with its answers, so it must hold no secret [default: none]"""
    tools: str
    """Rows with tool calls: skip them; keep-prefix, the turns before the first call; replay the calls and
    their results as context; hide, skip them and send no definitions of tools for other rows; or
    regenerate (distill), have the teacher make the calls, and the row's results follow those that are
    the same [default: skip]"""
    top_p: float
    """Nucleus sampling (top-p), 0 to 1 [default: the server's]"""
    tpm: int
    """Send and request at most N tokens a minute."""
    until: str
    """Stop cleanly at the next HH:MM."""
    verbose: bool
    """Show each failed call and each change of concurrency."""
    private: bool
    """Create the dataset of an output on the Hub as a private one."""
    push_every: str | float
    """Push what is finished to `partial/` of an output on the Hub, such as every `10m`."""


class PlanOptions(TypedDict, total=False):
    """Options of `cohobate plan`."""

    accept_loss: bool
    """Continue without the answers that an incomplete store has lost; what is missing is asked again."""
    body: str | Mapping[str, Any]
    """Add these fields to each request's body, such as `{"top_k": 20}`."""
    body_choice: str
    """Draw a body field for each conversation by weights, such as `reasoning_effort=low:0.5,high:0.5`."""
    config: PathLike
    """Read options and model profiles from this file [default: cohobate.toml, where it exists]"""
    double_user: str
    """Two user messages in a row: join them, keep both, or skip the row [default: join]"""
    duplicates: str
    """Rows whose user messages equal an earlier row's, apart from case and spaces: keep or drop them
    [default: keep]"""
    effort: str
    """How much the model reasons, such as low, medium or high [default: the server's]"""
    empty_user: str
    """An empty user turn: cut the conversation before it, or skip the row [default: cut]"""
    encoding: str
    """Read text in this encoding, such as windows-1252, gb18030 or shift-jis [default: UTF-8; UTF-16 with
    a byte order mark is recognised]"""
    fill: str
    """Fill placeholders in user and system messages, such as name=Ada,author=the team."""
    format: str
    """Read every row in this format [default: each row's format is recognised]"""
    gate: str
    """Judge each answer before the next is built on it; retry a rejected answer, and cut the conversation
    after the third: off, standard, strict [default: off; filter, simulate, tutor: standard]"""
    greeting: str
    """A greeting of the assistant before the first user message: keep it as context, or drop it [default:
    keep]"""
    history_reasoning: bool
    """Send each answer's reasoning back with it, as <think>...</think> [default: false]"""
    judge: str | Judge
    """Who judges: NAME@URL, a profile of cohobate.toml, or simulated."""
    lane: str
    """Ask models at this tier: online, the standard one, or flex, slower and often for half the price
    [default: online]"""
    limit: int
    """Read only the first N rows."""
    logprobs: int
    """Store the log-probabilities of the K most probable tokens at each place too, 1 to 20; implies
    --token-ids."""
    map: str
    """Read a list of messages with other names, such as role=from,content=value or
    messages=dialog,role=who,content=says."""
    max_cost: float
    """Spend at most this many dollars, earlier runs of this store included; needs prices and --max-tokens."""
    max_tokens: int
    """Most tokens in one answer, reasoning included [default: the server's]"""
    media: str
    """Rows with images, audio or video: skip them, or drop all but the text [default: skip]"""
    middle_system: str
    """A system message after the first turn: keep it there, fold it into the next user turn, or drop it
    [default: keep]"""
    min_score: float
    """Keep the best answer only if its score is at least SCORE; otherwise the conversation ends before
    that turn."""
    no_system_column: bool
    """Leave columns such as `system` and `system_prompt` in meta [default: the text becomes the first
    message]"""
    orphans: str
    """User messages that refer to a replaced answer: keep and mark them, truncate the conversation before
    the first, or rewrite them; doubtful ones are marked alone [default: not looked for]"""
    orphans_judge: str
    """Who decides whether a doubtful message refers to a replaced answer: NAME@URL, a profile of
    cohobate.toml, or simulated; needs --orphans [default: nobody]"""
    outbox: PathLike
    """With a shared store, keep what is this machine's own in this directory: each answer is written there
    first [default: .cohobate/shared-...]"""
    output: PathLike
    """Write the rows here, - for standard output; .gz and .zst are compressed; DIR/ is a directory of
    Parquet shards with a dataset card [default: distilled.jsonl]"""
    placeholders: str
    """Rows with unfilled placeholders such as {{name}}: keep or skip them [default: keep]"""
    prompt: PathLike
    """Use this minijinja template as the judge's prompt."""
    rules: str
    """Change actions and thresholds of the gate's rules, such as `refusal=reject,loop_char=reject@8`."""
    rules_version: int
    """Use this version of the gate's rules and of the built-in prompts for every conversation, also those
    that were begun under another one [default: the version under which a conversation was begun, 2 for
    new ones]"""
    run: str
    """Of a shared store, work on the run of this name [default: the run with the same settings and rows];
    for show and view, the number of a run as `cohobate status` has it [default: the last one]"""
    samples: int
    """Ask for N answers to each turn and keep the best, 1 to 63; needs --judge or --scorer [default: 1]"""
    scorer: str | Scorer | Rule
    """A reward model that scores each answer: NAME@URL; it gets {"messages": [...]} and returns {"score":
    NUMBER}."""
    seed: int
    """Seed for the server's random numbers."""
    shard: str
    """Ask about the I-th of N parts of the rows, counted from 1, such as 3/16; auto takes the task of a
    Slurm array, auto/N also the index of a Kubernetes job. {shard} in --store and in names of outputs
    becomes 03-of-16 [default: all rows; the store of a shard is .cohobate/shard-03-of-16]"""
    split: str
    """Of a directory with splits, read this one [default: train, or the only one that begins so]"""
    store: PathLike
    """Store answers in this directory, or in a PostgreSQL that many machines share:
    `postgres://HOST/DATABASE` [default: .cohobate]"""
    system: str
    """Use this system message in place of the rows' own; @FILE reads it from a file."""
    teacher: str
    """Who answers: NAME@URL, NAME@URL1,URL2 for several servers, a profile of cohobate.toml, or simulated."""
    temperature: float
    """Sampling temperature [default: the server's]"""
    temperature_choice: str
    """Draw the temperature for each conversation by weights, such as `0.3:1,0.7:2,1.0:1`."""
    thinking: bool | str
    """Let the model reason before it answers, or not: on, off [default: the server's]"""
    threads: str
    """For trees of messages: best, the thread with the best ranks, or all [default: best]"""
    to: str
    """Write rows for this trainer: openai, sharegpt, llama-factory, axolotl, ms-swift, trl-prompt-
    completion, per-turn, dpo, kto, token-ids, speculators, specforge [default: openai]"""
    token_ids: bool
    """Have the server give the token ids of each prompt and answer, and store them; for --to token-ids,
    speculators and specforge [default: false]"""
    tool_match: str
    """With --tools regenerate: the row's result follows a call with the same name and arguments (exact),
    or also one with the same name and other arguments (name) [default: exact]"""
    tool_results: str | Tools
    """With --tools regenerate: have this command answer calls in place of the row's results: one line of
    JSON in, one out. It is stored with its answers, so it must hold no secret [default: none]"""
    tools: str
    """Rows with tool calls: skip them; keep-prefix, the turns before the first call; replay the calls and
    their results as context; hide, skip them and send no definitions of tools for other rows; or
    regenerate (distill), have the teacher make the calls, and the row's results follow those that are
    the same [default: skip]"""
    top_p: float
    """Nucleus sampling (top-p), 0 to 1 [default: the server's]"""


class CompareOptions(TypedDict, total=False):
    """Options of `cohobate compare`."""

    a: str
    """A model that answers: NAME@URL, a profile of cohobate.toml, or simulated."""
    accept_loss: bool
    """Continue without the answers that an incomplete store has lost; what is missing is asked again."""
    answers: tuple[PathLike, PathLike]
    """Two existing answer files."""
    b: str
    """Another."""
    body: str | Mapping[str, Any]
    """Add these fields to each request's body, such as `{"top_k": 20}`."""
    body_choice: str
    """Draw a body field for each conversation by weights, such as `reasoning_effort=low:0.5,high:0.5`."""
    concurrency: int | str
    """Keep at most N calls in flight; auto finds the server's limit [default: auto]"""
    config: PathLike
    """Read options and model profiles from this file [default: cohobate.toml, where it exists]"""
    controls: bool | str
    """First show the judge answers that are known to be right or wrong: if it fails these, its verdicts
    are not used and the exit code is 3 [default: true; false for a simulated judge] [possible values:
    true, false]"""
    double_user: str
    """Two user messages in a row: join them, keep both, or skip the row [default: join]"""
    dry_run: bool
    """Show what would be sent and what it would cost, and send no call; JSON with --progress json."""
    duplicates: str
    """Rows whose user messages equal an earlier row's, apart from case and spaces: keep or drop them
    [default: keep]"""
    effort: str
    """How much the model reasons, such as low, medium or high [default: the server's]"""
    empty_user: str
    """An empty user turn: cut the conversation before it, or skip the row [default: cut]"""
    encoding: str
    """Read text in this encoding, such as windows-1252, gb18030 or shift-jis [default: UTF-8; UTF-16 with
    a byte order mark is recognised]"""
    fill: str
    """Fill placeholders in user and system messages, such as name=Ada,author=the team."""
    format: str
    """Read every row in this format [default: each row's format is recognised]"""
    give_up_after: str
    """Stop when a server has not answered for this time [default: wait indefinitely; 30m for one that
    refuses every request]"""
    greeting: str
    """A greeting of the assistant before the first user message: keep it as context, or drop it [default:
    keep]"""
    history: str
    """What comes before each answer: the system's own answers, or the dataset's, shared by all [default:
    own]"""
    human: PathLike
    """People's votes on the same conversations, to say how far the judge agrees with them."""
    judge: str | Judge
    """Who judges: NAME@URL, a profile of cohobate.toml, or simulated."""
    lane: str
    """Ask models at this tier: online, the standard one, or flex, slower and often for half the price
    [default: online]"""
    limit: int
    """Read only the first N rows."""
    map: str
    """Read a list of messages with other names, such as role=from,content=value or
    messages=dialog,role=who,content=says."""
    margin: float
    """Call systems equivalent where the score is certainly this close to 50 %, as a share [default: 0.05]"""
    max_cost: float
    """Spend at most this many dollars, earlier runs of this store included; needs prices and --max-tokens."""
    max_output_tokens: int
    """Let models write at most N tokens, earlier runs of this store included; needs --max-tokens."""
    max_requests: int
    """Send at most N requests, earlier runs of this store included."""
    max_tokens: int
    """Most tokens in one answer, reasoning included [default: the server's]"""
    media: str
    """Rows with images, audio or video: skip them, or drop all but the text [default: skip]"""
    metrics: bool | str
    """Serve the counts of the run for Prometheus at http://ADDR/metrics, without a password [default: not
    served; without ADDR 127.0.0.1:9464]"""
    middle_system: str
    """A system message after the first turn: keep it there, fold it into the next user turn, or drop it
    [default: keep]"""
    no_controls: bool
    """Do not show the judge answers that are known to be right or wrong first."""
    no_system_column: bool
    """Leave columns such as `system` and `system_prompt` in meta [default: the text becomes the first
    message]"""
    on_end: str
    """Run this command when the run has ended, however it ended, with the summary as JSON on its standard
    input."""
    on_stall: str
    """Run this command when no answer has come for long, with the state of the run as JSON on its standard
    input."""
    outbox: PathLike
    """With a shared store, keep what is this machine's own in this directory: each answer is written there
    first [default: .cohobate/shared-...]"""
    output: PathLike
    """Write verdicts.jsonl, report.json, report.html and each model's answers into this directory
    [default: comparison]"""
    per: str
    """Judge each turn, the dialogue as a whole, or both [default: turn]"""
    placeholders: str
    """Rows with unfilled placeholders such as {{name}}: keep or skip them [default: keep]"""
    prompt: PathLike
    """Use this minijinja template as the judge's prompt."""
    references: PathLike
    """Good answers to the same conversations, matched by id [default: the column `reference`]"""
    repeats: int
    """Ask for N verdicts on each answer, to see how much they vary, 1 to 64 [default: 1]"""
    retry_failed: bool
    """Send questions again that failed permanently in an earlier run."""
    rpm: int
    """Send at most N requests a minute."""
    rules_version: int
    """Use this version of the gate's rules and of the built-in prompts for every conversation, also those
    that were begun under another one [default: the version under which a conversation was begun, 2 for
    new ones]"""
    run: str
    """Of a shared store, work on the run of this name [default: the run with the same settings and rows];
    for show and view, the number of a run as `cohobate status` has it [default: the last one]"""
    seed: int
    """Seed for the server's random numbers."""
    serve: str
    """Start this server for the run, such as `vllm serve MODEL`; start it again when it ends, and stop it
    at the end. What it prints goes to served.log in the store."""
    shard: str
    """Ask about the I-th of N parts of the rows, counted from 1, such as 3/16; auto takes the task of a
    Slurm array, auto/N also the index of a Kubernetes job. {shard} in --store and in names of outputs
    becomes 03-of-16 [default: all rows; the store of a shard is .cohobate/shard-03-of-16]"""
    split: str
    """Of a directory with splits, read this one [default: train, or the only one that begins so]"""
    stall_after: str
    """How long no answer comes before --on-stall [default: 10m]"""
    stop_at_ci: float
    """Stop once the 95 % interval of every pair's score reaches no further than this to either side, as a
    share."""
    stop_signal: str
    """Stop cleanly, with exit code 75, on this signal too: USR1 or USR2."""
    store: PathLike
    """Store answers in this directory, or in a PostgreSQL that many machines share:
    `postgres://HOST/DATABASE` [default: .cohobate]"""
    stream: bool
    """Have the server stream its answers; false requests each answer whole [default: true] [possible
    values: true, false]"""
    system: str | Sequence[str]
    """A system by name: a model, or a file of answers; may be given more than once."""
    temperature: float
    """Sampling temperature [default: the server's]"""
    temperature_choice: str
    """Draw the temperature for each conversation by weights, such as `0.3:1,0.7:2,1.0:1`."""
    thinking: bool | str
    """Let the model reason before it answers, or not: on, off [default: the server's]"""
    threads: str
    """For trees of messages: best, the thread with the best ranks, or all [default: best]"""
    time_limit: str
    """Stop cleanly after this time, such as 8h, 90m, 45s."""
    tools: str
    """Rows with tool calls: skip them; keep-prefix, the turns before the first call; replay the calls and
    their results as context; hide, skip them and send no definitions of tools for other rows; or
    regenerate (distill), have the teacher make the calls, and the row's results follow those that are
    the same [default: skip]"""
    top_p: float
    """Nucleus sampling (top-p), 0 to 1 [default: the server's]"""
    tpm: int
    """Send and request at most N tokens a minute."""
    until: str
    """Stop cleanly at the next HH:MM."""
    verbose: bool
    """Show each failed call and each change of concurrency."""


class EvaluateOptions(TypedDict, total=False):
    """Options of `cohobate evaluate`."""

    accept_loss: bool
    """Continue without the answers that an incomplete store has lost; what is missing is asked again."""
    concurrency: int | str
    """Keep at most N calls in flight; auto finds the server's limit [default: auto]"""
    config: PathLike
    """Read options and model profiles from this file [default: cohobate.toml, where it exists]"""
    controls: bool | str
    """First show the judge answers that are known to be right or wrong: if it fails these, its verdicts
    are not used and the exit code is 3 [default: true; false for a simulated judge] [possible values:
    true, false]"""
    criteria: PathLike
    """For check one criterion a line, for rubric what is looked for and what each grade means; a row's own
    column `criteria` takes precedence."""
    double_user: str
    """Two user messages in a row: join them, keep both, or skip the row [default: join]"""
    dry_run: bool
    """Show what would be sent and what it would cost, and send no call; JSON with --progress json."""
    duplicates: str
    """Rows whose user messages equal an earlier row's, apart from case and spaces: keep or drop them
    [default: keep]"""
    empty_user: str
    """An empty user turn: cut the conversation before it, or skip the row [default: cut]"""
    encoding: str
    """Read text in this encoding, such as windows-1252, gb18030 or shift-jis [default: UTF-8; UTF-16 with
    a byte order mark is recognised]"""
    fill: str
    """Fill placeholders in user and system messages, such as name=Ada,author=the team."""
    format: str
    """Read every row in this format [default: each row's format is recognised]"""
    give_up_after: str
    """Stop when a server has not answered for this time [default: wait indefinitely; 30m for one that
    refuses every request]"""
    greeting: str
    """A greeting of the assistant before the first user message: keep it as context, or drop it [default:
    keep]"""
    history: str
    """What the judge sees before an answer: the same speaker's own earlier answers, or the golden ones of
    the references [default: own]"""
    judge: str | Judge
    """Who judges: NAME@URL, a profile of cohobate.toml, or simulated."""
    lane: str
    """Ask models at this tier: online, the standard one, or flex, slower and often for half the price
    [default: online]"""
    license: str
    """Name this licence in the card of a directory of shards [default: that of the inputs' cards]"""
    limit: int
    """Read only the first N rows."""
    map: str
    """Read a list of messages with other names, such as role=from,content=value or
    messages=dialog,role=who,content=says."""
    max_cost: float
    """Spend at most this many dollars, earlier runs of this store included; needs prices and --max-tokens."""
    max_output_tokens: int
    """Let models write at most N tokens, earlier runs of this store included; needs --max-tokens."""
    max_requests: int
    """Send at most N requests, earlier runs of this store included."""
    media: str
    """Rows with images, audio or video: skip them, or drop all but the text [default: skip]"""
    metrics: bool | str
    """Serve the counts of the run for Prometheus at http://ADDR/metrics, without a password [default: not
    served; without ADDR 127.0.0.1:9464]"""
    middle_system: str
    """A system message after the first turn: keep it there, fold it into the next user turn, or drop it
    [default: keep]"""
    mode: str
    """What the judge gives: score, 1 to 10; check, whether each criterion is met; rubric, 1 to 5 by five
    descriptions [default: score]"""
    no_controls: bool
    """Do not show the judge answers that are known to be right or wrong first."""
    no_system_column: bool
    """Leave columns such as `system` and `system_prompt` in meta [default: the text becomes the first
    message]"""
    on_end: str
    """Run this command when the run has ended, however it ended, with the summary as JSON on its standard
    input."""
    on_stall: str
    """Run this command when no answer has come for long, with the state of the run as JSON on its standard
    input."""
    outbox: PathLike
    """With a shared store, keep what is this machine's own in this directory: each answer is written there
    first [default: .cohobate/shared-...]"""
    output: PathLike
    """Write the rows with their scores in `meta.judge` here; beside it go OUT.report.json and
    OUT.report.html [default: scores.jsonl]"""
    per: str
    """Judge each turn, the dialogue as a whole, or both [default: turn]"""
    placeholders: str
    """Rows with unfilled placeholders such as {{name}}: keep or skip them [default: keep]"""
    prompt: PathLike
    """Use this minijinja template as the judge's prompt."""
    references: PathLike
    """Good answers to the same conversations, matched by id [default: the column `reference`]"""
    repeats: int
    """Ask for N verdicts on each answer, to see how much they vary, 1 to 64 [default: 1]"""
    retry_failed: bool
    """Send questions again that failed permanently in an earlier run."""
    rpm: int
    """Send at most N requests a minute."""
    rules_version: int
    """Use this version of the gate's rules and of the built-in prompts for every conversation, also those
    that were begun under another one [default: the version under which a conversation was begun, 2 for
    new ones]"""
    run: str
    """Of a shared store, work on the run of this name [default: the run with the same settings and rows];
    for show and view, the number of a run as `cohobate status` has it [default: the last one]"""
    serve: str
    """Start this server for the run, such as `vllm serve MODEL`; start it again when it ends, and stop it
    at the end. What it prints goes to served.log in the store."""
    shard: str
    """Ask about the I-th of N parts of the rows, counted from 1, such as 3/16; auto takes the task of a
    Slurm array, auto/N also the index of a Kubernetes job. {shard} in --store and in names of outputs
    becomes 03-of-16 [default: all rows; the store of a shard is .cohobate/shard-03-of-16]"""
    split: str
    """Of a directory with splits, read this one [default: train, or the only one that begins so]"""
    stall_after: str
    """How long no answer comes before --on-stall [default: 10m]"""
    stop_signal: str
    """Stop cleanly, with exit code 75, on this signal too: USR1 or USR2."""
    store: PathLike
    """Store answers in this directory, or in a PostgreSQL that many machines share:
    `postgres://HOST/DATABASE` [default: .cohobate]"""
    stream: bool
    """Have the server stream its answers; false requests each answer whole [default: true] [possible
    values: true, false]"""
    threads: str
    """For trees of messages: best, the thread with the best ranks, or all [default: best]"""
    time_limit: str
    """Stop cleanly after this time, such as 8h, 90m, 45s."""
    to: str
    """Write rows for this trainer: openai, sharegpt, llama-factory, axolotl, ms-swift, trl-prompt-
    completion, per-turn, dpo, kto, token-ids, speculators, specforge [default: openai]"""
    tools: str
    """Rows with tool calls: skip them; keep-prefix, the turns before the first call; replay the calls and
    their results as context; hide, skip them and send no definitions of tools for other rows; or
    regenerate (distill), have the teacher make the calls, and the row's results follow those that are
    the same [default: skip]"""
    tpm: int
    """Send and request at most N tokens a minute."""
    until: str
    """Stop cleanly at the next HH:MM."""
    verbose: bool
    """Show each failed call and each change of concurrency."""


class SimulateOptions(TypedDict, total=False):
    """Options of `cohobate simulate`."""

    accept_loss: bool
    """Continue without the answers that an incomplete store has lost; what is missing is asked again."""
    body: str | Mapping[str, Any]
    """Add these fields to each request's body, such as `{"top_k": 20}`."""
    body_choice: str
    """Draw a body field for each conversation by weights, such as `reasoning_effort=low:0.5,high:0.5`."""
    concurrency: int | str
    """Keep at most N calls in flight; auto finds the server's limit [default: auto]"""
    config: PathLike
    """Read options and model profiles from this file [default: cohobate.toml, where it exists]"""
    double_user: str
    """Two user messages in a row: join them, keep both, or skip the row [default: join]"""
    dry_run: bool
    """Show what would be sent and what it would cost, and send no call; JSON with --progress json."""
    duplicates: str
    """Rows whose user messages equal an earlier row's, apart from case and spaces: keep or drop them
    [default: keep]"""
    effort: str
    """How much the model reasons, such as low, medium or high [default: the server's]"""
    empty_user: str
    """An empty user turn: cut the conversation before it, or skip the row [default: cut]"""
    encoding: str
    """Read text in this encoding, such as windows-1252, gb18030 or shift-jis [default: UTF-8; UTF-16 with
    a byte order mark is recognised]"""
    fill: str
    """Fill placeholders in user and system messages, such as name=Ada,author=the team."""
    format: str
    """Read every row in this format [default: each row's format is recognised]"""
    gate: str
    """Judge each answer before the next is built on it; retry a rejected answer, and cut the conversation
    after the third: off, standard, strict [default: off; filter, simulate, tutor: standard]"""
    give_up_after: str
    """Stop when a server has not answered for this time [default: wait indefinitely; 30m for one that
    refuses every request]"""
    greeting: str
    """A greeting of the assistant before the first user message: keep it as context, or drop it [default:
    keep]"""
    lane: str
    """Ask models at this tier: online, the standard one, or flex, slower and often for half the price
    [default: online]"""
    license: str
    """Name this licence in the card of a directory of shards [default: that of the inputs' cards]"""
    limit: int
    """Read only the first N rows."""
    map: str
    """Read a list of messages with other names, such as role=from,content=value or
    messages=dialog,role=who,content=says."""
    max_cost: float
    """Spend at most this many dollars, earlier runs of this store included; needs prices and --max-tokens."""
    max_output_tokens: int
    """Let models write at most N tokens, earlier runs of this store included; needs --max-tokens."""
    max_requests: int
    """Send at most N requests, earlier runs of this store included."""
    max_tokens: int
    """Most tokens in one answer, reasoning included [default: the server's]"""
    media: str
    """Rows with images, audio or video: skip them, or drop all but the text [default: skip]"""
    metrics: bool | str
    """Serve the counts of the run for Prometheus at http://ADDR/metrics, without a password [default: not
    served; without ADDR 127.0.0.1:9464]"""
    middle_system: str
    """A system message after the first turn: keep it there, fold it into the next user turn, or drop it
    [default: keep]"""
    min_turns: int
    """Leave out conversations that the gate has cut to fewer turns [default: 1]"""
    no_system_column: bool
    """Leave columns such as `system` and `system_prompt` in meta [default: the text becomes the first
    message]"""
    on_end: str
    """Run this command when the run has ended, however it ended, with the summary as JSON on its standard
    input."""
    on_stall: str
    """Run this command when no answer has come for long, with the state of the run as JSON on its standard
    input."""
    outbox: PathLike
    """With a shared store, keep what is this machine's own in this directory: each answer is written there
    first [default: .cohobate/shared-...]"""
    output: PathLike
    """Write the rows here; beside it go OUT.report.json and OUT.report.html [default: simulated.jsonl]"""
    personas: PathLike
    """Personas of the users, one a line; each conversation is assigned one at random, the same in every
    run."""
    placeholders: str
    """Rows with unfilled placeholders such as {{name}}: keep or skip them [default: keep]"""
    retry_failed: bool
    """Send questions again that failed permanently in an earlier run."""
    rpm: int
    """Send at most N requests a minute."""
    rules: str
    """Change actions and thresholds of the gate's rules, such as `refusal=reject,loop_char=reject@8`."""
    rules_version: int
    """Use this version of the gate's rules and of the built-in prompts for every conversation, also those
    that were begun under another one [default: the version under which a conversation was begun, 2 for
    new ones]"""
    run: str
    """Of a shared store, work on the run of this name [default: the run with the same settings and rows];
    for show and view, the number of a run as `cohobate status` has it [default: the last one]"""
    seed: int
    """Seed for the server's random numbers."""
    serve: str
    """Start this server for the run, such as `vllm serve MODEL`; start it again when it ends, and stop it
    at the end. What it prints goes to served.log in the store."""
    shard: str
    """Ask about the I-th of N parts of the rows, counted from 1, such as 3/16; auto takes the task of a
    Slurm array, auto/N also the index of a Kubernetes job. {shard} in --store and in names of outputs
    becomes 03-of-16 [default: all rows; the store of a shard is .cohobate/shard-03-of-16]"""
    split: str
    """Of a directory with splits, read this one [default: train, or the only one that begins so]"""
    stall_after: str
    """How long no answer comes before --on-stall [default: 10m]"""
    stop_signal: str
    """Stop cleanly, with exit code 75, on this signal too: USR1 or USR2."""
    store: PathLike
    """Store answers in this directory, or in a PostgreSQL that many machines share:
    `postgres://HOST/DATABASE` [default: .cohobate]"""
    stream: bool
    """Have the server stream its answers; false requests each answer whole [default: true] [possible
    values: true, false]"""
    system: str
    """Use this system message in place of the rows' own; @FILE reads it from a file."""
    teacher: str
    """Who answers: NAME@URL, a profile of cohobate.toml, or simulated."""
    temperature: float
    """Sampling temperature [default: the server's]"""
    temperature_choice: str
    """Draw the temperature for each conversation by weights, such as `0.3:1,0.7:2,1.0:1`."""
    thinking: bool | str
    """Let the model reason before it answers, or not: on, off [default: the server's]"""
    threads: str
    """For trees of messages: best, the thread with the best ranks, or all [default: best]"""
    time_limit: str
    """Stop cleanly after this time, such as 8h, 90m, 45s."""
    to: str
    """Write rows for this trainer: openai, sharegpt, llama-factory, axolotl, ms-swift, trl-prompt-
    completion, per-turn, dpo, kto, token-ids, speculators, specforge [default: openai]"""
    tools: str
    """Rows with tool calls: skip them; keep-prefix, the turns before the first call; replay the calls and
    their results as context; hide, skip them and send no definitions of tools for other rows; or
    regenerate (distill), have the teacher make the calls, and the row's results follow those that are
    the same [default: skip]"""
    top_p: float
    """Nucleus sampling (top-p), 0 to 1 [default: the server's]"""
    tpm: int
    """Send and request at most N tokens a minute."""
    turns: int
    """Continue to N user turns."""
    until: str
    """Stop cleanly at the next HH:MM."""
    user: str
    """Who plays the user."""
    verbose: bool
    """Show each failed call and each change of concurrency."""


class TutorOptions(TypedDict, total=False):
    """Options of `cohobate tutor`."""

    accept_loss: bool
    """Continue without the answers that an incomplete store has lost; what is missing is asked again."""
    body: str | Mapping[str, Any]
    """Add these fields to each request's body, such as `{"top_k": 20}`."""
    body_choice: str
    """Draw a body field for each conversation by weights, such as `reasoning_effort=low:0.5,high:0.5`."""
    concurrency: int | str
    """Keep at most N calls in flight; auto finds the server's limit [default: auto]"""
    config: PathLike
    """Read options and model profiles from this file [default: cohobate.toml, where it exists]"""
    double_user: str
    """Two user messages in a row: join them, keep both, or skip the row [default: join]"""
    dry_run: bool
    """Show what would be sent and what it would cost, and send no call; JSON with --progress json."""
    duplicates: str
    """Rows whose user messages equal an earlier row's, apart from case and spaces: keep or drop them
    [default: keep]"""
    effort: str
    """How much the model reasons, such as low, medium or high [default: the server's]"""
    empty_user: str
    """An empty user turn: cut the conversation before it, or skip the row [default: cut]"""
    encoding: str
    """Read text in this encoding, such as windows-1252, gb18030 or shift-jis [default: UTF-8; UTF-16 with
    a byte order mark is recognised]"""
    fill: str
    """Fill placeholders in user and system messages, such as name=Ada,author=the team."""
    format: str
    """Read every row in this format [default: each row's format is recognised]"""
    gate: str
    """Judge each answer before the next is built on it; retry a rejected answer, and cut the conversation
    after the third: off, standard, strict [default: off; filter, simulate, tutor: standard]"""
    give_up_after: str
    """Stop when a server has not answered for this time [default: wait indefinitely; 30m for one that
    refuses every request]"""
    greeting: str
    """A greeting of the assistant before the first user message: keep it as context, or drop it [default:
    keep]"""
    history: str
    """Whose answers conversations continue with: forced, the teacher's; student, its own; mixed:P, its own
    with probability P. Rows are written for the first; further ones, after a comma, are led for the
    student's scores alone: forced,student shows the exposure bias [default: forced]"""
    judge: str
    """Who judges: NAME@URL, a profile of cohobate.toml, or simulated."""
    lane: str
    """Ask models at this tier: online, the standard one, or flex, slower and often for half the price
    [default: online]"""
    limit: int
    """Read only the first N rows."""
    map: str
    """Read a list of messages with other names, such as role=from,content=value or
    messages=dialog,role=who,content=says."""
    max_cost: float
    """Spend at most this many dollars, earlier runs of this store included; needs prices and --max-tokens."""
    max_output_tokens: int
    """Let models write at most N tokens, earlier runs of this store included; needs --max-tokens."""
    max_requests: int
    """Send at most N requests, earlier runs of this store included."""
    max_tokens: int
    """Most tokens in one answer, reasoning included [default: the server's]"""
    media: str
    """Rows with images, audio or video: skip them, or drop all but the text [default: skip]"""
    metrics: bool | str
    """Serve the counts of the run for Prometheus at http://ADDR/metrics, without a password [default: not
    served; without ADDR 127.0.0.1:9464]"""
    middle_system: str
    """A system message after the first turn: keep it there, fold it into the next user turn, or drop it
    [default: keep]"""
    no_system_column: bool
    """Leave columns such as `system` and `system_prompt` in meta [default: the text becomes the first
    message]"""
    on_end: str
    """Run this command when the run has ended, however it ended, with the summary as JSON on its standard
    input."""
    on_stall: str
    """Run this command when no answer has come for long, with the state of the run as JSON on its standard
    input."""
    outbox: PathLike
    """With a shared store, keep what is this machine's own in this directory: each answer is written there
    first [default: .cohobate/shared-...]"""
    output: PathLike
    """Write into this directory; rounds before the last into round-1, round-2 below it [default: tutored]"""
    placeholders: str
    """Rows with unfilled placeholders such as {{name}}: keep or skip them [default: keep]"""
    prompt: PathLike
    """Use this minijinja template as the judge's prompt."""
    retry_failed: bool
    """Send questions again that failed permanently in an earlier run."""
    rounds: int
    """Ask the student again in each of R rounds, and compare them; answers of earlier rounds are reused.
    Between two rounds the student learns [default: one for each --student]"""
    rpm: int
    """Send at most N requests a minute."""
    rules: str
    """Change actions and thresholds of the gate's rules, such as `refusal=reject,loop_char=reject@8`."""
    rules_version: int
    """Use this version of the gate's rules and of the built-in prompts for every conversation, also those
    that were begun under another one [default: the version under which a conversation was begun, 2 for
    new ones]"""
    run: str
    """Of a shared store, work on the run of this name [default: the run with the same settings and rows];
    for show and view, the number of a run as `cohobate status` has it [default: the last one]"""
    seed: int
    """Seed for the server's random numbers."""
    serve: str
    """Start this server for the run, such as `vllm serve MODEL`; start it again when it ends, and stop it
    at the end. What it prints goes to served.log in the store."""
    shard: str
    """Ask about the I-th of N parts of the rows, counted from 1, such as 3/16; auto takes the task of a
    Slurm array, auto/N also the index of a Kubernetes job. {shard} in --store and in names of outputs
    becomes 03-of-16 [default: all rows; the store of a shard is .cohobate/shard-03-of-16]"""
    split: str
    """Of a directory with splits, read this one [default: train, or the only one that begins so]"""
    stall_after: str
    """How long no answer comes before --on-stall [default: 10m]"""
    stop_signal: str
    """Stop cleanly, with exit code 75, on this signal too: USR1 or USR2."""
    store: PathLike
    """Store answers in this directory, or in a PostgreSQL that many machines share:
    `postgres://HOST/DATABASE` [default: .cohobate]"""
    stream: bool
    """Have the server stream its answers; false requests each answer whole [default: true] [possible
    values: true, false]"""
    student: str | Sequence[str]
    """Who learns: NAME@URL, a profile of cohobate.toml, or simulated; may be given more than once, one for
    each round, the last one for all further rounds."""
    system: str
    """Use this system message in place of the rows' own; @FILE reads it from a file."""
    teacher: str
    """Who grades and corrects."""
    temperature: float
    """Sampling temperature [default: the server's]"""
    temperature_choice: str
    """Draw the temperature for each conversation by weights, such as `0.3:1,0.7:2,1.0:1`."""
    thinking: bool | str
    """Let the model reason before it answers, or not: on, off [default: the server's]"""
    threads: str
    """For trees of messages: best, the thread with the best ranks, or all [default: best]"""
    time_limit: str
    """Stop cleanly after this time, such as 8h, 90m, 45s."""
    to: str
    """Write sft.jsonl for this trainer: trl-prompt-completion or per-turn; loss on the correction only
    [default: trl-prompt-completion]"""
    tools: str
    """Rows with tool calls: skip them; keep-prefix, the turns before the first call; replay the calls and
    their results as context; hide, skip them and send no definitions of tools for other rows; or
    regenerate (distill), have the teacher make the calls, and the row's results follow those that are
    the same [default: skip]"""
    top_p: float
    """Nucleus sampling (top-p), 0 to 1 [default: the server's]"""
    tpm: int
    """Send and request at most N tokens a minute."""
    until: str
    """Stop cleanly at the next HH:MM."""
    verbose: bool
    """Show each failed call and each change of concurrency."""


class FilterOptions(TypedDict, total=False):
    """Options of `cohobate filter`."""

    annotate: bool
    """Write all that the rules say of each answer into `meta.quality`: values, flags, what would be
    rejected, and where. No answer is rejected."""
    config: PathLike
    """Read options and model profiles from this file [default: cohobate.toml, where it exists]"""
    duplicates: str
    """Rows whose user messages equal an earlier row's, apart from case and spaces: keep or drop them
    [default: keep]"""
    encoding: str
    """Read text in this encoding, such as windows-1252, gb18030 or shift-jis [default: UTF-8; UTF-16 with
    a byte order mark is recognised]"""
    format: str
    """Read every row in this format [default: each row's format is recognised]"""
    gate: str
    """Judge each answer before the next is built on it; retry a rejected answer, and cut the conversation
    after the third: off, standard, strict [default: off; filter, simulate, tutor: standard]"""
    license: str
    """Name this licence in the card of a directory of shards [default: that of the inputs' cards]"""
    limit: int
    """Read only the first N rows."""
    map: str
    """Read a list of messages with other names, such as role=from,content=value or
    messages=dialog,role=who,content=says."""
    media: str
    """Rows with images, audio or video: skip them, or drop all but the text [default: skip]"""
    min_distance: float
    """Keep only the best of rows whose users are more alike than this distance allows, 0 to 0.3; with
    --top."""
    min_turns: int
    """Leave out conversations that the gate has cut to fewer turns [default: 1]"""
    near_duplicates: float
    """Leave out rows whose users say nearly what an earlier row's say, from this similarity on, 0.7 to 1."""
    no_system_column: bool
    """Leave columns such as `system` and `system_prompt` in meta [default: the text becomes the first
    message]"""
    on_reject: str
    """A row with a rejected answer: drop it, or cut it before that turn [default: drop]"""
    output: PathLike
    """Write the rows that are kept here, - for standard output; .gz and .zst are compressed, DIR/ is
    shards."""
    rejected: PathLike
    """Write the other rows here, with the reason in `meta.rejected`."""
    report: PathLike
    """Write what the gate found here, as JSON; as a page where the name ends in .html."""
    rules: str
    """Change actions and thresholds of the gate's rules, such as `refusal=reject,loop_char=reject@8`."""
    rules_version: int
    """Use this version of the gate's rules and of the built-in prompts for every conversation, also those
    that were begun under another one [default: the version under which a conversation was begun, 2 for
    new ones]"""
    score: str
    """Where the score is: a column, or a path such as judge.score [default: score]"""
    split: str
    """Of a directory with splits, read this one [default: train, or the only one that begins so]"""
    threads: str
    """For trees of messages: best, the thread with the best ranks, or all [default: best]"""
    to: str
    """Write rows for this trainer: openai, sharegpt, llama-factory, axolotl, ms-swift, trl-prompt-
    completion, per-turn, dpo, kto, token-ids, speculators, specforge [default: openai]"""
    top: int
    """Keep only the N rows with the best scores."""
    private: bool
    """Create the dataset of an output on the Hub as a private one."""


class ConvertOptions(TypedDict, total=False):
    """Options of `cohobate convert`."""

    config: PathLike
    """Read options and model profiles from this file [default: cohobate.toml, where it exists]"""
    encoding: str
    """Read text in this encoding, such as windows-1252, gb18030 or shift-jis [default: UTF-8; UTF-16 with
    a byte order mark is recognised]"""
    format: str
    """Read every row in this format [default: each row's format is recognised]"""
    keep_unanswered: bool
    """Write rows without an answer too, as prompts: their messages alone."""
    license: str
    """Name this licence in the card of a directory of shards [default: that of the inputs' cards]"""
    limit: int
    """Read only the first N rows."""
    map: str
    """Read a list of messages with other names, such as role=from,content=value or
    messages=dialog,role=who,content=says."""
    media: str
    """Rows with images, audio or video: skip them, or drop all but the text [default: skip]"""
    no_system_column: bool
    """Leave columns such as `system` and `system_prompt` in meta [default: the text becomes the first
    message]"""
    output: PathLike
    """Write the rows here, - for standard output; .gz and .zst are compressed; DIR/ is a directory of
    Parquet shards with a dataset card."""
    split: str
    """Of a directory with splits, read this one [default: train, or the only one that begins so]"""
    threads: str
    """For trees of messages: best, the thread with the best ranks, or all [default: best]"""
    to: str
    """Write rows for this trainer: openai, sharegpt, llama-factory, axolotl, ms-swift, trl-prompt-
    completion, per-turn, dpo, kto, token-ids, speculators, specforge [default: openai]"""
    private: bool
    """Create the dataset of an output on the Hub as a private one."""


class InspectOptions(TypedDict, total=False):
    """Options of `cohobate inspect`."""

    config: PathLike
    """Read options and model profiles from this file [default: cohobate.toml, where it exists]"""
    double_user: str
    """Two user messages in a row: join them, keep both, or skip the row [default: join]"""
    empty_user: str
    """An empty user turn: cut the conversation before it, or skip the row [default: cut]"""
    encoding: str
    """Read text in this encoding, such as windows-1252, gb18030 or shift-jis [default: UTF-8; UTF-16 with
    a byte order mark is recognised]"""
    fill: str
    """Fill placeholders in user and system messages, such as name=Ada,author=the team."""
    format: str
    """Read every row in this format [default: each row's format is recognised]"""
    greeting: str
    """A greeting of the assistant before the first user message: keep it as context, or drop it [default:
    keep]"""
    limit: int
    """Read only the first N rows."""
    map: str
    """Read a list of messages with other names, such as role=from,content=value or
    messages=dialog,role=who,content=says."""
    media: str
    """Rows with images, audio or video: skip them, or drop all but the text [default: skip]"""
    middle_system: str
    """A system message after the first turn: keep it there, fold it into the next user turn, or drop it
    [default: keep]"""
    no_system_column: bool
    """Leave columns such as `system` and `system_prompt` in meta [default: the text becomes the first
    message]"""
    placeholders: str
    """Rows with unfilled placeholders such as {{name}}: keep or skip them [default: keep]"""
    split: str
    """Of a directory with splits, read this one [default: train, or the only one that begins so]"""
    threads: str
    """For trees of messages: best, the thread with the best ranks, or all [default: best]"""
    tools: str
    """Rows with tool calls: skip them; keep-prefix, the turns before the first call; replay the calls and
    their results as context; hide, skip them and send no definitions of tools for other rows; or
    regenerate (distill), have the teacher make the calls, and the row's results follow those that are
    the same [default: skip]"""


class VerifyOptions(TypedDict, total=False):
    """Options of `cohobate verify`."""

    accept_loss: bool
    """Continue without the answers that an incomplete store has lost; what is missing is asked again."""
    body: str | Mapping[str, Any]
    """Add these fields to each request's body, such as `{"top_k": 20}`."""
    body_choice: str
    """Draw a body field for each conversation by weights, such as `reasoning_effort=low:0.5,high:0.5`."""
    config: PathLike
    """Read options and model profiles from this file [default: cohobate.toml, where it exists]"""
    double_user: str
    """Two user messages in a row: join them, keep both, or skip the row [default: join]"""
    duplicates: str
    """Rows whose user messages equal an earlier row's, apart from case and spaces: keep or drop them
    [default: keep]"""
    effort: str
    """How much the model reasons, such as low, medium or high [default: the server's]"""
    empty_user: str
    """An empty user turn: cut the conversation before it, or skip the row [default: cut]"""
    encoding: str
    """Read text in this encoding, such as windows-1252, gb18030 or shift-jis [default: UTF-8; UTF-16 with
    a byte order mark is recognised]"""
    fill: str
    """Fill placeholders in user and system messages, such as name=Ada,author=the team."""
    format: str
    """Read every row in this format [default: each row's format is recognised]"""
    gate: str
    """Judge each answer before the next is built on it; retry a rejected answer, and cut the conversation
    after the third: off, standard, strict [default: off; filter, simulate, tutor: standard]"""
    greeting: str
    """A greeting of the assistant before the first user message: keep it as context, or drop it [default:
    keep]"""
    history_reasoning: bool
    """Send each answer's reasoning back with it, as <think>...</think> [default: false]"""
    judge: str | Judge
    """Who judges: NAME@URL, a profile of cohobate.toml, or simulated."""
    keep_partial: bool
    """Write an incomplete conversation up to its last good turn."""
    limit: int
    """Read only the first N rows."""
    logprobs: int
    """Store the log-probabilities of the K most probable tokens at each place too, 1 to 20; implies
    --token-ids."""
    map: str
    """Read a list of messages with other names, such as role=from,content=value or
    messages=dialog,role=who,content=says."""
    max_tokens: int
    """Most tokens in one answer, reasoning included [default: the server's]"""
    media: str
    """Rows with images, audio or video: skip them, or drop all but the text [default: skip]"""
    middle_system: str
    """A system message after the first turn: keep it there, fold it into the next user turn, or drop it
    [default: keep]"""
    min_score: float
    """Keep the best answer only if its score is at least SCORE; otherwise the conversation ends before
    that turn."""
    min_turns: int
    """Leave out conversations that the gate has cut to fewer turns [default: 1]"""
    no_system_column: bool
    """Leave columns such as `system` and `system_prompt` in meta [default: the text becomes the first
    message]"""
    orphans: str
    """User messages that refer to a replaced answer: keep and mark them, truncate the conversation before
    the first, or rewrite them; doubtful ones are marked alone [default: not looked for]"""
    orphans_judge: str
    """Who decides whether a doubtful message refers to a replaced answer: NAME@URL, a profile of
    cohobate.toml, or simulated; needs --orphans [default: nobody]"""
    outbox: PathLike
    """With a shared store, keep what is this machine's own in this directory: each answer is written there
    first [default: .cohobate/shared-...]"""
    output: PathLike
    """The output to compare with input and store."""
    placeholders: str
    """Rows with unfilled placeholders such as {{name}}: keep or skip them [default: keep]"""
    prompt: PathLike
    """Use this minijinja template as the judge's prompt."""
    repair: bool
    """Remove what is damaged and rebuild the index; damaged segments are kept beside the new ones."""
    rules: str
    """Change actions and thresholds of the gate's rules, such as `refusal=reject,loop_char=reject@8`."""
    rules_version: int
    """Use this version of the gate's rules and of the built-in prompts for every conversation, also those
    that were begun under another one [default: the version under which a conversation was begun, 2 for
    new ones]"""
    run: str
    """Of a shared store, work on the run of this name [default: the run with the same settings and rows];
    for show and view, the number of a run as `cohobate status` has it [default: the last one]"""
    samples: int
    """Ask for N answers to each turn and keep the best, 1 to 63; needs --judge or --scorer [default: 1]"""
    scorer: str | Scorer | Rule
    """A reward model that scores each answer: NAME@URL; it gets {"messages": [...]} and returns {"score":
    NUMBER}."""
    seed: int
    """Seed for the server's random numbers."""
    shard: str
    """Ask about the I-th of N parts of the rows, counted from 1, such as 3/16; auto takes the task of a
    Slurm array, auto/N also the index of a Kubernetes job. {shard} in --store and in names of outputs
    becomes 03-of-16 [default: all rows; the store of a shard is .cohobate/shard-03-of-16]"""
    split: str
    """Of a directory with splits, read this one [default: train, or the only one that begins so]"""
    store: PathLike
    """Store answers in this directory, or in a PostgreSQL that many machines share:
    `postgres://HOST/DATABASE` [default: .cohobate]"""
    system: str
    """Use this system message in place of the rows' own; @FILE reads it from a file."""
    teacher: str
    """Who answers: NAME@URL, NAME@URL1,URL2 for several servers, a profile of cohobate.toml, or simulated."""
    temperature: float
    """Sampling temperature [default: the server's]"""
    temperature_choice: str
    """Draw the temperature for each conversation by weights, such as `0.3:1,0.7:2,1.0:1`."""
    thinking: bool | str
    """Let the model reason before it answers, or not: on, off [default: the server's]"""
    threads: str
    """For trees of messages: best, the thread with the best ranks, or all [default: best]"""
    to: str
    """Write rows for this trainer: openai, sharegpt, llama-factory, axolotl, ms-swift, trl-prompt-
    completion, per-turn, dpo, kto, token-ids, speculators, specforge [default: openai]"""
    token_ids: bool
    """Have the server give the token ids of each prompt and answer, and store them; for --to token-ids,
    speculators and specforge [default: false]"""
    tool_match: str
    """With --tools regenerate: the row's result follows a call with the same name and arguments (exact),
    or also one with the same name and other arguments (name) [default: exact]"""
    tool_results: str | Tools
    """With --tools regenerate: have this command answer calls in place of the row's results: one line of
    JSON in, one out. It is stored with its answers, so it must hold no secret [default: none]"""
    tools: str
    """Rows with tool calls: skip them; keep-prefix, the turns before the first call; replay the calls and
    their results as context; hide, skip them and send no definitions of tools for other rows; or
    regenerate (distill), have the teacher make the calls, and the row's results follow those that are
    the same [default: skip]"""
    top_p: float
    """Nucleus sampling (top-p), 0 to 1 [default: the server's]"""
