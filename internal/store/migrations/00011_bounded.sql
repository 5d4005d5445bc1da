-- +goose Up

-- What is unfinished of a request that has been resent or replayed, perhaps half a million times. What a capture makes is not in it: that is
-- the first of its request, and at most 200, and each capture would pay for it.
CREATE INDEX deliveries_unfinished_of ON deliveries (request_id, subscription_id) WHERE state < 2 AND origin <> 0;

-- What is unfinished of a replay, beside a queue that may be long. Other deliveries are not in it.
CREATE INDEX deliveries_of_replay ON deliveries (replay_id, id) WHERE state < 2 AND replay_id <> 0;
