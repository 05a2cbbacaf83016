"""The look of a monitor in SQL, alike on PostgreSQL and SQLite; see ``consumers.store_look``."""

from abc import ABC
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar

import sqlalchemy as sa

from consumers import ddl
from consumers.readings import ledger_row
from consumers.repairs import Breaker
from consumers.sql_repairs import RepairingStore
from consumers.store import LedgerRow
from consumers.store_look import Source, StoreLook

#: So many answers, the newest, are read for what happened lately.
_LATELY = 5_000
_GOOD = ("applied", "stale", "passed")


class LookingStore(RepairingStore, ABC):
    """A store that a monitor may look at."""

    hour_ago: ClassVar[str]
    clock: ClassVar[str]  #: SQL of the present, also within a transaction
    #: SQL of the seconds that the longest statement of a worker has been running; of the limits of a look.
    longest: ClassVar[str] = "0"
    limits: ClassVar[str] = ""

    def look(self, deployments: Sequence[str]) -> StoreLook:
        """See ``consumers.store_look.WatchedStore``."""
        with self._transaction() as connection:
            if self.limits:
                connection.exec_driver_sql(self.limits)
            ledgers, breakers = _kept(connection, deployments)
            open_rejects = _by_rule(connection, [])
            newest = sa.select(sa.func.coalesce(sa.func.max(ddl.reject.c.id), 0)).scalar_subquery()
            lately = [ddl.reject.c.id > newest - _LATELY, ddl.reject.c.at > sa.text(self.hour_ago)]
            refused = _by_rule(connection, lately)
            good = _good(connection, self.hour_ago)
            longest = connection.execute(sa.text(f"SELECT {self.longest}")).scalar_one()
            at: datetime = connection.execute(
                sa.select(sa.literal_column(self.clock, ddl.Moment))
            ).scalar_one()
        return StoreLook(
            at=at,
            ledgers=ledgers,
            breakers=breakers,
            open_rejects=open_rejects,
            refused_lately=refused,
            good_lately=good,
            longest_seconds=float(longest),
        )


def _kept(
    connection: sa.Connection, deployments: Sequence[str]
) -> tuple[Mapping[str, list[LedgerRow]], Mapping[str, list[Breaker]]]:
    ledgers: dict[str, list[LedgerRow]] = {name: [] for name in deployments}
    breakers: dict[str, list[Breaker]] = {name: [] for name in deployments}
    for row in connection.execute(sa.select(ddl.ledger).where(ddl.ledger.c.deployment.in_(deployments))):
        ledgers[row.deployment].append(ledger_row(row))
    for paused in connection.execute(
        sa.select(ddl.breaker).where(ddl.breaker.c.deployment.in_(deployments))
    ).mappings():
        told = dict(paused)
        breakers[told.pop("deployment")].append(Breaker(**told))
    return ledgers, breakers


def _by_rule(
    connection: sa.Connection, only: Sequence[sa.ColumnElement[Any]]
) -> Mapping[Source, Mapping[str, int]]:
    c = ddl.reject.c
    query = sa.select(c.system, c.dataset, c.rule, sa.func.count()).where(c.became.is_(None), *only)
    found: dict[Source, dict[str, int]] = {}
    for system, dataset, rule, count in connection.execute(query.group_by(c.system, c.dataset, c.rule)):
        found.setdefault((system, dataset), {})[rule] = count
    return found


def _good(connection: sa.Connection, since: str) -> Mapping[Source, int]:
    c = ddl.receipt.c
    columns = (c.system, c.dataset, c.outcome, c.how_many, c.at)
    newest = sa.select(*columns).order_by(c.id.desc()).limit(_LATELY).subquery().c
    query = sa.select(newest.system, newest.dataset, sa.func.sum(newest.how_many))
    query = query.where(newest.outcome.in_(_GOOD), newest.at > sa.text(since))
    rows = connection.execute(query.group_by(newest.system, newest.dataset))
    return {(system, dataset): int(count) for system, dataset, count in rows}
