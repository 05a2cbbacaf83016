"""Compares one dataset of a source with the national store, and sends what differs by the ordinary road.

What one bucket of the source is translated to is kept (``Known``). As long as the bucket's sum, built by
the source's database, stays what it was, its translation does too, and the kept national sum is compared
with what the store's database says. Only buckets that changed are translated anew, and only buckets in
which the two sides differ are read on both.
"""

import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import polars as pl

from consumers.judging import Judge
from consumers.proofs import Known, Proof, ProofStore
from consumers.receipts import Left
from schemas.differences import Difference, Kind, Made, compare, made_of, together
from schemas.inverse import images_of
from schemas.library import Library
from schemas.mapping import Translator
from schemas.sides import SourceSide
from schemas.sums import Adding, Sum, Sums, bucket_of, lots, row_texts, unequal

#: Part of what kept sums follow: counted up when a row's text or its hash is made in another way, or when a
#: contract is followed in another way.
_METHOD = "4"
_LOT_ROWS = 50_000
_LOOK_AT_ONCE = 10_000
#: A source without an outbox does not tell what is on its way, nor do answers of another format: what differs
#: is looked at once more.
LOOK_AGAIN_SECONDS = 10.0
DRIFT: tuple[Kind, ...] = ("missing", "extra", "different")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """What a repair sent, or would send."""

    records: int  #: sent as they are now
    deletes: int
    kept_back: int  #: deletes that were not asked for
    untold: int  #: deletes whose national key the source cannot tell


