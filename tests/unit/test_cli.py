"""The command line before any command runs."""

import pytest
from typer.testing import CliRunner

from schemas.errors import SettingsError
from streams import cli

RAW = "lan\udcff"  # as the interpreter hands over the byte ff


@pytest.mark.parametrize(
    ("words", "place"),
    [
        (("rejects", "show", "1", "--reveal", "--why", "x", "--by", RAW), "argument 8 (at --by)"),
        (("rejects", "show", "1", "--reveal", "--by", "lan", f"--why={RAW}"), "argument 7 (at --why)"),
        (("rejects", "list", RAW), "argument 3"),
        (("rejects", "list", "hotich_qnam", "--dataset", RAW), "argument 5 (at --dataset)"),
        (("rejects", "retry", "--system", "s", "--field", RAW), "argument 6 (at --field)"),
        (("rejects", "drop", "1", "--why", RAW), "argument 5 (at --why)"),
        (("rejects", "fix", "1", "--set", f"ho_ten={RAW}", "--why", "x"), "argument 5 (at --set)"),
        (("receipts", "show", RAW), "argument 3"),
        (("road", "accept-loss", "--inbound", RAW), "argument 4 (at --inbound)"),
        (("backfill", "a/b", "--where", RAW), "argument 4 (at --where)"),
        (("contracts", "draft", "sqlite:///x.db", "--table", RAW), "argument 5 (at --table)"),
        (("trace", "hotich_qnam", RAW), "argument 3"),
        (("audit", "export", "hotich_qnam", RAW, "--dataset"), "argument 4"),
        ((RAW, "--debug"), "argument 1"),
    ],
)
def test_an_argument_that_is_not_utf_8_is_told_by_its_place(words: tuple[str, ...], place: str) -> None:
    error = CliRunner().invoke(cli.app, words).exception
    assert isinstance(error, SettingsError)
    assert error.message == f"{place} is not UTF-8"
    assert "lan" not in error.next_step


def test_it_ends_like_any_wrong_option(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["lienthong", "codes", "show", "xa", RAW])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 2
    told = capsys.readouterr().err.splitlines()
    assert told[0] == "error: argument 4 is not UTF-8"
    assert told[1].startswith("next step: write it in UTF-8")
