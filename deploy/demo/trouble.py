"""What may go wrong in the story, told with the place to look at."""

from pathlib import Path


class DemoError(Exception):
    """The story cannot go on.

    Attributes:
        log: the file that tells more; None if there is none.
    """

    def __init__(self, message: str, log: Path | None = None) -> None:
        super().__init__(message)
        self.log = log


def last_lines(log: Path, count: int = 12) -> str:
    """The end of a log, indented; empty if there is no such file."""
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return ""
    return "\n".join(f"    {line}" for line in lines[-count:])
