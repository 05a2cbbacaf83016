"""An agency's table, its outbox, and a way into a store without a broker: what is compared."""

import atexit
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import polars as pl
import sqlalchemy as sa
from typer.testing import CliRunner, Result

from consumers.opening import open_store
from consumers.proofs import Proof
from consumers.receipts import Reject
from consumers.reconcile import Comparison
from consumers.store import Position, Slice, SyncBatch
from producers.envelope import Encoder
from producers.opening import open_outbox, open_site
from producers.outbox import Capture
from producers.side import open_side
from schemas.codec import decode
from schemas.differences import Difference
from schemas.formats import NationalFormat
from schemas.library import Library, load_library
from schemas.mapping import Translator
from streams.cli import app
from tests.provinces import write_contract, write_format

DATASET = "thu_qnam/nguoi"
FORMAT, TABLE = "thu.nguoi.v1", "thu_nguoi_v1"
CONTRACT: Mapping[str, object] = {
    "title": "Sổ thử",
    "owner": "Phòng thử nghiệm",
    "version": 1,
    "table": "so_nguoi",
    "key": ["id"],
    "columns": {
        "id": "long", "so": "string", "ten": "string", "ngay": "string", "con": "boolean",
        "trang_thai": "long",
    },
    "status": {"column": "trang_thai", "live": [1], "gone": [0]},
}  # fmt: skip
TARGET: Mapping[str, object] = {
    "fields": {
        "so": {"rule": "copy", "from": "so"},
        "ten": {"rule": "name", "from": "ten"},
        "ngay": {"rule": "date", "from": "ngay", "precision": "day"},
    }
}


#: The agency's table, in words that every database takes.
CREATE = (
    "CREATE TABLE so_nguoi (id bigint PRIMARY KEY, so text, ten text, ngay text, con boolean, trang_thai int)"
)


def people(first: int, count: int) -> str:
    """The statement that writes so many records."""
    rows = [
        f"({n}, 'S{n}', 'nguyễn văn thử', '01/02/2016', {'true' if n % 2 else 'false'}, 1)"
        for n in range(first, first + count)
    ]
    return f"INSERT INTO so_nguoi VALUES {', '.join(rows)}"


