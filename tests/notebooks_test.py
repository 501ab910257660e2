import json
import os
import pathlib
import re
import sys

import nbclient
import nbformat
import pytest

ROOT = pathlib.Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "colab").glob("*.ipynb"))
BADGE = "https://colab.research.google.com/github/{}/blob/main/colab/{}"
REPOSITORY = "keras-squeezenet/keras_squeezenet"
# Of the machines that notebooks are written and run on.
ABSOLUTE_PATH = re.compile(
    r"(?<![\w.:/])/(home|mnt|opt|root|srv|tmp|usr|var|work|Users)\b"
)
# Python runs it at its start: in the kernel, and in what the kernel starts.
NO_NETWORK = """
import socket

LOOPBACK = ("127.0.0.1", "::1", "localhost")


def only_loopback(function, host_of):
    def guarded(*arguments, **keywords):
        host = host_of(arguments)
        if host is not None and host not in LOOPBACK:
            raise OSError(f"the test has no network. Received: {host}")
        return function(*arguments, **keywords)

    return guarded


def host_of_connection(arguments):
    is_local = arguments[0].family == getattr(socket, "AF_UNIX", None)
    return None if is_local else arguments[1][0]


for name in ("connect", "connect_ex"):
    method = getattr(socket.socket, name)
    setattr(socket.socket, name, only_loopback(method, host_of_connection))
socket.getaddrinfo = only_loopback(
    socket.getaddrinfo, lambda arguments: arguments[0]
)
"""

every_notebook = pytest.mark.parametrize(
    "path", NOTEBOOKS, ids=[path.stem for path in NOTEBOOKS]
)


@pytest.fixture
def execute(tmp_path):
    """Returns a function that runs a notebook quickly, without a network."""
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    (hooks / "sitecustomize.py").write_text(NO_NETWORK)
    folder = tmp_path / "run"
    folder.mkdir()
    closed = "http://127.0.0.1:9"
    environment = {
        **os.environ,
        "HTTP_PROXY": closed,
        "HTTPS_PROXY": closed,
        "KERAS_SQUEEZENET_OFFLINE": "1",
        "KERAS_SQUEEZENET_QUICK": "1",
        "PATH": os.pathsep.join(
            [os.path.dirname(sys.executable), os.environ["PATH"]]
        ),
        "PYTHONPATH": os.pathsep.join([str(hooks), str(ROOT)]),
    }
    for name in ("DATA", "DATA_DIR", "PRECISION", "WEIGHTS"):
        environment.pop(f"KERAS_SQUEEZENET_{name}", None)

    def execute(notebook):
        client = nbclient.NotebookClient(
            notebook,
            timeout=1800,
            kernel_name="python3",
            resources={"metadata": {"path": str(folder)}},
        )
        return client.execute(env=environment)

    return execute


def read(path):
    return nbformat.read(path, as_version=4)


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def texts(notebook):
    """Yields what one reads in a notebook: all but the pictures."""
    for cell in notebook.cells:
        yield cell.source
        for output in cell.get("outputs", ()):
            yield output.get("text", "")
            for kind, content in output.get("data", {}).items():
                if not kind.startswith("image/"):
                    yield json.dumps(content)


def test_there_are_notebooks():
    assert {"classify", "compress", "finetune"} <= {
        path.stem for path in NOTEBOOKS
    }


@every_notebook
def test_badge_opens_the_notebook_itself(path):
    first = read(path).cells[0]
    assert first.cell_type == "markdown"
    assert f"({BADGE.format(REPOSITORY, path.name)})" in first.source


@every_notebook
def test_a_text_precedes_every_code_cell(path):
    cells = read(path).cells
    for before, cell in zip(cells, cells[1:]):
        if cell.cell_type == "code":
            assert before.cell_type == "markdown", cell.source
            assert before.source.strip(), cell.source


@every_notebook
def test_outputs_of_a_run_from_top_to_bottom_are_kept(path):
    cells = code_cells(read(path))
    counts = [cell.execution_count for cell in cells]
    assert counts == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell.outputs]
    assert any("image/png" in output.get("data", {}) for output in outputs)
    assert not any(
        output.output_type == "error" or output.get("name") == "stderr"
        for output in outputs
    )
    assert path.stat().st_size < 400_000


@every_notebook
def test_nothing_tells_of_the_machine_it_was_run_on(path):
    for text in texts(read(path)):
        assert not ABSOLUTE_PATH.search(text), text


@pytest.mark.slow
@every_notebook
def test_notebook_runs_without_a_network(path, execute):
    executed = execute(read(path))
    shown = "\n".join(texts(executed))
    # A command that fails does not stop a notebook.
    assert "Traceback" not in shown
    assert "command not found" not in shown
    assert "keras-squeezenet: error" not in shown


@pytest.mark.slow
def test_a_notebook_under_test_has_no_network(execute):
    code = "import socket\nsocket.create_connection(('192.0.2.1', 80))"
    cell = nbformat.v4.new_code_cell(code)
    expected = "the test has no network. Received: 192.0.2.1"
    with pytest.raises(nbclient.exceptions.CellExecutionError, match=expected):
        execute(nbformat.v4.new_notebook(cells=[cell]))
