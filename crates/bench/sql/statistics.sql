-- What update_table_statistics() costs beside the plan's own function, its naming errors mended: nothing changed
-- since the last run, one table changed, all of them. Run by `cargo xtask bench statistics`, which reads public.measured
-- afterwards, on the betting database's tables; compare only within a run.
--
--   psql -v rows=5000000 -v rounds=3 -f shape_a.sql -f statistics.sql
\set ON_ERROR_STOP on
\if :{?rows}
\else
  \set rows 5000000
\endif
\if :{?rounds}
\else
  \set rounds 3
\endif
\set QUIET on
\timing off
\pset footer off
SET client_min_messages = warning;

-- In the proportions of the plan: 10,665 moneylines, 1,615 spreads, 11,111 totals; staged, too. Autovacuum is off, as
-- it would do at its own times what is measured here.
ALTER TABLE raw_data.moneylines_raw SET (autovacuum_enabled = off);
ALTER TABLE raw_data.spreads_raw SET (autovacuum_enabled = off);
ALTER TABLE raw_data.totals_raw SET (autovacuum_enabled = off);
ALTER TABLE staging.moneylines SET (autovacuum_enabled = off);
ALTER TABLE staging.spreads SET (autovacuum_enabled = off);
ALTER TABLE staging.totals SET (autovacuum_enabled = off);
ALTER TABLE staging.games SET (autovacuum_enabled = off);
INSERT INTO staging.games (external_id, game_date, data_quality_score, validation_status)
SELECT 'game ' || i, current_date - i % 365, 9.5, 'validated' FROM generate_series(1, :rows / 100) i;
INSERT INTO raw_data.moneylines_raw (source, game_external_id, sportsbook_name, home_odds, away_odds, collected_at, game_date)
SELECT 'FEED', 'game ' || 1 + i % (:rows / 100), 'book ' || i % 9, -110, 100, now() - i % 365 * interval '1 day', current_date - i % 365
  FROM generate_series(1, (:rows * 0.456)::integer) i;
INSERT INTO raw_data.spreads_raw (source, game_external_id, sportsbook_name, spread_value, spread_odds, collected_at, game_date)
SELECT 'FEED', 'game ' || 1 + i % (:rows / 100), 'book ' || i % 9, 1.5, 100, now() - i % 365 * interval '1 day', current_date - i % 365
  FROM generate_series(1, (:rows * 0.069)::integer) i;
INSERT INTO raw_data.totals_raw (source, game_external_id, sportsbook_name, total_points, over_odds, under_odds, collected_at, game_date)
SELECT 'FEED', 'game ' || 1 + i % (:rows / 100), 'book ' || i % 9, 8.5, -110, 100, now() - i % 365 * interval '1 day', current_date - i % 365
  FROM generate_series(1, (:rows * 0.475)::integer) i;
INSERT INTO staging.moneylines (raw_id, game_id, sportsbook_name, data_quality_score, validation_status, processed_at)
SELECT id, 1 + id % (:rows / 100), sportsbook_name, 9.5, 'validated', collected_at FROM raw_data.moneylines_raw;
INSERT INTO staging.spreads (raw_id, game_id, sportsbook_name, data_quality_score, validation_status, processed_at)
SELECT id, 1 + id % (:rows / 100), sportsbook_name, 9.5, 'validated', collected_at FROM raw_data.spreads_raw;
INSERT INTO staging.totals (raw_id, game_id, sportsbook_name, data_quality_score, validation_status, processed_at)
SELECT id, 1 + id % (:rows / 100), sportsbook_name, 9.5, 'validated', collected_at FROM raw_data.totals_raw;
VACUUM;

SET groundskeeper.inline_build_limit = '1TB';
SET client_min_messages = error;
CREATE EXTENSION pg_groundskeeper;

CREATE FUNCTION public.plans_own() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  ANALYZE raw_data.moneylines_raw;
  ANALYZE raw_data.spreads_raw;
  ANALYZE raw_data.totals_raw;
  ANALYZE staging.moneylines;
  ANALYZE staging.spreads;
  ANALYZE staging.totals;
  ANALYZE staging.games;
  REFRESH MATERIALIZED VIEW CONCURRENTLY staging.daily_game_stats;
  REFRESH MATERIALIZED VIEW CONCURRENTLY staging.sportsbook_quality_metrics;
END $$;

CREATE TABLE public.measured (round integer, what text, who text, ms double precision, touched bigint);
CREATE FUNCTION pg_temp.measure(round integer, what text, who text, call text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  begun timestamptz := clock_timestamp();
  touched bigint;
BEGIN
  EXECUTE call INTO touched;
  INSERT INTO public.measured VALUES (round, what, who, 1000 * extract(epoch FROM clock_timestamp() - begun), touched);
END $$;

-- What a contestant finds is changed just before it runs, and they take turns in going first, as each change leaves
-- dead rows for the next to read. Counters move between a client's statements only.
CREATE TABLE public.change (n integer, what text, change text);
INSERT INTO public.change VALUES
  (1, 'nothing changed', 'SELECT'),
  (2, 'one table changed',
   format('UPDATE staging.spreads SET updated_at = now() WHERE id <= %s', (:rows * 0.069 * 0.2)::bigint)),
  (3, 'one table changed, two views above it',
   format('UPDATE staging.moneylines SET updated_at = now() WHERE id <= %s', (:rows * 0.456 * 0.2)::bigint)),
  (4, 'all changed', format(
   'WITH a AS (UPDATE raw_data.moneylines_raw SET updated_at = now() WHERE id <= %1$s),
         b AS (UPDATE raw_data.spreads_raw SET updated_at = now() WHERE id <= %1$s),
         c AS (UPDATE raw_data.totals_raw SET updated_at = now() WHERE id <= %1$s),
         d AS (UPDATE staging.moneylines SET updated_at = now() WHERE id <= %1$s),
         e AS (UPDATE staging.spreads SET updated_at = now() WHERE id <= %1$s),
         f AS (UPDATE staging.totals SET updated_at = now() WHERE id <= %1$s)
    UPDATE staging.games SET updated_at = now()', (:rows * 0.456 * 0.2)::bigint));
CREATE TEMP TABLE contestant (who text, call text);
INSERT INTO contestant VALUES
  ('1 plan', 'SELECT 9 FROM public.plans_own()'),
  ('2 ours', $q$SELECT count(*) FROM public.update_table_statistics() WHERE action <> 'skipped'$q$);

\o /dev/null
SELECT pg_stat_force_next_flush();
SELECT count(*) FROM update_table_statistics(true);
SELECT statement
  FROM generate_series(1, :rounds) round, change, contestant,
       LATERAL (VALUES (1, change), (2, 'SELECT pg_stat_force_next_flush()'),
                       (3, format('SELECT pg_temp.measure(%s, %L, %L, %L)', round, what, substr(who, 3), call)),
                       (4, 'SELECT pg_stat_force_next_flush()')) step (step, statement)
 ORDER BY round, n, (who = '1 plan') = (round % 2 = 1) DESC, step \gexec
\o
