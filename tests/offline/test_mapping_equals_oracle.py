"""The columnar mapping and the row-at-a-time oracle say the same of any batch, however messy."""

import random
import unicodedata
from collections.abc import Callable, Sequence
from typing import Any
from unittest.mock import patch

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas import plan
from schemas.library import Library
from schemas.mapping import Translator
from tests import oracle
from tests.envelopes import GOOD, Row, event, frame
from tests.shipped import shipped

CONTRACT = "hotich_qnam/khaisinh"
TARGET, BESIDE = "hotich.khaisinh.v1", "hotich.khaisinh.v2"

NOTHING = [None, "", " ", "null", "Null", "NULL", "-", "không rõ", "Không Rõ", "KHÔNG CÓ THÔNG TIN", "\u00a0"]
DATES = [
    "04/05/2016", "4/5/2016", "4.5.2016", "04-05-2016", "4/5.2016", "04/5/16", "31/02/2016", "29/02/2016",
    "29/02/2015", "29/02/1900", "29/02/2000", "30/04/2010", "31/04/2010", "00/05/2016", "5/0/2016",
    "32/01/2016", "05/2016", "5-2016", "13/2016", "00/2016", "2016", "0000", "0001", "9999", "1/1/0001",
    "20160504", "05/16", "/2016", "4//2016", "ngày 4 tháng 5 năm 2016", "4/5/2016 ", "٤/٥/٢٠١٦",
    "30/06/2025", "01/07/2025", "01/01/2025", "10/04/2023", "1 /2/2016", "2016-05-04", "-1/2/2016",
    "+1/2/2016",
]  # fmt: skip
COMMUNES = ["20656", "20296", "20333", "20194", "00001", "99999", "2065", "20656a", "", "48", "20 656", "VN"]
GROUPS = [
    "Kinh", "kinh", "Cơ Tu", "CƠ-TU", "Cơ tu", "Kơ Tu", "Giẻ-Triêng", "Giẻ Triêng", "Gié Triêng",
    "Xê Đăng", "Xơ-Đăng", "xơ đăng", "H'Mông", "HMông", "Ba Na (A-la Công)", "ba na (a-la công)",
    "Ba Na (Ve)", "Thổ", "Ca-tang", "Hạ", "Xá Lá Vàng", "Lào", "Việt", "Giẻ Triêng (Ve)",
    "Cơ Tu (Ca-tang)", "25", "26", "Người nước ngoài", "Sao Hỏa", "Co\u031b tu", "Tày\u2010Mười", "?",
]  # fmt: skip
NAMES = [
    "Bhling Thị Thử", "BHLING THỊ THỬ", "bhling thị thử", "HỒ THỊ-MẪU", "y-blô thử", "A", "a", "ĐỖ ẢNH",
    "123", "Y BLÔ thử", "o'mẫu thử", "Ni\u0301 Thử", "STRAßE", "ǅ ÁN", "ÎLE", "ὈΔΥΣΣΕΎΣ", "ﬁ THỬ",
    "i̇stanbul",
]  # fmt: skip
VALUES: dict[str, Sequence[Any]] = {
    "id": [1, 7, 10**15, -3, None],
    "so_dk": ["45", "45/2016", "4|5", "50%", "%7C", "a  b"],
    "quyen_so": ["01/2016", "02", "|", "null"],
    "ngay_dk": DATES,
    "ngay_sinh": DATES,
    "me_ngay_sinh": DATES,
    "cha_ngay_sinh": DATES,
    "loai_dk": ["Đúng hạn", "Quá hạn", "ĐÚNG HẠN", "Đăng ký lại", "Đăng ký đúng hạn", "1", "4", "9", "Khác"],
    "ma_xa_dk": COMMUNES,
    "nguoi_ky": [
        "Trần Mẫu - Chủ tịch", "Trần Mẫu", "- - Chủ tịch", "A - -", "A -  - B", "A-B", "x - y - z",
        "null - A",
    ],
    "ho_ten": NAMES,
    "me_ho_ten": NAMES,
    "cha_ho_ten": NAMES,
    "gioi_tinh": ["Nam", "Nữ", "nam", "NỮ", "1", "2", "3", "Không xác định", "0", "M"],
    "dan_toc": GROUPS,
    "me_dan_toc": GROUPS,
    "cha_dan_toc": GROUPS,
    "quoc_tich": ["Việt Nam", "VIỆT NAM", "Lào", "Mỹ", "Hoa Kỳ", "VN", "Trung Quốc", "Tây Tạng"],
    "so_dinh_danh": [
        "049316000001", "048316000001", "049216000001", "049090000001", "001190123456", "04931600000",
        "0493160000012", "04931600000a", "049 316 000 001", "０49316000001",
    ],
    "me_giay_to": ["049190000002", "200000003", "C0000004", "20000000", "2000 00003"],
    "trang_thai": [1, 1, 1, 0, 9, 2, -1, None],
    "du_lieu_cu": [True, False, None],
}  # fmt: skip

# Letters that this Python does not know yet may be letters to a younger Unicode; leave them out.
LETTERS = st.characters(codec="utf-8", exclude_categories=("Cs", "Cn", "Co"))
MESSES: list[Callable[[str], str]] = [
    lambda text: unicodedata.normalize("NFD", text),
    str.upper,
    str.lower,
    lambda text: f"  {text}\t",
    lambda text: text.replace(" ", "\u00a0 "),
    lambda text: text.replace(" ", "\u2003"),
    lambda text: text.replace("-", " "),
    lambda text: text + "\r\n",
    lambda text: text[:2] + "\x00" + text[2:],
]


