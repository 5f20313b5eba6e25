-- What a moneyline's quality score costs per row, above a bare scan that reads the same columns: ours beside the
-- same rules as an inlinable SQL function on numerics, the same on integer hundredths, and PL/pgSQL, and beside a C
-- function that takes the same arguments and returns the first one: the least that any function of them costs.
-- Run by `cargo xtask bench score`, which reads score_bench.measurement afterwards; compare only within a run.
--
--   psql -v rows=5000000 -v rounds=3 -v noop=/library/of/noop.c -f score.sql
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
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pg_groundskeeper;
SET max_parallel_workers_per_gather = 0;
SET jit = off;
DROP SCHEMA IF EXISTS score_bench CASCADE;
CREATE SCHEMA score_bench;

-- The contestants; blanks and impossible odds count as missing for each of them. Few texts begin with a blank, so
-- they ask for the first character, which is cheap, before they trim, which is not.
CREATE FUNCTION score_bench.score_numeric(sportsbook_name text, game_external_id text, home_odds integer,
  away_odds integer, source text, raw_data jsonb, collected_at timestamptz, created_at timestamptz)
RETURNS numeric LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT greatest(0.00, least(99.99, least(99.99,
    99.99
    - CASE WHEN ascii(sportsbook_name) > 32 OR btrim(sportsbook_name, E' \t\n\v\f\r') <> '' THEN 0.00 ELSE 20.00 END
    - CASE WHEN ascii(game_external_id) > 32 OR btrim(game_external_id, E' \t\n\v\f\r') <> '' THEN 0.00 ELSE 25.00 END
    - CASE WHEN home_odds <= -100 OR home_odds >= 100 THEN 0.00 ELSE 15.00 END
    - CASE WHEN away_odds <= -100 OR away_odds >= 100 THEN 0.00 ELSE 15.00 END
    - CASE WHEN collected_at > created_at THEN 5.00 ELSE 0.00 END
    + CASE WHEN (ascii(source) > 32 OR btrim(source, E' \t\n\v\f\r') <> '') AND source <> 'UNKNOWN' THEN 5.00 ELSE 0.00 END)
    + CASE WHEN jsonb_typeof(raw_data) = 'object' THEN 3.00 ELSE 0.00 END))
$$;

CREATE FUNCTION score_bench.score_hundredths(sportsbook_name text, game_external_id text, home_odds integer,
  away_odds integer, source text, raw_data jsonb, collected_at timestamptz, created_at timestamptz)
RETURNS integer LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT greatest(0, least(9999, least(9999,
    9999
    - CASE WHEN ascii(sportsbook_name) > 32 OR btrim(sportsbook_name, E' \t\n\v\f\r') <> '' THEN 0 ELSE 2000 END
    - CASE WHEN ascii(game_external_id) > 32 OR btrim(game_external_id, E' \t\n\v\f\r') <> '' THEN 0 ELSE 2500 END
    - CASE WHEN home_odds <= -100 OR home_odds >= 100 THEN 0 ELSE 1500 END
    - CASE WHEN away_odds <= -100 OR away_odds >= 100 THEN 0 ELSE 1500 END
    - CASE WHEN collected_at > created_at THEN 500 ELSE 0 END
    + CASE WHEN (ascii(source) > 32 OR btrim(source, E' \t\n\v\f\r') <> '') AND source <> 'UNKNOWN' THEN 500 ELSE 0 END)
    + CASE WHEN jsonb_typeof(raw_data) = 'object' THEN 300 ELSE 0 END))
$$;

CREATE FUNCTION score_bench.score_plpgsql(sportsbook_name text, game_external_id text, home_odds integer,
  away_odds integer, source text, raw_data jsonb, collected_at timestamptz, created_at timestamptz)
RETURNS numeric LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
  score numeric := 99.99;
