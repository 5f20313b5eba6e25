//! Grants are the user's, whatever an update makes of what they are on.

use groundskeeper_sandbox::server::quote_ident;
use groundskeeper_tests::sql::texts;
use groundskeeper_tests::{Template, TestDb};

use super::{released, update};

/// Who may do what, as far as a role of the test's is concerned, or PUBLIC.
const MAY: &str = "
    SELECT format('%s %s %s', o.name, a.privilege_type, CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE 'role' END)
      FROM (SELECT p.oid::regprocedure::text, p.proacl FROM pg_proc p
             WHERE p.proname IN ('american_to_decimal', 'partition_table', 'run_step', 'set_retention')
            UNION ALL
            SELECT c.oid::regclass::text, c.relacl FROM pg_class c WHERE c.relname IN ('conversion', 'slow_queries', 'schedule')
            UNION ALL
            SELECT 'command', a.attacl FROM pg_attribute a WHERE a.attrelid = 'groundskeeper.schedule'::regclass AND a.attname = 'command') o (name, acl)
     CROSS JOIN aclexplode(o.acl) a
     WHERE a.grantee = 0 OR a.grantee = ANY (ARRAY(SELECT oid FROM pg_roles WHERE rolname ~ 'grantee'))
     ORDER BY 1";

#[test]
fn what_users_have_granted_and_taken_away_stays_and_is_dumped() {
    let (mut db, mut client) = released("0.1.0");
    let role = quote_ident(&db.role("grantee").unwrap());
    client
        .batch_execute(&format!(
            "GRANT EXECUTE ON FUNCTION groundskeeper.partition_table(regclass, name, text, text, integer, text[]),
                                       groundskeeper.set_retention(regclass, interval, text),
                                       groundskeeper.run_step(text, text, text) TO {role};
             GRANT SELECT ON groundskeeper.conversion, monitoring.slow_queries TO {role};
             GRANT UPDATE (command) ON groundskeeper.schedule TO {role};
             REVOKE EXECUTE ON FUNCTION groundskeeper.american_to_decimal(integer) FROM PUBLIC"
        ))
        .unwrap();
    update(&mut client);
    let expected = [
        "command UPDATE role",
        "groundskeeper.conversion SELECT role",
        "groundskeeper.partition_table(regclass,name,text,text,integer,text[],text,boolean) EXECUTE role",
        "groundskeeper.set_retention(regclass,interval,text,regprocedure) EXECUTE role",
        "groundskeeper_internal.run_step(text,text,text) EXECUTE role",
        "monitoring.slow_queries SELECT role",
    ];
    assert_eq!(texts(&mut client, MAY).unwrap(), expected);
    let copy = TestDb::new(Template::Empty).unwrap();
    copy.server().restore(copy.name(), &db.dump().unwrap()).unwrap();
    assert_eq!(texts(&mut copy.client().unwrap(), MAY).unwrap(), expected);
    // Nothing else holds the role.
    client.batch_execute(&format!("DROP OWNED BY {role}")).unwrap();
    copy.client().unwrap().batch_execute(&format!("DROP OWNED BY {role}")).unwrap();
    client.batch_execute(&format!("DROP ROLE {role}; CREATE ROLE {role}")).unwrap();
}
