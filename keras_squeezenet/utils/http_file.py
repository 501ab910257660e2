"""Downloads over HTTP that are resumed, retried, and bounded in time."""

import logging
import queue
import threading
import time
from collections.abc import Callable
from typing import Any
from typing import BinaryIO

import requests
import urllib3

from keras_squeezenet.utils import archive

# Seconds to wait for a connection.
CONNECT_SECONDS = 10
# Seconds in which a server must answer, and then send this many bytes.
PERIOD = 30
PERIOD_BYTES = 30_000
# Seconds for the whole download.
TOTAL_SECONDS = 1800
ATTEMPTS = 4
# Seconds before the second attempt, doubled for each further one.
BACKOFF = 1.0
# The longest wait in seconds that a server may ask for.
MAX_WAIT = 120
CHUNK = 2**10
# Answers after which a retry may help: too many requests, server errors.
REFUSED_FOR_NOW = (429, *range(500, 600))
RANGE_NOT_SATISFIABLE = 416

logger = logging.getLogger(__name__)


class NoBar:
    """A progress bar that is not shown."""

    def __init__(self, total: int | None):
        """Begin with the number of bytes, `None` if it is unknown."""

    def update(self, received: int, finalize: bool) -> None:
        """Show the number of bytes received."""


def download(
    url: str,
    out: BinaryIO,
    seconds: float | None = None,
    make_bar: Callable[[int | None], Any] = NoBar,
) -> None:
    """Append the rest of the file at an address to an open file.

    `out` has the beginning of the file, such as a stopped download. After an
    error it has what was received, from which another call resumes.

    Args:
        url: an `http` or `https` address.
        out: a binary file that is open for reading and writing.
        seconds: the time for all attempts. Defaults to `TOTAL_SECONDS`.
        make_bar: what `NoBar` and `keras.utils.Progbar` are.

    Raises:
        requests.RequestException: if it cannot be downloaded, at once or after
            some attempts.
        ValueError: if it has more than `archive.MAX_BYTES`.
    """
    transfer = _Transfer(url, out, seconds or TOTAL_SECONDS, make_bar)
    for attempt in range(ATTEMPTS):
        try:
            return transfer.run()
        except requests.RequestException as error:
            wait = _seconds_to_wait(error, attempt)
            is_last = attempt + 1 == ATTEMPTS
            if (
                wait is None
                or is_last
                or time.monotonic() + wait > transfer.end
            ):
                raise
            logger.info("%s; trying again in %g s", error, wait)
            time.sleep(wait)


def reason(error: requests.RequestException) -> str:
    """Return why a download failed, without names of classes."""
    cause = getattr(next(iter(error.args), None), "reason", None)
    return str(cause).partition("): ")[2] or str(cause or error)


class GivenUp(requests.Timeout):
    """A server does not answer in time, and a retry would not help."""


def _seconds_to_wait(error, attempt):
    """Return the seconds until a retry; `None` if a retry would not help."""
    wait = BACKOFF * 2**attempt
    if isinstance(error, requests.HTTPError):
        if error.response.status_code == RANGE_NOT_SATISFIABLE:
            return 0
        if error.response.status_code not in REFUSED_FOR_NOW:
            return None
        asked = _retry_after(error.response)
        if asked is not None:
            return asked if asked <= MAX_WAIT else None
    final = (
        GivenUp,
        requests.ConnectTimeout,
        requests.TooManyRedirects,
        # Such as an address or a redirection without a server.
        ValueError,
    )
    # Without the internet a retry fails too.
    cause = getattr(next(iter(error.args), None), "reason", None)
    is_offline = isinstance(cause, urllib3.exceptions.NewConnectionError)
    return None if is_offline or isinstance(error, final) else wait


def _retry_after(response):
    """Return the seconds that a server asks to wait, or `None`."""
    text = response.headers.get("Retry-After")
    try:
        return text and urllib3.Retry().parse_retry_after(text)
    except urllib3.exceptions.InvalidHeader:
        return None


