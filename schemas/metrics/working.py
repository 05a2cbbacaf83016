"""Metrics of a worker of the road, ``lienthong road run``."""

from schemas.metrics.declaring import declaring

counter, gauge, histogram = declaring("worker")
_DATASET = ("system", "dataset")

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60, 300, 3600)

CHANGES_IN = counter(
    name="lienthong_changes_in_total",
    unit="changes",
    labels=_DATASET,
    text="Change events read from the province topics.",
)
TRANSLATED = counter(
    name="lienthong_translated_total",
    unit="records",
    labels=(*_DATASET, "format"),
    text="National records published.",
)
WARNED = counter(
    name="lienthong_warnings_total",
    unit="doubts",
    labels=(*_DATASET, "rule"),
    text="Doubts found while translating; the record went on.",
)
REJECTED = counter(
    name="lienthong_rejected_total",
    unit="changes",
    labels=(*_DATASET, "rule"),
    text="Changes refused, by rule.",
)
PARKED = counter(
    name="lienthong_parked_total",
    unit="changes",
    labels=_DATASET,
    text="Changes that wait behind a reject of their record.",
)
BLOCKED = gauge(
    name="lienthong_blocked_records",
    unit="records",
    labels=_DATASET,
    text="Records whose changes wait for a reject to be mended, in the partitions of this worker.",
)
MISSING = gauge(
    name="lienthong_missing_changes",
    unit="changes",
    labels=_DATASET,
    text="Numbers of a source that never arrived, though higher ones did long ago.",
)
BREAKER = gauge(
    name="lienthong_breaker_open",
    unit="1 or 0",
    labels=_DATASET,
    text="1 while a source is paused for a flood of rejects.",
)
MENDED = counter(
    name="lienthong_repairs_total",
    unit="rejects",
    labels=(*_DATASET, "outcome"),
    text="Rejects worked on, by what became of them: mended, dropped, superseded, again (refused once more),"
    " partly (more waits than is drained at a time).",
)
APPLIED = counter(
    name="lienthong_applied_total",
    unit="records",
    labels=("format",),
    text="National records applied to the store.",
)
STALE = counter(
    name="lienthong_stale_total",
    unit="records",
    labels=("format",),
    text="National records older than the store's row; they changed nothing.",
)
DUPLICATE = counter(
    name="lienthong_duplicate_total",
    unit="records",
    labels=("format",),
    text="National records delivered again; they changed nothing.",
)
ANSWERS = counter(
    name="lienthong_answers_published_total",
    unit="answers",
    labels=("kind",),
    text="Receipts and rejects published to Kafka.",
)
SEALED = counter(
    name="lienthong_audit_sealed_lines_total",
    unit="lines",
    text="Lines of the audit chain that this worker sealed.",
)
UNSEALED_SECONDS = gauge(
    name="lienthong_audit_unsealed_seconds",
    unit="seconds",
    text="Age of the oldest line of the audit chain that is not sealed; 0 when none waits.",
)
FENCED = counter(
    name="lienthong_fenced_batches_total",
    unit="batches",
    labels=("hop",),
    text="Batches dropped because another claim owns the partition.",
)
WAITS = counter(
    name="lienthong_waits_total",
    unit="times",
    labels=("hop",),
    text="Times a hop waited for the broker or the store.",
)
BATCH = histogram(
    name="lienthong_batch_records",
    unit="records",
    labels=("hop",),
    buckets=(1, 3, 10, 30, 100, 300, 1000, 3000, 10000),
    text="Records in one lot.",
)
STEPS = histogram(
    name="lienthong_step_seconds",
    unit="seconds",
    labels=("hop", "step"),
    buckets=_SECONDS,
    text="Seconds a lot spends in one step (prepare, publish, commit).",
)
END_TO_END = histogram(
    name="lienthong_end_to_end_seconds",
    unit="seconds",
    labels=(*_DATASET, "format"),
    buckets=_SECONDS,
    text="Change at the source to our commit, of every record. Includes clock skew, which doctor checks.",
)
PROMISED = counter(
    name="lienthong_promise_changes_total",
    unit="records",
    labels=(*_DATASET, "kept"),
    text="The same records, by whether they came within the seconds that the contract promises"
    " (`lienthong_promise_seconds`).",
)
LAG = gauge(
    name="lienthong_lag_records",
    unit="records",
    labels=("topic", "partition"),
    text="Records after the ledger's offset, in the partitions of this worker.",
)
LAG_SECONDS = gauge(
    name="lienthong_lag_seconds",
    unit="seconds",
    labels=("topic", "partition"),
    text="Age of the oldest record read and not yet in the ledger; 0 when none waits.",
)
HELD = gauge(name="lienthong_partitions_held", unit="partitions", text="Partitions this worker may write.")
HALTED = gauge(
    name="lienthong_partitions_halted",
    unit="partitions",
    text="Partitions stopped because unread records are gone.",
)
CLAIM_FAILURES = gauge(
    name="lienthong_claim_failures",
    unit="claims",
    text="Claims of partitions that failed since the start.",
)
BROKER_UP = gauge(name="lienthong_broker_up", unit="1 or 0", text="1 while the group's coordinator answers.")
LIBRARY_CHANGED = gauge(
    name="lienthong_library_changed_contracts",
    unit="contracts",
    text="Contracts whose files have changed, or came, since this worker started; a restart takes them in.",
)
STORE_UP = gauge(
    name="lienthong_store_up", unit="1 or 0", text="1 while no hop waits for the store or the broker."
)
