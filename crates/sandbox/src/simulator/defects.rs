//! The gaps and defects of collected data, each with its share of the records.

use chrono::TimeDelta;
use serde_json::{Value, json};

use super::random::Random;
use crate::raw::{Quote, Record};

/// Odds that no book can have meant.
const IMPOSSIBLE: [i32; 5] = [0, 1, -99, 50, 99];
/// What stands where a name is missing.
const BLANK: [Option<&str>; 3] = [None, Some(""), Some("  ")];

/// Spoils a record here and there. Without `anchored`, it may lose its game.
pub fn spoil(record: &mut Record, anchored: bool, random: &mut Random) {
    spoil_quote(&mut record.quote, random);
    if random.chance(0.010) {
        record.sportsbook_name = random.pick(&BLANK).map(str::to_owned);
    }
    if random.chance(0.006) && !anchored {
        record.game_external_id = random.pick(&BLANK).map(str::to_owned);
    }
    if random.chance(0.010) && !anchored {
        record.game_date = None;
    }
    if random.chance(0.008) {
        record.source = "UNKNOWN".to_owned();
    }
    if random.chance(0.008) {
        record.raw_data = random.pick(&[None, Some(json!([])), Some(Value::Null)]).clone();
    }
    if random.chance(0.010) {
        let seconds = 30 + random.below(600);
        record.collected_at = record.created_at + TimeDelta::seconds(seconds as i64);
    }
}

fn spoil_quote(quote: &mut Quote, random: &mut Random) {
    let lost = random.chance(0.015);
    let (line, odds) = match quote {
        Quote::Moneyline { home, away, .. } => (None, vec![home, away]),
        Quote::Spread { value, odds, .. } => (Some(value), vec![odds]),
        Quote::Total { points, over, under } => (Some(points), vec![over, under]),
    };
    if let Some(line) = line
        && (lost || random.chance(0.010))
    {
        *line = None;
    }
    for side in odds {
        if lost || random.chance(0.006) {
            *side = None;
        } else if random.chance(0.002) {
            *side = Some(*random.pick(&IMPOSSIBLE));
        }
    }
}
