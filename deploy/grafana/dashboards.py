"""The three dashboards: the whole province, one system, one worker. Titles in the operators' own language."""

from consumers.states import STATES
from deploy.grafana.panels import ANSWERS, BAD_GOOD, GOOD_BAD, Dashboard, Panel, Words, variable

#: What the reader chose, as it stands behind a metric.
_ONE = '{system=~"$system", dataset=~"$dataset"}'
_WORKER = '{instance=~"$instance"}'
_DATASET = "{{system}}/{{dataset}}"
_ORPHAN = ((None, "green"), (25, "yellow"), (50, "orange"), (75, "red"))
_BURN = ((None, "green"), (1, "yellow"), (6, "orange"), (14.4, "red"))
_COLOURS = {"ok": "green", "warning": "orange", "critical": "red"}
#: States as numbers, the most urgent first: Grafana colours and sorts numbers, not labels.
_STATES: Words = {
    at: (meaning.vi.name, _COLOURS[meaning.severity]) for at, meaning in enumerate(STATES.values(), start=1)
}
_LATE = ((None, "green"), (60, "yellow"), (300, "red"))


def _by(labels: str, query: str, how: str = "sum") -> str:
    return f"{how} by ({labels}) ({query})"


def _rate(series: str) -> str:
    return f"rate({series}[$__rate_interval])"


def _quantile(share: float, labels: str, histogram: str, where: str = "") -> str:
    """``labels``: those to keep, ``le`` apart."""
    kept = ", ".join(filter(None, (labels, "le")))
    return f"histogram_quantile({share}, {_by(kept, _rate(f'{histogram}_bucket{where}'))})"


def _state(where: str = "") -> str:
    """The number of the state that each dataset is in."""
    # Only the one state that is 1 is joined: joining all 18 costs Prometheus 13 times the work.
    each = [
        f'{at} * (lienthong_system_state{{state="{name}"{where}}} == 1)'
        for at, name in enumerate(STATES, start=1)
    ]
    return _by("system, dataset", " or ".join(each), "min")


def _flow(where: str = "") -> list[tuple[str, str]]:
    """Records by the second at the three places of the road."""
    told = {
        "lienthong_changes_in_total": "đọc",
        "lienthong_translated_total": "chuyển đổi",
        "lienthong_applied_total": "ghi vào kho",
    }
    return [(f"sum({_rate(name + where)})", legend) for name, legend in told.items()]


