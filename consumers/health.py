"""The pieces of ``lienthong doctor``: each looks at one thing and returns a ``Finding``; none ever raises."""

import importlib.metadata
import platform
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import wraps
from pathlib import Path
from typing import ParamSpec

import sqlalchemy
from kafka import KafkaConsumer
from kafka.admin import KafkaAdminClient

from consumers.audit_key import load_keys, there
from consumers.brokers import require_listener
from consumers.observing import libraries, reads, with_another_library
from consumers.opening import open_store, store_url
from schemas.errors import LienthongError, TryAgain
from schemas.formats import NationalFormat
from schemas.library import Library, fingerprint_of, fingerprints, load_library
from schemas.registry import UnknownSchema, fingerprint

ROOMS = ("schemas", "producers", "streams", "consumers")

#: Above this, "seconds from the source's commit to ours" says more about clocks than about the road.
CLOCK_SKEW_SECONDS = 2.0

#: A worker seals once a second; above this none does, or it cannot.
UNSEALED_SECONDS = 60.0

_ANSWER_MS = 5_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line of the doctor: all is well, or what to do."""

    name: str
    ok: bool
    detail: str  #: one sentence, without a password or a personal value
    next_step: str = ""  #: never empty when not ``ok``


P = ParamSpec("P")


def _finding(name: str, next_step: str) -> Callable[[Callable[P, str]], Callable[P, Finding]]:
    """Make a check out of a function that returns what is well and raises what is not."""

    def decorate(check: Callable[P, str]) -> Callable[P, Finding]:
        @wraps(check)
        def checked(*args: P.args, **kwargs: P.kwargs) -> Finding:
            try:
                return Finding(name=name, ok=True, detail=check(*args, **kwargs))
            except LienthongError as problem:
                return Finding(
                    name=name, ok=False, detail=problem.message, next_step=problem.next_step or next_step
                )
            except Exception as problem:  # the doctor must reach its last line whatever it meets
                return Finding(name=name, ok=False, detail=_first_line(problem), next_step=next_step)

        return checked

    return decorate


def _first_line(problem: Exception) -> str:
    lines = str(problem).strip().splitlines()
    return f"{type(problem).__name__}: {lines[0]}" if lines else type(problem).__name__


@_finding("settings", "set the environment variable that is named; deploy/env.example shows them all")
def settings_load(load: Callable[[], object]) -> str:
    """``load`` reads all settings, and raises as ``load_settings`` does."""
    load()
    return "every setting can be read"


@_finding("versions", "run make setup again: the batch transport hangs on these exact versions")
def exact_pins(distribution: str = "lienthong") -> str:
    """Each dependency that we pin exactly (faust-streaming, aiokafka, mode-streaming) is that version."""
    pinned = {}
    for requirement in importlib.metadata.requires(distribution) or []:
        found = re.fullmatch(r"([A-Za-z0-9._-]+)(?:\[[^]]*\])?\s*==\s*([^\s;,*]+)", requirement)
        if found:
            pinned[found[1]] = found[2]
    if not pinned:
        raise LienthongError(f"the installed {distribution} pins nothing")
    wrong = [
        f"{name} {installed} instead of {wanted}"
        for name, wanted in sorted(pinned.items())
        if (installed := _installed(name)) != wanted
    ]
    if wrong:
        raise LienthongError(", ".join(wrong))
    versions = ", ".join(f"{name} {wanted}" for name, wanted in sorted(pinned.items()))
    return f"Python {platform.python_version()}; {versions}"


def _installed(distribution: str) -> str:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


@_finding("packages", "give lienthong an environment of its own: another package overwrites one of its rooms")
def foreign_packages(
    shipped: Callable[[], Mapping[str, list[str]]] = importlib.metadata.packages_distributions,
    ours: str = "lienthong",
) -> str:
    """No other distribution ships a package with the name of one of our rooms."""
    owners = shipped()
    strangers = [
        f"{other} ships {room}" for room in ROOMS for other in sorted(set(owners.get(room, [])) - {ours})
    ]
    if strangers:
        raise LienthongError("; ".join(strangers))
    return "no other distribution ships " + ", ".join(ROOMS)


@_finding("contracts", "correct the file that is named")
def contracts_load(folders: Sequence[Path]) -> str:
    """The shipped library and the province's own folders can be loaded as a whole."""
    library = load_library(folders)
    return f"{_many(len(library.contracts), 'contract')}, {_many(len(library.formats), 'national format')}"


@_finding("registry", "register the schema: lienthong contracts register")
def registry_complete(library: Library) -> str:
    """The schema of every contract and national format is registered as it is now."""
    wanted = [(contract.subject, contract.envelope_schema) for contract in library.outbound]
    wanted += [(national.subject, national.wire_schema) for national in library.formats.values()]
    problems = []
    for subject, schema in wanted:
        try:
            registered = library.registry.current(subject)
        except UnknownSchema as problem:
            problems.append(problem.message)
            continue
        if registered.sha256 != fingerprint(schema):
            problems.append(f"{subject} has changed since schema id {registered.id} was given")
    if problems:
        raise LienthongError("; ".join(problems))
    return f"{_many(len(wanted), 'subject')} registered, fingerprints agree"


@_finding("broker", "start the broker or correct LIENTHONG_BROKER")
def broker_answers(broker: str) -> str:
    admin = _admin(broker)
    try:
        brokers = admin.describe_cluster()["brokers"]
    finally:
        admin.close()
    return f"{broker} answers: {_many(len(brokers), 'broker')}, Kafka {_version(broker)}"


