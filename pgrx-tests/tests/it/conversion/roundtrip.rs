//! There and back: nothing that hung on a table is lost, and nothing is left behind.

use groundskeeper_sandbox::server::quote_ident;
use groundskeeper_tests::sql::{text, texts};
use groundskeeper_tests::{Template, TestDb, difference};
use postgres::Client;

use super::{RAW, convert_accepting, finalize, installed, leftovers, undo};

/// Its triggers notice that there are partitions.
fn convert(client: &mut Client, table: &str, key: &str) {
    convert_accepting(client, table, key, "on_conflict,triggers");
}

/// Everything that can hang on a table, on the plan's two tables.
const EVERYTHING: &str = include_str!("everything.sql");

const ROWS: &str = "
    INSERT INTO raw_data.moneylines_raw (external_id, source, game_external_id, home_odds, away_odds, raw_data, game_date)
    SELECT 'x' || i, 'source ' || i % 7, 'g' || i / 300, -110 - i % 90, 100 + i % 80, jsonb_build_object('a', i),
           CASE WHEN i % 50 > 0 THEN current_date - i % 400 END
      FROM generate_series(1, 3000) i;
    INSERT INTO staging.moneylines (raw_id, game_id, data_quality_score, processed_at)
    SELECT i, i / 30, 9.5, now() - i * interval '1 h' FROM generate_series(1, 1500) i;";

fn everything() -> (TestDb, Client, String) {
    let (mut db, mut client) = installed(Template::ShapeAWithDependents);
    client.batch_execute(ROWS).unwrap();
    let reader = db.role("reader").unwrap();
    client.batch_execute(&EVERYTHING.replace(":reader", &quote_ident(&reader))).unwrap();
    (db, client, reader)
}

/// What hangs on the tables, by name, as the catalogs have it: the same for an ordinary and a partitioned table.
const HANGING: &str = "
    WITH t AS (SELECT c.* FROM pg_class c WHERE c.oid IN (:tables))
    SELECT format('%s: owner %s, acl %s, rls %s %s, comment %s', oid::regclass, relowner::regrole,
                  (SELECT array_agg(a::text ORDER BY a::text) FROM unnest(relacl) a), relrowsecurity, relforcerowsecurity,
                  obj_description(oid, 'pg_class'))
      FROM t
    UNION ALL
    SELECT format('%s.%s %s not null %s, default %s, identity %s, generated %s, acl %s, options %s, target %s, storage %s, compression %s, collation %s, comment %s',
                  t.oid::regclass, attname, format_type(atttypid, atttypmod), attnotnull, pg_get_expr(adbin, adrelid), attidentity,
                  attgenerated, attacl,
                  -- some servers keep options of their own there
                  ARRAY(SELECT o FROM unnest(attoptions) o WHERE NOT starts_with(o, 'pg_')), attstattarget, attstorage, attcompression, attcollation, col_description(t.oid, attnum))
      FROM t JOIN pg_attribute a ON attrelid = t.oid AND attnum > 0 AND NOT attisdropped
      LEFT JOIN pg_attrdef d ON adrelid = t.oid AND adnum = attnum
    UNION ALL
    SELECT format('%s sequence of %s.%s: %s, %s, acl %s', d.deptype, t.oid::regclass,
                  (SELECT attname FROM pg_attribute WHERE attrelid = t.oid AND attnum = refobjsubid), s.oid::regclass, s.relowner::regrole, s.relacl)
      FROM t JOIN pg_depend d ON d.refobjid = t.oid AND d.classid = 'pg_class'::regclass AND deptype IN ('a', 'i')
      JOIN pg_class s ON s.oid = d.objid AND s.relkind = 'S'
    UNION ALL
    SELECT format('check of %s: %s %s, comment %s', t.oid::regclass, conname, pg_get_constraintdef(k.oid), obj_description(k.oid, 'pg_constraint'))
      FROM t JOIN pg_constraint k ON conrelid = t.oid AND contype = 'c'
    UNION ALL
    SELECT format('foreign key of %s: %s %s, comment %s', conrelid::regclass, conname,
                  replace(pg_get_constraintdef(k.oid), '_key(', '('), obj_description(k.oid, 'pg_constraint'))
      FROM pg_constraint k WHERE contype = 'f' AND conparentid = 0
    UNION ALL
    SELECT format('%s, comment %s', replace(regexp_replace(pg_get_triggerdef(g.oid), 'ON ONLY', 'ON'), ' ONLY ', ' '), obj_description(g.oid, 'pg_trigger'))
           || tgenabled::text
      FROM t JOIN pg_trigger g ON tgrelid = t.oid AND NOT tgisinternal AND tgname !~ 'groundskeeper'
    UNION ALL
    SELECT format('policy %s of %s: %s %s %s %s %s, comment %s', polname, polrelid::regclass, polcmd, polpermissive, polroles::regrole[],
                  pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid), obj_description(p.oid, 'pg_policy'))
      FROM t JOIN pg_policy p ON polrelid = t.oid
    UNION ALL
    SELECT format('%s %s %s, comment %s', pg_get_statisticsobjdef(s.oid), stxowner::regrole, stxstattarget, obj_description(s.oid, 'pg_statistic_ext'))
      FROM t JOIN pg_statistic_ext s ON stxrelid = t.oid
    UNION ALL
    SELECT format('%s publishes %s (%s) where %s', pubname, tablename, attnames, rowfilter) FROM pg_publication_tables
    UNION ALL
    SELECT format('view %s: %s, %s, acl %s, options %s, filled %s, comment %s', oid::regclass, relowner::regrole, pg_get_viewdef(oid), relacl,
                  reloptions, relispopulated, obj_description(oid, 'pg_class'))
      FROM pg_class WHERE relkind IN ('v', 'm') AND relnamespace::regnamespace::text IN ('raw_data', 'staging', 'curated')
    UNION ALL
    SELECT format('%s of %s.%s', pg_get_expr(adbin, adrelid), adrelid::regclass, adnum)
      FROM pg_attrdef JOIN pg_class c ON c.oid = adrelid WHERE relkind = 'v'
    UNION ALL
    SELECT format('%s, comment %s', replace(pg_get_indexdef(indexrelid), ' ONLY ', ' '), obj_description(indexrelid, 'pg_class'))
      FROM pg_index WHERE NOT indisprimary AND (indrelid IN (SELECT oid FROM t)
        OR indrelid IN (SELECT oid FROM pg_class WHERE relkind = 'm' AND relnamespace::regnamespace::text IN ('raw_data', 'staging', 'curated')))
    UNION ALL
    SELECT format('%s %s %s', p.oid::regprocedure, pg_get_functiondef(p.oid), proacl) FROM pg_proc p
     WHERE prosqlbody IS NOT NULL AND pronamespace::regnamespace::text IN ('raw_data', 'staging', 'curated')
    ORDER BY 1";

