-- What is sold and to whom: the truth about seats and money.
--
-- The race for a seat is decided here, by a unique index, and not by any program:
-- whoever commits a live claim first has the cell (I1). Everything else is there so
-- that a mistake in a program is refused instead of kept.

-- +goose Up
CREATE TABLE event (
	id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	-- Part of URLs, of Redis keys and of hold ids, where "_" divides. Never changed.
	slug         text NOT NULL CONSTRAINT event_slug_is_plain CHECK (slug ~ '^[a-z0-9]([a-z0-9-]{0,62}[a-z0-9])?$'),
	name         text NOT NULL CONSTRAINT event_name_is_short CHECK (octet_length(name) BETWEEN 1 AND 200),
	room         text NOT NULL CONSTRAINT event_room_is_plain CHECK (room ~ '^[a-z0-9]([a-z0-9-]{0,62}[a-z0-9])?$'),
	currency     text NOT NULL CONSTRAINT event_currency_is_iso CHECK (currency ~ '^[A-Z]{3}$'),
	phase        text NOT NULL CONSTRAINT event_phase_is_known CHECK (phase IN ('draft', 'open', 'closed')),
	-- One life of the event's locks in Redis. It only grows, and fences begin with
	-- it, so a fence never goes backwards however often Redis loses its data.
	epoch        bigint NOT NULL CONSTRAINT event_epoch_is_positive CHECK (epoch > 0),
	hold_ms      bigint NOT NULL CONSTRAINT event_hold_is_sane CHECK (hold_ms BETWEEN 1 AND 86400000),
	pay_ms       bigint NOT NULL CONSTRAINT event_pay_is_sane CHECK (pay_ms BETWEEN 1 AND 86400000),
	max_per_pass integer NOT NULL CONSTRAINT event_limit_is_sane CHECK (max_per_pass BETWEEN 1 AND 100),
	capacity     integer NOT NULL CONSTRAINT event_capacity_is_sane CHECK (capacity BETWEEN 0 AND 1000000),
	layout_hash  text NOT NULL CONSTRAINT event_layout_is_a_hash CHECK (layout_hash ~ '^[0-9a-f]{64}$'),
	created_at   timestamptz NOT NULL DEFAULT now(),
	CONSTRAINT event_slug_is_unique UNIQUE (slug)
);

CREATE TABLE category (
	event_id bigint NOT NULL REFERENCES event ON DELETE CASCADE,
	index    integer NOT NULL CHECK (index >= 0),
	name     text NOT NULL CHECK (octet_length(name) BETWEEN 1 AND 200),
	color    text NOT NULL CHECK (octet_length(color) <= 40),
	price    bigint NOT NULL CHECK (price >= 0), -- minor units, fees included
	PRIMARY KEY (event_id, index)
);

-- The document that clients draw the map on. Its address has the hash in it, so it
-- can be cached for ever.
CREATE TABLE layout (
	event_id bigint NOT NULL REFERENCES event ON DELETE CASCADE,
	hash     text NOT NULL CHECK (hash ~ '^[0-9a-f]{64}$'),
	document bytea NOT NULL,
	PRIMARY KEY (event_id, hash)
);

-- The unit of inventory, of every kind.
CREATE TABLE cell (
	event_id bigint NOT NULL REFERENCES event ON DELETE CASCADE,
	-- Braces would move a Redis key to another node of a cluster.
	cell_id  text NOT NULL CHECK (octet_length(cell_id) BETWEEN 1 AND 64 AND cell_id !~ '[^!-~]|[{}]'),
	-- Place in the live map. Never changed: the map has no other names.
	ordinal  integer NOT NULL CHECK (ordinal >= 0),
	category integer NOT NULL,
	area     text NOT NULL DEFAULT '', -- standing area; empty for a seat
	blocked  boolean NOT NULL DEFAULT false,
	PRIMARY KEY (event_id, cell_id),
	UNIQUE (event_id, ordinal),
	FOREIGN KEY (event_id, category) REFERENCES category (event_id, index)
);

