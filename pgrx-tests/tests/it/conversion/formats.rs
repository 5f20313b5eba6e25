//! Tables whose key is no date and has a moment in it, and tables without a default partition.

use groundskeeper_tests::difference;
use groundskeeper_tests::sql::{refusal, text, texts};
use postgres::Client;

use super::{carry_out, convert_accepting, differing, finalize, leftovers, undo, with};

/// A `uuid` of version 7 of a moment.
const V7: &str = "CREATE FUNCTION v7(at timestamptz) RETURNS uuid LANGUAGE sql AS $$
    SELECT (lpad(to_hex((EXTRACT(epoch FROM at) * 1000)::bigint), 12, '0') || '7' || substr(md5(random()::text), 1, 3)
            || '8' || substr(md5(random()::text), 1, 15))::uuid $$;";

/// Format, type of the key, the key of a moment.
const FORMATS: [(&str, &str, &str); 4] = [
    ("uuidv7", "uuid", "v7(:at)"),
    ("epoch_s", "bigint", "EXTRACT(epoch FROM :at)::bigint"),
    ("epoch_ms", "bigint", "(EXTRACT(epoch FROM :at) * 1000)::bigint"),
    ("epoch_us", "bigint", "(EXTRACT(epoch FROM :at) * 1000000)::bigint"),
];

fn key_of(expression: &str, at: &str) -> String {
    expression.replace(":at", &format!("({at})::timestamptz"))
}

/// That each row is in the partition of the month that it is of, by the database's own arithmetic.
fn assert_in_their_months(client: &mut Client, what: &str) {
    let misplaced = "SELECT count(*) FROM f WHERE tableoid::regclass::text <> 'f_' || to_char(at AT TIME ZONE 'UTC', 'YYYY_MM')
                        AND tableoid::regclass::text <> 'f_default'";
    assert_eq!(text(client, misplaced).unwrap(), "0", "{what}");
    let dated = "SELECT count(*) FROM f_default WHERE at BETWEEN now() - interval '100 days' AND now()";
    assert_eq!(text(client, dated).unwrap(), "0", "{what}");
}

#[test]
fn moments_in_numbers_and_uuids_are_partitioned_by() {
    for (format, of_type, expression) in FORMATS {
        let of_row = key_of(expression, "date_trunc('hour', now()) - i * interval '7 hours'");
        let (db, mut client) = with(&format!(
            "{V7}
             CREATE TABLE f (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, k {of_type}, at timestamptz, n integer CONSTRAINT once UNIQUE);
             INSERT INTO f (k, at, n) SELECT {of_row}, date_trunc('hour', now()) - i * interval '7 hours', i FROM generate_series(0, 300) i;
             INSERT INTO f (n) VALUES (9999)"
        ));
        let dump = db.dump_schema().unwrap();
        let refused = refusal(&mut client, "SELECT groundskeeper.partition_table('f', 'k')").unwrap();
        assert!(refused.detail.contains("partition_key"), "{format}: {refused:?}");
        carry_out(
            &mut client,
            &format!(
                "partition_table('f', 'k', timezone => 'UTC', accept => '{{on_conflict}}', key_format => '{format}')"
            ),
        );
        assert_in_their_months(&mut client, format);
        assert_eq!(differing(&mut client, "SELECT id, n FROM f", "SELECT id, n FROM f_key"), "0");
        // later months, and what falls into the default partition meanwhile
        let beyond = key_of(expression, "now() + interval '200 days'");
        client
            .batch_execute(&format!("INSERT INTO f (k, at) VALUES ({beyond}, now() + interval '200 days')"))
            .unwrap();
        carry_out(&mut client, "drain_default('f')");
        assert_eq!(
            text(&mut client, "SELECT count(*) FROM f_default WHERE k IS NOT NULL").unwrap(),
            "0",
            "{format}"
        );
        client.batch_execute("SELECT create_monthly_partitions(12)").unwrap();
        let health = "SELECT concat_ws(' ', status, detail) FROM monitoring.partition_health WHERE status <> 'never_analyzed'";
        assert_eq!(texts(&mut client, health).unwrap(), ["ok"], "{format}");
        // retention reads the bounds as the months that they are
        client.batch_execute("SELECT groundskeeper.set_retention('f', '1 month', 'drop')").unwrap();
        client.batch_execute("SELECT groundskeeper.apply_retention()").unwrap();
        let kept = "SELECT min(at) >= date_trunc('month', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC' - interval '1 month' - interval '1 day' FROM f";
        assert_eq!(text(&mut client, kept).unwrap(), "true", "{format}");
        let rows = text(&mut client, "SELECT count(*) FROM f").unwrap();
        // known again by its triggers and bounds
        client.batch_execute("DROP EXTENSION pg_groundskeeper; CREATE EXTENSION pg_groundskeeper").unwrap();
        db.settle().unwrap();
        client.batch_execute("SELECT groundskeeper.adopt_partitioned_table('f', timezone => 'UTC')").unwrap();
        undo(&mut client, "f");
        assert_eq!(text(&mut client, "SELECT count(*) FROM f").unwrap(), rows, "{format}");
        let changed = difference(&dump, &db.dump_schema().unwrap());
        assert!(changed.is_empty(), "{format}: {changed}");
        assert_eq!(leftovers(&mut client), [""; 0]);
    }
}

