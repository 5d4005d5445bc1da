-- +goose Up

CREATE TABLE subscriptions (
    id                  INTEGER PRIMARY KEY,
    capture_url_id      BIGINT NOT NULL REFERENCES capture_urls (id),
    name                TEXT NOT NULL,
    target_url          TEXT NOT NULL,
    filter              TEXT NOT NULL, -- JSON
    method              TEXT NOT NULL, -- '' = the request's
    append_path         BOOLEAN NOT NULL,
    ordered             BOOLEAN NOT NULL,
    scheme              TEXT NOT NULL,
    timeout_ms          BIGINT NOT NULL,
    max_attempts        BIGINT NOT NULL,
    backoff             TEXT NOT NULL, -- JSON, seconds
    rate                DOUBLE PRECISION NOT NULL, -- 0 = no limit
    concurrency         BIGINT NOT NULL,
    forward_credentials BOOLEAN NOT NULL,
    keep_user_agent     BOOLEAN NOT NULL,
    disabled            BOOLEAN NOT NULL,
    disabled_reason     TEXT NOT NULL,
    disabled_at         BIGINT NOT NULL,
    paused              BOOLEAN NOT NULL,
    paused_by           TEXT NOT NULL,
    paused_at           BIGINT NOT NULL,
    secrets             BLOB NOT NULL, -- signing secrets and header values, encrypted
    created_at          BIGINT NOT NULL,
    deleted_at          BIGINT -- set = gone; the row stays for the name in its finished deliveries
);
CREATE INDEX subscriptions_by_capture_url ON subscriptions (capture_url_id, id);

-- Apart from subscriptions, because it is written with every group of captures and of attempts.
CREATE TABLE subscription_stats (
    subscription_id INTEGER PRIMARY KEY REFERENCES subscriptions (id),
    unfinished      BIGINT NOT NULL,
    succeeded       BIGINT NOT NULL,
    failed          BIGINT NOT NULL,
    cancelled       BIGINT NOT NULL,
    skipped         BIGINT NOT NULL,
    attempts        BIGINT NOT NULL,
    health          TEXT NOT NULL, -- JSON
    discarded_up_to BIGINT NOT NULL, -- unfinished deliveries up to this id are cancelled, whether or not their rows say so
    discard_reason  TEXT NOT NULL,
    hour            BLOB NOT NULL -- attempts of the last hour by the minute
);

-- The words of what a filter refused, so that a request needs one small number for each.
CREATE TABLE filter_rules (
    id              INTEGER PRIMARY KEY,
    subscription_id BIGINT NOT NULL REFERENCES subscriptions (id),
    words           TEXT NOT NULL,
    UNIQUE (subscription_id, words)
);

-- Numbers of filter_rules, as unsigned varints. It stands behind the body, where only the page of one request reads it.
ALTER TABLE requests ADD COLUMN refusals BLOB NOT NULL DEFAULT x'';

-- The table is the queue: due_at is when an unfinished delivery may be claimed. A lease says which claim is sending it; it
-- does not take the row out of the queue, so that what a process that died had claimed is simply still there.
CREATE TABLE deliveries (
    id              INTEGER PRIMARY KEY,
    request_id      BIGINT NOT NULL,
    capture_url_id  BIGINT NOT NULL,
    subscription_id BIGINT NOT NULL, -- 0 = a resend to a typed URL
    state           BIGINT NOT NULL,
    due_at          BIGINT NOT NULL, -- of an ordered subscription its place in the queue: it does not move
    next_at         BIGINT NOT NULL, -- the next attempt is not before this
    lease           BIGINT NOT NULL,
    used            BIGINT NOT NULL,
    attempt_count   BIGINT NOT NULL,
    last_status     BIGINT NOT NULL,
    size            BIGINT NOT NULL, -- of its attempts and its edited copy, in the bytes of its capture URL
    created_at      BIGINT NOT NULL,
    origin          BIGINT NOT NULL, -- what made it: a trigger
    retry           BOOLEAN NOT NULL,
    sign_as         BIGINT NOT NULL,
    replay_id       BIGINT NOT NULL, -- 0 = made by a capture or by hand
    made_by         TEXT NOT NULL,
    reason          TEXT NOT NULL,
    target_url      TEXT NOT NULL,
    edit            BLOB NOT NULL
);
CREATE INDEX deliveries_due ON deliveries (subscription_id, due_at, id) WHERE state < 2;
CREATE INDEX deliveries_by_state ON deliveries (subscription_id, state, id);
CREATE INDEX deliveries_by_hand ON deliveries (subscription_id, id) WHERE state = 0 AND origin = 3 AND replay_id = 0 AND attempt_count = 0;
CREATE INDEX deliveries_by_request ON deliveries (request_id, id);

-- An attempt is named by its delivery and its number.
CREATE TABLE attempts (
    delivery_id        BIGINT NOT NULL,
    number             BIGINT NOT NULL,
    origin             BIGINT NOT NULL,
    made_by            TEXT NOT NULL,
    started_at         BIGINT NOT NULL,
    duration           BIGINT NOT NULL, -- microseconds, as the four parts of it
    dns                BIGINT NOT NULL,
    connect            BIGINT NOT NULL,
    tls_handshake      BIGINT NOT NULL,
    first_byte         BIGINT NOT NULL,
    remote_addr        TEXT NOT NULL,
    tls                TEXT NOT NULL,
    status             BIGINT NOT NULL, -- 0 = no answer came
    error              TEXT NOT NULL,
    method             TEXT NOT NULL,
    url                TEXT NOT NULL,
    request_headers    BLOB NOT NULL,
    response_headers   BLOB NOT NULL,
    response_body      BLOB NOT NULL,
    response_truncated BOOLEAN NOT NULL,
    PRIMARY KEY (delivery_id, number)
) WITHOUT ROWID;

-- A replay sends the requests of a capture URL that fit a filter once more, oldest first. up_to bounds it to what was there
-- when it was started; cursor is how far it has got.
CREATE TABLE replays (
    id              INTEGER PRIMARY KEY,
    capture_url_id  BIGINT NOT NULL,
    subscription_id BIGINT NOT NULL REFERENCES subscriptions (id),
    state           BIGINT NOT NULL,
    since           BIGINT NOT NULL, -- 0 = from the oldest
    until           BIGINT NOT NULL, -- 0 = to the newest
    filter          TEXT NOT NULL,   -- JSON
    rate            DOUBLE PRECISION NOT NULL, -- 0 = no limit
    total           BIGINT NOT NULL,
    queued          BIGINT NOT NULL,
    done            BIGINT NOT NULL,
    failed          BIGINT NOT NULL,
    up_to           BIGINT NOT NULL,
    cursor          BIGINT NOT NULL,
    made_by         TEXT NOT NULL,
    reason          TEXT NOT NULL,
    created_at      BIGINT NOT NULL,
    finished_at     BIGINT NOT NULL
);
CREATE INDEX replays_by_subscription ON replays (subscription_id, id);
