import ast
import importlib.metadata
import os
import pathlib
import subprocess
import sys

import pytest

import keras_squeezenet

PACKAGE = pathlib.Path(keras_squeezenet.__file__).parent
ROOT = PACKAGE.parent
MODULES = sorted(PACKAGE.rglob("*.py"))
MODULE_IDS = [path.relative_to(PACKAGE).as_posix() for path in MODULES]
# What each part imports of the package besides itself: parts below it.
BELOW = {
    "__init__": {"utils"},
    "utils": set(),
    "architecture": {"utils"},
    "layers": {"architecture"},
    "graph": {"layers"},
    "flattening": {"graph", "metadata"},
    "imagenet": set(),
    "normalizations": {"imagenet"},
    "metadata": {"imagenet", "normalizations", "utils"},
    "codec": {"graph", "metadata", "normalizations", "utils"},
    "data": {"metadata", "normalizations", "utils"},
    "pretrained": {
        *("architecture", "codec", "imagenet", "metadata", "normalizations"),
        "utils",
    },
    "squeezenet": {"architecture", "imagenet", "pretrained", "utils"},
    "keras_file": {"graph", "pretrained", "utils"},
    "models": {
        *("architecture", "codec", "flattening", "graph", "inspection"),
        *("keras_file", "metadata", "pretrained", "squeezenet", "utils"),
    },
    "feature_extraction": {"graph", "metadata", "models", "utils"},
    "export": {
        *("architecture", "codec", "data", "flattening", "graph", "layers"),
        *("metadata", "normalizations", "utils"),
    },
    "inspection": {"codec", "export", "metadata", "pretrained", "utils"},
    "runtimes": {"export", "pretrained", "utils"},
    "classifier": {
        *("architecture", "data", "imagenet", "metadata", "models"),
        *("normalizations", "pretrained", "runtimes", "utils"),
    },
    "evaluation": {
        *("classifier", "data", "export", "feature_extraction", "flattening"),
        *("graph", "imagenet", "layers", "metadata", "models"),
        *("normalizations", "pretrained", "utils"),
    },
    "report": {"evaluation", "metadata", "normalizations", "utils"},
    "training": {
        *("architecture", "data", "evaluation", "imagenet", "metadata"),
        *("models", "pretrained", "report", "squeezenet", "utils"),
    },
    "exploration": {"architecture", "data", "squeezenet", "training", "utils"},
    "compression": {
        *("architecture", "codec", "data", "evaluation", "export"),
        *(
            "flattening",
            "graph",
            "keras_file",
            "layers",
            "metadata",
            "models",
            "packing",
            "report",
            "training",
            "utils",
        ),
    },
    "packing": {
        *("architecture", "classifier", "codec", "data", "evaluation"),
        *("flattening", "graph", "imagenet", "metadata", "models"),
        *("pretrained", "utils"),
    },
    "exporter": {
        *("architecture", "classifier", "codec", "data", "evaluation"),
        *("export", "graph", "imagenet", "metadata", "models"),
        *("normalizations", "packing", "utils"),
    },
}
# `runtimes` reads what the other modules of `export` write; these are above it.
EXPORTER = ("export/comparison.py", "export/exporter.py")
# They are the top, and may import everything.
TOP = ("cli", "__main__")
HEAVY = {
    "ai_edge_litert",
    "matplotlib",
    "mlxtend",
    "tensorflow_datasets",
    "tensorflow_model_optimization",
    "tf_keras",
}

every_module = pytest.mark.parametrize("path", MODULES, ids=MODULE_IDS)


def part_of(path):
    """Return `"data"` for data/tfds.py, `"graph"` for graph.py."""
    relative = path.relative_to(PACKAGE)
    if relative.as_posix() in EXPORTER:
        return "exporter"
    return relative.parts[0].removesuffix(".py")


