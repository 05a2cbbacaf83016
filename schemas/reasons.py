"""Why a change was refused, in one sentence and with the next step, in Vietnamese and English.

One table for every rule code that the mapping, the codec or the store can give.
"""

from dataclasses import dataclass
from typing import Literal

Language = Literal["vi", "en"]


@dataclass(frozen=True, slots=True)
class Reason:
    """What a rule code means. ``{field}`` stands for the field at fault."""

    vi: str
    en: str


REASONS: dict[str, Reason] = {
    # what is wrong with a value
    "required_missing": Reason(
        "{field}: bắt buộc phải có nhưng đang trống. Bổ sung giá trị trong phần mềm gốc.",
        "{field}: required, and missing. Fill it in at the source.",
    ),
    "date_unreadable": Reason(
        "{field}: không đọc được ngày. Viết dạng ngày/tháng/năm, năm đủ 4 chữ số.",
        "{field}: the date cannot be read. Write day/month/year, the year with 4 digits.",
    ),
    "date_impossible": Reason(
        "{field}: ngày này không có trong lịch. Đối chiếu với sổ gốc.",
        "{field}: the calendar has no such day. Compare with the paper register.",
    ),
    "date_precision": Reason(
        "{field}: cần đủ ngày, tháng, năm. Bổ sung phần còn thiếu theo sổ gốc.",
        "{field}: day, month and year are needed. Complete it from the paper register.",
    ),
    "moment_precision": Reason(
        "{field}: cần đủ ngày và giờ, phút, giây. Bổ sung phần còn thiếu ở phần mềm gốc.",
        "{field}: the day and the full time of day are needed. Complete it at the source.",
    ),
    "number_unreadable": Reason(
        "{field}: không đọc được số. Chỉ viết chữ số và dấu phân cách mà hợp đồng dữ liệu quy định.",
        "{field}: the number cannot be read. Write digits only, with the marks that the contract names.",
    ),
    "number_too_precise": Reason(
        "{field}: số có nhiều chữ số thập phân hơn mức cho phép, không tự làm tròn. Sửa ở phần mềm gốc.",
        "{field}: more decimals than the field takes, and nothing is rounded. Correct it at the source.",
    ),
    "list_unreadable": Reason(
        "{field}: không đọc được danh sách. Mỗi giá trị phải là một mảng JSON gồm các đối tượng.",
        "{field}: the list cannot be read. Each value must be a JSON array of objects.",
    ),
    "code_unknown": Reason(
        "{field}: giá trị không có trong danh mục. Sửa giá trị, hoặc bổ sung danh mục.",
        "{field}: the value is not in the code list. Correct it, or extend the list.",
    ),
    "code_ambiguous": Reason(
        "{field}: giá trị ứng với nhiều mã, không thể tự chọn. Ghi rõ tên chính thức.",
        "{field}: the value means several codes and none may be guessed. Write the official name.",
    ),
    "code_not_valid_then": Reason(
        "{field}: mã có trong danh mục nhưng không có hiệu lực vào ngày của sự kiện. Kiểm tra mã và ngày.",
        "{field}: the code is in the list but was not in force on the event's date. Check code and date.",
    ),
    "code_successor_unknown": Reason(
        "{field}: danh mục không cho biết đơn vị này sau đó mang mã nào. Bổ sung bảng chuyển đổi mã.",
        "{field}: the list does not tell which code this unit has later. Add to the list's successors.",
    ),
    "text_unstorable": Reason(
        "{field}: có ký tự NUL, không cơ sở dữ liệu nào lưu được. Xóa ký tự này ở phần mềm gốc.",
        "{field}: holds a NUL character, which no database stores. Remove it at the source.",
    ),
    "status_unknown": Reason(
        "{field}: trạng thái không có trong hợp đồng dữ liệu. Sửa trạng thái, hoặc bổ sung hợp đồng.",
        "{field}: the contract does not know this status. Correct it, or extend the contract.",
    ),
    "lines_several": Reason(
        "{field}: chỉ được có một dòng cho mỗi hồ sơ nhưng có nhiều dòng. Xóa dòng thừa ở phần mềm gốc.",
        "{field}: a record may have one line only, and has several. Remove the others at the source.",
    ),
    "not_concerned": Reason(
        "{field}: hồ sơ không thuộc phạm vi của định dạng; nếu có ở đó thì đã xóa.",
        "{field}: the record does not concern the format; if it stood there, it was deleted.",
    ),
    "op_unknown": Reason(
        "Loại thay đổi không phải thêm, sửa, xóa hay chụp ban đầu. Báo cho đơn vị phát hành.",
        "The change is neither create, update, delete nor snapshot. Tell the publisher.",
    ),
    # what is wrong with the bytes
    "value_empty": Reason(
        "Bản ghi không có nội dung. Kiểm tra chương trình phát hành.",
        "The record has no content. Check the publishing program.",
    ),
    "header_missing": Reason(
        "Bản ghi không bắt đầu bằng mã lược đồ. Phát hành bằng lienthong capture hoặc Debezium với Avro.",
        "The record does not begin with a schema id. Publish with lienthong capture, or Debezium with Avro.",
    ),
    "schema_unknown": Reason(
        "Mã lược đồ chưa được đăng ký ở đây. Cập nhật thư viện hợp đồng của đơn vị phát hành.",
        "The schema id is not registered here. Take in the publisher's contract library.",
    ),
    "schema_foreign": Reason(
        "Mã lược đồ là của loại dữ liệu khác. Kiểm tra cấu hình phát hành.",
        "The schema id belongs to other data. Check the publisher's configuration.",
    ),
    "fingerprint_mismatch": Reason(
        "Dấu vân tay của lược đồ không khớp với mã. Hai thư viện hợp đồng khác nhau: đồng bộ lại.",
        "The schema's fingerprint is not that of its id: two contract libraries differ. Bring them together.",
    ),
    "bytes_truncated": Reason(
        "Bản ghi bị cắt cụt. Phát hành lại từ nguồn.",
        "The record is cut short. Publish it again from the source.",
    ),
    "bytes_trailing": Reason(
        "Bản ghi thừa byte ở cuối. Phát hành lại từ nguồn.",
        "The record has bytes too many at its end. Publish it again from the source.",
    ),
    "utf8_invalid": Reason(
        "Văn bản không phải UTF-8. Sửa bảng mã ở chương trình phát hành.",
        "Text is not UTF-8. Correct the encoding in the publishing program.",
    ),
    "record_too_large": Reason(
        "Bản ghi lớn hơn 1 MiB. Không gửi tệp đính kèm trong bản ghi.",
        "The record is larger than 1 MiB. Do not send attachments inside records.",
    ),
    "record_unreadable": Reason(
        "Không đọc được bản ghi theo lược đồ của nó. Phát hành lại từ nguồn.",
        "The record cannot be read by its schema. Publish it again from the source.",
    ),
    # what the store says
    "national_key_taken": Reason(
        "Khóa quốc gia này đang thuộc về bản ghi khác của nguồn. Kiểm tra bản ghi trùng trong phần mềm gốc.",
        "Another record of the source holds this national key. Look for a double entry at the source.",
    ),
    "database_refused": Reason(
        "{field}: kho quốc gia không nhận giá trị này. Xem chi tiết trong lienthong_reject.",
        "{field}: the national store refuses this value. See the detail in lienthong_reject.",
    ),
    "unexpected_error": Reason(
        "Chương trình gặp lỗi không lường trước với bản ghi này. Gửi mã bản ghi cho nhóm phát triển.",
        "The program met an error it did not foresee with this record. Send its place to the developers.",
    ),
    # what is told of a whole source
    "source_paused": Reason(
        "Phần lớn thay đổi của nguồn này bị từ chối nên tỉnh tạm dừng nhận. Xem: lienthong receipts show.",
        "Most changes of this source are refused, so the province has paused it. For the cause see lienthong"
        " receipts show.",
    ),
    "source_resumed": Reason(
        "Tỉnh nhận lại thay đổi của nguồn này.",
        "The province takes changes of this source again.",
    ),
    # doubts: the record goes on
    "personal_id_form": Reason(
        "{field}: số định danh không đủ 12 chữ số. Kiểm tra lại theo giấy tờ của người đó.",
        "{field}: the personal number has not 12 digits. Compare with the person's papers.",
    ),
    "form_unknown": Reason(
        "{field}: mã không theo dạng nào đã biết. Bản ghi vẫn đi tiếp; nên kiểm tra lại.",
        "{field}: the code has none of the forms known. The record goes on; check it.",
    ),
    "personal_id_prefix": Reason(
        "{field}: ba số đầu không khớp tỉnh đăng ký khai sinh. Bản ghi vẫn đi tiếp; nên kiểm tra lại.",
        "{field}: the first three digits are not the province of registration. The record goes on; check it.",
    ),
    "personal_id_birth": Reason(
        "{field}: số định danh không khớp giới tính hoặc năm sinh. Bản ghi vẫn đi tiếp; nên kiểm tra lại.",
        "{field}: the personal number disagrees with sex or year of birth. The record goes on; check it.",
    ),
}


def reason(rule: str, field: str, language: Language) -> str:
    """The sentence for people; a rule this version does not know is told by its code."""
    known = REASONS.get(rule)
    if known is None:
        return f"{field}: {rule}" if field else rule
    text = known.vi if language == "vi" else known.en
    return text.replace("{field}: ", f"{field}: " if field else "").replace("{field}", field)
