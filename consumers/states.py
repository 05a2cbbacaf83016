"""The states a dataset may be in: what each means and what to do, in Vietnamese and English.

The order is that of urgency: the first that fits is told.
"""

from dataclasses import dataclass
from typing import Literal

from schemas.reasons import Language

State = Literal[
    "broker_away",
    "store_away",
    "retention",
    "topic_missing",
    "worker_dead",
    "breaker_open",
    "capture_stuck",
    "schema_unknown",
    "disk_full",
    "store_slow",
    "code_unknown",
    "mapping_refuses",
    "outbox_growing",
    "clock_skew",
    "hot_partition",
    "behind",
    "agency_silent",
    "healthy",
]
#: What a script sees as exit status: 0, 1, 2.
Severity = Literal["ok", "warning", "critical"]


@dataclass(frozen=True, slots=True)
class Words:
    """``{…}`` stands for what was found. What a server said is English, and so is only in English texts."""

    name: str
    cause: str
    next_step: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Meaning:
    """One state."""

    severity: Severity
    vi: Words
    en: Words

    def words(self, language: Language) -> Words:
        """In one of the two languages."""
        return self.vi if language == "vi" else self.en


STATES: dict[State, Meaning] = {
    "broker_away": Meaning(
        severity="critical",
        vi=Words(
            "mất Kafka",
            "{who} không trả lời",
            "khởi động lại máy chủ Kafka, hoặc sửa LIENTHONG_BROKER",
        ),
        en=Words(
            "broker away", "{who} does not answer: {why}", "start the broker, or correct LIENTHONG_BROKER"
        ),
    ),
    "store_away": Meaning(
        severity="critical",
        vi=Words(
            "mất kho quốc gia",
            "kho không trả lời",
            "khởi động cơ sở dữ liệu, hoặc sửa LIENTHONG_STORE",
        ),
        en=Words(
            "store away", "the store does not answer: {why}", "start the database, or correct LIENTHONG_STORE"
        ),
    ),
    "retention": Meaning(
        severity="critical",
        vi=Words(
            "sắp mất dữ liệu chưa đọc",
            "{topic}-{partition}: Kafka sẽ xóa thay đổi chưa đọc sau {hours} giờ ({lost} đã mất)",
            "tăng retention.ms của chủ đề ngay, rồi tìm vì sao không có gì được đọc: lienthong store status",
        ),
        en=Words(
            "retention about to eat data",
            "{topic}-{partition}: unread changes are deleted in {hours} h ({lost} are lost)",
            "raise the topic's retention.ms now, then see why nothing is read: lienthong store status",
        ),
    ),
    "topic_missing": Meaning(
        severity="critical",
        vi=Words(
            "thiếu chủ đề",
            "Kafka không có chủ đề {topic}",
            "tạo lại: lienthong road topics",
        ),
        en=Words(
            "topic missing",
            "the broker has no topic {topic}",
            "create it: lienthong road topics",
        ),
    ),
    "worker_dead": Meaning(
        severity="critical",
        vi=Words(
            "tiến trình chết",
            "nhóm {group} có {members} tiến trình, {lag} thay đổi của {topic} đang chờ",
            "khởi động: lienthong road run; xem nhật ký vì sao nó dừng",
        ),
        en=Words(
            "worker dead",
            "group {group} has {members} workers, {lag} changes of {topic} wait",
            "start one: lienthong road run; its log says why it ended",
        ),
    ),
    "breaker_open": Meaning(
        severity="critical",
        vi=Words(
            "đang tạm dừng",
            "{detail} thay đổi gần đây bị từ chối, nhiều nhất vì {field} {rule}",
            "sửa nguyên nhân (lienthong rejects list {system}), rồi: lienthong road resume {dataset}",
        ),
        en=Words(
            "breaker open",
            "{detail} late changes were refused, mostly for {field} {rule}",
            "mend the cause (lienthong rejects list {system}), then: lienthong road resume {dataset}",
        ),
    ),
    "capture_stuck": Meaning(
        severity="critical",
        vi=Words(
            "ghi nhận bị kẹt",
            "{waiting} thay đổi chờ trong hộp gửi, cũ nhất {oldest} giây; bộ kích hoạt: {triggers}",
            "xem nhật ký lienthong capture run; thiếu bộ kích hoạt: lienthong capture install --snapshot",
        ),
        en=Words(
            "capture stuck",
            "{waiting} changes wait in the outbox, the oldest for {oldest} s; triggers: {triggers}",
            "see the log of lienthong capture run; no triggers: lienthong capture install --snapshot",
        ),
    ),
    "schema_unknown": Meaning(
        severity="critical",
        vi=Words(
            "không đọc được lược đồ",
            "{refused} thay đổi gần đây không đọc được ({rule})",
            "đưa thư viện hợp đồng của đơn vị phát hành về đây, rồi: lienthong rejects retry",
        ),
        en=Words(
            "schema unknown",
            "{refused} late changes cannot be read ({rule})",
            "take in the publisher's contract library, then: lienthong rejects retry",
        ),
    ),
    "disk_full": Meaning(
        severity="critical",
        vi=Words(
            "đĩa sắp đầy", "đĩa của Kafka {who} đã dùng {used} %", "thêm đĩa, hoặc giảm retention.bytes"
        ),
        en=Words(
            "disk nearly full",
            "the disk of broker {who} is {used} % full",
            "add disk, or lower retention.bytes",
        ),
    ),
    "store_slow": Meaning(
        severity="warning",
        vi=Words(
            "kho chậm",
            "một câu lệnh chạy {busy} giây, kho trả lời sau {seconds} giây, {lag} thay đổi đang chờ",
            "xem pg_stat_activity và khóa trong kho: ai đang giữ bảng, đĩa có chậm không",
        ),
        en=Words(
            "store slow",
            "a statement ran for {busy} s, the store answered in {seconds} s, {lag} changes wait",
            "see pg_stat_activity and the locks of the store: who holds a table, is the disk slow",
        ),
    ),
    "code_unknown": Meaning(
        severity="warning",
        vi=Words(
            "mã không có trong danh mục",
            "{refused} trong {changes} thay đổi gần đây bị từ chối vì mã ({rule})",
            "bổ sung danh mục hoặc sửa ở nguồn (lienthong rejects list {system}), rồi rejects retry",
        ),
        en=Words(
            "code unknown",
            "{refused} of {changes} late changes were refused for a code ({rule})",
            "see lienthong rejects list {system}; extend the list or correct the source, then rejects retry",
        ),
    ),
    "mapping_refuses": Meaning(
        severity="warning",
        vi=Words(
            "quy tắc từ chối",
            "{refused} trong {changes} thay đổi gần đây bị từ chối ({rule})",
            "xem lienthong rejects list {system}; sửa ở nguồn, hoặc sửa hợp đồng (contracts shadow)",
        ),
        en=Words(
            "mapping refuses",
            "{refused} of {changes} late changes were refused ({rule})",
            "see lienthong rejects list {system}; correct the source, or the contract (contracts shadow)",
        ),
    ),
    "outbox_growing": Meaning(
        severity="warning",
        vi=Words(
            "hộp gửi đang đầy lên",
            "{waiting} thay đổi chờ trong hộp gửi, thêm {growth} so với lần xem trước, cũ nhất {oldest} giây",
            "xem tốc độ của lienthong capture run: mạng tới Kafka, ổ đĩa của đơn vị, đợt nhập liệu lớn",
        ),
        en=Words(
            "outbox growing",
            "{waiting} changes wait in the outbox, {growth} more than before, the oldest for {oldest} s",
            "see how fast lienthong capture run is: network to the broker, the agency's disk, a large import",
        ),
    ),
    "clock_skew": Meaning(
        severity="warning",
        vi=Words(
            "đồng hồ lệch", "đồng hồ của {who} lệch {skew} giây", "đặt giờ theo NTP trên máy đó và máy này"
        ),
        en=Words(
            "clock skew",
            "the clock of {who} is {skew} s off",
            "set that machine's clock and this one's by NTP",
        ),
    ),
    "hot_partition": Meaning(
        severity="warning",
        vi=Words(
            "một phân vùng quá tải",
            "{share} % trong {lag} thay đổi đang chờ nằm ở {topic}-{partition}",
            "tìm hồ sơ có quá nhiều thay đổi ở nguồn; thêm tiến trình cũng không giúp phân vùng này",
        ),
        en=Words(
            "hot partition",
            "{share} % of {lag} waiting changes are in {topic}-{partition}",
            "find the record that changes too often at the source; more workers do not help one partition",
        ),
    ),
    "behind": Meaning(
        severity="warning",
        vi=Words(
            "chậm hơn cam kết",
            "{topic}: {lag} thay đổi đang chờ, cũ nhất {oldest} giây, cam kết {promise} giây",
            "chạy thêm tiến trình (lienthong road run), hoặc chờ đợt dữ liệu lớn qua đi",
        ),
        en=Words(
            "behind its promise",
            "{topic}: {lag} changes wait, the oldest for {oldest} s; promised are {promise} s",
            "run another worker (lienthong road run), or wait for the rush to pass",
        ),
    ),
    "agency_silent": Meaning(
        severity="warning",
        vi=Words(
            "đơn vị im lặng",
            "không có thay đổi nào từ {since}; theo nếp của chính đơn vị, xác suất là {unlikely} %",
            "hỏi {owner}: phần mềm còn dùng không, bộ kích hoạt còn không (lienthong capture status)",
        ),
        en=Words(
            "agency silent",
            "no change since {since}; by the agency's own habit the odds are {unlikely} %",
            "ask {owner}: is the program in use, are the triggers there (lienthong capture status)",
        ),
    ),
    "healthy": Meaning(
        severity="ok",
        vi=Words("bình thường", "", ""),
        en=Words("healthy", "", ""),
    ),
}
