"""A draft as the files of a library: a page of YAML that a person can finish."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from typing import Any

from schemas.drafting.drafts import Draft, fits
from schemas.drafting.phrases import Phrase, say
from schemas.drafting.proposing import Proposal, TargetDraft, percent
from schemas.printing import number
from schemas.reasons import Language

# One way only to read a text: with an optional space between words, time would double with every letter.
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_.()]*(?: [A-Za-z0-9_.()]+)*")
_WIDTH = 118
_WIDEST = 150  #: with the remark behind
#: YAML takes these for nothing.
_NULLS = frozenset({"null", "~"})


def contract_text(draft: Draft, language: Language) -> str:
    """The contract as a file of the library."""
    lines = [*_head(draft, language), ""]
    title = draft.table.comment or f"{draft.targets[0].national.title}: {draft.table.name}"
    lines += [f"title: {quoted(title)}", 'owner: "?"', "version: 1", f"table: {quoted(draft.table.name)}"]
    lines += [f"key: {_flow(draft.key)}", "", "columns:"]
    comments = {one.name: one.comment for one in draft.table.columns}
    for name, avro in draft.columns.items():
        lines.append(f"  {quoted(name)}: {avro}{_remark(comments[name])}")
    lines += [f"  # {quoted(name)}: {_told('binary', language)}" for name in draft.left_out]
    if draft.updated:
        lines += ["", *_comment(say("updated", column=draft.updated), language)]
    lines += [*_status(draft, language)]
    if draft.missing:
        lines += ["", f"missing: {_flow(draft.missing)}"]
    lines += ["", "targets:"]
    first = draft.targets[0]
    for target in draft.targets:
        lines += _target(target, first if target is not first else None, language)
    if draft.unused:
        lines += ["", *_comment(say("unused", columns=", ".join(draft.unused)), language)]
    return "\n".join(lines) + "\n"


def as_json(draft: Draft, language: Language) -> dict[str, Any]:
    """The draft for programs; what it asks and why it is sure, in words."""
    return {
        "contract": draft.id,
        "table": draft.table.name,
        "sampled": draft.table.sampled,
        "columns": dict(draft.columns),
        "key": draft.key,
        "updated": draft.updated,
        "status": draft.status and asdict(draft.status),
        "missing": draft.missing,
        "targets": [_target_as_json(target, language) for target in draft.targets],
        "unused": draft.unused,
        "left_out": draft.left_out,
        "fit_less": {name: round(fit, 2) for name, fit in draft.others},
        "questions": [one.text(language) for one in draft.questions],
    }


def _target_as_json(target: TargetDraft, language: Language) -> dict[str, Any]:
    fields = {
        name: {
            "rule": dict(one.rule),
            "sure": round(one.sure, 2),
            "why": [why.text(language) for why in one.why],
        }
        for name, one in target.proposals.items()
    }
    return {
        "format": target.national.full_id,
        "origin": target.national.origin,
        "fit": round(target.fit, 2),
        "fields": fields,
        "lacking": [one.name for one in target.lacking],
        "checks": [dict(one) for one in target.checks],
    }


def quoted(text: str) -> str:
    """A scalar of YAML: plain if it can be, else in double quotes."""
    plain = _PLAIN.fullmatch(text) and text.lower() not in _NULLS
    return text if plain else json.dumps(text, ensure_ascii=False)


def _head(draft: Draft, language: Language) -> Iterator[str]:
    rows = number(draft.table.sampled, language)
    yield from _comment(say("head", table=draft.table.name, rows=rows), language)
    for target in draft.targets if draft.proposal is None else ():
        national = target.national
        needed = sum(1 for one in national.fields if one.required)
        phrase = say(
            "fit",
            format=national.full_id,
            title=national.title,
            percent=percent(target.fit),
            found=len(target.proposals),
            required=needed - len(target.lacking),
            needed=needed,
        )
        yield from _comment(phrase, language)
    if draft.proposal is not None:
        yield from _comment(say("proposal", format=draft.proposal.full_id), language)
    if others := fits(draft):
        yield from _comment(say("others", formats=others), language)
    yield from _comment(say("sureness"), language)
    yield "#"
    yield from _comment(say("questions"), language)
    for at, question in enumerate(draft.questions, 1):
        yield from _wrapped(f"{at}. {question.text(language)}", "#   ", "#      ")


def _status(draft: Draft, language: Language) -> Iterator[str]:
    if draft.status is None:
        return
    yield from (
        "",
        f"status:  # {_told('guess_status', language)}",
        f"  column: {quoted(draft.status.column)}",
    )
    yield f"  live: {_flow(draft.status.live)}"
    if draft.status.gone:
        yield f"  gone: {_flow(draft.status.gone)}"


def _target(target: TargetDraft, like: TargetDraft | None, language: Language) -> Iterator[str]:
    """One target; only what it does not share with the one it is ``like``."""
    own = target.proposals
    yield f"  {target.national.full_id}:"
    if like is not None:
        yield f"    like: {like.national.full_id}"
        shared = like.proposals
        own = {name: one for name, one in own.items() if name not in shared or shared[name].rule != one.rule}
    yield "    fields:" if own else "    fields: {}"
    for name, proposal in own.items():
        yield from _field(name, proposal, language)
    lacking = [f"{one.name} ({one.label})" for one in target.lacking]
    yield from (f"      # ? {one}" for one in lacking)
    named = {*target.proposals, *(one.name for one in target.lacking)}
    rest = ", ".join(one.name for one in target.national.fields if one.name not in named)
    if rest:
        yield from _comment(say("not_found", fields=rest), language, "      # ")
    if target.checks and like is None:
        yield "    checks:"
        yield from (f"      - {_flow(check)}" for check in target.checks)


def _field(name: str, proposal: Proposal, language: Language) -> Iterator[str]:
    why = ", ".join(one.text(language) for one in proposal.why)
    mark = "(?) " if proposal.doubtful else ""
    remark = f"# {mark}{percent(proposal.sure)} %: {why}"
    line = f"      {name}: {_flow(proposal.rule)}"
    if len(line) <= _WIDTH:
        yield from [f"{line}  {remark}"] if len(line) + len(remark) <= _WIDEST else [f"      {remark}", line]
        return
    yield f"      {name}:  {remark}"
    yield from (f"        {key}: {_flow(value)}" for key, value in proposal.rule.items())


def _flow(value: Any) -> str:
    """A value of YAML on one line."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{quoted(str(key))}: {_flow(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_flow(one) for one in value) + "]"
    return quoted(str(value))


def _remark(comment: str | None) -> str:
    return f"  # {' '.join(comment.split())}" if comment else ""


def _told(key: str, language: Language) -> str:
    return say(key).text(language)


def _comment(phrase: Phrase, language: Language, start: str = "# ") -> Iterable[str]:
    return _wrapped(phrase.text(language), start, start)


def _wrapped(text: str, start: str, further: str) -> Iterator[str]:
    line = start
    empty = True
    for word in text.split():
        if not empty and len(line) + len(word) + 1 > _WIDTH:
            yield line
            line, empty = further, True
        line += word if empty else f" {word}"
        empty = False
    yield line