BEGIN
  IF (ascii(sportsbook_name) > 32 OR btrim(sportsbook_name, E' \t\n\v\f\r') <> '') IS NOT TRUE THEN score := score - 20; END IF;
  IF (ascii(game_external_id) > 32 OR btrim(game_external_id, E' \t\n\v\f\r') <> '') IS NOT TRUE THEN score := score - 25; END IF;
  IF home_odds IS NULL OR home_odds > -100 AND home_odds < 100 THEN score := score - 15; END IF;
  IF away_odds IS NULL OR away_odds > -100 AND away_odds < 100 THEN score := score - 15; END IF;
  IF collected_at > created_at THEN score := score - 5; END IF;
  IF (ascii(source) > 32 OR btrim(source, E' \t\n\v\f\r') <> '') AND source <> 'UNKNOWN' THEN score := least(99.99, score + 5); END IF;
  IF jsonb_typeof(raw_data) = 'object' THEN score := least(99.99, score + 3); END IF;
  RETURN greatest(0.00, score);
END $$;

CREATE FUNCTION score_bench.noop(text, text, integer, integer, text, jsonb, timestamptz, timestamptz, jsonb DEFAULT NULL)
RETURNS text LANGUAGE c IMMUTABLE PARALLEL SAFE AS :'noop', 'noop';
CREATE FUNCTION score_bench.noop(text, text, numeric, integer, text, jsonb, timestamptz, timestamptz, jsonb DEFAULT NULL)
RETURNS text LANGUAGE c IMMUTABLE PARALLEL SAFE AS :'noop', 'noop';
CREATE FUNCTION score_bench.noop(text, text, numeric, integer, integer, text, jsonb, timestamptz, timestamptz, jsonb DEFAULT NULL)
RETURNS text LANGUAGE c IMMUTABLE PARALLEL SAFE AS :'noop', 'noop';

-- They must agree before they are compared: 200,000 records in which every gap and every oddity is common.
CREATE TABLE score_bench.sample AS
SELECT (ARRAY[NULL, '', '   ', E'\t\r\n', ' x ', 'DraftKings', 'Caesars', 'bet365'])[1 + random() * 7.0] AS sportsbook_name,
       (ARRAY[NULL, '', ' ', 'mlb-1', 'mlb-2', 'mlb-3'])[1 + random() * 5.0] AS game_external_id,
       CASE WHEN random() < 0.8 THEN (random() * 500 - 250)::integer END AS home_odds,
       CASE WHEN random() < 0.8 THEN (ARRAY[-100, -99, 0, 99, 100, -110, 2147483647])[1 + random() * 6.0] END AS away_odds,
       (ARRAY[NULL, '', '  ', 'UNKNOWN', 'unknown', 'SBR', 'ACTION'])[1 + random() * 6.0] AS source,
       (ARRAY[NULL, '{}', '[]', '[{}]', '"{}"', '3', 'null', 'true', '{"a": [1]}'])[1 + random() * 8.0]::jsonb AS raw_data,
       CASE WHEN random() < 0.9 THEN timestamptz '2025-06-13' + random() * interval '1 hour' END AS collected_at,
       CASE WHEN random() < 0.9 THEN timestamptz '2025-06-13' + random() * interval '1 hour' END AS created_at
  FROM generate_series(1, 200000);

DO $$
DECLARE
  differing bigint;
BEGIN
  SELECT count(*) INTO differing
    FROM score_bench.sample AS s,
         LATERAL (SELECT groundskeeper.moneyline_quality_score(sportsbook_name, game_external_id, home_odds, away_odds,
                           source, raw_data, collected_at, created_at) AS ours) AS o
   WHERE ours IS DISTINCT FROM score_bench.score_numeric(sportsbook_name, game_external_id, home_odds, away_odds,
                           source, raw_data, collected_at, created_at)
      OR ours * 100 IS DISTINCT FROM score_bench.score_hundredths(sportsbook_name, game_external_id, home_odds, away_odds,
                           source, raw_data, collected_at, created_at)
      OR ours IS DISTINCT FROM score_bench.score_plpgsql(sportsbook_name, game_external_id, home_odds, away_odds,
                           source, raw_data, collected_at, created_at);
  IF differing > 0 THEN
    RAISE EXCEPTION 'the contestants disagree on % of 200000 records', differing;
  END IF;
END $$;
\echo '200000 random records: all contestants agree'