def values_of(column: str) -> st.SearchStrategy[Any]:
    if column in ("id", "trang_thai", "du_lieu_cu"):
        return st.sampled_from(VALUES[column])
    known = st.sampled_from([*VALUES.get(column, ["Trung tâm Y tế"]), GOOD[column]])
    messy = st.builds(lambda text, mess: mess(text), known, st.sampled_from(MESSES))
    return st.one_of(known, known, messy, messy, st.sampled_from(NOTHING), st.text(LETTERS, max_size=6))


#: Few columns of a good row changed: then most rows get far, and each problem is seen alone and in company.
rows = st.lists(
    st.sampled_from(sorted(GOOD)).flatmap(lambda column: st.tuples(st.just(column), values_of(column))),
    max_size=4,
).map(lambda changes: {**GOOD, **dict(changes)})


@st.composite
def events(draw: st.DrawFn) -> Row:
    op = draw(st.sampled_from(["c", "u", "u", "u", "d", "r", "t"]))
    after = None if op == "d" or draw(st.integers(0, 30)) == 0 else draw(rows)
    before = draw(st.one_of(st.none(), rows)) if op != "d" else draw(st.one_of(rows, rows, rows, st.none()))
    return event(after, before, op=op, seq=draw(st.integers(1, 2**40)))


@pytest.fixture(scope="module")
def library() -> Library:
    return shipped()


@pytest.fixture(scope="module")
def translator(library: Library) -> Translator:
    return Translator(library.contracts[CONTRACT], library)


def assert_equal(batch: Sequence[Row], translator: Translator, library: Library) -> None:
    translated = translator.translate(frame(batch, library.contracts[CONTRACT]))
    national = translated.national[TARGET]
    wire = [column["name"] for column in library.formats[TARGET].wire_schema["fields"]]
    assert national.columns == [*wire, "__row"]
    assert national["__row"].is_sorted()
    # The second layout, from the same records, says the same in every field that both have.
    beside = translated.national[BESIDE]
    assert beside.select(national.columns).drop("lt_overflow").equals(national.drop("lt_overflow"))
    changes: dict[int, list[Row]] = {}
    for row in beside.iter_rows(named=True):
        there = {name: value for name, value in row.items() if value is not None}
        changes.setdefault(there.pop("__row"), []).append(there)
    rejects = {row["__row"]: row for row in translated.rejects.iter_rows(named=True)}
    warnings: dict[int, list[tuple[str, str]]] = {}
    for row in translated.warnings.iter_rows(named=True):
        warnings.setdefault(row["__row"], []).append((row["field"], row["rule"]))
    kept: dict[int, str | None] = {}
    for at, one in enumerate(batch):
        due = oracle.translate(one)
        reject = rejects.get(at)
        assert (reject and (reject["field"], reject["rule"])) == due.reject, one
        if reject:
            side = one["before"] if one["op"] == "d" else one["after"]
            key = (side or {}).get("id")
            assert reject["lt_source_key"] == ("" if key is None else str(key))
            assert reject["lt_seq"] == one["source"]["seq"]
        assert changes.get(at, []) == due.changes, one
        live = one["after"] if any(change["lt_op"] == "u" for change in due.changes) else {}
        kept[at] = oracle.beside(live or {}, "du_lieu_cu", "so_dinh_danh")
        assert warnings.get(at, []) == due.warnings, one
    # The first layout has no field for the number: there it is kept as it is written.
    for at, op, text in national.select("__row", "lt_op", "lt_overflow").iter_rows():
        assert text == (kept[at] if op == "u" else None)


@pytest.mark.parametrize("few", [0, 25])  # all batches the way of large ones, or that of small ones
@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(batch=st.lists(events(), max_size=25))
def test_columns_say_what_the_oracle_says(
    batch: list[Row], few: int, translator: Translator, library: Library
) -> None:
    with patch.object(plan, "FEW", few):
        assert_equal(batch, translator, library)


@pytest.mark.parametrize("seed", range(3))
def test_large_batches_too(seed: int, translator: Translator, library: Library) -> None:
    chance = random.Random(seed)

    def one_row() -> Row:
        row = dict(GOOD, id=chance.randrange(10**6))
        for _ in range(chance.randrange(5)):
            column = chance.choice(sorted(VALUES))
            value = chance.choice(VALUES[column])
            if isinstance(value, str) and chance.random() < 0.3:
                value = chance.choice(MESSES)(value)
            row[column] = chance.choice([value, value, value, None if column == "id" else GOOD[column]])
        return row

    batch = []
    for at in range(1000):
        op = chance.choice("ccuuuuudr")
        before = one_row() if op == "d" or chance.random() < 0.4 else None
        batch.append(event(None if op == "d" else one_row(), before, op=op, seq=at + 1))
    assert_equal(batch, translator, library)


def test_the_comparison_can_fail(
    translator: Translator, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(oracle.OBTAINED, "trangSo", ("so_dk", oracle.OBTAINED["so"][1], False))
    with pytest.raises(AssertionError):
        assert_equal([event(GOOD)], translator, library)


def test_an_empty_batch_gives_empty_columns(translator: Translator, library: Library) -> None:
    translated = translator.translate(frame([], library.contracts[CONTRACT]))
    national = translated.national[TARGET]
    assert (len(national), len(translated.rejects), len(translated.warnings)) == (0, 0, 0)
    assert national.schema["lt_seq"] == pl.Int64
    assert national.schema["nksHoTen"] == pl.String
