-- +goose Up

-- What is unfinished of a request, which may have been resent half a million times. It grows with each capture, by a number at its end.
CREATE INDEX deliveries_unfinished_of ON deliveries (request_id, subscription_id) WHERE state < 2;

-- What is unfinished of a replay, beside a queue that may be long. Other deliveries are not in it.
CREATE INDEX deliveries_of_replay ON deliveries (replay_id, id) WHERE state < 2 AND replay_id <> 0;
