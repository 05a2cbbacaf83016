"""Programs of Debian's and Ubuntu's packages: the machine's own, or unpacked into a cache.

Nothing is installed and nobody need be root: ``apt-get download`` only fetches.
"""

import fcntl
import re
import shutil
import subprocess
from pathlib import Path

from deploy.local.jars import cache_folder
from deploy.local.process import StackError


def unpacked(package: str, program: str) -> Path:
    """The folder that a package's files lie in as it would put them: ``/``, or one of the cache.

    Args:
        package: its name; libraries that it depends on and the machine lacks come with it.
        program: one of its programs, ``usr/bin/promtool``; if the machine has it, nothing is fetched.
    """
    if (Path("/") / program).exists():
        return Path("/")
    folder = cache_folder().parent / package
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / f"{package}.lock").open("w") as lock:  # another worker of pytest may ask as well
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "complete").exists():
            _unpack(package, program, folder)
    return folder


def _unpack(package: str, program: str, folder: Path) -> None:
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        raise StackError(f"there is no {program} and no apt-get to fetch it", next_step=f"install {package}")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    depends = subprocess.check_output(["apt-cache", "depends", "--important", package], text=True)
    libraries = set(re.findall(r"Depends: <?(lib[\w.+-]+)", depends))
    # Scripts and styles of a web page are no libraries.
    libraries = {one for one in libraries if not one.startswith("libjs-")}
    missing = [
        one
        for one in libraries
        if subprocess.run(["dpkg", "-s", one], capture_output=True, check=False).returncode
    ]
    subprocess.run(["apt-get", "download", "-qq", package, *missing], cwd=folder, check=True)
    for file in folder.glob("*.deb"):
        subprocess.run(["dpkg-deb", "--extract", file, folder], check=True)
    (folder / "complete").touch()
