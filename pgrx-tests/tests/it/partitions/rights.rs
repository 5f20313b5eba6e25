//! Who may do what, with names that are out for trouble.

use groundskeeper_sandbox::server::quote_ident;
use groundskeeper_tests::sql::{refusal, text, texts};
use groundskeeper_tests::{Template, TestDb};

use super::make;

/// Sixty-three bytes, of which each means something to somebody.
const NAME: &str = "b\"e't; DROP TABLE public.victim; -- %s %I $1 \\ é.x ÅÅÅÅÅx";

#[test]
fn hostile_names_are_only_names() {
    let db = TestDb::installed(Template::Empty).unwrap();
    let mut client = db.client().unwrap();
    assert_eq!(NAME.len(), 63);
    let (name, key) = (quote_ident(NAME), quote_ident("k\"ey'; %L"));
    client
        .batch_execute(&format!(
            "CREATE TABLE public.victim (); CREATE SCHEMA {name};
             CREATE TABLE {name}.{name} ({key} timestamptz, id int PRIMARY KEY DEFAULT 1) WITH (fillfactor = 50);
             ALTER TABLE {name}.{name} RENAME TO model;
             CREATE TABLE {name}.{name} ({key} timestamptz, id int NOT NULL) PARTITION BY RANGE ({key});
             CREATE TABLE {name}.d PARTITION OF {name}.{name} DEFAULT;
             ALTER TABLE {name}.d ADD PRIMARY KEY (id)"
        ))
        .unwrap();
    let adopt = "SELECT groundskeeper.adopt_partitioned_table(format('%I.%I', $1::text, $1::text)::regclass)";
    client.execute(adopt, &[&NAME]).unwrap();
    assert!(make(&mut client, "4").iter().all(|s| s.ends_with("created")), "{:?}", make(&mut client, "4"));
    let past = format!("INSERT INTO {name}.{name} VALUES ('2024-02-03 12:00', 1), ('2024-03-03 12:00', 2)");
    client.batch_execute(&past).unwrap();
    let relation = format!("'{}'::regclass", format!("{name}.{name}").replace('\'', "''"));
    client.batch_execute(&format!("SELECT groundskeeper.drain_default({relation})")).unwrap();
    db.settle().unwrap();
    let errors =
        texts(&mut client, "SELECT error FROM groundskeeper.jobs WHERE state <> 'succeeded'").unwrap();
    assert!(errors.is_empty(), "{errors:?}");
    assert_eq!(text(&mut client, &format!("SELECT count(*) FROM {name}.d")).unwrap(), "0");
    client.batch_execute(&format!("SELECT groundskeeper.set_retention({relation}, '1 year')")).unwrap();
    let retired = "SELECT count(*) FROM groundskeeper.apply_retention() WHERE action = 'detached'";
    assert!(text(&mut client, retired).unwrap().parse::<i32>().unwrap() >= 2);
    let names = "SELECT octet_length(relname) FROM pg_class WHERE relname LIKE 'b\"e%' AND relkind = 'r'";
    assert!(texts(&mut client, names).unwrap().iter().all(|bytes| bytes.parse::<i32>().unwrap() <= 63));
    client.batch_execute("TABLE public.victim; TABLE monitoring.partition_health").unwrap();
}

#[test]
fn an_owner_serves_own_tables_and_is_told_of_the_others() {
    let mut db = TestDb::installed(Template::Empty).unwrap();
    let (owner, stranger) = (db.role("owner").unwrap(), db.role("stranger").unwrap());
    let mut client = db.client().unwrap();
    client
        .batch_execute(&format!(
            "CREATE SCHEMA mine AUTHORIZATION {owner};
             CREATE TABLE mine.bets (id int, day date) PARTITION BY RANGE (day);
             ALTER TABLE mine.bets OWNER TO {owner};
             CREATE TABLE public.others (id int, day date) PARTITION BY RANGE (day);
             CREATE SCHEMA secret; CREATE TABLE secret.bets (id int, day date) PARTITION BY RANGE (day);
             SELECT groundskeeper.adopt_partitioned_table('secret.bets');
             SELECT groundskeeper.adopt_partitioned_table('public.others');
             GRANT EXECUTE ON FUNCTION create_monthly_partitions, groundskeeper.adopt_partitioned_table,
                 groundskeeper.set_retention, groundskeeper.apply_retention, groundskeeper.drain_default TO {owner}"
        ))
        .unwrap();
    let mut owners = db.client_as(&owner).unwrap();
    owners.batch_execute("SELECT groundskeeper.adopt_partitioned_table('mine.bets')").unwrap();
    let said = make(&mut owners, "3");
    assert_eq!(
        said.iter().filter(|s| s.starts_with("mine.bets") && s.ends_with("created")).count(),
        3,
        "{said:?}"
    );
    assert!(said.contains(&"public.others failed: must be owner of public.others".to_owned()), "{said:?}");
    assert!(said.contains(&"secret.bets failed: must be owner of secret.bets".to_owned()), "{said:?}");
    for call in [
        "groundskeeper.adopt_partitioned_table('public.others')",
        "groundskeeper.set_retention('public.others', '1 day', 'drop')",
        "groundskeeper.drain_default('public.others')",
    ] {
        assert_eq!(refusal(&mut owners, &format!("SELECT {call}")).unwrap().code, "42501", "{call}");
    }
    for statement in
        ["DELETE FROM groundskeeper.managed_tables", "UPDATE groundskeeper.managed_tables SET premake = 9"]
    {
        assert_eq!(refusal(&mut owners, statement).unwrap().code, "42501", "{statement}");
    }
    // A superuser's partition of another's table is the other's.
    client.batch_execute("SELECT create_monthly_partitions(4)").unwrap();
    let owned = format!(
        "SELECT count(*) FROM pg_class WHERE relname LIKE 'bets_20%' AND relnamespace = 'mine'::regnamespace
            AND relowner = '{owner}'::regrole"
    );
    assert_eq!(text(&mut client, &owned).unwrap(), "4");
    let mut strangers = db.client_as(&stranger).unwrap();
    for call in [
        "create_monthly_partitions()",
        "groundskeeper.apply_retention()",
        "groundskeeper_internal.partition_health()",
    ] {
        assert_eq!(refusal(&mut strangers, &format!("SELECT {call}")).unwrap().code, "42501", "{call}");
    }
}

/// The worker that retires partitions may be connected as who can do more.
#[test]
fn who_has_put_rights_aside_retires_nothing_with_them() {
    let mut db = TestDb::installed(Template::Empty).unwrap();
    let less = db.role("less").unwrap();
    let mut client = db.client().unwrap();
    client
        .batch_execute(&format!(
            "CREATE TABLE public.bets (id int, day date) PARTITION BY RANGE (day);
             CREATE TABLE public.bets_2020 PARTITION OF public.bets FOR VALUES FROM ('2020-01-01') TO ('2020-02-01');
             SELECT groundskeeper.adopt_partitioned_table('public.bets');
             SELECT groundskeeper.set_retention('public.bets', '1 year', 'drop');
             ALTER ROLE {less} NOLOGIN; GRANT EXECUTE ON FUNCTION groundskeeper.apply_retention TO {less}; SET ROLE {less}"
        ))
        .unwrap();
    let said = "SELECT concat_ws(' ', partition, action, detail) FROM groundskeeper.apply_retention()";
    assert_eq!(text(&mut client, said).unwrap(), "public.bets_2020 kept must be owner of public.bets");
    client.batch_execute("RESET ROLE").unwrap();
    assert_eq!(text(&mut client, said).unwrap(), "public.bets_2020 dropped");
}
