"""Pastes a rendering, puts the pool that it makes under load, and prints what failed, as JSON.

Arguments: format, host, port, database, user, password, the rendering.

Each transaction asks for a number of its own and writes a row of its own: a statement that was another client's would
answer with another number, or write another row.
"""

import asyncio
import json
import sys
import threading
from contextlib import contextmanager

name, host, port, database, user, password, rendered = sys.argv[1:]
address = {"host": host, "port": int(port), "user": user, "password": password}
SETTINGS = ["work_mem", "statement_timeout", "timezone", "application_name"]
ASK, WRITE = "SELECT {}::integer + 1", "INSERT INTO staging.games (external_id) VALUES ({})"
WORKERS, TRANSACTIONS = 8, 40


class Tally:
    def __init__(self):
        self.done, self.errors = 0, []

    def row(self, worker, n):
        return f"{name} {worker} {n}"

    def right(self, answer, expected):
        if answer != expected:
            raise AssertionError(f"{answer} in place of {expected}")


def pasted(**names):
    return eval(rendered, names)


def with_threads(transaction, tally):
    def work(worker):
        for n in range(TRANSACTIONS):
            try:
                with transaction() as run:
                    tally.right(run(ASK, n)[0][0], n + 1)
                    run(WRITE, tally.row(worker, n))
                tally.done += 1
            except Exception as error:
                tally.errors.append(f"{type(error).__name__}: {error}".splitlines()[0])

    threads = [threading.Thread(target=work, args=(worker,)) for worker in range(WORKERS)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    with transaction() as run:
        return {setting: run(f"SHOW {setting}")[0][0] for setting in SETTINGS}


def with_tasks(pool, transaction, tally):
    async def work(worker):
        for n in range(TRANSACTIONS):
            try:
                async with transaction(pool) as run:
                    tally.right((await run(ASK, n))[0][0], n + 1)
                    await run(WRITE, tally.row(worker, n))
                tally.done += 1
            except Exception as error:
                tally.errors.append(f"{type(error).__name__}: {error}".splitlines()[0])

    async def all_of_them():
        await asyncio.gather(*[work(worker) for worker in range(WORKERS)])
        async with transaction(pool) as run:
            return {setting: (await run(f"SHOW {setting}"))[0][0] for setting in SETTINGS}

    return all_of_them()


def of_cursor(cursor):
    def run(statement, *values):
        cursor.execute(statement.format("%s"), values)
        return cursor.fetchall() if cursor.description else None

    return run


def sqlalchemy(tally):
    import sqlalchemy

    driver = name.partition("+")[2] or "psycopg"
    url = sqlalchemy.URL.create(
        f"postgresql+{driver}", user, password, database=database, query={"host": host, "port": port}
    )
    engine = pasted(create_engine=lambda **keywords: sqlalchemy.create_engine(url, **keywords))

    @contextmanager
    def transaction():
        with engine.begin() as connection:

            def run(statement, *values):
                found = connection.execute(sqlalchemy.text(statement.format("CAST(:a AS integer)" if statement is ASK else ":a")),
                                           {"a": values[0]} if values else {})
                return found.all() if found.returns_rows else None

            yield run

    return with_threads(transaction, tally)


async def sqlalchemy_asyncpg(tally):
    from contextlib import asynccontextmanager

    import sqlalchemy
    from sqlalchemy.ext.asyncio import create_async_engine

    url = sqlalchemy.URL.create("postgresql+asyncpg", user, password, database=database, query={"host": host, "port": port})
    engine = pasted(create_async_engine=lambda **keywords: create_async_engine(url, **keywords))

    @asynccontextmanager
    async def transaction(engine):
        async with engine.begin() as connection:

            async def run(statement, *values):
                text = sqlalchemy.text(statement.format("CAST(:a AS integer)" if statement is ASK else ":a"))
                found = await connection.execute(text, {"a": values[0]} if values else {})
                return found.all() if found.returns_rows else None

            yield run

    show = await with_tasks(engine, transaction, tally)
    await engine.dispose()
    return show


async def asyncpg(tally):
    from contextlib import asynccontextmanager

    import asyncpg

    pool = await pasted(create_pool=lambda **keywords: asyncpg.create_pool(database=database, **address, **keywords))

    @asynccontextmanager
    async def transaction(pool):
        async with pool.acquire() as connection, connection.transaction():

            async def run(statement, *values):
                return await connection.fetch(statement.format("$1"), *values)

            yield run

    show = await with_tasks(pool, transaction, tally)
    await pool.close()
    return show


def psycopg_pool(tally):
    import psycopg_pool

    class ConnectionPool(psycopg_pool.ConnectionPool):
        def __init__(self, kwargs, **keywords):
            super().__init__(kwargs=kwargs | {"dbname": database} | address, **keywords)

    with pasted(ConnectionPool=ConnectionPool) as pool:

        @contextmanager
        def transaction():
            with pool.connection() as connection:
                yield of_cursor(connection.cursor())

        return with_threads(transaction, tally)


def django(tally):
    import django
    from django.conf import settings

    where = {key.upper(): value for key, value in address.items()} | {"NAME": database}
    databases = {"default": where}
    exec(rendered, {"DATABASES": databases})
    settings.configure(DATABASES=databases, USE_TZ=True)
    django.setup()
    from django.db import connection, transaction

    @contextmanager
    def one():
        try:
            with transaction.atomic(), connection.cursor() as cursor:
                yield of_cursor(cursor)
        finally:
            connection.close()  # as at the end of a request

    show = with_threads(one, tally)
    connection.close_pool()
    return show


tally = Tally()
if name in ("asyncpg", "sqlalchemy+asyncpg"):
    show = asyncio.run((asyncpg if name == "asyncpg" else sqlalchemy_asyncpg)(tally))
else:
    show = {"psycopg_pool": psycopg_pool, "django": django}.get(name, sqlalchemy)(tally)
print(json.dumps({"done": tally.done, "errors": sorted(set(tally.errors)), "failed": len(tally.errors), "show": show}))
