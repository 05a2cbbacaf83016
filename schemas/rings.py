"""Things that wait for each other."""

from collections.abc import Iterable, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter


def ring(after: Mapping[str, Iterable[str]]) -> Sequence[str]:
    """Things that each come after the next, the first one again at the end; empty if there is none."""
    try:
        TopologicalSorter(after).prepare()
    except CycleError as error:
        return tuple(error.args[1])
    return ()