def imports(path):
    """Yield the full name of everything that a module imports."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def loaded_by(code, after=""):
    """Return the modules that a fresh Python loads in `code`.

    Those that it has loaded `after` other code are not among them.
    """
    program = (
        f"import sys\n{after}\nbefore = set(sys.modules)\n{code}\n"
        "print(*(set(sys.modules) - before))"
    )
    result = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    return set(result.stdout.split())


def test_import_of_the_package_loads_no_framework():
    code = (
        "import keras_squeezenet\n"
        "assert 'SqueezeNet' in dir(keras_squeezenet)\n"
        "try:\n"
        "    keras_squeezenet.SqueezeNet9\n"
        "except AttributeError:\n"
        "    pass\n"
    )
    loaded = loaded_by(code)
    assert "keras_squeezenet" in loaded
    assert not loaded & {"keras", "tensorflow", "numpy", "absl"}


def test_import_of_the_commands_loads_no_framework():
    loaded = loaded_by("import keras_squeezenet.cli.main")
    assert "keras_squeezenet.cli.main" in loaded
    assert not loaded & {"keras", "numpy", "rich", "tensorflow"}


@pytest.mark.slow
def test_import_of_a_builder_loads_what_keras_loads():
    loaded = loaded_by(
        "from keras_squeezenet import SqueezeNet", after="import keras"
    )
    assert "keras_squeezenet.squeezenet" in loaded
    # Keras itself loads matplotlib where it is installed.
    assert not loaded & HEAVY


@pytest.mark.parametrize("name", keras_squeezenet.__all__)
def test_public_name_resolves(name):
    found = getattr(keras_squeezenet, name)
    assert found.__name__.rpartition(".")[2] == name
    assert found.__doc__


def test_public_names_are_listed():
    assert len(set(keras_squeezenet.__all__)) == len(keras_squeezenet.__all__)
    listed = dir(keras_squeezenet)
    assert listed == sorted(keras_squeezenet.__all__)


def test_star_import_gives_the_public_names():
    names = {}
    exec("from keras_squeezenet import *", names)
    assert {*keras_squeezenet.__all__} <= {*names}


@pytest.mark.parametrize("name", ["SqueezeNet9", "_modules", "codecs"])
def test_unknown_name_is_an_attribute_error(name):
    with pytest.raises(
        AttributeError, match=f"keras_squeezenet attribute {name}"
    ):
        getattr(keras_squeezenet, name)
    with pytest.raises(ImportError, match=name):
        exec(f"from keras_squeezenet import {name}")


def test_submodule_is_imported_where_it_is_named():
    loaded = loaded_by("from keras_squeezenet import architecture")
    assert "keras_squeezenet.architecture" in loaded
    assert "keras" not in loaded


def test_installed_version_is_that_of_the_package():
    try:
        installed = importlib.metadata.version("squeezenet-keras")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("the package is not installed")
    assert installed == keras_squeezenet.__version__


def test_setup_knows_the_name_and_the_version():
    pytest.importorskip("setuptools")
    result = subprocess.run(
        [sys.executable, "setup.py", "--name", "--version"],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    assert result.stdout.split() == [
        "squeezenet-keras",
        keras_squeezenet.__version__,
    ]


def test_every_folder_is_a_package():
    # `find_packages` leaves out those without.
    for path in MODULES:
        assert path.with_name("__init__.py").is_file(), path


def test_imports_go_downwards_only():
    used = {}
    for path in MODULES:
        part = part_of(path)
        if part not in TOP:
            used.setdefault(part, set()).update(
                name.split(".")[1]
                for name in imports(path)
                if name.startswith("keras_squeezenet.")
            )
    for part, parts in used.items():
        assert part in BELOW, f"{part} is new: say in BELOW what it imports"
        assert parts - {part} == BELOW[part], part
    assert set(used) == set(BELOW)


def test_the_time_of_day_decides_nothing():
    # A clock may be wrong, in 1970, or changed meanwhile.
    clocks = ("time.time(", "st_mtime", "getmtime", "datetime.now(")
    readers = [
        path.relative_to(PACKAGE).as_posix()
        for path in MODULES
        if any(clock in path.read_text(encoding="utf-8") for clock in clocks)
    ]
    # It tells since when a folder is in use.
    assert readers == ["utils/ownership.py"]


def test_parts_form_layers():
    ranks = {}
    while len(ranks) < len(BELOW):
        next_layer = [
            part
            for part, below in BELOW.items()
            if part not in ranks and below <= set(ranks)
        ]
        assert next_layer, f"a circle among {set(BELOW) - set(ranks)}"
        ranks.update(dict.fromkeys(next_layer, len(ranks)))


@pytest.mark.parametrize(
    "name",
    ["architecture.py", "utils/suggestions.py", "utils/recipe_fields.py"],
)
def test_module_imports_no_framework(name):
    used = {found.split(".")[0] for found in imports(PACKAGE / name)}
    assert used <= {*sys.stdlib_module_names, "keras_squeezenet", "yaml"}


@every_module
def test_one_module_alone_imports_tfmot(path):
    is_it = path == PACKAGE / "compression" / "tfmot.py"
    uses = any(
        name.startswith("tensorflow_model_optimization")
        for name in imports(path)
    )
    assert uses == is_it


@every_module
def test_library_code_neither_prints_nor_parses_flags(path):
    if part_of(path) in TOP:
        return
    tree = ast.parse(path.read_text(encoding="utf-8"))
    prints = [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "print"
    ]
    assert not prints
    top_level = {name.split(".")[0] for name in imports(path)}
    assert not top_level & {"absl", "argparse", "rich"}
