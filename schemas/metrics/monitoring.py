"""Metrics of the monitor, ``lienthong monitor run``, which needs no worker and no relay to live."""

from schemas.metrics.declaring import declaring

counter, gauge, histogram = declaring("monitor")
_DATASET = ("system", "dataset")
_PLACE = (*_DATASET, "hop", "topic", "partition")
#: The topic of a hop follows from its dataset.
_ONE_TOPIC = ("topic",)
#: How existing exporters label what they tell of topics and groups.
_GROUP = ("consumergroup", "topic", "partition")

# What is in one series only while its target answers: an old figure is never shown as a present one.
UP = gauge(
    name="lienthong_target_up",
    unit="1 or 0",
    labels=("kind", "target"),
    once=("kind",),
    text="1 if the target (kind: broker, store or outbox) answered the last look. While it is 0, what it"
    " would tell has no series.",
)
ANSWER_SECONDS = gauge(
    name="lienthong_target_answer_seconds",
    unit="seconds",
    labels=("kind", "target"),
    once=("kind",),
    text="How long the target took to answer the last look.",
)
SKEW = gauge(
    name="lienthong_clock_skew_seconds",
    unit="seconds",
    labels=("kind", "target"),
    once=("kind",),
    text="How far the target's clock is ahead of the monitor's; behind: below 0.",
)
DISK_USED = gauge(
    name="lienthong_broker_disk_used_share",
    unit="share",
    labels=("target",),
    text="Used share of the fullest disk of a broker, 0 to 1; asked twice a minute.",
)
BUSY = gauge(
    name="lienthong_store_longest_statement_seconds",
    unit="seconds",
    text="How long the longest statement of a worker has been running in the store now.",
)
LOOK_SECONDS = gauge(
    name="lienthong_monitor_look_seconds", unit="seconds", text="How long the last look at everything took."
)
LOOKED_AT = gauge(
    name="lienthong_monitor_looked_timestamp_seconds",
    unit="seconds since 1970",
    text="When the last look ended. It grows for as long as the monitor works.",
)
HOP_LAG = gauge(
    name="lienthong_hop_lag_changes",
    unit="changes",
    labels=_PLACE,
    once=_ONE_TOPIC,
    text="Records behind the ledger's offset. A national topic that several datasets feed is told for each of"
    " them: sum it by topic only.",
)
HOP_LAG_SECONDS = gauge(
    name="lienthong_hop_lag_seconds",
    unit="seconds",
    labels=_PLACE,
    once=_ONE_TOPIC,
    text="Age of the oldest record not yet applied, by its own timestamp; 0 when none waits.",
)
RETENTION_LEFT = gauge(
    name="lienthong_retention_hours_left",
    unit="hours",
    labels=_PLACE,
    once=_ONE_TOPIC,
    text="Until retention deletes the oldest record that was not read; only where one waits. Below 0: it may"
    " be gone any moment.",
)
LOST = gauge(
    name="lienthong_hop_lost_changes",
    unit="changes",
    labels=_PLACE,
    once=_ONE_TOPIC,
    text="Records that retention deleted before they were read; only where there are any.",
)
OUTBOX_WAITING = gauge(
    name="lienthong_outbox_waiting_changes",
    unit="changes",
    labels=_DATASET,
    text="Changes in the agency's outbox that are not published yet.",
)
OUTBOX_OLDEST = gauge(
    name="lienthong_outbox_oldest_seconds",
    unit="seconds",
    labels=_DATASET,
    text="Age of the oldest of them; 0 when none waits.",
)
OUTBOX_IN_PLACE = gauge(
    name="lienthong_outbox_triggers_in_place",
    unit="1 or 0",
    labels=_DATASET,
    text="1 while all triggers are there; 0: changes are being missed.",
)
OPEN_REJECTS = gauge(
    name="lienthong_open_rejects",
    unit="rejects",
    labels=(*_DATASET, "rule"),
    text="Rejects that nobody mended yet, by rule.",
)
PROOF_AGE = gauge(
    name="lienthong_proof_age_seconds",
    unit="seconds",
    labels=_DATASET,
    text="Since the dataset was last compared with the store (`lienthong reconcile`); no series if never.",
)
PROOF_ROWS = gauge(
    name="lienthong_proof_records",
    unit="records",
    labels=_DATASET,
    text="Records of the source that the last comparison looked at.",
)
DRIFT = gauge(
    name="lienthong_drift_records",
    unit="records",
    labels=_DATASET,
    text="National records that it found missing, too many, or not as the contract makes them.",
)
WORKERS = gauge(
    name="lienthong_workers",
    unit="workers",
    labels=("consumergroup",),
    text="Members of the road's groups, as Kafka knows them.",
)
STATE = gauge(
    name="lienthong_system_state",
    unit="1 or 0",
    labels=(*_DATASET, "state"),
    text="1 for the one state the dataset is in, 0 for all others; see `lienthong status`.",
)
ORPHAN = gauge(
    name="lienthong_orphan_index",
    unit="index",
    labels=("system",),
    text="How near the system is to becoming an orphan, 0 to 100; 0: it cannot become one unnoticed. Without"
    " a series while the store is away; see `lienthong status --orphans`.",
)
PROMISE_SECONDS = gauge(
    name="lienthong_promise_seconds",
    unit="seconds",
    labels=_DATASET,
    text="Within so many seconds the contract promises a change to be in the national store …",
)
PROMISE_SHARE = gauge(
    name="lienthong_promise_share",
    unit="share",
    labels=_DATASET,
    text="… for this share of changes; 0.99 unless the contract says otherwise.",
)

# Names and labels of existing exporters, so that existing dashboards light up. A group that never committed
# has no series, where others say -1: it stays out of sums.
GROUP_LAG = gauge(
    name="kafka_consumergroup_lag",
    unit="records",
    labels=_GROUP,
    text="Records behind the group's committed offset; of the road's own groups, behind the ledger's.",
)
GROUP_LAG_SECONDS = gauge(
    name="kafka_consumergroup_lag_seconds",
    unit="seconds",
    labels=_GROUP,
    text="Age of the first record behind it, by the record's own timestamp; 0 when there is none.",
)
GROUP_OFFSET = gauge(
    name="kafka_consumergroup_current_offset",
    unit="offset",
    labels=_GROUP,
    text="What the group has committed; of the road's own groups, the ledger's offset.",
)
TOPIC_END = gauge(
    name="kafka_topic_partition_current_offset",
    unit="offset",
    labels=("topic", "partition"),
    text="The end of the partition.",
)
TOPIC_BEGIN = gauge(
    name="kafka_topic_partition_oldest_offset",
    unit="offset",
    labels=("topic", "partition"),
    text="The first offset that retention has left.",
)
