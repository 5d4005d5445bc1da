-- +goose Up

-- The rules of a subscription in the order of their numbers: the oldest go when there are many.
CREATE INDEX filter_rules_by_number ON filter_rules (subscription_id, id);
