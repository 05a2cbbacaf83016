"""What the sampled values of a column look like: shares and counts, and never a value."""

import re
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from schemas.cleaning import cleaned
from schemas.codelists import AMBIGUOUS, CodeList, Names
from schemas.codenames import fold
from schemas.drafting.words import plain

#: Words that stand where nothing is known; the ones found are proposed as the contract's ``missing``.
NOTHING = ("null", "không có thông tin", "không có", "không rõ", "chưa rõ", "n/a", "-")

#: The commonest family names, without accents: three Vietnamese of four have one of them.
_FAMILIES = frozenset(
    re.findall(
        r"\w+",
        "nguyen tran le pham hoang huynh phan vu vo dang bui do ho ngo duong ly truong luong dinh to mai doan"
        " trinh dao lam cao ta thai chau ha vuong tong kieu luu quach phung la nong ma a y alang",
    )
)
_TITLE = re.compile(
    r"\b(chu tich|truong phong|pho phong|giam doc|truong ban|can bo|cong chuc|chuyen vien|q\.)"
)
_PLACE = re.compile(
    r"\b(xa|phuong|thi tran|huyen|quan|tinh|thanh pho|tp|thon|to dan pho|khoi|duong|so nha|ap|ban|benh vien|"
    r"tram y te|trung tam|nha ho sinh|tai nha)\b"
)
_OFFICE = re.compile(r"\b(cong an|ubnd|uy ban|cuc|so tu phap|phong tu phap|toa an|benh vien|ca tinh)\b")
_RELATION = re.compile(
    r"(cha|me|bo|ong|ba|bac|chu|co|di|cau|mo|anh|chi|em|con|chau|vo|chong|ban than)"
    r"( (noi|ngoai|ruot|de|nuoi|ho))?"
)
_IN_WORDS = re.compile(r"ngay .*(thang|nam) ")
_NAME = re.compile(r"[a-z'’]{1,8}([ -][a-z'’]{1,9}){1,5}")

#: What stands between a name and a title in one column.
SEPARATORS = (" - ", ", ")


@dataclass(frozen=True, slots=True)
class Written:
    """One way to write dates."""

    pattern: re.Pattern[str]
    level: int  #: how many of year, month, day, hour, minute and second it tells
    rules: tuple[str, ...] = ("date", "moment")  #: that read it


_Y, _M, _D = "(?:1[89]|20)[0-9]{2}", "(?:0[1-9]|1[0-2])", "(?:0[1-9]|[12][0-9]|3[01])"
_DAY_FIRST = f"(?:{_D}|[1-9])([/.-])(?:{_M}|[1-9])\\1{_Y}"
_H, _SIXTY, _SECONDS = "(?:[01][0-9]|2[0-3])", "[0-5][0-9]", "[0-5][0-9](?:[.][0-9]{1,9})?"

#: Date texts that a rule reads, as the rules say it themselves: ``schemas.rules.dates``.
DATE_FORMS: Mapping[str, Written] = {
    name: Written(re.compile(pattern), *more)
    for name, pattern, *more in (
        ("d/M/yyyy", _DAY_FIRST, 3),
        ("yyyy-MM-dd", f"{_Y}-{_M}-{_D}", 3),
        ("yyyyMMdd", f"{_Y}{_M}{_D}", 3),
        ("M/yyyy", f"(?:{_M}|[1-9])[/.-]{_Y}", 2, ("date",)),
        ("yyyy-MM", f"{_Y}-{_M}", 2, ("date",)),
        ("yyyy", _Y, 1, ("date",)),
        ("yyyy-MM-dd HH:mm:ss", f"{_Y}-{_M}-{_D}[T ]{_H}:{_SIXTY}:{_SECONDS}", 6),
        ("yyyy-MM-dd HH:mm", f"{_Y}-{_M}-{_D}[T ]{_H}:{_SIXTY}", 5),
        ("yyyy-MM-dd H:mm:ss", f"{_Y}-{_M}-{_D} [0-9]:{_SIXTY}:{_SECONDS}", 6, ("moment",)),
        ("yyyy-MM-dd H:mm", f"{_Y}-{_M}-{_D} [0-9]:{_SIXTY}", 5, ("moment",)),
        ("d/M/yyyy H:mm:ss", f"{_DAY_FIRST}(?:[T ]{_H}| [0-9]):{_SIXTY}:{_SECONDS}", 6, ("moment",)),
        ("d/M/yyyy H:mm", f"{_DAY_FIRST}(?:[T ]{_H}| [0-9]):{_SIXTY}", 5, ("moment",)),
        ("yyyyMMddHHmmss", f"{_Y}{_M}{_D}{_H}{_SIXTY}{_SIXTY}", 6, ("moment",)),
    )
}  # fmt: skip
_DAY = 3
#: What people take for a date or a time, whether a rule reads it or not.
_LIKE_A_DATE = re.compile(
    rf"{_Y}[/.-]\d{{1,2}}[/.-]\d{{1,2}}([T ]\d.*)?|\d{{1,2}}([/.-])\d{{1,2}}\2{_Y}([T ]\d.*)?|(19|20)\d{{12}}"
)
_YEAR = re.compile(r"(1[89]|20)\d\d")

