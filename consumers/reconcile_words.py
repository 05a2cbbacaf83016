"""What ``lienthong reconcile`` says, in Vietnamese and in English."""

from collections.abc import Mapping

from schemas.differences import Kind
from schemas.reasons import Language

COLUMNS: Mapping[Language, tuple[str, ...]] = {
    "vi": ("loại", "định dạng", "bản ghi", "số thay đổi", "trường", "lý do"),
    "en": ("kind", "format", "record", "number", "fields", "reason"),
}
GROUPED: Mapping[Language, tuple[str, ...]] = {
    "vi": ("không phải sai lệch", "định dạng", "số bản ghi", "ví dụ", "trường", "lý do"),
    "en": ("no drift", "format", "records", "for example", "fields", "reason"),
}
ALL_OF_THEM: Mapping[Language, str] = {
    "vi": "xem từng bản: lienthong rejects list {system} --dataset {dataset} --each (hoặc --json ở đây:"
    " {count} bản đầu của mỗi loại)",
    "en": "to see each: lienthong rejects list {system} --dataset {dataset} --each (or --json here:"
    " the first {count} of each kind)",
}
KINDS: Mapping[Language, Mapping[Kind, str]] = {
    "vi": {
        "missing": "thiếu trong kho",
        "extra": "thừa trong kho",
        "different": "khác",
        "refused": "đã bị từ chối hoặc đang chờ sửa",
        "in_flight": "đang trên đường",
    },
    "en": {
        "missing": "missing in the store",
        "extra": "extra in the store",
        "different": "different",
        "refused": "refused or parked",
        "in_flight": "in flight",
    },
}

#: Under the tables: what was found, and what is sent.
SAID: Mapping[Language, Mapping[str, str]] = {
    "vi": {
        "proof": "{name}: {found}; {rows} bản ghi ở nguồn, dịch {translated} bản; {refused} bị từ chối hoặc"
        " đang chờ sửa, {in_flight} đang trên đường{since}; {seconds} giây",
        "drift": "{missing} thiếu, {extra} thừa, {different} khác",
        "equal": "bằng nhau",
        "since": " từ {moment}",
        "left out": "còn {more} chỗ lệch không liệt kê: chỉ liệt kê {count} chỗ đầu của mỗi loại",
        "would": "{records} bản ghi và {deletes} lệnh xóa sẽ được gửi",
        "sent": "đã gửi {records} bản ghi và {deletes} lệnh xóa qua outbox",
        "kept_back": "{kept_back} bản ghi thừa cần --yes: chúng sẽ bị xóa",
        "untold": "{untold} lệnh xóa không gửi được: nguồn không còn biết các bản ghi ấy, và khóa quốc gia"
        " không cho biết chúng từng là gì",
    },
    "en": {
        "proof": "{name}: {found}; {rows} records of the source, {translated} of them translated; {refused}"
        " refused or parked, {in_flight} in flight{since}; {seconds} s",
        "drift": "{missing} missing, {extra} extra, {different} different",
        "equal": "equal",
        "since": " since {moment}",
        "left out": "{more} more that differ are not listed: only the first {count} of each kind are",
        "would": "{records} records and {deletes} deletes would be sent",
        "sent": "{records} records and {deletes} deletes sent through the outbox",
        "kept_back": "{kept_back} extra records need --yes: they would be deleted",
        "untold": "{untold} deletes cannot be told: the source does not know those records any more, and"
        " their national key does not tell what they were",
    },
}
