"""What ``lienthong rejects`` says, in Vietnamese and in English."""

from collections.abc import Mapping

from schemas.reasons import Language

COLUMNS: Mapping[Language, Mapping[str, tuple[str, ...]]] = {
    "vi": {
        "causes": ("tập", "trường: quy tắc", "số bản", "chờ sau", "đã giao", "cũ nhất", "ví dụ", "lý do"),
        "each": ("số", "tập", "thứ tự", "trường: quy tắc", "chờ sau", "việc", "lúc"),
        "values": ("cột", "trước", "sau"),
    },
    "en": {
        "causes": ("dataset", "field: rule", "open", "behind", "asked", "oldest", "example", "reason"),
        "each": ("id", "dataset", "number", "field: rule", "behind", "asked", "at"),
        "values": ("column", "before", "after"),
    },
}
#: Beside what is known of one reject.
LABELS: Mapping[Language, Mapping[str, str]] = {
    "vi": {
        "detail": "chi tiết",
        "contract": "hợp đồng",
        "asked": "đã giao",
        "became": "kết quả",
        "behind": "chờ sau",
    },
    "en": {
        "detail": "detail",
        "contract": "contract",
        "asked": "asked",
        "became": "became",
        "behind": "behind",
    },
}
#: What a person may ask the workers for: ``consumers.repairs.Asked``.
ACTIONS: Mapping[Language, Mapping[str, str]] = {
    "vi": {"retry": "thử lại", "supersede": "cho vượt", "drop": "bỏ"},
    "en": {"retry": "retry", "supersede": "supersede", "drop": "drop"},
}
SAID: Mapping[Language, Mapping[str, str]] = {
    "vi": {
        "nothing": "không có bản bị từ chối nào đang mở",
        "unreadable": "không đọc được nội dung bản ghi",
        "paused": "{source} đang tạm dừng: {detail} thay đổi gần đây bị từ chối; lienthong road resume"
        " {source} cho đi tiếp",
        "corrected": "đã sửa bản {number} ({names}); tiến trình giữ phân vùng của nó thử ngay",
        "would_drop": "{count} bản sẽ bị từ chối hẳn; chưa làm gì (thêm --yes để làm)",
        "asked": "{count} bản: đã giao việc {action}; tiến trình giữ các phân vùng làm ngay",
    },
    "en": {
        "nothing": "no reject is open",
        "unreadable": "the record cannot be read",
        "paused": "{source} is paused: {detail} late changes were refused; lienthong road resume {source}"
        " lets it flow again",
        "corrected": "reject {number} corrected ({names}); the worker of its partition tries it now",
        "would_drop": "{count} rejects would be dropped; nothing was done (--yes does it)",
        "asked": "{count} rejects: {action} asked for; the workers of their partitions do it now",
    },
}
