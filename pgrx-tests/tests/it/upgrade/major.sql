-- Tables to convert, each with one that refers to it.
DO $$
DECLARE
  name text;
BEGIN
  FOREACH name IN ARRAY ARRAY['kept', 'done', 'halfway'] LOOP
    EXECUTE format('CREATE TABLE public.%I (id bigint PRIMARY KEY, at date NOT NULL, note text)', name);
    EXECUTE format('INSERT INTO public.%I SELECT g, current_date - g %% 80, ''note '' || g FROM generate_series(1, 1000) g', name);
    EXECUTE format('CREATE TABLE public.%I (id bigint REFERENCES public.%I ON DELETE CASCADE)', name || '_child', name);
    EXECUTE format('INSERT INTO public.%I SELECT generate_series(1, 100)', name || '_child');
  END LOOP;
END $$;
SELECT groundskeeper.partition_table('kept', 'at', accept => '{on_conflict}'), groundskeeper.partition_table('done', 'at', accept => '{on_conflict}');

CREATE TABLE public.adopted (id bigint, at date NOT NULL, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
SELECT groundskeeper.adopt_partitioned_table('adopted');
SELECT groundskeeper.set_retention('adopted', '2 years', 'detach');
SELECT FROM groundskeeper.create_monthly_partitions();
INSERT INTO public.adopted SELECT g, current_date + g % 50 FROM generate_series(1, 100) g;

GRANT EXECUTE ON ALL ROUTINES IN SCHEMA groundskeeper TO :author;
GRANT CREATE ON SCHEMA public TO :author;
SELECT groundskeeper.add_plan_item('{"section": "own", "relation": "staging.games", "kind": "index", "name": "games_by_date", "keys": ["game_date"]}'),
       groundskeeper.add_plan_item('{"section": "own", "relation": "staging.moneylines", "kind": "check_constraint", "name": "moneylines_have_raw",
                                     "expression": "raw_id > 0"}'),
       groundskeeper.add_plan_item('{"section": "own", "relation": "public.books", "kind": "materialized_view",
                                     "query": "SELECT sportsbook_name, count(*) AS lines FROM staging.moneylines GROUP BY sportsbook_name"}');
SELECT FROM groundskeeper.apply_plan(sections => '{own}');
SELECT FROM groundskeeper.rollback_plan(items => '{beyond.staging.games.idx_staging_games_teams}');
SELECT groundskeeper.decline('beyond.staging.games.idx_staging_games_teams', 'feeds name games alike here');

INSERT INTO groundskeeper.club_names VALUES ('The Hosts', 'BOS');
INSERT INTO groundskeeper.sportsbook_names VALUES ('the book', 'fanduel');
INSERT INTO groundskeeper.column_names VALUES ('raw_data.totals_raw', 'start_time', 'first_pitch');
INSERT INTO groundskeeper.maintained_relations (relation) VALUES ('public.kept');
UPDATE groundskeeper.quality_rules SET points = 17 WHERE rule = 'missing_sportsbook';
UPDATE groundskeeper.kpi_targets SET target = 250 WHERE kpi = 'query_latency_p95_ms';
UPDATE groundskeeper.alert_rules SET fire_threshold = 900 WHERE rule = 'heartbeat';
INSERT INTO groundskeeper.schedule (job_name, schedule, command) VALUES ('mine', '0 0 1 1 *', 'SELECT 2');
SELECT groundskeeper.silence_alert('cache_hit_ratio', now() + interval '1 year', 'known');
SELECT FROM groundskeeper.schedule_maintenance('Europe/Berlin');
SELECT FROM groundskeeper.update_table_statistics();
SELECT groundskeeper.record_metrics();
SELECT FROM groundskeeper.check_alerts();
