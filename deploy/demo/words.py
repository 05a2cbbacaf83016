"""Word lists for fictional people and places; any likeness of a combination to a real person is chance.

Every word keeps its shape when it is put in capitals and back (first letter of each word large, the rest
small), so that a name may be rendered in capitals without changing the truth. ``UNEVEN`` names never are.
"""

from typing import Final


def _split(text: str) -> tuple[str, ...]:
    return tuple(text.split())


KINH_FAMILIES: Final = _split(
    "Nguyễn Trần Lê Phạm Võ Huỳnh Phan Đặng Bùi Đỗ Hồ Ngô Dương Trương Lương Đinh Tô Mai Đoàn Hứa Kiều"
)
MALE_MIDDLES: Final = ("Văn", "Hữu", "Đức", "Quang", "Minh", "Xuân", "Quốc", "Công", "Thế", "Ngọc Bảo", "Gia")
FEMALE_MIDDLES: Final = ("Thị", "Thị Thanh", "Thị Ngọc", "Thu", "Kim", "Mỹ", "Bảo", "Thị Hồng", "Ánh", "Như")
MALE_GIVEN: Final = _split(
    "An Bình Cường Dũng Đạt Hải Hưng Khôi Lộc Nghĩa Phúc Quý Sơn Thịnh Tuấn Vĩnh Ước Ý"
)
FEMALE_GIVEN: Final = _split(
    "Ái Chi Diễm Giang Hạnh Huệ Lan Ly Nga Nhung Oanh Quỳnh Thảo Thủy Trâm Uyên Vy Yến"
)

COTU_FAMILIES: Final = (
    "Alăng",
    "Arất",
    "Ating",
    "Bhling",
    "Bhnướch",
    "Blúp",
    "Bríu",
    "Coor",
    "Hôih",
    "Pơloong",
)
COTU_GIVEN: Final = (
    "Bhlai",
    "Brao",
    "Đhơi",
    "Hơn",
    "Ngớp",
    "Nhia",
    "Nơm",
    "Pia",
    "Trươi",
    "Zưn",
    "Thị Bưởi",
    "Văn Tơr",
)
XODANG_FAMILIES: Final = ("Hồ", "Đinh", "A", "Y", "Nguyễn")
XODANG_GIVEN: Final = (
    "Phiên",
    "Hlim",
    "Nhía",
    "Văn Đếu",
    "Thị Rin",
    "Tlúc",
    "Blây",
    "Văn Xơn",
    "Thị Yêu",
    "Ngheo",
)
GIETRIENG_FAMILIES: Final = (
    "Bloong",
    "Coong",
    "Hiên",
    "Kring",
    "Tơ Ngol",
    "Un",
    "Zơ Râm",
    "A Vương",
    "Y-Ning",
)
GIETRIENG_GIVEN: Final = (
    "Nhang",
    "Bhiu",
    "Ngân",
    "Văn Dút",
    "Thị Chiêng",
    "Tuối",
    "Phai",
    "Văn Mút",
    "Thị Nhum",
    "Đấp",
)

#: Mixed capitals that must come through untouched.
UNEVEN: Final = (
    "Nguyễn thị Lụa",
    "Alăng K'Nhớ",
    "TRẦN Văn Tỏ",
    "hồ Thị Sương",
    "Zơ Râm thị Mướp",
    "McLê Văn Thử",
)

TITLES: Final = (
    "Chủ tịch",
    "Phó Chủ tịch",
    "Q. Chủ tịch",
    "Phó Chủ tịch Ủy ban nhân dân",
    "Phó Chủ tịch - Phụ trách tư pháp",
)
BIRTH_PLACES: Final = (
    "Trạm Y tế {commune}",
    "Bệnh viện Đa khoa tỉnh Quảng Nam",
    "Bệnh viện Phụ sản - Nhi Đà Nẵng",
    "Tại nhà, {commune}",
    "{commune}",
    "Trung tâm Y tế khu vực (cơ sở 2)",
)

#: Spellings of ethnic groups that belong to one group without doubt, by code.
ETHNIC_SPELLINGS: Final[dict[str, tuple[str, ...]]] = {
    "01": ("Kinh", "Kinh", "Kinh", "kinh", "KINH", "Việt"),
    "02": ("Tày", "TÀY"),
    "04": ("Hoa", "hoa"),  # also another name of 08: the official name wins
    "06": ("Mường",),
    "07": ("Nùng", "nùng"),
    "08": ("HMông", "H'Mông", "Mèo"),
    "10": ("Gia-rai", "Gia Rai"),
    "12": ("Ê-đê", "Ê Đê"),
    "13": ("Ba na", "Ba Na", "Ba Na (A-la Công)", "BA-NA"),
    "14": (
        "Xơ-Đăng",
        "Xơ Đăng",
        "Xơ-đăng",
        "XƠ ĐĂNG",
        "Xê Đăng",
        "Ca-dong",
        "Ca Dong",
        "Xơ Đăng (Ca-dong)",
        "Mơ-nâm",
    ),
    "23": ("Bru-Vân Kiều", "Bru - Vân Kiều", "Vân Kiều"),
    "24": ("Thổ",),  # also another name of 02 and 05: the official name wins
    "26": ("Cơ-tu", "Cơ Tu", "Cơ-Tu", "CƠ TU", "cơ tu", "Ca-tu", "Ca Tu", "Kơ Tu", "Cơ Tu (Ca-tang)"),
    "27": (
        "Gié Triêng",
        "Giẻ-Triêng",
        "Giẻ Triêng",
        "GIẺ TRIÊNG",
        "Giẻ-triêng",
        "Triêng",
        "Ve",
        "Gié Triêng (Ve)",
    ),
    "30": ("Co", "Cor", "CO"),
    "31": ("Tà-ôi", "Tà Ôi", "Pa-co"),
}
#: Names which several groups share and none has officially.
ETHNIC_AMBIGUOUS: Final = ("Ca-tang", "Ca Tang", "Mán", "Trại", "Chil", "Xá Lá Vàng")
#: Names which no group has, or whose parenthesis names another group's people.
ETHNIC_UNKNOWN: Final = ("Cờ Tu", "Ka Tu", "Giẻ Chiêng", "Xơ Đằng", "Ba Na (Ca-dong)", "Dân tộc thiểu số")

GENDER_SPELLINGS: Final[dict[str, tuple[str, ...]]] = {
    "1": ("Nam", "Nam", "Nam", "nam", "NAM", "1"),
    "2": ("Nữ", "Nữ", "Nữ", "nữ", "NỮ", "2"),
    "3": ("Không xác định", "3"),
}
KIND_SPELLINGS: Final[dict[str, tuple[str, ...]]] = {
    "1": ("Đúng hạn", "Đúng hạn", "Đăng ký đúng hạn", "1"),
    "2": ("Đăng ký lại", "2"),
    "4": ("Quá hạn", "Quá hạn", "Đăng ký quá hạn", "4"),
}
#: One spelling each: the 70-column layout keeps the word itself.
NATIONALITY_SPELLINGS: Final[dict[str, tuple[str, ...]]] = {"VN": ("Việt Nam",), "LA": ("Lào",)}

#: What the vendor's clerks and import scripts left where nothing was known. None is SQL's NULL.
MISSING: Final[tuple[str | None, ...]] = (
    *(None,) * 8,
    "",
    "  ",
    "Null",
    "NULL",
    "null",
    "-",
    "\u00a0",
    "Không có thông tin",
    "KHÔNG CÓ  THÔNG TIN",
    "không rõ",
)
