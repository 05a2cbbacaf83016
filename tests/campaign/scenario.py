"""One scenario from its plan to its verdict.

The oracle (``deploy.demo.oracle``) knows each record's national form from its generator and shares no code
with the road. Doubles are counted on the ungated effect log: the version gate would hide them.
"""

import io
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, cast

import fastavro
from sqlalchemy import create_engine, text

from deploy.demo.changes import Register
from deploy.demo.observe import SYSTEM, Observer, numbers
from deploy.demo.oracle import Check, Oracle, compare
from deploy.demo.stage import ROOT
from deploy.demo.supervisor import Supervisor, command_line, environment
from schemas.registry import RECEIPT_SUBJECT
from tests.campaign.faults import Struck, Trouble
from tests.campaign.ground import Ground, Scene
from tests.campaign.plan import CLOCK_SECONDS, Plan
from tests.campaign.traffic import Answers, Traffic
from tests.road import wait_for
from tests.topics import every_record

SETTLE_SECONDS: Final = 300.0
RESTARTS_ALLOWED: Final = 100
#: The demo sends late versions on purpose and counts them; here copies come at any time.
UNTOLD: Final = "older versions that came late changed nothing"
#: What the oracle's checks mean in the four words of the verdict; any other failure is told by its name.
VERDICTS: Final = {
    "lost": (
        "every change was captured, numbered without gaps",
        "every entry in force stands in the store, and no other",
        "what is gone is a tombstone that keeps its values",
    ),
    "doubled": ("each national record took effect exactly once", "nobody stands in the register twice"),
    "stale wins": ("the newest version won everywhere",),
    "unanswered": ("every sequence number has an answer", "the publisher was told every answer"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovery:
    """How long after a fault was over all that had been committed by then was answered."""

    what: str
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What came of a scenario."""

    plan: Plan
    changes: int
    seconds: float
    recoveries: list[Recovery]
    checks: list[Check]

    @property
    def failed(self) -> list[Check]:
        """What differs from the oracle."""
        return [check for check in self.checks if not check.passed]

    def count(self, verdict: str) -> int:
        """How many are ``lost``, ``doubled``, …: see ``VERDICTS``."""
        return sum(check.wrong for check in self.checks if check.name in VERDICTS[verdict])


def play(ground: Ground, plan: Plan) -> Result:
    """Play a scenario to its end. Raises if it cannot be judged: a program hopeless, or never calm again."""
    begun = time.monotonic()
    with ground.scene(plan.seed) as scene:
        result = _play(ground, scene, plan, begun)
        if result.failed:
            raise Failed(result)
    return result


class Failed(AssertionError):
    """The road left something else behind than the oracle knows."""

    def __init__(self, result: Result) -> None:
        self.result = result
        super().__init__("\n".join(f"{check.name}: {check.detail}" for check in result.failed))


def _play(ground: Ground, scene: Scene, plan: Plan, begun: float) -> Result:
    started_at = datetime.now(UTC) - timedelta(seconds=CLOCK_SECONDS)
    addresses, oracle = scene.addresses, Oracle()
    crew = Supervisor(
        scene.folder / "run",
        scene.folder / "logs",
        ROOT,
        lambda text: None,
        restarts_allowed=RESTARTS_ALLOWED,
    )
    observer = Observer(store=addresses.store, source=addresses.source, broker=addresses.broker)
    traffic = Traffic(
        Register(plan.births, plan.seed),
        oracle,
        addresses.source_libpq,
        at_least=plan.changes,
        pace=plan.pace,
    )
    answers = Answers(addresses.store)
    trouble = Trouble(ground, scene, crew, traffic, observer)
    try:
        for name, words in {"capture": ("capture", "run"), **plan.crew}.items():
            named = () if name == "capture" else ("--name", name)
            crew.start(name, command_line(*words, *named), environment(scene.settings))
        traffic.fill()
        answers.start()
        wait_for("the first answer", lambda: answers.up_to, seconds=SETTLE_SECONDS)
        traffic.start()
        trouble.play(plan.faults)
        traffic.finish()
        _wait_until_calm(crew, observer, answers, traffic.written)
        checks = compare(oracle, observer.everything(started_at))
        checks.append(_published(ground, addresses.store, addresses.broker))
    finally:
        answers.finish()
        crew.close(grace_seconds=0)
        observer.close()
    return Result(
        plan=plan,
        changes=traffic.written,
        seconds=time.monotonic() - begun,
        recoveries=[_recovery(one, answers) for one in trouble.struck],
        checks=[check for check in checks if check.name != UNTOLD],
    )


def _wait_until_calm(crew: Supervisor, observer: Observer, answers: Answers, written: int) -> None:
    def calm() -> bool:
        crew.check()
        return answers.up_to >= written and observer.unread() == 0

    wait_for(f"{written} changes answered", calm, seconds=SETTLE_SECONDS, every=0.2)


def _recovery(struck: Struck, answers: Answers) -> Recovery:
    moment = answers.since(struck.written)
    assert moment is not None
    return Recovery(what=f"{struck.fault.kind} {_role(struck)}", seconds=max(0.0, moment - struck.over_at))


def _role(struck: Struck) -> str:
    """Programs by what they do, not by name."""
    target = struck.fault.target
    return "worker" if target[-1].isdigit() or target == "extra" else target


def _published(ground: Ground, store: str, broker: str) -> Check:
    """What the publisher reads in its topic says the same of the same numbers as the store."""
    engine = create_engine(store)
    waiting = text("SELECT count(*) FROM lienthong_receipt WHERE published_at IS NULL")
    rows = text("SELECT format, outcome, seqs FROM lienthong_receipt WHERE system = :system")
    with engine.connect() as connection:
        wait_for(
            "answers are published",
            lambda: not connection.execute(waiting).scalar_one(),
            seconds=SETTLE_SECONDS,
        )
        found = connection.execute(rows, {"system": SYSTEM}).all()
    engine.dispose()
    due = {(layout, outcome, number) for layout, outcome, seqs in found for number in numbers(seqs)}
    told = _read_receipts(broker, ground.library.registry.current(RECEIPT_SUBJECT).schema)
    wrong = len(told ^ due)
    detail = f"{wrong} of {len(due)} answers differ" if wrong else f"{len(due)} answers"
    return Check("the publisher was told every answer", not wrong, detail, wrong)


def _read_receipts(broker: str, schema: Any) -> set[tuple[str, str, int]]:
    """Format, outcome and number of all answers."""
    told: set[tuple[str, str, int]] = set()
    parsed = fastavro.parse_schema(schema)
    for record in every_record(broker, f"receipts.{SYSTEM}", seconds=SETTLE_SECONDS):
        body = io.BytesIO(record.value[5:])
        receipt = cast(dict[str, Any], fastavro.schemaless_reader(body, parsed, None))
        what = str(receipt["format"]), str(receipt["outcome"])
        told.update((*what, number) for number in numbers(receipt["seqs"]))
    return told
