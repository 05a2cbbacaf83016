"""The key of the audit chain: signs its seals, and makes what its lines say of records unguessable.

One file holds it, readable by its owner only and never in the store: whoever may write the store must not
be able to seal what he wrote. Its public half lies beside it (``.pub``) for everybody who verifies, and
``.last`` remembers the last seal, so that a chain cut off at its end is found.
"""

import json
import os
import stat
from dataclasses import dataclass
from hashlib import blake2b, sha256
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from schemas.errors import SettingsError

HANDLE_BYTES, SALT_BYTES = 16, 32
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


class AuditKey(PublicKey):
    """Signs seals, and knows the handle and the salt of every record.

    The two are halves of one keyed hash of the record's source and key. The handle names the record in its
    lines; the salt goes into the hash of its content, and can be told of one record without telling others.
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

    def marks(self, system: str, dataset: str, source_keys: list[bytes]) -> list[bytes]:
        """Handle and salt of each record, one behind the other."""
        secret, size, source = self._secret, HANDLE_BYTES + SALT_BYTES, f"{system}/{dataset}/".encode()
        return [blake2b(source + one, key=secret, digest_size=size).digest() for one in source_keys]


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
    mine = file.with_name(f"{file.name}.{os.getpid()}.new")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(mine, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as opened:
                opened.write(key.private_pem)
                opened.flush()
                os.fsync(opened.fileno())
            os.link(mine, file)  # whole, or not at all; and never over another one
        finally:
            mine.unlink()
        public_file(file).write_bytes(key.pem)
    except FileExistsError:
        raise SettingsError(
            f"{file} is there already", next_step="keep it: what it sealed can only be followed with it"
        ) from None
    except OSError as error:
        raise _unusable(file, error) from None
    return key


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
    if not file.exists():
        try:
            return make_key(file), True
        except SettingsError:
            if not file.exists():  # else another worker was faster
                raise
    return load_key(file), False


def public_file(file: Path) -> Path:
    """Where the public half of a key file lies."""
    return file.with_name(f"{file.name}.pub")


def note_anchor(file: Path, anchor: Anchor) -> None:
    """Remember the last seal beside the key. ``SettingsError`` if the folder cannot be written."""
    mine = file.with_name(f"{file.name}.{os.getpid()}.seal")
    try:
        mine.write_text(json.dumps({"number": anchor.number, "digest": anchor.digest}) + "\n")
        mine.replace(_anchor_file(file))
    except OSError as error:
        raise _unusable(_anchor_file(file), error) from None


def noted_anchor(file: Path) -> Anchor | None:
    """The last seal made here; None if none was."""
    try:
        told = json.loads(_anchor_file(file).read_text())
        return Anchor.parse(f"{told['number']}:{told['digest']}")
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError):
        raise SettingsError(
            f"{_anchor_file(file)} does not tell a seal", next_step="give the anchor yourself: --anchor"
        ) from None


def _anchor_file(file: Path) -> Path:
    return file.with_name(f"{file.name}.last")


def _unusable(file: Path, error: OSError) -> SettingsError:
    why = error.strerror or type(error).__name__
    next_step = (
        _MAKE if isinstance(error, FileNotFoundError) else "correct LIENTHONG_AUDIT_KEY, or the rights"
    )
    return SettingsError(f"{file}: {why}", next_step=next_step)
