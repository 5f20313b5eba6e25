//! CREATE EXTENSION on a coordinator, what Citus makes of it on the workers, and DROP EXTENSION.

use groundskeeper_tests::sql::{refusal, text, texts};

use super::{Cluster, from_workers, settle};

/// All of the betting database in shards, so that each worker has the names of all its tables.
const SPREAD: &str = "
    ALTER TABLE staging.moneylines DROP CONSTRAINT moneylines_raw_id_fkey;
    SELECT create_distributed_table('raw_data.moneylines_raw', 'id');
    SELECT create_reference_table('staging.games');
    ALTER TABLE curated.moneylines DROP CONSTRAINT moneylines_staging_id_fkey;
    SELECT create_distributed_table('staging.moneylines', 'id');
    INSERT INTO staging.games (external_id, game_date) SELECT 'game ' || i, '2026-06-01' FROM generate_series(1, 50) i;
    INSERT INTO staging.moneylines (game_id, sportsbook_name, home_odds, away_odds)
    SELECT i % 50, 'book', -110, 100 FROM generate_series(1, 500) i;";

#[test]
fn the_extension_is_made_as_anywhere_and_workers_apply_nothing() {
    let Some(mut cluster) = Cluster::of(1) else { return };
    let mut client = cluster.client();
    cluster.run(SPREAD);
    cluster.run("CREATE EXTENSION pg_groundskeeper");
    cluster.add_worker();
    settle(&mut client);
    let applied = "SELECT state FROM groundskeeper.plan_status() WHERE item = '4.1.staging.daily_game_stats'";
    assert_eq!(text(&mut client, applied).unwrap(), "applied");

    for mut worker in cluster.at_workers() {
        let version = "SELECT extversion FROM pg_extension WHERE extname = 'pg_groundskeeper'";
        assert_ne!(text(&mut worker, version).unwrap(), "");
        let others = "SELECT item || ' ' || state FROM groundskeeper.plan_status()
                       WHERE state <> 'not_applicable' AND kind <> 'monitoring_view'";
        assert_eq!(texts(&mut worker, others).unwrap(), [""; 0]);
        worker.batch_execute("SELECT FROM groundskeeper.apply_plan()").unwrap();
        let made = "SELECT relname FROM pg_class WHERE relkind IN ('v', 'm') AND relnamespace = 'staging'::regnamespace
                    UNION ALL SELECT tgname FROM pg_trigger WHERE tgname LIKE 'groundskeeper%'
                    UNION ALL SELECT kind FROM groundskeeper.job
                    UNION ALL SELECT job_name FROM groundskeeper.schedule WHERE scheduler <> 'none'";
        assert_eq!(texts(&mut worker, made).unwrap(), [""; 0], "nothing was applied, queued or scheduled");
        for call in ["SELECT groundskeeper.schedule_maintenance()", "CALL groundskeeper.migrate_to_staging()"]
        {
            let refused = refusal(&mut worker, call).unwrap();
            assert_eq!(refused.code, "0A000", "{call}: {refused:?}");
            assert_eq!(refused.hint, "Connect to the coordinator.");
        }
    }

    client.batch_execute("SELECT groundskeeper.record_metrics()").unwrap();
    let samples = from_workers(&mut client, "SELECT count(*) FROM groundskeeper.metrics");
    assert_eq!(samples, ["1", "1"], "the coordinator has each worker take a sample of its own");

    client.batch_execute("DROP EXTENSION pg_groundskeeper").unwrap();
    let left = from_workers(&mut client, "SELECT count(*) FROM pg_namespace WHERE nspname ~ 'groundskeeper'");
    assert_eq!(left, ["0", "0"]);
}

