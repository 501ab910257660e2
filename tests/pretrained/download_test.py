"""Downloads from a local server that fails in every way."""

import concurrent.futures
import contextlib
import errno
import gzip
import http.server
import os
import pathlib
import re
import signal
import socket
import tempfile
import threading
import time

import keras
import pytest
import requests
from contents import zip_archive

from keras_squeezenet.pretrained import download
from keras_squeezenet.pretrained import weights_file
from keras_squeezenet.utils import archive
from keras_squeezenet.utils import http_file

NAME = "squeezenet.weights.h5"
PART = f"{NAME}.part"
CONTENT = bytes(range(256)) * 1000
HALF = len(CONTENT) // 2
# The output of `printf 'old' | sha256sum` and of
# `printf 'old' | git hash-object --stdin`.
OLD_SHA256 = "cba06b5736faf67e54b07b561eae94395e774c517a7d910a54369e1263ccfbd4"
OLD_GIT = "489ce0f857e7634a0eb9f328265a3e91fad49f61"


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.close_connection = True
        self.server.requests.append(self.path)
        self.server.headers.append(self.headers)
        self.server.ranges.append(self.headers["Range"])
        answers = self.server.answers
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        # The client may have given up.
        with contextlib.suppress(ConnectionError):
            answer(self)

    def head(self, status=200, **headers):
        self.send_response(status)
        self.send_header("Connection", "close")
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    """Use the next of `answers` for each request, the last one repeatedly."""

    daemon_threads = True
    block_on_close = False

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers = [whole]
        self.requests = []
        self.headers = []
        self.ranges = []
        self.halfway = threading.Event()
        self.go_on = threading.Event()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}"


def send(content):
    def answer(handler):
        handler.head(Content_Length=len(content))
        handler.wfile.write(content)

    return answer


whole = send(CONTENT)


def cut(handler):
    handler.head(Content_Length=len(CONTENT))
    handler.wfile.write(CONTENT[:HALF])


def hang_up(handler):
    """Close the connection without a response."""


def wait_before_the_first_byte(handler):
    handler.server.go_on.wait()
    whole(handler)


def wait_halfway(handler):
    cut(handler)
    handler.server.halfway.set()
    handler.server.go_on.wait()
    handler.wfile.write(CONTENT[HALF:])


def without_a_length(handler):
    handler.head()
    handler.wfile.write(CONTENT)


def cut_without_a_length(handler):
    handler.head()
    handler.wfile.write(CONTENT[:HALF])


def write_chunk(handler, content):
    handler.wfile.write(b"%x\r\n%s\r\n" % (len(content), content))


def chunked(handler):
    handler.head(Transfer_Encoding="chunked")
    for start in range(0, len(CONTENT), 1000):
        write_chunk(handler, CONTENT[start : start + 1000])
    write_chunk(handler, b"")


def cut_chunked(handler):
    handler.head(Transfer_Encoding="chunked")
    write_chunk(handler, CONTENT[:HALF])


def endless(handler):
    handler.head(Transfer_Encoding="chunked")
    while True:
        write_chunk(handler, CONTENT)


def compressed(handler):
    content = gzip.compress(CONTENT)
    handler.head(Content_Length=len(content), Content_Encoding="gzip")
    handler.wfile.write(content)


def wrongly_compressed(handler):
    handler.head(Content_Length=len(CONTENT), Content_Encoding="gzip")
    handler.wfile.write(CONTENT)


def status(code, **headers):
    return lambda handler: handler.head(code, Content_Length=0, **headers)


def rest(handler, content=CONTENT, shift=0):
    """Answer with the range that is asked for."""
    start = int(handler.headers["Range"].removeprefix("bytes=")[:-1]) + shift
    handler.head(
        206,
        Content_Range=f"bytes {start}-{len(content) - 1}/{len(content)}",
        Content_Length=len(content) - start,
    )
    handler.wfile.write(content[start:])


def another_range(handler):
    rest(handler, shift=1)


def drip(handler):
    """Send a byte from time to time."""
    handler.head(Content_Length=len(CONTENT))
    while not handler.server.go_on.wait(0.02):
        handler.wfile.write(b"a")


