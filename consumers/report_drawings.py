"""The small drawings of the report, as SVG in the page: they need no script and print as they are."""

from collections.abc import Mapping, Sequence
from datetime import date

from consumers.html import Html, tag, together
from consumers.orphan_words import Level

#: Told by word and number as well, for those who print in grey.
COLOURS: Mapping[Level, str] = {
    "safe": "#1a7f4b",
    "watch": "#96700a",
    "risk": "#c2570c",
    "danger": "#b3201f",
    "unknown": "#6b7480",
}
_INK, _RULE = "#1f4e79", "#d5dbe3"


def bar(share: float, *, width: int = 120, height: int = 7) -> Html:
    """How much of something there is, 0 to 1."""
    full = round(width * min(1.0, max(0.0, share)), 1)
    return tag(
        "svg",
        tag("rect", width=width, height=height, rx=3, fill=_RULE),
        tag("rect", width=full, height=height, rx=3, fill=_INK),
        viewBox=f"0 0 {width} {height}",
        width=width,
        height=height,
        class_="bar",
        aria_hidden="true",
    )


def shares(counts: Mapping[Level, int], *, width: int = 1000, height: int = 26) -> Html:
    """How many databases are on each level, as one band."""
    total = sum(counts.values()) or 1
    parts: list[Html] = []
    at = 0.0
    for level, count in counts.items():
        size = width * count / total
        if count:
            parts.append(
                tag("rect", x=round(at, 1), width=round(size, 1), height=height, fill=COLOURS[level])
            )
            middle = round(at + size / 2, 1)
            parts.append(
                tag("text", str(count), x=middle, y=height - 8, text_anchor="middle", class_="count")
            )
        at += size
    return tag(
        "svg", *parts, viewBox=f"0 0 {width} {height}", class_="shares", role="img", aria_hidden="true"
    )


def trend(days: Sequence[tuple[date, int]], colour: str, *, width: int = 110, height: int = 26) -> Html:
    """The index of past days, 0 below and 100 above; days on which nobody looked are bridged."""
    first, last = days[0][0].toordinal(), days[-1][0].toordinal()
    span = max(1, last - first)
    points = [
        (
            round(3 + (width - 8) * (day.toordinal() - first) / span, 1),
            round(height - 3 - (height - 6) * value / 100, 1),
        )
        for day, value in days
    ]
    line = " ".join(f"{x},{y}" for x, y in points)
    x, y = points[-1]
    return tag(
        "svg",
        tag("line", x1=0, x2=width, y1=height - 3, y2=height - 3, stroke=_RULE, stroke_width=1),
        tag("line", x1=0, x2=width, y1=3, y2=3, stroke=_RULE, stroke_width=1, stroke_dasharray="2 3"),
        tag("polyline", points=line, fill="none", stroke=colour, stroke_width=1.6, stroke_linejoin="round"),
        tag("circle", cx=x, cy=y, r=2.4, fill=colour),
        viewBox=f"0 0 {width} {height}",
        width=width,
        height=height,
        class_="trend",
        aria_hidden="true",
    )


def course(days: Sequence[tuple[date, int]], *, width: int = 420, height: int = 120) -> Html:
    """The mean of all databases, day by day, with its two axes."""
    left, right, top, bottom = 28, 8, 8, 18
    first, last = days[0][0].toordinal(), days[-1][0].toordinal()
    span = max(1, last - first)
    wide, high = width - left - right, height - top - bottom

    def place(day: date, value: float) -> tuple[float, float]:
        return (
            round(left + wide * (day.toordinal() - first) / span, 1),
            round(top + high * (1 - value / 100), 1),
        )

    lines: list[Html] = []
    for value in (0, 25, 50, 75, 100):
        _, y = place(days[0][0], value)
        lines.append(tag("line", x1=left, x2=width - right, y1=y, y2=y, stroke=_RULE, stroke_width=1))
        lines.append(tag("text", str(value), x=left - 6, y=y + 3.5, text_anchor="end", class_="axis"))
    line = " ".join("{},{}".format(*place(day, value)) for day, value in days)
    x, y = place(*days[-1])
    ends = (
        tag("text", days[0][0].strftime("%d.%m.%Y"), x=left, y=height - 4, class_="axis"),
        tag(
            "text",
            days[-1][0].strftime("%d.%m.%Y"),
            x=width - right,
            y=height - 4,
            text_anchor="end",
            class_="axis",
        ),
    )
    drawn = (
        tag("polyline", points=line, fill="none", stroke=_INK, stroke_width=2, stroke_linejoin="round"),
        tag("circle", cx=x, cy=y, r=3.5, fill=_INK),
    )
    return tag(
        "svg",
        together(*lines, *drawn, *ends),
        viewBox=f"0 0 {width} {height}",
        class_="course",
        role="img",
        aria_hidden="true",
    )
