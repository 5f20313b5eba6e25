//! Looked at, rehearsed, applied, declined, restored from a dump, taken back.

use groundskeeper_tests::plan::{Outcome, carry_out};
use groundskeeper_tests::sql::{text, texts};
use groundskeeper_tests::{Template, TestDb, difference, facts};

use super::worlds::{World, of, worlds};

/// What the catalogs and a dump have of the user's part of a database.
fn schema(db: &TestDb) -> [String; 2] {
    [facts(&mut db.client().unwrap()).unwrap(), dumped(db)]
}

/// A dump's statements about the user's schemas: none about the extension, nor the rows of its tables.
fn dumped(db: &TestDb) -> String {
    let dump = db.dump_schema().unwrap();
    dump.lines().filter(|line| !line.contains("pg_groundskeeper")).collect::<Vec<_>>().join("\n")
}

fn assert_same(world: &World, before: &[String; 2], after: &[String; 2]) {
    for (before, after) in before.iter().zip(after) {
        let changed = difference(before, after);
        assert!(changed.is_empty(), "{}: {changed}", world.name);
    }
}

#[test]
fn nothing_is_applied_and_all_of_it_is_told() {
    for world in worlds() {
        let (db, mut client) = world.looked_at();
        let before = schema(&db);
        let states = world.states(&mut client);
        assert!(states.len() > 5, "{}: {states:?}", world.name);
        let other: Vec<_> = states
            .iter()
            .filter(|(_, s)| !matches!(s.state.as_str(), "pending" | "not_applicable"))
            .collect();
        assert!(other.is_empty(), "{}: {other:?}", world.name);
        let untold = "SELECT item FROM groundskeeper.plan_status() WHERE state = 'pending' AND kind <> 'role_setting'
                         AND (apply_sql IS NULL OR revert_sql IS NULL OR locks IS NULL OR estimated_bytes IS NULL
                              OR runs_as NOT IN ('inline', 'job'))";
        assert_eq!(texts(&mut client, untold).unwrap(), [""; 0], "{}", world.name);
        carry_out(&mut client, "apply_plan(true)").unwrap();
        assert_same(&world, &before, &schema(&db));
    }
}

#[test]
fn it_is_applied_once_and_taken_back_to_the_byte() {
    for world in worlds() {
        let (db, mut client) = world.looked_at();
        let before = schema(&db);
        carry_out(&mut client, "apply_plan()").unwrap();
        db.settle().unwrap();
        let (states, applied) = (world.states(&mut client), schema(&db));
        let unapplied: Vec<_> = states
            .iter()
            .filter(|(_, s)| !matches!(s.state.as_str(), "applied" | "not_applicable"))
            .collect();
        assert!(unapplied.is_empty(), "{}: {unapplied:?}", world.name);
        for outcome in carry_out(&mut client, "apply_plan()").unwrap() {
            assert_eq!(outcome.action, "skip", "{}: {outcome:?}", world.name);
        }
        assert_same(&world, &applied, &schema(&db));
        for round in ["first", "second"] {
            for outcome in carry_out(&mut client, "rollback_plan()").unwrap() {
                let said = (outcome.action.as_str(), outcome.detail.as_str());
                assert_eq!(said, ("revert", ""), "{} {}", world.name, outcome.item);
            }
            db.settle().unwrap();
            assert_same(&world, &before, &schema(&db));
            if round == "first" {
                carry_out(&mut client, "apply_plan()").unwrap();
                db.settle().unwrap();
                assert_eq!(world.states(&mut client), states, "{}", world.name);
                assert_same(&world, &applied, &schema(&db));
            }
        }
    }
}

#[test]
fn workers_make_of_it_what_one_transaction_makes() {
    for world in worlds() {
        let (applied, _) = world.applied();
        let (db, mut client) = world.looked_at();
        let before = schema(&db);
        client.batch_execute("SET groundskeeper.inline_build_limit = 0").unwrap();
        let outcomes = carry_out(&mut client, "apply_plan()").unwrap();
        assert!(outcomes.iter().any(|o| o.action == "queue"), "{}: {outcomes:?}", world.name);
        db.settle().unwrap();
        let failed =
            "SELECT concat_ws(': ', job_id, state, error) FROM groundskeeper.jobs WHERE state <> 'succeeded'";
        assert_eq!(texts(&mut client, failed).unwrap(), [""; 0], "{}", world.name);
        assert_same(&world, &schema(&applied), &schema(&db));
        client.batch_execute("RESET groundskeeper.inline_build_limit").unwrap();
        carry_out(&mut client, "rollback_plan()").unwrap();
        db.settle().unwrap();
        assert_same(&world, &before, &schema(&db));
    }
}

#[test]
fn the_sql_of_a_rehearsal_does_it_elsewhere() {
    for world in worlds() {
        let (applied, _) = world.applied();
        let (_db, mut client) = world.looked_at();
        let rehearsed = carry_out(&mut client, "apply_plan(true)").unwrap();
        let (elsewhere, mut there) = world.looked_at();
        for Outcome { item, sql, .. } in rehearsed.iter().filter(|o| o.action != "skip") {
            let ran = there.batch_execute(sql);
            assert!(ran.is_ok(), "{} {item}: {sql}\n{ran:?}", world.name);
        }
        let [made, _] = schema(&applied);
        let changed = difference(&made, &facts(&mut there).unwrap());
        assert!(changed.is_empty(), "{}: {changed}", world.name);
        drop(elsewhere);
    }
}

