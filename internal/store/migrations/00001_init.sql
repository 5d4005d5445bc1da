-- +goose Up

-- Single numbers about the database as a whole.
CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value BIGINT NOT NULL
);
INSERT INTO meta (key, value) VALUES ('last_request_id', 0), ('canary', 0), ('clean_stop', 1);

CREATE TABLE users (
    id            INTEGER PRIMARY KEY,
    email         TEXT NOT NULL,
    email_key     TEXT NOT NULL UNIQUE, -- the address in lower case
    password_hash TEXT NOT NULL,
    admin         BOOLEAN NOT NULL,
    session_epoch BIGINT NOT NULL,
    created_at    BIGINT NOT NULL
);

CREATE TABLE invites (
    token_hash BLOB PRIMARY KEY,
    user_id    BIGINT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    expires_at BIGINT NOT NULL
);

CREATE TABLE tokens (
    id           INTEGER PRIMARY KEY,
    user_id      BIGINT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    name         TEXT NOT NULL,
    token_hash   BLOB NOT NULL UNIQUE,
    hint         TEXT NOT NULL,
    from_env     BOOLEAN NOT NULL,
    created_at   BIGINT NOT NULL,
    last_used_at BIGINT
);

-- token_hash is what scs makes of the cookie's value; data is scs's own encoding.
CREATE TABLE sessions (
    token_hash TEXT PRIMARY KEY,
    data       BLOB NOT NULL,
    expires_at BIGINT NOT NULL,
    last_seen  BIGINT NOT NULL
);

CREATE TABLE capture_urls (
    id               INTEGER PRIMARY KEY,
    owner_id         BIGINT NOT NULL REFERENCES users (id),
    name             TEXT NOT NULL,
    slug             TEXT NOT NULL,
    paused           BOOLEAN NOT NULL,
    cors             BOOLEAN NOT NULL,
    keep_requests    BIGINT NOT NULL, -- 0 = the server's default, as in the other two
    keep_days        BIGINT NOT NULL,
    keep_bytes       BIGINT NOT NULL,
    response_status  BIGINT NOT NULL,
    response_delay   BIGINT NOT NULL, -- milliseconds
    response_headers BLOB NOT NULL,
    response_body    BLOB NOT NULL,
    created_at       BIGINT NOT NULL,
    deleted_at       BIGINT -- set = gone for everybody; its requests are being removed
);

-- A slug belongs to the first who took it, also after the capture URL is deleted.
CREATE TABLE slugs (
    slug     TEXT PRIMARY KEY,
    owner_id BIGINT NOT NULL REFERENCES users (id)
);

-- Apart from capture_urls, because it is written with every group of captures and those rows can be large.
CREATE TABLE capture_url_stats (
    capture_url_id  INTEGER PRIMARY KEY REFERENCES capture_urls (id),
    kept            BIGINT NOT NULL,
    received        BIGINT NOT NULL,
    bytes           BIGINT NOT NULL,
    last_request_id BIGINT NOT NULL,
    last_request_at BIGINT NOT NULL,
    cleared_up_to   BIGINT NOT NULL, -- requests up to this id are deleted, whether or not their rows are still there
    purged_up_to    BIGINT NOT NULL  -- and up to this id their rows are gone
);

-- Columns in the order in which lists read them: a large body at the end stays in overflow pages that a list skips.
CREATE TABLE requests (
    id              INTEGER PRIMARY KEY,
    capture_url_id  BIGINT NOT NULL,
    received_at     BIGINT NOT NULL,
    stored_size     BIGINT NOT NULL, -- what retention counts
    body_size       BIGINT NOT NULL,
    flags           BIGINT NOT NULL,
    response_status BIGINT NOT NULL,
    method          TEXT NOT NULL,
    scheme          TEXT NOT NULL,
    proto           TEXT NOT NULL,
    tls             TEXT NOT NULL,
    remote_addr     TEXT NOT NULL,
    client_addr     TEXT NOT NULL,
    host            BLOB NOT NULL,
    path            BLOB NOT NULL,
    query           BLOB NOT NULL,
    content_type    BLOB NOT NULL,
    headers         BLOB NOT NULL,
    trailers        BLOB NOT NULL,
    body_sha256     BLOB NOT NULL,
    body            BLOB NOT NULL
);
CREATE INDEX requests_by_capture_url ON requests (capture_url_id, id);

-- What a user has looked at: everything up to an id.
CREATE TABLE seen (
    user_id        BIGINT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    capture_url_id BIGINT NOT NULL REFERENCES capture_urls (id) ON DELETE CASCADE,
    up_to          BIGINT NOT NULL,
    PRIMARY KEY (user_id, capture_url_id)
);
