import dataclasses
import json
import os
import signal
import types

import pytest
from PIL import Image

from keras_squeezenet import data
from keras_squeezenet import report
from keras_squeezenet import training
from keras_squeezenet.cli import interrupts
from keras_squeezenet.cli import predict
from keras_squeezenet.cli import train
from keras_squeezenet.data import image_dataset
from keras_squeezenet.report import model_card
from keras_squeezenet.training import distributed
from keras_squeezenet.training import training_run

RESULT = types.SimpleNamespace(
    several_labels=None,
    history=[{}, {}, {}],
    best_epoch=2,
    validation_accuracy=0.975,
    test_accuracy=0.9625,
    seconds=12.34,
    images_per_second=1234.5,
    dataset={"labeled_by_teacher": []},
)


@pytest.fixture
def trained(monkeypatch, dataset):
    """What `training.train` was called with; it trains nothing."""
    calls = {}

    def fake_train(model, images, **options):
        calls.update(model=model, images=images, **options)
        return RESULT

    monkeypatch.setattr(data, "load", lambda name, **options: dataset)
    monkeypatch.setattr(training, "train", fake_train, raising=False)
    return calls


@pytest.fixture
def run(run_command, tmp_path):
    """Returns a function that runs the command with command line flags."""

    def run(*arguments, out=tmp_path / "out"):
        return run_command(train, f"--out={out}", *arguments)

    return run


def test_flags_are_the_recipe(run, trained):
    run()
    assert trained["recipe"] == training.RECIPES["default"]
    run("--recipe=paper", "--epochs=2", "--augmentation=none")
    assert trained["recipe"] == training.RECIPES["paper"].replace(
        epochs=2, augmentation=None
    )


def test_teacher_is_passed_on(run, trained):
    run()
    assert trained["teacher"] is None
    run("--teacher=imagenet", "--distillation=0.25", "--temperature=2")
    assert trained["teacher"] == "imagenet"
    recipe = trained["recipe"]
    assert (recipe.distillation, recipe.temperature) == (0.25, 2)


