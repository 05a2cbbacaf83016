"""The house itself: the lock, the search for a Python, and what no file of the repository may hold."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from itertools import chain
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

REPOSITORY = Path(__file__).parents[2]
LOCK = (REPOSITORY / "requirements.lock").read_text()
PINS = re.findall(
    r"^([a-z0-9._-]+)==(\S+) \\\n((?: {4}--hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)", LOCK, re.MULTILINE
)


def test_every_pin_of_the_lock_has_hashes_and_no_line_has_an_address() -> None:
    starts = [line for line in LOCK.splitlines() if line and not line.startswith((" ", "#"))]
    assert len(PINS) == len(starts) > 50
    assert "://" not in LOCK
    assert not re.search(r"^-", LOCK, re.MULTILINE), "an option line would point at one machine's setup"


def test_the_lock_holds_what_the_project_asks_for() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    asked = [*project["dependencies"], *chain.from_iterable(project["optional-dependencies"].values())]
    pinned = {canonicalize_name(name): version for name, version, _ in PINS}
    for requirement in map(Requirement, asked):
        assert pinned[canonicalize_name(requirement.name)] in requirement.specifier, requirement


def test_without_a_fitting_python_setup_says_what_to_install(tmp_path: Path) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("bash", "dirname"):
        found = shutil.which(name)
        assert found
        (programs / name).symlink_to(found)
    # A version manager's shim: there, but of a version that is not installed.
    (programs / "python3.11").write_text("#!/bin/sh\nexit 127\n")
    (programs / "python3.11").chmod(0o755)
    done = subprocess.run(
        [str(programs / "bash"), str(REPOSITORY / ".ci" / "make-venv"), str(tmp_path / "venv")],
        env={"PATH": str(programs)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "no Python 3.11 or newer" in done.stderr
    assert "next step: install one" in done.stderr
    assert not (tmp_path / "venv").exists()


def test_setup_is_done_again_when_the_programs_are_gone(tmp_path: Path) -> None:
    for name in ("Makefile", "requirements.lock", "pyproject.toml", ".ci/make-venv"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    shutil.copyfile(REPOSITORY / "Makefile", tmp_path / "Makefile")
    programs = tmp_path / ".venv" / "bin"
    programs.mkdir(parents=True)
    (programs / "python").symlink_to(sys.executable)
    (programs / "lienthong").touch(mode=0o755)
    (tmp_path / ".venv" / ".installed").touch()

    def installs() -> bool:
        done = subprocess.run(
            ["make", "--dry-run", "demo"],
            cwd=tmp_path,
            env={name: value for name, value in os.environ.items() if not name.startswith("MAKE")},
            capture_output=True,
            text=True,
            check=True,
        )
        assert "-m deploy.demo" in done.stdout
        return ".ci/make-venv .venv" in done.stdout

    assert not installs()
    (programs / "lienthong").rename(programs / "elsewhere")
    assert installs()
    (programs / "elsewhere").rename(programs / "lienthong")
    assert not installs()
    (programs / "python").unlink()
    (programs / "python").symlink_to(tmp_path / "uninstalled")
    assert installs()