/// Where it is the primary key as well, the whole has one, and nothing is kept apart.
#[test]
fn a_uuid_is_primary_and_partition_key_at_once() {
    let (db, mut client) = with(&format!(
        "{V7} CREATE TABLE u (id uuid PRIMARY KEY, v integer);
         INSERT INTO u SELECT v7(now() - i * interval '1 day'), i FROM generate_series(1, 90) i;
         CREATE TABLE of_u (u uuid REFERENCES u ON DELETE CASCADE); INSERT INTO of_u SELECT id FROM u WHERE v < 10"
    ));
    let dump = db.dump_schema().unwrap();
    carry_out(&mut client, "partition_table('u', 'id', key_format => 'uuidv7')");
    assert_eq!(text(&mut client, "SELECT to_regclass('u_key') IS NULL").unwrap(), "true");
    client.batch_execute("INSERT INTO u SELECT id, 0 FROM u WHERE v = 1 ON CONFLICT (id) DO UPDATE SET v = -1; DELETE FROM u WHERE v = 2").unwrap();
    assert_eq!(text(&mut client, "SELECT count(*) FROM of_u").unwrap(), "8");
    undo(&mut client, "u");
    let changed = difference(&dump, &db.dump_schema().unwrap());
    assert!(changed.is_empty(), "{changed}");
    // random ones say nothing of a moment
    client
        .batch_execute(
            "TRUNCATE u CASCADE; INSERT INTO u SELECT gen_random_uuid(), i FROM generate_series(1, 50) i",
        )
        .unwrap();
    let refused =
        refusal(&mut client, "SELECT groundskeeper.partition_table('u', 'id', key_format => 'uuidv7')")
            .unwrap();
    assert!(refused.detail.contains("50 of 50 values of id are no uuidv7"), "{refused:?}");
}

#[test]
fn what_a_number_counts_is_not_guessed_wrong() {
    let (_db, mut client) = with(
        "CREATE TABLE m (id integer PRIMARY KEY, k bigint);
         INSERT INTO m SELECT i, (EXTRACT(epoch FROM now()) * 1000)::bigint - i FROM generate_series(1, 50) i;
         CREATE TABLE by_id (id bigint, v integer) PARTITION BY RANGE (id);
         CREATE TABLE by_id_1 PARTITION OF by_id FOR VALUES FROM (0) TO (1000000)",
    );
    for (call, code, said) in [
        (
            "partition_table('m', 'k', key_format => 'epoch_s', accept => '{on_conflict}')",
            "55000",
            "50 of 50 values of k are no epoch_s",
        ),
        (
            "partition_table('m', 'k', key_format => 'uuidv7', accept => '{on_conflict}')",
            "55000",
            "column k is of type bigint",
        ),
        ("partition_table('m', 'k', key_format => 'epoch')", "22023", "\"epoch\" is no key_format"),
        ("adopt_partitioned_table('by_id')", "42809", "not partitioned by range of one date or time"),
    ] {
        let refused = refusal(&mut client, &format!("SELECT groundskeeper.{call}")).unwrap();
        assert_eq!(refused.code, code, "{call}: {refused:?}");
        assert!(format!("{} {}", refused.message, refused.detail).contains(said), "{call}: {refused:?}");
    }
}

#[test]
fn a_default_partition_may_be_left_out() {
    let (db, mut client) = with(
        "CREATE TABLE d (id bigint, day date, v integer, PRIMARY KEY (id, day));
         INSERT INTO d SELECT i, current_date - i % 60, i FROM generate_series(1, 200) i; INSERT INTO d VALUES (201, 'infinity', 1)",
    );
    let dump = db.dump_schema().unwrap();
    let call = "SELECT groundskeeper.partition_table('d', 'day', \"default\" => false)";
    let refused = refusal(&mut client, call).unwrap();
    assert!(refused.detail.contains("0 rows without day and 1 outside"), "{refused:?}");
    client.batch_execute("DELETE FROM d WHERE id = 201").unwrap();
    carry_out(&mut client, "partition_table('d', 'day', \"default\" => false)");
    assert_eq!(text(&mut client, "SELECT to_regclass('d_default') IS NULL").unwrap(), "true");
    assert_eq!(refusal(&mut client, "INSERT INTO d VALUES (1, '2000-01-01')").unwrap().code, "23514");
    // the other arguments are those of the first call
    let other = refusal(&mut client, "SELECT groundskeeper.partition_table('d', 'day')").unwrap();
    assert_eq!(other.code, "55000", "{other:?}");
    let oldest = text(&mut client, "SELECT tableoid::regclass FROM d ORDER BY day LIMIT 1").unwrap();
    finalize(&mut client, "d");
    // with nothing beside it, a partition leaves without anybody being locked out
    carry_out(&mut client, &format!("detach_partition('{oldest}')"));
    assert_eq!(
        text(&mut client, &format!("SELECT relispartition FROM pg_class WHERE oid = '{oldest}'::regclass"))
            .unwrap(),
        "false"
    );
    client.batch_execute("SELECT create_monthly_partitions(6)").unwrap();
    assert!(!dump.is_empty());
}

#[test]
fn a_set_without_a_default_partition_comes_back() {
    let (db, mut client) = with(
        "CREATE TABLE d (id bigint PRIMARY KEY, day date, v integer);
         INSERT INTO d SELECT i, current_date - i % 60, i FROM generate_series(1, 200) i",
    );
    let dump = db.dump_schema().unwrap();
    convert_accepting(&mut client, "d", "day", "on_conflict");
    undo(&mut client, "d");
    carry_out(&mut client, "partition_table('d', 'day', accept => '{on_conflict}', \"default\" => false)");
    undo(&mut client, "d");
    let changed = difference(&dump, &db.dump_schema().unwrap());
    assert!(changed.is_empty(), "{changed}");
    assert_eq!(leftovers(&mut client), [""; 0]);
}
