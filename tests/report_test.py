import gzip
import importlib.metadata
import json
import types

import pytest
import tensorflow as tf

from keras_squeezenet import report
from keras_squeezenet.compression import recipe
from keras_squeezenet.data import ImageDataset

STAGES = [
    {
        "name": "dense",
        "accuracy": 0.98765,
        "density": 1.0,
        "seconds": 1234.56,
        "bytes": 2905128,
        "gzip_bytes": 2691234,
    },
    {
        "name": "int8 LiteRT",
        "accuracy": 1.0,
        "density": 0.3304,
        "seconds": 0.04,
        "bytes": 812,
        "gzip_bytes": 97,
    },
]
LAYERS = [
    {
        "name": "conv1",
        "shape": [3, 3, 3, 64],
        "weights": 1728,
        "density": 1.0,
        "distinct_values": 16,
        "bits": 4,
        "int8_density": 0.99942,
        "int8_distinct_values_per_channel": 15,
    },
    {
        "name": "fire9_expand3x3",
        "shape": [3, 3, 64, 256],
        "weights": 147456,
        "density": 0.33,
        "distinct_values": 256,
        "bits": 8,
        "int8_density": 0.07,
        "int8_distinct_values_per_channel": 9,
    },
]
STAGE_ROWS = [
    ("dense", "98.77%", "100.0%", "1234.6", "2,905,128", "2,691,234"),
    ("int8 LiteRT", "100.00%", "33.0%", "0.0", "812", "97"),
]
LAYER_ROWS = [
    ("conv1", "3x3x3x64", "1,728", "100.0%", "16", "4", "99.9%", "15"),
    (
        "fire9_expand3x3",
        "3x3x64x256",
        "147,456",
        "33.0%",
        "256",
        "8",
        "7.0%",
        "9",
    ),
]


def make_dataset(**changes):
    examples = tf.data.Dataset.from_tensors(([[[0, 0, 0]]], 0))
    arguments = {
        "name": "digits",
        "image_size": 28,
        "class_names": ("zero", "one", "two"),
        "train": examples,
        "test": examples,
        "train_size": 40_000,
        "test_size": 1_000,
    }
    return ImageDataset(**{**arguments, **changes})


@pytest.fixture
def folder(tmp_path):
    """A folder with a file, and a folder with files in it."""
    folder = tmp_path / "files"
    deep = folder / "saved_model" / "variables"
    deep.mkdir(parents=True)
    (folder / "model.keras").write_bytes(bytes(12345))
    (folder / "saved_model" / "graph.pb").write_bytes(b"graph" * 200)
    (deep / "data").write_bytes(bytes(range(256)))
    return folder


@pytest.fixture
def make(folder):
    def make(**changes):
        model = types.SimpleNamespace(
            name="squeezenet", count_params=lambda: 1_235_496
        )
        return report.make(
            model=model,
            dataset=make_dataset(**changes),
            recipe=recipe.Recipe(max_train_steps=7, seed=3),
            stages=STAGES,
            layers=LAYERS,
            folder=folder,
        )

    return make


def row(cells):
    return "| " + " | ".join(cells) + " |"


def test_report_says_what_was_compressed(make):
    made = make()
    assert made["version"] == 1
    assert made["model"] == {"name": "squeezenet", "parameters": 1_235_496}
    assert made["dataset"] == {
        "name": "digits",
        "image_size": 28,
        "classes": ["zero", "one", "two"],
        "train_images": 40_000,
        "test_images": 1_000,
        "skipped_images": [],
    }
    assert made["recipe"]["max_train_steps"] == 7
    assert made["recipe"]["seed"] == 3
    assert made["recipe"]["target_density"] == 0.25
    assert made["stages"] == STAGES
    assert made["layers"] == LAYERS


def test_report_names_the_versions_of_the_packages(make):
    packages = make()["environment"]["packages"]
    assert packages["keras"] == importlib.metadata.version("keras")
    assert set(packages) == {
        "keras-squeezenet",
        "keras",
        "tensorflow",
        "tf-keras",
        "tensorflow-model-optimization",
        "ai-edge-litert",
    }


