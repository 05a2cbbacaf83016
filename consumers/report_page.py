"""The report: one page that holds everything it needs, for the screen and for A4, in two languages."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from importlib.metadata import version
from importlib.resources import files

from consumers import orphans
from consumers.html import Html, alone, both, tag, together
from consumers.orphan_words import (
    LEVELS,
    WORDS,
    Level,
    coverage_text,
    drift_texts,
    freshness_texts,
    level_of,
    steps,
    store_step,
)
from consumers.orphans import PARTS, Index, SystemIndex
from consumers.outlook import Outlook
from consumers.report_drawings import COLOURS, bar, course, shares, trend
from consumers.report_words import PAGE
from schemas.date_forms import VIETNAM
from schemas.printing import number
from schemas.reasons import Language

LANGUAGES: Sequence[tuple[Language, str]] = (("vi", "Tiếng Việt"), ("en", "English"))
#: How many databases are named at the top of the page.
FIRST = 5
_EVERY_LEVEL: tuple[Level, ...] = (*(level for _, level in LEVELS), "unknown")


def page(outlook: Outlook, *, deployment: str, language: Language) -> str:
    """The whole file. ``language``: the one that is shown first, and printed unless the reader changes it."""
    style = files(__package__).joinpath("report.css").read_text(encoding="utf-8")
    head = tag(
        "head",
        alone("meta", charset="utf-8"),
        alone("meta", name="viewport", content="width=device-width, initial-scale=1"),
        # Nothing is fetched and nothing runs, whatever a text may try.
        alone(
            "meta",
            http_equiv="Content-Security-Policy",
            content="default-src 'none'; style-src 'unsafe-inline'",
        ),
        tag("title", f"{PAGE[language]['title']} · {_day(outlook.at)}"),
        tag("style", Html(style)),
    )
    choosers = [
        alone(
            "input",
            type="radio",
            name="language",
            id=one,
            class_="chooser",
            aria_label=name,
            checked="checked" if one == language else None,
        )
        for one, name in LANGUAGES
    ]
    named = (tag("label", name, for_=one) for one, name in LANGUAGES)
    labels = tag("div", *named, class_="languages")
    sheet = tag("main", *_parts(outlook, deployment), class_="sheet")
    body = tag("body", *choosers, tag("div", labels, sheet, class_="frame"))
    return f"<!doctype html>\n{tag('html', head, body, lang=language)}\n"


def _parts(outlook: Outlook, deployment: str) -> list[Html]:
    parts = [_header(outlook)]
    if outlook.problem is not None:
        parts.append(_problem("problem", outlook.problem, "problem means", outlook.next_step))
    elif outlook.history is None:
        parts.append(_problem("no past", outlook.unkept or "", "no past means", outlook.next_step))
    parts += [_summary(outlook), tag("h2", _say("every")), _table(outlook)]
    parts += [*_inbound(outlook), tag("h2", _say("method")), _method(outlook)]
    words = {"version": version("lienthong"), "deployment": deployment}
    return [*parts, tag("footer", _say("footer", **words))]


def _problem(head: str, what: str, means: str, step: str) -> Html:
    told = together(tag("span", what), ". ", _say(means), " ", _say("step", step=step))
    return tag("div", tag("strong", _say(head)), told, class_="problem")


def _say(word: str, **values: object) -> Html:
    """A sentence of the page in both languages."""
    return both(lambda language: PAGE[language][word].format(**values))


def _word(word: str) -> Html:
    """What the table of ``status --orphans`` says too, in both languages."""
    return both(lambda language: WORDS[language][word])


def _header(outlook: Outlook) -> Html:
    at = outlook.at.astimezone(VIETNAM).strftime("%d.%m.%Y %H:%M")
    return tag(
        "header",
        tag("p", _say("kicker"), class_="kicker"),
        tag("h1", _say("title")),
        tag("p", _say("intro")),
        tag("p", _say("when", at=at), class_="when"),
    )


# --- the summary -------------------------------------------------------------------------------------


def _summary(outlook: Outlook) -> Html:
    every = [index for one in outlook.systems for index in one.indices]
    counted = Counter(level_of(one.value) for one in outlook.systems)
    counts = {level: counted[level] for level in _EVERY_LEVEL}
    numbers = (
        (len(outlook.systems), "systems"),
        (len(every), "datasets"),
        (len({owner for one in outlook.systems for owner in one.owners}), "owners"),
    )
    tiles = [tag("div", tag("b", _number(count)), _say(word), class_="tile") for count, word in numbers]
    legend = [
        tag(
            "li",
            tag("i", class_="dot", style=f"background:{COLOURS[level]}"),
            _word(level),
            _span(level),
            together(" · ", tag("b", str(count))),
        )
        for level, count in counts.items()
        if count
    ]
    spread = tag(
        "figure", tag("figcaption", _say("spread")), shares(counts), tag("ul", *legend, class_="legend")
    )
    left = tag("div", tag("div", *tiles, class_="tiles"), spread, tag("h2", _say("first")), _first(outlook))
    return tag("section", left, _course(outlook), class_="summary")


def _span(level: Level) -> str:
    """`` 25–49``."""
    if level == "unknown":
        return ""
    bounds = {name: least for least, name in LEVELS}
    above = [least for least, _ in LEVELS if least > bounds[level]]
    return f" {bounds[level]}–{min(above) - 1 if above else 100}"


def _first(outlook: Outlook) -> Html:
    """The databases in most danger, each with the step that helps most."""
    if any(index.seen is None for one in outlook.systems for index in one.indices):
        items = [tag("li", both(lambda language: store_step(outlook, language).what))]
    else:
        items = [_first_step(one, outlook) for one in outlook.systems[:FIRST]]
    return tag("ol", *items, class_="first")


def _first_step(one: SystemIndex, outlook: Outlook) -> Html:
    index = one.indices[0]
    what = both(lambda language: steps(index, outlook, language)[0].what)
    return tag("li", tag("b", one.system), f" ({'; '.join(one.owners)}): ", what)


def _course(outlook: Outlook) -> Html:
    caption = tag("figcaption", _say("course"))
    days = _mean(outlook)
    if outlook.history is None:
        return tag("figure", caption, tag("p", _say("trend unknown"), class_="quiet"))
    if len(days) < 2:
        return tag("figure", caption, tag("p", _say("no trend"), class_="quiet"))
    return tag("figure", caption, course(days))


def _mean(outlook: Outlook) -> list[tuple[date, int]]:
    """Of every day on which somebody looked, today included: the mean of the systems known then."""
    of_day: dict[date, list[int]] = {}
    for one in outlook.systems:
        for day, value in _days(one, outlook):
            of_day.setdefault(day, []).append(value)
    return [(day, round(sum(values) / len(values))) for day, values in sorted(of_day.items())]


def _days(one: SystemIndex, outlook: Outlook) -> list[tuple[date, int]]:
    """The values of past days and of today, as far as they are known."""
    past = (outlook.history or {}).get(one.system, [])
    today = outlook.at.astimezone(VIETNAM).date()
    return [*past, *([(today, one.value)] if one.value is not None else [])]


# --- the table ---------------------------------------------------------------------------------------


def _table(outlook: Outlook) -> Html:
    heads = ("data", "cover", "fresh", "drift", "index", "next")
    head = tag("tr", *(tag("th", _say(name), class_=f"w-{name}", scope="col") for name in heads))
    return tag(
        "table", tag("thead", head), *(_system(one, outlook) for one in outlook.systems), class_="every"
    )


def _system(one: SystemIndex, outlook: Outlook) -> Html:
    name = tag("th", tag("b", one.system), "; ".join(one.owners), colspan=4, scope="rowgroup")
    level = level_of(one.value)
    chip = tag("span", _value(one.value, one.at_least), class_="chip", style=f"background:{COLOURS[level]}")
    told = tag("span", _word(level), class_="level", style=f"color:{COLOURS[level]}")
    row = tag(
        "tr", name, tag("td", chip, told, class_="number"), tag("td", _trend(one, outlook)), class_="system"
    )
    return tag("tbody", row, *(_dataset(index, outlook) for index in one.indices))


def _dataset(index: Index, outlook: Outlook) -> Html:
    coverage = index.coverage
    contract = outlook.library.contracts[f"{coverage.system}/{coverage.dataset}"]
    fed = coverage.fed
    mark = [" ", tag("span", _say("proposal"), class_="mark")] if fed.origin == "proposal" else []
    names = tag(
        "td",
        tag("span", contract.title),
        tag("code", f"{coverage.dataset} → {fed.format}"),
        *mark,
        class_="lines",
    )
    newest = coverage.newest
    covered = tag(
        "td", bar(newest.mapped / newest.fields), both(lambda language: coverage_text(index, language))
    )
    return tag(
        "tr",
        names,
        covered,
        tag("td", _lines(lambda language: freshness_texts(index, outlook.at, language)), class_="lines"),
        tag("td", _lines(lambda language: drift_texts(index, outlook.at, language)), class_="lines"),
        tag("td", _value(index.value, index.at_least), class_="number"),
        tag("td", _steps(index, outlook)),
    )


def _lines(texts: Callable[[Language], Sequence[str]]) -> Html:
    return both(lambda language: together(*(tag("span", text) for text in texts(language))))


def _steps(index: Index, outlook: Outlook) -> Html:
    def told(language: Language) -> Html:
        return together(
            *(tag("li", one.what, tag("code", one.command)) for one in steps(index, outlook, language)[:3])
        )

    return both(lambda language: tag("ul", told(language), class_="steps"), "div")


def _trend(one: SystemIndex, outlook: Outlook) -> Html:
    if outlook.history is None:
        return tag("span", _say("trend unknown"), class_="quiet")
    days = _days(one, outlook)
    if len(days) < 2 or one.value is None:
        return tag("span", _say("no trend"), class_="quiet")
    (day, before), change = days[0], one.value - days[0][1]
    words = {"day": _day_of(day), "change": f"{change:+d}".replace("-", "−")}
    said = _say("since" if before != one.value else "same", **words)
    return together(trend(days, COLOURS[level_of(one.value)]), said)


def _value(value: int | None, at_least: int) -> Html:
    return _say("at least", value=at_least) if value is None else together(str(value))


def _number(value: int) -> Html:
    return both(lambda language: number(value, language))


# --- what stands below -------------------------------------------------------------------------------


def _inbound(outlook: Outlook) -> list[Html]:
    """Contracts that only receive: databases of the province too, which nothing national could forget."""
    received = sorted(outlook.library.inbound, key=lambda one: one.id)
    if not received:
        return []
    items = [
        tag("li", tag("b", one.id), f" {one.title} ({one.owner}): ", _say("receives", format=one.source))
        for one in received
    ]
    return [tag("h2", _say("inbound")), tag("p", _say("inbound means")), tag("ul", *items)]


def _method(outlook: Outlook) -> Html:
    limits: Mapping[str, Mapping[str, object]] = {
        "freshness": {"good": orphans.CHANGES_REST.days, "gone": orphans.CHANGES_GONE.days},
        "matched": {"share": round(orphans.DIFFERING * 100)},
        "proof": {"good": orphans.PROOF_HOLDS.days, "gone": orphans.PROOF_GONE.days},
    }
    told: list[Html] = []
    for part in PARTS:
        points = _say("points", points=f"{outlook.weights.share(part):.3g}")
        told.append(tag("dt", _word(part), " · ", points))
        told.append(tag("dd", _say(f"{part} means", **limits.get(part, {}))))
    return tag("div", tag("p", _say("sum")), tag("dl", *told), class_="method")


def _day(at: datetime) -> str:
    return _day_of(at.astimezone(VIETNAM).date())


def _day_of(day: date) -> str:
    return day.strftime("%d.%m.%Y")
