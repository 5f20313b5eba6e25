use super::*;
use proptest::prelude::*;

fn fixed(length: i16, align: usize) -> Column {
    Column {
        name: "c".into(),
        length,
        align,
        short: false,
        deviation: Some(0.0),
        not_null: true,
        dropped: false,
        added: false,
        width: Some(f64::from(length)),
        null_frac: Some(0.0),
    }
}

fn text(width: f64) -> Column {
    Column { length: -1, short: true, deviation: None, width: Some(width), ..fixed(4, 4) }
}

fn heap(columns: Vec<Column>, pages: u64, live: f64) -> Heap {
    let activity =
        Activity { live, dead: 0.0, changed: 0.0, analyzed: true, vacuumed_since: false, standby: false };
    Heap { columns, page: 8192.0, fillfactor: 100.0, pages, relpages: pages, reltuples: live, activity }
}

#[test]
fn padding_is_where_alignment_puts_it() {
    let (byte, long) = (fixed(1, 1), fixed(8, 8));
    let alternating = [byte.clone(), long.clone(), byte.clone(), long.clone()];
    assert_eq!(Row::of_table(&alternating).unwrap(), Row { length: 56.0, stored: 56.0 });
    let sorted = [long.clone(), long, byte.clone(), byte];
    assert_eq!(Row::of_table(&sorted).unwrap(), Row { length: 42.0, stored: 48.0 });
    assert_eq!(Row::of_index(&[fixed(4, 4)]).unwrap(), Row { length: 12.0, stored: 16.0 });
}

#[test]
fn a_null_takes_a_bitmap_and_no_room() {
    let nullable = Column { null_frac: Some(1.0), ..fixed(8, 8) };
    let row = Row::of_table(&[vec![fixed(8, 8)], vec![nullable; 8]].concat()).unwrap();
    assert_eq!(row, Row { length: 40.0, stored: 40.0 });
}

#[test]
fn short_values_are_not_aligned_and_long_ones_are() {
    let row =
        |width| Row::of_table(&[fixed(1, 1), Column { deviation: Some(0.0), ..text(width) }]).unwrap().length;
    assert_eq!(row(101.0), 24.0 + 1.0 + 101.0);
    assert_eq!(row(204.0), 24.0 + 4.0 + 204.0);
}

#[test]
fn what_is_not_known_is_named() {
    let unknown = Column { width: None, null_frac: None, ..text(1.0) };
    assert_eq!(Row::of_table(&[unknown]), Err(Distrust::NoStatistics("c".into())));
    let dropped = Column { dropped: true, ..fixed(8, 8) };
    assert_eq!(Row::of_table(&[dropped]), Err(Distrust::DroppedColumn));
    let added = Column { added: true, ..fixed(8, 8) };
    assert_eq!(Row::of_table(&[added]), Err(Distrust::AddedColumn("c".into())));
}

#[test]
fn a_full_table_has_no_waste_and_half_of_it_is_half() {
    // 8 bytes: 32 with the header, 226 rows to a page
    let full = heap(vec![fixed(8, 8)], 100, 22_600.0);
    assert!(full.waste().unwrap() < 0.01);
    let half = heap(vec![fixed(8, 8)], 100, 11_300.0);
    let waste = half.waste().unwrap();
    assert!((0.40..0.50).contains(&waste), "{waste}");
    let empty = heap(vec![fixed(8, 8)], 100, 0.0);
    assert!(empty.waste().unwrap() > 0.9);
}

#[test]
fn what_fillfactor_keeps_free_is_no_waste() {
    let reserved = Heap { fillfactor: 50.0, ..heap(vec![fixed(8, 8)], 100, 11_300.0) };
    assert!(reserved.waste().unwrap() < 0.02);
}

#[test]
fn stale_statistics_are_not_trusted() {
    let with = |change: &dyn Fn(&mut Heap)| {
        let mut table = heap(vec![fixed(8, 8)], 100, 22_600.0);
        change(&mut table);
        table.waste()
    };
    assert_eq!(with(&|t| t.activity.analyzed = false), Err(Distrust::NeverAnalyzed));
    assert_eq!(with(&|t| t.activity.standby = true), Err(Distrust::Standby));
    assert_eq!(with(&|t| t.activity.changed = 4_520.0), Err(Distrust::Stale(0.2)));
    let vacuumed = |t: &mut Heap| {
        t.activity.changed = 1_130.0;
        t.activity.vacuumed_since = true;
    };
    assert_eq!(with(&vacuumed), Err(Distrust::Stale(0.05)));
    // A few rows, but wide ones.
    let wide = |t: &mut Heap| {
        t.activity.changed = 1_000.0;
        t.activity.live += 1_000.0;
        t.pages = 200;
    };
    assert!(matches!(with(&wide), Err(Distrust::Moved(_))));
    assert!(matches!(with(&|t| t.activity.live = 45_200.0), Err(Distrust::Impossible(_))));
    assert_eq!(with(&|t| t.pages = 19), Err(Distrust::Small));
}

