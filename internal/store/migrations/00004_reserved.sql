-- +goose Up

-- Left by a deleted user: whoever has it since did not choose it, and it does not count as theirs.
ALTER TABLE slugs ADD COLUMN inherited BOOLEAN NOT NULL DEFAULT FALSE;

CREATE INDEX slugs_chosen ON slugs (owner_id, slug, inherited) WHERE slug = lower(slug); -- a generated one has capitals
CREATE INDEX capture_urls_by_slug ON capture_urls (slug) WHERE deleted_at IS NULL;
