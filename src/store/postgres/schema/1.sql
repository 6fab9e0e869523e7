-- Answers and notes are ordered by (batch, place): a number for each commit, and the place within it.
CREATE SEQUENCE cohobate_batch;

-- Write-once. The frame is the journal's; it is compressed already.
CREATE TABLE cohobate_answer (
    question bytea PRIMARY KEY,
    conversation bytea NOT NULL,
    run integer NOT NULL,
    worker bytea NOT NULL,
    batch bigint NOT NULL,
    place integer NOT NULL,
    stored timestamptz NOT NULL DEFAULT clock_timestamp(),
    frame bytea NOT NULL
);
ALTER TABLE cohobate_answer ALTER COLUMN frame SET STORAGE EXTERNAL;
CREATE INDEX cohobate_answer_conversation ON cohobate_answer (conversation);
CREATE INDEX cohobate_answer_order ON cohobate_answer (batch, place);

CREATE TABLE cohobate_note (
    worker bytea NOT NULL,
    number bigint NOT NULL,
    conversation bytea NOT NULL,
    run integer NOT NULL,
    batch bigint NOT NULL,
    place integer NOT NULL,
    frame bytea NOT NULL,
    PRIMARY KEY (worker, number)
);
ALTER TABLE cohobate_note ALTER COLUMN frame SET STORAGE EXTERNAL;
CREATE INDEX cohobate_note_conversation ON cohobate_note (conversation);
CREATE INDEX cohobate_note_order ON cohobate_note (batch, place);

CREATE TABLE cohobate_lost (
    question bytea PRIMARY KEY,
    calls bigint NOT NULL,
    reason text NOT NULL
);

CREATE TABLE cohobate_run (
    number integer PRIMARY KEY,
    name text NOT NULL UNIQUE,
    settings_digest bytea NOT NULL,
    rows_digest bytea NOT NULL,
    record bytea NOT NULL,
    cap_cost_nano bigint,
    cap_requests bigint,
    cap_output_tokens bigint,
    writer bytea,
    writer_place text,
    is_written boolean NOT NULL DEFAULT false
);

-- Openings are unsigned; they are stored with the first bit flipped, so that their order is kept.
CREATE TABLE cohobate_slot (
    run integer NOT NULL,
    low bigint NOT NULL,
    high bigint NOT NULL,
    weight bigint NOT NULL,
    owner bytea,
    epoch bigint NOT NULL DEFAULT 0,
    is_done boolean NOT NULL DEFAULT false,
    has_failures boolean NOT NULL DEFAULT false,
    PRIMARY KEY (run, low)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_cost_delay = 0);
CREATE INDEX cohobate_slot_free ON cohobate_slot (run, weight DESC, low) WHERE owner IS NULL AND NOT is_done;
CREATE INDEX cohobate_slot_owned ON cohobate_slot (owner) WHERE owner IS NOT NULL AND NOT is_done;
CREATE INDEX cohobate_slot_undone ON cohobate_slot (run) WHERE NOT is_done;

-- One row for each start of a worker. Its lease is here, so that a renewal is one small update: no index has a column that a
-- renewal changes. is_gone: its lease was seen to have passed, and its slots are free.
CREATE TABLE cohobate_worker (
    id bytea PRIMARY KEY,
    host text NOT NULL,
    process bigint NOT NULL,
    version text NOT NULL,
    run integer,
    started timestamptz NOT NULL DEFAULT clock_timestamp(),
    seen timestamptz NOT NULL,
    lease interval NOT NULL,
    until timestamptz NOT NULL,
    taken bigint NOT NULL DEFAULT 0,
    is_gone boolean NOT NULL DEFAULT false,
    is_idle boolean NOT NULL DEFAULT false,
    left_at timestamptz,
    answers bigint NOT NULL DEFAULT 0,
    position_segment bigint NOT NULL DEFAULT 0,
    position_offset bigint NOT NULL DEFAULT -9223372036854775808,
    booked_cost_nano bigint NOT NULL DEFAULT 0,
    booked_requests bigint NOT NULL DEFAULT 0,
    booked_output_tokens bigint NOT NULL DEFAULT 0,
    granted_cost_nano bigint NOT NULL DEFAULT 0,
    granted_requests bigint NOT NULL DEFAULT 0,
    granted_output_tokens bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_cost_delay = 0);
CREATE INDEX cohobate_worker_present ON cohobate_worker (run) WHERE left_at IS NULL AND NOT is_gone;

-- What each start has spent: counters that only grow.
CREATE TABLE cohobate_spend (
    worker bytea NOT NULL,
    model text NOT NULL,
    calls bigint NOT NULL,
    prompt_tokens bigint NOT NULL,
    cached_tokens bigint NOT NULL,
    cache_write_tokens bigint NOT NULL,
    completion_tokens bigint NOT NULL,
    reasoning_tokens bigint NOT NULL,
    flex_calls bigint NOT NULL,
    flex_prompt_tokens bigint NOT NULL,
    flex_cached_tokens bigint NOT NULL,
    flex_cache_write_tokens bigint NOT NULL,
    flex_completion_tokens bigint NOT NULL,
    flex_reasoning_tokens bigint NOT NULL,
    unknown_calls bigint NOT NULL,
    unknown_prompt_tokens bigint NOT NULL,
    unknown_completion_tokens bigint NOT NULL,
    PRIMARY KEY (worker, model)
);

CREATE TABLE cohobate_control (
    run integer NOT NULL,
    number bigint NOT NULL,
    text text NOT NULL,
    sent timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (run, number)
);
