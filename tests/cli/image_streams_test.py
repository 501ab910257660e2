"""Images from the standard input, and from a server that fails in every way."""

import contextlib
import functools
import http.server
import io
import json
import sys
import threading

import numpy as np
import pytest
from PIL import Image

from keras_squeezenet import classifier
from keras_squeezenet.cli import image_streams
from keras_squeezenet.cli import predict
from keras_squeezenet.utils import archive
from keras_squeezenet.utils import http_file

LEVELS = 10


def encode(level):
    """Return a PNG file of one level of gray."""
    file = io.BytesIO()
    Image.fromarray(np.full((4, 4, 3), level, "uint8")).save(file, "PNG")
    return file.getvalue()


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.paths.append(self.path)
        # The client may have given up.
        with contextlib.suppress(ConnectionError):
            ANSWERS[self.path.partition("?")[0]](self)

    def send(self, content, status=200, length=None, **headers):
        self.send_response(status)
        headers = {"Content-Length": length or len(content), **headers}
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass


def trickle(handler):
    handler.send(b"", length=1000)
    while not handler.server.is_over.wait(0.02):
        handler.wfile.write(b"a")


def endless(handler):
    handler.send_response(200)
    handler.end_headers()
    while True:
        handler.wfile.write(bytes(1000))


ANSWERS = {
    "/3.png": lambda handler: handler.send(encode(3)),
    "/moved": lambda handler: handler.send(b"", 302, Location="/3.png"),
    "/loop": lambda handler: handler.send(b"", 302, Location="/loop"),
    "/to_file": lambda handler: handler.send(
        b"", 302, Location="file:///etc/passwd"
    ),
    "/page": lambda handler: handler.send(b"<html>", Content_Type="image/png"),
    "/empty": lambda handler: handler.send(b""),
    "/missing": lambda handler: handler.send(b"", 404),
    "/large": lambda handler: handler.send(b"", length=10**9),
    "/endless": endless,
    "/slow": trickle,
    "/cut": lambda handler: handler.send(encode(3)[:9], length=100),
    "/closed": lambda handler: None,
}
FAILURES = {
    "/loop": "Exceeded 30 redirects",
    "/to_file": "No connection adapters were found for 'file:///etc/passwd'",
    "/page": "it is not an image",
    "/empty": "it is empty",
    "/missing": "404 Client Error: Not Found",
    "/large": "must have at most 100,000 bytes. Received: 1,000,000,000",
    "/endless": "must have at most 100,000 bytes",
    "/slow": "it takes more than 0.3 seconds",
    "/cut": "IncompleteRead(9 bytes read, 91 more expected)",
    "/closed": "without response",
}


@pytest.fixture
def server(monkeypatch):
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.setenv(name, "*")
    monkeypatch.setattr(http_file, "BACKOFF", 0)
    monkeypatch.setattr(archive, "MAX_BYTES", 100_000)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads, server.block_on_close = True, False
    server.paths, server.is_over = [], threading.Event()
    with server:
        # Polled for the shutdown.
        threading.Thread(target=server.serve_forever, args=(0.01,)).start()
        yield server
        server.is_over.set()
        server.shutdown()


@pytest.fixture
def url(server):
    return f"http://127.0.0.1:{server.server_port}"


@pytest.fixture
def run(run_command, monkeypatch):
    """Return a function that runs predict with a network of gray levels."""

    def find_level(x):
        return np.eye(LEVELS)[np.round(x[:, 0, 0, 2] + 123.68).astype(int)]

    network = classifier.Classifier("stub", find_level, 4)
    monkeypatch.setattr(classifier, "load", lambda *_: network)
    return functools.partial(run_command, predict)


def give(monkeypatch, content, is_terminal=False):
    standard_input = io.TextIOWrapper(io.BytesIO(content))
    standard_input.isatty = lambda: is_terminal
    monkeypatch.setattr(sys, "stdin", standard_input)


def best(out):
    return {
        each["file"]: each["predictions"][0]["index"]
        for each in json.loads(out)
    }


def test_standard_input_is_an_image(run, monkeypatch):
    give(monkeypatch, encode(7))
    status, out, err = run("-", "--json")
    assert (status, best(out), err) == (0, {"-": 7}, "")


@pytest.mark.parametrize(
    "content, is_terminal, reason",
    [
        (b"", False, "it is empty"),
        (b"text", False, "it is not an image"),
        (bytes(2000), False, "the standard input must have at most 1,000 byt"),
        (b"", True, "predict - < photo.jpg`. Received: a terminal"),
    ],
)
def test_standard_input_that_is_not_an_image_is_skipped(
    content, is_terminal, reason, run, monkeypatch
):
    monkeypatch.setattr(archive, "MAX_BYTES", 1000)
    give(monkeypatch, content, is_terminal)
    status, out, err = run("-", "--json")
    assert (status, json.loads(out)) == (1, [])
    assert err.startswith("keras-squeezenet predict: skipped, cannot be read")
    assert reason in err


def test_addresses_are_read_in_their_order(run, url, server, monkeypatch):
    give(monkeypatch, encode(7))
    names = [f"{url}/moved", "-", f"{url}/3.png?a=[1]*&b=\u202e"]
    status, out, err = run(*names, names[0], "--json")
    assert (status, err) == (0, "")
    assert list(best(out).items()) == [(names[0], 3), ("-", 7), (names[2], 3)]
    assert len(server.paths) == 3
    _, out, _ = run(names[2])
    assert out.splitlines()[0] == f"{url}/3.png?a=[1]*&b=\\u202e"


@pytest.mark.parametrize("path, reason", FAILURES.items())
def test_address_without_an_image_is_skipped(
    path, reason, run, url, server, monkeypatch
):
    if path == "/slow":
        monkeypatch.setattr(image_streams, "SECONDS", 0.3)
    status, out, err = run(url + path, f"{url}/3.png", "--json")
    assert (status, best(out)) == (1, {f"{url}/3.png": 3})
    assert f"cannot be read: {url}{path}: " in err
    assert reason in err
    assert err.count("\n") == 1


def test_server_that_does_not_exist_is_named(run, server, url):
    server.server_close()
    status, _, err = run(f"{url}/3.png", "http://[/3.png", "--json")
    assert status == 1
    assert "Failed to establish a new connection" in err
    assert "http://[/3.png: " in err


@pytest.mark.parametrize(
    "address",
    ["file:///etc/passwd", "FTP://a/b.jpg", "hf://a/b.jpg", "data://\x1b,a"],
)
def test_other_addresses_are_refused_before_anything_is_loaded(
    address, run, monkeypatch
):
    monkeypatch.setattr(classifier, "load", None)
    with pytest.raises(ValueError, match="must begin with http:// or https://"):
        run("a.jpg", address)
