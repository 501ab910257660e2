"""Weights in repositories of the Hugging Face hub: `hf://owner/name`.

They are kept in the cache of `huggingface_hub`, and only files of `SUFFIXES`
are loaded: nothing in them is executed.
"""

import dataclasses
import functools
import logging
import os
import pathlib
import re
from typing import TYPE_CHECKING
from typing import Any

from keras_squeezenet.utils import archive
from keras_squeezenet.utils import extras
from keras_squeezenet.utils.text import one_line
from keras_squeezenet.utils.text import shortened

if TYPE_CHECKING:
    import huggingface_hub

SCHEME = "hf://"
FORM = "hf://owner/name[/file][@revision]"
# Without a file in the address, the first of these that is there is loaded.
SUFFIXES = (".sqz", ".keras", ".weights.h5", ".npz", ".h5")
DEFAULT_NAME = "model"
SECONDS = 10
TOKEN = "set HF_TOKEN to a token of an account that may, or run `hf auth login`"

# The names that the hub gives to owners and repositories.
NAME = r"\w((?!--|\.\.)[\w.-])*(?<![.-])"
ADDRESS = re.compile(
    rf"hf://(?P<repository>{NAME}/{NAME})(/(?P<file>[^@]+))?"
    r"(@(?P<revision>[^@\s]+))?",
    re.ASCII,
)
COMMIT = re.compile("[0-9a-f]{40}")

logger = logging.getLogger(__name__)


class HubError(OSError):
    """The hub refuses, cannot be reached, or does not have what is asked."""


@dataclasses.dataclass(frozen=True)
class Address:
    """An address on the hub, `hf://owner/name[/file][@revision]`.

    Args:
        repository: `"owner/name"`.
        file: the path of a file in it, or `None`.
        revision: a branch, tag or commit; `None` for the main branch.
    """

    repository: str
    file: str | None = None
    revision: str | None = None

    @classmethod
    def parse(cls, text: str) -> "Address":
        """Parse an address; raise a `ValueError` for another text."""
        found = ADDRESS.fullmatch(text)
        file = found["file"] if found else None
        parts = file.split("/") if file else ()
        if found is None or {"", ".", ".."} & {*parts}:
            raise ValueError(
                f"an address on the hub must be {FORM}. Received: "
                f"{shortened(one_line(text))}"
            )
        return cls(**found.groupdict())

    def __str__(self):
        file = f"/{self.file}" if self.file else ""
        revision = f"@{self.revision}" if self.revision else ""
        return f"{SCHEME}{self.repository}{file}{revision}"


@dataclasses.dataclass(frozen=True)
class Located:
    """Where weights are on this machine.

    Args:
        path: the path of their file, or the name of pretrained weights.
        name: what reports and messages call them: what was passed, or the
            address on the hub with the file and the commit that were loaded.
    """

    path: str
    name: str


def is_address(weights: Any) -> bool:
    """Return whether an argument is an address on the hub."""
    return isinstance(weights, str) and weights.startswith(SCHEME)


def locate(weights: "str | os.PathLike") -> Located:
    """Return where weights are, after downloading those of the hub.

    The path of a file and a name of `registry.NAMES` stay as they are, but for
    `~`. The hub is asked for the commit of a branch each time; without the
    internet, the file that was last downloaded is taken.

    Raises:
        HubError: if they cannot be downloaded.
        ValueError: if the address cannot be parsed, its file has a format that
            is not loaded from the hub, or the file is too large.
    """
    if not is_address(weights):
        name = os.fspath(weights)
        return Located(os.path.expanduser(name), name)
    address = Address.parse(str(weights))
    if address.file is not None:
        _require_readable(address)
    path, file = _fetch(address)
    # The cache has `snapshots/COMMIT/FILE` for each commit.
    commit = pathlib.Path(path).parts[-1 - len(file.split("/"))]
    found = str(Address(address.repository, file, commit))
    _say_loaded(found)
    return Located(path, found)


def local(weights: Any) -> Any:
    """Return the path of what an address on the hub names.

    Anything else, such as a model or `None`, is returned unchanged.
    """
    return locate(weights).path if is_address(weights) else weights


def api() -> "huggingface_hub.HfApi":
    """Return the client of the hub."""
    with extras.named():
        import huggingface_hub

    return huggingface_hub.HfApi()


