-- +goose Up

-- What a committed move has ordered to be done outside of the database. A row is
-- written in the transaction of the move, so none is forgotten, and is deleted when
-- its task is done.

CREATE TABLE outbox (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    booking_id text COLLATE "C" NOT NULL REFERENCES booking,
    kind       text        NOT NULL,
    -- When the task may be taken: pushed into the future by a lease and by a pause.
    due_at     timestamptz NOT NULL DEFAULT now(),
    attempts   integer     NOT NULL DEFAULT 0,
    reason     text        NOT NULL DEFAULT '', -- why the last try failed, for the operator
    created_at timestamptz NOT NULL DEFAULT now(),

    CONSTRAINT outbox_once     UNIQUE (booking_id, kind), -- each move is made once, and orders each task once
    CONSTRAINT outbox_kind     CHECK (kind IN ('mark', 'capture', 'unpay', 'free')),
    CONSTRAINT outbox_attempts CHECK (attempts >= 0),
    CONSTRAINT outbox_reason   CHECK (octet_length(reason) <= 1000)
) WITH (
    -- A queue dies of its dead rows: each row here is updated once or twice and
    -- deleted within a second, so the table is cleaned long before a fifth is dead.
    autovacuum_vacuum_scale_factor = 0.02,
    autovacuum_vacuum_threshold = 500
);

CREATE INDEX outbox_due ON outbox (due_at, id);

-- +goose Down
DROP TABLE outbox;
