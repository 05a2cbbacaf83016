"""All the laws of a store: whoever keeps national records is held to each of them."""

from tests.laws.answers import AnswerLaws
from tests.laws.audit import AuditLaws
from tests.laws.content import ContentLaws
from tests.laws.ledger import LedgerLaws
from tests.laws.looks import LookLaws
from tests.laws.moved import MovedLaws
from tests.laws.numbers import NumberLaws
from tests.laws.parking import ParkingLaws
from tests.laws.proofs import ProofLaws
from tests.laws.repairs import RepairLaws
from tests.laws.rows import RowLaws
from tests.laws.standing import StandingLaws
from tests.laws.tables import TableLaws
from tests.laws.traces import TraceLaws
from tests.laws.versions import VersionLaws


class StoreLaws(
    RowLaws,
    VersionLaws,
    MovedLaws,
    LedgerLaws,
    AnswerLaws,
    ContentLaws,
    TableLaws,
    NumberLaws,
    ParkingLaws,
    RepairLaws,
    StandingLaws,
    LookLaws,
    ProofLaws,
    AuditLaws,
    TraceLaws,
):
    """A test class of these needs the fixtures ``address``, ``lab`` and ``guarded``."""
