"""What ``lienthong doctor`` tells of the audit chain and its key."""

from pathlib import Path

from consumers import health
from consumers.audit_key import make_key
from tests.store_lab import Lab, upsert


def test_the_doctor_tells_lines_that_nobody_seals_and_why(lab: Lab, key_file: Path) -> None:
    found = health.audit_sealed(lab.url, key_file)
    assert (found.ok, found.detail) == (
        True,
        f"0 lines of the audit chain not sealed yet, the oldest for 0 s; key {lab.key.id}",
    )
    lab.apply(upsert(23, "K9", person="p9"))
    assert health.audit_sealed(lab.url, key_file).ok, "a worker has a minute"
    lab.execute("UPDATE lienthong_audit_block SET at = '2020-01-01T00:00:00.000000+00:00' WHERE seal IS NULL")
    found = health.audit_sealed(lab.url, key_file)
    assert (found.ok, found.detail.partition(",")[0]) == (False, "1 line of the audit chain not sealed yet")
    assert "lienthong road run" in found.next_step
    key_file.chmod(0o644)
    found = health.audit_sealed(lab.url, key_file)
    assert (found.ok, found.next_step) == (False, f"chmod 600 {key_file}")
    key_file.unlink()
    found = health.audit_sealed(lab.url, key_file)
    assert not found.ok
    assert f"there is no {key_file}" in found.detail


def test_the_doctor_tells_a_key_that_did_not_seal_until_now(lab: Lab, tmp_path: Path) -> None:
    make_key(tmp_path / "other.key")
    found = health.audit_sealed(lab.url, tmp_path / "other.key")
    assert not found.ok
    assert lab.key.id in found.detail
    assert "the same LIENTHONG_AUDIT_KEY" in found.next_step
    found = health.audit_sealed(lab.url, tmp_path / "none.key")
    assert found.ok, "the key lies on another machine"
    assert f"key {lab.key.id}, not here" in found.detail
