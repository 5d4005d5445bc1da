-- +goose Up

-- Replays that run: they are looked for all the time, and most replays are over.
CREATE INDEX replays_running ON replays (subscription_id, id) WHERE state = 0;
