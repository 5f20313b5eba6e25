//! What becomes of records on an undisturbed way.

use groundskeeper_sandbox::feed;
use groundskeeper_sandbox::raw::Market;
use groundskeeper_tests::sql::text;
use groundskeeper_tests::{ODDS, Template};
use postgres::Client;

use super::{assert_complete, count, installed, migrate};

/// How many staged records have which score.
fn scores(client: &mut Client, market: Market) -> String {
    let scores = format!(
        "SELECT string_agg(format('%s x %s', n, score), ', ' ORDER BY score)
           FROM (SELECT data_quality_score AS score, count(*) AS n FROM staging.{} GROUP BY 1) s",
        market.table()
    );
    text(client, &scores).unwrap()
}

fn feed_scores(json: &str) -> [String; 3] {
    let (_db, mut client) = installed(Template::ShapeA);
    feed::load(&mut client, &feed::parse(json, chrono::Utc::now()).unwrap()).unwrap();
    migrate(&mut client);
    assert_complete(&mut client);
    assert_eq!(count(&mut client, "groundskeeper.migration_failures"), 0);
    for column in ["home_team_normalized", "away_team_normalized"] {
        let unknown = format!("staging.games WHERE length({column}) > 3 OR {column} IS NULL");
        assert_eq!(count(&mut client, &unknown), 0, "{column}");
    }
    Market::ALL.map(|market| scores(&mut client, market))
}

#[test]
fn the_small_feed_is_staged_with_its_scores() {
    assert_eq!(
        feed_scores(feed::SMALL),
        ["3 x 77.99, 1 x 92.99, 8 x 99.99", "4 x 67.99, 8 x 99.99", "3 x 67.99, 9 x 99.99"]
    );
}

#[test]
#[ignore = "needs the path of the real feed: cargo xtask test --odds FILE"]
fn the_real_feed_is_staged_with_its_scores_and_without_a_failure() {
    let json = std::fs::read_to_string(std::env::var(ODDS).unwrap()).unwrap();
    assert_eq!(
        feed_scores(&json),
        ["20 x 77.99, 40 x 99.99", "21 x 67.99, 39 x 99.99", "20 x 67.99, 40 x 99.99"]
    );
}