#[test]
fn a_rehearsal_of_the_way_back_says_what_it_does() {
    for world in worlds() {
        let (db, mut client) = world.applied();
        let before = schema(&db);
        let said = |outcomes: Vec<Outcome>| -> Vec<_> {
            // its SQL is for each item as things are; the run finds fewer dependents with each that is gone
            outcomes.into_iter().map(|o| (o.item, o.action, o.detail)).collect()
        };
        let rehearsed = said(carry_out(&mut client, "rollback_plan(true)").unwrap());
        assert_same(&world, &before, &schema(&db));
        assert_eq!(said(carry_out(&mut client, "rollback_plan()").unwrap()), rehearsed, "{}", world.name);
    }
}

#[test]
fn single_items_are_applied_taken_back_and_declined() {
    for world in worlds() {
        let (db, mut client) = world.looked_at();
        let before = schema(&db);
        for item in world.items(&mut client) {
            let state = |client: &mut _| world.states(client)[&item.id].state.clone();
            if state(&mut client) != "pending" {
                continue;
            }
            let call = |call: &str| format!("{call}(items => ARRAY[$i${}$i$])", item.id);
            client.execute("SELECT groundskeeper.decline($1, 'not now')", &[&item.id]).unwrap();
            let outcomes = carry_out(&mut client, &call("apply_plan")).unwrap();
            assert_eq!(of(&outcomes, &item.id).state, "declined", "{}", world.name);
            client.execute("SELECT groundskeeper.decline($1, NULL)", &[&item.id]).unwrap();
            let outcomes = carry_out(&mut client, &call("apply_plan")).unwrap();
            let outcome = of(&outcomes, &item.id);
            // an index of a view that is not there yet cannot be built
            if outcome.action == "skip" && outcome.detail.contains("does not exist") {
                continue;
            }
            assert_eq!(
                (outcomes.len(), outcome.action.as_str()),
                (1, "apply"),
                "{}: {outcome:?}",
                world.name
            );
            db.settle().unwrap();
            assert_eq!(state(&mut client), "applied", "{} {}", world.name, item.id);
            assert!(client.execute("SELECT groundskeeper.decline($1, 'late')", &[&item.id]).is_err());
            carry_out(&mut client, &call("rollback_plan")).unwrap();
            db.settle().unwrap();
            assert_eq!(state(&mut client), "pending", "{} {}", world.name, item.id);
        }
        assert_same(&world, &before, &schema(&db));
    }
}

fn restored(source: &TestDb) -> TestDb {
    let copy = TestDb::new(Template::Empty).unwrap();
    copy.server().restore(copy.name(), &source.dump().unwrap()).unwrap();
    copy
}

#[test]
fn a_restored_copy_is_what_its_source_is_and_can_be_taken_back() {
    for world in worlds() {
        let (origin, mut client) = world.applied();
        let declined =
            "SELECT item FROM groundskeeper.plan_status() WHERE state = 'pending' ORDER BY item LIMIT 1";
        for item in texts(&mut client, declined).unwrap() {
            client.execute("SELECT groundskeeper.decline($1, 'in no copy either')", &[&item]).unwrap();
        }
        // PostgreSQL writes some expressions otherwise once they have been in a dump
        let (db, copy) = (restored(&origin), restored(&restored(&origin)));
        let (mut client, mut there) = (db.client().unwrap(), copy.client().unwrap());
        assert_same(&world, &schema(&db), &schema(&copy));
        assert_eq!(world.states(&mut there), world.states(&mut client), "{}", world.name);
        let items = "SELECT format('%s %s %s %s', item, definition, added_by, declined_reason) FROM groundskeeper.plan_items
                      ORDER BY item";
        assert_eq!(texts(&mut there, items).unwrap(), texts(&mut client, items).unwrap(), "{}", world.name);
        let export = "SELECT groundskeeper.export_plan()";
        assert_eq!(text(&mut there, export).unwrap(), text(&mut client, export).unwrap(), "{}", world.name);
        for (db, client) in [(&db, &mut client), (&copy, &mut there)] {
            for outcome in carry_out(client, "rollback_plan()").unwrap() {
                let said = (outcome.action.as_str(), outcome.detail.as_str());
                assert_eq!(said, ("revert", ""), "{} {}", world.name, outcome.item);
            }
            client.batch_execute("SELECT groundskeeper.resume()").unwrap();
            db.settle().unwrap();
        }
        assert_same(&world, &schema(&db), &schema(&copy));
        let (bare, _) = world.without_extension();
        let [known, _] = schema(&bare);
        let changed = difference(&known, &facts(&mut there).unwrap());
        assert!(changed.is_empty(), "{}: {changed}", world.name);
    }
}

#[test]
fn what_is_exported_is_imported() {
    for world in worlds() {
        let (_db, mut client) = world.looked_at();
        let stated = "SELECT format('%s %s', item, definition) FROM groundskeeper.plan_items WHERE origin = 'own' ORDER BY item";
        let items = texts(&mut client, stated).unwrap();
        let exported = text(&mut client, "SELECT groundskeeper.export_plan()").unwrap();
        client
            .batch_execute("SELECT groundskeeper.drop_plan_item(item) FROM groundskeeper.plan_items WHERE origin = 'own'")
            .unwrap();
        client.execute("SELECT FROM groundskeeper.import_plan($1)", &[&exported]).unwrap();
        assert_eq!(texts(&mut client, stated).unwrap(), items, "{}", world.name);
        assert_eq!(
            text(&mut client, "SELECT groundskeeper.export_plan()").unwrap(),
            exported,
            "{}",
            world.name
        );
    }
}
