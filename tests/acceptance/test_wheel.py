"""The wheel as an agency gets it: built, installed beside nothing of ours, used from an empty folder."""

import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
ROOMS = {"schemas", "producers", "streams", "consumers"}
#: Installing takes most of the time; it fetches what pip has not kept.
pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder)]
    done = subprocess.run([*command, str(REPOSITORY)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def binaries(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``bin`` of a new environment with the wheel and what it says it needs, in locked versions."""
    folder = tmp_path_factory.mktemp("fresh")
    lines = (REPOSITORY / "requirements.lock").read_text().splitlines()
    locked = [line.removesuffix(" \\") for line in lines if line[:1].isalnum()]
    constraints = folder / "constraints.txt"
    constraints.write_text("\n".join(locked))
    venv.create(folder / "venv", with_pip=True)
    python = folder / "venv" / "bin" / "python"
    command = [str(python), "-m", "pip", "install", "--quiet", "--constraint", str(constraints), str(wheel)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return python.parent


def run(*command: str | Path, folder: Path) -> subprocess.CompletedProcess[str]:
    """Without the repository on any path and without our settings."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "LIENTHONG_"))}
    return subprocess.run(
        command, cwd=folder, env=env, capture_output=True, text=True, check=False, timeout=500
    )


def test_the_top_level_is_exactly_the_four_rooms(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names} == ROOMS | {"lienthong-0.1.0.dist-info"}
    assert not [name for name in names if "__pycache__" in name or "/." in name]


def test_every_file_of_the_rooms_is_in_it(wheel: Path) -> None:
    files = {
        str(path.relative_to(REPOSITORY))
        for room in ROOMS
        for path in (REPOSITORY / room).rglob("*")
        if path.is_file() and not {"__pycache__", ".ruff_cache"} & set(path.parts)
    }
    assert "schemas/errors.py" in files, "an empty list would prove nothing"
    assert files - set(zipfile.ZipFile(wheel).namelist()) == set()


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_the_console_script_answers(binaries: Path, tmp_path: Path, option: str) -> None:
    done = run(binaries / "lienthong", option, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert ("0.1.0" if option == "--version" else "road") in done.stdout
    assert "Traceback" not in done.stderr


def test_the_shipped_contracts_load_from_an_empty_folder(binaries: Path, tmp_path: Path) -> None:
    code = (
        "import schemas, sys; from schemas.library import load_library; library = load_library();"
        "print(schemas.__file__); print(*library.contracts, *library.formats)"
    )
    done = run(binaries / "python", "-c", code, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    where, contents = done.stdout.splitlines()
    assert Path(where).is_relative_to(binaries.parent), "the repository was read, not the wheel"
    assert {"hotich_qnam/khaisinh", "hotich.khaisinh.v1"} <= set(contents.split())


def test_every_module_imports_with_nothing_but_what_the_wheel_asks_for(
    binaries: Path, tmp_path: Path
) -> None:
    code = (
        "import importlib, pkgutil\n"
        f"for room in {sorted(ROOMS)}:\n"
        "    for module in pkgutil.walk_packages(importlib.import_module(room).__path__, room + '.'):\n"
        "        if not module.name.endswith('.__main__'):\n"
        "            importlib.import_module(module.name); print(module.name)\n"
    )
    done = run(binaries / "python", "-c", code, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "streams.cli" in done.stdout.split()