class _Transfer:
    """A file that is received by one or more requests.

    They are made in threads: a server that sends a byte from time to time can
    make a socket wait forever in spite of its timeout.
    """

    def __init__(self, url, out, seconds, make_bar):
        self.url = url
        self.out = out
        self.seconds = seconds
        self.make_bar = make_bar
        self.end = time.monotonic() + seconds
        self.etag = None

    def run(self):
        """Request the rest of the file, and append it."""
        received, is_over = queue.Queue(16), threading.Event()
        arguments = received, is_over, self._headers(self.out.seek(0, 2))
        threading.Thread(
            target=self._receive, args=arguments, daemon=True
        ).start()
        try:
            self._write(self._items(received))
        finally:
            is_over.set()
            # A thread that waits for room in the queue continues, and ends.
            while not received.empty():
                received.get()

    def _headers(self, offset):
        # Without compression, `Content-Length` is the length of the file.
        headers = {"Accept-Encoding": "identity"}
        if offset:
            headers["Range"] = f"bytes={offset}-"
            if self.etag:
                headers["If-Range"] = self.etag
        return headers

    def _receive(self, received, is_over, headers):
        # `_items` watches the time; this timeout only ends the thread.
        timeout = (CONNECT_SECONDS, 3 * PERIOD)
        try:
            with requests.get(
                self.url, stream=True, timeout=timeout, headers=headers
            ) as response:
                received.put(response)
                for chunk in response.iter_content(CHUNK):
                    if is_over.is_set():
                        return
                    received.put(chunk)
            received.put(None)
        except requests.RequestException as error:
            received.put(error)
        except Exception as error:
            received.put(requests.RequestException(str(error)))

    def _items(self, received):
        """Yield the response and its content; raise errors of the thread."""
        start, count, total = time.monotonic(), 0, 0
        while True:
            until = min(start + PERIOD, self.end)
            try:
                left = until - time.monotonic()
                item = received.get(timeout=max(0, left))
            except queue.Empty:
                item = b""
            if isinstance(item, Exception):
                raise item
            if item is None:
                return
            if isinstance(item, bytes):
                count += len(item)
                total += len(item)
            now = time.monotonic()
            if isinstance(item, requests.Response):
                start = now
            if now >= self.end:
                raise GivenUp(f"it takes more than {self.seconds:g} seconds")
            if now >= start + PERIOD:
                if not total:
                    raise GivenUp(f"timed out after {PERIOD:g} seconds")
                if count < PERIOD_BYTES:
                    raise requests.Timeout(
                        f"timed out: {count:,} bytes in {PERIOD:g} seconds, "
                        f"and at least {PERIOD_BYTES:,} are expected"
                    )
                start, count = now, 0
            if item != b"":
                yield item

    def _write(self, items):
        response = next(items)
        if not self._goes_on(response):
            self.out.seek(0)
            self.out.truncate()
        response.raise_for_status()
        self.etag = _strong(response.headers.get("ETag", ""))
        # Some servers compress in spite of the header.
        is_encoded = "Content-Encoding" in response.headers
        length = response.headers.get("Content-Length", "")
        is_known = length.isdigit() and not is_encoded
        offset = self.out.tell()
        total = offset + int(length) if is_known else None
        archive.require_size(total or 0, f"The answer of {self.url}")
        bar = self.make_bar(total)
        bar.update(offset, finalize=False)
        try:
            for chunk in items:
                self.out.write(chunk)
                size = self.out.tell()
                archive.require_size(size, f"The answer of {self.url}")
                bar.update(size, finalize=False)
        except BaseException as error:
            # No download can resume from these bytes.
            if is_encoded or isinstance(error, ValueError):
                self.out.truncate(0)
            raise
        bar.update(self.out.tell(), finalize=True)

    def _goes_on(self, response):
        """Return whether the content received so far is kept."""
        status, offset = response.status_code, self.out.tell()
        if status == requests.codes.partial_content:
            found = response.headers.get("Content-Range", "")
            if offset and found.startswith(f"bytes {offset}-"):
                return True
            self.out.truncate(0)
            raise requests.RequestException(
                f"the range must start at {offset}. Received: {found}"
            )
        # The response to an error has nothing of the file.
        return status >= 400 and status != RANGE_NOT_SATISFIABLE


def _strong(etag):
    return None if etag.startswith("W/") else etag or None
