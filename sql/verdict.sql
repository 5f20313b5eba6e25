-- What a record is worth, as the migration asks for it.
CREATE TYPE groundskeeper_internal.verdict AS (score numeric(5,2), issues text[], status text, errors jsonb);
COMMENT ON TYPE groundskeeper_internal.verdict IS
    'Score and issues of a record, the status that follows, and the issues as they are stored: NULL where there are none';
