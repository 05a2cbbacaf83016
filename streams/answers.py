"""Publishes receipts and rejects from the store's outboxes to ``receipts.*`` and ``rejected.*``.

They were written in the same transaction as the rows and the ledger, so an answer is never wrong and
never missing; it may be published twice after a crash. Several workers share the work: the store hands
each row to one of them at a time.
"""

import asyncio
import json
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from typing import Any

import structlog

from consumers.store import NationalStore
from schemas.errors import LienthongError
from schemas.library import Library
from schemas.reasons import reason
from schemas.wire import encode_one
from streams.metrics import RoadMetrics
from streams.publisher import Outgoing, Publisher, publish_all

logger = structlog.get_logger(__name__)

POLL_SECONDS = 0.25
TROUBLE_SECONDS = 2.0
AT_ONCE = 500
MAX_ORIGINAL_BYTES = 900_000  # larger originals stay in the store's lienthong_reject only
