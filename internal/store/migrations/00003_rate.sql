-- +goose Up

ALTER TABLE capture_urls ADD COLUMN rate DOUBLE PRECISION NOT NULL DEFAULT 0; -- requests a second; 0 = no limit
