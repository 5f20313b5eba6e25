//! How large a pool should be, with the arithmetic in words.

use super::settings::PoolSettings;

/// The plan's target: at its peak a pool is used less than that.
pub const TARGET_PERCENT: u32 = 60;

/// What is known of a server and its load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Load {
    /// Cores that the server may use.
    pub cores: u32,
    /// Connections that clients may have, of all databases together.
    pub usable_slots: u32,
    /// How many of these the other databases' pools may take.
    pub taken_elsewhere: u32,
    /// The most connections to this database that were busy at once; `None` where that is hidden from the caller.
    pub peak_busy: Option<u32>,
    /// The configured size of this database's pool, where there is one.
    pub configured: Option<u32>,
}

/// A size, and how it came about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recommendation {
    /// The largest number of connections.
    pub pool_size: u32,
    /// The arithmetic.
    pub reasoning: String,
}

/// A size that the server cannot serve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TooLarge {
    /// What would be needed.
    pub needed: u32,
    /// What there is.
    pub available: u32,
    /// The arithmetic.
    pub reasoning: String,
}

/// How large a pool should be, by the load and by the plan's.
///
/// # Errors
/// Where all pools together would exceed the usable slots.
pub fn recommend(load: &Load, planned: &PoolSettings) -> Result<Recommendation, TooLarge> {
    let PoolSettings { min_connections: least, max_connections: enough, .. } = *planned;
    let by_load = load.peak_busy.map_or(0, under_target);
    let by_cores = load.cores.saturating_mul(2).saturating_add(1);
    let pool_size = by_load.max(by_cores.min(enough)).max(least);
    let available = load.usable_slots.saturating_sub(load.taken_elsewhere);
    let mut reasoning = vec![
        words_on_load(load, pool_size),
        format!(
            "cores: 2 x {} + 1 = {by_cores} connections keep them busy{}",
            load.cores,
            if by_cores > enough {
                format!(", of which the plan's {enough} are enough while no load asks for more")
            } else {
                String::new()
            }
        ),
        format!("the plan's minimum: {least}"),
        format!("the largest of these: {pool_size}"),
        format!(
            "slots: {} usable - {} of other databases = {available} available",
            load.usable_slots, load.taken_elsewhere
        ),
    ];
    reasoning.extend(warnings(load));
    let reasoning = reasoning.join("; ");
    if pool_size > available {
        return Err(TooLarge { needed: pool_size, available, reasoning });
    }
    Ok(Recommendation { pool_size, reasoning })
}

/// The smallest pool of which so many busy connections are less than the target.
fn under_target(busy: u32) -> u32 {
    let size = u64::from(busy) * 100 / u64::from(TARGET_PERCENT) + 1;
    u32::try_from(size).unwrap_or(u32::MAX)
}

fn words_on_load(load: &Load, pool_size: u32) -> String {
    match load.peak_busy {
        None => "load: hidden from you, so left out".to_owned(),
        Some(0) => "load: no busy connection was seen".to_owned(),
        Some(busy) => format!(
            "load: at most {busy} busy at once, {busy} / 0.{TARGET_PERCENT} = {:.1}, so {} stay under \
             {TARGET_PERCENT} % ({:.1} % of {pool_size})",
            f64::from(busy) * 100.0 / f64::from(TARGET_PERCENT),
            under_target(busy),
            f64::from(busy) * 100.0 / f64::from(pool_size),
        ),
    }
}

/// Where the figures cannot say all.
fn warnings(load: &Load) -> Vec<String> {
    let busy = load.peak_busy.unwrap_or(0);
    let mut out = Vec::new();
    if let Some(size) = load.configured
        && busy >= size
    {
        out.push(format!(
            "the pool of {size} was full, so more may have waited for it: measure again with the new size"
        ));
    }
    if busy > load.cores.saturating_mul(4) {
        out.push(format!(
            "{busy} busy connections are many for {} cores: a larger pool meets the target, but shorter \
             transactions would too",
            load.cores
        ));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Plan;
    use proptest::prelude::*;

    fn recommend(load: &Load) -> Result<Recommendation, TooLarge> {
        super::recommend(load, &Plan::built_in().unwrap().pool)
    }

    fn load(cores: u32, peak_busy: u32) -> Load {
        Load { cores, usable_slots: 97, taken_elsewhere: 0, peak_busy: Some(peak_busy), configured: None }
    }

    #[test]
    fn the_peak_stays_under_the_target_not_at_it() {
        assert_eq!(recommend(&load(2, 8)).unwrap().pool_size, 14);
        // 15 of 25 would be 60 % exactly.
        assert_eq!(recommend(&load(2, 15)).unwrap().pool_size, 26);
    }

    #[test]
    fn without_load_the_cores_decide() {
        assert_eq!(recommend(&load(1, 0)).unwrap().pool_size, 5);
        assert_eq!(recommend(&load(8, 0)).unwrap().pool_size, 17);
        assert_eq!(recommend(&load(64, 0)).unwrap().pool_size, 25);
        let hidden = Load { peak_busy: None, ..load(8, 0) };
        assert_eq!(recommend(&hidden).unwrap().pool_size, 17);
    }

    #[test]
    fn all_pools_together_must_fit() {
        let crowded = Load { taken_elsewhere: 84, ..load(2, 8) };
        let refused = recommend(&crowded).unwrap_err();
        assert_eq!((refused.needed, refused.available), (14, 13));
        assert!(refused.reasoning.contains("97 usable - 84 of other databases = 13"), "{refused:?}");
    }

    #[test]
    fn a_full_pool_hides_the_demand() {
        let full = Load { configured: Some(8), ..load(2, 8) };
        assert!(recommend(&full).unwrap().reasoning.contains("pool of 8 was full"));
        assert!(!recommend(&load(2, 8)).unwrap().reasoning.contains("was full"));
    }

    proptest! {
        #[test]
        fn a_recommendation_meets_the_target_and_fits(
            cores in 1..256u32, usable_slots in 0..5000u32, taken_elsewhere in 0..5000u32,
            busy in 0..3000u32, configured in prop::option::of(1..500u32)
        ) {
            let load = Load { cores, usable_slots, taken_elsewhere, peak_busy: Some(busy), configured };
            match recommend(&load) {
                Ok(found) => {
                    prop_assert!(busy * 100 < found.pool_size * TARGET_PERCENT);
                    prop_assert!(found.pool_size + taken_elsewhere <= usable_slots);
                }
                Err(refused) => prop_assert!(refused.needed > refused.available),
            }
        }

        #[test]
        fn more_load_never_means_a_smaller_pool(cores in 1..64u32, busy in 0..1000u32) {
            let size = |busy| recommend(&Load { usable_slots: 100_000, ..load(cores, busy) }).unwrap().pool_size;
            prop_assert!(size(busy) <= size(busy + 1));
        }
    }
}
