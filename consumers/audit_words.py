"""What is told of an audit chain that is not as it was sealed, in Vietnamese and in English, each whole."""

from dataclasses import dataclass

_TEXTS = {
    "seal_missing": ("thiếu niêm phong {first}", "seal {first} is missing"),
    "seals_missing": ("thiếu các niêm phong từ {first} đến {last}", "seals {first} to {last} are missing"),
    "number": ("tự ghi là số {number}", "says that it is number {number}"),
    "not_behind": (
        "không nối tiếp niêm phong {before} như hiện có",
        "does not follow seal {before} as it is now",
    ),
    "not_remembered": (
        "không phải là niêm phong mà mốc đã ghi nhớ",
        "is another one than the anchor remembers",
    ),
    "not_trusted": (
        "được ký bằng khóa {key}, không được tin cậy ở đây",
        "is signed by key {key}, which is not trusted here",
    ),
    "not_signed": ("khóa {key} không ký nội dung này", "key {key} did not sign what it says"),
    "unreadable": (
        "không đọc được nội dung niêm phong; các khối của nó không được kiểm tra",
        "its statement cannot be read; its blocks are not checked",
    ),
    "hashes": (
        "các giá trị băm kèm theo đã bị sửa; không phân biệt được các khối của nó",
        "the hashes kept beside it were altered; its blocks cannot be told apart",
    ),
    "block_missing": ("thiếu khối {block} gồm {lines} dòng", "block {block} with {lines} lines is missing"),
    "block_added": ("{block} được đặt vào sau khi niêm phong", "{block} was put under it later"),
    "other_length": (
        "{block}: trong {lines} dòng nay có {there:g}; chỗ sai đầu tiên là một trong các dòng"
        " {first} đến {last}",
        "{block}: of {lines} lines {there:g} are there; the first that is not as it was is one of lines"
        " {first} to {last}",
    ),
    "whole_block": (
        "{block}: phần đầu, hoặc vài dòng ở mọi trang, đã bị sửa",
        "{block}: its head, or some of the lines of every page, were altered",
    ),
    "page": (
        "{block}: {lines} hoặc phần đầu đã bị sửa hay đổi chỗ",
        "{block}: {lines} or the head was altered or moved",
    ),
    "one_line": ("dòng {first} (số thứ tự nay là {seqs})", "line {first} (sequence numbers now {seqs})"),
    "lines": (
        "một trong các dòng {first} đến {last} (số thứ tự nay là {seqs})",
        "one of lines {first} to {last} (sequence numbers now {seqs})",
    ),
    "block": ("khối {block} ({source}, {at})", "block {block} ({source}, {at})"),
    "deeds": ("việc của người", "deeds of people"),
    "cut_off": (
        "chuỗi kết thúc ở niêm phong {end}, còn mốc ghi nhớ niêm phong {known}",
        "the chain ends at seal {end}, and the anchor remembers seal {known}",
    ),
    "no_seal": (
        "có khối đứng dưới nó mà niêm phong đã mất",
        "blocks stand under it, and the seal is missing",
    ),
    "deed": (
        "việc đã làm với bản bị từ chối {reject} (lienthong_audit) đã bị sửa, xóa hoặc thêm",
        "what people did with reject {reject} (lienthong_audit) was altered, removed or added",
    ),
    "row_gone": (
        "dòng của {source} số {seq} trong {format} không còn, hoặc nay là dòng khác",
        "the row of {source} number {seq} in {format} is gone, or is another one now",
    ),
    "row_other": (
        "dòng của {source} số {seq} trong {format} không như dòng nhật ký đã ghi",
        "the row of {source} number {seq} in {format} is not as its line tells",
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Said:
    """One thing in both languages."""

    vi: str
    en: str


def said(what: str, **values: object) -> Said:
    """A text of the table; values that are said themselves are told in the same language."""
    return Said(
        *(
            template.format(**{name: _in(language, value) for name, value in values.items()})
            for language, template in zip(("vi", "en"), _TEXTS[what], strict=True)
        )
    )


def _in(language: str, value: object) -> object:
    return getattr(value, language) if isinstance(value, Said) else value
