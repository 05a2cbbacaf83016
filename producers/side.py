"""The source side of a comparison: ``schemas.sides.SourceSide`` over an agency's database."""

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from threading import Event
from typing import Any

from producers.clock import SystemClock
from producers.opening import open_rows
from producers.outbox import Capture
from producers.rows import Frame, Rows, typed
from producers.snapshot import Tell, part_by_part, write_on
from schemas.contracts import Contract
from schemas.errors import LienthongError
from schemas.sides import Newest, SourceRows
from schemas.sums import Sums, row_texts


class Side:
    """See ``SourceSide``. ``tell``: says to a person what is waited for."""

    def __init__(self, rows: Rows, contract: Contract, tell: Tell) -> None:
        self.contract = contract
        self._rows = rows
        self._capture = Capture.of(contract)
        self._tell = tell
        self.captured = rows.captured(self._capture)

    def sums(self) -> Sums:
        return self._rows.sums(self._capture)

    def rows(self, buckets: Collection[str] | None = None) -> Iterator[SourceRows]:
        for frame in self._rows.frames(self._capture, buckets):
            yield self._told(frame)

    def look(self, keys: Sequence[str]) -> tuple[SourceRows, Mapping[str, Newest]]:
        looked = self._rows.look(self._capture, keys)
        return self._told(looked.frame), looked.newest

    def send(self, keys: Sequence[str]) -> int:
        return self._sent(keys, lambda part: self._rows.send(self._capture, part))

    def send_deletes(self, images: Mapping[str, Mapping[str, Any]]) -> int:
        told = {key: json.dumps(image, ensure_ascii=False) for key, image in images.items()}

        def send(part: Sequence[str]) -> int:
            return self._rows.send_deletes(self._capture, {key: told[key] for key in part})

        return self._sent(told, send)

    def close(self) -> None:
        self._rows.close()

    def _told(self, frame: Frame) -> SourceRows:
        records, unfit = typed(self._capture, frame)
        return SourceRows(
            keys=frame.rows["key"].to_list(),
            texts=row_texts(frame.rows).to_list(),
            records=records.drop("key"),
            unfit=unfit,
        )

    def _sent(self, keys: Iterable[str], send: Callable[[Sequence[str]], int]) -> int:
        if not self.captured:
            raise LienthongError(
                f"{self.contract.id} is not captured in this database: nothing can be sent",
                next_step=f"run: lienthong capture install {self.contract.id}",
            )
        return write_on(
            part_by_part(keys, send),
            self._rows.waiting,
            progress=lambda _: None,
            tell=self._tell,
            clock=SystemClock(),
            stop=Event(),
        )


def open_side(source: str, contract: Contract, tell: Tell) -> Side:
    """Open an agency's database for the comparison of one dataset.

    Raises ``SettingsError`` if no port speaks to such a database, ``TryAgain`` if it does not answer.
    """
    return Side(open_rows(source), contract, tell)
