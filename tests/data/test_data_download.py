import hashlib
import os
import re
import socket
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tinyconv.data import DownloadError, cache_folder, download, download_file

CONTENT = bytes(range(256)) * 600
MD5 = hashlib.md5(CONTENT).hexdigest()


class Server(ThreadingHTTPServer):
    """Serves ``files``; ``cuts`` holds after how many bytes it hangs up, answer by answer."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files, self.cuts, self.log = {"/a.bin": CONTENT}, [], []
        self.ranges = True
        self.gate = threading.Event()
        self.gate.set()
        self.asked = threading.Event()

    def url(self, path="/a.bin"):
        return f"http://127.0.0.1:{self.server_address[1]}{path}"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        server = self.server
        wish = self.headers.get("Range")
        server.log.append((self.path, wish))
        server.asked.set()
        server.gate.wait(30)
        content = server.files.get(self.path)
        if content is None:
            return self.send_error(404)
        start = int(re.fullmatch(r"bytes=(\d+)-", wish)[1]) if wish and server.ranges else 0
        if start and start >= len(content):
            return self.send_error(416)
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        body = content[start:]
        self.wfile.write(body[: server.cuts.pop(0)] if server.cuts else body)
        return None

    def log_message(self, *args):
        pass


@pytest.fixture
def server():
    server = Server()
    # a short poll only makes the shutdown quick
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.gate.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "new" / "folder" / "a.bin"


@pytest.fixture
def closed_url():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    return f"http://127.0.0.1:{port}/a.bin"


def leftovers(path):
    return sorted(p.name for p in path.parent.iterdir() if p.name != ".lock")


def test_whole_download(server, path, capsys):
    assert download_file([server.url()], path, MD5) == path
    assert path.read_bytes() == CONTENT
    assert leftovers(path) == ["a.bin"]
    assert capsys.readouterr() == ("", ""), "progress is for terminals"
    assert download_file([server.url()], path, MD5) == path
    assert len(server.log) == 1, "what is there is not fetched again"


def test_goes_on_where_the_connection_broke(server, path):
    server.cuts = [1000, 500]
    download_file([server.url()], path, MD5)
    assert path.read_bytes() == CONTENT
    assert [wish for _, wish in server.log] == [None, "bytes=1000-", "bytes=1500-"]


def test_goes_on_in_a_later_call(server, path):
    server.cuts = [1000, 0]
    with pytest.raises(DownloadError, match="the connection ended after 1000 of 153600 bytes"):
        download_file([server.url()], path, MD5)
    assert leftovers(path) == ["a.bin.part"]
    download_file([server.url()], path, MD5)
    assert server.log[-1] == ("/a.bin", "bytes=1000-")
    assert path.read_bytes() == CONTENT
    assert leftovers(path) == ["a.bin"]


def test_server_without_ranges_starts_over(server, path):
    server.ranges = False
    server.cuts = [1000]
    download_file([server.url()], path, MD5)
    assert path.read_bytes() == CONTENT


@pytest.mark.parametrize("stale", [b"x" * 500, CONTENT + b"more", CONTENT])
def test_a_strange_part_does_no_harm(server, path, stale):
    path.parent.mkdir(parents=True)
    path.with_name("a.bin.part").write_bytes(stale)
    download_file([server.url()], path, MD5)
    assert path.read_bytes() == CONTENT
    assert leftovers(path) == ["a.bin"]


def test_altered_content_is_refused_and_the_next_mirror_tried(server, path, closed_url):
    server.files["/bad/a.bin"] = CONTENT[:-1] + b"?"
    urls = [server.url("/bad/a.bin"), closed_url, server.url("/none/a.bin"), server.url()]
    download_file(urls, path, MD5)
    assert path.read_bytes() == CONTENT
    with pytest.raises(DownloadError) as error:
        download_file(urls[:3], path.with_name("b.bin"), MD5, hint="Use a local folder.")
    lines = str(error.value).splitlines()
    assert lines[0] == "could not download b.bin; tried"
    assert "bad/a.bin: wrong content (md5 " in lines[1]
    assert f"expected {MD5})" in lines[1]
    assert "refused" in lines[2]
    assert lines[3].endswith("none/a.bin: HTTP 404 Not Found")
    assert lines[4] == "Use a local folder."
    assert leftovers(path) == ["a.bin"], "nothing wrong stays, under any name"


def test_a_mirror_that_always_breaks_is_given_up(server, path):
    server.cuts = [1] * 50
    with pytest.raises(DownloadError, match="the connection ended after 5 of"):
        download_file([server.url()], path, MD5)


def test_a_wrong_file_under_the_final_name_is_told(path):
    path.parent.mkdir(parents=True)
    path.write_bytes(b"mine")
    with pytest.raises(ValueError, match=r"a\.bin: its checksum is not.*delete it"):
        download_file([], path, MD5)
    assert path.read_bytes() == b"mine"


def test_the_second_waits_for_the_first_then_finds_the_file(server, path, monkeypatch):
    waits = threading.Event()

    def try_lock(file, really=download._try_lock):
        got = really(file)
        if not got:
            waits.set()
        return got

    monkeypatch.setattr(download, "_try_lock", try_lock)
    server.gate.clear()
    threads = [
        threading.Thread(target=download_file, args=([server.url()], path, MD5)) for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    assert server.asked.wait(30)
    assert waits.wait(30)
    server.gate.set()
    for thread in threads:
        thread.join(30)
    assert len(server.log) == 1
    assert path.read_bytes() == CONTENT


def test_two_processes_download_once(server, path):
    server.gate.clear()
    script = (
        "import sys; from tinyconv.data import download_file;"
        "print(download_file([sys.argv[1]], sys.argv[2], sys.argv[3]).stat().st_size)"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-c", script, server.url(), str(path), MD5]
    processes = [
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    assert server.asked.wait(60)
    server.gate.set()
    assert [p.communicate(timeout=60)[0].strip() for p in processes] == [str(len(CONTENT))] * 2
    assert [p.returncode for p in processes] == [0, 0]
    assert len(server.log) == 1
    assert leftovers(path) == ["a.bin"]


def test_progress_on_a_terminal(server, path, monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    download_file([server.url()], path, MD5)
    shown = capsys.readouterr().err
    assert shown.startswith("\ra.bin: 0.")
    assert shown.endswith("0.2 of 0.2 MB (100%)\n")


def test_cache_folder_follows_the_environment(monkeypatch):
    monkeypatch.setenv("TINYCONV_CACHE", "/somewhere")
    assert cache_folder() == Path("/somewhere/datasets")
    monkeypatch.delenv("TINYCONV_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    assert cache_folder() == Path("/xdg/tinyconv/datasets")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder() == Path.home() / ".cache/tinyconv/datasets"
