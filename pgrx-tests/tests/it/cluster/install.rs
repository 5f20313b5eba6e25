//! CREATE EXTENSION on a coordinator, what Citus makes of it on the workers, and DROP EXTENSION.

use groundskeeper_tests::sql::{text, texts};

use super::{Cluster, from_workers};

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
