"""Who looks on during a soak: answers that come late or are no good, programs that end, memory that grows."""

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import median
from subprocess import Popen
from typing import Final

import psutil

from deploy.demo.observe import numbers
from tests.road import Road

#: As long may a change wait for its answer: the promise that a contract makes if it says nothing else.
LATE_SECONDS: Final = 60.0
#: A receipt may be committed after one with a higher id; it is looked for this far back.
LATE_IDS: Final = 500
#: Memory is flat if it grew less between the second and the last fifth of the time.
FLAT_MB: Final = 32.0
FIFTHS: Final = 5
#: The monitor's metric of the one state that a dataset is in.
STATE: Final = re.compile(r"^lienthong_system_state\{(.*)\} 1\.0$", re.MULTILINE)
LABEL: Final = re.compile(r'(\w+)="([^"]*)"')


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """Something an operator would be called for."""

    seconds: float  #: since the beginning
    text: str


@dataclass(slots=True, kw_only=True)
class Memory:
    """What one process held, in MB, from time to time."""

    samples: list[float] = field(default_factory=list)

    @property
    def growth(self) -> float:
        """Of the median, from the second to the last fifth of the time; 0 while that says little."""
        part = len(self.samples) // FIFTHS
        return median(self.samples[-part:]) - median(self.samples[part : 2 * part]) if part else 0.0


@dataclass
class Watch:
    """Knows what was published and reads what was answered; shares no figure with the road."""

    road: Road
    waiting: dict[str, dict[int, float]] = field(default_factory=dict)  #: dataset -> number -> published at
    delays: list[float] = field(default_factory=list)  #: seconds to the answer, looked at each second
    alarms: list[Alarm] = field(default_factory=list)
    memory: dict[str, Memory] = field(default_factory=dict)
    begun: float = field(default_factory=time.monotonic)
    _last_id: int = 0
    _late: set[str] = field(default_factory=set)
    _ended: set[str] = field(default_factory=set)
    _states: set[tuple[str, str]] = field(default_factory=set)

    def published(self, dataset: str, seq: int) -> None:
        """A change is on its way."""
        self.waiting.setdefault(dataset, {})[seq] = time.monotonic()

    @property
    def unanswered(self) -> int:
        """Changes without an answer."""
        return sum(map(len, self.waiting.values()))

    def look(self) -> None:
        """What was answered since; what is late."""
        query = (
            "SELECT id, system || '/' || dataset, outcome, seqs, rule FROM lienthong_receipt"
            " WHERE id > :last ORDER BY id"
        )
        now = time.monotonic()
        for id_, dataset, outcome, seqs, rule in self.road.query(query, last=self._last_id - LATE_IDS):
            self._last_id = max(self._last_id, id_)
            waits = self.waiting.get(dataset, {})
            answered = [waits.pop(seq) for seq in numbers(seqs) if seq in waits]
            self.delays += [now - moment for moment in answered]
            if outcome != "applied" and answered:
                self.alarm(f"{dataset}: {outcome} {rule}".rstrip())
        for dataset, waits in self.waiting.items():
            late = bool(waits) and now - min(waits.values()) > LATE_SECONDS
            if late and dataset not in self._late:
                self.alarm(f"{dataset}: {len(waits)} changes, the oldest unanswered for {LATE_SECONDS:.0f} s")
            (self._late.add if late else self._late.discard)(dataset)

    def processes(self, processes: Mapping[str, Popen[bytes]]) -> None:
        """Whether all run, and what memory they hold."""
        for name, process in processes.items():
            if process.poll() is None:
                held = psutil.Process(process.pid).memory_info().rss / 2**20
                self.memory.setdefault(name, Memory()).samples.append(held)
            elif name not in self._ended:
                self._ended.add(name)
                self.alarm(f"{name} ended with exit status {process.returncode}")

    def states(self, page: str) -> None:
        """What the monitor says on its page: any dataset that is in another state than healthy."""
        there = {
            (f"{labels['system']}/{labels['dataset']}", labels["state"])
            for labels in (dict(LABEL.findall(line)) for line in STATE.findall(page))
        }
        for dataset, state in sorted(there - self._states):
            if state != "healthy":
                self.alarm(f"{dataset}: {state}, says the monitor")
        self._states = there
        if not there:
            self.alarm("the monitor says nothing of any dataset")

    def alarm(self, text: str) -> None:
        """Note it."""
        self.alarms.append(Alarm(seconds=time.monotonic() - self.begun, text=text))

    def finish(self) -> None:
        """What still waits is lost; memory that grew is an alarm."""
        for dataset, waits in self.waiting.items():
            if waits:
                self.alarm(f"{dataset}: {len(waits)} changes were never answered")
        for name, memory in self.memory.items():
            if memory.growth > FLAT_MB:
                self.alarm(f"{name}: memory grew by {memory.growth:.0f} MB")