fn hanging(client: &mut Client) -> String {
    let tables = "'raw_data.moneylines_raw'::regclass, 'staging.moneylines'::regclass";
    texts(client, &HANGING.replace(":tables", tables)).unwrap().join("\n")
}

#[test]
fn everything_hangs_on_the_partitioned_table_and_comes_back() {
    for order in [[RAW, "staging.moneylines"], ["staging.moneylines", RAW]] {
        let (db, mut client, _) = everything();
        let (dump, facts) = (db.dump_schema().unwrap(), hanging(&mut client));
        convert(&mut client, RAW, "game_date");
        convert(&mut client, "staging.moneylines", "processed_at");
        let changed = difference(&facts, &hanging(&mut client));
        assert!(changed.is_empty(), "{changed}");
        for table in order {
            undo(&mut client, table);
        }
        let changed = difference(&dump, &db.dump_schema().unwrap());
        assert!(changed.is_empty(), "undone in the order {order:?}:\n{changed}");
        let changed = difference(&facts, &hanging(&mut client));
        assert!(changed.is_empty(), "{changed}");
        assert_eq!(leftovers(&mut client), [""; 0]);
    }
}

#[test]
fn numbers_go_on_both_ways() {
    let (_db, mut client, _) = everything();
    client.batch_execute("SET ROLE NONE").unwrap();
    let insert = "INSERT INTO raw_data.moneylines_raw (source, game_date) VALUES ('new', current_date)
                  RETURNING format('%s %s %s', id, always_id, by_default_id)";
    let inserted = |client: &mut Client| -> Vec<i64> {
        let row: String = client.query_one(insert, &[]).unwrap().get(0);
        row.split(' ').map(|n| n.parse().unwrap()).collect()
    };
    let mut last = inserted(&mut client);
    for step in ["converted", "undone", "converted again", "finalized"] {
        match step {
            "undone" => undo(&mut client, RAW),
            "finalized" => finalize(&mut client, RAW),
            _ => convert(&mut client, RAW, "game_date"),
        }
        let now = inserted(&mut client);
        assert!(now.iter().zip(&last).all(|(now, last)| now > last), "{step}: {now:?} after {last:?}");
        last = now;
    }
}

#[test]
fn the_unpartitioned_table_is_needed_by_nothing() {
    let (_db, mut client, reader) = everything();
    convert(&mut client, RAW, "game_date");
    let dependents = "
        SELECT pg_describe_object(classid, objid, objsubid) FROM pg_depend
         WHERE refobjid = 'raw_data.moneylines_raw_unpartitioned'::regclass AND deptype = 'n'
           AND NOT (classid = 'pg_constraint'::regclass AND objid IN (SELECT oid FROM pg_constraint WHERE conrelid = refobjid))
           AND NOT (classid = 'pg_attrdef'::regclass AND objid IN (SELECT oid FROM pg_attrdef WHERE adrelid = refobjid))";
    assert_eq!(texts(&mut client, dependents).unwrap(), [""; 0]);
    finalize(&mut client, RAW);
    let gone = "SELECT to_regclass('raw_data.moneylines_raw_unpartitioned') IS NULL
                   AND to_regclass('raw_data.moneylines_raw_changes') IS NULL";
    assert_eq!(text(&mut client, gone).unwrap(), "true");
    assert_eq!(text(&mut client, "SELECT count(*) FROM raw_data.moneylines_raw").unwrap(), "3000");
    assert_eq!(text(&mut client, "SELECT raw_data.counted()").unwrap(), "3000");
    assert_eq!(text(&mut client, "SELECT sum(n) FROM raw_data.by_source").unwrap(), "3000");
    // grants and policies hold as before
    client.batch_execute(&format!("SET ROLE {}", quote_ident(&reader))).unwrap();
    let seen = "SELECT count(*) FROM raw_data.moneylines_raw WHERE source = 'source 1'";
    assert_eq!(text(&mut client, seen).unwrap(), "0");
    assert_eq!(text(&mut client, "SELECT count(*) > 0 FROM raw_data.moneylines_raw").unwrap(), "true");
}