OVERVIEW = Dashboard(
    uid="lienthong-overview",
    title="Liên thông: toàn tỉnh",
    variables=[],
    rows={
        "Ngay bây giờ": [
            Panel(
                title="Tập dữ liệu khỏe",
                queries=[('sum(lienthong_system_state{state="healthy"})', "")],
                kind="stat",
                unit="short",
                width=4,
                height=4,
                steps=BAD_GOOD,
            ),
            Panel(
                title="Có nguyên nhân cần xử lý",
                queries=[('sum(lienthong_system_state{state!="healthy"})', "")],
                kind="stat",
                unit="short",
                width=4,
                height=4,
                steps=GOOD_BAD,
            ),
            Panel(
                title="Thay đổi chờ lâu nhất",
                queries=[("max(lienthong_hop_lag_seconds)", "")],
                kind="stat",
                width=4,
                height=4,
                steps=_LATE,
            ),
            Panel(
                title="Thay đổi đang chờ ở hộp gửi",
                queries=[("sum(lienthong_outbox_waiting_changes)", "")],
                kind="stat",
                width=4,
                height=4,
            ),
            Panel(
                title="Bị từ chối, chưa sửa",
                # None is 0 only while the store answers the monitor: else nobody knows.
                queries=[
                    ('sum(lienthong_open_rejects) or 0 * max(lienthong_target_up{kind="store"} == 1)', "")
                ],
                kind="stat",
                width=4,
                height=4,
                steps=((None, "green"), (1, "yellow")),
            ),
            Panel(
                title="Tiến trình xử lý (ít nhất)",
                queries=[("min(lienthong_workers)", "")],
                kind="stat",
                width=4,
                height=4,
                steps=BAD_GOOD,
            ),
        ],
        "Nguyên nhân": [
            Panel(
                title="Trạng thái từng tập dữ liệu",
                queries=[(f"sort({_state()})", "")],
                kind="table",
                unit="short",
                words=_STATES,
                columns={"system": "Hệ thống", "dataset": "Tập dữ liệu", "Value": "Trạng thái"},
                width=12,
                height=10,
            ),
            Panel(
                title="Kafka, kho và hộp gửi trả lời",
                queries=[
                    ('lienthong_target_up{kind="broker"}', "Kafka {{target}}"),
                    ('lienthong_target_up{kind="store"}', "kho quốc gia"),
                    ('lienthong_target_up{kind="outbox"}', "hộp gửi {{target}}"),
                ],
                kind="state-timeline",
                width=12,
                height=10,
                words=ANSWERS,
            ),
        ],
        "Độ trễ": [
            Panel(
                title="Thay đổi chờ lâu nhất, 10 tập kém nhất",
                queries=[
                    (
                        f"topk(10, {_by('system, dataset', 'lienthong_hop_lag_seconds', 'max')})",
                        _DATASET,
                    )
                ],
            ),
            Panel(
                title="Thay đổi đang chờ trong Kafka",
                queries=[(_by("hop", "lienthong_hop_lag_changes"), "{{hop}}")],
                stacked=True,
            ),
            Panel(
                title="Từ lúc sửa tới kho quốc gia, 99 %",
                queries=[
                    (
                        f"topk(10, {_quantile(0.99, 'system, dataset', 'lienthong_end_to_end_seconds')})",
                        _DATASET,
                    )
                ],
                unit="s",
                reaches=0,
            ),
            Panel(
                title="Mức tiêu hạn mức cam kết (1: vừa hết)",
                queries=[("topk(10, lienthong:promise_burn:rate1h)", _DATASET)],
                unit="short",
                steps=_BURN,
            ),
        ],
        "Dòng thay đổi": [
            Panel(
                title="Thay đổi mỗi giây",
                queries=_flow(),
                rate=True,
            ),
            Panel(
                title="Bị từ chối mỗi giây, theo quy tắc",
                queries=[(_by("rule", _rate("lienthong_rejected_total")), "{{rule}}")],
                rate=True,
                stacked=True,
            ),
        ],
        "Nguy cơ": [
            Panel(
                title="Chỉ số nguy cơ mồ côi, 12 hệ thống cao nhất",
                queries=[("topk(12, max by (system) (lienthong_orphan_index))", "{{system}}")],
                kind="bargauge",
                unit="short",
                highest=100,
                steps=_ORPHAN,
                height=10,
            ),
            Panel(
                title="Giờ còn lại trước khi Kafka xóa thay đổi chưa đọc",
                queries=[
                    (
                        _by("system, dataset", "lienthong_retention_hours_left", "min"),
                        _DATASET,
                    )
                ],
                steps=((None, "red"), (24, "yellow"), (72, "green")),
                height=10,
                nothing="chỉ có số khi có thay đổi chờ đọc",
            ),
        ],
    },
)

