"""Rows of an agency's MariaDB or MySQL table, read for a comparison; it captures and sends nothing."""

# ruff: noqa: S608 - names from a contract go through sql.name; values are parameters

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

import polars as pl
import sqlalchemy as sa

from producers.outbox import Capture
from producers.rows import Choice, Chosen, Frame, Looked, frame_schema, gathered
from producers.sql import key_text, name, told
from schemas.errors import LienthongError, SettingsError, TryAgain
from schemas.sums import BETWEEN, BUCKET_DIGITS, MISSING, Sum, Sums, wrapped

_AT_ONCE: Final = 20_000
#: Names in double quotes and texts put together as everywhere in our SQL; times as UTC.
_SESSION: Final = (
    "SET SESSION sql_mode = 'ANSI_QUOTES,PIPES_AS_CONCAT,NO_BACKSLASH_ESCAPES', time_zone = '+00:00'"
)


class MariadbRows:
    """See ``Rows``. Needs the driver: ``pip install pymysql``."""

    def __init__(self, url: sa.URL) -> None:
        try:
            self._engine = sa.create_engine(
                url.set(drivername="mariadb+pymysql"),
                hide_parameters=True,
                connect_args={"connect_timeout": 10, "charset": "utf8mb4"},
            )
        except ModuleNotFoundError:
            raise SettingsError(
                "LIENTHONG_SOURCE: the driver of MariaDB is not installed", next_step="pip install pymysql"
            ) from None
        self._database = url.database or ""

    def captured(self, capture: Capture) -> bool:
        if capture.lines:
            raise LienthongError(
                f"{capture.dataset}: lines of a record in MariaDB cannot be compared",
                next_step="compare where they are captured, in PostgreSQL or SQLite",
            )
        return False

    def sums(self, capture: Capture) -> Sums:
        between, missing = (f"char({ord(mark)} USING utf8mb4)" for mark in (BETWEEN, MISSING))
        parts = ", ".join(f"coalesce({one}, {missing})" for one in _printed(capture))
        total = "sum(cast(conv(substr(md5(x.r), 1, 16), 16, 10) AS unsigned))"
        query = (
            f"SELECT substr(md5(x.k), 1, {BUCKET_DIGITS}) AS b, count(*), {total}"
            f" FROM (SELECT {_key(capture)} AS k, concat_ws({between}, {parts}) AS r"
            f" FROM {_table(capture)} AS t) AS x GROUP BY b"
        )
        with self._connected() as connection:
            found = connection.exec_driver_sql(query.replace("%", "%%"))
            return {bucket: Sum(rows, wrapped(int(total))) for bucket, rows, total in found}

    def frames(self, capture: Capture, buckets: Collection[str] | None = None) -> Iterator[Frame]:
        within = "true"
        if buckets is not None:
            within = f"substr(md5({_key(capture)}), 1, {BUCKET_DIGITS}) IN"
        yield from self._frames(capture, within, None if buckets is None else sorted(buckets))

    def look(self, capture: Capture, keys: Sequence[str]) -> Looked:
        found = self._frames(capture, f"{_key(capture)} IN", keys)
        return Looked(gathered(capture, (one.rows for one in found)), {})

    def _frames(self, capture: Capture, within: str, chosen: Sequence[str] | None) -> Iterator[Frame]:
        query = f"SELECT {', '.join(_printed(capture))} FROM {_table(capture)} AS t WHERE {within}"
        query = query.replace("%", "%%")
        if chosen is not None:
            query += f" ({', '.join(['%s'] * len(chosen))})"
        with self._connected() as connection:
            streaming = connection.execution_options(yield_per=_AT_ONCE)
            for rows in streaming.exec_driver_sql(query, tuple(chosen or ())).partitions():
                yield Frame(pl.DataFrame([*map(tuple, rows)], schema=frame_schema(capture), orient="row"))

    def chosen(self, capture: Capture, choice: Choice, after: Sequence[Any], size: int) -> list[Chosen]:
        raise self._not_captured(capture)

    def send(self, capture: Capture, keys: Sequence[str]) -> int:
        raise self._not_captured(capture)

    def send_deletes(self, capture: Capture, images: Mapping[str, str]) -> int:
        raise self._not_captured(capture)

    def waiting(self, newest: int) -> int:
        return 0

    def close(self) -> None:
        self._engine.dispose()

    def _not_captured(self, capture: Capture) -> LienthongError:
        return LienthongError(
            f"{capture.dataset}: there is no outbox in MariaDB, so nothing can be sent from it",
            next_step="let its own connector send a snapshot",
        )

    @contextmanager
    def _connected(self) -> Iterator[sa.Connection]:
        place = f"the agency database {self._database}"
        try:
            with self._engine.connect() as connection:
                connection.exec_driver_sql(_SESSION)
                yield connection
        except (sa.exc.OperationalError, sa.exc.InterfaceError, sa.exc.TimeoutError):
            # "from None": the driver's text may show a row.
            raise TryAgain(
                f"{place} does not answer", next_step="start it, or correct LIENTHONG_SOURCE"
            ) from None
        except sa.exc.SQLAlchemyError as error:
            code = getattr(getattr(error, "orig", None), "args", ("",))[0]
            raise LienthongError(
                f"{place} refuses a statement ({type(error).__name__} {code})",
                next_step="see whether the table and its columns are those of the contract",
            ) from None


def _table(capture: Capture) -> str:
    return ".".join(name(part) for part in capture.table.split(".", 1))


def _text(column: str) -> str:
    return f"cast(t.{name(column)} AS char CHARACTER SET utf8mb4)"


def _key(capture: Capture) -> str:
    return key_text(_text(column) for column in capture.key)


def _printed(capture: Capture) -> list[str]:
    return [_key(capture), *(told(_text(column), avro) for column, avro in capture.columns.items())]
