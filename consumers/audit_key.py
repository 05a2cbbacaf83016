"""The key of the audit chain: signs its seals, and makes what its lines say of records unguessable.

One file holds it, readable by its owner only and never in the store: whoever may write the store must not
be able to seal what he wrote. Its public half lies beside it (``.pub``) for everybody who verifies, and the
last seal of each store (``.last``), so that a chain cut off at its end is found. Keys that it took over from
lie beside it too, each under its id.
"""

import os
import re
import secrets
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from hashlib import blake2b, sha256
from pathlib import Path
from typing import Any

import numpy as np
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)
from sqlalchemy import make_url

from schemas.errors import SettingsError

BLOCK_BYTES = 16  # of AES; of a handle, and of a salt
_MAKE = "make one: lienthong audit keygen"


class PublicKey:
    """Checks seals."""

    def __init__(self, key: Ed25519PublicKey) -> None:
        self._key = key
        self.id = sha256(key.public_bytes(Encoding.Raw, PublicFormat.Raw)).hexdigest()[:16]

    @property
    def pem(self) -> bytes:
        """As everybody's tools read it."""
        return self._key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    def signed(self, statement: bytes, signature: bytes) -> bool:
        """Whether the owner of the private half signed this very statement."""
        try:
            self._key.verify(signature, statement)
        except InvalidSignature:
            return False
        return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Marks:
    """What a key knows of records, ``BLOCK_BYTES`` for each, one record behind the other."""

    handles: bytes
    salts: bytes = field(repr=False)

    def each(self) -> Iterator[tuple[bytes, bytes]]:
        """Handle and salt, record by record."""
        for at in range(0, len(self.handles), BLOCK_BYTES):
            yield self.handles[at : at + BLOCK_BYTES], self.salts[at : at + BLOCK_BYTES]


