"""Elements taken and put, one by one."""

import numpy as np

from tinyconv.testing.plain.table import both, oracle

both("select")(lambda x, dim, index: np.take(x, index, dim))
both("masked_fill")(lambda x, mask, value: np.where(mask, value, x))
both("take")(lambda x, index: np.take(x, index))
both("masked_select")(lambda x, m: np.broadcast_to(x, np.broadcast_shapes(x.shape, m.shape))[
    np.broadcast_to(m, np.broadcast_shapes(x.shape, m.shape))])  # fmt: skip


@both("narrow")
def narrow(x, dim, start, length):
    return np.take(x, [int(start) + i for i in range(length)], dim)


@both("index_select")
def index_select(x, dim, index):
    return np.take(x, index, dim) if x.ndim else x


@both("gather")
def gather(x, dim, index):
    y = np.empty(index.shape)
    for place in np.ndindex(index.shape if index.size else (0,)):
        source = list(place)
        source[dim] = index[place]
        y[place] = x[tuple(source)]
    return y


@both("take_along_dim")
def take_along_dim(x, index, dim=None):
    if dim is None:
        x, index, dim = x.reshape(-1), index.reshape(-1), 0
    return np.take_along_axis(x, index, dim)


@oracle("Tensor.unfold")
def unfold(x, dim, size, step):
    starts = range(0, x.shape[dim] - size + 1, step)
    x = np.moveaxis(x, dim, -1)
    return np.moveaxis(np.stack([x[..., s : s + size] for s in starts]), 0, dim % x.ndim)


# -- putting ----------------------------------------------------------------------------------
_REDUCE = {
    "sum": np.sum, "add": np.sum, "prod": np.prod, "multiply": np.prod, "mean": np.mean,
    "amax": np.max, "amin": np.min, None: lambda values: values[-1],
}  # fmt: skip


def _scattered(x, dim, index, src, reduce, include_self):
    """Every value appended to a list at its place; then each list made one number."""
    lists = np.empty(x.shape, object)
    for place in np.ndindex(x.shape):
        lists[place] = []
    for place in np.ndindex(index.shape):
        target = list(place)
        target[dim] = index[place]
        lists[tuple(target)].append(src[place])
    y = x.copy()
    for place in np.ndindex(x.shape):
        if lists[place]:
            own = [x[place]] if include_self else []
            y[place] = _REDUCE[reduce](own + lists[place])
    return y


@both("scatter")
def scatter(x, dim, index, src=None, value=None, reduce=None):
    src = value if src is None else src
    src = src if isinstance(src, np.ndarray) else np.full(index.shape, float(src))
    return _scattered(x, dim, index, src, reduce, True)


@both("scatter_add")
def scatter_add(x, dim, index, src):
    return _scattered(x, dim, index, src, "sum", True)


@both("scatter_reduce")
def scatter_reduce(x, dim, index, src, reduce, include_self=True):
    return _scattered(x, dim, index, src, reduce, include_self)


@both("index_add")
def index_add(x, dim, index, source, alpha=1):
    y, source = np.moveaxis(x.copy(), dim, 0), np.moveaxis(source, dim, 0)
    for i, part in zip(index, source):
        y[i] += alpha * part
    return np.moveaxis(y, 0, dim)


@both("index_copy")
def index_copy(x, dim, index, source):
    y, source = np.moveaxis(x.copy(), dim, 0), np.moveaxis(source, dim, 0)
    for i, part in zip(index, source):
        y[i] = part
    return np.moveaxis(y, 0, dim)


@both("index_fill")
def index_fill(x, dim, index, value):
    y = np.moveaxis(x.copy(), dim, 0)
    for i in index:
        y[i] = value
    return np.moveaxis(y, 0, dim)


@both("index_put")
def index_put(x, indices, values, accumulate=False):
    y = x.copy()
    places = tuple(slice(None) if i is None else i for i in indices)
    if accumulate:
        np.add.at(y, places, values)
    else:
        y[places] = values
    return y


@both("put")
def put(x, index, source, accumulate=False):
    y = x.reshape(-1).copy()
    for i, value in zip(index.flat, source.flat):
        y[i] = y[i] + value if accumulate else value
    return y.reshape(x.shape)


@both("masked_scatter")
def masked_scatter(x, mask, source):
    shape = np.broadcast_shapes(x.shape, mask.shape)
    x, mask, values = np.broadcast_to(x, shape), np.broadcast_to(mask, shape), iter(source.flat)
    return np.array([next(values) if m else v for v, m in zip(x.flat, mask.flat)]).reshape(shape)


@both("select_scatter")
def select_scatter(x, src, dim, index):
    return np.stack([src if i == index % x.shape[dim] else part
                     for i, part in enumerate(np.moveaxis(x, dim, 0))], dim)  # fmt: skip


@both("slice_scatter")
def slice_scatter(x, src, dim, start, end, step=1):
    y = np.moveaxis(x.copy(), dim, 0)
    y[start:end:step] = np.moveaxis(src, dim, 0)
    return np.moveaxis(y, 0, dim)


@both("diagonal_scatter")
def diagonal_scatter(x, src, offset=0, dim1=0, dim2=1):
    y = np.moveaxis(x.copy(), (dim1, dim2), (0, 1))
    for i in range(src.shape[-1]):
        y[i + max(-offset, 0), i + max(offset, 0)] = src[..., i]
    return np.moveaxis(y, (0, 1), (dim1, dim2))


# -- places and counts ------------------------------------------------------------------------
@both("nonzero")
def nonzero(x, as_tuple=False):
    places = [p for p in np.ndindex(x.shape) if x[p] != 0]
    places = np.array(places, np.int64).reshape(len(places), x.ndim)
    return tuple(places.T) if as_tuple else places


both("argwhere")(nonzero)


@oracle("F.one_hot")
def one_hot(labels, num_classes=-1):
    return np.eye(labels.max() + 1 if num_classes == -1 else num_classes, dtype=np.int64)[labels]


@both("bincount")
def bincount(x, weights=None, minlength=0):
    counts = np.zeros(max(x.max() + 1, minlength), np.int64 if weights is None else np.float64)
    for i, value in enumerate(x):
        counts[value] += 1 if weights is None else weights[i]
    return counts
