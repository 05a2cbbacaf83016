"""What a difference is: drift, or a change on its way, or something that has its answer. Pure."""

from collections.abc import Sequence

from consumers.proofs import Refused
from consumers.ranges import Ranges
from consumers.receipts import Answers
from schemas.differences import Difference, Kind
from schemas.sides import Newest


class Judge:
    """Knows what became of the changes of one dataset.

    Args:
        answers: of the dataset, for each format that has any.
        lost: numbers that never arrived, and are known not to be on their way.
    """

    def __init__(self, answers: Sequence[Answers], lost: Ranges) -> None:
        self._answers = {one.format: one for one in answers}
        self._known = {one.format: one.known for one in answers}
        self._lost = lost

    def kind(self, one: Difference, last: Newest | None, held: int | None, refused: Refused | None) -> Kind:
        """What it is.

        Args:
            one: as the two sides were compared.
            last: the record's newest change at the source; None: none is known there any more.
            held: number of the change that the store's row or tombstone came from; None: it has none.
            refused: the record's newest reject that is not mended.
        """
        if last is not None and self._on_its_way(one.format, last.seq, held):
            return "in_flight"
        if last is not None and last.seq is not None:
            answers = self._answers.get(one.format)
            if answers is not None and (last.seq in answers.rejected or last.seq in answers.parked):
                return "refused"
        newest = 0 if last is None or last.seq is None else last.seq
        if refused is not None and refused.seq >= newest and (held is None or refused.seq > held):
            return "refused"
        return one.kind

    def is_unsure(self, one: Difference, last: Newest | None) -> bool:
        """Whether it rests on another format's answer: a format just added, or one a moment behind."""
        return last is not None and last.seq is not None and self._before_format(one.format, last.seq)

    def _on_its_way(self, full_id: str, seq: int | None, held: int | None) -> bool:
        if seq is None:
            return True  # not even numbered
        if held is not None and held > seq:
            return True  # the store was read later, and knows more
        if seq in self._lost or seq in self._known.get(full_id, Ranges()):
            return False
        return not self._before_format(full_id, seq)

    def _before_format(self, full_id: str, seq: int) -> bool:
        """Whether a change was answered before its dataset fed this format: nobody will answer it here."""
        mine = self._known.get(full_id, Ranges())
        if seq in mine or (mine and seq > next(iter(mine))):
            return False
        return any(seq in known for other, known in self._known.items() if other != full_id)
