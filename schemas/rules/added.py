"""Kinds of rules that a province adds from a Python package of its own, by entry points."""

from functools import cache
from importlib.metadata import EntryPoint, entry_points
from inspect import isabstract

from schemas.errors import LienthongError
from schemas.rules.base import CHECKS, RULES, Rule, kind

#: The group of the entry points: each one's name is the kind's name in contracts, its object a ``Rule``.
GROUP = "lienthong.rules"


@cache
def load_added() -> None:
    """Make the added kinds known, once a process.

    Raises ``LienthongError`` that names the distribution if one cannot be imported, is no rule, or has the
    name of another kind; then none is added, for a road without a rule it needs must not start.
    """
    rules, checks = dict(RULES), dict(CHECKS)
    try:
        for entry in sorted(entry_points(group=GROUP), key=lambda one: (_distribution(one), one.name)):
            _add(entry)
    except LienthongError:
        for known, before in ((RULES, rules), (CHECKS, checks)):
            for name in known.keys() - before.keys():
                del known[name]
        raise


def _add(entry: EntryPoint) -> None:
    told = f"package {_distribution(entry)}: rule {entry.name} ({entry.value})"
    try:
        cls = entry.load()
        if not (isinstance(cls, type) and issubclass(cls, Rule)) or isabstract(cls):
            raise LienthongError(
                "it is no class of rules",
                next_step="name a subclass of schemas.rules.Rule or ColumnRule with a method columns",
            )
        kind(entry.name)(cls)
    except LienthongError as error:
        raise LienthongError(f"{told}: {error.message}", next_step=error.next_step) from None
    except Exception as error:  # whatever a package does while it is imported, people are told which one
        raise LienthongError(
            f"{told}: cannot be imported: {type(error).__name__}: {error}",
            next_step="correct the package and install it again, or uninstall it",
        ) from error


def _distribution(entry: EntryPoint) -> str:
    return f"{entry.dist.name} {entry.dist.version}" if entry.dist else "of unknown name"