-- Records as a feed delivers them: every third lacks its odds, most are sound, the payload is a small object.
CREATE UNLOGGED TABLE score_bench.record AS
SELECT (ARRAY['DraftKings', 'FanDuel', 'BetMGM', 'Caesars', 'bet365', 'Fanatics'])[1 + n % 6] AS sportsbook_name,
       'mlb-2025-' || n / 6 AS game_external_id,
       CASE WHEN n % 3 > 0 THEN -110 - n % 40 END AS home_odds,
       CASE WHEN n % 3 > 0 THEN 100 + n % 40 END AS away_odds,
       (n % 20) / 2.0 AS points,
       CASE WHEN n % 50 = 0 THEN 'UNKNOWN' ELSE 'SPORTS_BOOK_REVIEW' END AS source,
       jsonb_build_object('id', n, 'book', n % 6) AS raw_data,
       timestamptz '2025-06-13' + n * interval '1 second' AS collected_at,
       timestamptz '2025-06-13' + (n - (n % 100 = 0)::integer) * interval '1 second' AS created_at
  FROM generate_series(1, :rows) AS n;
VACUUM ANALYZE score_bench.record;

-- `count` takes an expression as it comes. The last column is the bare scan's, so it reads them all.
CREATE TABLE score_bench.contestant (place serial, what text, name text, expression text, workers integer);
INSERT INTO score_bench.contestant (what, name, expression, workers)
SELECT k.what, c.name, replace(replace(c.expression, '$market', k.market),
           '$record', format('sportsbook_name, game_external_id, %s, source, raw_data, collected_at, created_at%s', k.columns, k.rules)),
       k.workers
  FROM (VALUES (1, 'moneyline', 'moneyline', 'home_odds, away_odds', '', 0),
               (2, 'moneyline, rules given', 'moneyline', 'home_odds, away_odds', ', ''{"start": 99.98}''', 0),
               (3, 'spread', 'spread', 'points, away_odds', '', 0),
               (4, 'total', 'total', 'points, home_odds, away_odds', '', 0),
               (5, 'moneyline, in a parallel plan', 'moneyline', 'home_odds, away_odds', '', 2)
       ) AS k(number, what, market, columns, rules, workers),
       (VALUES (0, 'bare scan', 'created_at'),
               (1, 'C that returns its first argument', 'score_bench.noop($record)'),
               (2, 'pg_groundskeeper', 'groundskeeper.$market_quality_score($record)'),
               (3, 'SQL on numerics', 'score_bench.score_numeric($record)'),
               (4, 'SQL on integer hundredths', 'score_bench.score_hundredths($record)'),
               (5, 'PL/pgSQL', 'score_bench.score_plpgsql($record)')) AS c(number, name, expression)
 WHERE c.number <= 2 OR k.number = 1
 ORDER BY k.number, c.number;
CREATE TABLE score_bench.measurement (place integer, round integer, seconds double precision);

SELECT set_config('score_bench.rounds', :'rounds', false) \gset ignored_
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
DO $$
DECLARE
  contestant record;
  started timestamptz;
  line text;
BEGIN
  -- The SQL functions are measured as they are meant: inlined.
  FOR line IN EXECUTE (SELECT 'EXPLAIN VERBOSE SELECT ' || string_agg(expression, ', ') || ' FROM score_bench.record'
                         FROM score_bench.contestant WHERE name LIKE 'SQL on %') LOOP
    IF line LIKE '%score_bench.score_%' THEN
      RAISE EXCEPTION 'not inlined: %', line;
    END IF;
  END LOOP;
  FOR round IN 0 .. current_setting('score_bench.rounds')::integer LOOP
    FOR contestant IN SELECT * FROM score_bench.contestant ORDER BY place LOOP
      PERFORM set_config('max_parallel_workers_per_gather', contestant.workers::text, true);
      started := clock_timestamp();
      EXECUTE format('SELECT count(%s) FROM score_bench.record', contestant.expression);
      -- Round 0 warms up.
      IF round > 0 THEN
        INSERT INTO score_bench.measurement
        VALUES (contestant.place, round, extract(epoch FROM clock_timestamp() - started));
      END IF;
    END LOOP;
  END LOOP;
END $$;