#: What a whole text without accents, in small letters, may be.
_KINDS: Mapping[str, Callable[[str], object]] = {
    "title": lambda text: _TITLE.search(text) and len(text) < 60 and "," not in text,
    "place": lambda text: _PLACE.search(text) or text.count(",") > 1,
    "office": lambda text: _OFFICE.search(text),
    "relation": _RELATION.fullmatch,
    "words": _IN_WORDS.search,
    "id12": re.compile(r"\d{12}").fullmatch,
    "id9": re.compile(r"\d{9}").fullmatch,
    "paper": re.compile(r"[a-z]{0,2}\d{6,12}").fullmatch,
    "entry": re.compile(r"\d{1,6}([/-]\w{1,8})?").fullmatch,
    "book": re.compile(r"(q\.? ?)?\d{1,3}[/-](19|20)\d\d").fullmatch,
    "small": re.compile(r"\d{1,3}").fullmatch,
    "time": re.compile(r"\d{1,2}(:|h| gio )\d{2}.*").fullmatch,
    "phone": re.compile(r"(0|\+84)[35789]\d{8}").fullmatch,
    "email": re.compile(r"\S+@\S+\.\w+").fullmatch,
    "path": re.compile(r".*[/\\].*\.\w{2,4}").fullmatch,
    "guid": re.compile(r"[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}").fullmatch,
    "money": re.compile(r"\d{1,3}([.,]\d{3})+([.,]\d{1,2})?|\d+[.,]\d{1,2}").fullmatch,
}


@dataclass(frozen=True, slots=True)
class Known:
    """How many of a column's values a code list knows; shares from 0 to 1."""

    share: float
    by_name: float
    by_code: float
    aliases: Mapping[str, str]  #: words of the list's own names that stand for one of them -> its code


@dataclass(frozen=True)
class Shape:
    """One column's values, summed up."""

    rows: int  #: sampled
    filled: int  #: not missing
    distinct: int
    longest: int  #: characters
    shares: Mapping[str, float]  #: kind -> share of the filled values
    dates: Mapping[str, float]  #: form of ``DATE_FORMS`` -> share
    unread: float  #: share of what is like a date or a time and that no rule reads
    year: float | None  #: median year of what looks like a date
    joined: Mapping[str, float]  #: separator -> share of texts with a title of office behind it
    women: float  #: share of names with Thị less share of names with Văn: from -1 to 1
    shouted: bool  #: whether some names are in capitals or small letters throughout
    nothing: frozenset[str]  #: words of ``NOTHING`` that were met

    @property
    def date(self) -> float:
        """Share of dates and times of any form."""
        return sum(self.dates.values())

    @property
    def whole_days(self) -> float:
        """Share of dates that know the day."""
        return sum(share for form, share in self.dates.items() if DATE_FORMS[form].level >= _DAY)

    @property
    def moments(self) -> float:
        """Share of dates with a time of day."""
        return sum(share for form, share in self.dates.items() if DATE_FORMS[form].level > _DAY)

    def read(self, rule: str, levels: Collection[int]) -> float:
        """Share of dates that a rule takes where the format has forms of these levels."""
        best = max(levels)
        forms = ((DATE_FORMS[form], share) for form, share in self.dates.items())
        return sum(share for form, share in forms if rule in form.rules and min(form.level, best) in levels)

    def of(self, kind: str) -> float:
        """Share of a kind."""
        return self.date if kind == "date" else self.shares.get(kind, 0.0)


