"""Metrics of a relay, ``lienthong capture run``."""

from schemas.metrics.declaring import declaring

counter, gauge, histogram = declaring("relay")
_DATASET = ("system", "dataset")

LEADING = gauge(
    name="lienthong_capture_leading",
    unit="1 or 0",
    text="1 while this process is the one relay of its database, 0 while it waits for another one.",
)
UP = gauge(
    name="lienthong_capture_up",
    unit="1 or 0",
    text="1 while broker and database answer, 0 while the relay waits for one of them.",
)
WAITS = counter(
    name="lienthong_capture_waits_total",
    unit="times",
    text="Times the relay began anew because the broker or the database did not answer.",
)
PUBLISHED = counter(
    name="lienthong_capture_published_total",
    unit="changes",
    labels=(*_DATASET, "op"),
    text="Changes that the broker has acknowledged. After a crash some are published, and counted, again.",
)
ERRORS = counter(
    name="lienthong_capture_publish_errors_total",
    unit="changes",
    labels=(*_DATASET, "reason"),
    text="Changes not acknowledged, by what Kafka or the contract said; they stay in the outbox.",
)
WAITING = gauge(
    name="lienthong_capture_outbox_waiting",
    unit="changes",
    labels=_DATASET,
    text="Changes in the outbox that are not acknowledged yet.",
)
OLDEST = gauge(
    name="lienthong_capture_oldest_waiting_seconds",
    unit="seconds",
    labels=_DATASET,
    text="Age of the oldest of them; 0 when none waits.",
)
PARKED = gauge(
    name="lienthong_capture_parked",
    unit="changes",
    labels=_DATASET,
    text="Changes that cannot be published as they are, and later ones of the same keys behind them.",
)
IN_PLACE = gauge(
    name="lienthong_capture_triggers_in_place",
    unit="1 or 0",
    labels=_DATASET,
    text="1 while all triggers of the dataset are there; 0 means that changes are being missed.",
)
NEXT_SEQ = gauge(
    name="lienthong_capture_next_seq",
    unit="number",
    labels=_DATASET,
    text="The next number of the dataset.",
)
BATCH = histogram(
    name="lienthong_capture_batch_records",
    unit="changes",
    buckets=(1, 3, 10, 30, 100, 300, 1000, 3000),
    text="Changes published at once.",
)
STEPS = histogram(
    name="lienthong_capture_step_seconds",
    unit="seconds",
    labels=("step",),
    buckets=(0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 60),
    text="Seconds of one batch in one step: number, encode, publish, mark.",
)
DELAY = histogram(
    name="lienthong_capture_delay_seconds",
    unit="seconds",
    labels=_DATASET,
    buckets=(0.01, 0.03, 0.1, 0.3, 1, 3, 10, 60, 300, 3600),
    text="From the change in the agency's database to the broker's acknowledgement, by two clocks.",
)
