"""Events that are written as texts: examples, histories and deletions that a person wants."""

import polars as pl
import pytest

from schemas.events import event_frame, misfit


def test_a_boolean_is_written_true_or_false() -> None:
    after: list[dict[str, str | None]] = [{"con": "true"}, {"con": "false"}, {"con": None}]
    frame = event_frame([None] * 3, after, ["c"] * 3, {"con": "boolean"})
    assert frame["after"].struct.field("con").to_list() == [True, False, None]


@pytest.mark.parametrize("text", ["1", "TRUE", "yes", "0", ""])
def test_any_other_text_is_no_boolean(text: str) -> None:
    before, after = [None, None], [{"con": "true"}, {"con": text}]
    with pytest.raises(pl.exceptions.PolarsError):
        event_frame(before, after, ["c", "c"], {"con": "boolean"})
    assert misfit(before, after, {"con": "boolean"}) == (1, "con")
