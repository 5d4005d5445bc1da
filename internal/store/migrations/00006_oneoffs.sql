-- +goose Up

-- Resends to typed URLs by capture URL: deliveries_by_state has those of all users together. Other deliveries are not in it.
CREATE INDEX deliveries_one_off ON deliveries (state, capture_url_id, id) WHERE subscription_id = 0;