SYSTEM = Dashboard(
    uid="lienthong-system",
    title="Liên thông: một hệ thống",
    variables=[
        variable("system", "Hệ thống", "label_values(lienthong_system_state, system)"),
        variable(
            "dataset", "Tập dữ liệu", 'label_values(lienthong_system_state{system=~"$system"}, dataset)'
        ),
    ],
    rows={
        "Trạng thái": [
            Panel(
                title="Trạng thái theo thời gian",
                queries=[(_state(f", {_ONE[1:-1]}"), _DATASET)],
                kind="state-timeline",
                unit="short",
                width=16,
                words=_STATES,
            ),
            Panel(
                title="Chỉ số nguy cơ mồ côi",
                queries=[('max by (system) (lienthong_orphan_index{system=~"$system"})', "{{system}}")],
                kind="stat",
                unit="short",
                width=8,
                steps=_ORPHAN,
            ),
        ],
        "Tại đơn vị": [
            Panel(
                title="Chờ ở hộp gửi",
                queries=[(f"lienthong_outbox_waiting_changes{_ONE}", _DATASET)],
            ),
            Panel(
                title="Chờ lâu nhất ở hộp gửi",
                queries=[(f"lienthong_outbox_oldest_seconds{_ONE}", _DATASET)],
            ),
            Panel(
                title="Trigger còn đủ",
                queries=[(f"lienthong_outbox_triggers_in_place{_ONE}", _DATASET)],
                kind="stat",
                width=6,
                words={0: ("thiếu", "red"), 1: ("đủ", "green")},
            ),
            Panel(
                title="Số thứ tự chưa từng đến",
                queries=[
                    (
                        _by("system, dataset", f"lienthong_missing_changes{_ONE}", "max"),
                        _DATASET,
                    )
                ],
                kind="stat",
                width=6,
                steps=GOOD_BAD,
            ),
            Panel(
                title="Gửi lên Kafka mỗi giây",
                queries=[(_by("op", _rate(f"lienthong_capture_published_total{_ONE}")), "{{op}}")],
                rate=True,
                stacked=True,
            ),
        ],
        "Trên đường truyền": [
            Panel(
                title="Đang chờ, theo bước và phân vùng",
                queries=[
                    (_by("hop, partition", f"lienthong_hop_lag_changes{_ONE}"), "{{hop}} {{partition}}")
                ],
                stacked=True,
            ),
            Panel(
                title="Thay đổi chờ lâu nhất, theo bước",
                queries=[
                    (
                        _by("dataset, hop", f"lienthong_hop_lag_seconds{_ONE}", "max"),
                        "{{dataset}}: {{hop}}",
                    )
                ],
            ),
            Panel(
                title="Từ lúc sửa tới kho quốc gia",
                queries=[
                    (_quantile(share, "", "lienthong_end_to_end_seconds", _ONE), told)
                    for share, told in ((0.5, "một nửa"), (0.95, "95 %"), (0.99, "99 %"))
                ],
                unit="s",
                reaches=0,
            ),
            Panel(
                title="Mức tiêu hạn mức cam kết (1: vừa hết)",
                queries=[
                    (f"lienthong:promise_burn:rate{window}{_ONE}", f"{{{{dataset}}}}, {window}")
                    for window in ("5m", "1h", "6h")
                ],
                unit="short",
                steps=_BURN,
            ),
        ],
        "Nội dung": [
            Panel(
                title="Bị từ chối, chưa sửa, theo quy tắc",
                queries=[(_by("rule", f"lienthong_open_rejects{_ONE}"), "{{rule}}")],
                stacked=True,
            ),
            Panel(
                title="Cảnh báo mỗi giây, theo quy tắc",
                queries=[(_by("rule", _rate(f"lienthong_warnings_total{_ONE}")), "{{rule}}")],
                rate=True,
                stacked=True,
            ),
            Panel(
                title="Hồ sơ có thay đổi chờ phía sau",
                queries=[(_by("dataset", f"lienthong_blocked_records{_ONE}"), "{{dataset}}")],
                width=8,
            ),
            Panel(
                title="Khác nhau khi đối soát",
                queries=[(f"lienthong_drift_records{_ONE}", _DATASET)],
                kind="stat",
                width=4,
                steps=GOOD_BAD,
                nothing="chỉ có số sau lần đối soát đầu",
            ),
            Panel(
                title="Từ lần đối soát gần nhất",
                queries=[(f"lienthong_proof_age_seconds{_ONE}", _DATASET)],
                kind="stat",
                width=4,
                nothing="chỉ có số sau lần đối soát đầu",
                steps=((None, "green"), (7 * 86400, "yellow"), (30 * 86400, "red")),
            ),
            Panel(
                title="Sửa chữa mỗi giây, theo kết quả",
                queries=[(_by("outcome", _rate(f"lienthong_repairs_total{_ONE}")), "{{outcome}}")],
                width=8,
                rate=True,
                nothing="chỉ có số sau lần sửa đầu",
                stacked=True,
            ),
        ],
    },
)

