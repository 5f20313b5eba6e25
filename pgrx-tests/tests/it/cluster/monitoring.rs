//! What the nodes have, summed up on the coordinator; or nothing, with the reason.

use groundskeeper_tests::sql::{text, texts};

use super::{Cluster, until};

const BLOAT: &str = "SELECT concat_ws(' | ', size_bytes, size_reason, bloat_percent, bloat_reason)
                       FROM monitoring.table_bloat WHERE tablename = 'moneylines_raw'";

#[test]
fn sizes_are_those_of_the_shards() {
    let Some((cluster, mut client)) = Cluster::installed() else { return };
    cluster.run("SELECT create_reference_table('staging.data_quality_metrics')");
    // autovacuum may write a map between two looks
    let mut total = String::new();
    until("both have the same size", || {
        total = text(&mut client, "SELECT citus_total_relation_size('raw_data.moneylines_raw')").unwrap();
        text(&mut client, BLOAT).unwrap()
            == format!("{total} | not judged: its rows are in shards, which each node judges")
    });
    assert!(total.parse::<i64>().unwrap() > 1_000_000);
    let growth = "SELECT bytes FROM monitoring.growth WHERE tablename = 'moneylines_raw'";
    assert_eq!(text(&mut client, growth).unwrap(), total);
    let indexes = "SELECT sum(index_bytes) = (SELECT index_bytes FROM monitoring.table_bloat WHERE tablename = 'moneylines_raw')
                     FROM monitoring.unused_indexes WHERE tablename = 'moneylines_raw'";
    assert_eq!(text(&mut client, indexes).unwrap(), "true");
    let local = "SELECT size_bytes = pg_total_relation_size('raw_data.spreads_raw') FROM monitoring.table_bloat WHERE tablename = 'spreads_raw'";
    assert_eq!(text(&mut client, local).unwrap(), "true", "what is the coordinator's own is as ever");
    let reference = "SELECT size_bytes = citus_total_relation_size('staging.data_quality_metrics')
                       FROM monitoring.table_bloat WHERE tablename = 'data_quality_metrics'";
    assert_eq!(text(&mut client, reference).unwrap(), "true");
}

#[test]
fn scans_are_those_of_the_shards_and_what_is_not_known_is_not_called_unused() {
    let Some((cluster, mut client)) = Cluster::installed() else { return };
    cluster.run(
        "CREATE INDEX looked_up ON raw_data.moneylines_raw (sportsbook_id);
         CREATE INDEX left_alone ON raw_data.moneylines_raw (external_id);
         SELECT groundskeeper.record_metrics();",
    );
    client.batch_execute("SET groundskeeper.index_observation = '0'").unwrap();
    let verdict = "SELECT indexname || ' ' || verdict FROM monitoring.unused_indexes
                    WHERE indexname IN ('looked_up', 'left_alone') ORDER BY indexname";
    for mut worker in cluster.at_workers() {
        let shards = "SELECT string_agg(format('PERFORM FROM %s WHERE sportsbook_id = 1;', shard_name), ' ')
                        FROM citus_shards WHERE table_name = 'raw_data.moneylines_raw'::regclass
                         AND nodeport = (SELECT setting::integer FROM pg_settings WHERE name = 'port')";
        let scan = text(&mut worker, shards).unwrap();
        worker
            .batch_execute(&format!(
                "SET enable_seqscan = off; SET citus.override_table_visibility = off; DO $$ BEGIN {scan} END $$"
            ))
            .unwrap();
    }
    until("the scans are counted", || {
        texts(&mut client, verdict).unwrap() == ["left_alone unused", "looked_up needed"]
    });

    cluster.workers[0].kill_9().unwrap();
    let unknown = "SELECT indexname || ' ' || verdict || ' ' || (evidence LIKE '%not every node of the cluster has answered%')
                     FROM monitoring.unused_indexes WHERE indexname = 'left_alone'";
    assert_eq!(text(&mut client, unknown).unwrap(), "left_alone too_early true");
    let bloat = text(&mut client, BLOAT).unwrap();
    assert!(bloat.starts_with("unknown, as not every node of the cluster has answered: "), "{bloat}");
    client.batch_execute("SELECT groundskeeper.record_metrics()").unwrap();
    client.batch_execute("SELECT FROM groundskeeper.kpi_report()").unwrap();
}

#[test]
fn who_may_not_ask_the_nodes_is_told_so() {
    let Some((cluster, _client)) = Cluster::installed() else { return };
    cluster.run(
        "CREATE ROLE watcher LOGIN; GRANT pg_monitor TO watcher; GRANT USAGE ON SCHEMA monitoring TO watcher;",
    );
    let mut watcher = cluster.coordinator.connect(super::BETTING, "watcher").unwrap();
    let size = text(&mut watcher, BLOAT).unwrap();
    assert!(size.starts_with(|first: char| first.is_ascii_digit()), "{size}");
    for mut worker in cluster.at_workers() {
        worker.batch_execute("SET citus.enable_ddl_propagation = off").unwrap();
        worker.batch_execute("ALTER ROLE watcher NOLOGIN").unwrap();
    }
    let mut watcher = cluster.coordinator.connect(super::BETTING, "watcher").unwrap();
    let size = text(&mut watcher, BLOAT).unwrap();
    assert!(size.starts_with("unknown, as not every node"), "{size}");
}