fn btree(columns: Vec<Column>, pages: u64, live: f64, distinct: (f64, f64)) -> BTree {
    BTree {
        columns,
        page: 8192.0,
        fillfactor: 90.0,
        pages,
        deduplicates: true,
        distinct: Distinct { fewest: distinct.0, most: distinct.1 },
        partial: false,
        activity: heap(Vec::new(), 0, live).activity,
    }
}

#[test]
fn a_tree_is_measured_against_one_built_anew() {
    // Sizes as PostgreSQL 15 builds them.
    let unique = btree(vec![fixed(4, 4)], 276, 100_000.0, (100_000.0, 100_000.0));
    assert!(unique.waste().unwrap() < 0.02, "{:?}", unique.waste());
    let repeated = btree(vec![fixed(4, 4)], 87, 100_000.0, (100.0, 100.0));
    assert!(repeated.waste().unwrap() < 0.05, "{:?}", repeated.waste());
    let doubled = btree(vec![fixed(4, 4)], 552, 100_000.0, (100_000.0, 100_000.0));
    assert!((doubled.waste().unwrap() - 0.5).abs() < 0.02);
    let unknown = btree(vec![fixed(4, 4)], 276, 100_000.0, (100.0, 100_000.0));
    assert!(matches!(unknown.waste(), Err(Distrust::Duplicates(..))));
}

fn any_column() -> impl Strategy<Value = Column> {
    let alignments =
        prop::sample::select(vec![(1i16, 1usize), (2, 2), (4, 4), (8, 8), (16, 4), (-1, 4), (-1, 8)]);
    (alignments, 0.0..2000.0f64, 0.0..=1.0f64, prop::option::of(0.0..100.0f64)).prop_map(
        |((length, align), width, nulls, deviation)| {
            let width = if length > 0 { f64::from(length) } else { width };
            Column {
                length,
                align,
                short: true,
                deviation,
                null_frac: Some(nulls),
                width: Some(width),
                ..fixed(8, 8)
            }
        },
    )
}

proptest! {
    #[test]
    fn a_row_holds_its_values_and_at_most_seven_bytes_beside_each(columns in prop::collection::vec(any_column(), 0..40)) {
        let row = Row::of_table(&columns).unwrap();
        let values: f64 = columns.iter().map(|c| c.width.unwrap() * (1.0 - c.null_frac.unwrap())).sum();
        let most = values + 32.0 + 7.0 * columns.len() as f64;
        prop_assert!(row.length >= values + 23.0 - 1e-6 && row.length <= most + 1e-6, "{row:?} {values}");
        prop_assert!(row.stored >= row.length - 1e-6 && row.stored <= row.length + 7.0 + 1e-6);
    }

    #[test]
    fn fixed_columns_are_walked_exactly(columns in prop::collection::vec(prop::sample::select(vec![1i16, 2, 4, 8]), 0..30)) {
        let walked = columns.iter().fold(24usize, |end, length| {
            let length = *length as usize;
            end.next_multiple_of(length) + length
        });
        let columns: Vec<Column> = columns.iter().map(|l| fixed(*l, *l as usize)).collect();
        let row = Row::of_table(&columns).unwrap();
        prop_assert!((row.length - walked as f64).abs() < 1e-6);
        prop_assert!((row.stored - walked.next_multiple_of(8) as f64).abs() < 1e-6);
    }

    #[test]
    fn fewer_rows_are_never_less_waste(live in 0.0..22_600.0f64, fewer in 0.0..1.0f64, fillfactor in 10.0..100.0f64) {
        let table = |live| Heap { fillfactor, ..heap(vec![fixed(8, 8)], 100, live) };
        if let (Ok(more), Ok(less)) = (table(live * fewer).waste(), table(live).waste()) {
            prop_assert!(more >= less && (0.0..=1.0).contains(&more));
        }
    }
}

#[test]
fn no_percentage_is_beyond_imagination() {
    assert!(Distrust::Stale(0.5).to_string().contains(" 50 % of the rows changed"));
    assert!(
        Distrust::Stale(50_000.0)
            .to_string()
            .contains("more rows changed since the last ANALYZE than there are")
    );
    assert!(Distrust::Impossible(0.5).to_string().contains(" 50 % more"));
    assert!(Distrust::Impossible(900.0).to_string().contains("many times"));
}
