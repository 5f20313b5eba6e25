//! Whose rights what is called has.

use super::*;
use groundskeeper_sandbox::server::quote_ident;
use groundskeeper_tests::sql::refusal;

#[test]
fn an_owner_who_may_call_it_reaches_own_relations_only() {
    let (mut db, mut client) = looked_after();
    let [owner, stranger] = ["owner", "stranger"].map(|stem| db.role(stem).unwrap());
    let grants = format!(
        "ALTER TABLE staging.spreads OWNER TO {0}; ALTER MATERIALIZED VIEW staging.daily_game_stats OWNER TO {0};
         GRANT SELECT ON staging.games, staging.moneylines TO {0};
         GRANT EXECUTE ON FUNCTION update_table_statistics, groundskeeper.maintain, groundskeeper.stop_maintaining TO {0}",
        quote_ident(&owner)
    );
    client.batch_execute(&grants).unwrap();
    let mut as_owner = db.client_as(&owner).unwrap();
    let outcomes = call(&mut as_owner, "update_table_statistics(true)");
    assert_eq!(touched(&outcomes), ["staging.spreads analyzed", "staging.daily_game_stats refreshed"]);
    assert!(of(&outcomes, "staging.games").reason.contains("only its owner"), "{outcomes:#?}");
    let refused = refusal(&mut as_owner, "SELECT groundskeeper.maintain('curated.totals')").unwrap();
    assert_eq!(refused.code, "42501");
    as_owner.batch_execute("SELECT groundskeeper.maintain('staging.spreads')").unwrap();
    let refused = refusal(&mut as_owner, "DELETE FROM groundskeeper.maintained_relations").unwrap();
    assert_eq!(refused.code, "42501");
    for statement in [
        "SELECT update_table_statistics()",
        "SELECT groundskeeper.maintain('staging.games')",
        "SELECT groundskeeper.stop_maintaining('staging.games')",
        "TABLE groundskeeper.maintenance_log",
        "TABLE groundskeeper.relation_seen",
    ] {
        let refused = refusal(&mut db.client_as(&stranger).unwrap(), statement).unwrap();
        assert_eq!(refused.code, "42501", "{statement}");
    }
}

#[test]
fn who_may_maintain_need_not_own() {
    if groundskeeper_tests::older_than(17) {
        return;
    }
    let (mut db, mut client) = looked_after();
    let [keeper, member] = ["keeper", "member"].map(|stem| db.role(stem).unwrap());
    client
        .batch_execute(&format!(
            "GRANT MAINTAIN ON staging.games, staging.daily_game_stats TO {0}; GRANT pg_maintain TO {1};
             GRANT EXECUTE ON FUNCTION update_table_statistics, groundskeeper.maintain TO {0}, {1}",
            quote_ident(&keeper),
            quote_ident(&member)
        ))
        .unwrap();
    let outcomes = call(&mut db.client_as(&keeper).unwrap(), "update_table_statistics(true)");
    assert_eq!(touched(&outcomes), ["staging.games analyzed", "staging.daily_game_stats refreshed"]);
    let mut keeper = db.client_as(&keeper).unwrap();
    keeper.batch_execute("SELECT groundskeeper.maintain('staging.games')").unwrap();
    let refused = refusal(&mut keeper, "SELECT groundskeeper.maintain('staging.totals')").unwrap();
    assert_eq!(refused.code, "42501");
    let outcomes = call(&mut db.client_as(&member).unwrap(), "update_table_statistics(true)");
    assert!(outcomes.iter().all(|o| o.action != "skipped" && o.action != "failed"), "{outcomes:#?}");
}

#[test]
fn code_in_a_relation_runs_as_its_owner() {
    let (mut db, mut client) = looked_after();
    let hostile = db.role("hostile").unwrap();
    client
        .batch_execute(&format!(
            "CREATE SCHEMA theirs AUTHORIZATION {0}; CREATE TABLE public.caught (who text);
             GRANT INSERT ON public.caught TO PUBLIC",
            quote_ident(&hostile)
        ))
        .unwrap();
    db.client_as(&hostile)
        .unwrap()
        .batch_execute(
            "CREATE FUNCTION theirs.whoami(text) RETURNS text IMMUTABLE LANGUAGE plpgsql AS $$
             BEGIN
                 RETURN current_user;
             END $$;
             CREATE FUNCTION theirs.grab(integer) RETURNS integer IMMUTABLE LANGUAGE plpgsql AS $$
             BEGIN
                 IF (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
                     EXECUTE 'ALTER ROLE ' || quote_ident(session_user) || ' SET work_mem = 64';
                 END IF;
                 RETURN $1;
             END $$;
             CREATE TABLE theirs.bait (x integer);
             INSERT INTO theirs.bait SELECT generate_series(1, 100);
             CREATE INDEX ON theirs.bait (theirs.grab(x));
             CREATE MATERIALIZED VIEW theirs.trap AS SELECT DISTINCT theirs.whoami('x') AS who FROM theirs.bait",
        )
        .unwrap();
    client
        .batch_execute("SELECT groundskeeper.maintain('theirs.bait'), groundskeeper.maintain('theirs.trap')")
        .unwrap();
    let outcomes = call(&mut client, "update_table_statistics(true)");
    assert_eq!(of(&outcomes, "theirs.bait").action, "analyzed", "{outcomes:#?}");
    assert_eq!(of(&outcomes, "theirs.trap").action, "refreshed", "{outcomes:#?}");
    assert_eq!(texts(&mut client, "SELECT who FROM theirs.trap").unwrap(), std::slice::from_ref(&hostile));
    let taken = "SELECT count(*) FROM pg_db_role_setting WHERE setrole = 'postgres'::regrole";
    assert_eq!(text(&mut client, taken).unwrap(), "0");
    client.batch_execute("DROP SCHEMA theirs CASCADE").unwrap();
}
