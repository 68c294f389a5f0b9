-- +goose Up

-- What is on sale. Everything in this file but phase and epoch is written once, when
-- the event is created.

CREATE TABLE event (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    slug         text COLLATE "C" NOT NULL CONSTRAINT event_slug UNIQUE,
    name         text     NOT NULL,
    room         text     NOT NULL,
    currency     text     NOT NULL,
    phase        text     NOT NULL DEFAULT 'draft',
    -- The life of the event's locks in Redis. A fence is epoch << 40 | counter and must
    -- stay a positive int64, so 23 bits are left for it.
    epoch        bigint   NOT NULL DEFAULT 1,
    hold_ttl     interval NOT NULL,
    pay_ttl      interval NOT NULL,
    max_per_pass integer  NOT NULL,
    capacity     integer  NOT NULL,
    layout_hash  text     NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT now(),

    CONSTRAINT event_slug_shape   CHECK (slug ~ '^[a-z0-9-]{1,64}$'),
    CONSTRAINT event_name_length  CHECK (octet_length(name) BETWEEN 1 AND 1000),
    CONSTRAINT event_room_length  CHECK (octet_length(room) BETWEEN 1 AND 64),
    CONSTRAINT event_currency     CHECK (currency ~ '^[A-Z]{3}$'),
    CONSTRAINT event_phase        CHECK (phase IN ('draft', 'open', 'closed')),
    CONSTRAINT event_epoch        CHECK (epoch BETWEEN 1 AND 8388607),
    CONSTRAINT event_hold_ttl     CHECK (hold_ttl > interval '0'),
    CONSTRAINT event_pay_ttl      CHECK (pay_ttl > interval '0'),
    CONSTRAINT event_max_per_pass CHECK (max_per_pass > 0),
    CONSTRAINT event_capacity     CHECK (capacity >= 0),
    CONSTRAINT event_layout_hash  CHECK (octet_length(layout_hash) <= 128)
);

-- Cells that cost the same. number is what cells refer to: 0, 1, 2, …
CREATE TABLE category (
    event_id bigint   NOT NULL REFERENCES event ON DELETE CASCADE,
    number   integer  NOT NULL,
    name     text     NOT NULL,
    color    text     NOT NULL DEFAULT '',
    price    bigint   NOT NULL, -- minor units, fees included

    PRIMARY KEY (event_id, number),
    CONSTRAINT category_number CHECK (number >= 0),
    CONSTRAINT category_length CHECK (octet_length(name) <= 1000 AND octet_length(color) <= 100),
    CONSTRAINT category_price  CHECK (price >= 0)
);

-- The unit of inventory: a seat or a numbered unit of a standing area.
-- Ids sort by their bytes, as Go sorts them: whoever takes several cells takes them
-- in this order, which is what keeps two bookings from waiting for each other.
CREATE TABLE cell (
    event_id bigint   NOT NULL REFERENCES event ON DELETE CASCADE,
    id       text COLLATE "C" NOT NULL,
    ordinal  integer  NOT NULL, -- place in the live map; clients count on it, so it never changes
    category integer  NOT NULL,
    area     text     NOT NULL DEFAULT '', -- standing area; empty for a seat
    blocked  boolean  NOT NULL DEFAULT false,
    for_sale boolean  NOT NULL GENERATED ALWAYS AS (NOT blocked) STORED, -- what a live claim refers to

    PRIMARY KEY (event_id, id),
    CONSTRAINT cell_ordinal  UNIQUE (event_id, ordinal),
    CONSTRAINT cell_for_sale UNIQUE (event_id, id, for_sale),
    CONSTRAINT cell_category FOREIGN KEY (event_id, category) REFERENCES category (event_id, number),
    CONSTRAINT cell_id_shape CHECK (octet_length(id) BETWEEN 1 AND 64 AND id ~ '^[!-z|~]+$'),
    CONSTRAINT cell_ordinal_positive CHECK (ordinal >= 0),
    CONSTRAINT cell_area_length CHECK (octet_length(area) <= 1000)
);

-- The published layout, byte for byte: its hash is in URLs that are cached for good,
-- and jsonb would give back other bytes.
CREATE TABLE layout (
    event_id bigint NOT NULL REFERENCES event ON DELETE CASCADE,
    hash     text COLLATE "C" NOT NULL,
    document bytea  NOT NULL,

    PRIMARY KEY (event_id, hash)
);

-- +goose Down
DROP TABLE layout, cell, category, event;
