-- +goose Up

-- What was sold, and to whom. A booking and its claims are written together, before
-- any money is asked for, and are never deleted.

CREATE TABLE booking (
    id          text COLLATE "C" PRIMARY KEY, -- chosen by the client, so that a lost commit can be looked up
    -- No foreign key to event: each booking would lock the same event row, and all
    -- of a sale would queue for it. Claims refer to cells, and those to their event.
    event_id    bigint NOT NULL,
    hold_id     text   NOT NULL,
    holder      text   NOT NULL,
    buyer_name  text   NOT NULL,
    buyer_email text   NOT NULL,
    fence       bigint NOT NULL,
    state       text   NOT NULL,
    amount      bigint NOT NULL, -- minor units
    currency    text   NOT NULL,
    attempt     integer NOT NULL DEFAULT 0,
    method      text   NOT NULL DEFAULT '',
    payment_id  text   NOT NULL DEFAULT '',
    reason      text   NOT NULL DEFAULT '',
    deadline    timestamptz NOT NULL,
    created_at  timestamptz NOT NULL,
    updated_at  timestamptz NOT NULL,
    -- Which call moved the booking last. When the answer to a commit is lost, this
    -- tells the caller whether it was its own.
    move        uuid,

    CONSTRAINT booking_id_length CHECK (octet_length(id) BETWEEN 1 AND 64),
    CONSTRAINT booking_state     CHECK (state IN ('claimed', 'authorising', 'booked', 'captured', 'declined', 'expired', 'attention')),
    CONSTRAINT booking_amount    CHECK (amount >= 0),
    CONSTRAINT booking_currency  CHECK (currency ~ '^[A-Z]{3}$'),
    CONSTRAINT booking_attempt   CHECK (attempt >= 0),
    CONSTRAINT booking_sold_is_paid CHECK (state NOT IN ('booked', 'captured', 'attention') OR payment_id <> ''),
    CONSTRAINT booking_lengths   CHECK (octet_length(hold_id) <= 256 AND octet_length(holder) <= 256
        AND octet_length(buyer_name) <= 1000 AND octet_length(buyer_email) <= 1000 AND octet_length(method) <= 256
        AND octet_length(payment_id) <= 256 AND octet_length(reason) <= 256)
) WITH (fillfactor = 80); -- every booking is updated a few times soon after it was made

-- Recovery asks every few seconds for what stands still; of a million bookings
-- only those under way are in this index.
CREATE INDEX booking_unfinished ON booking (updated_at) WHERE state IN ('claimed', 'authorising');

-- A cell that is a booking's: PAYING while money moves, BOOKED once it is sold,
-- RELEASED when nothing came of it.
CREATE TABLE claim (
    booking_id text COLLATE "C" NOT NULL REFERENCES booking,
    event_id   bigint NOT NULL,
    cell_id    text COLLATE "C" NOT NULL,
    status     text   NOT NULL,
    -- NULL for a released claim, and a foreign key with a NULL in it is not checked:
    -- so a live claim is of a cell that exists and is for sale, and a cell with a
    -- live claim can be neither blocked nor removed.
    live       boolean GENERATED ALWAYS AS (CASE WHEN status IN ('PAYING', 'BOOKED') THEN true END) STORED,

    PRIMARY KEY (booking_id, cell_id),
    CONSTRAINT claim_status   CHECK (status IN ('PAYING', 'BOOKED', 'RELEASED')),
    CONSTRAINT claim_for_sale FOREIGN KEY (event_id, cell_id, live) REFERENCES cell (event_id, id, for_sale)
) WITH (fillfactor = 80);

-- At most one live claim per cell (I1). It is touched before money moves, so a
-- conflict costs nobody anything.
CREATE UNIQUE INDEX claim_one_live ON claim (event_id, cell_id) WHERE status IN ('PAYING', 'BOOKED');

-- The last net under everything: no cell is sold twice, whatever else is changed above.
CREATE UNIQUE INDEX claim_one_booked ON claim (event_id, cell_id) WHERE status = 'BOOKED';

-- Bookings and claims only move forward. The conditions cost nothing on a right
-- move: the function is called for wrong ones only.

-- +goose StatementBegin
CREATE FUNCTION refuse_move() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% cannot move back', TG_TABLE_NAME USING ERRCODE = 'check_violation', CONSTRAINT = TG_NAME, TABLE = TG_TABLE_NAME;
END $$;
-- +goose StatementEnd

CREATE TRIGGER booking_moves_forward BEFORE UPDATE ON booking FOR EACH ROW
WHEN (OLD.state <> NEW.state AND (OLD.state, NEW.state) NOT IN (
    ('claimed', 'authorising'), ('claimed', 'booked'), ('claimed', 'declined'), ('claimed', 'expired'),
    ('authorising', 'booked'), ('authorising', 'declined'), ('authorising', 'expired'),
    ('booked', 'captured'), ('booked', 'attention'), ('attention', 'captured')))
EXECUTE FUNCTION refuse_move();

CREATE TRIGGER claim_moves_forward BEFORE UPDATE ON claim FOR EACH ROW
WHEN (OLD.status <> NEW.status AND OLD.status <> 'PAYING')
EXECUTE FUNCTION refuse_move();

-- +goose Down
DROP TABLE claim, booking;
DROP FUNCTION refuse_move;
