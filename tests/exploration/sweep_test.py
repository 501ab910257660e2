import csv
import dataclasses
import functools
import json
import os
import types

import keras
import numpy as np
import pytest
import quarters

from keras_squeezenet import SqueezeNetConfig
from keras_squeezenet import training
from keras_squeezenet.exploration import grids
from keras_squeezenet.exploration import sweep
from keras_squeezenet.utils.progress import Progress

BASE = SqueezeNetConfig(base_e=16, incr_e=16, SR=0.25, pools=("conv1", "fire4"))
GRID = {"SR": [0.25, 0.5]}
# Two epochs on the 58 training images of `dataset`.
RECIPE = training.Recipe(batch_size=29, epochs=2)
NAMES = ["base", "SR=0.5"]


@pytest.fixture
def explore(dataset, tmp_path):
    def explore(**changes):
        options = {
            "grid": GRID,
            "load": lambda: dataset,
            "recipe": RECIPE,
            "out": tmp_path / "out",
            "config": BASE,
        }
        return sweep.explore(**{**options, **changes})

    return explore


@pytest.fixture
def trained(monkeypatch):
    """What a `training.train` that trains nothing is called with.

    It raises the error of a folder's name in `broken`.
    """
    trained = types.SimpleNamespace(names=[], models={}, broken={})

    def train(model, images, *, out, **options):
        trained.names.append(out.name)
        if out.name in trained.broken:
            raise trained.broken[out.name]
        trained.models[out.name] = model
        return types.SimpleNamespace(
            validation_accuracy=0.75,
            test_accuracy=len(trained.names) / 8,
            seconds=1.5,
        )

    monkeypatch.setattr(training, "train", train, raising=False)
    return trained


def read_csv(out):
    with open(out / sweep.CSV_FILE, newline="") as file:
        return list(csv.DictReader(file))


def point_model(out, name):
    folder = sweep.point_folder(out, name)
    return keras.models.load_model(folder / "model.keras")


def test_each_point_is_trained_as_training_train_does_it(
    untraced, explore, dataset, tmp_path
):
    found = explore(grid={"SR": [0.5]})
    (row,) = found["points"]
    keras.utils.set_random_seed(RECIPE.seed)
    model = training.build(16, 4, dataclasses.replace(BASE, SR=0.5))
    expected = training.train(
        model, dataset, recipe=RECIPE, out=tmp_path / "alone"
    )
    for key in ("parameters", "validation_accuracy", "test_accuracy"):
        assert row[key] == getattr(expected, key)
    saved = point_model(tmp_path / "out", "SR=0.5").get_weights()
    np.testing.assert_equal(saved, expected.model.get_weights())
    # The checkpoint, which is large, is removed.
    assert sorted(
        os.listdir(sweep.point_folder(tmp_path / "out", "SR=0.5"))
    ) == ["README.md", "history.csv", "model.keras", "report.json"]


def test_files_have_what_is_returned(explore, trained, tmp_path):
    found = explore()
    out = tmp_path / "out"
    assert json.loads((out / sweep.JSON_FILE).read_text()) == found
    rows = read_csv(out)
    assert [row["name"] for row in rows] == NAMES
    for row, point in zip(rows, found["points"]):
        assert {key: float(row[key]) for key in sweep.MEASURED} == {
            key: point[key] for key in sweep.MEASURED
        }
        assert int(row["parameters"]) == point["parameters"]
        assert json.loads(row["stem"]) == point["stem"]
    assert found["recipe"] == dataclasses.asdict(RECIPE)
    assert found["dataset"]["classes"] == 4
    assert found["failed"] == {}


def test_networks_are_those_of_the_rows(explore, trained):
    found = explore(grid={"SR": [0.5], "conv10_activation": [None, "relu"]})
    for row, (name, model) in zip(found["points"], trained.models.items()):
        assert row["parameters"] == model.count_params()
        activation = model.get_layer("conv10").activation.__name__
        assert activation == (row["conv10_activation"] or "linear"), name


def test_csv_is_written_after_each_point(
    explore, trained, tmp_path, monkeypatch
):
    seen = []
    train = training.train

    def spy(*arguments, **options):
        seen.append([row["seconds"] for row in read_csv(tmp_path / "out")])
        return train(*arguments, **options)

    monkeypatch.setattr(training, "train", spy)
    explore()
    assert seen == [["", ""], ["1.5", ""]]


@pytest.mark.parametrize(
    "grid, message",
    [
        ({"SR": [0.5, -1]}, "the point SR=-1 is not a network"),
        (
            {"pools": [["conv1"], [f"fire{index}" for index in range(2, 8)]]},
            "at least 64 for the point pools=",
        ),
    ],
)
def test_bad_point_is_named_before_anything_is_trained(
    grid, message, explore, trained, tmp_path
):
    with pytest.raises(ValueError, match=message):
        explore(grid=grid)
    assert not trained.names
    assert not (tmp_path / "out").exists()


