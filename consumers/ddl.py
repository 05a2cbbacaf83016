"""Tables of the national store: made from national formats, altered by additions only.

A column is never dropped and its type never changed here: that is a decision for people, because other
programs read these tables.
"""

from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from schemas.formats import FormatField, NationalFormat


class Moment(sa.types.TypeDecorator[datetime]):
    """A point in time, UTC: ``timestamptz`` on PostgreSQL, sortable ISO 8601 text on SQLite."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: sa.Dialect) -> sa.types.TypeEngine[Any]:
        return dialect.type_descriptor(sa.Text() if dialect.name == "sqlite" else sa.DateTime(timezone=True))

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> Any:
        if value is None or dialect.name != "sqlite":
            return value
        return value.astimezone(UTC).isoformat(timespec="microseconds")

    def process_result_value(self, value: Any, dialect: sa.Dialect) -> datetime | None:
        if value is None:
            return None
        moment = datetime.fromisoformat(value) if dialect.name == "sqlite" else value
        return moment.astimezone(UTC) if isinstance(moment, datetime) else None


def id_column() -> sa.Column[int]:
    """The column ``id``: the database counts it up."""
    # SQLite counts by itself only in a column whose type is exactly INTEGER.
    number = sa.BigInteger().with_variant(sa.Integer, "sqlite")
    return sa.Column("id", number, sa.Identity(), primary_key=True)


def _text(name: str, **more: Any) -> sa.Column[str]:
    return sa.Column(name, sa.Text, **{"nullable": False, **more})


metadata = sa.MetaData()

ledger = sa.Table(
    "lienthong_ledger",
    metadata,
    _text("deployment", primary_key=True),
    _text("topic", primary_key=True),
    sa.Column("partition", sa.Integer, primary_key=True),
    sa.Column("next_offset", sa.BigInteger),
    sa.Column("epoch", sa.BigInteger, nullable=False),
    sa.Column("generation", sa.BigInteger, nullable=False),
    _text("owner"),
    sa.Column("claimed_at", Moment, nullable=False),
    sa.Column("updated_at", Moment),
    _text("library", nullable=True),
    comment="Sổ vị trí: mỗi phân vùng Kafka đã được ghi vào kho đến đâu; ghi cùng giao dịch với dữ liệu",
)

receipt = sa.Table(
    "lienthong_receipt",
    metadata,
    id_column(),
    _text("system"),
    _text("dataset"),
    _text("format"),
    _text("outcome"),
    # Long lists of numbers: packing them would take three times as long as writing them.
    _text("seqs", info={"storage": "EXTERNAL"}),
    sa.Column("first_seq", sa.BigInteger, nullable=False),
    sa.Column("last_seq", sa.BigInteger, nullable=False),
    sa.Column("how_many", sa.Integer, nullable=False),
    _text("rule"),
    _text("field"),
    sa.Column("at", Moment, nullable=False),
    sa.Column("published_at", Moment),
    comment="Biên nhận: các số thứ tự thay đổi đã được áp dụng, đã cũ hoặc bị từ chối, theo hệ thống nguồn",
)
sa.Index("lienthong_receipt_by_system", receipt.c.system, receipt.c.dataset)

reject = sa.Table(
    "lienthong_reject",
    metadata,
    id_column(),
    _text("deployment"),
    _text("system"),
    _text("dataset"),
    sa.Column("seq", sa.BigInteger),
    _text("source_key", nullable=True),
    _text("topic"),
    sa.Column("partition", sa.Integer, nullable=False),
    sa.Column("offset", sa.BigInteger, nullable=False),
    _text("rule"),
    _text("field"),
    _text("detail"),
    sa.Column("original", sa.LargeBinary),
    sa.Column("record_key", sa.LargeBinary),
    # What follows is unknown of rejects that are older than it: NULL.
    sa.Column("blocks", sa.Boolean),
    _text("contract", nullable=True),
    _text("library", nullable=True),
    _text("fingerprint", nullable=True),
    _text("asked", nullable=True),
    sa.Column("correction", sa.LargeBinary),
    _text("became", nullable=True),
    sa.Column("became_at", Moment),
    sa.Column("at", Moment, nullable=False),
    sa.Column("published_at", Moment),
    comment="Bản ghi bị từ chối: quy tắc, trường, lý do và nguyên văn bản ghi",
)
# With the number in it, a topic that was deleted and made anew does not hide its rejects behind old ones.
sa.Index(
    "lienthong_reject_once",
    reject.c.deployment,
    reject.c.topic,
    reject.c.partition,
    reject.c.offset,
    reject.c.rule,
    reject.c.field,
    sa.func.coalesce(reject.c.seq, sa.literal_column("-1")),
    unique=True,
)
sa.Index("lienthong_reject_by_system", reject.c.system, reject.c.dataset)
sa.Index(
    "lienthong_reject_blocking",
    reject.c.deployment,
    reject.c.topic,
    reject.c.partition,
    postgresql_where=reject.c.blocks,
    sqlite_where=reject.c.blocks,
)
sa.Index(
    "lienthong_reject_asked",
    reject.c.deployment,
    reject.c.topic,
    reject.c.partition,
    postgresql_where=reject.c.asked.is_not(None),
    sqlite_where=reject.c.asked.is_not(None),
)
#: A newcomer whose national key others hold: looked for whenever a key is let go of, and hardly ever there.
#: With a literal in it: a statement with a parameter there could not use the partial index.
HELD_BACK = sa.and_(reject.c.rule == sa.literal_column("'national_key_taken'"), reject.c.became.is_(None))
sa.Index(
    "lienthong_reject_held_back",
    reject.c.deployment,
    reject.c.topic,
    reject.c.record_key,
    postgresql_where=HELD_BACK,
    sqlite_where=HELD_BACK,
)
for _outbox in (receipt, reject):
    _waiting = _outbox.c.published_at.is_(None)
    sa.Index(f"{_outbox.name}_unpublished", _outbox.c.id, postgresql_where=_waiting, sqlite_where=_waiting)

parked = sa.Table(
    "lienthong_parked",
    metadata,
    # The order of arrival. Not the offset, which begins anew with a topic that was deleted and made again.
    id_column(),
    _text("deployment"),
    _text("topic"),
    sa.Column("partition", sa.Integer, nullable=False),
    sa.Column("head", sa.BigInteger, nullable=False),
    sa.Column("offset", sa.BigInteger, nullable=False),
    _text("system"),
    _text("dataset"),
    sa.Column("seq", sa.BigInteger),
    sa.Column("record_key", sa.LargeBinary, nullable=False),
    sa.Column("original", sa.LargeBinary),
    _text("fingerprint", nullable=True),
    sa.Column("at", Moment, nullable=False),
    comment="Thay đổi đang chờ sau một bản ghi bị từ chối của cùng hồ sơ, theo thứ tự đến",
)
sa.Index("lienthong_parked_behind", parked.c.deployment, parked.c.topic, parked.c.partition, parked.c.head)

breaker = sa.Table(
    "lienthong_breaker",
    metadata,
    _text("deployment", primary_key=True),
    _text("system", primary_key=True),
    _text("dataset", primary_key=True),
    sa.Column("at", Moment, nullable=False),
    _text("rule"),
    _text("field"),
    _text("detail"),
    comment="Các nguồn đang tạm dừng vì quá nhiều thay đổi bị từ chối",
)

gap = sa.Table(
    "lienthong_gap",
    metadata,
    _text("system", primary_key=True),
    _text("dataset", primary_key=True),
    _text("seqs"),
    sa.Column("at", Moment, nullable=False),
    comment="Các số thứ tự thay đổi chưa từng đến tỉnh",
)

audit = sa.Table(
    "lienthong_audit",
    metadata,
    id_column(),
    sa.Column("at", Moment, nullable=False),
    _text("who"),
    _text("action"),
    sa.Column("reject", sa.BigInteger, nullable=False),
    _text("why"),
    _text("detail"),
    comment="Nhật ký: ai đã xem, sửa, thử lại hoặc bỏ bản ghi bị từ chối nào, vì sao",
)
sa.Index("lienthong_audit_by_reject", audit.c.reject)

left = sa.Table(
    "lienthong_left",
    metadata,
    _text("system", primary_key=True),
    _text("dataset", primary_key=True),
    _text("source_key", primary_key=True),
    _text("format", primary_key=True),
    _text("lt_key", primary_key=True),
    sa.Column("gone_seq", sa.BigInteger),
    comment="Khóa quốc gia mà một bản ghi có thể đã rời đi trong một thay đổi bị từ chối",
)

orphan_index = sa.Table(
    "lienthong_orphan_index",
    metadata,
    _text("day", primary_key=True, comment="Ngày theo giờ Việt Nam, yyyy-MM-dd"),
    _text("system", primary_key=True),
    sa.Column("value", sa.Integer, nullable=False),
    comment="Chỉ số nguy cơ mồ côi của từng hệ thống, mỗi ngày một giá trị: để thấy xu hướng",
)

#: Every record of every batch, ungated: shows the doubles that the version gate hides. For crash tests.
effect = sa.Table(
    "lienthong_effect",
    sa.MetaData(),
    id_column(),
    _text("topic"),
    sa.Column("partition", sa.Integer, nullable=False),
    sa.Column("offset", sa.BigInteger, nullable=False),
    _text("system"),
    _text("dataset"),
    _text("source_key"),
    sa.Column("seq", sa.BigInteger, nullable=False),
    sa.Column("at", Moment, nullable=False),
)


def format_table(national: NationalFormat) -> sa.Table:
    """The table of one national format: ``lt_`` columns, then its fields in lower case, in order."""
    return sa.Table(
        national.table,
        sa.MetaData(),
        # Compared byte by byte: fast, and an upgrade of the machine's locales cannot corrupt the index.
        sa.Column(
            "lt_key",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            primary_key=True,
            comment="Khóa quốc gia",
        ),
        _text("lt_system", comment="Hệ thống nguồn"),
        _text("lt_dataset", comment="Tập dữ liệu nguồn"),
        # Without an index: with one, a million new rows of 14 columns took 19 % longer (of 60 columns 5 %,
        # updates nothing). What it would save is rare: a trace reads the table once (0.4 s a million rows), a
        # repair once for each 10,000 records that differ.
        _text("lt_source_key", comment="Khóa của bản ghi tại nguồn"),
        sa.Column("lt_seq", sa.BigInteger, nullable=False, comment="Số thứ tự thay đổi tại nguồn"),
        sa.Column("lt_before", sa.BigInteger, comment="Số thứ tự của bản mà bản này thay thế"),
        sa.Column("lt_committed_at", Moment, comment="Thời điểm thay đổi tại nguồn"),
        sa.Column("lt_applied_at", Moment, nullable=False, comment="Thời điểm ghi vào kho này"),
        sa.Column("lt_deleted_at", Moment, comment="Thời điểm xóa tại nguồn; trống: còn hiệu lực"),
        _text("lt_contract", nullable=True, comment="Hợp đồng dữ liệu đã dùng để chuyển đổi"),
        _text("lt_warnings", nullable=True, comment="Cảnh báo khi chuyển đổi: trường:quy tắc,…"),
        _text("lt_overflow", nullable=True, comment="Dữ liệu nguồn mà định dạng không có chỗ (JSON)"),
        *(_text(column_name(field), nullable=True, comment=_label(field)) for field in national.fields),
        comment=f"{national.title} ({national.full_id})",
        # Room for the next version of a row on its page: updates then touch no index.
        postgresql_with={"fillfactor": 85},
    )


def column_name(field: FormatField) -> str:
    """Lower case, so that ``nksHoTen`` needs no quotes in anybody's SQL."""
    return field.name.lower()


def _label(field: FormatField) -> str:
    return f"{field.label} (danh mục {field.code_list})" if field.code_list else field.label
