"""Going on behind a loss, by a person's word."""

from consumers.store import NationalStore, Position
from schemas.errors import LienthongError
from streams.settings import RoadSettings