@pytest.fixture
def photographs(tmp_path):
    """A folder of photographs without labels."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for index in range(6):
        image = Image.effect_noise((16, 16), 50).convert("RGB")
        image.save(folder / f"{index}.png")
    return folder


def test_photographs_without_labels_are_taught(
    run, photographs, model_path, monkeypatch, tmp_path
):
    _, out, _ = run(
        *(f"--dataset={photographs}", f"--teacher={model_path}"),
        *("--image_size=16", "--max_train_steps=1", "--augmentation=crop"),
        '--config={"base_e": 8, "incr_e": 8}',
    )
    text = " ".join(out.split())
    assert "on photos: images without labels of 16x16: 4 training, 1 va" in text
    assert "Training: agreement with the teacher" in text
    found = json.loads((tmp_path / "out" / report.JSON_FILE).read_text())
    assert found["recipe"]["distillation"] == 1
    assert len(found["dataset"]["labeled_by_teacher"]) == 3


def test_photographs_without_labels_or_a_teacher_are_refused_at_once(
    run, photographs, monkeypatch
):
    monkeypatch.setattr(data, "load", None)
    with pytest.raises(ValueError, match="without labels need a teacher"):
        run(f"--dataset={photographs}")


def test_teacher_without_a_share_is_refused(run, trained):
    with pytest.raises(ValueError, match="must be greater than 0 with a teach"):
        run("--teacher=imagenet", "--distillation=0")
    assert not trained


@pytest.mark.parametrize(
    "flag,message",
    [
        ("--epochs=0", "`epochs` .* be .*epochs=0"),
        ("--recipe=tiny", "--recipe must be one of default, .*--recipe=tiny"),
        ("--weights=imagnet", "--weights must be .*Did you mean 'imagenet'"),
        ("--data_dir=there", "data_dir.*Received: 'mnist5k'"),
        ("--distillation=0.5", "needs a teacher.*distillation=0.5.*--teacher"),
        ("--distillation=2", "`distillation` must be from 0 to 1.*=2.0"),
        ("--temperature=2", "--temperature is for distillation"),
        ("--teacher=imagnet", "Did you mean 'imagenet'"),
    ],
)
def test_bad_flag_is_refused_at_once(flag, message, run, trained, tmp_path):
    with pytest.raises(ValueError, match=message):
        run(flag)
    assert not trained
    assert not (tmp_path / "out").exists()


def test_network_is_that_of_the_flags_for_the_images(run, trained):
    run('--config={"base_e": 16, "incr_e": 16, "pools": ["conv1"]}')
    model = trained["model"]
    assert model.input_shape == (None, 16, 16, 3)
    assert model.output_shape == (None, 4)
    assert model.get_layer("fire2_expand3x3").filters == 8


def test_validation_images_are_split_off_and_flags_passed_on(
    run, trained, tmp_path
):
    run("--validation_share=0.25", "--overwrite", "--tensorboard=logs")
    assert trained["images"].validation_size == 16
    assert trained["out"] == str(tmp_path / "out")
    assert trained["overwrite"] and not trained["resume"]
    assert trained["tensorboard"] == "logs"


@pytest.fixture
def three_sets(monkeypatch, dataset):
    """Makes the data have a validation set of 8 images."""
    sets = dataset.split_validation(0.125)
    origins = {"train": "the folder train", "validation": "the folder val"}
    sets = dataclasses.replace(sets, origins=origins)
    monkeypatch.setattr(data, "load", lambda name, **options: sets)
    return sets


def test_own_validation_set_is_used(run, trained, three_sets):
    _, out, _ = run()
    assert trained["images"] is three_sets
    text = " ".join(out.split())
    assert "images of 16x16: 56 training, 8 validation, 32 test" in text
    assert (
        "The training set is the folder train; the validation set is the "
        "folder val." in text
    )


def test_share_of_the_training_set_is_refused_beside_a_validation_set(
    run, trained, three_sets
):
    with pytest.raises(
        ValueError,
        match="^--validation_share takes a validation set out of the training "
        "images, and quarters has one of its own: leave one of the two out. "
        "Received: --validation_share=0.25, with 8 validation images$",
    ):
        run("--validation_share=0.25")
    assert not trained


def test_result_and_what_to_run_next_are_printed(run, trained):
    status, out, err = run(
        *("--dataset=cifar10", "--data_dir=my pictures", "--image_size=16"),
        out="over there",
    )
    lines = out.splitlines()
    text = " ".join(" ".join(lines).split())
    assert (status, err) == (0, "")
    assert "on quarters: 4 classes, images of 16x16: 58 training, 6" in text
    assert "The validation set is 10% of the training images." in text
    assert "3 2 97.50% 96.25% 12.3 1,234" in text
    assert lines[-3:] == [
        "Written: model.keras, history.csv, report.json, README.md, last.npz "
        "in over there",
        "Next: keras-squeezenet predict PHOTOGRAPHS "
        "'--model=over there/model.keras'",
        "Next: keras-squeezenet compress 'over there/model.keras' "
        "--dataset=cifar10 '--data_dir=my pictures' --image_size=16 "
        "'--out=over there/small'",
    ]


def test_earlier_run_is_refused_before_images_are_loaded(
    run, monkeypatch, tmp_path
):
    monkeypatch.setattr(data, "load", None)
    (tmp_path / training_run.LAST_FILE).touch()
    with pytest.raises(FileExistsError, match="pass --resume"):
        run(out=tmp_path)


def test_one_device_unless_told_otherwise(run, trained):
    run()
    assert type(trained["distribution"]) is distributed.Distribution


def test_workers_are_those_of_the_flag_and_the_first_one_prints(
    run, trained, monkeypatch
):
    asked = []
    workers = distributed.Distribution()

    def distribute(name):
        asked.append(name)
        return workers

    monkeypatch.setattr(training, "distribute", distribute, raising=False)
    for index, prints in enumerate((True, False)):
        workers.shard = image_dataset.Shard(index, 2)
        _, out, _ = run("--distribution=multi_worker")
        assert trained["distribution"] is workers
        assert bool(out) is prints
    assert asked == ["multi_worker"] * 2


def test_missing_cluster_is_refused_before_images_are_loaded(run, monkeypatch):
    monkeypatch.setattr(data, "load", None)
    monkeypatch.delenv("TF_CONFIG", raising=False)
    with pytest.raises(ValueError, match="TF_CONFIG must name two workers"):
        run("--distribution=multi_worker")


@pytest.mark.slow
def test_ctrl_c_keeps_the_last_epoch_whose_model_predict_takes(
    run, run_command, default_handlers, monkeypatch, tmp_path
):
    out, folder = tmp_path / "out", tmp_path / "images"
    for number, name in enumerate(2 * ["cat", "dog"] * 4):
        path = folder / name / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.effect_noise((16, 16), 50).convert("RGB").save(path)
    check = interrupts.check

    def press_ctrl_c():
        if (out / report.JSON_FILE).exists():
            os.kill(os.getpid(), signal.SIGINT)
        check()

    monkeypatch.setattr(interrupts, "check", press_ctrl_c)
    # It is forgotten after the test, for those that follow.
    monkeypatch.setattr(interrupts, "_received", None)
    with interrupts.remembered():
        with pytest.raises(KeyboardInterrupt, match="with --resume continues"):
            run(
                *(f"--dataset={folder}", "--recipe=paper", "--epochs=1000"),
                *("--image_size=16", '--config={"base_e": 8, "incr_e": 8}'),
            )
    # The model card is written at the end.
    expected = {*training_run.FILES} - {model_card.CARD_FILE}
    assert {*os.listdir(out)} == expected
    assert json.loads((out / report.JSON_FILE).read_text())["history"]
    model = f"--model={out / training_run.MODEL_FILE}"
    _, printed, _ = run_command(predict, path, model)
    assert printed.split()[-1] in ("cat", "dog")
