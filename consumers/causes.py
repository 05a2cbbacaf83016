"""From an observation to one state for each dataset, with its cause. Pure: no clock, no memory of its own."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from consumers.observation import Dataset, Observation, Place
from consumers.states import STATES, Severity, State
from schemas.date_forms import VIETNAM
from schemas.reasons import Language

#: Unread data that retention deletes within so many hours are an alarm: a weekend's watch can still act.
RETENTION_HOURS = 24.0
STILL_SECONDS = 60.0  #: a worker whose ledger stands still for so long, with work to do, counts as dead
SLOW_STATEMENT_SECONDS = 5.0
SLOW_ANSWER_SECONDS = 3.0
WAITING_SECONDS = 30.0  #: a change that waits in an outbox for longer
GROWING = 100  #: changes that an outbox must have, to count as growing
SKEW_SECONDS = 2.0  #: as ``lienthong doctor`` has it
REFUSED_SHARE, REFUSED_CHANGES = 0.2, 3  #: of late changes; fewer are a clerk's matter
HOT_SHARE, HOT_CHANGES = 0.8, 500
DISK_SHARE = 0.9
UNLIKELY = 0.001

_CODES = {"code_unknown", "code_ambiguous", "code_not_valid_then", "code_successor_unknown"}
_SCHEMAS = {"schema_unknown", "schema_foreign", "fingerprint_mismatch", "header_missing"}

Details = Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The state of one dataset."""

    state: State
    details: Details  #: figures and names that the words of the state want

    @property
    def severity(self) -> Severity:
        """How urgent it is."""
        return STATES[self.state].severity

    def cause(self, language: Language) -> str:
        """What was found, in one sentence; "" if all is well."""
        return STATES[self.state].words(language).cause.format_map(self.details)

    def next_step(self, language: Language) -> str:
        """What to do."""
        return STATES[self.state].words(language).next_step.format_map(self.details)


def decide(dataset: Dataset, now: Observation, earlier: Sequence[Observation] = ()) -> Verdict:
    """The most urgent state that fits.

    Args:
        dataset: one of ``now``.
        earlier: the observations of the last minute, the oldest first; none: what needs two is not told.
    """
    before = next((one for seen in earlier[:1] for one in seen.datasets if one.id == dataset.id), None)
    looks = (*earlier, now)
    seen = _Seen(
        dataset=dataset,
        now=now,
        before=before,
        busy_seconds=max(one.store_busy_seconds or 0.0 for one in looks),
        answer_seconds=max(t.seconds or 0.0 for one in looks for t in one.targets if t.kind == "store"),
    )
    for state, fits in _TESTS:
        details = fits(seen)
        if details is not None:
            return Verdict(state=state, details={"system": dataset.system, "dataset": dataset.id, **details})
    return Verdict(state="healthy", details={})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    dataset: Dataset
    now: Observation
    before: Dataset | None
    #: Of the last minute. A worker that waits for a lock gives up now and then, and tries again.
    busy_seconds: float
    answer_seconds: float


def _broker_away(seen: _Seen) -> Details | None:
    if not any(hop.silent is None or hop.silent for hop in seen.dataset.hops):
        return None
    away = seen.now.away("broker")
    who = ", ".join(f"Kafka {one.name}" for one in away) or "Kafka"
    without = sum(hop.silent or 0 for hop in seen.dataset.hops)
    return {"who": who, "why": next((one.why for one in away if one.why), f"{without} × leader = -1")}


def _store_away(seen: _Seen) -> Details | None:
    return next(({"why": one.why} for one in seen.now.away("store")), None)


def _ends_soon(place: Place) -> bool:
    """Within a day, and a seventh of the time that the record is kept is over."""
    if place.hours_left is None:
        return False
    age_hours = (place.oldest_seconds or 0.0) / 3600
    return place.hours_left <= min(RETENTION_HOURS, 6 * age_hours)


def _retention(seen: _Seen) -> Details | None:
    ends = [
        (0.0 if place.lost else max(0.0, place.hours_left or 0.0), hop, place)
        for hop in seen.dataset.hops
        for place in hop.places
        if place.lost or _ends_soon(place)
    ]
    if not ends:
        return None
    hours, hop, place = min(ends, key=lambda one: one[0])
    return {"topic": hop.topic, "partition": place.partition, "hours": round(hours, 1), "lost": place.lost}


def _topic_missing(seen: _Seen) -> Details | None:
    return next(({"topic": hop.topic} for hop in seen.dataset.hops if hop.missing), None)


def _worker_dead(seen: _Seen) -> Details | None:
    for hop in seen.dataset.hops:
        still = any(_still(place) for place in hop.places)
        stuck = still and not _slow(seen) and seen.dataset.breaker is None
        if hop.group_members == 0 or stuck:
            members = hop.members or 0
            return {"group": hop.group, "members": members, "lag": hop.lag or 0, "topic": hop.topic}
    return None


def _still(place: Place) -> bool:
    """Something has waited for long, and meanwhile the ledger has not moved."""
    waits = min(place.oldest_seconds or 0.0, place.still_seconds or place.oldest_seconds or 0.0)
    return place.lag > 0 and waits > STILL_SECONDS


def _breaker_open(seen: _Seen) -> Details | None:
    one = seen.dataset.breaker
    return {"detail": one.detail, "field": one.field, "rule": one.rule} if one is not None else None


def _slow(seen: _Seen) -> bool:
    return seen.busy_seconds > SLOW_STATEMENT_SECONDS or seen.answer_seconds > SLOW_ANSWER_SECONDS


