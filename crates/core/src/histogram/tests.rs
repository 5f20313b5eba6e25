use super::*;
use proptest::prelude::*;

/// Times as they come: most are short, a few take hours.
fn times() -> impl Strategy<Value = Vec<u64>> {
    let time = (0u32..36, any::<u64>()).prop_map(|(bits, noise)| noise & ((1 << bits) - 1));
    prop::collection::vec(time, 0..400)
}

fn of(times: &[u64]) -> Histogram {
    let mut histogram = Histogram::default();
    times.iter().for_each(|time| histogram.record(*time, time % 7 == 0));
    histogram
}

#[test]
fn the_buckets_follow_each_other_without_a_gap() {
    let mut next = 0;
    for bucket in 0..BUCKETS {
        let (first, end) = bounds(bucket);
        assert_eq!(first, next, "{bucket}");
        assert_eq!((index(first), index(end - 1)), (bucket, bucket));
        assert!(end - first == 1 || (end - first) * 16 <= first, "{bucket}: {first}..{end}");
        next = end;
    }
    assert_eq!(index(next), BUCKETS - 1, "longer is just below");
    assert_eq!(index(u64::MAX), BUCKETS - 1);
}

#[test]
fn a_bucket_begins_at_the_objective() {
    assert_eq!(bounds(index(OBJECTIVE_US)).0, OBJECTIVE_US);
    assert_eq!(bounds(index(OBJECTIVE_US - 1)).1, OBJECTIVE_US);
    let just = of(&[499_999, 500_000, 500_001]);
    assert_eq!((just.calls(), just.over_objective()), (3, 2));
}

#[test]
fn no_calls_have_no_quantile() {
    assert_eq!(Histogram::default().quantile(0.95), None);
    assert_eq!(of(&[7]).quantile(0.5), Some(7.0));
}

#[test]
fn counts_that_are_less_than_before_have_begun_anew() {
    let (before, after) = (of(&[10, 20, 30]), of(&[10, 40]));
    assert_eq!(after.since(&before), after);
}

#[test]
fn what_is_no_histogram_is_refused() {
    let mut bytes = encode([(1, &of(&[1, 2, 3]))]);
    bytes.pop();
    assert_eq!(decode(&bytes), Err(Malformed));
    assert_eq!(decode(&[]), Err(Malformed));
    assert_eq!(decode(&encode([])), Ok(vec![]));
}

proptest! {
    #[test]
    fn a_quantile_is_within_a_sixteenth_of_the_sorted_times(mut times in times(), q in 0.0..=1.0f64) {
        prop_assume!(!times.is_empty());
        let histogram = of(&times);
        times.sort_unstable();
        let rank = ((q * (times.len() as f64)).ceil() as usize).clamp(1, times.len());
        let exact = times[rank - 1] as f64;
        let estimate = histogram.quantile(q).unwrap();
        prop_assert!((estimate - exact).abs() <= exact / 16.0, "{estimate} for {exact}");
        // On the right side of the objective, too.
        prop_assert_eq!(estimate >= OBJECTIVE_US as f64, exact >= OBJECTIVE_US as f64);
    }

    #[test]
    fn counts_and_the_longest_are_exact(times in times()) {
        let histogram = of(&times);
        prop_assert_eq!(histogram.calls(), times.len() as u64);
        prop_assert_eq!(histogram.over_objective(), times.iter().filter(|t| **t >= OBJECTIVE_US).count() as u64);
        prop_assert_eq!(histogram.failed, times.iter().filter(|t| *t % 7 == 0).count() as u64);
        prop_assert_eq!(histogram.longest, times.iter().copied().max().unwrap_or(0));
    }

    #[test]
    fn a_window_is_the_difference_of_its_ends(before in times(), during in times()) {
        let earlier = of(&before);
        let mut later = earlier.clone();
        during.iter().for_each(|time| later.record(*time, time % 7 == 0));
        let (window, exact) = (later.since(&earlier), of(&during));
        prop_assert!(window.occupied().eq(exact.occupied()));
        prop_assert_eq!(window.failed, exact.failed);
        prop_assert!(window.longest >= exact.longest);
        prop_assert!(window.longest <= exact.longest + exact.longest / 16);
        let mut whole = earlier;
        whole.merge(&window);
        prop_assert!(whole.occupied().eq(later.occupied()));
    }

    #[test]
    fn bytes_bring_back_what_went_in(all in prop::collection::vec((any::<i64>(), times()), 0..4)) {
        let histograms: Vec<_> = all.iter().map(|(key, times)| (*key, of(times))).collect();
        let bytes = encode(histograms.iter().map(|(key, h)| (*key, h)));
        prop_assert_eq!(decode(&bytes), Ok(histograms));
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let _ = decode(&bytes);
    }
}

proptest! {
    #[test]
    fn as_many_calls_are_below_a_bound_as_are_not_beyond_it(times in prop::collection::vec(0_u64..3_000_000, 0..60)) {
        let mut histogram = Histogram::default();
        times.iter().for_each(|time| histogram.record(*time, false));
        prop_assert_eq!(histogram.below(OBJECTIVE_US) + histogram.over_objective(), histogram.calls());
        prop_assert!(histogram.below(1_000) <= histogram.below(2_000));
        prop_assert_eq!(histogram.below(u64::MAX), histogram.calls());
    }
}
