"""From matches to rules: what the contract of a drafted table says, and what has to be asked."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from schemas.codelists import CodeLists
from schemas.date_forms import date_forms
from schemas.drafting.matching import ENOUGH, Column, Evidence, Match, Wanted
from schemas.drafting.phrases import Phrase, say
from schemas.formats import FormatField, NationalFormat

#: Below this a person should look.
DOUBTFUL = 0.65

_MOST_DECIMALS = 6
_MOST_PLACES = 18  #: that rule number takes

#: A number of a book and its year, which loses the zero of 2010 if it is read as one number.
_OF_A_YEAR = re.compile(r"[0-9]{1,3}[.](19|20)[0-9]{2}")
_DIGITS_12, _DIGITS_9 = "[0-9]{12}", "[0-9]{9}"


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """How one national field is obtained."""

    field: FormatField
    column: str
    rule: Mapping[str, Any]  #: as the contract says it
    sure: float
    why: tuple[Phrase, ...]

    @property
    def doubtful(self) -> bool:
        return self.sure < DOUBTFUL


@dataclass(frozen=True, kw_only=True)
class TargetDraft:
    """What a table gives to one format."""

    national: NationalFormat
    fit: float
    proposals: Mapping[str, Proposal]  #: by field, in the format's order
    checks: tuple[Mapping[str, Any], ...]
    questions: tuple[Phrase, ...]

    @property
    def lacking(self) -> tuple[FormatField, ...]:
        """Required fields that no rule obtains."""
        return tuple(one for one in self.national.fields if one.required and one.name not in self.proposals)


@dataclass
class _Drafting:
    """One target on its way."""

    match: Match
    codes: CodeLists
    proposals: dict[str, Proposal] = field(default_factory=dict)
    questions: list[Phrase] = field(default_factory=list)

    def draft(self) -> TargetDraft:
        for wanted in self.match.layout.wanted:
            if wanted.field.name in self.match.found:
                self._propose(wanted, *self.match.found[wanted.field.name])
        self._split_titles()
        self._tell_papers()
        national = self.match.national
        names = [one.name for one in national.fields if one.name in self.proposals]
        lacking = [
            self._lacking(one) for one in national.fields if one.required and one.name not in self.proposals
        ]
        return TargetDraft(
            national=national,
            fit=self.match.fit,
            proposals={name: self.proposals[name] for name in names},
            checks=tuple(self._checks()),
            questions=(*lacking, *self.questions),
        )

    def _propose(self, wanted: Wanted, column: Column, evidence: Evidence) -> None:
        rule = self._rule(wanted, column)
        if rule is None:
            return
        why = list(_why(wanted, column, evidence, self.match))
        near = [
            f"{other.name} {percent(one.sure)} %"
            for other, one in self.match.others.get(wanted.field.name, ())[:2]
            if one.sure > evidence.sure - 0.15 and evidence.sure < 0.9
        ]
        if near:
            why.append(say("also", columns=", ".join(near)))
        self._add(wanted.field, column, rule, evidence.sure, why)

    def _add(
        self, field: FormatField, column: Column, rule: Mapping[str, Any], sure: float, why: Sequence[Phrase]
    ) -> None:
        self.proposals[field.name] = Proposal(
            field=field, column=column.name, rule=rule, sure=sure, why=tuple(why)
        )

    def _rule(self, wanted: Wanted, column: Column) -> Mapping[str, Any] | None:
        field = wanted.field
        if column.sampled.avro == "double":
            return self._fraction_rule(field, column)
        if field.code_list:
            return self._code_rule(field, field.code_list, column)
        if field.date_form:
            return self._date_rule(field, field.date_form, column)
        if wanted.kind == "name" and wanted.has(frozenset({"ho", "ten"})):
            return {"rule": "name", "from": column.name}
        if wanted.kind == "id12" and (old := _numbered(column)) is not None:
            return {"rule": "personal_id", "from": column.name, **({"old": True} if old else {})}
        return _number_rule(column) or {"rule": "copy", "from": column.name}

    def _fraction_rule(self, field: FormatField, column: Column) -> Mapping[str, Any] | None:
        """The only rule that reads numbers of this type; what is no number in the format is asked about."""
        is_key = field.name in self.match.national.key
        if field.code_list or field.date_form or is_key:
            self._ask("ask_number", field, column)
        if field.code_list or field.date_form or (is_key and self.match.national.origin == "ministry"):
            return None
        decimals = _decimals(column)
        return {
            "rule": "number", "from": column.name, "decimals": decimals, "thousands": "", "decimal_mark": ".",
        }  # fmt: skip

    def _date_rule(self, field: FormatField, form: str, column: Column) -> Mapping[str, Any]:
        shape, levels = column.shape, [one.level for one in date_forms(form)]
        rule = "moment"
        if "HH" not in form:  # date where both read as much
            rule = max(("date", "moment"), key=lambda one: shape.read(one, levels))
        read = shape.read(rule, levels)
        if shape.filled >= ENOUGH and read < 0.995:
            self._ask("ask_dates", field, column, percent=percent(1 - read), rule=rule)
        if rule == "moment":
            return {"rule": rule, "from": column.name}
        return {"rule": rule, "from": column.name, "precision": "kept" if "|" in form else "day"}

    def _code_rule(self, field: FormatField, code_list: str, column: Column) -> Mapping[str, Any] | None:
        known = self.match.sample.known(column, code_list)
        if column.shape.filled >= ENOUGH and known.share < 0.995:
            self._ask("ask_codes", field, column, percent=percent(1 - known.share), list=code_list)
        rule: dict[str, Any] = {"rule": "code", "from": column.name, "list": code_list}
        if self.codes[code_list].dated:
            day = self._day()
            if day is None:
                self.questions.append(say("ask_day", field=field.name, list=code_list))
                return None
            return rule | {"rule": "code_at", "at": day}
        by = [way for way, share in (("name", known.by_name), ("code", known.by_code)) if share > 0.002]
        rule["by"] = by or ["name", "code"]
        return rule | ({"aliases": known.aliases} if known.aliases else {})

    def _day(self) -> str | None:
        """The field whose day tells what codes meant: one of the key if it can be, and always a whole day."""
        days = [
            wanted.field.name
            for wanted in self.match.layout.wanted
            if wanted.field.date_form and "|" not in wanted.field.date_form
            if wanted.field.name in self.match.found
        ]
        key = [name for name in days if name in self.match.national.key]
        return next(iter([*key, *days]), None)

    def _split_titles(self) -> None:
        """One column with "name - title" gives two fields."""
        for wanted in self.match.layout.wanted:
            proposal = self.proposals.get(wanted.field.name)
            title = next((one for one in self._open("title") if one.has(wanted.meanings[0].words)), None)
            if proposal is None or title is None or wanted.kind != "name" or title.roles != wanted.roles:
                continue
            column = self.match.sample.by_name[proposal.column]
            separator, share = max(column.shape.joined.items(), key=lambda one: one[1])
            if share > 0.1:
                rule = {"rule": "split", "from": column.name, "separator": separator}
                why = (say("from_parts", percent=percent(share)),)
                self._add(wanted.field, column, rule | {"part": "first"}, proposal.sure, proposal.why)
                self._add(title.field, column, rule | {"part": "rest"}, proposal.sure, why)

    def _tell_papers(self) -> None:
        """The kind of a paper, told by the form of its number, where no column tells it."""
        for kind in self._open("list"):
            if not kind.has(frozenset({"loai", "giay", "to"})) or not kind.field.code_list:
                continue
            numbered = (
                one
                for one in self.match.layout.wanted
                if one.roles == kind.roles and one.kind == "paper" and one.field.name in self.proposals
            )
            number = next(numbered, None)
            if number is None:
                continue
            column = self.match.sample.by_name[self.proposals[number.field.name].column]
            cases = _paper_cases(self.codes, kind.field.code_list)
            if column.sampled.avro == "double":
                continue
            if cases and column.shape.of("id12") + column.shape.of("id9") > 0.3:
                sure = 0.8 * self.proposals[number.field.name].sure
                rule = {"rule": "match", "from": column.name, **cases}
                self._add(kind.field, column, rule, sure, (say("from_form"),))

    def _open(self, kind: str) -> list[Wanted]:
        return [
            one
            for one in self.match.layout.wanted
            if one.kind == kind and one.field.name not in self.proposals
        ]

    def _checks(self) -> list[Mapping[str, Any]]:
        """A personal number that the format has no field for is compared with what it says of its holder."""
        used = {one.column for one in self.proposals.values()}
        place = self._mapped("code_at", "dvhc.xa")
        gender = self._mapped("code", "hotich.gioiTinh")
        born = [
            one.field.name
            for one in self.match.layout.wanted
            if one.roles <= self.match.layout.subjects and one.has(frozenset({"ngay", "sinh"}))
            if one.kind == "date" and one.field.name in self.proposals
        ]
        numbers = [
            one
            for one in self.match.sample.columns
            if one.name not in used and one.means("so", "dinh", "danh") and one.shape.of("id12") > 0.5
            if one.sampled.avro != "double"
            if not any(meaning.roles - self.match.layout.subjects for meaning in one.meanings)
        ]
        if not (place and gender and born and numbers and "dinhdanh.tinh" in self.codes):
            return []
        check = {"rule": "personal_id", "from": numbers[0].name, "place": place, "prefixes": "dinhdanh.tinh"}
        return [check | {"gender": gender, "born": born[0]}]

    def _mapped(self, rule: str, code_list: str) -> str | None:
        """The first field that has this rule with this list."""
        for name, one in self.proposals.items():
            if one.rule["rule"] == rule and one.field.code_list == code_list:
                return name
        return None

    def _ask(self, key: str, field: FormatField, column: Column, **values: Any) -> None:
        sql = look_sql(self.match.sample.table.name, column.name)
        self.questions.append(say(key, field=field.name, column=column.name, sql=sql, **values))

    def _lacking(self, field: FormatField) -> Phrase:
        wanted = next(one for one in self.match.layout.wanted if one.field.name == field.name)
        near = [
            (name, column.name)
            for column in self.match.sample.columns
            if (name := self.match.layout.name_evidence(column, wanted) or 0.0) > 0.3
        ]
        columns = ", ".join(column for _, column in sorted(near, reverse=True)[:3])
        return say(
            "ask_required",
            format=self.match.national.full_id,
            field=field.name,
            label=field.label,
            near=say("ask_near", columns=columns) if columns else "",
        )


def _numbered(column: Column) -> bool | None:
    """Whether old numbers of nine digits are among personal ones; None if others are."""
    ids, old = column.shape.of("id12"), column.shape.of("id9")
    return old > 0 if ids and ids + old > 0.995 else None


def _number_rule(column: Column) -> Mapping[str, Any] | None:
    """The rule of a text column of numbers with marks in them, if they can be read in one way only."""
    values = [value.strip() for value in column.sampled.values if value and value.strip()]
    if all(_OF_A_YEAR.fullmatch(value) for value in values):
        return None
    readable = []
    for thousands, mark in ((".", ","), (",", ".")):
        form = re.compile(rf"-?([1-9]\d{{0,2}}(\{thousands}\d{{3}})+|0|[1-9]\d*)(\{mark}(\d+))?")
        found = [form.fullmatch(value) for value in values]
        decimals = max((len(one[4] or "") for one in found if one), default=0)
        if all(found) and decimals <= _MOST_DECIMALS:
            rule = {"rule": "number", "from": column.name, "decimals": decimals}
            readable.append(rule | {"thousands": thousands, "decimal_mark": mark})
    marked = column.sampled.avro == "string" and any(not value.lstrip("-").isdigit() for value in values)
    return readable[0] if marked and len(readable) == 1 else None


def _decimals(column: Column) -> int:
    """How many places behind the point the values have; where there are none, as many as are usual."""
    numbers = [Decimal(value) for value in column.sampled.values if value and value.strip()]
    exponents = [one.normalize().as_tuple().exponent for one in numbers if one.is_finite()]
    if not exponents:
        return _MOST_DECIMALS
    return min(max(0, *(-one for one in exponents if isinstance(one, int))), _MOST_PLACES)


def propose(match: Match, codes: CodeLists) -> TargetDraft:
    """The rules that a match leads to."""
    return _Drafting(match, codes).draft()


def percent(share: float) -> int:
    """For people; what is not quite nothing or all is not said to be."""
    return min(max(round(share * 100), 1), 99) if 0 < share < 1 else round(share * 100)


def look_sql(table: str, column: str) -> str:
    """How the engineer can look at the values of a column, which the draft does not show."""
    written = column if re.fullmatch(r"[a-z_][a-z0-9_]*", column) else f'"{column}"'
    return f"SELECT {written}, count(*) FROM {table} GROUP BY 1"  # noqa: S608 - for a person to read


def _why(wanted: Wanted, column: Column, evidence: Evidence, match: Match) -> list[Phrase]:
    if evidence.name is None:
        named = say("by_order")
    else:
        named = say("by_comment" if column.sampled.comment else "by_name", percent=percent(evidence.name))
    if not column.shape.filled:
        return [named, say("no_values")]
    if evidence.values is None:
        return [named, say("free_text")]
    if wanted.kind == "list":
        share = match.sample.known(column, str(wanted.field.code_list)).share
        return [named, say("in_list", percent=percent(share), list=wanted.field.code_list)]
    if wanted.kind == "date":
        forms = ", ".join(sorted(column.shape.dates, key=lambda form: -column.shape.dates[form])[:3])
        return [named, say("as_dates", percent=percent(column.shape.date), forms=forms)]
    return [named, say("as_kind", percent=percent(evidence.values), kind=say(wanted.kind))]


def _paper_cases(codes: CodeLists, code_list: str) -> Mapping[str, Any]:
    """Which code papers of 12 and of 9 digits have in a list, and which all others; empty if it lacks one."""
    found: dict[str, str] = {}
    for code, name in codes[code_list].entries.select("code", "name").iter_rows():
        low = str(name).lower()
        for mark in ("căn cước", "cmnd", "giấy tờ khác"):
            if mark in low:
                found.setdefault(mark, str(code))
    if len(found) < 3:
        return {}
    cases = [{"form": _DIGITS_12, "value": found["căn cước"]}, {"form": _DIGITS_9, "value": found["cmnd"]}]
    return {"cases": cases, "otherwise": found["giấy tờ khác"]}
