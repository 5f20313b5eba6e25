//! What is made beside a table is its owner's alone, whatever new tables are granted by default.

use groundskeeper_sandbox::server::quote_ident;
use groundskeeper_tests::sql::{refusal, text, texts};

use super::{convert, ended, installed, queue, undo, until};
use groundskeeper_tests::Template;

/// What others than the owner may do with what is in the schema, but for the table and what the test made.
const OTHERS: &str = "
    SELECT format('%s of %s: %s', a.privilege_type, o.name, coalesce(r.rolname, 'PUBLIC'))
      FROM (SELECT relname AS name, relowner AS owner, relacl AS acl FROM pg_class
             WHERE relnamespace = 'mine'::regnamespace AND relname NOT IN ('t', 't_unpartitioned', 'child') AND relkind NOT IN ('i', 'I')
            UNION ALL
            SELECT proname, proowner, coalesce(proacl, acldefault('f', proowner)) FROM pg_proc WHERE pronamespace = 'mine'::regnamespace) o
     CROSS JOIN LATERAL aclexplode(o.acl) a LEFT JOIN pg_roles r ON r.oid = a.grantee
     WHERE a.grantee <> o.owner ORDER BY 1";

#[test]
fn default_privileges_reach_nothing_that_is_made_beside_a_table() {
    let (mut db, mut client) = installed(Template::Empty);
    let (owner, reader) = (db.role("owner").unwrap(), db.role("reader").unwrap());
    let [o, r] = [&owner, &reader].map(|name| quote_ident(name));
    client
        .batch_execute(&format!(
            "CREATE SCHEMA mine AUTHORIZATION {o}; GRANT USAGE ON SCHEMA mine, groundskeeper TO {r}, {o};
             GRANT EXECUTE ON FUNCTION groundskeeper.partition_table, groundskeeper.undo_partitioning, create_monthly_partitions TO {o};
             SET ROLE {o};
             CREATE TABLE mine.t (id bigint PRIMARY KEY, day date, n integer GENERATED ALWAYS AS IDENTITY);
             INSERT INTO mine.t SELECT i, current_date - i % 60 FROM generate_series(1, 200) i;
             CREATE TABLE mine.child (id bigint REFERENCES mine.t);
             GRANT SELECT (id) ON mine.t TO {r};
             ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO {r} WITH GRANT OPTION; ALTER DEFAULT PRIVILEGES GRANT ALL ON SEQUENCES TO {r};
             ALTER DEFAULT PRIVILEGES GRANT EXECUTE ON FUNCTIONS TO {r};
             ALTER DEFAULT PRIVILEGES IN SCHEMA mine GRANT SELECT, DELETE ON TABLES TO PUBLIC;
             -- the owner must be able to go on with what it owns
             ALTER DEFAULT PRIVILEGES FOR ROLE {o} REVOKE INSERT ON TABLES FROM {o};
             RESET ROLE"
        ))
        .unwrap();
    let table = "SELECT format('%s %s', coalesce(relacl, acldefault('r', relowner)), (SELECT attacl FROM pg_attribute WHERE attrelid = c.oid AND attname = 'id'))
                   FROM pg_class c WHERE oid = 'mine.t'::regclass";
    let before = text(&mut client, table).unwrap();
    let mut reading = db.client().unwrap();
    reading.batch_execute("BEGIN; SELECT FROM mine.t LIMIT 1").unwrap();
    let mut owning = db.client_as(&owner).unwrap();
    let job = queue(&mut owning, "partition_table('mine.t', 'day', accept => '{on_conflict}')");
    until(&mut client, "SELECT stage FROM groundskeeper.conversion", "proven");
    assert_eq!(texts(&mut client, OTHERS).unwrap(), [""; 0], "before the exchange");
    reading.batch_execute("COMMIT").unwrap();
    let end = ended(&mut client, job);
    assert_eq!(end.0, "succeeded", "{end:?}");
    owning.batch_execute("SELECT create_monthly_partitions(12)").unwrap();
    client.batch_execute("SELECT create_monthly_partitions(13)").unwrap();
    let partitions = "SELECT count(*) >= 15 FROM pg_inherits WHERE inhparent = 'mine.t'::regclass";
    assert_eq!(text(&mut client, partitions).unwrap(), "true");
    assert_eq!(texts(&mut client, OTHERS).unwrap(), [""; 0], "afterwards");
    assert_eq!(text(&mut client, table).unwrap(), before);
    let mut stranger = db.client_as(&reader).unwrap();
    for query in
        ["TABLE mine.t_changes", "DELETE FROM mine.t_key", "TABLE mine.t_default", "SELECT day FROM mine.t"]
    {
        assert_eq!(refusal(&mut stranger, query).unwrap().code, "42501", "{query}");
    }
    stranger.batch_execute("SELECT id FROM mine.t").unwrap();
    owning
        .batch_execute("UPDATE mine.t SET day = NULL WHERE id < 50; DELETE FROM mine.t WHERE id > 150")
        .unwrap();
    undo(&mut owning, "mine.t");
    assert_eq!(text(&mut client, table).unwrap(), before);
    // A partition that others may read has siblings that they may read.
    convert(&mut owning, "mine.t", "day");
    let newest = "SELECT max(c.oid)::regclass FROM pg_inherits i JOIN pg_class c ON c.oid = inhrelid
                   WHERE inhparent = 'mine.t'::regclass AND relname <> 't_default'";
    let newest = text(&mut client, newest).unwrap();
    client
        .batch_execute(&format!("GRANT SELECT ON {newest} TO {r}; SELECT create_monthly_partitions(5)"))
        .unwrap();
    let granted = texts(&mut client, OTHERS).unwrap();
    assert!(granted.len() >= 2 && granted.iter().all(|g| g.starts_with("SELECT of t_20")), "{granted:?}");
}
