import csv
import json
import os
import types

import pytest

from keras_squeezenet import data
from keras_squeezenet import training
from keras_squeezenet.cli import explore as command
from keras_squeezenet.exploration import sweep

SMALL = '--config={"base_e": 16, "incr_e": 16, "pools": ["conv1"]}'
GRID = '--grid={"SR": [0.25, 0.5]}'


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


@pytest.fixture
def run(out, run_command):
    """Returns a function that runs the command, and returns what it prints."""

    def run(*arguments):
        _, printed, _ = run_command(command, f"--out={out}", *arguments)
        return printed

    return run


@pytest.fixture
def trained(monkeypatch, dataset):
    """What `training.train` was called with; it trains nothing."""
    calls = []

    def fake_train(model, images, **options):
        calls.append({"model": model, **options})
        return types.SimpleNamespace(
            validation_accuracy=0.75,
            test_accuracy=0.625 + len(calls) / 16,
            seconds=12.34,
        )

    monkeypatch.setattr(data, "load", lambda name, **options: dataset)
    monkeypatch.setattr(training, "train", fake_train, raising=False)
    return calls


def rows_of(printed):
    return [line.split() for line in printed.splitlines()]


def test_sizes_of_figure_3_are_printed_without_training_or_images(
    run, trained, out, monkeypatch
):
    monkeypatch.setattr(data, "load", pytest.fail)
    printed = run("--notrain", "--grid=SR")
    assert "Design space, 227x227, 1,000 classes" in printed
    assert not trained
    for row in (
        ["0.125", "1,248,424", "4.76", "861.3"],
        ["0.25", "1,967,080", "7.50", "1,433.6"],
        ["1.0", "6,279,016", "23.95", "4,867.2"],
    ):
        assert row in rows_of(printed)
    assert os.listdir(out) == ["exploration.csv"]
    with open(out / "exploration.csv", newline="") as file:
        parameters = [row["parameters"] for row in csv.DictReader(file)]
    assert parameters == [
        *("1248424", "1967080", "3404392", "4841704", "6279016")
    ]


def test_sizes_are_for_the_images_and_classes_asked_for(run, trained):
    printed = run("--notrain", "--grid=SR", "--image_size=32", "--classes=10")
    assert "Design space, 32x32, 10 classes" in printed
    model = training.build(32, 10, "1.0")
    assert f"{model.count_params():,}" in printed


def test_every_point_is_trained_by_the_recipe_of_the_flags(run, trained, out):
    run(GRID, SMALL, "--max_train_steps=7", "--seed=3", "--recipe=paper")
    recipe = training.RECIPES["paper"].replace(max_train_steps=7, seed=3)
    assert [call["recipe"] for call in trained] == [recipe, recipe]
    squeezed = [
        call["model"].get_layer("fire2_squeeze1x1").filters for call in trained
    ]
    assert squeezed == [4, 8]


def test_table_and_files_have_what_was_reached(run, trained, out):
    printed = run(GRID, SMALL)
    lines = rows_of(printed)
    found = json.loads((out / "exploration.json").read_text())
    for ratio, test, row in zip(
        ("0.25", "0.5"), ("68.75%", "75.00%"), found["points"]
    ):
        sizes = [
            f"{row['parameters']:,}",
            f"{row['mib']:.2f}",
            f"{row['macs'] / 1e6:,.1f}",
        ]
        assert [ratio, *sizes, "75.00%", test, "12.3"] in lines
    assert max(map(len, printed.splitlines()[:-1])) <= 80
    assert sorted(os.listdir(out)) == [
        *("exploration.csv", "exploration.json", "exploration.png")
    ]
    assert (out / "exploration.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("suffix", [".json", ".yaml"])
def test_grid_is_read_from_a_file(suffix, run, trained, tmp_path):
    path = tmp_path / f"grid{suffix}"
    path.write_text('[{"SR": [0.25]}, {"SR": [0.5], "bypass": ["simple"]}]')
    run(f"--grid={path}", SMALL)
    assert len(trained) == 2


def test_failed_point_is_reported_behind_the_others(
    run, trained, capsys, monkeypatch
):
    def fail(model, images, **options):
        if "SR=0.5" in str(options["out"]):
            raise training.NonFiniteLossError("the loss became nan")
        return train(model, images, **options)

    train = training.train
    monkeypatch.setattr(training, "train", fail)
    with pytest.raises(RuntimeError, match="1 of 2 points failed.*--resume"):
        run(GRID, SMALL)
    printed = rows_of(capsys.readouterr().out)
    assert any("68.75%" in line for line in printed)
    assert any(line[:1] == ["0.5"] and line[-1] == "-" for line in printed)


def test_ctrl_c_says_how_to_resume(run, trained, monkeypatch):
    def stop(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(training, "train", stop)
    with pytest.raises(KeyboardInterrupt, match="with --resume continues"):
        run(GRID, SMALL)


@pytest.mark.parametrize(
    "flag, message",
    [
        ('--grid={"SR": [0.5, 0]}', "the point SR=0 is not a network"),
        ('--grid={"width": [1]}', "metaparameters .* Received: width"),
        ("--grid=all", "--grid must be one of SR, .*Received: --grid=all.$"),
        ("--grid=papr", "Received: --grid=papr. Did you mean 'paper'"),
        ("--grid={SR: 1}", "Received: --grid={SR: 1}"),
        ("--classes=10", "--classes is for --notrain"),
        ("--mixup=2", "`mixup` .* be"),
        ("--data_dir=there", "data_dir"),
    ],
)
def test_bad_flag_is_refused_at_once(flag, message, run, trained, out):
    with pytest.raises(ValueError, match=message):
        run(flag)
    assert not trained
    assert not out.exists()


@pytest.mark.parametrize(
    "flag",
    [
        *("--dataset=cifar10", "--data_dir=there", "--jobs=2", "--resume"),
        *("--epochs=3", "--recipe=paper", "--tensorboard=logs"),
        "--skip_bad_images",
    ],
)
def test_flag_of_training_is_refused_without_training(flag, run):
    name, _, _ = flag.partition("=")
    with pytest.raises(ValueError, match=f"{name.strip('-')}.*Received: "):
        run("--notrain", flag)


def test_earlier_exploration_is_refused_before_images_are_loaded(
    run, monkeypatch, out
):
    monkeypatch.setattr(data, "load", pytest.fail)
    out.mkdir()
    (out / sweep.JSON_FILE).touch()
    with pytest.raises(FileExistsError, match="pass --resume"):
        run()
