import signal
import sys
import threading

import pytest

from tinyconv.train.errors import nearest
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
