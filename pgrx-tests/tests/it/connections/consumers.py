"""Reads a rendered call, connects as it says, and prints what the sessions have, as JSON.

Arguments: library, host, port, database, user, password, more keyword arguments (JSON), settings (comma-separated),
the rendered call.
"""

import ast
import asyncio
import json
import sys

library, host, port, database, user, password, extra, settings, rendered = sys.argv[1:]
settings = settings.split(",")


def keywords(function):
    call = ast.parse(rendered.strip(), mode="eval").body
    assert isinstance(call, ast.Call) and call.func.id == function and not call.args, rendered
    return {k.arg: ast.literal_eval(k.value) for k in call.keywords} | json.loads(extra)


def with_sqlalchemy():
    import sqlalchemy

    url = sqlalchemy.URL.create(
        "postgresql+psycopg", user, password, database=database, query={"host": host, "port": port}
    )
    engine = sqlalchemy.create_engine(url, **keywords("create_engine"))
    # Work that nobody finished: the connection goes back with its transaction open, and only the pool can end it.
    borrowed = engine.raw_connection()
    borrowed.cursor().execute("INSERT INTO staging.games (external_id) VALUES ('abandoned')")
    borrowed.close()
    with engine.connect() as connection:
        show = {name: connection.execute(sqlalchemy.text(f"SHOW {name}")).scalar() for name in settings}
        kept = connection.execute(
            sqlalchemy.text("SELECT count(*) FROM staging.games WHERE external_id = 'abandoned'")
        ).scalar()
    held = [engine.connect() for _ in range(engine.pool.size())]
    full = (engine.pool.checkedout(), engine.pool.overflow())
    for connection in held:
        connection.close()
    return {"show": show, "abandoned": kept, "held": full[0], "overflow": full[1], "echo": engine.echo,
            "pre_ping": engine.pool._pre_ping, "recycle": engine.pool._recycle, "timeout": engine.pool.timeout()}


async def with_asyncpg():
    import asyncpg

    address = {"host": host, "port": int(port), "database": database, "user": user, "password": password}
    pool = await asyncpg.create_pool(**address, **keywords("create_pool"))
    rounds = []
    for _ in range(2):  # a connection is reset when it is returned
        async with pool.acquire() as connection:
            rounds.append({name: await connection.fetchval(f"SHOW {name}") for name in settings})
    held = [await pool.acquire() for _ in range(pool.get_max_size())]
    busy = len(held)
    try:
        await pool.acquire(timeout=0.2)
        beyond = True
    except TimeoutError:
        beyond = False
    for connection in held:
        await pool.release(connection)
    idle = pool.get_idle_size()
    await pool.close()
    return {"show": rounds[0], "again": rounds[1], "held": busy, "beyond": beyond, "min": pool.get_min_size(),
            "idle": idle}


print(json.dumps(with_sqlalchemy() if library == "sqlalchemy" else asyncio.run(with_asyncpg())))
