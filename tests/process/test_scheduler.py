"""Beat and a database that goes away."""

import datetime as dt
from pathlib import Path

import redis

from prices import schedule
from tests.support.postgresql import Cluster
from tests.support.product import Process, wait_until
from tests.support.relay import relay


def test_beat_waits_for_a_database_that_is_away(
    postgresql: Cluster, on_postgresql: str, valkey: str, tmp_path: Path
) -> None:
    schedule.set_interval(dt.timedelta(milliseconds=100))
    database = on_postgresql.rpartition("/")[2]
    with relay("/nobody/listens/here") as way, redis.Redis.from_url(valkey) as queue:
        environment = {
            "DATABASE_URL": f"postgres://swarna@127.0.0.1:{way.port}/{database}",
            "REDIS_PREFIX": "beats-that-wait",
            "REDIS_URL": valkey,
        }

        def tasks_come(since: int = 0) -> bool:
            return bool(queue.llen("beats-that-wait:celery") > since)

        command = ["-m", "celery", "--quiet", "-A", "swarna", "beat", "--pidfile=", "--loglevel=WARNING"]
        beat = Process(command, tmp_path / "beat.log", environment)
        try:
            wait_until(lambda: "no task is sent until it can" in beat.output, "beat to miss the database at its start")
            way.target = str(postgresql.folder / ".s.PGSQL.5432")
            wait_until(tasks_come, "tasks")
            way.target = "/nobody/listens/here"
            way.drop()
            wait_until(lambda: beat.output.count("no task is sent until it can") == 2, "beat to miss the database")
            sent = int(queue.llen("beats-that-wait:celery"))
            way.target = str(postgresql.folder / ".s.PGSQL.5432")
            wait_until(lambda: tasks_come(sent), "tasks again")
            wait_until(lambda: beat.output.count("the database is back") == 2, "beat to say so")
            assert beat.popen.poll() is None
            assert "Traceback" not in beat.output
        finally:
            beat.stop()
            queue.delete("beats-that-wait:celery")