class AuditKey(PublicKey):
    """Signs seals, and knows the handle and the salt of every record.

    Both follow from the record's source and key, and each tells nothing of the other. The handle names the
    record in its lines; the salt goes into the hash of its content, and can be told of one record alone.
    """

    def __init__(self, key: Ed25519PrivateKey) -> None:
        super().__init__(key.public_key())
        self._private = key
        seed = key.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())
        self._secret = blake2b(seed, person=b"lienthong record").digest()

    @classmethod
    def generate(cls) -> "AuditKey":
        return cls(Ed25519PrivateKey.generate())

    @property
    def private_pem(self) -> bytes:
        """PKCS #8, without a password: a worker starts without a person."""
        return self._private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    def sign(self, statement: bytes) -> bytes:
        return self._private.sign(statement)

    def marks(self, system: str, dataset: str, source_keys: Sequence[bytes]) -> Marks:
        """Handle and salt of each record."""
        handles = np.empty((len(source_keys), BLOCK_BYTES), dtype=np.uint8)
        salts = np.empty_like(handles)
        blocks = np.array([-(-len(one) // BLOCK_BYTES) for one in source_keys])
        for count in np.unique(blocks).tolist():
            places = np.flatnonzero(blocks == count)
            keys = np.array(
                [source_keys[place] for place in places.tolist()], dtype=f"S{max(1, count) * BLOCK_BYTES}"
            )
            for made, purpose in ((handles, "handle"), (salts, "salt")):
                secret = f"{purpose} {count} {system}/{dataset}".encode()
                made[places] = _mac(blake2b(secret, key=self._secret, digest_size=32).digest(), keys)
        return Marks(handles=handles.tobytes(), salts=salts.tobytes())


def _mac(key: bytes, messages: "np.ndarray[Any, Any]") -> "np.ndarray[Any, np.dtype[np.uint8]]":
    """AES-256 in CBC-MAC over messages of one length, all at once; none holds a zero byte.

    Sound because each length has a key of its own (Bellare, Kilian, Rogaway 2000). A hash of Python's own
    library for each record would cost more than all the rest of its line.
    """
    blocks = messages.view(np.uint8).reshape(len(messages), -1, BLOCK_BYTES)
    state = np.zeros((len(messages), BLOCK_BYTES), dtype=np.uint8)
    encryptor = Cipher(algorithms.AES(key), modes.ECB()).encryptor()  # noqa: S305 (the chaining is ours)
    for place in range(blocks.shape[1]):
        mixed = (state ^ blocks[:, place]).tobytes()
        state = np.frombuffer(encryptor.update(mixed), dtype=np.uint8).reshape(-1, BLOCK_BYTES)
    return state


@dataclass(frozen=True, slots=True, kw_only=True)
class Anchor:
    """A seal that somebody outside the store remembers."""

    number: int
    digest: str  #: SHA-256 of its statement, hexadecimal

    @classmethod
    def parse(cls, text: str) -> "Anchor":
        """From ``number:digest``. ``SettingsError`` if it is not like that."""
        number, _, digest = text.strip().partition(":")
        if not number.isdecimal() or len(digest) != 64 or set(digest) - set("0123456789abcdef"):
            raise SettingsError(
                "an anchor is the number and the digest of a seal", next_step="write it as audit verify did"
            )
        return cls(number=int(number), digest=digest)

    def __str__(self) -> str:
        return f"{self.number}:{self.digest}"


# --- files -------------------------------------------------------------------------------------------


def make_key(file: Path) -> AuditKey:
    """Make a key file and its public half. ``SettingsError`` if there is one: it is never overwritten."""
    key = AuditKey.generate()
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with _written(file, key) as mine:
            os.link(mine, file)  # whole, or not at all; and never over another one
        public_file(file).write_bytes(key.pem)
    except FileExistsError:
        raise SettingsError(
            f"{file} is there already", next_step="to let a new one take over: lienthong audit keygen --renew"
        ) from None
    except OSError as error:
        raise _unusable(file, error) from None
    return key


def renew_key(file: Path) -> tuple[AuditKey, Path]:
    """Let a new key take over in a key file; the one before stays beside it, in the file that is told.

    What the one before wrote can be followed only with it. ``SettingsError`` if there is none.
    """
    before, key = load_key(file), AuditKey.generate()
    kept = file.with_name(f"{file.name}.{before.id}")
    try:
        with _written(file, key) as mine:
            with suppress(FileExistsError):  # of an attempt that was cut short
                os.link(file, kept)
            public_file(kept).write_bytes(before.pem)
            mine.replace(file)
        public_file(file).write_bytes(key.pem)
    except OSError as error:
        raise _unusable(file, error) from None
    return key, kept


@contextmanager
def _written(file: Path, key: AuditKey) -> Iterator[Path]:
    """The key in a file of its own beside ``file``, to be put into its place."""
    mine = _beside(file)
    descriptor = os.open(mine, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as opened:
            opened.write(key.private_pem)
            opened.flush()
            os.fsync(opened.fileno())
        yield mine
    finally:
        mine.unlink(missing_ok=True)


def _beside(file: Path) -> Path:
    """A name for what is about to be put into place, and nobody else's: in containers all are process 1."""
    return file.with_name(f"{file.name}.{secrets.token_hex(4)}.new")


def load_keys(file: Path) -> list[AuditKey]:
    """The key of a key file, and behind it those that it took over from. Raises as ``load_key``."""
    return [load_key(file), *map(load_key, _earlier(file, ""))]


def load_publics(file: Path) -> list[PublicKey]:
    """The public halves of the same."""
    beside = public_file(file)
    found: list[PublicKey] = [load_public(beside) if there(beside) else load_key(file)]
    return found + list(map(load_public, _earlier(file, ".pub")))


def _earlier(file: Path, ending: str) -> list[Path]:
    form = re.compile(rf"{re.escape(file.name)}\.[0-9a-f]{{16}}{re.escape(ending)}")
    try:
        beside = list(file.parent.iterdir()) if file.parent.is_dir() else []
    except OSError as error:
        raise _unusable(file.parent, error) from None
    return sorted(path for path in beside if form.fullmatch(path.name))


def load_key(file: Path) -> AuditKey:
    """Read a key file. ``SettingsError`` if it is none, or others may read it."""
    try:
        if stat.S_IMODE(file.stat().st_mode) & 0o077:
            raise SettingsError(f"{file} can be read by others", next_step=f"chmod 600 {file}")
        key = load_pem_private_key(file.read_bytes(), password=None)
    except OSError as error:
        raise _unusable(file, error) from None
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise SettingsError(f"{file} is no key of an audit chain", next_step=_MAKE)
    return AuditKey(key)


def load_public(file: Path) -> PublicKey:
    """Read a public key. ``SettingsError`` if the file holds none."""
    try:
        key = load_pem_public_key(file.read_bytes())
    except OSError as error:
        raise _unusable(file, error) from None
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PublicKey):
        raise SettingsError(f"{file} holds no Ed25519 public key", next_step="it is the file <key>.pub")
    return PublicKey(key)


def obtain_key(file: Path) -> tuple[AuditKey, bool]:
    """The key of a worker, made if there is none yet; and whether it was made now."""
    if not there(file):
        try:
            return make_key(file), True
        except SettingsError:
            if not there(file):  # else another worker was faster
                raise
    return load_key(file), False


def there(file: Path) -> bool:
    """Whether there is such a file. ``SettingsError`` if its folder is closed to this user."""
    try:
        return file.exists()
    except OSError as error:
        raise _unusable(file, error) from None


def public_file(file: Path) -> Path:
    """Where the public half of a key file lies."""
    return file.with_name(f"{file.name}.pub")


def anchor_file(key: Path, store: str) -> Path:
    """Where the last seal of a store is remembered: beside the key, which may serve several stores.

    ``store``: as ``LIENTHONG_STORE`` says it.
    """
    place = make_url(store).set(username=None, password=None).render_as_string()
    return key.with_name(f"{key.name}.{sha256(place.encode()).hexdigest()[:8]}.last")


def note_anchor(file: Path, anchor: Anchor) -> None:
    """Remember the last seal. ``SettingsError`` if the folder cannot be written."""
    mine = _beside(file)
    try:
        mine.write_text(f"{anchor}\n")
        mine.replace(file)
    except OSError as error:
        raise _unusable(file, error) from None


def noted_anchor(file: Path) -> Anchor | None:
    """The last seal made here; None if none was. ``SettingsError`` if the file tells something else."""
    try:
        return Anchor.parse(file.read_text())
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(
            f"{file}: {type(error).__name__}", next_step="correct it, or take it away"
        ) from None


def _unusable(file: Path, error: OSError) -> SettingsError:
    why = error.strerror or type(error).__name__
    next_step = (
        _MAKE if isinstance(error, FileNotFoundError) else "correct LIENTHONG_AUDIT_KEY, or the rights"
    )
    return SettingsError(f"{file}: {why}", next_step=next_step)
