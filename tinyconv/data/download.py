"""Downloads that end complete and verified, or not at all.

A file grows under ``<name>.part`` and gets its name when its checksum matched, by one atomic
rename. A download that broke off goes on where it stopped. A lock in the folder makes a second
process wait and then find the file.
"""

import contextlib
import os
import sys
import time
from pathlib import Path

#: How often one mirror may go on after a broken connection.
ATTEMPTS = 5
_CHUNK = 1 << 16


class DownloadError(OSError):
    """No mirror gave the file; the message lists each with its reason.

    Attributes:
        sentence: the same in one line, without the advice at its end.

    >>> from tinyconv.data import DownloadError
    >>> issubclass(DownloadError, OSError)
    True
    """

    sentence = ""


def cache_folder():
    """The folder of downloaded data sets (a ``Path``; it need not exist).

    ``$TINYCONV_CACHE/datasets``, else ``$XDG_CACHE_HOME/tinyconv/datasets``, else
    ``~/.cache/tinyconv/datasets``.

    >>> from tinyconv.data import cache_folder
    >>> cache_folder().name
    'datasets'
    """
    if os.environ.get("TINYCONV_CACHE"):
        return Path(os.environ["TINYCONV_CACHE"]).expanduser() / "datasets"
    home = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(home).expanduser() / "tinyconv" / "datasets"


def download_file(urls, path, md5, hint="", timeout=30.0):
    """Download a file from the first mirror that gives it whole, and return its path.

    Progress is shown on standard error if that is a terminal.

    Args:
        urls: mirrors, tried in turn.
        path: where the file will be; folders are made. If it is there already it is checked.
        md5: checksum of the file, hexadecimal.
        hint: last line of the error message when all mirrors failed.
        timeout: seconds without an answer after which a mirror is given up.

    Raises:
        DownloadError: if no mirror gave the file; what was received stays in ``<name>.part``.
        ValueError: if there is a file under the final name with another checksum.

    >>> import hashlib, pathlib, tempfile
    >>> from tinyconv.data import download_file
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     there = pathlib.Path(folder, "a.bin")
    ...     _ = there.write_bytes(b"abc")
    ...     download_file([], there, hashlib.md5(b"abc").hexdigest()).name
    'a.bin'
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with _locked(path.parent / ".lock"):
        if path.exists():
            if _md5(path) != md5:
                raise ValueError(
                    f"{path}: its checksum is not that of the download (md5 {md5}); "
                    "delete it and download it again"
                )
            return path
        part = path.with_name(path.name + ".part")
        failures = []
        for url in urls:
            problem = _try_mirror(url, part, md5, timeout)
            if problem is None:
                os.replace(part, path)
                return path
            failures.append(f"{url}: {problem}")
    begin = f"could not download {path.name}; tried"
    error = DownloadError("\n".join([begin, *(f"  {f}" for f in failures), hint]))
    error.sentence = f"{begin} {', then '.join(failures)}"
    raise error


def _try_mirror(url, part, md5, timeout):
    """Fill ``part`` from one mirror; None when its checksum matched, else what went wrong."""
    from http.client import HTTPException  # here to keep the package's start-up light
    from urllib.error import HTTPError

    problem = None
    for _ in range(ATTEMPTS):
        begun = _size(part)
        try:
            _transfer(url, part, begun, timeout)
        except HTTPError as error:
            problem = f"HTTP {error.code} {error.reason}"
            error.close()
            if not (error.code == 416 and begun):  # 416: the part is no beginning of the file
                return problem
        except (OSError, HTTPException) as error:
            problem = str(getattr(error, "reason", "") or error) or type(error).__name__
            if _size(part) > begun:
                continue  # it moved on: go on from there
            return problem
        found = _md5(part)
        if found == md5:
            return None
        part.unlink()
        problem = f"wrong content (md5 {found}, expected {md5})"
        if begun == 0:
            return problem
        # part of it was from an earlier try, perhaps another mirror: once more from the start
    return problem


def _transfer(url, part, begun, timeout):
    """Append to ``part`` what is missing; OSError if the connection ends before the file does."""
    from urllib.request import Request, urlopen

    headers = {"User-Agent": "tinyconv"}
    if begun:
        headers["Range"] = f"bytes={begun}-"
    with urlopen(Request(url, headers=headers), timeout=timeout) as reply:
        resumed = reply.status == 206
        if resumed and not reply.headers.get("Content-Range", "").startswith(f"bytes {begun}-"):
            raise OSError("the server answered with another range than asked for")
        done = begun if resumed else 0
        length = reply.headers.get("Content-Length")
        total = done + int(length) if length else None
        with open(part, "ab" if resumed else "wb") as file, _progress(part.stem, total) as show:
            while chunk := reply.read(_CHUNK):
                file.write(chunk)
                done += len(chunk)
                show(done)
            file.flush()
            os.fsync(file.fileno())
    if total is not None and done < total:
        raise OSError(f"the connection ended after {done} of {total} bytes")


@contextlib.contextmanager
def _progress(name, total):
    """Gives a function of the bytes done; it writes one line that it keeps rewriting."""
    if not sys.stderr.isatty():
        yield lambda done: None
        return
    shown = 0.0

    def show(done):
        nonlocal shown
        if time.monotonic() - shown > 0.1 or done == total:
            shown = time.monotonic()
            of = f" of {total / 1e6:.1f} MB ({done / total:.0%})" if total else " MB"
            print(f"\r{name}: {done / 1e6:.1f}{of}", end="", file=sys.stderr, flush=True)

    try:
        yield show
    finally:
        print(file=sys.stderr)


@contextlib.contextmanager
def _locked(path):
    """Hold an exclusive lock on a file; the system frees it when the process ends, however."""
    with open(path, "a+b") as file:
        told = False
        while not _try_lock(file):
            if not told and sys.stderr.isatty():
                print("waiting for another process that downloads too", file=sys.stderr)
            told = True
            time.sleep(0.05)
        yield


def _try_lock(file):
    """True if the lock was free; closing the file gives it back."""
    try:
        import fcntl
    except ImportError:
        import msvcrt

        try:
            file.seek(0)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _md5(path):
    import hashlib

    digest = hashlib.md5(usedforsecurity=False)
    with open(path, "rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _size(path):
    return path.stat().st_size if path.exists() else 0
