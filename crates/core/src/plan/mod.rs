//! The optimization plan as data, and what is decided about each of its items.
//!
//! [`Plan::built_in`] reads `plan.toml`, the one file that states the whole plan. The extension looks each
//! item's facts up in the catalogs and hands them to [`decide`]; nothing about the betting schema is known
//! anywhere else.

mod budget;
mod built_in;
pub mod cost;
pub mod decide;
mod defaults;
pub mod drift;
mod item;
pub mod order;
pub mod own;
pub mod role;
mod undo;
pub mod words;

pub use crate::names::Qualified;
pub use built_in::{Malformed, built_in};
pub use defaults::{AlertRule, KpiTarget, Routine};
pub use item::{Action, Author, ColumnNeed, Family, Index, IndexKeys, Item};
pub use undo::{Entry, Given, Undo};

use crate::connections::PoolSettings;
use serde::Deserialize;

/// All that the plan wants, in the order in which it is stated.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// Its sections, in the order in which a reader of the plan meets them.
    pub sections: Vec<String>,
    /// The schemas of the database that it is about: what is measured of tables is measured there.
    pub schemas: Vec<String>,
    /// The tables whose statistics are kept fresh (section 6.1); the plan's materialized views are refreshed, too.
    pub statistics: Vec<Qualified>,
    /// What an application's pool and the sessions behind it are set to (section 5.1).
    pub pool: PoolSettings,
    /// What the KPIs are to be: one target for each.
    pub kpis: Vec<KpiTarget>,
    /// What is watched (section 6.2).
    pub alert_rules: Vec<AlertRule>,
    /// What is done when.
    pub schedule: Vec<Routine>,
    /// The items; ids are distinct.
    pub items: Vec<Item>,
}

impl Plan {
    /// Reads a plan from TOML.
    ///
    /// # Errors
    /// Says what the text lacks: it is not TOML, an item is incomplete, a section is unknown, two items share an id, or a
    /// KPI or an alert rule makes no sense.
    pub fn parse(text: &str) -> Result<Self, String> {
        let plan: Self = toml::from_str(text).map_err(|e| e.to_string())?;
        let mut seen = std::collections::HashSet::new();
        for item in &plan.items {
            if !plan.sections.contains(&item.section) {
                return Err(format!("item {} is of the unknown section {}", item.id(), item.section));
            }
            if !seen.insert(item.id()) {
                return Err(format!("two items share the id {}", item.id()));
            }
        }
        defaults::check(&plan.kpis, &plan.alert_rules)?;
        Ok(plan)
    }

    /// Whether an argument names any section at all; a misspelt one must not pass for "nothing to do".
    #[must_use]
    pub fn has_section(&self, asked: &str) -> bool {
        self.sections.iter().any(|section| section_matches(asked, section))
    }

    /// The plan that this extension carries out.
    ///
    /// # Errors
    /// As [`Plan::parse`]; the built-in text is covered by a test.
    pub fn built_in() -> Result<Self, String> {
        Self::parse(include_str!("plan.toml"))
    }

    /// What the plan wants of any role, as an item for that one.
    #[must_use]
    pub fn item_for_role(&self, role: &str) -> Option<Item> {
        let any = self.items.iter().find(|item| item.action == Action::RoleSetting { role: None })?;
        Some(Item { action: Action::RoleSetting { role: Some(role.to_owned()) }, ..any.clone() })
    }

    /// The role that an item is about, by its id.
    #[must_use]
    pub fn role_of<'a>(&self, id: &'a str) -> Option<&'a str> {
        let any = self.items.iter().find(|item| item.action == Action::RoleSetting { role: None })?;
        id.strip_prefix(&any.id())?.strip_prefix('.')
    }

    /// The item with that id.
    #[must_use]
    pub fn item(&self, id: &str) -> Option<&Item> {
        self.items.iter().find(|item| item.id() == id)
    }
}

/// Whether a section that was asked for covers an item's: `4` covers `4.1` and `4.2`.
#[must_use]
pub fn section_matches(asked: &str, section: &str) -> bool {
    section == asked || section.strip_prefix(asked).is_some_and(|rest| rest.starts_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_plan_is_complete() {
        let plan = Plan::built_in().unwrap();
        let count = |kind: &str| plan.items.iter().filter(|i| i.action.kind() == kind).count();
        assert_eq!(count("widen_numeric"), 4);
        assert_eq!(count("check_constraint"), 4);
        assert_eq!(count("materialized_view"), 2);
        assert_eq!(count("monitoring_view"), 4);
        assert_eq!(count("partitioned_table"), 2);
        assert_eq!(count("expression_index"), 1);
        let planned = plan.items.iter().filter(|i| i.section != "beyond");
        assert_eq!(planned.filter(|i| i.action.index_name().is_some()).count(), 14);
        for section in &plan.sections {
            assert!(plan.items.iter().any(|i| i.section == *section), "section {section} has no item");
        }
    }

    #[test]
    fn ids_name_section_relation_and_object() {
        let plan = Plan::built_in().unwrap();
        assert!(plan.item("1.1.staging.moneylines.data_quality_score").is_some());
        assert!(plan.item("2.1.staging.games.idx_staging_games_external_validation").is_some());
        assert!(plan.item("4.1.staging.daily_game_stats").is_some());
    }

    #[test]
    fn a_role_has_an_item_of_its_own() {
        let plan = Plan::built_in().unwrap();
        let item = plan.item_for_role("it's.odd").unwrap();
        assert_eq!(item.id(), "5.1.role.server_settings.it's.odd");
        assert_eq!(plan.role_of(&item.id()), Some("it's.odd"));
        assert_eq!(plan.role_of("5.1.role.server_settings"), None);
        assert_eq!(plan.role_of("4.1.staging.daily_game_stats"), None);
    }

    #[test]
    fn sections_match_by_component() {
        assert!(section_matches("4", "4.1"));
        assert!(section_matches("4.1", "4.1"));
        assert!(!section_matches("4.", "4.1"));
        assert!(!section_matches("1", "11.1"));
        let plan = Plan::built_in().unwrap();
        assert!(plan.has_section("beyond") && plan.has_section("4") && !plan.has_section("7"));
    }

    #[test]
    fn a_plan_with_a_double_id_or_an_unknown_section_is_refused() {
        let item = |section: &str| {
            let item = format!(
                "[[items]]\nsection = \"{section}\"\nrelation = \"a.b\"\nkind = \"monitoring_view\"\n"
            );
            format!("{}\n{item}", include_str!("plan.toml"))
        };
        assert!(Plan::parse(&item("5.2")).is_ok());
        assert!(Plan::parse(&item("9")).unwrap_err().contains("unknown section"));
        let twice =
            item("5.2") + "[[items]]\nsection = \"5.2\"\nrelation = \"a.b\"\nkind = \"monitoring_view\"\n";
        assert!(Plan::parse(&twice).unwrap_err().contains("share the id"));
    }
}