@cache
def made_library(formats: tuple[str, ...] = (FORMAT,)) -> tuple[Path, Library]:
    """A province's folder with one register that feeds these formats alike, made once."""
    folder = Path(tempfile.mkdtemp(prefix="lienthong-short-road-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    for full_id in formats:
        write_format(folder, full_id, "so", "ten", "ngay")
    targets = {FORMAT: TARGET, **{full_id: {"like": FORMAT} for full_id in formats if full_id != FORMAT}}
    write_contract(folder, DATASET, {**CONTRACT, "targets": targets})
    done = CliRunner().invoke(app, ["contracts", "register"], env={"LIENTHONG_CONTRACTS": str(folder)})
    assert done.exit_code == 0, done.output
    return folder, load_library([folder])


@dataclass
class ShortRoad:
    """``bring`` does at once what relay and workers do."""

    source: str
    store_url: str
    topic: str = f"province.{DATASET.replace('/', '.')}"
    formats: tuple[str, ...] = (FORMAT,)
    _offset: int = 0

    def __post_init__(self) -> None:
        self.folder, self.library = made_library(self.formats)
        self.contract = self.library.contracts[DATASET]
        self.agency = sa.create_engine(self.source)
        self.national = sa.create_engine(self.store_url)
        self.store = open_store(self.store_url)
        self.store.migrate([self.library.formats[full_id] for full_id in self.formats])
        self.write(CREATE)

    def close(self) -> None:
        self.store.close()
        self.agency.dispose()
        self.national.dispose()

    def install(self) -> None:
        with closing(open_site(self.source)) as site:
            site.run(site.needed(Capture.of(self.contract)))

    def write(self, *statements: str) -> None:
        """In the agency's database."""
        with self.agency.begin() as connection:
            for statement in statements:
                connection.exec_driver_sql(statement)

    def people(self, first: int, count: int) -> None:
        """New records in the agency's table."""
        self.write(people(first, count))

    def spoil(self, *statements: str) -> None:
        """In the national store: what nobody should do."""
        with self.national.begin() as connection:
            for statement in statements:
                connection.exec_driver_sql(statement)

    def stored(self) -> dict[str, tuple[Any, ...]]:
        """Rows in force by their key."""
        with self.national.connect() as connection:
            rows = connection.exec_driver_sql(f"SELECT lt_key, lt_source_key, ten, ngay FROM {TABLE}_current")
            return {row[0]: tuple(row[1:]) for row in rows}

    def bring(self, *, lose: Sequence[str] = ()) -> int:
        """Bring what waits in the outbox to the store, but for changes of the records ``lose``."""
        with closing(open_outbox(self.source)) as outbox:
            assert outbox.lead()
            outbox.number([DATASET], 100_000, 10**9)
            changes = outbox.pending(0, 100_000, 10**9)
            registered = self.library.registry.current(self.contract.subject)
            encoder = Encoder(self.contract, registered, connector=outbox.connector, database="thu")
            values = [
                encoder.encode(one, now_ms=round(time.time() * 1000)).value
                for one in changes
                if one.key not in lose
            ]
            outbox.mark([one.id for one in changes])
        if values:
            self._apply(values)
        return len(values)

    @contextmanager
    def comparison(self, source: str | None = None) -> Iterator[Comparison]:
        with closing(open_side(source or self.source, self.contract, print)) as side:
            yield Comparison(side, self.store, self.library, "of the test")

    def compare(self, *, full: bool = False, source: str | None = None) -> tuple[Proof, list[Difference]]:
        """What ``lienthong reconcile run`` finds; ``source`` is another database in place of our agency's."""
        with self.comparison(source) as comparison:
            found = [one for part in comparison.differences(full=full) for one in part]
            return comparison.prove(), found

    def repair(self, *, deletes: bool = False, send: bool = True) -> dict[str, int]:
        """What ``lienthong reconcile repair`` sends."""
        sent: Counter[str] = Counter()
        with self.comparison() as comparison:
            for part in comparison.differences():
                sent.update(asdict(comparison.repair(part, deletes=deletes, send=send)))
        return {name: count for name, count in sent.items() if count}

    def _apply(self, values: list[bytes]) -> None:
        decoded = decode(
            values,
            registry=self.library.registry,
            subject=self.contract.subject,
            fingerprints=[None] * len(values),
        )
        assert not decoded.faults
        ((_, events),) = decoded.groups
        result = Translator(self.contract, self.library).translate(events)
        system, dataset = DATASET.split("/")
        start = self._offset
        self._offset += len(values)
        rejects = [
            Reject(
                system=system, dataset=dataset, seq=seq, source_key=key, topic=self.topic, partition=0,
                offset=start + row, rule=rule, field=name, detail="", key=key.encode(), original=b"",
                blocks=True,
            )
            for row, seq, key, name, rule in result.rejects.select(
                "__row", "lt_seq", "lt_source_key", "field", "rule"
            ).rows()
        ]  # fmt: skip
        self.store.settle(
            "thu",
            [self._slice(self.topic, start, len(values))],
            rejects=rejects,
            formats=list(self.formats),
        )
        for full_id in self.formats:
            self._sync(self.library.formats[full_id], result.national[full_id].drop("__row"), start)

    def _sync(self, national: NationalFormat, rows: pl.DataFrame, start: int) -> None:
        if rows.is_empty():
            return
        places = pl.Series(range(start, start + len(rows)), dtype=pl.Int64)
        rows = rows.with_columns(pl.lit(0, pl.Int32).alias("__partition"), places.alias("__offset"))
        batch = SyncBatch(
            format=national,
            topic=national.topic,
            slices=[self._slice(national.topic, start, len(rows))],
            rows=rows,
            original_of=lambda *_: (b"k", b"v"),
        )
        self.store.apply(self.store.prepare(batch), "thu")

    def _slice(self, topic: str, start: int, count: int) -> Slice:
        position = Position(topic=topic, partition=0)
        claim = self.store.claim("thu", [position], generation=1, owner="w")[position]
        if claim.next_offset != start:
            if claim.next_offset is None:
                self.store.start_at("thu", position, epoch=claim.epoch, offset=start)
            else:
                start = claim.next_offset
        return Slice(position=position, start=start, next=start + count, epoch=claim.epoch)

    def run(self, *words: str) -> Result:
        """``lienthong …`` with this road's settings."""
        env = {
            "LIENTHONG_CONTRACTS": str(self.folder),
            "LIENTHONG_SOURCE": self.source,
            "LIENTHONG_STORE": self.store_url,
            "LIENTHONG_LANGUAGE": "en",
        }
        return CliRunner().invoke(app, list(words), env=env)