def _store_slow(seen: _Seen) -> Details | None:
    lag = sum(hop.lag or 0 for hop in seen.dataset.hops)
    if not lag or not _slow(seen):
        return None
    return {"busy": round(seen.busy_seconds, 1), "seconds": round(seen.answer_seconds, 1), "lag": lag}


def _published(seen: _Seen) -> bool | None:
    """Whether changes came from the agency since the look before; None: not known."""
    if seen.before is None:
        return None
    ends = [sum(place.end for place in one.hops[0].places) for one in (seen.before, seen.dataset)]
    return ends[1] > ends[0]


def _capture_stuck(seen: _Seen) -> Details | None:
    box = seen.dataset.outbox
    if box is None:
        return None
    waits = box.waiting and box.oldest_seconds > WAITING_SECONDS
    if box.in_place and not (waits and _published(seen) is False):
        return None
    triggers = "OK" if box.in_place else "–"
    return {"waiting": box.waiting, "oldest": round(box.oldest_seconds), "triggers": triggers}


def _refused(seen: _Seen, rules: set[str] | None) -> Details | None:
    """Late changes were refused, most of them for one of these rules; None: for any other."""
    late = seen.dataset.refused_lately
    refused = sum(late.values())
    changes = refused + seen.dataset.good_lately
    if refused < REFUSED_CHANGES or refused < REFUSED_SHARE * changes:
        return None
    kinds = {
        "code": sum(count for rule, count in late.items() if rule in _CODES),
        "schema": sum(count for rule, count in late.items() if rule in _SCHEMAS),
    }
    kinds["mapping"] = refused - sum(kinds.values())
    wanted = {"code": _CODES, "schema": _SCHEMAS}.get(max(kinds, key=lambda one: kinds[one]))
    if wanted != rules:
        return None
    rule = max((one for one in late if rules is None or one in rules), key=lambda one: late[one])
    return {"refused": refused, "changes": changes, "rule": rule}


def _outbox_growing(seen: _Seen) -> Details | None:
    box, before = seen.dataset.outbox, seen.before.outbox if seen.before is not None else None
    if box is None or before is None or box.waiting < GROWING or box.oldest_seconds < WAITING_SECONDS:
        return None
    growth = box.waiting - before.waiting
    if growth <= 0:
        return None
    return {"waiting": box.waiting, "growth": growth, "oldest": round(box.oldest_seconds)}


def _disk_full(seen: _Seen) -> Details | None:
    who, used = max(seen.now.disks.items(), key=lambda one: one[1], default=("", 0.0))
    return {"who": who, "used": round(100 * used)} if used > DISK_SHARE else None


def _clock_skew(seen: _Seen) -> Details | None:
    mine = {"store", seen.dataset.outbox.target if seen.dataset.outbox else ""}
    for one in seen.now.targets:
        if one.name in mine and abs(one.skew_seconds or 0.0) > SKEW_SECONDS:
            return {"who": one.name, "skew": round(one.skew_seconds or 0.0, 1)}
    for hop in seen.dataset.hops:
        ahead = (hop.newest - seen.now.at).total_seconds() if hop.newest is not None else 0.0
        if ahead > SKEW_SECONDS:
            return {"who": f"{hop.topic} (Kafka)", "skew": round(ahead, 1)}
    return None


def _hot_partition(seen: _Seen) -> Details | None:
    for hop in seen.dataset.hops:
        lag = hop.lag or 0
        if lag < HOT_CHANGES or len(hop.places) < 3:
            continue
        hottest = max(hop.places, key=lambda one: one.lag)
        if hottest.lag >= HOT_SHARE * lag:
            share = round(100 * hottest.lag / lag)
            return {"share": share, "lag": lag, "topic": hop.topic, "partition": hottest.partition}
    return None


def _behind(seen: _Seen) -> Details | None:
    promise = seen.dataset.promise.seconds
    for hop in seen.dataset.hops:
        oldest = hop.lag_seconds or 0.0
        if oldest > promise:
            told = {"topic": hop.topic, "lag": hop.lag or 0, "oldest": round(oldest)}
            return {**told, "promise": round(promise)}
    return None


def _agency_silent(seen: _Seen) -> Details | None:
    silence = seen.dataset.silence
    if silence is None or silence.unlikely >= UNLIKELY:
        return None
    since = silence.since.astimezone(VIETNAM).strftime("%d.%m.%Y %H:%M")
    return {"since": since, "unlikely": f"{100 * silence.unlikely:.2g}", "owner": seen.dataset.owner}


#: In the order of urgency: what is critical is never hidden behind a warning.
_TESTS: tuple[tuple[State, Callable[[_Seen], Details | None]], ...] = (
    ("broker_away", _broker_away),
    ("store_away", _store_away),
    ("retention", _retention),
    ("topic_missing", _topic_missing),
    ("worker_dead", _worker_dead),
    ("breaker_open", _breaker_open),
    ("capture_stuck", _capture_stuck),
    ("schema_unknown", lambda seen: _refused(seen, _SCHEMAS)),
    ("disk_full", _disk_full),
    ("store_slow", _store_slow),
    ("code_unknown", lambda seen: _refused(seen, _CODES)),
    ("mapping_refuses", lambda seen: _refused(seen, None)),
    ("outbox_growing", _outbox_growing),
    ("clock_skew", _clock_skew),
    ("hot_partition", _hot_partition),
    ("behind", _behind),
    ("agency_silent", _agency_silent),
)
