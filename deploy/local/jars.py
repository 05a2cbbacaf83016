"""Kafka's jars: fetched once by jgo, kept in the user's cache, verified by locked SHA-256 at every start.

``python -m deploy.local.jars`` resolves the coordinates again and rewrites the lock (part of ``make lock``).
"""

import hashlib
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import jgo
import requests
from jgo.config import GlobalSettings
from jgo.maven import MavenContext, PythonResolver

from deploy.local.process import StackError, quiet

LOCK = Path(__file__).with_name("jars.lock")
#: The broker, and a binding that sends its log to standard error.
WANTED = "org.apache.kafka:kafka_2.13:4.3.1+org.slf4j:slf4j-simple:1.7.36"


@dataclass(frozen=True, slots=True)
class LockedJar:
    """One line of the lock: ``group:artifact:version sha256``."""

    group: str
    artifact: str
    version: str
    sha256: str  #: 64 hex digits, of the file
    classifier: str = ""
    packaging: str = "jar"

    @property
    def file_name(self) -> str:
        """As Maven names it."""
        classifier = f"-{self.classifier}" if self.classifier else ""
        return f"{self.artifact}-{self.version}{classifier}.{self.packaging}"


def read_lock(path: Path = LOCK) -> list[LockedJar]:
    """The locked jars, in class path order. Raises ``StackError`` naming a line that is not one."""
    jars = []
    for number, line in enumerate(path.read_text().splitlines(), start=1):
        if not line or line.startswith("#"):
            continue
        coordinates, _, digest = line.partition(" ")
        group, _, rest = coordinates.partition(":")
        artifact, _, version = rest.partition(":")
        if not version or len(digest) != 64:
            raise StackError(
                f"{path.name}:{number}: not of the form group:artifact:version sha256",
                next_step=f"restore {path.name} from the repository",
            )
        jars.append(LockedJar(group, artifact, version, digest))
    return jars


def cache_folder() -> Path:
    """Where verified jars are kept for all clones of this user."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lienthong" / "jars"


def class_path(
    jars: Sequence[LockedJar],
    cache: Path,
    *,
    fetch: "Fetch | None" = None,
    say: Callable[[str], None] = quiet,
    name: str = "Kafka",
    megabytes: int = 44,
) -> list[Path]:
    """Files of the jars, each one verified, missing ones fetched first; ``name`` and size are for the talk.

    A file enters the cache only after it was verified, so an interrupted download leaves nothing behind.
    Raises ``StackError`` if a jar cannot be had or is not the locked one.
    """
    missing = [jar for jar in jars if not (cache / jar.file_name).exists()]
    if missing:
        say(f"{name}: fetching {len(missing)} of {len(jars)} jars ({megabytes} MB in all) into {cache}")
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache, prefix="incoming-") as folder:
            incoming = Path(folder)
            get = fetch or maven_fetch(incoming / "maven", say, name)
            for jar in missing:
                file = get(jar)
                verify(
                    jar,
                    file,
                    next_step="try again; if it stays so, do not trust this machine's source of jars",
                )
                shutil.copyfile(file, incoming / jar.file_name)
                (incoming / jar.file_name).replace(cache / jar.file_name)
        say(f"{name}: {len(missing)} jars fetched and verified")
    files = [cache / jar.file_name for jar in jars]
    for jar, file in zip(jars, files, strict=True):
        verify(jar, file, next_step=f"remove {file} and run make up again: it will be fetched anew")
    return files


def verify(jar: LockedJar, file: Path, *, next_step: str) -> None:
    """Raise ``StackError`` unless ``file`` is the locked one."""
    with file.open("rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    if found != jar.sha256:
        raise StackError(
            f"{file.name} is refused: its SHA-256 is {found[:16]}…, and {LOCK.name} says {jar.sha256[:16]}…",
            next_step=next_step,
        )


Fetch = Callable[[LockedJar], Path]


def maven_fetch(repository: Path, say: Callable[[str], None], name: str) -> Fetch:
    """Fetch by jgo: from this machine's Maven cache if it is there, else from where jgo's settings point."""
    settings = GlobalSettings.load()
    context = MavenContext(
        resolver=PythonResolver(progress_callback=_progress(say, name)),
        repo_cache=repository,
        local_repos=[settings.repo_cache],
        timeout=60,
    )
    context.remote_repos.update(settings.repositories)

    def fetch(jar: LockedJar) -> Path:
        project = context.project(jar.group, jar.artifact).at_version(jar.version)
        artifact = project.artifact(jar.classifier, jar.packaging)
        for wait_seconds in (1, 4, None):
            # jgo takes what lies at the final path for complete; after an interrupted attempt it is not.
            if artifact.cached_path is not None:
                artifact.cached_path.unlink(missing_ok=True)
            try:
                return artifact.resolve()
            except (requests.RequestException, RuntimeError) as error:
                if wait_seconds is None:
                    raise StackError(
                        f"{jar.file_name} could not be fetched ({type(error).__name__})",
                        next_step="check this machine's way to Maven Central (or set a mirror in jgo's"
                        " settings), then try again",
                    ) from error
                say(f"{name}: {jar.file_name}: {type(error).__name__}, trying again in {wait_seconds} s")
                time.sleep(wait_seconds)
        raise AssertionError("the last round returns or raises")

    return fetch


def _progress(
    say: Callable[[str], None],
    name: str,
) -> Callable[[str, int], AbstractContextManager[Callable[[int], None]]]:
    """Tell how much came, over all jars, about once a second."""
    done = 0
    told = time.monotonic()

    @contextmanager
    def track(file: str, size: int) -> Iterator[Callable[[int], None]]:
        def advance(count: int) -> None:
            nonlocal done, told
            done += count
            if time.monotonic() - told > 1:
                told = time.monotonic()
                say(f"{name}: {done / 1e6:.0f} MB fetched, now {file} ({size / 1e6:.1f} MB)")

        yield advance

    return track


def relock(path: Path = LOCK, wanted: str = WANTED) -> int:
    """Resolve ``wanted`` with all it needs, fetch it, write the lock. Returns the number of jars."""
    lines = []
    for artifact in jgo.resolve(wanted):
        with artifact.resolve().open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        lines.append(f"{artifact.groupId}:{artifact.artifactId}:{artifact.version} {digest}\n")
    header = f"# The jars of {wanted}, in class path order.\n# Made by `make lock`; do not edit.\n"
    path.write_text(header + "".join(lines))
    return len(lines)


if __name__ == "__main__":
    print(f"{LOCK.name}: {relock()} jars", file=sys.stderr)
