-- On Shape A: what a grown database hangs on the columns that the plan widens. Everything here must
-- come out of a widening, and of its way back, exactly as it is.

DO $$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'sandbox_analyst') THEN
    CREATE ROLE sandbox_analyst NOLOGIN;
  END IF;
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'sandbox_reader') THEN
    CREATE ROLE sandbox_reader NOLOGIN;
  END IF;
END
$$;
GRANT CREATE ON SCHEMA staging, curated TO sandbox_analyst;

-- A plain view, a view on it, and one on that.
CREATE VIEW staging.scored_moneylines AS
SELECT id, game_id, sportsbook_name, data_quality_score, validation_status
FROM staging.moneylines
WHERE data_quality_score IS NOT NULL;
COMMENT ON VIEW staging.scored_moneylines IS 'Moneylines that have a score';
COMMENT ON COLUMN staging.scored_moneylines.data_quality_score IS 'It''s the score';
GRANT SELECT ON staging.scored_moneylines TO sandbox_reader WITH GRANT OPTION;
GRANT UPDATE (sportsbook_name) ON staging.scored_moneylines TO sandbox_reader;

CREATE VIEW staging.score_by_book AS
SELECT sportsbook_name, avg(data_quality_score) AS average, max(data_quality_score) AS best
FROM staging.scored_moneylines
GROUP BY sportsbook_name;

CREATE VIEW curated."Best ""Books""" AS
SELECT sportsbook_name AS "Book.Name", best FROM staging.score_by_book WHERE best > 8;
REVOKE ALL ON curated."Best ""Books""" FROM postgres;
GRANT SELECT ("Book.Name") ON curated."Best ""Books""" TO PUBLIC;

-- Options, and another owner.
CREATE VIEW staging.guarded_spreads WITH (security_barrier = true, check_option = 'local') AS
SELECT id, sportsbook_name, data_quality_score FROM staging.spreads WHERE data_quality_score >= 5;
ALTER VIEW staging.guarded_spreads OWNER TO sandbox_analyst;
GRANT SELECT ON staging.guarded_spreads TO sandbox_reader;

CREATE VIEW staging.invoker_games WITH (security_invoker = true) AS
SELECT id, external_id, data_quality_score FROM staging.games;

-- Materialized views: one filled, with indexes, statistics target, storage option and comments; one
-- on top of it; one never filled.
CREATE MATERIALIZED VIEW staging.totals_quality WITH (fillfactor = 80) AS
SELECT id, game_id, data_quality_score, data_quality_score::float8 / 9.99 AS share
FROM staging.totals;
CREATE UNIQUE INDEX totals_quality_id ON staging.totals_quality (id);
CREATE INDEX totals_quality_score ON staging.totals_quality (data_quality_score DESC NULLS LAST)
  WHERE data_quality_score > 5;
CREATE INDEX totals_quality_share ON staging.totals_quality ((share * 100), game_id);
ALTER INDEX staging.totals_quality_share ALTER COLUMN 1 SET STATISTICS 500;
ALTER MATERIALIZED VIEW staging.totals_quality ALTER COLUMN data_quality_score SET STATISTICS 250;
COMMENT ON MATERIALIZED VIEW staging.totals_quality IS 'Scores of totals';
COMMENT ON INDEX staging.totals_quality_score IS 'Good scores only';
GRANT SELECT ON staging.totals_quality TO sandbox_reader, sandbox_analyst;

CREATE MATERIALIZED VIEW curated.totals_quality_by_game AS
SELECT game_id, avg(data_quality_score) AS average FROM staging.totals_quality GROUP BY game_id;
ALTER MATERIALIZED VIEW curated.totals_quality_by_game OWNER TO sandbox_analyst;

CREATE MATERIALIZED VIEW staging.never_filled AS
SELECT g.external_id, m.data_quality_score
FROM staging.games g JOIN staging.moneylines m ON m.game_id = g.id
WITH NO DATA;

-- Across all four tables, and with a window.
CREATE VIEW curated.all_scores AS
SELECT 'game' AS kind, id, data_quality_score FROM staging.games
UNION ALL SELECT 'moneyline', id, data_quality_score FROM staging.moneylines
UNION ALL SELECT 'spread', id, data_quality_score FROM staging.spreads
UNION ALL SELECT 'total', id, data_quality_score FROM staging.totals;
CREATE VIEW curated.ranked_scores AS
SELECT *, rank() OVER (PARTITION BY kind ORDER BY data_quality_score DESC) AS place
FROM curated.all_scores;

-- Lists over varchar: PostgreSQL writes these in a way that it reads back differently.
CREATE VIEW staging.settled_moneylines AS
SELECT id, data_quality_score FROM staging.moneylines WHERE validation_status IN ('validated', 'needs_review');
ALTER TABLE staging.spreads ADD CONSTRAINT spreads_scored_by_status
  CHECK (data_quality_score IS NULL OR validation_status IN ('pending', 'validated', 'needs_review', 'invalid'));
COMMENT ON CONSTRAINT spreads_scored_by_status ON staging.spreads IS 'A score has a known status';

-- What a view can have beside its query.
ALTER VIEW staging.scored_moneylines ALTER COLUMN validation_status SET DEFAULT 'pending';
CREATE RULE forget AS ON DELETE TO staging.scored_moneylines DO INSTEAD NOTHING;
COMMENT ON RULE forget ON staging.scored_moneylines IS 'Nothing is deleted here';
CREATE FUNCTION staging.refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE TRIGGER refuse_update INSTEAD OF UPDATE ON staging.score_by_book
  FOR EACH ROW EXECUTE FUNCTION staging.refuse();
COMMENT ON TRIGGER refuse_update ON staging.score_by_book IS 'Nothing is updated here';
ALTER MATERIALIZED VIEW staging.totals_quality CLUSTER ON totals_quality_id;