CREATE TABLE booking (
	-- Made by the allocator of what was asked for, before anything is written: after
	-- a commit whose answer was lost it can be looked up.
	id          text PRIMARY KEY CHECK (id ~ '^b_[0-9a-f-]{36}$'),
	event_id    bigint NOT NULL REFERENCES event,
	hold_id     text NOT NULL CHECK (octet_length(hold_id) BETWEEN 1 AND 200),
	holder      text NOT NULL CHECK (octet_length(holder) BETWEEN 1 AND 200),
	buyer_name  text NOT NULL CHECK (octet_length(buyer_name) <= 200),
	buyer_email text NOT NULL CHECK (octet_length(buyer_email) <= 200),
	cells       text[] NOT NULL CHECK (cardinality(cells) BETWEEN 1 AND 500),
	fence       bigint NOT NULL,
	state       text NOT NULL CONSTRAINT booking_state_is_known
	            CHECK (state IN ('claimed', 'authorising', 'booked', 'captured', 'declined', 'expired', 'attention')),
	amount      bigint NOT NULL CHECK (amount >= 0),
	currency    text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
	attempt     integer NOT NULL DEFAULT 0 CHECK (attempt >= 0),
	-- The provider's token, not a card. Kept so that a call whose answer was lost can
	-- be repeated as it was.
	method      text NOT NULL DEFAULT '' CHECK (octet_length(method) <= 200),
	payment_id  text NOT NULL DEFAULT '' CHECK (octet_length(payment_id) <= 200),
	reason      text NOT NULL DEFAULT '' CHECK (octet_length(reason) <= 200),
	deadline    timestamptz NOT NULL,
	created_at  timestamptz NOT NULL,
	updated_at  timestamptz NOT NULL,
	-- No provider is called before the database knows that it will be.
	CONSTRAINT booking_payment_has_attempt CHECK (payment_id = '' OR attempt > 0),
	CONSTRAINT booking_sold_is_paid CHECK (state NOT IN ('booked', 'captured', 'attention') OR payment_id <> '')
);

-- Recovery looks for those that money may still be moving for, longest still first.
CREATE INDEX booking_unfinished ON booking (updated_at) WHERE state IN ('claimed', 'authorising');
CREATE INDEX booking_event ON booking (event_id, state);

CREATE TABLE claim (
	booking_id text NOT NULL REFERENCES booking,
	event_id   bigint NOT NULL,
	cell_id    text NOT NULL,
	status     text NOT NULL CONSTRAINT claim_status_is_known CHECK (status IN ('PAYING', 'BOOKED', 'RELEASED')),
	PRIMARY KEY (booking_id, cell_id),
	FOREIGN KEY (event_id, cell_id) REFERENCES cell
);

-- I1: at most one live claim of a cell. This index decides every race.
CREATE UNIQUE INDEX claim_is_live_once ON claim (event_id, cell_id) WHERE status IN ('PAYING', 'BOOKED');
-- The last net, should the one above ever be changed: a cell is sold once.
CREATE UNIQUE INDEX claim_is_booked_once ON claim (event_id, cell_id) WHERE status = 'BOOKED';

-- What has to be done outside because of a committed change. Written in the same
-- transaction, so that none is forgotten; one of each kind for a booking.
CREATE TABLE outbox (
	id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	kind       text NOT NULL CHECK (kind IN ('mark', 'capture', 'unpay', 'free')),
	booking_id text NOT NULL REFERENCES booking,
	attempts   integer NOT NULL DEFAULT 0,
	due_at     timestamptz NOT NULL DEFAULT now(),
	reason     text NOT NULL DEFAULT '',
	UNIQUE (booking_id, kind)
);
CREATE INDEX outbox_due ON outbox (due_at, id);

-- First answers, for requests that come again (I8). The scope is who asks: nobody
-- finds another's answer by guessing a key.
CREATE TABLE idempotency (
	scope        text NOT NULL CHECK (octet_length(scope) BETWEEN 1 AND 200),
	key          text NOT NULL CHECK (octet_length(key) BETWEEN 1 AND 255),
	fingerprint  bytea NOT NULL CHECK (octet_length(fingerprint) = 32),
	locked_until timestamptz NOT NULL,
	status       integer CHECK (status BETWEEN 100 AND 599), -- null while it is under way
	body         bytea CHECK (octet_length(body) <= 65536),
	created_at   timestamptz NOT NULL DEFAULT now(),
	PRIMARY KEY (scope, key)
);
CREATE INDEX idempotency_age ON idempotency (created_at);

CREATE TABLE webhook (
	provider text NOT NULL CHECK (octet_length(provider) BETWEEN 1 AND 50),
	event_id text NOT NULL CHECK (octet_length(event_id) BETWEEN 1 AND 255),
	seen_at  timestamptz NOT NULL DEFAULT now(),
	PRIMARY KEY (provider, event_id)
);

-- +goose Down
DROP TABLE webhook, idempotency, outbox, claim, booking, cell, layout, category, event;
