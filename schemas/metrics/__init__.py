"""The catalogue of all metrics: the one place where they are declared, as data.

Each process makes its own from here; ``deploy/metrics.md``, rules and dashboards follow from it too.
"""

from schemas.metrics import consuming, monitoring, relaying, working
from schemas.metrics.declaring import Metric, declared_in

#: Every metric, process by process.
CATALOGUE: tuple[Metric, ...] = tuple(
    metric for module in (relaying, working, consuming, monitoring) for metric in declared_in(vars(module))
)

#: The same by the name that a query says: a counter's ends in ``_total``, a histogram has three.
SERIES: dict[str, Metric] = {name: metric for metric in CATALOGUE for name in metric.series}
