"""Where scenarios are played: servers that live on, and fresh databases and topics for each scenario."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import psycopg

from deploy.demo.agency import create_table
from deploy.demo.national import LAYOUTS
from deploy.demo.observe import PROVINCE_TOPIC, SYSTEM
from deploy.demo.stage import ROOT, Addresses
from deploy.demo.supervisor import run_once
from deploy.local.kafka import KafkaNode
from deploy.local.postgres import WITHOUT_SYNC, PostgresNode, libpq_url
from schemas.library import Library
from streams.topics import plan_topics
from tests.road import fresh_topics, make_topics
from tests.shipped import shipped

TOPICS: Final = (
    PROVINCE_TOPIC,
    *(layout.topic for layout in LAYOUTS),
    f"receipts.{SYSTEM}",
    f"rejected.{SYSTEM}",
    "rejected.national",
)
TEMPLATE: Final = "campaign_template"
#: On a machine with much else to do.
START_SECONDS: Final = 300.0
#: Tables of the store that meet a full disk.
WRITTEN: Final = (
    *(layout.table for layout in LAYOUTS),
    *(f"lienthong_{name}" for name in ("ledger", "receipt", "reject", "parked", "left", "effect")),
)
#: A switch for the full disk, looked at by each statement that writes; 53100 is PostgreSQL's disk_full.
DISK: Final = """
CREATE TABLE campaign_disk (full_share float8 NOT NULL);
INSERT INTO campaign_disk VALUES (0);
CREATE FUNCTION campaign_disk() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  IF random() < (SELECT full_share FROM campaign_disk) THEN
    RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = '53100';
  END IF;
  RETURN NULL;
END $$;
"""
#: The agency's clock as capture sees it.
CLOCK: Final = """
CREATE TABLE campaign_clock (wrong_by interval NOT NULL);
INSERT INTO campaign_clock VALUES ('0');
CREATE FUNCTION campaign_clock() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  NEW.changed_at := NEW.changed_at + (SELECT wrong_by FROM public.campaign_clock);
  RETURN NEW;
END $$;
CREATE TRIGGER campaign_clock BEFORE INSERT ON lienthong_outbox
  FOR EACH ROW EXECUTE FUNCTION campaign_clock();
"""


@dataclass(frozen=True, slots=True)
class Scene:
    """One scenario's own databases and its folder."""

    addresses: Addresses
    folder: Path
    settings: dict[str, str]


@dataclass
class Ground:
    """The servers. The agency's database has one of its own, so that the two can be away one by one."""

    folder: Path
    kafka: KafkaNode
    store: PostgresNode
    agency: PostgresNode = field(init=False)
    library: Library = field(default_factory=shipped)
    played: int = 0

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.agency = PostgresNode(self.folder / "agency", settings=WITHOUT_SYNC)

    def start(self) -> None:
        """Start the servers and prepare what scenarios copy: a migrated store and an agency under capture."""
        for server in (self.kafka, self.store, self.agency):
            server.start(timeout_seconds=START_SECONDS)
        for server in (self.store, self.agency):
            server.drop_database(TEMPLATE)
        addresses = Addresses(
            broker=self.kafka.bootstrap,
            store=self.store.create_database(TEMPLATE),
            source=self.agency.create_database(TEMPLATE),
        )
        make_topics(self.kafka.bootstrap, plan_topics(self.library))
        create_table(addresses.source_libpq)
        for command in (("store", "migrate"), ("capture", "install", f"{SYSTEM}/khaisinh")):
            run_once(*command, settings=addresses.settings, root=ROOT, log=self.folder / "commands.log")
        execute(addresses.source_libpq, CLOCK)
        guards = (
            f"CREATE TRIGGER campaign_disk BEFORE INSERT OR UPDATE ON {table}"
            " FOR EACH STATEMENT EXECUTE FUNCTION campaign_disk();"
            for table in WRITTEN
        )
        execute(libpq_url(addresses.store), DISK + "\n".join(guards))

    @contextmanager
    def scene(self, seed: int) -> Iterator[Scene]:
        """Fresh databases, topics and group; the folder stays only if the scenario raises."""
        self.played += 1
        name = f"campaign_{self.played}"
        folder = self.folder / f"seed-{seed}"
        shutil.rmtree(folder, ignore_errors=True)
        for server in (self.kafka, self.store, self.agency):
            server.start(timeout_seconds=START_SECONDS)
        fresh_topics(self.kafka.bootstrap, self.library, TOPICS)
        addresses = Addresses(
            broker=self.kafka.bootstrap,
            store=self.store.create_database(name, like=TEMPLATE),
            source=self.agency.create_database(name, like=TEMPLATE),
        )
        # A group of its own: what an earlier scenario killed is still a member of the earlier one.
        yield Scene(addresses, folder, addresses.settings | {"LIENTHONG_DEPLOYMENT": name})
        for server in (self.store, self.agency):
            server.drop_database(name)
        shutil.rmtree(folder, ignore_errors=True)

    def close(self) -> None:
        """End the agency's server; the other two belong to the caller."""
        self.agency.stop("immediate")


def execute(address: str, statements: str) -> None:
    """Run statements in one transaction."""
    with psycopg.connect(address) as connection:
        connection.execute(statements.encode())
