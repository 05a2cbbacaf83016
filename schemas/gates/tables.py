"""Tables in Markdown."""

from collections.abc import Sequence


def markdown_row(texts: Sequence[str]) -> str:
    """One row; a bar or a new line inside a text does not end its cell."""
    return f"| {' | '.join(' '.join(text.replace('|', chr(92) + '|').split()) for text in texts)} |"
