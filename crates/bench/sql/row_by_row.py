"""Stages moneylines as the pipeline did before the plan: pages by OFFSET, then scores, names and writes record by
record, each insert a transaction of its own.

row_by_row.py SOCKET_DIRECTORY PORT DATABASE USER FIRST ROWS prints the seconds that it took.
"""

import asyncio
import json
import sys
import time
from datetime import datetime, timezone

import asyncpg

BATCH = 1000

PAGE = """
SELECT r.*, g.id AS staging_game_id
  FROM raw_data.moneylines_raw r LEFT JOIN staging.games g ON g.external_id = r.game_external_id
 ORDER BY r.id LIMIT $1 OFFSET $2
"""
STAGE = """
INSERT INTO staging.moneylines (raw_id, game_id, sportsbook_id, sportsbook_name, home_odds, away_odds,
    home_team_normalized, away_team_normalized, data_quality_score, validation_status, validation_errors,
    processed_at, created_at, updated_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
"""

# The clubs of the simulated seasons go by these names.
CLUBS = {
    "ARI": "Arizona Diamondbacks", "ATH": "Athletics", "ATL": "Atlanta Braves", "BAL": "Baltimore Orioles",
    "BOS": "Boston Red Sox", "CHC": "Chicago Cubs", "CIN": "Cincinnati Reds", "CLE": "Cleveland Guardians",
    "COL": "Colorado Rockies", "CWS": "Chicago White Sox", "DET": "Detroit Tigers", "HOU": "Houston Astros",
    "KC": "Kansas City Royals", "LAA": "Los Angeles Angels", "LAD": "Los Angeles Dodgers", "MIA": "Miami Marlins",
    "MIL": "Milwaukee Brewers", "MIN": "Minnesota Twins", "NYM": "New York Mets", "NYY": "New York Yankees",
    "PHI": "Philadelphia Phillies", "PIT": "Pittsburgh Pirates", "SD": "San Diego Padres", "SEA": "Seattle Mariners",
    "SF": "San Francisco Giants", "STL": "St. Louis Cardinals", "TB": "Tampa Bay Rays", "TEX": "Texas Rangers",
    "TOR": "Toronto Blue Jays", "WSH": "Washington Nationals",
}


def team(name):
    """The first club whose name holds the one given, or is held by it; else its first three letters."""
    if not name:
        return None
    name = name.strip().upper()
    if name in CLUBS:
        return name
    for code, club in CLUBS.items():
        if name in club.upper() or club.upper() in name:
            return code
    return name[:3]


def score(record):
    """On the scale of the old type, with what is wrong."""
    points, errors = 9.99, []
    if not record["sportsbook_name"]:
        points -= 2.0
        errors.append("no sportsbook name")
    if not record["game_external_id"]:
        points -= 2.5
        errors.append("no game reference")
    missing = [side for side in ("home_odds", "away_odds") if not record[side]]
    if missing:
        points -= 1.5 * len(missing)
        errors.append(f"missing: {', '.join(missing)}")
    if record["collected_at"] > record["created_at"]:
        points -= 0.5
        errors.append("collected after it was created")
    if record["source"] and record["source"] != "UNKNOWN":
        points = min(9.99, points + 0.5)
    if record["raw_data"]:
        points = min(9.99, points + 0.3)
    return max(0.0, points), errors


def status(points):
    return "validated" if points >= 8 else "needs_review" if points >= 6 else "invalid"


async def main(host, port, name, user, first, rows):
    database = await asyncpg.connect(host=host, port=int(port), database=name, user=user)
    started = time.monotonic()
    for offset in range(first, first + rows, BATCH):
        for record in await database.fetch(PAGE, BATCH, offset):
            if not record["staging_game_id"]:
                continue
            points, errors = score(record)
            now = datetime.now(timezone.utc)
            await database.execute(
                STAGE, record["id"], record["staging_game_id"], record["sportsbook_id"], record["sportsbook_name"],
                record["home_odds"], record["away_odds"], team(record["home_team_name"]),
                team(record["away_team_name"]), points, status(points), json.dumps(errors) if errors else None,
                now, now, now,
            )
    print(time.monotonic() - started)
    await database.close()


asyncio.run(main(*sys.argv[1:5], int(sys.argv[5]), int(sys.argv[6])))
