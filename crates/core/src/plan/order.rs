//! Which items stand on what others make: a view may read a view.

use super::item::{Action, Item};
use super::words::qualified_names;
use crate::names::Qualified;
use std::collections::HashMap;

/// How many views that the plan makes are below each of these items: none below what reads tables alone. Nobody's items
/// stand on those of another.
#[must_use]
pub fn depths(items: &[&Item]) -> Vec<usize> {
    let makes = |item: &Item| matches!(item.action, Action::View { .. } | Action::MaterializedView { .. });
    let makers: HashMap<_, usize> = items
        .iter()
        .enumerate()
        .filter(|(_, item)| makes(item))
        .map(|(place, item)| ((&item.author, &item.relation), place))
        .collect();
    let mut below: Vec<Vec<usize>> = Vec::with_capacity(items.len());
    for (place, item) in items.iter().enumerate() {
        let named = if makes(item) { named_in(item) } else { vec![item.relation.clone()] };
        let of = named.iter().filter_map(|name| makers.get(&(&item.author, name)).copied());
        below.push(of.filter(|maker| *maker != place).collect());
    }
    let mut depths = vec![None; items.len()];
    for place in 0..items.len() {
        depth_of(place, items, &below, &mut depths);
    }
    depths.into_iter().map(Option::unwrap_or_default).collect()
}

/// The relations that an item's words may name.
#[must_use]
pub fn named_in(item: &Item) -> Vec<Qualified> {
    let names = qualified_names(item).unwrap_or_default().into_iter();
    names.map(|(schema, name)| Qualified { schema, name }).filter(|name| *name != item.relation).collect()
}

fn depth_of(place: usize, items: &[&Item], below: &[Vec<usize>], depths: &mut [Option<usize>]) -> usize {
    if let Some(known) = depths[place] {
        return known;
    }
    // for those that are below it again, which none of them can be
    depths[place] = Some(0);
    let deepest = below[place].iter().map(|maker| depth_of(*maker, items, below, depths)).max();
    // what is on a view comes with it
    let step = usize::from(items[place].action.makes_relation());
    let depth = deepest.map_or(0, |deepest| deepest + step);
    depths[place] = Some(depth);
    depth
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Author, Plan};
    use serde_json::json;

    fn view(name: &str, reads: &str) -> Item {
        let query = format!("SELECT * FROM {reads}");
        serde_json::from_value(json!({"section": "own", "relation": name, "kind": "view", "query": query}))
            .unwrap()
    }

    #[test]
    fn a_view_comes_after_what_it_reads_wherever_it_is_stated() {
        let index =
            json!({"section": "own", "relation": "a.top", "kind": "index", "name": "i", "keys": ["x"]});
        let index: Item = serde_json::from_value(index).unwrap();
        let items =
            [view("a.top", "\"a\".middle"), view("a.middle", "a.base, a.t"), index, view("a.base", "a.t")];
        assert_eq!(depths(&items.iter().collect::<Vec<_>>()), [2, 1, 2, 0]);
    }

    #[test]
    fn a_circle_and_anothers_view_are_nothing_to_stand_on() {
        let of = |name: &str, reads: &str, role: &str| Item {
            author: Some(Author { role: role.into(), oid: None }),
            ..view(name, reads)
        };
        let items = [of("a.x", "a.x", "r"), of("a.y", "b.z", "r"), of("b.z", "a.t", "s")];
        assert_eq!(depths(&items.iter().collect::<Vec<_>>()), [0, 0, 0]);
        let circle = [view("a.x", "a.y"), view("a.y", "a.x")];
        assert_eq!(depths(&circle.iter().collect::<Vec<_>>()).len(), 2);
    }

    #[test]
    fn nothing_of_the_built_in_plan_stands_on_a_view_but_its_indexes() {
        let plan = Plan::built_in().unwrap();
        assert!(depths(&plan.items.iter().collect::<Vec<_>>()).iter().all(|depth| *depth == 0));
    }
}
