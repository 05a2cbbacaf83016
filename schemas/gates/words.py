"""What each kind of rule does, in words that a clerk knows, in Vietnamese and English."""

from collections.abc import Mapping
from typing import Any

from schemas.reasons import Language
from schemas.rules import Step

#: By kind; ``{name}`` stands for a parameter of the rule.
RULES: Mapping[str, Mapping[Language, str]] = {
    "constant": {"vi": "luôn là “{value}”", "en": "always “{value}”"},
    "copy": {"vi": "chép nguyên văn, bỏ khoảng trắng thừa", "en": "copied, without spaces too many"},
    "split": {
        "vi": "phần {part} của giá trị, tách ở “{separator}” đầu tiên",
        "en": "the {part} part of the value, split at the first “{separator}”",
    },
    "join": {
        "vi": "ghép các cột có giá trị, cách nhau bằng “{separator}”",
        "en": "the columns that hold something, put together with “{separator}”",
    },
    "address": {
        "vi": "ghép các phần của địa chỉ, không lặp lại phần đã ghi",
        "en": "the parts of the address put together, none said twice",
    },
    "name": {
        "vi": "họ tên; viết toàn hoa hoặc toàn thường thì đổi thành hoa đầu từ",
        "en": "a name; all capitals or all small letters become one capital a word",
    },
    "number": {
        "vi": "số, viết bằng chữ số, nhiều nhất {decimals} chữ số lẻ",
        "en": "a number in digits, at most {decimals} decimal places",
    },
    "date": {
        "vi": "ngày, viết {date_form}; phần không biết thì để trống, không đoán",
        "en": "a date, written {date_form}; what is not known is left out, never guessed",
    },
    "whole date": {
        "vi": "ngày đủ ngày, tháng, năm, viết {date_form}; thiếu phần nào thì từ chối",
        "en": "a date with day, month and year, written {date_form}; refused if a part is not known",
    },
    "moment": {"vi": "ngày giờ, viết {date_form}", "en": "day and time, written {date_form}"},
    "personal_id": {
        "vi": "số định danh, phải đủ chữ số",
        "en": "the personal number, with all its digits",
    },
    "code": {
        "vi": "mã theo danh mục {list}; giá trị lạ hoặc ứng với nhiều mã thì từ chối",
        "en": "a code of the list {list}; unknown or ambiguous values are refused",
    },
    "code_at": {
        "vi": "mã theo danh mục {list}, phải có hiệu lực vào ngày ở trường {at}",
        "en": "a code of the list {list}, in force on the day in field {at}",
    },
    "code_now": {
        "vi": "mã theo danh mục {list} vào ngày {on} của đơn vị lúc đó; đã bị tách thì từ chối",
        "en": "the code in the list {list} on {on} of what it was then; refused if it was split",
    },
    "match": {
        "vi": "theo hình thức của giá trị; nếu không khớp dạng nào thì là “{otherwise}”",
        "en": "by the form of the value; “{otherwise}” if no form fits",
    },
    "when": {"vi": "tùy điều kiện ghi trong hợp đồng", "en": "depends on conditions told in the contract"},
    "list": {"vi": "danh sách lấy từ các dòng {from_}", "en": "a list made of the lines {from_}"},
}  # fmt: skip

#: Words that stand for parameters whose own words are English.
_PARTS: Mapping[Language, Mapping[str, str]] = {
    "vi": {"first": "đầu", "rest": "sau"},
    "en": {"first": "first", "rest": "second"},
}
_OR: Mapping[Language, str] = {"vi": " hoặc ", "en": " or "}


class _Parameters(dict[str, Any]):
    def __missing__(self, name: str) -> str:
        return "…"


def in_words(step: Step, date_form: str | None, language: Language) -> str:
    """What a rule or check does. Of a kind that a province added: the first line of its documentation."""
    only_day = "dd" in (date_form or "") and "|" not in (date_form or "")
    whole = step.rule == "date" and (only_day or getattr(step, "precision", "") == "day")
    known = RULES.get("whole date" if whole else step.rule)
    if known is None:
        return (type(step).__doc__ or step.rule).strip().splitlines()[0]
    said = step.model_dump() | {"date_form": _OR[language].join((date_form or "dd.MM.yyyy").split("|"))}
    if "part" in said:
        said["part"] = _PARTS[language].get(said["part"], said["part"])
    return known[language].format_map(_Parameters(said))
