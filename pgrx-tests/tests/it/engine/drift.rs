//! What has changed since: other names are followed, what was put in the plan's place is left alone.

use groundskeeper_tests::plan::carry_out;
use groundskeeper_tests::sql::text;
use groundskeeper_tests::{difference, facts};

use super::worlds::{Renaming, of, worlds};

/// Every item under the test is drifted and says why, is not applied again, and is taken back under the new name: the
/// database is what it was.
fn followed(rename: impl Fn(&super::worlds::PlanItem) -> Option<Renaming>, kinds: usize) {
    for world in worlds() {
        let (db, mut client) = world.looked_at();
        let before = facts(&mut client).unwrap();
        carry_out(&mut client, "apply_plan()").unwrap();
        db.settle().unwrap();
        let items = world.applied_items(&mut client);
        let mut renamed: Vec<_> = items.iter().filter_map(|item| Some((item, rename(item)?))).collect();
        let mut seen: Vec<&str> = renamed.iter().map(|(item, _)| item.kind()).collect();
        seen.sort_unstable();
        seen.dedup();
        assert!(seen.len() >= kinds, "{}: {seen:?}", world.name);
        // indexes before the materialized views that they are on
        renamed.sort_by_key(|(item, _)| item.kind().ends_with("view"));
        for (_, Renaming { there, .. }) in &renamed {
            client.batch_execute(there).unwrap();
        }
        let states = world.states(&mut client);
        for (item, Renaming { said, .. }) in &renamed {
            let standing = &states[&item.id];
            assert_eq!(standing.state, "drifted", "{} {}: {standing:?}", world.name, item.id);
            assert!(standing.detail.contains(said.as_str()), "{} {}: {standing:?}", world.name, item.id);
        }
        let known = facts(&mut client).unwrap();
        carry_out(&mut client, "apply_plan()").unwrap();
        db.settle().unwrap();
        let changed = difference(&known, &facts(&mut client).unwrap());
        assert!(changed.is_empty(), "{}: applied again: {changed}", world.name);
        for call in ["rollback_plan(true)", "rollback_plan()"] {
            let outcomes = carry_out(&mut client, call).unwrap();
            for (item, Renaming { said, .. }) in &renamed {
                let outcome = of(&outcomes, &item.id);
                assert_eq!(outcome.action, "revert", "{} {call}: {outcome:?}", world.name);
                assert!(outcome.detail.contains(said.as_str()), "{} {call}: {outcome:?}", world.name);
            }
        }
        db.settle().unwrap();
        for back in renamed.iter().filter_map(|(_, renaming)| renaming.back.as_ref()) {
            client.batch_execute(back).unwrap();
        }
        let changed = difference(&before, &facts(&mut client).unwrap());
        assert!(changed.is_empty(), "{}: {changed}", world.name);
    }
}

#[test]
fn what_has_another_name_is_followed() {
    followed(super::worlds::PlanItem::renaming, 5);
}

#[test]
fn what_is_about_a_table_of_another_name_is_followed() {
    followed(super::worlds::PlanItem::moving, 4);
}

#[test]
fn what_was_put_in_the_place_of_the_plans_is_left_alone() {
    for world in worlds() {
        let (db, mut client) = world.applied();
        let items = world.applied_items(&mut client);
        let replaced: Vec<_> = items.iter().filter_map(|item| Some((item, item.replacement()?))).collect();
        // a view that is replaced takes its indexes with it
        let relations: Vec<String> = replaced
            .iter()
            .filter(|(item, _)| item.kind().ends_with("view"))
            .map(|(item, _)| item.relation())
            .collect();
        let is_of_view = |item: &super::worlds::PlanItem| {
            !item.kind().ends_with("view") && relations.contains(&item.relation())
        };
        let replaced: Vec<_> = replaced.into_iter().filter(|(item, _)| !is_of_view(item)).collect();
        for (_, [put, _]) in &replaced {
            client.batch_execute(put).unwrap();
        }
        let states = world.states(&mut client);
        for (item, _) in &replaced {
            assert_eq!(
                states[&item.id].state, "drifted",
                "{} {}: {:?}",
                world.name, item.id, states[&item.id]
            );
        }
        carry_out(&mut client, "apply_plan()").unwrap();
        db.settle().unwrap();
        let outcomes = carry_out(&mut client, "rollback_plan()").unwrap();
        db.settle().unwrap();
        for (item, [_, there]) in &replaced {
            let outcome = of(&outcomes, &item.id);
            assert_eq!(outcome.action, "skip", "{}: {outcome:?}", world.name);
            assert!(outcome.detail.contains("left as it is"), "{}: {outcome:?}", world.name);
            assert_eq!(text(&mut client, there).unwrap(), "true", "{} {}", world.name, item.id);
        }
    }
}
