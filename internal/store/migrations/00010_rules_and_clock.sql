-- +goose Up

-- The rules of a subscription in the order of their numbers: the oldest go when there are many.
CREATE INDEX filter_rules_by_number ON filter_rules (subscription_id, id);

-- Up to where requests and deliveries may say that the clock is behind them, and it has been followed already.
INSERT INTO meta (key, value) VALUES ('followed_request_id', 0), ('followed_delivery_id', 0);
