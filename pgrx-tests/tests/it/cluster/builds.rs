//! Indexes of a table in shards: built by jobs, one after the other, and again where something came between.

use std::thread;

use groundskeeper_tests::sql::{text, texts};
use postgres::Client;

use super::{Cluster, done, from_workers};

/// Adds so many indexes of the raw moneylines to the plan.
fn plan(client: &mut Client, indexes: &[&str]) {
    for name in indexes {
        let item = format!(
            "{{\"section\": \"own\", \"relation\": \"raw_data.moneylines_raw\", \"kind\": \"index\", \"name\": \"{name}\",
               \"keys\": [\"source\", \"id\"], \"predicate\": \"game_external_id IS NOT NULL AND '{name}' <> ''\"}}"
        );
        client.batch_execute(&format!("SELECT groundskeeper.add_plan_item($j${item}$j$)")).unwrap();
    }
}

/// Queues them: the table is too large to be indexed under a lock, as its nodes say.
fn apply(client: &mut Client) -> Vec<String> {
    client.batch_execute("SET groundskeeper.inline_build_limit = '1MB'").unwrap();
    let applied = "SELECT action || ' ' || state FROM groundskeeper.apply_plan(sections => '{own}')";
    texts(client, applied).unwrap()
}

fn jobs(client: &mut Client) -> Vec<String> {
    texts(client, "SELECT job_id FROM groundskeeper.jobs WHERE kind = 'create_index' ORDER BY job_id")
        .unwrap()
}

/// Indexes that are not valid, on the coordinator and on the workers.
fn invalid(client: &mut Client) -> Vec<String> {
    let query = "SELECT count(*) FROM pg_index WHERE NOT (indisvalid AND indisready)";
    std::iter::once(text(client, query).unwrap()).chain(from_workers(client, query)).collect()
}

#[test]
fn all_are_built_whatever_others_build_there() {
    let Some((cluster, mut client)) = Cluster::installed() else { return };
    let names = ["own_1", "own_2", "own_3", "own_4"];
    plan(&mut client, &names);
    let bytes =
        "SELECT bool_and(estimated_bytes > 1000000) FROM groundskeeper.plan_status() WHERE section = 'own'";
    assert_eq!(text(&mut client, bytes).unwrap(), "true", "what the nodes have counts");
    assert_eq!(apply(&mut client), ["queue queued"; 4]);
    // Two more by hand at the same time, one of which may well be the victim of a deadlock between shards.
    let by_hand = ["by_hand_1", "by_hand_2"].map(|name| {
        let mut client = cluster.client();
        thread::spawn(move || {
            let build =
                format!("CREATE INDEX CONCURRENTLY {name} ON raw_data.moneylines_raw (source) WHERE id > 0");
            let _ = client.batch_execute(&build);
        })
    });
    for job in jobs(&mut client) {
        assert_eq!(done(&mut client, &job), "succeeded");
    }
    by_hand.into_iter().for_each(|thread| thread.join().unwrap());
    for name in ["by_hand_1", "by_hand_2"] {
        client.batch_execute(&format!("DROP INDEX CONCURRENTLY IF EXISTS raw_data.{name}")).unwrap();
    }
    assert_eq!(invalid(&mut client), ["0"; 3]);
    let on_shards = format!(
        "SELECT count(DISTINCT shardid || i.result) FROM run_command_on_shards('raw_data.moneylines_raw',
             $q$SELECT count(*) FROM pg_index x JOIN pg_class c ON c.oid = x.indexrelid WHERE x.indrelid = '%s'::regclass
                   AND x.indisvalid AND c.relname LIKE 'own_%%'$q$) i WHERE i.result = '{}'",
        names.len()
    );
    assert_eq!(text(&mut client, &on_shards).unwrap(), "4", "each shard has all of them");
}

#[test]
fn what_was_left_of_a_build_is_cleared_away() {
    let Some((cluster, mut client)) = Cluster::installed() else { return };
    plan(&mut client, &["own_1", "own_2"]);
    // One that only the coordinator has, as when it was killed before the shards had been asked.
    client
        .batch_execute(
            "SET citus.enable_ddl_propagation = off;
             CREATE INDEX own_1 ON raw_data.moneylines_raw (source, id) WHERE game_external_id IS NOT NULL AND 'own_1' <> '';
             UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'raw_data.own_1'::regclass;
             RESET citus.enable_ddl_propagation;",
        )
        .unwrap();
    // One that only a shard has, as when it was killed while it was being dropped.
    let shard = text(
        &mut client,
        "SELECT max(s.shardid) FROM pg_dist_shard s JOIN pg_dist_placement p USING (shardid) JOIN pg_dist_node n USING (groupid)
          WHERE s.logicalrelid = 'raw_data.moneylines_raw'::regclass AND n.nodeport = (SELECT max(nodeport) FROM pg_dist_node WHERE groupid > 0)",
    )
    .unwrap();
    let last = cluster.workers.iter().max_by_key(|server| server.port()).unwrap();
    last.connect(super::BETTING, "postgres")
        .unwrap()
        .batch_execute(&format!(
            "SET citus.enable_manual_changes_to_shards = on;
             CREATE INDEX own_2_{shard} ON raw_data.moneylines_raw_{shard} (source)"
        ))
        .unwrap();
    assert_eq!(apply(&mut client), ["queue queued"; 2]);
    for job in jobs(&mut client) {
        assert_eq!(done(&mut client, &job), "succeeded");
    }
    assert_eq!(invalid(&mut client), ["0"; 3]);
    let same = "SELECT count(DISTINCT pg_get_expr(x.indpred, x.indrelid)) FROM pg_index x JOIN pg_class c ON c.oid = x.indexrelid
          WHERE c.relname LIKE 'own_2_%'";
    assert_eq!(from_workers(&mut client, same), ["1", "1"], "the leftover was another index");
}

#[test]
fn what_a_lost_rebuild_left_on_shards_is_dropped_by_the_next() {
    let Some((cluster, mut client)) = Cluster::installed() else { return };
    client.batch_execute("CREATE INDEX own ON raw_data.moneylines_raw (source)").unwrap();
    for mut worker in cluster.at_workers() {
        let shard =
            "SELECT max(shard_name) FROM citus_shards WHERE table_name = 'raw_data.moneylines_raw'::regclass
                        AND nodeport = (SELECT setting::integer FROM pg_settings WHERE name = 'port')";
        let shard = text(&mut worker, shard).unwrap();
        worker
            .batch_execute(&format!(
                "SET citus.enable_manual_changes_to_shards = on; SET citus.override_table_visibility = off;
                 CREATE INDEX own_ccnew ON {shard} (source);
                 UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'raw_data.own_ccnew'::regclass"
            ))
            .unwrap();
    }
    let job = text(&mut client, "SELECT groundskeeper.reindex('raw_data.own')").unwrap();
    assert_eq!(done(&mut client, &job), "succeeded");
    assert_eq!(invalid(&mut client), ["0"; 3]);
}
