use super::*;

fn key() -> Vec<String> {
    vec!["id".to_owned()]
}

fn found(source: &str) -> Vec<Use> {
    uses(source, &Table { schema: "app", name: "t", lost_key: &key(), loses_unique: true })
}

fn system(columns: &[&str]) -> Vec<Use> {
    columns.iter().map(|column| Use::SystemColumn((*column).to_owned())).collect()
}

#[test]
fn an_assignment_is_told_from_a_comparison() {
    for source in [
        "BEGIN NEW.at := now(); RETURN NEW; END",
        "BEGIN new . \"at\" := now(); RETURN NEW; END",
        "BEGIN NEW.At = now(); RETURN NEW; END",
        "BEGIN IF NEW.at IS NULL THEN NEW.at = now(); END IF; RETURN NEW; END",
        "BEGIN IF false THEN NULL; ELSE NEW.at = now(); END IF; RETURN NEW; END",
        "BEGIN <<here>> NEW.at = now(); RETURN NEW; END",
        "BEGIN SELECT now() INTO NEW.at; RETURN NEW; END",
        "BEGIN SELECT 1, now() INTO STRICT NEW.n, NEW.at FROM x; RETURN NEW; END",
        "TD[\"new\"][\"at\"] = plpy.now()\nreturn 'MODIFY'",
        "TD['new']['at'] = plpy.now()",
        "$_TD->{new}{at} = '2026-01-01'; return 'MODIFY';",
        "$_TD->{'new'}->{'at'} = '2026-01-01';",
        "set NEW(at) [clock format 0]",
    ] {
        assert!(assigns(source, "at"), "{source}");
        assert!(!assigns(source, "day"), "{source}");
    }
    for source in [
        "BEGIN IF NEW.at = OLD.at THEN NEW.n := 1; END IF; RETURN NEW; END",
        "BEGIN x := NEW.at; NEW.n := NEW.at - now(); RETURN NEW; END",
        "BEGIN -- NEW.at := now()\n RETURN NEW; END",
        "BEGIN /* NEW.at := now() */ RETURN NEW; END",
        "BEGIN INSERT INTO log VALUES (NEW.id, NEW.at); RETURN NEW; END",
        "BEGIN INSERT INTO log SELECT NEW.id, NEW.at; RETURN NEW; END",
        "BEGIN NEW.at_text := NEW.at; RETURN NEW; END",
        "BEGIN NEW.\"At\" := now(); RETURN NEW; END",
        "if TD[\"new\"][\"at\"] == 1: return 'SKIP'",
        "",
    ] {
        assert!(!assigns(source, "at"), "{source}");
    }
    assert!(assigns("BEGIN NEW.\"At\" := now(); RETURN NEW; END", "At"));
}

#[test]
fn a_trigger_that_asks_for_its_table_is_known() {
    for (source, word) in [
        ("INSERT INTO audit VALUES (TG_TABLE_NAME, TG_OP)", Some("TG_TABLE_NAME")),
        ("EXECUTE format('SELECT %s', tg_relid::regclass)", Some("TG_RELID")),
        ("x := TG_TABLE_SCHEMA", Some("TG_TABLE_SCHEMA")),
        ("plpy.info(TD[\"table_name\"])", Some("TABLE_NAME")),
        ("elog(INFO, $_TD->{relname})", Some("RELNAME")),
        ("spi_exec \"... $TG_relid\" ; set x $TG_relid", Some("TG_RELID")),
        ("-- TG_TABLE_NAME\nRETURN NEW", None),
        ("SELECT table_name FROM information_schema.tables", None),
    ] {
        assert_eq!(asks_for_table(source).as_deref(), word, "{source}");
    }
}

#[test]
fn system_columns_matter_where_the_table_is_named() {
    assert_eq!(found("SELECT xmin FROM t WHERE id = $1"), system(&["xmin"]));
    assert_eq!(found("DELETE FROM app.t WHERE ctid IN (SELECT ctid FROM app.t LIMIT 5)"), system(&["ctid"]));
    assert_eq!(found("EXECUTE 'UPDATE t SET n = 1 RETURNING xmax'"), system(&["xmax"]));
    assert_eq!(found("EXECUTE format('SELECT ctid FROM %I', 't')"), system(&["ctid"]));
    assert_eq!(found("SELECT x.ctid FROM x, t WHERE x.id = t.id"), system(&["ctid"]));
    for source in [
        "SELECT t.ctid FROM other t",
        "SELECT xmin FROM other.t",
        "SELECT ctid FROM tt",
        "SELECT id FROM t",
        "SELECT \"xmin\" FROM t",
        "SELECT t, ctid FROM other",
        "SELECT ctid FROM t.x",
    ] {
        assert_eq!(found(source), [], "{source}");
    }
}

#[test]
fn conflicts_matter_in_inserts_into_the_table() {
    for source in [
        "INSERT INTO t VALUES (1) ON CONFLICT (id) DO NOTHING",
        "INSERT INTO app.t AS x (id) SELECT 1 ON CONFLICT DO NOTHING;",
        "EXECUTE 'INSERT INTO t VALUES ($1) ON CONFLICT ON CONSTRAINT t_pkey DO UPDATE SET n = 1'",
        "EXECUTE format('INSERT INTO %I VALUES (1) ON CONFLICT (id) DO NOTHING', 't')",
    ] {
        assert_eq!(found(source), [Use::OnConflict], "{source}");
        let kept = Table { schema: "app", name: "t", lost_key: &[], loses_unique: false };
        assert_eq!(uses(source, &kept), [], "{source}");
    }
    for source in [
        "INSERT INTO t VALUES (1); INSERT INTO o VALUES (1) ON CONFLICT DO NOTHING",
        "INSERT INTO o SELECT id FROM t ON CONFLICT DO NOTHING",
    ] {
        assert_eq!(found(source), [], "{source}");
    }
}

#[test]
fn groups_by_the_key_alone_matter() {
    assert_eq!(found("SELECT id, name, count(*) FROM t JOIN c ON tid = id GROUP BY t.id"), [Use::GroupBy]);
    assert_eq!(found("SELECT id, n FROM t GROUP BY id;"), [Use::GroupBy]);
    for source in
        ["SELECT id, n FROM t GROUP BY id, n", "SELECT n FROM t GROUP BY n", "SELECT 1 FROM t GROUP BY id(n)"]
    {
        assert_eq!(found(source), [], "{source}");
    }
    let both = ["a".to_owned(), "b".to_owned()];
    let table = Table { schema: "app", name: "t", lost_key: &both, loses_unique: true };
    assert_eq!(uses("SELECT c FROM t GROUP BY t.b, a", &table), [Use::GroupBy]);
    assert_eq!(uses("SELECT c FROM t GROUP BY a", &table), []);
}

#[test]
fn what_leaves_the_partitions_out_matters() {
    assert_eq!(found("SELECT count(*) FROM ONLY t"), [Use::Only]);
    assert_eq!(found("TRUNCATE ONLY app.t"), [Use::Only]);
    assert_eq!(found("UPDATE ONLY (t) SET n = 1"), [Use::Only]);
    assert_eq!(found("COPY t TO '/dev/null'"), [Use::CopyTo]);
    assert_eq!(found("EXECUTE 'COPY app.t (id, n) TO STDOUT'"), [Use::CopyTo]);
    assert_eq!(found("COPY t FROM '/dev/null'"), []);
    assert_eq!(found("COPY (SELECT * FROM t) TO '/dev/null'"), []);
}
