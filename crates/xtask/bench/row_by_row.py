"""Stages moneylines as the pipeline did before the plan: pages by OFFSET, and writes row by row.

row_by_row.py CONNECTION FIRST ROWS prints the seconds that it took.
"""

import sys
import time

import psycopg2

PAGE = """
SELECT r.id, r.game_external_id, r.sportsbook_id, r.sportsbook_name, r.home_odds, r.away_odds, r.home_team_name,
       r.away_team_name, r.source, r.raw_data, r.collected_at, r.created_at, r.updated_at, g.id
  FROM raw_data.moneylines_raw r
  LEFT JOIN (SELECT external_id, min(id) AS id FROM staging.games GROUP BY external_id) g
    ON g.external_id = r.game_external_id
 ORDER BY r.id LIMIT %s OFFSET %s
"""
STAGE = """
INSERT INTO staging.moneylines (raw_id, game_id, sportsbook_id, sportsbook_name, home_odds, away_odds,
    home_team_normalized, away_team_normalized, data_quality_score, validation_status, updated_at)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
"""
BATCH = 1000


def score(book, game, home, away, source, raw_data, collected_at, created_at):
    points = 99.99
    points -= 0 if book and book.strip() else 20
    points -= 0 if game and game.strip() else 25
    points -= 0 if home is not None and abs(home) >= 100 else 15
    points -= 0 if away is not None and abs(away) >= 100 else 15
    points -= 5 if collected_at and created_at and collected_at > created_at else 0
    points += 5 if source and source.strip() and source != "UNKNOWN" else 0
    points = min(99.99, points) + (3 if isinstance(raw_data, dict) else 0)
    return max(0.0, min(99.99, points))


def status(points):
    return "validated" if points >= 80 else "needs_review" if points >= 60 else "invalid"


def main(connection, first, rows):
    database = psycopg2.connect(connection)
    cursor = database.cursor()
    started = time.monotonic()
    for offset in range(first, first + rows, BATCH):
        cursor.execute(PAGE, (BATCH, offset))
        for row in cursor.fetchall():
            (raw, external, book_id, book, home, away, home_team, away_team, source, payload, collected, created,
             updated, game) = row
            points = score(book, external, home, away, source, payload, collected, created)
            cursor.execute(STAGE, (raw, game, book_id, book, home, away, home_team, away_team, points,
                                   status(points), updated))
            database.commit()
    print(time.monotonic() - started)


main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
