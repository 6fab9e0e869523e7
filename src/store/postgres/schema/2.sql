-- What merges take in of other stores.

-- The number of the run in the store of the start that has paid; NULL where that is a worker of this database. Answers of other
-- stores change no conversation's state.
ALTER TABLE cohobate_answer ADD COLUMN paid_run integer;

-- Answers that are not used, because their questions have others. record: the hash of an answer's record as its own store has it,
-- which names it together with its start.
CREATE TABLE cohobate_kept (
    question bytea NOT NULL,
    record bytea NOT NULL,
    start bytea NOT NULL,
    run integer NOT NULL,
    paid_run integer,
    batch bigint NOT NULL,
    frame bytea NOT NULL,
    PRIMARY KEY (question, record, start)
);
ALTER TABLE cohobate_kept ALTER COLUMN frame SET STORAGE EXTERNAL;
CREATE INDEX cohobate_kept_order ON cohobate_kept (batch);

-- Runs of other stores. run: the number here, in cohobate_run.
CREATE TABLE cohobate_kept_run (
    start bytea NOT NULL,
    number integer NOT NULL,
    run integer NOT NULL UNIQUE,
    answers bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (start, number)
);

-- States of conversations that were joined with those of other stores. What is of a later batch comes on top.
CREATE TABLE cohobate_state (
    conversation bytea PRIMARY KEY,
    batch bigint NOT NULL,
    place integer NOT NULL,
    frame bytea NOT NULL
);
ALTER TABLE cohobate_state ALTER COLUMN frame SET STORAGE EXTERNAL;
CREATE INDEX cohobate_state_order ON cohobate_state (batch, place);

-- Questions whose answer was replaced by a merge that has not ended: conversations may have been built on the other one.
CREATE TABLE cohobate_unsettled (
    question bytea PRIMARY KEY
);
