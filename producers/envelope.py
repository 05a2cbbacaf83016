"""From an outbox row to the record on the wire: Avro in Debezium's shape, behind the 5-byte header."""

import io
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final

import fastavro

from producers.outbox import Change
from schemas.contracts import Contract, LineSet
from schemas.errors import LienthongError
from schemas.registry import RegisteredSchema, fingerprint

_LONG: Final = range(-(2**63), 2**63)


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A record ready to be sent."""

    topic: str
    key: bytes
    value: bytes
    headers: list[tuple[str, bytes]]
    timestamp_ms: int


class CannotEncode(Exception):
    """A row does not fit its contract; it cannot be published under this schema.

    Attributes:
        column: where; never what it holds.
        rule: what is broken: ``column_missing``, ``type_mismatch``, ``utf8_invalid`` or ``image_unreadable``.
    """

    def __init__(self, column: str, rule: str) -> None:
        super().__init__(f"{column}: {rule}")
        self.column = column
        self.rule = rule


class Encoder:
    """Encodes the changes of one dataset.

    Args:
        contract: what the dataset promises.
        registered: the schema that readers find under its id.
        connector: kind of the agency's database.
        database: its name.

    Raises:
        LienthongError: the contract has columns or types that the registered schema does not have.
    """

    def __init__(
        self, contract: Contract, registered: RegisteredSchema, *, connector: str, database: str
    ) -> None:
        if fingerprint(contract.envelope_schema) != registered.sha256:
            raise LienthongError(
                f"{contract.id}: its columns are not those of schema {registered.id}, the newest of"
                f" {contract.subject}",
                next_step="run: lienthong contracts register",
            )
        self.topic = contract.topic
        self._header = b"\x00" + registered.id.to_bytes(4, "big")
        self._schema = fastavro.parse_schema(registered.schema)
        # Naming the union's branch spares fastavro a search that costs as much as the encoding itself.
        self._value = f"{contract.topic}.Value"
        self._columns: list[tuple[str, Callable[[Any], Any]]] = [
            *((name, HOLDERS[avro]) for name, avro in contract.columns.items()),
            *((name, partial(as_lines, one)) for name, one in contract.lines.items()),
        ]
        self._lines = contract.lines
        #: Columns of images encoded since somebody cleared this, that the contract does not have.
        self.left_out: set[str] = set()
        self._fingerprint = ("schema-sha256", registered.sha256.encode())
        self._source = {
            "version": _our_version(),
            "connector": connector,
            "name": contract.system,
            "db": database,
            "table": contract.table,
            "dataset": contract.dataset,
        }

    def encode(self, change: Change, *, now_ms: int) -> Outgoing:
        """The record of one change. Raises ``CannotEncode`` if the row does not fit the contract."""
        source = {
            **self._source,
            "ts_ms": change.changed_ms,
            "snapshot": "true" if change.op == "r" else "false",
            "seq": change.seq,
        }
        envelope = {
            "before": self._image(change.before),
            "after": self._image(change.after),
            "source": source,
            "op": change.op,
            "ts_ms": now_ms,
        }
        body = io.BytesIO()
        body.write(self._header)
        try:
            fastavro.schemaless_writer(body, self._schema, envelope)
            key = change.key.encode()
        except UnicodeEncodeError:
            raise CannotEncode(self._unreadable(change), "utf8_invalid") from None
        return Outgoing(
            topic=self.topic,
            key=key,
            value=body.getvalue(),
            headers=[self._fingerprint, ("seq", b"%d" % change.seq)],
            # A broker refuses times far in the future; an agency's clock may be wrong.
            timestamp_ms=min(change.changed_ms, now_ms),
        )

    def _image(self, image: str | None) -> tuple[str, dict[str, Any]] | None:
        if image is None:
            return None
        try:
            found = json.loads(image)
        except (ValueError, RecursionError):  # a number of thousands of digits, or depth, is refused too
            raise CannotEncode("every column", "image_unreadable") from None
        held: dict[str, Any] = {}
        for name, holder in self._columns:
            if name not in found:
                raise CannotEncode(name, "column_missing")
            value = found[name]
            try:
                held[name] = None if value is None else holder(value)
            except (ValueError, TypeError, OverflowError):
                raise CannotEncode(name, "type_mismatch") from None
        if len(found) > len(held):
            self.left_out |= found.keys() - held.keys()
        for name, one in self._lines.items():
            for line in found[name] or ():
                self.left_out.update(f"{name}.{column}" for column in line.keys() - one.columns.keys())
        return self._value, held

    def _unreadable(self, change: Change) -> str:
        """The column whose text is not Unicode."""
        for image in (change.before, change.after):
            for name, value in (json.loads(image) if image else {}).items():
                if isinstance(value, str) and not _is_unicode(value):
                    return str(name)
        return "the key"


def _text(value: Any) -> str:
    if type(value) is str:
        return value
    raise ValueError


def _long(value: Any) -> int:
    whole = int(value) if type(value) is float and value.is_integer() else value
    if type(whole) is int and whole in _LONG:
        return whole
    raise ValueError


def _double(value: Any) -> float:
    if type(value) is bool:
        raise ValueError
    return float(value)  # texts too: NaN, Infinity, and SQLite's 17 digits


def _boolean(value: Any) -> bool:
    if value in (0, 1):  # True == 1; SQLite has no booleans of its own
        return bool(value)
    raise ValueError


HOLDERS: Final[Mapping[str, Callable[[Any], Any]]] = {
    "string": _text,
    "long": _long,
    "double": _double,
    "boolean": _boolean,
}


def as_lines(one: LineSet, value: Any) -> str:
    """A set of lines as its one text on the wire: the same lines are always the same text."""
    if type(value) is not list:
        raise ValueError
    # A line that was written before the contract had a column does not know it: it is missing.
    lines = [
        {name: HOLDERS[avro](line[name]) for name, avro in one.columns.items() if line.get(name) is not None}
        for line in value
    ]
    return json.dumps(lines, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def _is_unicode(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _our_version() -> str:
    try:
        return version("lienthong")
    except PackageNotFoundError:  # run from a checkout
        return "unknown"