#[test]
fn what_others_call_like_functions_of_citus_is_not_called() {
    let Some((cluster, mut client)) = Cluster::installed() else { return };
    client.batch_execute("CREATE ROLE mallory LOGIN; GRANT CREATE ON SCHEMA public TO mallory").unwrap();
    let planted = "
        SET citus.enable_ddl_propagation = off;
        CREATE FUNCTION public.shard_name(regclass, bigint) RETURNS text LANGUAGE plpgsql AS 'BEGIN RAISE ''planted''; END';
        CREATE FUNCTION public.run_command_on_all_nodes(text) RETURNS text LANGUAGE plpgsql AS 'BEGIN RAISE ''planted''; END';
        CREATE FUNCTION public.json_agg(record) RETURNS text LANGUAGE plpgsql AS 'BEGIN RAISE ''planted''; END';
        CREATE TABLE public.pg_dist_partition (logicalrelid regclass);
        CREATE TABLE public.pg_dist_local_group (groupid integer);";
    for node in cluster.workers.iter().chain([&cluster.coordinator]) {
        node.connect(super::BETTING, "postgres")
            .unwrap()
            .batch_execute("SET citus.enable_ddl_propagation = off; GRANT CREATE ON SCHEMA public TO mallory")
            .unwrap();
        let mut mallory = node.connect(super::BETTING, "mallory").unwrap();
        mallory.batch_execute(planted).unwrap();
        let mut settings = node.connect("postgres", "postgres").unwrap();
        settings.batch_execute("SET citus.enable_ddl_propagation = off; ALTER ROLE postgres SET search_path = public, pg_catalog").unwrap();
    }
    let mut client = cluster.client();
    let size = "SELECT size_bytes > 0 FROM monitoring.table_bloat WHERE tablename = 'moneylines_raw'";
    assert_eq!(text(&mut client, size).unwrap(), "true");
    client.batch_execute("SELECT groundskeeper.record_metrics()").unwrap();
    assert_eq!(from_workers(&mut client, "SELECT count(*) FROM groundskeeper.metrics"), ["1", "1"]);

    // Where the extension is gone, others may have its names.
    let first = &cluster.workers[0];
    first
        .connect(super::BETTING, "postgres")
        .unwrap()
        .batch_execute(
            "SET citus.enable_ddl_propagation = off; DROP EXTENSION pg_groundskeeper;
             GRANT CREATE ON DATABASE betting TO mallory",
        )
        .unwrap();
    first
        .connect(super::BETTING, "mallory")
        .unwrap()
        .batch_execute(
            "SET citus.enable_ddl_propagation = off;
             CREATE SCHEMA groundskeeper; CREATE TABLE groundskeeper.metrics (); CREATE TABLE public.ran (who text);
             CREATE SCHEMA groundskeeper_internal;
             CREATE FUNCTION groundskeeper_internal.record_as_worker() RETURNS timestamptz LANGUAGE sql AS
                 'INSERT INTO public.ran VALUES (current_user); SELECT now()';
             GRANT ALL ON ALL TABLES IN SCHEMA public, groundskeeper TO PUBLIC;
             GRANT USAGE ON SCHEMA groundskeeper, groundskeeper_internal TO PUBLIC;",
        )
        .unwrap();
    client.batch_execute("SELECT groundskeeper.record_metrics()").unwrap();
    let ran = "SELECT who FROM public.ran";
    assert_eq!(texts(&mut first.connect(super::BETTING, "postgres").unwrap(), ran).unwrap(), [""; 0]);
}

/// The statements of the page on clusters, in order.
fn page() -> String {
    let page = include_str!("../../../../docs/cluster.md");
    let blocks = page.split("```pgsql\n").skip(1);
    blocks.filter_map(|block| block.split("```").next()).collect()
}

#[test]
fn the_layout_of_the_page_is_made_as_it_stands_there() {
    let Some(cluster) = Cluster::of(2) else { return };
    let mut client = cluster.client();
    cluster.run(&page());
    let spread =
        "SELECT string_agg(format('%s %s', partmethod, logicalrelid), ', ' ORDER BY logicalrelid::text)
                    FROM pg_dist_partition WHERE logicalrelid::text NOT LIKE 'odds_history_%'";
    assert_eq!(
        text(&mut client, spread).unwrap(),
        "h curated.betting_analysis, n curated.enhanced_games, h curated.feature_vectors, \
         h curated.movement_analysis, h curated.strategy_results, h odds_history"
    );
    let months = "SELECT count(*) FROM pg_inherits WHERE inhparent = 'odds_history'::regclass";
    assert_eq!(text(&mut client, months).unwrap(), "3");
    let blocked = "SELECT item || ': ' || detail FROM groundskeeper.plan_status() WHERE state IN ('blocked', 'conflict')";
    assert_eq!(texts(&mut client, blocked).unwrap(), [""; 0], "all of the plan goes with it");
}