class Comparison:
    """One comparison. Use ``differences`` to its end, then ``prove``.

    Args:
        side: the source.
        store: the national store.
        library: with the contract and its formats.
        fingerprint: of all that its translation follows, see ``schemas.library``.
    """

    def __init__(self, side: SourceSide, store: ProofStore, library: Library, fingerprint: str) -> None:
        self._side, self._store = side, store
        self._contract = side.contract
        self._formats = [library.formats[target.format] for target in self._contract.targets]
        self._translator = Translator(self._contract, library)
        self._fingerprint = f"{_METHOD}:{fingerprint}"
        self._whose = (self._contract.system, self._contract.dataset)
        self._began = time.monotonic()
        topics = [self._contract.topic, *(one.topic for one in self._formats)]
        self._refused = store.refused(*self._whose, topics)
        self._last: dict[str, str] = {}  #: last images of records that are gone
        self._counts: Counter[Kind] = Counter()
        self.in_flight_since_ms = 0  #: of the oldest change on its way; 0: none is known
        self._known: dict[str, Known] = {}
        self._rows: Counter[str] = Counter()  #: by bucket, of the side that has more
        self._new: set[str] = set()
        self._unanswered: set[str] = set()  #: buckets with a refused record that has no reject
        self._gone: set[str] = set()
        self._translated_rows = 0
        self._refused_rows = 0
        self._in_flight = 0
        self._differing_rows = 0

    # --- comparing -----------------------------------------------------------------------------------

    def differences(self, *, full: bool = False) -> Iterator[list[Difference]]:
        """What differs, part by part; empty if nothing does. ``full``: translate every record."""
        differing = self._differing(full)
        for lot in lots(sorted(differing), self._rows, _LOT_ROWS):
            keys = self._candidates(lot)
            for start in range(0, len(keys), _LOOK_AT_ONCE):
                found = self._looked(keys[start : start + _LOOK_AT_ONCE])
                self._counts.update(one.kind for one in found)
                since = [one.since_ms for one in found if one.kind == "in_flight" and one.since_ms]
                self.in_flight_since_ms = min(
                    [self.in_flight_since_ms, *since], key=lambda ms: ms or sys.maxsize
                )
                # Records, and not what differs of them format by format; a record is in one part only.
                self._in_flight += _records(found, "in_flight")
                self._differing_rows += _records(found, *DRIFT)
                self._refused_rows += _records(found, "refused")
                # Those that the contract refuses were counted with their bucket.
                self._refused_rows -= len({one.source_key for one in found if one.rule})
                if found:
                    yield found

    def prove(self) -> Proof:
        """Keep what was found; ``differences`` must be at its end."""
        system, dataset = self._whose
        proof = Proof(
            system=system,
            dataset=dataset,
            at=datetime.now(UTC),
            took_ms=round((time.monotonic() - self._began) * 1000),
            rows=sum(one.source.rows for one in self._known.values()),
            translated=self._translated_rows,
            missing=self._counts["missing"],
            extra=self._counts["extra"],
            different=self._counts["different"],
            refused=self._refused_rows,
            in_flight=self._in_flight,
            differing=self._differing_rows,
        )
        known = [self._known[name] for name in self._new - self._unanswered if name in self._known]
        self._store.keep(proof, self._fingerprint, known, self._unanswered | self._gone)
        return proof

    def _differing(self, full: bool) -> set[str]:
        """The buckets in which the store does not hold what the source gives."""
        kept = [] if full else self._store.known(*self._whose, self._fingerprint)
        with ThreadPoolExecutor(max_workers=1) as beside:
            stored = beside.submit(self._stored_sums)
            known = self._expected({one.bucket: one for one in kept})
        differing = set(self._unanswered)
        self._rows.update({name: one.source.rows for name, one in known.items()})
        for full_id, sums in stored.result().items():
            for name, one in sums.items():
                self._rows[name] = max(self._rows[name], one.rows)
            expected = {name: one.national[full_id] for name, one in known.items()}
            differing |= unequal({name: one for name, one in expected.items() if one.rows}, sums)
        self._known = known
        self._refused_rows = sum(one.refused for one in known.values())
        return differing

    def _stored_sums(self) -> dict[str, Sums]:
        return {one.full_id: self._store.national_sums(one, *self._whose) for one in self._formats}

    def _expected(self, known: dict[str, Known]) -> dict[str, Known]:
        """What each bucket of the source is and gives now; ``known``: what was kept."""
        changed = None
        if known:
            now = self._side.sums()
            changed = unequal(now, {name: one.source for name, one in known.items()})
            known = {name: one for name, one in known.items() if name not in changed}
        if changed is None or changed:
            known |= self._translate(changed)
        self._gone = (changed or set()) - known.keys()
        return known

    def _translate(self, buckets: set[str] | None) -> dict[str, Known]:
        """What buckets of the source are, or all of it, and what they are translated to."""
        source, refused = Adding(), Counter[str]()
        national = {one.full_id: Adding() for one in self._formats}
        for rows in self._side.rows(buckets):
            mine = [bucket_of(key) for key in rows.keys]
            source.add(mine, rows.texts)
            made = made_of(rows, self._translator, self._formats)
            for full_id, frame in made.national.items():
                texts = row_texts(frame.drop("__row")).to_list()
                national[full_id].add((mine[row] for row in frame["__row"].to_list()), texts)
            for key in made.refused:
                refused[bucket_of(key)] += 1
                if key not in self._refused:
                    self._unanswered.add(bucket_of(key))
            self._translated_rows += len(rows.keys)
        sums = {full_id: adding.sums() for full_id, adding in national.items()}
        known = {
            name: Known(
                bucket=name,
                source=one,
                refused=refused[name],
                national={full_id: mine.get(name, Sum()) for full_id, mine in sums.items()},
            )
            for name, one in source.sums().items()
        }
        self._new = set(known)
        return known

    def _candidates(self, buckets: Sequence[str]) -> list[str]:
        """The source keys of records that differ, or did at least while they were read."""
        stored = {
            one.full_id: pl.concat(self._store.national_rows(one, *self._whose, buckets=buckets))
            for one in self._formats
        }
        keys: list[str] = []
        parts: list[Made] = []
        for rows in self._side.rows(set(buckets)):
            keys += rows.keys
            parts.append(made_of(rows, self._translator, self._formats))
        # Those of new buckets were counted when they were translated for their sums.
        self._translated_rows += sum(bucket_of(key) not in self._new for key in keys)
        made = together(parts, self._formats)
        found: dict[str, None] = {}
        for national in self._formats:
            differing = compare(national, made, keys, stored[national.full_id].drop("lt_deleted"))
            found |= dict.fromkeys(one.source_key for one in differing if not self._is_answered(one))
        return list(found)

    def _is_answered(self, one: Difference) -> bool:
        """A record that the contract refuses, that has a reject, and of which the store holds nothing."""
        return bool(one.rule) and one.kind == "missing" and one.source_key in self._refused

    # --- looking at single records -------------------------------------------------------------------

    def _looked(self, keys: Sequence[str]) -> list[Difference]:
        found, unsure = self._look(keys)
        if found and (unsure or not self._side.captured):
            time.sleep(LOOK_AGAIN_SECONDS)
            again = {(one.format, one.source_key): one for one in self._look(keys)[0]}
            found = [one for one in found if again.get((one.format, one.source_key)) == one]
        return found

    def _look(self, keys: Sequence[str]) -> tuple[list[Difference], bool]:
        """What differs of these records, told apart, and whether some of it is unsure.

        In this order: the source, its answers, the store.
        A change that the source had made and that is answered is in the store by the time that is read.
        """
        rows, newest = self._side.look(keys)
        judge = Judge(self._store.answers(*self._whose), self._store.gaps(*self._whose))
        made = made_of(rows, self._translator, self._formats)
        found: list[Difference] = []
        unsure = False
        for national in self._formats:
            stored = pl.concat(self._store.national_rows(national, *self._whose, keys=keys))
            seqs = dict(stored.group_by("lt_source_key").agg(pl.col("lt_seq").max()).rows())
            in_force = stored.filter(~pl.col("lt_deleted")).drop("lt_deleted")
            for one in compare(national, made, rows.keys, in_force):
                last = newest.get(one.source_key)
                if not one.there and last is not None and last.image is not None:
                    self._last[one.source_key] = last.image
                kind = judge.kind(one, last, seqs.get(one.source_key), self._refused.get(one.source_key))
                unsure |= judge.is_unsure(one, last)
                found.append(replace(one, kind=kind, since_ms=last.changed_ms if last is not None else None))
        return found, unsure

    # --- repairing -----------------------------------------------------------------------------------

    def repair(self, found: Sequence[Difference], *, deletes: bool, send: bool) -> Sent:
        """Send what differs by the ordinary road. Nothing is written to the store but keys that are left.

        Args:
            found: of ``differences``.
            deletes: also what takes a record out of force.
            send: False: only count.
        """
        drift = [one for one in found if one.kind in DRIFT]
        wanted = [one for one in drift if one.kind != "extra" or deletes]
        records = list(dict.fromkeys(one.source_key for one in wanted if one.there))
        gone: dict[str, list[Difference]] = {}
        for one in wanted:
            if not one.there:
                gone.setdefault(one.source_key, []).append(one)
        images = images_of(self._contract, self._translator, gone, self._last)
        sent = deleted = 0
        if send:
            self._note_left(wanted)
            sent = self._side.send(records) if records else 0
            deleted = self._side.send_deletes(images) if images else 0
        return Sent(
            records=sent if send else len(records),
            deletes=deleted if send else len(images),
            kept_back=len(drift) - len(wanted),
            untold=len(gone) - len(images),
        )

    def _note_left(self, wanted: Sequence[Difference]) -> None:
        """Records that stand under a national key that is not theirs leave it with what is sent of them."""
        system, dataset = self._whose
        left = [
            Left(
                system=system,
                dataset=dataset,
                source_key=one.source_key,
                format=one.format,
                key=one.stored_key,
            )
            for one in wanted
            if one.there and one.stored_key is not None
        ]
        if left:
            self._store.note_left(left)


def _records(found: Sequence[Difference], *kinds: Kind) -> int:
    return len({one.source_key for one in found if one.kind in kinds})
