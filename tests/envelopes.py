"""Decoded envelopes of the birth register, made by hand: what ``schemas.codec.decode`` would give."""

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from schemas.contracts import COLUMN_TYPES, SOURCE_FIELDS, Contract

Row = dict[str, Any]

#: A made-up entry with nothing wrong in it.
GOOD: Row = {
    "id": 1001,
    "so_dk": "45/2016",
    "quyen_so": "01/2016",
    "trang_so": "23",
    "ngay_dk": "04/05/2016",
    "loai_dk": "Đúng hạn",
    "ma_xa_dk": "20656",
    "nguoi_ky": "Trần Văn Mẫu - Phó Chủ tịch",
    "ho_ten": "Bhling Thị Thử",
    "gioi_tinh": "Nữ",
    "ngay_sinh": "27/04/2016",
    "noi_sinh": "Trung tâm Y tế huyện Nông Sơn",
    "que_quan": "Quế Trung, Nông Sơn, Quảng Nam",
    "dan_toc": "Cơ Tu",
    "quoc_tich": "Việt Nam",
    "so_dinh_danh": "049316000001",
    "me_ho_ten": "Alăng Thị Ví Dụ",
    "me_ngay_sinh": "1990",
    "me_dan_toc": "Cơ-tu",
    "me_giay_to": "049190000002",
    "cha_ho_ten": "Bhling Văn Thử",
    "cha_ngay_sinh": "03/1988",
    "cha_dan_toc": "Kinh",
    "trang_thai": 1,
    "du_lieu_cu": False,
}


def event(after: Row | None, before: Row | None = None, *, op: str = "c", seq: int = 1) -> Row:
    """One change event."""
    source = {name: "x" if avro == "string" else seq for name, avro in SOURCE_FIELDS}
    source |= {"seq": seq, "ts_ms": 1_700_000_000_000 + seq}
    return {"before": before, "after": after, "source": source, "op": op, "ts_ms": 0}


def frame(events: Sequence[Mapping[str, Any]], contract: Contract) -> pl.DataFrame:
    """Events as columns; ``__row`` is the place of each."""
    value = pl.Struct({name: COLUMN_TYPES[avro] for name, avro in contract.on_wire.items()})
    source = pl.Struct({name: COLUMN_TYPES[avro] for name, avro in SOURCE_FIELDS})
    return pl.DataFrame(
        [{**one, "__row": at} for at, one in enumerate(events)],
        schema={
            "before": value,
            "after": value,
            "source": source,
            "op": pl.String,
            "ts_ms": pl.Int64,
            "__row": pl.UInt32,
        },
    )
