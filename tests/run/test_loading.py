"""The bar of work that counts itself."""

from __future__ import annotations

import pytest

from uproar.run.progress import loading


def test_quick_work_shows_nothing(capsys):
    with loading("reading digits"):
        pass
    assert capsys.readouterr() == ("", "")


def test_without_a_terminal_there_is_one_line(capsys):
    with loading("reading [red]pets[/red]\n.zip") as progress:
        for done in (1, 20, 60_000):
            progress(done, 60_000)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert "[red]pets[/red]" in captured.err
    assert captured.err.endswith(": 60,000\n")


def test_quiet_prints_nothing(capsys):
    with loading("reading digits", quiet=True) as progress:
        progress(1, 2)
    assert capsys.readouterr() == ("", "")


def test_a_terminal_shows_a_bar_and_clears_it(capsys, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    with loading("reading pets") as progress:
        progress(1, 2)
        progress(2, 2)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "2/2" in captured.err


def test_an_error_passes_through(capsys):
    def read():
        with loading("reading pets", quiet=True) as progress:
            progress(1, 2)
            raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        read()
    assert capsys.readouterr().out == ""
