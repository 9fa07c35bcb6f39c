"""Loss and accuracy over the epochs."""

from tinyconv.viz.style import GREY, TEST, TRAIN, figure


def curves(history, title=""):
    """Draw loss and accuracy, on training and held-out images, over the epochs.

    Args:
        history: a ``train.History``, or a list of its records: dicts with ``epoch``,
            ``train_loss`` (nats), ``train_accuracy`` (0 to 1), and ``test_loss`` and
            ``test_accuracy`` where there are held-out images.
        title: a line above.

    Returns:
        a ``matplotlib.figure.Figure``.

    Raises:
        MissingMatplotlib: with what to install.
        ValueError: for no epoch.

    >>> from tinyconv.viz import curves
    >>> records = [{"epoch": e, "train_loss": 1 / e, "train_accuracy": 0.9} for e in (1, 2)]
    >>> len(curves(records).axes)
    2
    """
    records = getattr(history, "records", history)
    if not records:
        raise ValueError("curves: the history has no epoch yet")

    def draw(fig):
        loss, accuracy = fig.subplots(1, 2)
        _panel(loss, records, "loss", 1, "cross entropy (nats)")
        _panel(accuracy, records, "accuracy", 100, "accuracy (%)")
        loss.set_ylim(0, 1.1 * loss.dataLim.y1 or 1)
        _name_lines(loss, records)
        _mark_best(accuracy, records)
        if title:
            fig.suptitle(title, x=0.01, ha="left", fontsize=13)

    return figure(draw, 9.6, 4.0)


def _panel(axes, records, what, scale, unit):
    from matplotlib.ticker import MaxNLocator

    epochs = [r["epoch"] for r in records]
    # markers while they can be told apart
    marker = {"markersize": 5} if len(records) <= 30 else {"markersize": 0}
    for half, name, colour, shape in (
        ("train", "training", TRAIN, "o"),
        ("test", "held-out", TEST, "s"),
    ):
        values = [r.get(f"{half}_{what}") for r in records]
        if None not in values:
            values = [scale * v for v in values]
            axes.plot(
                epochs, values, color=colour, marker=shape, label=name, clip_on=False, **marker
            )
    axes.set_xlabel("epoch")
    axes.set_ylabel(unit)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    if len(records) == 1:
        axes.set_xlim(epochs[0] - 0.5, epochs[0] + 0.5)
        axes.set_xticks(epochs)


def _name_lines(axes, records):
    if records[0].get("test_loss") is not None:
        axes.legend(loc="upper right")


def _mark_best(axes, records):
    """A ring and a number at the best held-out epoch: what the run will be asked for."""
    if records[0].get("test_accuracy") is None:
        return
    best = max(records, key=lambda r: (r["test_accuracy"], -r["test_loss"]))
    value = 100 * best["test_accuracy"]
    axes.plot(
        best["epoch"], value, "o", color=TEST, markersize=12, fillstyle="none", markeredgewidth=1.5
    )
    axes.set_title(
        f"best held-out: {value:.2f} % in epoch {best['epoch']}", color=GREY, fontsize=11
    )
