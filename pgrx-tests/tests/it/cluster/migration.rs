//! The migration works on tables that are the coordinator's own, and says so of others.

use groundskeeper_tests::sql::{refusal, text};

use super::Cluster;

#[test]
fn markets_in_shards_are_refused_and_the_others_are_migrated() {
    let Some((cluster, mut client)) = Cluster::installed() else { return };
    let blocked = "SELECT state || ': ' || detail FROM groundskeeper.plan_status()
                    WHERE item = 'beyond.raw_data.moneylines_raw.migration'";
    let said = text(&mut client, blocked).unwrap();
    assert!(said.starts_with("blocked: ") && said.contains("is in shards of Citus"), "{said}");
    let refused = refusal(&mut client, "CALL groundskeeper.migrate_to_staging('moneyline')").unwrap();
    assert_eq!(refused.code, "0A000", "{refused:?}");
    assert!(refused.message.contains("raw_data.moneylines_raw is in shards of Citus"), "{refused:?}");
    assert!(refused.hint.contains("SELECT undistribute_table('raw_data.moneylines_raw')"), "{refused:?}");
    assert_eq!(text(&mut client, "SELECT count(*) FROM staging.moneylines").unwrap(), "0");

    cluster.run(
        "INSERT INTO raw_data.totals_raw (source, game_external_id, sportsbook_name, total_points, over_odds, under_odds, game_date)
         SELECT 'FEED', 'game ' || i % 7, 'book ' || i % 5, 8.5, -110, -110, '2026-06-01' FROM generate_series(1, 70) i;
         CALL groundskeeper.migrate_to_staging('total');",
    );
    assert_eq!(text(&mut client, "SELECT count(*) FROM staging.totals").unwrap(), "70");

    // What the hint says helps.
    cluster.run(
        "SELECT undistribute_table('raw_data.moneylines_raw', cascade_via_foreign_keys => true);
         SELECT FROM groundskeeper.apply_plan();
         CALL groundskeeper.migrate_to_staging('moneyline');",
    );
    assert_eq!(text(&mut client, "SELECT count(*) FROM staging.moneylines").unwrap(), "40000");
}
