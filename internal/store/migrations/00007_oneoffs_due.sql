-- +goose Up

-- What is to be sent next of the resends from one capture URL to typed URLs: they have a queue for each.
CREATE INDEX deliveries_one_off_due ON deliveries (capture_url_id, due_at, id) WHERE subscription_id = 0 AND state < 2;
