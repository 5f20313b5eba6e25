//! A detail with values of rows is for who asked for the job and whom it runs as.

use groundskeeper_tests::sql::text;

use super::{ended, installed, number};

#[test]
fn who_watches_jobs_sees_no_values_of_rows() {
    let (mut db, mut client) = installed();
    let (owner, monitor) = (db.role("owner").unwrap(), db.role("monitor").unwrap());
    client
        .batch_execute(&format!(
            "GRANT pg_monitor TO {monitor}; CREATE SCHEMA app AUTHORIZATION {owner};
             GRANT EXECUTE ON FUNCTION groundskeeper.adopt_partitioned_table, groundskeeper.drain_default TO {owner}"
        ))
        .unwrap();
    let mut as_owner = db.client_as(&owner).unwrap();
    as_owner
        .batch_execute(
            "CREATE TABLE app.bets (day date NOT NULL, card text) PARTITION BY RANGE (day);
             CREATE TABLE app.bets_default PARTITION OF app.bets DEFAULT;
             INSERT INTO app.bets VALUES (now()::date, '4000-0012-3456-7899');
             SELECT groundskeeper.adopt_partitioned_table('app.bets');
             CREATE FUNCTION app.pass(card text) RETURNS boolean LANGUAGE plpgsql AS $$
             BEGIN
                 IF EXISTS (SELECT FROM pg_stat_activity WHERE pid = pg_backend_pid() AND backend_type ~ 'groundskeeper') THEN
                     RAISE EXCEPTION 'no_cards' USING DETAIL = 'Card ' || card;
                 END IF;
                 RETURN true;
             END $$;
             ALTER TABLE app.bets_default ADD CHECK (app.pass(card))",
        )
        .unwrap();
    // the copy fails, and the detail has a value of the row
    let job = number(&mut as_owner, "groundskeeper.drain_default('app.bets')");
    let how = ended(&mut as_owner, job);
    assert!(how.starts_with("failed") && how.contains("4000-0012"), "{how}");
    for from in ["jobs", "job_history"] {
        let error = format!("SELECT error FROM groundskeeper.{from} WHERE job_id = {job}");
        let seen = text(&mut db.client_as(&monitor).unwrap(), &error).unwrap();
        assert!(seen.contains("no_cards") && !seen.contains("4000-0012"), "{from}: {seen}");
        assert!(text(&mut as_owner, &error).unwrap().contains("4000-0012"), "{from}");
    }
}