def test_failed_point_is_named_and_the_others_are_kept(explore, trained):
    trained.broken["base"] = training.NonFiniteLossError("loss became nan")
    found = explore()
    assert found["failed"] == {"base": "NonFiniteLossError: loss became nan"}
    assert [row["test_accuracy"] for row in found["points"]] == [None, 0.25]
    trained.broken.clear()
    again = explore(resume=True)
    assert trained.names == [*NAMES, "base"]
    assert again["failed"] == {}
    assert [row["test_accuracy"] for row in again["points"]] == [0.375, 0.25]


def test_resume_trains_only_what_is_new_in_the_grid(explore, trained):
    explore()
    found = explore(grid={"SR": [0.5, 0.75], "freq": [2]}, resume=True)
    assert trained.names == [*NAMES, "SR=0.75"]
    assert sorted(row["name"] for row in found["points"]) == [
        *("SR=0.5", "SR=0.75", "base")
    ]
    assert all(row["test_accuracy"] for row in found["points"])


@pytest.mark.end_to_end
@pytest.mark.slow
def test_stopped_point_is_resumed_from_its_last_epoch_bit_for_bit(
    untraced, explore, tmp_path
):
    tasks = []

    class Stops(Progress):
        def task(self, name, steps):
            tasks.append(name)
            if tasks.count("2/2 epoch 2/2") == 1:
                raise KeyboardInterrupt
            return super().task(name, steps)

    whole = explore(out=tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        explore(progress=Stops())
    tasks.clear()
    resumed = explore(resume=True, progress=Stops())
    assert tasks == ["1/1 epoch 2/2", "1/1 test"]
    for one, other in zip(whole["points"], resumed["points"]):
        assert one["test_accuracy"] == other["test_accuracy"]
    np.testing.assert_equal(
        point_model(tmp_path / "whole", "SR=0.5").get_weights(),
        point_model(tmp_path / "out", "SR=0.5").get_weights(),
    )


@pytest.mark.parametrize(
    "changes, named",
    [
        ({"recipe": RECIPE.replace(seed=1)}, "recipe"),
        ({"config": dataclasses.replace(BASE, freq=3)}, "config"),
    ],
)
def test_resume_of_another_exploration_is_refused(
    changes, named, explore, trained, tmp_path
):
    explore()
    before = (tmp_path / "out" / sweep.JSON_FILE).read_bytes()
    with pytest.raises(ValueError, match=f"resumed with its own {named}: "):
        explore(**changes, resume=True)
    assert (tmp_path / "out" / sweep.JSON_FILE).read_bytes() == before


def test_what_killed_processes_left_in_the_points_is_removed(
    explore, trained, tmp_path
):
    explore()
    left = sweep.point_folder(tmp_path / "out", "base") / ".keras_squeezenet.x"
    left.mkdir(parents=True)
    (left / "model.keras").touch()
    explore(resume=True)
    assert os.listdir(left.parent) == []


@pytest.mark.parametrize("text", ["{", "[]", '{"points": [{}]}'])
def test_damaged_file_is_named_on_resume(text, explore, trained, tmp_path):
    explore()
    path = tmp_path / "out" / sweep.JSON_FILE
    path.write_text(text)
    with pytest.raises(ValueError, match=f"{path} (is damaged|cannot be read)"):
        explore(resume=True)


def test_earlier_exploration_is_not_replaced_unasked(
    explore, trained, tmp_path
):
    explore()
    with pytest.raises(FileExistsError, match="pass --resume"):
        explore()
    explore(grid={"SR": [0.75]}, overwrite=True)
    assert [row["name"] for row in read_csv(tmp_path / "out")] == ["SR=0.75"]


def test_folder_of_something_else_is_refused(explore, trained, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").touch()
    with pytest.raises(FileExistsError, match="not empty"):
        explore(resume=True)
    assert not trained.names


@pytest.mark.parametrize("jobs", [0, -1, 1.5])
def test_number_of_jobs_is_checked(jobs, explore):
    with pytest.raises(ValueError, match=f"Received: jobs={jobs}"):
        explore(jobs=jobs)


def test_folder_of_a_point_is_one_whatever_its_values(tmp_path):
    (point,) = grids.points({"pools": [["conv1", "fire4"]]})
    folder = sweep.point_folder(tmp_path, point.name)
    assert folder == tmp_path / "points" / "pools=conv1,fire4"


@pytest.mark.end_to_end
@pytest.mark.slow
def test_several_points_at_once_and_one_that_fails(tmp_path):
    out = tmp_path / "out"
    explore = functools.partial(
        sweep.explore,
        load=quarters.make_dataset,
        recipe=training.Recipe(max_train_steps=2),
        out=out,
        config=BASE,
        jobs=2,
    )

    class Blocks(Progress):
        """Blocks the folder of one point with a file."""

        def task(self, name, steps):
            folder = sweep.point_folder(out, "SR=0.5")
            folder.parent.mkdir()
            folder.touch()
            return super().task(name, steps)

    found = explore(GRID, progress=Blocks())
    assert list(found["failed"]) == ["SR=0.5"]
    assert "NotADirectoryError" in found["failed"]["SR=0.5"]
    base, other = found["points"]
    assert 0 <= base["test_accuracy"] <= 1
    assert other["test_accuracy"] is None
    assert point_model(out, "base").count_params() == base["parameters"]
