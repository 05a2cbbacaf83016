"""Tables of the audit chain in the national store; see ``consumers.auditing`` for what they promise."""

import sqlalchemy as sa

from consumers.ddl import Moment, id_column, metadata

block = sa.Table(
    "lienthong_audit_block",
    metadata,
    id_column(),
    sa.Column("at", Moment, nullable=False),
    sa.Column("key", sa.Text, nullable=False),
    sa.Column("format", sa.Text, nullable=False),
    sa.Column("system", sa.Text, nullable=False),
    sa.Column("dataset", sa.Text, nullable=False),
    sa.Column("contract", sa.Text, nullable=False),
    sa.Column("how_many", sa.Integer, nullable=False),
    # Digests: packing them would find nothing to pack.
    sa.Column("lines", sa.LargeBinary, nullable=False, info={"storage": "EXTERNAL"}),
    sa.Column("seal", sa.BigInteger),
    comment="Nhật ký kiểm toán: mỗi giao dịch một khối, mỗi thay đổi đã áp dụng một dòng; không bao giờ sửa",
)
_waiting = block.c.seal.is_(None)
sa.Index("lienthong_audit_block_unsealed", block.c.id, postgresql_where=_waiting, sqlite_where=_waiting)
sa.Index("lienthong_audit_block_by_seal", block.c.seal)
sa.Index("lienthong_audit_block_by_system", block.c.system, block.c.dataset)

seal = sa.Table(
    "lienthong_audit_seal",
    metadata,
    sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("at", Moment, nullable=False),
    sa.Column("key", sa.Text, nullable=False),
    sa.Column("statement", sa.Text, nullable=False),
    sa.Column("signature", sa.LargeBinary, nullable=False),
    sa.Column("leaves", sa.LargeBinary, nullable=False, info={"storage": "EXTERNAL"}),
    comment="Niêm phong nhật ký kiểm toán: chuỗi băm, ký số Ed25519",
)
