-- +goose Up

-- What is unfinished of a request, which may have been resent half a million times. It grows with each capture, by a number at its end.
CREATE INDEX deliveries_unfinished_of ON deliveries (request_id, subscription_id) WHERE state < 2;
