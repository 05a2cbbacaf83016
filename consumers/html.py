"""HTML and SVG put together so that every text is escaped: only what these functions made is markup."""

from collections.abc import Callable
from html import escape

from schemas.reasons import Language


class Html(str):
    """Text that is markup already."""

    __slots__ = ()


def tag(element: str, /, *children: str, **attributes: str | int | float | None) -> Html:
    """``<element …>children</element>``. Texts are escaped; ``class_`` is ``class``, ``stroke_width`` is
    ``stroke-width``, and an attribute that is None is left out.
    """
    told = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(str(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    return Html(f"<{element}{told}>{together(*children)}</{element}>")


def alone(element: str, /, **attributes: str | int | float | None) -> Html:
    """An element that has no children and no end: ``<input …>``."""
    return Html(tag(element, **attributes).removesuffix(f"</{element}>"))


def together(*children: str) -> Html:
    """One after the other, escaped unless they are markup."""
    return Html("".join(one if isinstance(one, Html) else escape(one) for one in children))


def both(make: Callable[[Language], str], name: str = "span") -> Html:
    """The same in both languages; the page shows one of them."""
    return together(tag(name, make("vi"), lang="vi"), tag(name, make("en"), lang="en"))
