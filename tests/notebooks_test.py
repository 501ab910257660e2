import importlib.util
import json
import os
import pathlib
import re
import shutil
import sys

import nbclient
import nbformat
import pytest
from matplotlib import cbook

from keras_squeezenet import SqueezeNet
from keras_squeezenet import SqueezeNetConfig

ROOT = pathlib.Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "colab").glob("*.ipynb"))
BADGE = "https://colab.research.google.com/github/{}/blob/main/colab/{}"
REPOSITORY = "keras-squeezenet/keras_squeezenet"
# Paths of the machines on which notebooks are written and run.
ABSOLUTE_PATH = re.compile(
    r"(?<![\w.:/])/(home|mnt|opt|root|srv|tmp|usr|var|work|Users)\b"
)
# Settings with which a notebook runs in seconds, without a network.
SMALL = {
    "classify": {"WEIGHTS": "cifar10"},
    "compress": {
        "DATA": "mnist5k",
        "MAX_STEPS": 1,
        "MODEL": "small.keras",
        "TARGET_BYTES": 30000,
    },
    "design_space": {
        "DATA": "mnist5k",
        "FILTERS": 16,
        "MAX_STEPS": 1,
        "SQUEEZE_RATIOS": [0.125],
        "SHARES_OF_3X3": [0.5],
    },
    "finetune": {
        "DATA": "mnist5k",
        "WEIGHTS": "cifar10",
        "IMAGE_SIZE": 28,
        "EPOCHS": 1,
        "MAX_STEPS": 2,
    },
}
# Python runs it when it starts, in the kernel and in its subprocesses.
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


def load_runner():
    spec = importlib.util.spec_from_file_location(
        "colab_run", ROOT / "colab" / "run.py"
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


runner = load_runner()


@pytest.fixture
def execute(tmp_path):
    """Return a function that runs a notebook without a network."""
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    (hooks / "sitecustomize.py").write_text(NO_NETWORK)
    folder = tmp_path / "run"
    (folder / "photos").mkdir(parents=True)
    photo = cbook.get_sample_data("grace_hopper.jpg", asfileobj=False)
    shutil.copy(photo, folder / "photos")
    config = SqueezeNetConfig(base_e=32, incr_e=32, SR=0.25)
    small = SqueezeNet(
        weights=None,
        input_shape=(28, 28, 3),
        classes=10,
        config=config.for_small_images(),
    )
    small.save(folder / "small.keras")
    closed = "http://127.0.0.1:9"
    environment = {
        **os.environ,
        "HTTP_PROXY": closed,
        "HTTPS_PROXY": closed,
        "PATH": os.pathsep.join(
            [os.path.dirname(sys.executable), os.environ["PATH"]]
        ),
        "PYTHONPATH": os.pathsep.join([str(hooks), str(ROOT)]),
    }

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
    """Yield the text of a notebook: all but the images."""
    for cell in notebook.cells:
        yield cell.source
        for output in cell.get("outputs", ()):
            yield output.get("text", "")
            for kind, content in output.get("data", {}).items():
                if not kind.startswith("image/"):
                    yield json.dumps(content)


def test_there_are_notebooks():
    assert set(SMALL) == {path.stem for path in NOTEBOOKS}


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
def test_outputs_of_a_whole_run_are_kept(path):
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
def test_no_path_of_the_machine_is_kept(path):
    for text in texts(read(path)):
        assert not ABSOLUTE_PATH.search(text), text


@every_notebook
def test_parameters_change_form_fields_only(path):
    notebook = read(path)
    values = {**SMALL[path.stem], "PACKAGE": "one.whl"}
    changed = runner.with_parameters(notebook, values)
    source = "\n".join(cell.source for cell in changed.cells)
    for name, value in values.items():
        assert re.search(
            rf"^{name} = {re.escape(repr(value))}  # @param", source, re.M
        )
    for before, after in zip(notebook.cells, changed.cells):
        assert before.source.count("\n") == after.source.count("\n")
        if "parameters" not in before.metadata.get("tags", ()):
            assert before == after


def test_unknown_parameter_is_refused():
    with pytest.raises(ValueError, match="form field of the name BATCH"):
        runner.with_parameters(read(NOTEBOOKS[0]), {"BATCH": 1})


@pytest.mark.end_to_end
@pytest.mark.slow
@every_notebook
def test_notebook_runs_without_a_network(path, execute):
    notebook = runner.with_parameters(read(path), SMALL[path.stem])
    executed = execute(notebook)
    shown = "\n".join(texts(executed))
    # A command that fails does not stop a notebook.
    assert "Traceback" not in shown
    assert "command not found" not in shown
    assert "keras-squeezenet: error" not in shown


@pytest.mark.end_to_end
@pytest.mark.slow
def test_a_notebook_under_test_has_no_network(execute):
    code = "import socket\nsocket.create_connection(('192.0.2.1', 80))"
    cell = nbformat.v4.new_code_cell(code)
    expected = "the test has no network. Received: 192.0.2.1"
    with pytest.raises(nbclient.exceptions.CellExecutionError, match=expected):
        execute(nbformat.v4.new_notebook(cells=[cell]))