WORKER = Dashboard(
    uid="lienthong-worker",
    title="Liên thông: một tiến trình xử lý",
    variables=[variable("instance", "Tiến trình", "label_values(lienthong_partitions_held, instance)")],
    rows={
        "Trạng thái": [
            Panel(
                title="Kafka và kho trả lời tiến trình",
                queries=[
                    (f"lienthong_broker_up{_WORKER}", "Kafka {{instance}}"),
                    (f"lienthong_store_up{_WORKER}", "kho {{instance}}"),
                ],
                kind="state-timeline",
                words=ANSWERS,
            ),
            Panel(
                title="Phân vùng",
                queries=[
                    (f"lienthong_partitions_held{_WORKER}", "giữ {{instance}}"),
                    (f"lienthong_partitions_halted{_WORKER}", "dừng {{instance}}"),
                ],
            ),
        ],
        "Công việc": [
            Panel(
                title="Bản ghi mỗi giây",
                queries=_flow(_WORKER),
                rate=True,
            ),
            Panel(
                title="Phần thời gian ở từng bước",
                queries=[
                    (
                        _by("hop, step", _rate(f"lienthong_step_seconds_sum{_WORKER}")),
                        "{{hop}}: {{step}}",
                    )
                ],
                unit="percentunit",
                stacked=True,
            ),
            Panel(
                title="Bước chậm nhất, 95 %",
                queries=[
                    (_quantile(0.95, "hop, step", "lienthong_step_seconds", _WORKER), "{{hop}}: {{step}}")
                ],
                unit="s",
                reaches=0,
            ),
            Panel(
                title="Bản ghi trong một lô",
                queries=[
                    (
                        _by("hop", _rate(f"lienthong_batch_records_sum{_WORKER}"))
                        + " / "
                        + _by("hop", _rate(f"lienthong_batch_records_count{_WORKER}")),
                        "{{hop}}",
                    )
                ],
                unit="short",
            ),
        ],
        "Trở ngại": [
            Panel(
                title="Lần chờ Kafka hoặc kho mỗi giây",
                queries=[(_by("hop", _rate(f"lienthong_waits_total{_WORKER}")), "{{hop}}")],
                rate=True,
                nothing="chỉ có số sau lần chờ đầu",
            ),
            Panel(
                title="Lô bị bỏ vì phân vùng đã sang tiến trình khác",
                queries=[(_by("hop", _rate(f"lienthong_fenced_batches_total{_WORKER}")), "{{hop}}")],
                rate=True,
                nothing="chỉ có số sau lần bỏ đầu",
            ),
            Panel(
                title="Đã có bản mới hơn, hoặc đến lần nữa, mỗi giây",
                queries=[
                    (f"sum({_rate(f'lienthong_stale_total{_WORKER}')})", "đã có bản mới hơn"),
                    (f"sum({_rate(f'lienthong_duplicate_total{_WORKER}')})", "đến lần nữa"),
                ],
                rate=True,
            ),
            Panel(
                title="Chờ nhiều nhất, theo chủ đề",
                queries=[(f"topk(10, {_by('topic', f'lienthong_lag_records{_WORKER}')})", "{{topic}}")],
                stacked=True,
            ),
        ],
    },
)

EVERY = {"overview": OVERVIEW, "system": SYSTEM, "worker": WORKER}
