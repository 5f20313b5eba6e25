//! Retention does for an owner what the owner may do.

use groundskeeper_tests::sql::text;

use super::{installed, list};

#[test]
fn a_partition_goes_to_no_schema_where_its_owner_may_not_create() {
    let (mut db, mut client) = installed();
    let owner = db.role("owner").unwrap();
    client
        .batch_execute(&format!(
            "CREATE SCHEMA app AUTHORIZATION {owner}; CREATE SCHEMA vault;
             GRANT EXECUTE ON FUNCTION groundskeeper.adopt_partitioned_table, groundskeeper.set_retention TO {owner}"
        ))
        .unwrap();
    db.client_as(&owner)
        .unwrap()
        .batch_execute(
            "CREATE TABLE app.bets (id integer, day date NOT NULL) PARTITION BY RANGE (day);
             CREATE TABLE app.bets_2020_01 PARTITION OF app.bets FOR VALUES FROM ('2020-01-01') TO ('2020-02-01');
             SELECT groundskeeper.adopt_partitioned_table('app.bets');
             SELECT groundskeeper.set_retention('app.bets', '1 year', 'archive')",
        )
        .unwrap();
    client.batch_execute("SET groundskeeper.archive_schema = 'vault'").unwrap();
    let retire = "SELECT concat_ws(' ', partition, action, detail) FROM groundskeeper.apply_retention()";
    assert_eq!(list(&mut client, retire), ["app.bets_2020_01 kept permission denied for schema vault"]);
    assert_eq!(
        text(&mut client, "SELECT relispartition FROM pg_class WHERE relname = 'bets_2020_01'").unwrap(),
        "true"
    );
    client.batch_execute(&format!("GRANT CREATE ON SCHEMA vault TO {owner}")).unwrap();
    assert_eq!(list(&mut client, retire), ["app.bets_2020_01 archived vault.bets_2020_01"]);
}
