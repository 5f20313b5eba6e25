//! What is recognized is recognized by owner and function, not by a name that anybody can give.

use groundskeeper_tests::sql::{refusal, text};

use super::{ended, installed, list, number};

/// A victim's table beside an attacker's, which has the triggers of a conversion.
const FORGED: &str = "
    CREATE TABLE shared.orders (id integer, at date NOT NULL) PARTITION BY RANGE (at);
    CREATE TABLE shared.orders_2020_01 PARTITION OF shared.orders FOR VALUES FROM ('2020-01-01') TO ('2020-02-01');
    INSERT INTO shared.orders SELECT g, '2020-01-05' FROM generate_series(1, 10) g;
    CREATE FUNCTION shared.orders_key_insert() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
    CREATE TRIGGER \"A_groundskeeper_key_insert\" AFTER INSERT ON shared.orders
        FOR EACH ROW EXECUTE FUNCTION shared.orders_key_insert()";

#[test]
fn a_forged_trigger_gives_nobody_another_ones_table() {
    let (mut db, mut client) = installed();
    let (attacker, victim) = (db.role("attacker").unwrap(), db.role("victim").unwrap());
    client
        .batch_execute(&format!(
            "CREATE SCHEMA shared; GRANT CREATE, USAGE ON SCHEMA shared TO {attacker}, {victim};
             GRANT EXECUTE ON FUNCTION groundskeeper.adopt_partitioned_table, groundskeeper.set_retention TO {attacker}"
        ))
        .unwrap();
    db.client_as(&victim)
        .unwrap()
        .batch_execute("CREATE TABLE shared.orders_key (id integer PRIMARY KEY); INSERT INTO shared.orders_key SELECT generate_series(1, 10)")
        .unwrap();
    let mut as_attacker = db.client_as(&attacker).unwrap();
    as_attacker.batch_execute(FORGED).unwrap();
    let adopt = "SELECT groundskeeper.adopt_partitioned_table('shared.orders')";
    for mut session in [as_attacker, db.client().unwrap()] {
        let refused = refusal(&mut session, adopt).unwrap();
        assert_eq!(refused.code, "42501", "{refused:?}");
        assert!(refused.detail.contains("shared.orders_key"), "{refused:?}");
    }
    // One that is written down all the same, as an older version did it, is not acted upon with greater rights.
    client
        .batch_execute(
            "INSERT INTO groundskeeper.managed_tables (parent, partition_key, \"interval\", timezone, premake, key_table, retention)
             VALUES ('shared.orders', 'at', 'month', 'UTC', 3, 'shared.orders_key', '1 year');
             INSERT INTO groundskeeper.conversion (relation, schema_name, table_name, partition_key, \"interval\", timezone, premake, stage, key_columns, key_table)
             VALUES ('shared.orders', 'shared', 'orders', 'at', 'month', 'UTC', 3, 'finalized', '{id}', true)",
        )
        .unwrap();
    let retired = list(
        &mut client,
        "SELECT concat_ws(' ', partition, action, detail) FROM groundskeeper.apply_retention()",
    );
    assert_eq!(retired, ["shared.orders_2020_01 kept permission denied for table orders_key"]);
    assert_eq!(text(&mut client, "SELECT count(*) FROM shared.orders_key").unwrap(), "10");
}

#[test]
fn a_superuser_fills_no_strangers_materialized_view() {
    let (mut db, mut client) = installed();
    let attacker = db.role("attacker").unwrap();
    client
        .batch_execute(&format!(
            "CREATE SCHEMA app; GRANT USAGE ON SCHEMA app TO {attacker}; CREATE SCHEMA theirs AUTHORIZATION {attacker};
             CREATE TABLE app.events (id bigint PRIMARY KEY, at date NOT NULL); GRANT SELECT ON app.events TO {attacker};
             INSERT INTO app.events SELECT g, date '2026-09-01' + g % 60 FROM generate_series(1, 100) g"
        ))
        .unwrap();
    db.client_as(&attacker)
        .unwrap()
        .batch_execute(
            "CREATE MATERIALIZED VIEW theirs.report AS SELECT at, count(*) FROM app.events GROUP BY at",
        )
        .unwrap();
    let findings = list(
        &mut client,
        "SELECT severity || ' ' || detail FROM groundskeeper.partition_preflight('app.events', 'at') WHERE check_name = 'views'",
    );
    assert!(findings.contains(&"blocker theirs.report is another owner's".to_owned()), "{findings:?}");
    let refused = refusal(
        &mut client,
        "SELECT groundskeeper.partition_table('app.events', 'at', accept => '{on_conflict}')",
    )
    .unwrap();
    assert_eq!(refused.code, "55000", "{refused:?}");
    client.batch_execute("DROP SCHEMA theirs CASCADE").unwrap();
    let job =
        number(&mut client, "groundskeeper.partition_table('app.events', 'at', accept => '{on_conflict}')");
    assert_eq!(ended(&mut client, job), "succeeded");
}