def test_missing_package_has_no_version(make, monkeypatch):
    monkeypatch.setattr(report, "PACKAGES", ("no-such-package-here",))
    packages = make()["environment"]["packages"]
    assert packages == {"no-such-package-here": None}


def test_files_and_folders_are_listed_with_their_sizes(make, folder):
    # A folder's bytes in the order of the paths of its files.
    together = b"graph" * 200 + bytes(range(256))
    assert make()["files"] == [
        {
            "name": "model.keras",
            "bytes": 12345,
            "gzip_bytes": len(gzip.compress(bytes(12345))),
        },
        {
            "name": "saved_model/",
            "bytes": 1256,
            "gzip_bytes": len(gzip.compress(together)),
        },
    ]


def test_report_goes_through_json_unchanged(make, tmp_path):
    made = make(skipped=("a.jpg",))
    report.write(made, tmp_path)
    text = (tmp_path / "report.json").read_text(encoding="utf-8")
    assert json.loads(text) == made
    assert text.endswith("}\n")


def test_class_names_need_not_be_ascii(make, tmp_path):
    made = make(name="kočky", class_names=("kočka", "犬"))
    report.write(made, tmp_path)
    text = (tmp_path / "report.json").read_text(encoding="utf-8")
    assert json.loads(text)["dataset"]["classes"] == ["kočka", "犬"]
    text = (tmp_path / "report.md").read_text(encoding="utf-8")
    assert text.startswith("# squeezenet on kočky\n")


def test_tables_have_formatted_cells(make):
    stages, layers, files = report.tables(make())
    assert [table.title for table in (stages, layers, files)] == [
        "Stages",
        "Layers",
        "Files",
    ]
    assert stages.rows == STAGE_ROWS
    assert layers.rows == LAYER_ROWS
    assert [cells[:2] for cells in files.rows] == [
        ("model.keras", "12,345"),
        ("saved_model/", "1,256"),
    ]


def test_tables_have_a_column_for_each_cell(make):
    for table in report.tables(make()):
        assert table.rows
        for cells in table.rows:
            assert len(cells) == len(table.columns), table.title


def test_markdown_has_every_table(make):
    lines = report.markdown(make()).splitlines()
    start = lines.index("## Stages")
    assert lines[start + 1 : start + 7] == [
        "",
        "| stage | accuracy | density | seconds | bytes | gzipped |",
        "|---|---:|---:|---:|---:|---:|",
        "| dense | 98.77% | 100.0% | 1234.6 | 2,905,128 | 2,691,234 |",
        "| int8 LiteRT | 100.00% | 33.0% | 0.0 | 812 | 97 |",
        "",
    ]
    start = lines.index("## Layers")
    assert lines[start + 2] == row(
        (
            "layer",
            "kernel",
            "weights",
            "density",
            "values",
            "bits",
            "int8 density",
            "int8 values",
        )
    )
    assert lines[start + 4 : start + 7] == [*map(row, LAYER_ROWS), ""]
    start = lines.index("## Files")
    assert lines[start + 4].startswith("| model.keras | 12,345 | ")
    assert lines[start + 5].startswith("| saved_model/ | 1,256 | ")


def test_markdown_tells_what_was_done(make):
    text = report.markdown(make())
    lines = text.splitlines()
    assert lines[0] == "# squeezenet on digits"
    assert lines[2] == (
        "1,235,496 parameters, 3 classes, images of 28x28 pixels: 40,000 to "
        "train on, 1,000 to test on."
    )
    assert "Recipe: train_epochs 6, prune_epochs 3, " in text
    assert "max_train_steps 7, " in text
    assert f"keras {importlib.metadata.version('keras')}, " in text
    assert text.endswith(".\n")


def test_markdown_counts_skipped_images(make):
    text = report.markdown(make(skipped=("a.jpg",) * 1234))
    assert (
        "1,000 to test on; 1,234 could not be read and were left out.\n" in text
    )
