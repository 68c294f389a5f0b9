-- +goose Up

-- A fan who comes back with a hold that is over is asked for here: it may have ended in
-- their booking. Of all bookings only those that were sold are in this index, and they
-- enter it with a change of state that no index lets be cheap anyway.
CREATE INDEX booking_of_hold ON booking (hold_id) WHERE state IN ('booked', 'captured', 'attention');

-- +goose Down
DROP INDEX booking_of_hold;