def explain(address: Address, error: Exception, offline: str) -> HubError:
    """Return the error for the user that an error of the library means.

    `offline` says what to do where the hub cannot be reached.
    """
    from huggingface_hub import errors

    endpoint = api().endpoint
    status = getattr(_response(error), "status_code", None)
    if isinstance(error, errors.GatedRepoError):
        reason = (
            "is for accounts that have accepted its terms: accept them at "
            f"{endpoint}/{address.repository}, and {TOKEN}"
        )
    elif isinstance(error, errors.RevisionNotFoundError):
        reason = (
            f"has no revision {address.revision}: name a branch, a tag or a "
            f"commit, as in {FORM}"
        )
    elif isinstance(error, errors.RepositoryNotFoundError):
        reason = (
            "is not a repository there, or is private: check the name, and "
            f"for a private one {TOKEN}"
        )
    elif isinstance(error, errors.LocalTokenNotFoundError):
        reason = f"needs a token: {TOKEN}"
    elif status in (401, 403):
        reason = f"may not be used with this token, if it is valid: {TOKEN}"
    elif status is not None:
        reason = f"cannot be used: {_first_line(error)}. Try again later"
    else:
        reason = f"cannot be reached: {_first_line(error)}. {offline}"
    return HubError(f"{address} {reason}.")


def _offline():
    from huggingface_hub import constants

    return (
        "Connect to the internet and unset HF_HUB_OFFLINE, or download the "
        "file on another machine and pass its path; of what was loaded before, "
        f"{constants.HF_HUB_CACHE} has nothing that fits"
    )


def _first_line(error):
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return one_line(lines[0]).rstrip(".")


def _response(error):
    return getattr(error, "response", None)


def _fetch(address):
    """Return the path of a file in the cache, and its path in the hub."""
    if address.file and COMMIT.fullmatch(address.revision or ""):
        found = _cached(address)
        if found is not None:
            return found
    try:
        return _download(address, api())
    # Each version of the library has errors of another HTTP client.
    except Exception as error:
        if type(error) in (ValueError, HubError, ModuleNotFoundError):
            raise
        status = getattr(_response(error), "status_code", 500)
        found = _cached(address) if status >= 500 else None
        if found is None:
            raise explain(address, error, _offline()) from error
        return found


def _download(address, client):
    found = client.model_info(
        address.repository,
        revision=address.revision,
        files_metadata=True,
        timeout=SECONDS,
    )
    sizes = {file.rfilename: file.size for file in found.siblings or ()}
    file = choose(list(sizes), address)
    archive.require_size(sizes[file] or 0, f"{address}, {file},")
    import huggingface_hub
    from huggingface_hub import utils

    path = huggingface_hub.hf_hub_download(
        address.repository,
        file,
        revision=address.revision,
        tqdm_class=_bounded(utils.tqdm),
    )
    return path, file


def _bounded(progress_bar):
    """Return a progress bar that ends a download of too many bytes."""

    class Bounded(progress_bar):
        received = 0

        def update(self, n=1):
            self.received += n
            archive.require_size(self.received, "A file of the hub")
            return super().update(n)

    return Bounded


def _cached(address):
    """Return what `_fetch` does of an earlier download, or `None`."""
    import huggingface_hub

    names = [DEFAULT_NAME + suffix for suffix in SUFFIXES]
    for file in [address.file] if address.file else names:
        found = huggingface_hub.try_to_load_from_cache(
            address.repository, file, revision=address.revision
        )
        # A file that the hub said not to have is another object.
        if isinstance(found, str):
            return found, file
    return None


def choose(files: list[str], address: Address) -> str:
    """Return the file of a repository to load.

    It is that of the address, or else, of the files that are not in a folder,
    the first in the order of `SUFFIXES`; of several with that suffix, the one
    named `model`.

    Raises:
        HubError: if it is not there, or there are several; they are listed.
    """
    readable = [file for file in files if file.endswith(SUFFIXES)]
    if address.file is not None:
        if address.file in files:
            return address.file
        raise HubError(f"{address} is not there. {_listed(readable)}")
    for suffix in SUFFIXES:
        found = [
            file
            for file in readable
            if file.endswith(suffix) and "/" not in file
        ]
        if DEFAULT_NAME + suffix in found:
            return DEFAULT_NAME + suffix
        if len(found) == 1:
            return found[0]
        if found:
            break
    raise HubError(
        f"{address} must name a file, as in {FORM}. {_listed(readable)}"
    )


def _listed(readable):
    names = ", ".join(map(one_line, sorted(readable)[:10]))
    more = ", ..." if len(readable) > 10 else ""
    return (
        "The repository's files that can be loaded, which end with one of "
        f"{', '.join(SUFFIXES)}, are: {names or 'none'}{more}."
    )


def _require_readable(address):
    if not address.file.endswith(SUFFIXES):
        raise ValueError(
            "a file of the hub must end with one of "
            f"{', '.join(SUFFIXES)}, formats of which nothing is executed. "
            f"Received: {address}. A pickle, a SavedModel or another file "
            "that you trust can be downloaded first, and loaded by its path."
        )


@functools.cache
def _say_loaded(address: str) -> None:
    """Say once which commit was loaded."""
    logger.info("Loaded %s", address)