def shape(values: Sequence[str | None]) -> Shape:
    """The shape of a column's sampled values."""
    texts = _cleaned(values)
    lowered = [text.lower() for text in texts]
    nothing = frozenset(word for word in NOTHING if word in lowered)
    kept = [text for text, low in zip(texts, lowered, strict=True) if low and low not in nothing]
    plains = [plain(text).lower() for text in kept]
    count = max(len(kept), 1)
    kinds: Counter[str] = Counter()
    dates: Counter[str] = Counter()
    unread = 0
    years = []
    for text in plains:
        kinds.update(kind for kind, fits in _KINDS.items() if fits(text))
        upper = text.upper()
        form = next((form for form, one in DATE_FORMS.items() if one.pattern.fullmatch(upper)), None)
        if form:
            dates[form] += 1
            years += [int(found[0]) for found in [_YEAR.search(text)] if found]
        elif _LIKE_A_DATE.fullmatch(upper):
            unread += 1
    names, women = _names(kept, plains)
    kinds["name"] = round(names * count)
    return Shape(
        rows=len(values),
        filled=len(kept),
        distinct=len(set(kept)),
        longest=max(map(len, kept), default=0),
        shares={kind: found / count for kind, found in kinds.items()},
        dates={form: found / count for form, found in dates.items()},
        unread=unread / count,
        year=median(years) if years else None,
        joined={
            separator: sum(1 for text in plains if _TITLE.search(text.partition(separator)[2])) / count
            for separator in SEPARATORS
        },
        women=women,
        shouted=sum(1 for text in kept if text in (text.upper(), text.lower())) > 0.02 * count,
        nothing=nothing,
    )


def _cleaned(values: Sequence[str | None]) -> list[str]:
    """What the contract's own cleaning will make of the texts."""
    return [cleaned(value) for value in values if value is not None]


def _names(kept: Sequence[str], plains: Sequence[str]) -> tuple[float, float]:
    """How surely these are names of persons (0 to 1), and how far of women and not of men (-1 to 1)."""
    names = [
        first
        for text in plains
        for first in [re.split(" - |, ", text)[0]]
        if _NAME.fullmatch(first) and not _RELATION.fullmatch(first) and not _TITLE.search(first)
    ]
    if not names:
        return 0.0, 0.0
    families = sum(1 for name in names if name.split()[0] in _FAMILIES) / len(names)
    middles = [name.split()[1:-1] for name in names]
    women = sum("thi" in middle for middle in middles) - sum("van" in middle for middle in middles)
    # Few distinct texts that begin like a family name are a list of codes and no persons.
    varied = min(1.0, len(set(names)) / len(names) * 8)
    return len(names) / max(len(kept), 1) * min(1.0, families * 2.5) * varied, women / len(names)


class Listed:
    """A code list made ready to tell how many values of a column it knows."""

    def __init__(self, codes: CodeList) -> None:
        self._codes = {fold(code) for code in codes.codes}
        names: Names = codes.names()
        self._names = {
            text: code for text, code in zip(names.folded, names.tokens, strict=True) if code != AMBIGUOUS
        }
        self._ends: dict[str, set[tuple[str, str]]] = {}
        for name, code in zip(codes.entries["name"], codes.entries["code"], strict=True):
            parts = name.split()
            # Clerks leave the beginning of a long name out: "Đúng hạn" for "Đăng ký đúng hạn".
            for at in range(1, len(parts) - 1 if len(codes.entries) < 100 else 0):
                end = " ".join(parts[at:])
                self._ends.setdefault(fold(end), set()).add((end[0].upper() + end[1:], code))

    def knows(self, texts: Mapping[str, int]) -> Known:
        """The shares of the texts, folded and counted by ``counted``, that say something."""
        total = max(sum(texts.values()), 1)
        by_code = sum(count for text, count in texts.items() if text in self._codes)
        by_name = sum(count for text, count in texts.items() if text in self._names)
        ends = {
            text: next(iter(self._ends[text]))
            for text in texts
            if text not in self._names and len(self._ends.get(text, ())) == 1
        }
        by_name += sum(texts[text] for text in ends)
        return Known(
            share=min(1.0, (by_code + by_name) / total),
            by_name=by_name / total,
            by_code=by_code / total,
            aliases=dict(sorted(ends.values(), key=lambda end: end[1])),
        )


def counted(values: Sequence[str | None]) -> Mapping[str, int]:
    """How often each text that says something was met, folded as code lists compare names."""
    texts = Counter(_cleaned(values))
    found: Counter[str] = Counter()
    for text, count in texts.items():
        if text and text.lower() not in NOTHING:
            found[fold(text)] += count
    return found