def _version(broker: str) -> str:
    """The broker's release, as far as the requests it understands tell: ``4.3``."""
    consumer = KafkaConsumer(bootstrap_servers=broker.split(","), bootstrap_timeout_ms=_ANSWER_MS)
    try:
        return ".".join(str(part) for part in consumer.config["api_version"])
    finally:
        consumer.close()


@_finding("topics", "create them: lienthong road topics")
def topics_present(broker: str, expected: Mapping[str, int]) -> str:
    """Each of ``expected`` (name to number of partitions) is there and has at least so many partitions."""
    admin = _admin(broker)
    try:
        there = set(admin.list_topics())
        missing = sorted(set(expected) - there)
        described = admin.describe_topics(sorted(set(expected) & there)) if set(expected) & there else []
    finally:
        admin.close()
    problems = [f"{name} is missing" for name in missing]
    for topic in described:
        count = len(topic["partitions"])
        if count < expected[topic["name"]]:
            problems.append(f"{topic['name']} has {count} partitions instead of {expected[topic['name']]}")
    if problems:
        raise LienthongError("; ".join(problems))
    return f"{_many(len(expected), 'topic')} there"


def _admin(broker: str) -> KafkaAdminClient:
    require_listener(broker, timeout_seconds=_ANSWER_MS / 1000)
    return KafkaAdminClient(
        bootstrap_servers=broker.split(","),
        bootstrap_timeout_ms=_ANSWER_MS,
        request_timeout_ms=_ANSWER_MS,
        client_id="lienthong-doctor",
    )


@_finding("store", "start the database or correct LIENTHONG_STORE")
def store_ready(url: str, formats: Iterable[NationalFormat]) -> str:
    """The store answers and has every table and column that ``formats`` need."""
    store = open_store(url)
    try:
        needed = store.plan(list(formats))
    except TryAgain as problem:
        raise LienthongError(f"{shown(url)} does not answer: {problem.message}") from problem
    finally:
        store.close()
    if needed:
        raise LienthongError(
            f"{_many(len(needed), 'statement')} of SQL still to be run",
            next_step="run: lienthong store migrate (--dry-run shows it)",
        )
    return f"{shown(url)} answers and is migrated"


@_finding("workers", "restart the workers, one after the other")
def workers_follow(url: str, deployment: str, library: Library, folders: Sequence[Path]) -> str:
    """Whoever claimed a partition last follows the library as it is here."""
    wanted = [one for contract in library.contracts.values() for one in reads(contract, library, deployment)]
    store = open_store(url)
    try:
        ledgers = {name: store.ledger(name) for name in {one.deployment for one in wanted}}
    finally:
        store.close()
    taken = libraries(ledgers, wanted)
    if others := with_another_library(taken, fingerprint_of(fingerprints(library, folders))):
        raise LienthongError(f"{', '.join(others)} took in another library than the one here")
    return f"{_many(len(taken), 'worker')} took in the library as it is here"


@_finding("audit", "start a worker where the key of the audit chain lies: lienthong road run")
def audit_sealed(url: str, key_file: Path) -> str:
    """What changed is sealed soon after, by a key that this machine has too or that lies elsewhere."""
    store = open_store(url)
    try:
        waits, last = store.unsealed(), store.last_seal()
    finally:
        store.close()
    late = waits.oldest_seconds > UNSEALED_SECONDS
    told = (
        f"{_many(waits.lines, 'line')} of the audit chain not sealed yet, the oldest for"
        f" {waits.oldest_seconds:.0f} s"
    )
    if not there(key_file):
        if late:
            raise LienthongError(
                f"{told}; there is no {key_file}",
                next_step="bring the key that sealed until now; if there was none: lienthong audit keygen",
            )
        return f"{told}; {f'key {last.key}' if last else 'no key yet, a worker makes one'}, not here"
    try:
        keys = [key.id for key in load_keys(key_file)]
    except LienthongError as problem:
        raise LienthongError(f"{told}; {problem.message}", next_step=problem.next_step) from problem
    if last is not None and last.key not in keys:
        raise LienthongError(
            f"the last seal is of key {last.key}, and {key_file} is {keys[0]}",
            next_step="give all workers of this store the same LIENTHONG_AUDIT_KEY",
        )
    if late:
        raise LienthongError(told)
    return f"{told}; key {keys[0]}"


@_finding("clock", "set both clocks by NTP: lag in seconds and receipts' times are wrong until then")
def clock_agrees(url: str, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> str:
    """The store's clock and ours agree within ``CLOCK_SKEW_SECONDS``."""
    parsed = store_url(url)
    if parsed.get_backend_name() == "sqlite":
        return "SQLite uses this machine's clock"
    engine = sqlalchemy.create_engine(parsed, connect_args={"connect_timeout": _ANSWER_MS // 1000})
    try:
        with engine.connect() as connection:
            connection.execute(sqlalchemy.text("SELECT 1"))  # connecting is not part of what is timed
            before = now()
            there = connection.execute(sqlalchemy.text("SELECT clock_timestamp()")).scalar_one()
            after = now()
    except sqlalchemy.exc.OperationalError as problem:
        raise LienthongError(
            "the store's clock could not be read", next_step="see the line about the store"
        ) from problem
    finally:
        engine.dispose()
    skew = (there - (before + (after - before) / 2)).total_seconds()
    if abs(skew) > CLOCK_SKEW_SECONDS:
        raise LienthongError(f"the store's clock is {skew:+.1f} s from ours")
    return f"the store's clock is {skew:+.3f} s from ours"


def shown(url: str) -> str:
    """A database URL as it may be shown: without its password."""
    return sqlalchemy.make_url(url).render_as_string(hide_password=True)


def _many(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
