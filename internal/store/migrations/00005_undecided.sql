-- +goose Up

-- The conditions of the filter could not be decided while the sender waited: the worker decides them.
ALTER TABLE deliveries ADD COLUMN undecided BOOLEAN NOT NULL DEFAULT FALSE;
