//! Scores of a sportsbook's feed.

use std::collections::BTreeMap;

use chrono::Utc;
use groundskeeper_sandbox::feed;
use groundskeeper_sandbox::raw::Market;
use groundskeeper_tests::{ODDS, Template, TestDb};
use rust_decimal::Decimal;

type Scores = BTreeMap<Decimal, i64>;

/// How many records of a market have which score.
fn scores(db: &TestDb, market: Market) -> Scores {
    let (function, quote) = match market {
        Market::Moneyline => ("moneyline_quality_score", "home_odds, away_odds"),
        Market::Spread => ("spread_quality_score", "spread_value, spread_odds"),
        Market::Total => ("total_quality_score", "total_points, over_odds, under_odds"),
    };
    let sql = format!(
        "SELECT groundskeeper.{function}(sportsbook_name, game_external_id, {quote}, source, raw_data,
                                         collected_at, created_at), count(*)
         FROM {} GROUP BY 1",
        market.raw_table()
    );
    let rows = db.client().unwrap().query(&sql, &[]).unwrap();
    rows.iter().map(|row| (row.get(0), row.get(1))).collect()
}

fn loaded(json: &str) -> TestDb {
    let db = TestDb::installed(Template::ShapeA).unwrap();
    let records = feed::parse(json, Utc::now()).unwrap();
    feed::load(&mut db.client().unwrap(), &records).unwrap();
    db
}

fn expected(scores: &[(&str, i64)]) -> Scores {
    scores.iter().map(|(score, records)| (score.parse().unwrap(), *records)).collect()
}

#[test]
fn the_small_feed_scores_as_the_rules_say() {
    let db = loaded(feed::SMALL);
    let moneylines = expected(&[("77.99", 3), ("92.99", 1), ("99.99", 8)]);
    assert_eq!(scores(&db, Market::Moneyline), moneylines);
    assert_eq!(scores(&db, Market::Spread), expected(&[("67.99", 4), ("99.99", 8)]));
    assert_eq!(scores(&db, Market::Total), expected(&[("67.99", 3), ("99.99", 9)]));
}

#[test]
#[ignore = "needs the path of the real feed: cargo xtask test --odds FILE"]
fn the_real_feed_scores_as_its_owner_counted() {
    let path = std::env::var(ODDS).unwrap();
    let db = loaded(&std::fs::read_to_string(path).unwrap());
    assert_eq!(scores(&db, Market::Moneyline), expected(&[("77.99", 20), ("99.99", 40)]));
    assert_eq!(scores(&db, Market::Spread), expected(&[("67.99", 21), ("99.99", 39)]));
    assert_eq!(scores(&db, Market::Total), expected(&[("67.99", 20), ("99.99", 40)]));
}
