"""One Prometheus on loopback, where it is installed, with the rules of ``deploy/prometheus``."""

import json
import shutil
import signal
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from deploy.local.node import Node
from deploy.local.process import StackError, quiet

RULES = Path(__file__).parents[1] / "prometheus"


def installed() -> Path | None:
    """The machine's own Prometheus, if it has one."""
    found = shutil.which("prometheus")
    return None if found is None else Path(found)


class PrometheusNode(Node):
    """Reads every five seconds what files of targets name; a new file or line is seen at once."""

    def __init__(self, state: Path, program: Path, *, targets: Sequence[Path] = ()) -> None:
        """``targets``: further folders that hold files as ``write_targets`` makes them."""
        super().__init__("Prometheus", state)
        self._program = program
        self.targets = self.state / "targets"
        self._folders = [self.targets, *targets]

    @property
    def url(self) -> str:
        """Where people and programs ask it."""
        return f"http://127.0.0.1:{self.port}"

    def start(self, *, say: Callable[[str], None] = quiet, timeout_seconds: float = 300) -> None:
        if self._found(say):
            return
        self.stop()
        self._choose_ports("port")
        self.targets.mkdir(parents=True, exist_ok=True)
        config = self.state / "prometheus.yml"
        config.write_text(json.dumps(self._config(), indent=2))  # JSON is YAML
        options = [f"--config.file={config}", f"--storage.tsdb.path={self.state / 'data'}"]
        options += [f"--web.listen-address=127.0.0.1:{self.port}", "--storage.tsdb.retention.time=3d"]
        self._server.spawn([str(self._program), *options], cwd=self.state)
        self._server.wait_ready(self.answers, timeout_seconds=timeout_seconds, say=say)

    def stop(self) -> None:
        if not self._server.end(signal.SIGTERM, timeout_seconds=30) and not self._server.end(
            signal.SIGKILL, timeout_seconds=10
        ):
            raise StackError(f"Prometheus' process {self.pid} does not end", next_step="look at it with ps")

    def answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/-/ready", timeout=3) as answer:  # noqa: S310 - our own
                return bool(answer.status == 200)
        except OSError:
            return False

    def _config(self) -> dict[str, object]:
        files = [f"{folder}/*.json" for folder in self._folders]
        return {
            "global": {"scrape_interval": "5s", "evaluation_interval": "5s"},
            "rule_files": [f"{RULES}/*.rules.yml"],
            "scrape_configs": [{"job_name": "lienthong", "file_sd_configs": [{"files": files}]}],
        }


def write_targets(folder: Path, name: str, addresses: Mapping[str, Sequence[str]]) -> None:
    """Name what is to be read: by job, ``lienthong-road`` for one, addresses as ``127.0.0.1:9201``."""
    folder.mkdir(parents=True, exist_ok=True)
    groups = [{"labels": {"job": job}, "targets": list(of)} for job, of in addresses.items()]
    new = folder / f"{name}.new"
    new.write_text(json.dumps(groups, indent=2))
    new.replace(folder / f"{name}.json")
