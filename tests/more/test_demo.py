"""``make demo`` as a person runs it, with the fewest births: it ends by itself, and all its checks pass."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import deploy
from deploy.demo.__main__ import LEAST_BIRTHS
from deploy.demo.stage import STATE

REPOSITORY = Path(__file__).parents[2]


@pytest.mark.timeout(1500)
def test_the_demo_passes_all_its_checks_and_leaves_nothing_running(tmp_path: Path) -> None:
    # It keeps its state beside its own code. A copy has a folder of its own, with ports that are free now,
    # and leaves a demo alone that somebody has kept in the repository's.
    shutil.copytree(
        Path(deploy.__file__).parent, tmp_path / "deploy", ignore=shutil.ignore_patterns("__pycache__")
    )
    environment = {name: value for name, value in os.environ.items() if name != "KEEP"}
    environment |= {"PYTHONPATH": str(REPOSITORY), "PYTHONUTF8": "1"}

    def demo(*words: str, seconds: float) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "deploy.demo", *words],
            cwd=tmp_path,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )

    try:
        done = demo("--births", str(LEAST_BIRTHS), seconds=1200)
        assert done.returncode == 0, f"{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
        last = done.stdout.splitlines()[-1]
        assert (told := re.fullmatch(r"demo: (\d+) checks passed, 0 failed", last)), last
        assert int(told[1]) > 10
        assert (tmp_path / STATE.relative_to(REPOSITORY) / "logs").is_dir(), "its state is elsewhere"
    finally:
        left = demo("--stop", seconds=200)
    assert left.stdout == "", "it ended what it had started"
