"""The story, act by act. Each act says one sentence, does its work and shows what came of it."""

import json
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice, zip_longest
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from deploy.demo import pictures
from deploy.demo.agency import Clerks, create_table, load
from deploy.demo.changes import Change, Register, kinds
from deploy.demo.national import LAYOUTS, REGISTER, TEMPLATE, Live, Rejected
from deploy.demo.observe import SYSTEM, Observer
from deploy.demo.oracle import Check, Oracle, compare
from deploy.demo.render import NBSP
from deploy.demo.stage import Addresses, Stage, shown
from deploy.demo.trouble import DemoError
from schemas.reasons import reason

WORKERS: Final = ("w1", "w2")
VICTIM: Final = "w1"
KILL_AT: Final = 0.15  #: of the snapshot in the store
TRANSACTIONS_PER_SECOND: Final = 150
LATE_VERSIONS: Final = 30
PATIENCE_SECONDS: Final = 180.0  #: without any progress
RECEIPT_LINES: Final = 12


@dataclass
class Story:
    """One run of the demo. ``tell`` returns the checks; it raises ``DemoError`` if the story breaks off."""

    console: Console
    stage: Stage
    births: int
    seed: int
    extra: list[Check] = field(default_factory=list)
    oracle: Oracle = field(default_factory=Oracle)
    _begun: float = 0.0

    def tell(self) -> list[Check]:
        self._act("Start Kafka and PostgreSQL on this machine, nothing installed but Python")
        addresses = self.stage.start_servers()
        started_at = datetime.now(UTC)
        self._say(f"Kafka {addresses.broker}, PostgreSQL port {self.stage.postgres.port}")

        self._act(
            f"A civil-status database as a vendor built it around 2015: {self.births:,} fictional births"
        )
        register = Register(self.births, self.seed)
        snapshot, transactions = register.snapshot(), register.transactions(max(60, self.births // 12))
        create_table(addresses.source_libpq)
        load(addresses.source_libpq, (change.row for change in snapshot if change.row is not None))
        hero = _hero(snapshot, transactions)
        assert hero.row is not None
        pictures.show_legacy(self.console, hero.row)

        self._act("Build the road: tables from the national format, topics and triggers from the contract")
        for command in (("store", "migrate"), ("road", "topics"), ("capture", "install", "--snapshot")):
            self.stage.command(*command, addresses=addresses)
            self._say(f"lienthong {' '.join(command)}")
        self.oracle.add(snapshot)

        observer = Observer(store=addresses.store, source=addresses.source, broker=addresses.broker)
        try:
            self._travel(addresses, observer, register, transactions)
            return self._show_and_compare(addresses, observer, hero, started_at)
        finally:
            observer.close()

    # The road under load.

    def _travel(
        self, addresses: Addresses, observer: Observer, register: Register, transactions: list[list[Change]]
    ) -> None:
        self._act("Capture and two workers; one of them is killed (kill -9) while the snapshot is on its way")
        self.stage.start_program("capture", "capture", "run", addresses=addresses)
        for name in WORKERS:
            self.stage.start_program(name, "road", "run", "--name", name, addresses=addresses)
        threshold = int(self.births * KILL_AT)
        self._until(
            "national rows", self.births, observer.national_rows, lambda n: n >= threshold, pause=0.02
        )
        pid = self.stage.supervisor.kill(VICTIM)
        arrived = observer.national_rows()
        self._say(f"kill -9 {pid} ({VICTIM}) with {arrived:,} of {self.births:,} rows in the store")
        self.extra.append(
            Check(
                "a worker was killed in the middle of its work", arrived < self.births, f"at {arrived:,} rows"
            )
        )

        clerks = Clerks(addresses.source_libpq)
        try:
            self._live(clerks, observer, transactions)
            self._drain(observer)
            self._act(
                f"{LATE_VERSIONS} older versions arrive late: sent to Kafka again with their old numbers"
            )
            self._publish_late(observer)
            self._drain(observer)
            self._act("Entries typed in anew under a freed national key, and entries typed in twice")
            for change in (*register.entered_anew(25), *register.typed_twice(5)):
                clerks.write([change])
                self.oracle.add([change])
            self._drain(observer)
        finally:
            clerks.close()
        restarts = self.stage.supervisor.restarts()
        told = ", ".join(f"{name} started again: {count}×" for name, count in restarts.items() if count)
        self.extra.append(Check("the killed worker runs again", restarts[VICTIM] >= 1, told))

    def _live(self, clerks: Clerks, observer: Observer, transactions: list[list[Change]]) -> None:
        self._act("The clerks go on working: corrections, cancelled entries, deletes, moved national keys")
        total = len(transactions)
        crash_at = total // 2
        begun = time.monotonic()
        with self._progress() as progress:
            task = progress.add_task("transactions of the clerks", total=total)
            for place, group in enumerate(transactions):
                if place == crash_at:
                    progress.console.print(
                        "  PostgreSQL stops without warning and starts again (both databases)"
                    )
                    self.stage.restart_postgres()
                    clerks.reconnect()
                    begun = time.monotonic() - place / TRANSACTIONS_PER_SECOND
                clerks.write(group)
                self.oracle.add(group)
                progress.update(task, advance=1)
                self.stage.supervisor.check()
                time.sleep(max(0.0, begun + place / TRANSACTIONS_PER_SECOND - time.monotonic()))
        counted = kinds([change for group in transactions for change in group])
        self._say(", ".join(f"{count:,} {kind}" for kind, count in counted.items()))

    def _publish_late(self, observer: Observer) -> None:
        """Publish the first version of some records once more, after newer ones, with its old number."""
        late = observer.first_versions(_with_two_versions(self.oracle.changes))
        observer.publish_again(late)
        self.oracle.late.extend((message.key.decode(), message.seq) for message in late)

    def _drain(self, observer: Observer) -> None:
        """Wait until every change is answered and the ledger has reached the end of every topic."""
        total = len(self.oracle.changes)
        self._until("changes answered", total, observer.answers_given, lambda n: n >= total)
        told: set[int] = set()
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            told = observer.answered_in_all()
            if len(told) >= total and not observer.unread():
                return
            self.stage.supervisor.check()
            time.sleep(0.3)
        detail = f"{len(told):,} of {total:,} answered, {observer.unread():,} records unread"
        self.extra.append(Check(f"everything was answered within {PATIENCE_SECONDS:.0f} s", False, detail))

    # What came of it.

    def _show_and_compare(
        self, addresses: Addresses, observer: Observer, hero: Change, started_at: datetime
    ) -> list[Check]:
        self._act("The same row, in the national layout of 60 columns")
        assert hero.row is not None
        assert isinstance(hero.outcome, Live)
        key = hero.outcome.key
        pictures.show_both(self.console, hero.row, observer.stored(REGISTER, key), observer.labels(REGISTER))
        self._act("… and what the ministry's newer layout of 70 columns has besides, from the same row")
        pictures.show_both(
            self.console, hero.row, observer.stored(TEMPLATE, key), observer.labels(TEMPLATE), pictures.ADDED
        )

        self._act("What could not be translated is kept with its reason and its original bytes")
        pictures.show_rejects(
            self.console,
            [(*seen, reason(seen[1], seen[0], "en")) for seen in observer.reject_examples()],
        )
        self._act(f"The publisher asks what became of its changes: lienthong receipts show {SYSTEM}")
        told = self.stage.command(
            "receipts", "show", SYSTEM, addresses=addresses, FORCE_COLOR="1", COLUMNS="118"
        )
        lines = told.rstrip().splitlines()
        for line in lines[:RECEIPT_LINES]:
            self.console.print(Text.from_ansi(line))
        self._say(f"… and {len(lines) - RECEIPT_LINES} lines more")
        self.extra.append(self._receipts_agree(addresses, observer))

        self._act("Metrics, one address for each process")
        scraped = [(name, address, _scrape(address)) for name, address in self.stage.metrics.items()]
        pictures.show_metrics(self.console, scraped)
        silent = [name for name, _, lines in scraped if not lines]
        detail = f"silent: {', '.join(silent)}" if silent else f"{len(scraped)} addresses"
        self.extra.append(Check("every process shows its metrics", not silent, detail))

        self._act("Compare the store with an oracle that never saw our mapping, row by row, field by field")
        self.stage.supervisor.check()
        return [*compare(self.oracle, observer.everything(started_at)), *self.extra]

    def _receipts_agree(self, addresses: Addresses, observer: Observer) -> Check:
        """The command tells the publisher the same as the tables do, for each layout."""
        told = json.loads(self.stage.command("receipts", "show", SYSTEM, "--json", addresses=addresses))
        counts = {
            one["format"]: {
                name: one[name]["how_many"] for name in ("applied", "rejected", "parked", "waiting")
            }
            for one in told["accounts"]
        }
        due = {}
        for layout in LAYOUTS:
            answers = observer.answered(layout)
            parked = answers["parked"].keys() - answers["rejected"].keys()
            due[layout.format] = {name: len(answers[name]) for name in ("applied", "rejected")} | {
                "parked": len(parked),
                "waiting": 0,
            }
        return Check("`lienthong receipts show` tells what the tables hold", counts == due, f"{counts}")

    # Helpers.

    def _act(self, text: str) -> None:
        now = time.monotonic()
        self._begun = self._begun or now
        self.console.print(f"\n[bold cyan]▶ {text}[/] [dim]({now - self._begun:.0f} s)[/]")

    def _say(self, text: str) -> None:
        self.console.print(Text(f"  {text}"))

    def _progress(self) -> Progress:
        columns = (TextColumn("  {task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        return Progress(*columns, console=self.console)

    def _until(
        self,
        what: str,
        total: int,
        count: Callable[[], int],
        done: Callable[[int], bool],
        *,
        pause: float = 0.2,
    ) -> None:
        """Show progress until ``done(count())``. ``DemoError`` after ``PATIENCE_SECONDS`` without any."""
        best, since = -1, time.monotonic()
        with self._progress() as progress:
            task = progress.add_task(what, total=total)
            while True:
                now = count()
                progress.update(task, completed=min(now, total))
                if done(now):
                    return
                if now > best:
                    best, since = now, time.monotonic()
                self.stage.supervisor.check()
                if time.monotonic() - since > PATIENCE_SECONDS:
                    raise DemoError(
                        f"{what}: stuck at {now:,} of {total:,} for {PATIENCE_SECONDS:.0f} s; "
                        f"all logs are in {shown(self.stage.logs)}",
                        self.stage.supervisor.log(WORKERS[-1]),
                    )
                time.sleep(pause)


def _hero(snapshot: list[Change], transactions: list[list[Change]]) -> Change:
    """The row to show: messy, translated, and not touched by any later change."""
    touched = {change.id for group in transactions for change in group}
    candidates = [c for c in snapshot if c.id not in touched and isinstance(c.outcome, Live)]
    return max(candidates, key=_mess)


def _mess(change: Change) -> int:
    """How much the row shows of what real rows are like: each kind of mess counts once."""
    row, became = change.row, change.outcome
    assert row is not None
    assert isinstance(became, Live)
    cells = [cell for cell in row.values() if isinstance(cell, str)]
    told = became.fields
    return sum(
        (
            4 * bool(became.warnings),
            4 * (told["nksDanToc"] in ("14", "26", "27")),
            4 * (told["nksHoTen"] not in (told.get("meHoTen"), told.get("chaHoTen"))),
            2 * str(row["ho_ten"]).isupper(),
            2 * any("\u0300" <= letter <= "\u036f" for cell in cells for letter in cell),
            2 * (len(told.get("meNgaySinh", "")) == 4) + 2 * (len(told.get("chaNgaySinh", "")) == 7),
            2 * any(cell.lower() in ("null", "không có thông tin") for cell in cells),
            2 * any("  " in cell.strip() for cell in cells),
            2 * any(NBSP in cell.strip() for cell in cells),
            "." in str(row["ngay_dk"]),
            len(told) > 20,
        )
    )


def _with_two_versions(changes: list[Change]) -> list[str]:
    """Some ``LATE_VERSIONS`` records with two versions, both to be applied, by each kind of change."""
    versions: dict[int, list[Change]] = {}
    for change in changes:
        versions.setdefault(change.id, []).append(change)
    by_kind: dict[str, list[str]] = {}
    for id_, seen in versions.items():
        if len(seen) == 2 and isinstance(seen[0].outcome, Live) and not isinstance(seen[1].outcome, Rejected):
            by_kind.setdefault(seen[1].kind, []).append(str(id_))
    turns = zip_longest(*by_kind.values())
    return list(islice((key for turn in turns for key in turn if key is not None), LATE_VERSIONS))


def _scrape(address: str) -> list[str]:
    """A few counters of a program, one line each, that are not zero; empty if it does not answer."""
    try:
        with urllib.request.urlopen(address, timeout=20) as answer:  # noqa: S310 - our own loopback address
            lines = answer.read().decode().splitlines()
    except OSError:
        return []
    first: dict[str, str] = {}
    for line in lines:
        name = line.split("{")[0].split(" ")[0]
        if name.startswith("lienthong_") and name.endswith("_total") and not line.endswith(" 0.0"):
            first.setdefault(name, line)
    return list(first.values())[:5]
