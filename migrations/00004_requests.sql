-- +goose Up

-- Requests that may come again: a client's POST under its idempotency key, and a
-- provider's webhook under its event id.

-- One effect for one key (I8). A row without a status is a try under way, locked
-- until it should be over; with one it is the reply that every repetition gets.
CREATE TABLE idempotency (
    scope        text COLLATE "C" NOT NULL, -- who asks: nobody finds another's reply by guessing a key
    key          text COLLATE "C" NOT NULL,
    fingerprint  bytea       NOT NULL,
    locked_until timestamptz NOT NULL,
    -- Which call reserved the key. When the answer to a commit is lost, this tells the
    -- caller that the try under way is its own.
    try          uuid        NOT NULL,
    status       integer,
    body         bytea,
    finished_at  timestamptz,
    created_at   timestamptz NOT NULL DEFAULT now(),

    PRIMARY KEY (scope, key),
    CONSTRAINT idempotency_lengths     CHECK (octet_length(scope) BETWEEN 1 AND 256 AND octet_length(key) BETWEEN 1 AND 255),
    CONSTRAINT idempotency_key         CHECK (key !~ '[^ -~]'), -- printable ASCII: it reads the same to client, server and support
    CONSTRAINT idempotency_fingerprint CHECK (octet_length(fingerprint) = 32),
    CONSTRAINT idempotency_status      CHECK (status BETWEEN 100 AND 599),
    CONSTRAINT idempotency_body        CHECK (octet_length(body) <= 65536),
    CONSTRAINT idempotency_finished    CHECK ((status IS NULL) = (body IS NULL) AND (status IS NULL) = (finished_at IS NULL))
);

-- For pruning, which looks at the oldest only.
CREATE INDEX idempotency_age ON idempotency (COALESCE(finished_at, locked_until));

-- Webhooks that were dealt with. A provider resends for days; a row is small.
CREATE TABLE webhook (
    provider text COLLATE "C" NOT NULL,
    event_id text COLLATE "C" NOT NULL,
    noted_at timestamptz NOT NULL DEFAULT now(),

    PRIMARY KEY (provider, event_id),
    CONSTRAINT webhook_lengths CHECK (octet_length(provider) BETWEEN 1 AND 64 AND octet_length(event_id) BETWEEN 1 AND 256)
);

-- +goose Down
DROP TABLE webhook, idempotency;
