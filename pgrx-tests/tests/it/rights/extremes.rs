//! What makes no sense is refused as that, and not as an error of ours.

use super::{installed, list};

/// Calls with NULL in arrays, and with the extremes of times.
const CALLS: [&str; 11] = [
    "groundskeeper.apply_plan(true, ARRAY[NULL]::text[])",
    "groundskeeper.apply_plan(true, ARRAY['2', NULL])",
    "groundskeeper.rollback_plan(true, ARRAY[NULL]::text[])",
    "groundskeeper.partition_table('groundskeeper.job', 'queued_at', accept => ARRAY[NULL]::text[])",
    "groundskeeper.query_latency('178000000 years')",
    "groundskeeper.query_latency('-178000000 years')",
    "groundskeeper.statement_latency('178000000 years')",
    "groundskeeper.next_run('* * * * *', 'UTC', 'infinity', 'infinity', 2147483647)",
    "groundskeeper.next_run('* * * * *', 'UTC', '294276-12-31', '-infinity', 0)",
    "create_monthly_partitions(2147483647)",
    "groundskeeper.connection_pool_config('libpq', -2147483648)",
];

#[test]
fn extremes_are_refused_by_their_kind() {
    let (_db, mut client) = installed();
    for call in CALLS {
        let error = client.batch_execute(&format!("SELECT * FROM {call}")).expect_err(call);
        let error = error.as_db_error().unwrap_or_else(|| panic!("{call}: the connection is lost"));
        let kind = &error.code().code()[..2];
        assert!(["22", "42"].contains(&kind), "{call}: {} {}", error.code().code(), error.message());
    }
    // NULL within an array is nothing in particular
    let codes = list(&mut client, "SELECT groundskeeper.validation_status(50, ARRAY[NULL]::text[])");
    assert_eq!(codes, ["invalid"]);
}
