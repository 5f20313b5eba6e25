//! What PostgreSQL does not tell of a table when it is asked for its definition, and partitions have all the same.

use groundskeeper_tests::sql::{text, texts};
use postgres::Client;

use super::{convert, finalize, installed, undo, with};
use groundskeeper_tests::Template;

const TABLE: &str = "
    CREATE TABLE public.t (id int, at timestamptz NOT NULL, v int, x int,
        CONSTRAINT t_pk PRIMARY KEY (id) INCLUDE (x) WITH (fillfactor = 70) USING INDEX TABLESPACE :space);
    ALTER TABLE t ADD CONSTRAINT u UNIQUE (at, v) WITH (fillfactor = 66) USING INDEX TABLESPACE :space;
    ALTER TABLE t ADD CONSTRAINT later UNIQUE (at, x) WITH (fillfactor = 55, deduplicate_items = off) DEFERRABLE INITIALLY DEFERRED;
    ALTER TABLE t ALTER v SET (n_distinct = -0.3), ALTER v SET STATISTICS 321;
    COMMENT ON CONSTRAINT t_pk ON t IS 'told apart'; COMMENT ON INDEX t_pk IS 'by an index';
    INSERT INTO t SELECT g, now() - g % 60 * interval '1 day', g, g FROM generate_series(1, 200) g;
    CREATE MATERIALIZED VIEW mv AS SELECT v, x, count(*) c FROM t GROUP BY v, x;
    CREATE STATISTICS \"mv's\" ON v, c FROM mv; CREATE STATISTICS one (mcv) ON v, x FROM mv; CREATE STATISTICS e ON (v + 1) FROM mv;
    ALTER STATISTICS one SET STATISTICS 77; COMMENT ON STATISTICS one IS 'of one kind'";

/// Options, tablespace and comments of the unique indexes, by column and without names.
fn indexes(client: &mut Client, tables: &str) -> Vec<String> {
    let query = format!(
        "SELECT DISTINCT concat_ws(' ', pg_get_constraintdef(k.oid), i.reloptions::text, s.spcname,
                                   CASE k.contype WHEN 'p' THEN obj_description(k.oid, 'pg_constraint') END,
                                   CASE k.contype WHEN 'p' THEN obj_description(i.oid, 'pg_class') END)
           FROM pg_constraint k JOIN pg_class i ON i.oid = k.conindid
           LEFT JOIN pg_tablespace s ON s.oid = i.reltablespace
          WHERE k.contype IN ('p', 'u') AND k.conrelid IN ({tables}) ORDER BY 1"
    );
    texts(client, &query).unwrap()
}

/// What holds for columns.
fn columns(client: &mut Client, tables: &str) -> Vec<String> {
    let query = format!(
        "SELECT DISTINCT concat_ws(' ', attname, attstattarget,
                                   -- some servers keep options of their own there
                                   ARRAY(SELECT o FROM unnest(attoptions) o WHERE NOT starts_with(o, 'pg_'))::text) FROM pg_attribute
          WHERE attrelid IN ({tables}) AND attname = 'v'"
    );
    texts(client, &query).unwrap()
}

/// The statistics objects, and whether they have been filled.
fn statistics(client: &mut Client) -> Vec<String> {
    let query = "SELECT concat_ws(' ', pg_get_statisticsobjdef(s.oid), stxstattarget, obj_description(s.oid, 'pg_statistic_ext'),
                                  d.stxoid IS NOT NULL)
                   FROM pg_statistic_ext s LEFT JOIN pg_statistic_ext_data d ON d.stxoid = s.oid ORDER BY 1";
    texts(client, query).unwrap()
}

const LEAVES: &str = "SELECT relid FROM pg_partition_tree('t') WHERE isleaf";
const NEW: &str = "SELECT relid FROM pg_partition_tree('t') WHERE isleaf AND relid::regclass::text ~ to_char(now() + interval '5 months', 'YYYY_MM')";

#[test]
fn options_tablespaces_and_comments_of_keys_go_to_the_partitions_and_back() {
    let (db, mut client) = with("");
    let space = format!("space_of_{}", db.name());
    client.batch_execute("SET allow_in_place_tablespaces = on").unwrap();
    client.batch_execute(&format!("CREATE TABLESPACE \"{space}\" LOCATION ''")).unwrap();
    client.batch_execute(&TABLE.replace(":space", &format!("\"{space}\""))).unwrap();
    client.batch_execute("ANALYZE mv").unwrap();
    let (before, was, objects) = (
        indexes(&mut client, "'t'::regclass"),
        columns(&mut client, "'t'::regclass"),
        statistics(&mut client),
    );
    assert_eq!(before.len(), 3, "{before:?}");
    assert!(
        before[0].contains("fillfactor=70") && before[0].contains("told apart by an index"),
        "{before:?}"
    );

    convert(&mut client, "t", "at");
    assert_eq!(indexes(&mut client, LEAVES), before);
    assert_eq!(columns(&mut client, LEAVES), was);
    assert_eq!(statistics(&mut client), objects);
    let of_keys = indexes(&mut client, "'t_key'::regclass");
    assert!(
        of_keys[0].starts_with("PRIMARY KEY (id)") && of_keys[0].ends_with("told apart by an index"),
        "{of_keys:?}"
    );
    // those to come, too; what stands on their own key's constraint has no way there
    client.batch_execute("SELECT create_monthly_partitions(6)").unwrap();
    let plain = |all: &[String]| all.iter().map(|s| s.replace("told apart ", "")).collect::<Vec<_>>();
    assert_eq!(plain(&indexes(&mut client, NEW)), plain(&before));
    assert_eq!(columns(&mut client, NEW), was);

    undo(&mut client, "t");
    assert_eq!(indexes(&mut client, "'t'::regclass"), before);
    assert_eq!(columns(&mut client, "'t'::regclass"), was);
    assert_eq!(statistics(&mut client), objects);
    convert(&mut client, "t", "at");
    finalize(&mut client, "t");
    assert_eq!(indexes(&mut client, LEAVES), before);
    assert_eq!(statistics(&mut client), objects);
    client.batch_execute("DROP TABLE t CASCADE; DROP TABLE IF EXISTS t_key CASCADE").unwrap();
    client.batch_execute(&format!("DROP TABLESPACE \"{space}\"")).unwrap();
}

#[test]
fn long_names_keep_the_month() {
    let (_db, mut client) = installed(Template::Empty);
    let long = "this_is_a_very_long_table_name_for_collected_market_snapshots";
    client
        .batch_execute(&format!(
            "CREATE TABLE {long} (id int PRIMARY KEY, at date NOT NULL); INSERT INTO {long} VALUES (1, current_date)"
        ))
        .unwrap();
    convert(&mut client, long, "at");
    client.batch_execute("SELECT create_monthly_partitions(6)").unwrap();
    let query = format!(
        "SELECT count(*) FILTER (WHERE relid::text ~ '_[0-9a-f]{{8}}_\\d{{4}}_\\d\\d$') || ' ' || count(DISTINCT left(relid::text, 53))
                || ' ' || count(*) FILTER (WHERE relid::text ~ '_default$')
           FROM pg_partition_tree('{long}') WHERE isleaf"
    );
    assert_eq!(text(&mut client, &query).unwrap(), "6 1 1");
    finalize(&mut client, long);
}
