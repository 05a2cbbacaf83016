"""Metrics of a national-sync consumer, ``consumers.national``."""

from schemas.metrics.declaring import declaring

counter, gauge, histogram = declaring("consumer")

RECORDS = counter(
    name="lienthong_consume_records_total",
    unit="records",
    labels=("topic", "outcome"),
    text="National records of finished batches: delivered to the caller, stale (kept back), or parked.",
)
PARKED = counter(
    name="lienthong_consume_parked_total",
    unit="records",
    labels=("topic", "rule"),
    text="National records written to the park file, by rule.",
)
COMMITS = counter(
    name="lienthong_consume_commits_total",
    unit="batches",
    labels=("topic", "outcome"),
    text="Batches finished: committed, or not (partitions moved or broker away; they may come again).",
)
LAG = gauge(
    name="lienthong_consume_lag_offsets",
    unit="offsets",
    labels=("topic", "partition"),
    text="Offsets between what was fetched and the end of the partition, as last heard from the broker.",
)
WORK = histogram(
    name="lienthong_consume_work_seconds",
    unit="seconds",
    labels=("topic",),
    buckets=(0.01, 0.05, 0.1, 0.5, 1, 5, 30, 60, 300),
    text="Time the caller worked on one batch. Above longest_work_seconds it loses its partitions.",
)
