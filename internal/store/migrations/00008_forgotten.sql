-- +goose Up

-- Rules go with their deleted subscriptions, and requests keep their numbers: a number is not given twice.
INSERT INTO meta (key, value) SELECT 'last_filter_rule', coalesce(max(id), 0) FROM filter_rules;

-- Deleted subscriptions that stay for the name in their deliveries.
CREATE INDEX subscriptions_deleted ON subscriptions (id) WHERE deleted_at IS NOT NULL;
