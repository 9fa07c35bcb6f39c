import os
import signal
import struct
import sys
import threading
import time

import pytest

from tinyconv.names import nearest
from tinyconv.train.interrupt import InterruptGuard
from tinyconv.train.progress import Bar


def test_bar_without_tqdm(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "tqdm", None)
    with Bar(5, done=2, label="epoch 1/1", shown=True) as bar:
        bar.step("loss 0.5")
    err = capsys.readouterr().err
    assert "epoch 1/1  3/5" in err and "loss 0.5" in err and err.endswith("\r")


def test_bar_with_tqdm(capsys):
    pytest.importorskip("tqdm")
    with Bar(5, done=2, label="epoch 1/1", shown=True) as bar:
        for _ in range(3):
            bar.step("loss 0.5")
    assert "epoch 1/1" in capsys.readouterr().err


@pytest.mark.parametrize("has_tqdm", [True, False])
@pytest.mark.parametrize("columns", [80, 60, 132])
def test_bar_is_as_wide_as_the_terminal(has_tqdm, columns, monkeypatch):
    if has_tqdm:
        pytest.importorskip("tqdm")
    else:
        monkeypatch.setitem(sys.modules, "tqdm", None)
    termios, fcntl = pytest.importorskip("termios"), pytest.importorskip("fcntl")
    monkeypatch.delenv("COLUMNS", raising=False)
    ours, theirs = os.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    with open(ours, "rb") as terminal, open(theirs, "w") as err:
        monkeypatch.setattr(sys, "stderr", err)
        with Bar(133, label="epoch 1/8", shown=True) as bar:
            for _ in range(5):
                bar.step("loss 0.1234, accuracy 97.12%")
                time.sleep(0.11)
        drawn = os.read(terminal.fileno(), 100_000).decode()
    lines = [line for line in drawn.split("\r") if line.strip()]
    assert "\n" not in drawn and len(lines) >= 3
    assert max(map(len, lines)) <= columns
    if columns >= 80:
        assert "accuracy 97.12%" in lines[-1]


def test_bar_is_silent_elsewhere(capsys):
    with Bar(5) as bar:
        bar.step()
    assert capsys.readouterr() == ("", "")


def test_guard_puts_the_handler_back():
    before = signal.getsignal(signal.SIGINT)
    with InterruptGuard(message="") as guard:
        signal.raise_signal(signal.SIGINT)
        assert guard.asked
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def test_guard_takes_sigterm_as_ctrl_c():
    before = signal.getsignal(signal.SIGTERM)
    with InterruptGuard(message="") as guard:
        signal.raise_signal(signal.SIGTERM)
        assert guard.asked
    assert signal.getsignal(signal.SIGTERM) is before


def test_guard_leaves_ignored_signals_and_other_threads_alone():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with InterruptGuard() as guard:
            signal.raise_signal(signal.SIGINT)
            assert not guard.asked
    finally:
        signal.signal(signal.SIGINT, before)
    seen = []

    def other():
        with InterruptGuard():
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=other)
    thread.start()
    thread.join()
    assert seen == [before]


def test_only_names_that_are_near():
    assert nearest("onecylce", ["onecycle", "cosine", "none"]) == "did you mean 'onecycle'? "
    assert nearest("xyz", ["onecycle", "cosine"]) == ""