def drip_headers(handler):
    while not handler.server.go_on.wait(0.02):
        handler.wfile.write(b"H")


def redirect(code, location):
    def answer(handler):
        handler.head(code, Location=location, Content_Length=0)

    return answer


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    monkeypatch.setattr(http_file, "BACKOFF", 0)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """The folder of an empty cache, without a mirror."""
    home = tmp_path / "keras"
    home.mkdir()
    monkeypatch.setenv("KERAS_HOME", str(home))
    monkeypatch.delenv("KERAS_SQUEEZENET_MIRROR", raising=False)
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.setenv(name, "*")
    return home / "models"


@pytest.fixture
def server():
    with Server() as server:
        # Polled for the shutdown.
        threading.Thread(target=server.serve_forever, args=(0.01,)).start()
        yield server
        server.go_on.set()
        server.shutdown()


def file_of(server, content=CONTENT, algorithm="sha256", digits=64):
    digest = weights_file.Digest(algorithm, "0" * digits).of(content)
    return weights_file.File.published(f"{server.url}/{NAME}", digest)


def file_at_nobody():
    """A file at an address that refuses connections."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/{NAME}"
    digest = weights_file.Digest("sha256", "0" * 64).of(CONTENT)
    return weights_file.File.published(url, digest)


def names(folder):
    """List a folder, with hidden files."""
    return sorted(os.listdir(folder)) if folder.exists() else []


def put(folder, content, name=NAME):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content)


# The cache.


def test_file_lands_in_the_models_of_keras_once(server, cache):
    file = file_of(server)
    assert not download.is_available(file)
    path = download.fetch(file)
    assert path == str(cache / NAME)
    assert pathlib.Path(path).read_bytes() == CONTENT
    assert names(cache) == [NAME]
    assert download.is_available(file)
    assert download.fetch(file) == path
    assert server.requests == [f"/{NAME}"]


def test_default_cache_is_in_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.delenv("KERAS_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    (tmp_path / ".keras").mkdir()
    assert download.cache_folder() == tmp_path / ".keras" / "models"


def test_cache_is_in_a_home_where_keras_was_not_yet(monkeypatch, tmp_path):
    monkeypatch.delenv("KERAS_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert download.cache_folder() == tmp_path / ".keras" / "models"


def test_cache_that_cannot_be_written_is_where_keras_has_its_own(monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    shared = "/tmp" if os.path.isdir("/tmp") else tempfile.gettempdir()
    expected = pathlib.Path(shared, ".keras", "models")
    assert download.cache_folder() == expected


@pytest.mark.parametrize(
    "algorithm, digits", [("sha256", 64), ("git", 40), ("sha256", 8)]
)
def test_cached_file_with_another_digest_is_replaced(
    algorithm, digits, server, cache
):
    put(cache, CONTENT[:-1] + b"\0")
    file = file_of(server, algorithm=algorithm, digits=digits)
    assert not download.is_available(file)
    download.fetch(file)
    assert download.is_available(file)
    assert (cache / NAME).read_bytes() == CONTENT
    assert names(cache) == [NAME]


def test_cached_file_with_another_digest_is_neither_used_nor_removed(cache):
    put(cache, b"old")
    with pytest.raises(download.DownloadError):
        download.fetch(file_at_nobody())
    assert names(cache) == [NAME]
    assert (cache / NAME).read_bytes() == b"old"


@pytest.mark.parametrize(
    "algorithm, received",
    [("sha256", OLD_SHA256), ("git", OLD_GIT), ("sha256", OLD_SHA256[:8])],
)
@pytest.mark.parametrize("before", [{}, {NAME: b"older"}])
def test_wrong_content_changes_nothing(
    algorithm, received, before, server, cache
):
    before = {"other.h5": b"other", **before}
    for name, content in before.items():
        put(cache, content, name)
    server.answers = [send(b"old")]
    file = file_of(server, algorithm=algorithm, digits=len(received))
    message = (
        f"{server.url}/{NAME} must have the digest {algorithm} "
        f"{file.digest.value}. Received: {algorithm} {received}."
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        download.fetch(file)
    assert before == {path.name: path.read_bytes() for path in cache.iterdir()}
    assert len(server.requests) == 1


# Archives.


def zipped(content, name=NAME):
    return zip_archive({name: content})


ZIP = f"{NAME}.zip"
# The output of `printf 'old' | sha1sum`.
OLD_SHA1 = "c00dbbc9dadfbe1e232e93a729dd4752fade0abf"


@pytest.fixture
def archived(server):
    """The archive of a file, whose digest is that of the file in it."""
    server.answers = [send(zipped(CONTENT))]
    digest = weights_file.Digest("sha1", "0" * 40).of(CONTENT)
    return weights_file.File.published(f"{server.url}/{ZIP}", digest)


def test_archive_is_kept_and_its_file_is_read(archived, server, cache):
    assert not download.is_available(archived)
    assert download.read(archived) == CONTENT
    assert names(cache) == [ZIP]
    assert (cache / ZIP).read_bytes() == zipped(CONTENT)
    assert download.is_available(archived)
    assert download.read(archived) == CONTENT
    assert download.fetch(archived) == str(cache / ZIP)
    assert server.requests == [f"/{ZIP}"]


@pytest.mark.parametrize(
    "content, received",
    [
        (zipped(b"old"), OLD_SHA1),
        (b"old", OLD_SHA1),
        (zipped(CONTENT, "other.h5"), "[0-9a-f]{40}"),
        (zipped(CONTENT)[:-1], "[0-9a-f]{40}"),
        (zipped(CONTENT).replace(b"\1", b"\2"), "[0-9a-f]{40}"),
    ],
    ids=["other content", "no archive", "other name", "cut", "damaged"],
)
def test_archive_of_other_content_changes_nothing(
    content, received, archived, server, cache
):
    server.answers = [send(content)]
    message = (
        f"^{NAME} in {server.url}/{ZIP} must have the digest sha1 "
        f"{archived.digest.value}. Received: sha1 {received}. "
    )
    with pytest.raises(ValueError, match=message):
        download.read(archived)
    assert names(cache) == []


def test_damaged_archive_in_the_cache_is_replaced(archived, server, cache):
    put(cache, zipped(CONTENT)[:-1], ZIP)
    assert download.read(archived) == CONTENT
    assert (cache / ZIP).read_bytes() == zipped(CONTENT)


def test_stopped_download_of_an_archive_is_resumed(archived, server, cache):
    whole = zipped(CONTENT)
    put(cache, whole[:100], f"{ZIP}.part")
    server.answers = [lambda handler: rest(handler, whole)]
    assert download.read(archived) == CONTENT
    assert server.ranges == ["bytes=100-"]
    assert names(cache) == [ZIP]


# Progress.


@pytest.mark.parametrize(
    "answer, total", [(whole, "256000"), (chunked, "Unknown")]
)
def test_progress_is_shown(answer, total, server, capsys, caplog):
    caplog.set_level("INFO", download.logger.name)
    server.answers = [answer]
    download.fetch(file_of(server))
    out, shown = capsys.readouterr()
    # It is for results.
    assert out == ""
    assert caplog.messages == [f"Downloading data from {server.url}/{NAME}"]
    assert f" 0/{total}" in shown.replace("\x1b[1m", " ")
    assert f"256000/{total}" in shown
    assert shown.endswith("\n")
    download.fetch(file_of(server))
    assert capsys.readouterr() == ("", "")
    assert len(caplog.messages) == 1


def test_nothing_is_shown_without_interactive_logging(server, capfd):
    keras.config.disable_interactive_logging()
    try:
        download.fetch(file_of(server))
    finally:
        keras.config.enable_interactive_logging()
    assert capfd.readouterr() == ("", "")


# Servers and connections.


@pytest.mark.parametrize(
    "answer",
    [without_a_length, chunked, compressed],
    ids=lambda it: it.__name__,
)
def test_any_transfer_gives_the_same_file(answer, server, cache):
    server.answers = [answer]
    download.fetch(file_of(server))
    assert (cache / NAME).read_bytes() == CONTENT
    assert server.headers[0]["Accept-Encoding"] == "identity"


FAILURES = {
    cut: "128000 bytes read, 128000 more expected",
    cut_chunked: "ended prematurely",
    hang_up: "without response",
    wrongly_compressed: "failed to decode",
    status(429): "429",
    status(500): "500",
    status(503): "503",
}
REFUSALS = {status(403): "403", status(404): "404", status(410): "410"}


@pytest.mark.parametrize("failure", FAILURES)
def test_failure_that_may_pass_is_tried_again(failure, server, cache):
    server.answers = [failure, failure, failure, whole]
    download.fetch(file_of(server))
    assert (cache / NAME).read_bytes() == CONTENT
    assert names(cache) == [NAME]
    assert len(server.requests) == http_file.ATTEMPTS == 4


@pytest.mark.parametrize(
    "failure, reason", [*FAILURES.items(), *REFUSALS.items()]
)
def test_failure_that_stays_is_told(failure, reason, server, cache):
    server.answers = [failure]
    with pytest.raises(download.DownloadError) as raised:
        download.fetch(file_of(server))
    message = str(raised.value)
    assert message.startswith(f"{server.url}/{NAME} cannot be downloaded: ")
    assert reason in message
    assert str(cache) in message
    assert "environment variable KERAS_SQUEEZENET_MIRROR" in message
    assert isinstance(raised.value, OSError)
    assert isinstance(raised.value.__cause__, requests.RequestException)
    has_part = failure in (cut, cut_chunked)
    assert names(cache) == ([PART] if has_part else [])
    assert len(server.requests) == (4 if failure in FAILURES else 1)


def test_cut_that_nobody_notices_is_found_by_the_digest(server, cache):
    server.answers = [cut_without_a_length]
    with pytest.raises(ValueError, match="must have the digest"):
        download.fetch(file_of(server))
    assert names(cache) == []


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("absolute", [False, True])
def test_redirects_are_followed(code, absolute, server, cache):
    location = f"{server.url if absolute else ''}/moved/file"
    server.answers = [redirect(code, location), whole]
    assert download.fetch(file_of(server)) == str(cache / NAME)
    assert (cache / NAME).read_bytes() == CONTENT
    assert server.requests == [f"/{NAME}", "/moved/file"]


def test_endless_redirects_are_an_error(server, cache):
    server.answers = [redirect(302, f"/{NAME}")]
    with pytest.raises(download.DownloadError, match="Exceeded 30 redirects"):
        download.fetch(file_of(server))
    assert names(cache) == []
    assert len(server.requests) == 31


def test_redirect_to_a_file_of_this_machine_is_not_followed(
    server, cache, tmp_path
):
    put(tmp_path, CONTENT)
    server.answers = [redirect(302, (tmp_path / NAME).as_uri())]
    with pytest.raises(download.DownloadError, match="No connection adapters"):
        download.fetch(file_of(server))
    assert names(cache) == []


# Times.


@pytest.fixture
def short_times(monkeypatch):
    monkeypatch.setattr(http_file, "PERIOD", 0.1)


@pytest.mark.usefixtures("short_times")
@pytest.mark.parametrize(
    "answer", [wait_before_the_first_byte, drip_headers, drip]
)
def test_server_that_does_not_answer_is_given_up(answer, server, cache):
    server.answers = [answer]
    start = time.monotonic()
    with pytest.raises(download.DownloadError, match="timed out after 0.1 sec"):
        download.fetch(file_of(server))
    assert 0.1 <= time.monotonic() - start < 30
    assert names(cache) == []
    assert len(server.requests) == 1


@pytest.mark.usefixtures("short_times")
def test_name_that_is_not_resolved_is_given_up(cache, monkeypatch):
    stop = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: stop.wait())
    with pytest.raises(download.DownloadError, match="timed out after 0.1 sec"):
        download.fetch(file_at_nobody())
    stop.set()


@pytest.mark.usefixtures("short_times")
def test_server_that_is_too_slow_is_asked_again(server):
    server.answers = [wait_halfway]
    message = "timed out: 0 bytes in 0.1 seconds, and at least 30,000 are"
    start = time.monotonic()
    with pytest.raises(download.DownloadError, match=message):
        download.fetch(file_of(server))
    assert 0.1 <= time.monotonic() - start < 30
    assert len(server.requests) == 4


def test_everything_takes_a_limited_time(server, monkeypatch):
    monkeypatch.setattr(http_file, "TOTAL_SECONDS", 0.2)
    server.answers = [drip]
    with pytest.raises(download.DownloadError, match="more than 0.2 seconds"):
        download.fetch(file_of(server))
    assert len(server.requests) == 1


def test_attempts_wait_longer_and_longer(server, monkeypatch):
    waits = []
    monkeypatch.setattr(http_file.time, "sleep", waits.append)
    monkeypatch.setattr(http_file, "BACKOFF", 1.0)
    server.answers = [status(500)]
    with pytest.raises(download.DownloadError):
        download.fetch(file_of(server))
    assert waits == [1, 2, 4]


@pytest.mark.parametrize(
    "code, after, wait",
    [
        (429, "3", 3),
        (503, "0", 0),
        (503, "Thu, 01 Jan 1970 00:00:00 GMT", 0),
        (503, "soon", 1),
        (429, "121", None),
    ],
)
def test_server_says_when_to_come_again(code, after, wait, server, monkeypatch):
    waits = []
    monkeypatch.setattr(http_file.time, "sleep", waits.append)
    monkeypatch.setattr(http_file, "BACKOFF", 1.0)
    server.answers = [status(code, Retry_After=after), whole]
    if wait is None:
        with pytest.raises(download.DownloadError, match="429"):
            download.fetch(file_of(server))
    else:
        download.fetch(file_of(server))
        assert waits == [wait]


# What there is already.


@pytest.mark.parametrize("failure", [cut, cut_chunked])
def test_attempt_goes_on_where_the_one_before_ended(failure, server, cache):
    server.answers = [failure, rest]
    download.fetch(file_of(server))
    assert server.ranges == [None, f"bytes={HALF}-"]
    assert (cache / NAME).read_bytes() == CONTENT
    assert names(cache) == [NAME]


def test_later_download_goes_on_with_the_part(server, cache, capsys):
    put(cache, CONTENT[:1000], name=PART)
    server.answers = [rest]
    download.fetch(file_of(server))
    assert server.ranges == ["bytes=1000-"]
    assert (cache / NAME).read_bytes() == CONTENT
    assert names(cache) == [NAME]
    assert "256000/256000" in capsys.readouterr().err


@pytest.mark.parametrize(
    "part, answers, count",
    [
        # The server has no ranges.
        (CONTENT[:1000], [whole], 1),
        # It has another one than was asked for.
        (CONTENT[:1000], [another_range, whole], 2),
        # There is nothing after the part.
        (CONTENT, [status(416), whole], 2),
        # It is the beginning of another file.
        (b"\0" * 1000, [rest, whole], 2),
    ],
)
def test_part_that_is_of_no_use_is_replaced(
    part, answers, count, server, cache
):
    put(cache, part, name=PART)
    server.answers = answers
    download.fetch(file_of(server))
    assert (cache / NAME).read_bytes() == CONTENT
    assert names(cache) == [NAME]
    assert len(server.requests) == count


def test_file_that_changes_meanwhile_is_sent_whole(server):
    def cut_with_tag(handler):
        handler.head(Content_Length=len(CONTENT), ETag='"1"')
        handler.wfile.write(CONTENT[:HALF])

    server.answers = [cut_with_tag, whole]
    download.fetch(file_of(server))
    assert server.headers[1]["If-Range"] == '"1"'
    assert server.headers[1]["Range"] == f"bytes={HALF}-"


def test_compressed_answer_is_not_continued(server):
    def cut_compressed(handler):
        content = gzip.compress(os.urandom(100_000))
        handler.head(Content_Length=len(content), Content_Encoding="gzip")
        handler.wfile.write(content[:50_000])

    server.answers = [cut_compressed, whole]
    download.fetch(file_of(server))
    assert server.ranges == [None, None]


@pytest.mark.parametrize("answer", [endless, whole])
def test_answer_of_too_many_bytes_is_stopped(
    answer, server, cache, monkeypatch
):
    monkeypatch.setattr(archive, "MAX_BYTES", 100_000)
    server.answers = [answer]
    message = (
        f"The answer of {server.url}/{NAME} must have at most 100,000 bytes. "
        "Received: "
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        download.fetch(file_of(server))
    assert names(cache) == []
    assert len(server.requests) == 1


# Without a server.


def test_refused_connection_is_told_at_once(cache, monkeypatch):
    monkeypatch.setattr(http_file, "BACKOFF", 60)
    file = file_at_nobody()
    start = time.monotonic()
    with pytest.raises(download.DownloadError) as raised:
        download.fetch(file)
    assert time.monotonic() - start < 30
    message = str(raised.value)
    assert message.startswith(f"{file.url} cannot be downloaded: ")
    assert "Without the internet, put the file into" in message
    assert "KERAS_SQUEEZENET_MIRROR" in message
    assert names(cache) == []


def test_host_that_nobody_knows_is_told_at_once(cache, monkeypatch):
    monkeypatch.setattr(http_file, "BACKOFF", 60)

    def unknown(*_, **__):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    digest = weights_file.Digest("git", "0" * 40)
    file = weights_file.File.published(
        f"https://weights.invalid/{NAME}", digest
    )
    with pytest.raises(download.DownloadError) as raised:
        download.fetch(file)
    message = str(raised.value)
    assert f"https://weights.invalid/{NAME} cannot be downloaded" in message
    # Without the names of the libraries.
    assert "HTTPSConnection" not in message
    assert message.count(NAME) == 1
    assert "Name or service not known" in message
    assert "KERAS_SQUEEZENET_MIRROR" in message
    assert names(cache) == []


def test_host_that_does_not_answer_is_asked_once(monkeypatch):
    connections = []

    def connect(address, timeout, *_, **__):
        connections.append((address, timeout))
        raise TimeoutError("timed out")

    monkeypatch.setattr("urllib3.util.connection.create_connection", connect)
    file = weights_file.File.published(
        f"http://127.0.0.1:1/{NAME}", file_at_nobody().digest
    )
    with pytest.raises(download.DownloadError, match="timed out"):
        download.fetch(file)
    assert connections == [(("127.0.0.1", 1), 10)]


def test_full_disk_is_told_as_it_is(server, cache, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left") as raised:
        download.fetch(file_of(server))
    assert not isinstance(raised.value, download.DownloadError)
    assert names(cache) == []


# Interrupts and concurrency.


@pytest.mark.usefixtures("default_handlers")
def test_interrupt_leaves_what_there_is(server, cache):
    def interrupt(handler):
        cut(handler)
        os.kill(os.getpid(), signal.SIGINT)
        handler.server.go_on.wait()

    put(cache, b"other", name="other.h5")
    server.answers = [interrupt, rest]
    with pytest.raises(KeyboardInterrupt):
        download.fetch(file_of(server))
    assert names(cache) in (["other.h5"], ["other.h5", PART])
    server.answers = [rest if PART in names(cache) else whole]
    download.fetch(file_of(server))
    assert names(cache) == ["other.h5", NAME]


def test_several_may_fetch_a_file_at_once(server, cache):
    halfway = threading.Barrier(4)

    def wait_for_the_others(handler):
        cut(handler)
        halfway.wait(10)
        handler.wfile.write(CONTENT[HALF:])

    server.answers = [wait_for_the_others]
    file = file_of(server)
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        found = list(pool.map(download.fetch, [file] * 4))
    assert found == [str(cache / NAME)] * 4
    assert (cache / NAME).read_bytes() == CONTENT
    assert names(cache) == [NAME]


def test_partial_file_is_never_read(server, cache):
    server.answers = [wait_halfway, whole]
    file = file_of(server)
    with concurrent.futures.ThreadPoolExecutor() as pool:
        other = pool.submit(download.fetch, file)
        assert server.halfway.wait(10)
        assert NAME not in names(cache)
        assert not download.is_available(file)
        download.fetch(file)
        server.go_on.set()
        other.result()
    assert (cache / NAME).read_bytes() == CONTENT
    assert names(cache) == [NAME]
    assert len(server.requests) == 2


# Files of the package.


def test_file_of_the_package_needs_no_download(tmp_path, monkeypatch, cache):
    folder = tmp_path / "weights"
    put(folder, CONTENT)
    monkeypatch.setattr(
        download, "PACKAGE_FOLDERS", (tmp_path / "absent", folder)
    )
    file = weights_file.File(NAME, file_at_nobody().digest)
    assert download.is_available(file)
    assert download.fetch(file) == str(folder / NAME)
    assert download.read(file) == CONTENT
    assert names(cache) == []


@pytest.mark.parametrize("content", [None, b"changed"])
def test_missing_file_of_the_package_is_told(content, tmp_path, monkeypatch):
    monkeypatch.setattr(download, "PACKAGE_FOLDERS", (tmp_path,))
    if content:
        put(tmp_path, content)
    file = weights_file.File(NAME, file_at_nobody().digest)
    assert not download.is_available(file)
    with pytest.raises(FileNotFoundError, match=f"{NAME}.*package again"):
        download.fetch(file)


# Mirrors.


def test_mirror_may_be_a_folder(mirror, cache, capsys):
    put(mirror, CONTENT)
    put(mirror, b"other", name="other.h5")
    assert download.fetch(file_at_nobody()) == str(cache / NAME)
    assert (cache / NAME).read_bytes() == CONTENT
    assert names(cache) == [NAME]
    assert names(mirror) == ["other.h5", NAME]
    assert capsys.readouterr() == ("", "")


def test_mirror_may_be_in_the_home_folder(mirror, cache, monkeypatch):
    put(mirror, CONTENT)
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(mirror.parent))
    monkeypatch.setenv("KERAS_SQUEEZENET_MIRROR", "~/mirror")
    download.fetch(file_at_nobody())
    assert names(cache) == [NAME]


def test_mirror_without_the_file_is_told(mirror, cache):
    put(mirror, CONTENT, name="other.h5")
    message = (
        f"KERAS_SQUEEZENET_MIRROR={mirror} must be a folder that has the file "
        f"{NAME}, or the address of such a folder. There is no such file."
    )
    with pytest.raises(download.DownloadError, match=re.escape(message)):
        download.fetch(file_at_nobody())
    assert names(cache) == []


def test_wrong_content_of_a_mirror_changes_nothing(mirror, cache):
    put(mirror, b"old")
    put(cache, b"older")
    with pytest.raises(ValueError, match=f"mirror.{NAME} .*{OLD_SHA256}"):
        download.fetch(file_at_nobody())
    assert names(cache) == [NAME]
    assert (cache / NAME).read_bytes() == b"older"
    assert (mirror / NAME).read_bytes() == b"old"


def test_mirrored_file_of_too_many_bytes_is_refused(mirror, cache, monkeypatch):
    monkeypatch.setattr(archive, "MAX_BYTES", 100_000)
    put(mirror, CONTENT)
    with pytest.raises(ValueError, match="at most 100,000 bytes"):
        download.fetch(file_at_nobody())
    assert names(cache) == []


@pytest.mark.parametrize("slash", ["", "/"])
def test_mirror_may_be_an_address(slash, server, cache, monkeypatch):
    monkeypatch.setenv(
        "KERAS_SQUEEZENET_MIRROR", f"{server.url}/squeezenet{slash}"
    )
    download.fetch(file_at_nobody())
    assert (cache / NAME).read_bytes() == CONTENT
    assert server.requests == [f"/squeezenet/{NAME}"]


def test_error_of_a_mirror_names_its_address(server, monkeypatch):
    monkeypatch.setenv("KERAS_SQUEEZENET_MIRROR", f"{server.url}/squeezenet")
    server.answers = [status(404)]
    file = file_at_nobody()
    with pytest.raises(download.DownloadError) as raised:
        download.fetch(file)
    message = str(raised.value)
    assert f"{server.url}/squeezenet/{NAME} cannot be downloaded" in message
    assert file.url not in message


def test_cached_file_needs_no_mirror(mirror, cache):
    put(cache, CONTENT)
    assert download.fetch(file_at_nobody()) == str(cache / NAME)
