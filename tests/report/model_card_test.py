"""Cards of networks that were trained, fine-tuned, compressed and packed."""

import dataclasses
import re

import pytest
import yaml

from keras_squeezenet import metadata
from keras_squeezenet.report import model_card
from keras_squeezenet.training import training_recipe

DATASET = {
    "name": "flowers",
    "classes": ["daisy", "tulip"],
    "skipped_images": ["/home/someone/a.jpg"],
    "normalization": "caffe",
    "image_size": 64,
    "train_images": 1200,
    "validation_images": 100,
    "test_images": 240,
}
RECIPE = dataclasses.asdict(training_recipe.Recipe(epochs=7))
TRAINED = {
    "dataset": DATASET,
    "parameters": 1_235_496,
    "recipe": RECIPE,
    "best_epoch": 3,
    "validation_accuracy": 0.96,
    "test_accuracy": 0.95,
}
FINE_TUNED = {
    "dataset": DATASET,
    "parameters": 1_235_496,
    "kept": "top",
    "phases": [
        {"name": "head", "validation_accuracy": 0.9, "test_accuracy": 0.8},
        {
            "name": "top",
            "recipe": RECIPE,
            "validation_accuracy": 0.94,
            "test_accuracy": 0.93,
        },
    ],
}
MEASURED = {
    "kl": 0.0163,
    "kl_error": 0.002,
    "agreement": 0.99,
    "agreement_error": 0.01,
    "accuracy": 0.95,
    "accuracy_before": 0.96,
    "accuracy_error": 0.0141,
}
PACKED = {
    "bytes": 150_000,
    "saved_model_bytes": 170_000,
    "float32_bytes": 2_914_608,
    "network": {
        "image_size": 224,
        "normalization": "torch",
        "classes": [f"class {n}" for n in range(1000)],
    },
    "images": 500,
    "validation_images": 100,
    "is_held_out": True,
    "test_images": 240,
    "test": {**MEASURED, "accuracy": 0.9375},
    "curve": [],
    **MEASURED,
}
EXPORTED = {
    "model": "hf://owner/a_b/model.sqz@0",
    "image_size": 224,
    "compared_on": "test",
    "files": [
        {
            "name": "model.tflite",
            "bytes": 3_000_000,
            "normalization": "raw",
            "agreement": 1.0,
            "accuracy": 0.5,
        }
    ],
}


@pytest.fixture
def make_card(tmp_path):
    """Return a function that writes a card and returns its two parts."""
    (tmp_path / "model.keras").write_bytes(bytes(1_234_567))

    def make_card(report):
        model_card.write(report, tmp_path)
        text = (tmp_path / "README.md").read_text(encoding="utf-8")
        empty, front, body = text.split("---\n", 2)
        assert empty == ""
        return yaml.safe_load(front), body

    return make_card


def test_card_of_a_trained_network_has_data_recipe_and_accuracy(make_card):
    front, body = make_card(TRAINED)
    assert front["license"] == "unknown"
    assert front["library_name"] == "keras"
    assert front["pipeline_tag"] == "image-classification"
    assert front["metrics"] == ["accuracy"]
    (result,) = front["model-index"][0]["results"]
    assert result["dataset"]["name"] == "flowers"
    assert result["dataset"]["split"] == "test"
    assert result["metrics"][0]["value"] == 0.95
    lines = body.splitlines()
    assert lines[1] == "# SqueezeNet trained on flowers"
    assert "1,235,496 parameters, 2 classes, images of 64x64 pixels." in body
    assert "| model.keras | 1,234,567 | 96.00% | 95.00% |" in lines
    assert "Classes, in the order of the outputs: daisy, tulip." in lines
    assert (
        "Data: flowers, 1,200 training, 100 validation, 240 test images."
    ) in lines
    assert "Recipe: epochs 7, batch_size " in body
    assert (
        "Normalization `caffe`: values from 0 to 255 in the order BGR; "
        "123.68, 116.779, 103.939 are subtracted from R, G and B. `network"
    ) in body
    assert "\n\n\n" not in body
    # Paths on the machine of the training are nobody's business.
    assert "someone" not in body


def test_card_of_gray_images_has_no_colors_and_no_photographs(make_card):
    _, body = make_card({**TRAINED, "dataset": {**DATASET, "channels": 1}})
    assert "## Use" not in body and "Normalization" not in body
    assert (
        "## Input and classes\n\n"
        "The images have one channel: they are gray.\n\n"
        "Classes, in the order of the outputs: daisy, tulip.\n"
    ) in body
    _, body = make_card({**EXPORTED, "channels": 1})
    assert "## Use" not in body
    _, body = make_card({**TRAINED, "dataset": {**DATASET, "channels": 3}})
    assert "## Use" in body and "Normalization `caffe`" in body


@pytest.mark.parametrize("report", [TRAINED, FINE_TUNED])
def test_card_of_images_without_labels_has_no_accuracy(report, make_card):
    dataset = {**DATASET, "labeled_by_teacher": ["train", "validation"]}
    front, body = make_card({**report, "dataset": dataset})
    assert "| validation agreement with the teacher | test accuracy |" in body
    assert front["metrics"] == ["accuracy"]
    dataset["labeled_by_teacher"].append("test")
    front, _ = make_card({**report, "dataset": dataset})
    assert "metrics" not in front and "model-index" not in front


@pytest.mark.parametrize("report", [TRAINED, FINE_TUNED])
@pytest.mark.parametrize(
    "name, shown",
    [
        ("/home/someone/wise.keras", "wise.keras"),
        ("hf://owner/wise/model.sqz", "hf://owner/wise/model.sqz"),
        ("imagenet", "imagenet"),
    ],
)
def test_card_names_the_teacher(report, name, shown, make_card):
    _, body = make_card({**report, "teacher": {"name": name, "digest": "0af"}})
    expected = f"Teacher: {shown}, whose weights have the SHA-256 digest 0af."
    assert expected in body.splitlines()
    _, body = make_card({**report, "teacher": None})
    assert "Teacher" not in body


def test_validation_accuracy_stands_in_for_a_missing_test_set(make_card):
    dataset = {**DATASET, "test_images": 0}
    front, body = make_card(
        {**TRAINED, "test_accuracy": None, "dataset": dataset}
    )
    (result,) = front["model-index"][0]["results"]
    assert result["dataset"]["split"] == "validation"
    assert result["metrics"][0]["value"] == 0.96
    assert "| model.keras | 1,234,567 | 96.00% | - |" in body


def test_card_of_a_fine_tuned_network_has_the_kept_phase(make_card):
    front, body = make_card(FINE_TUNED)
    assert "# SqueezeNet fine-tuned on flowers\n" in body
    assert "| model.keras | 1,234,567 | 94.00% | 93.00% |" in body
    assert "Phases: head, top. The best is top.\n" in body
    assert "Recipe of the phase top: epochs 7, " in body
    (result,) = front["model-index"][0]["results"]
    assert result["metrics"][0]["value"] == 0.93


def test_card_of_a_compressed_network_has_every_file(make_card, make):
    front, body = make_card(make())
    assert "# SqueezeNet compressed on digits\n" in body
    assert "| model_int8.tflite | 812 | 270 | 95.00% | 99.00% | 4.0e-03 |" in (
        body
    )
    assert "Recipe: stages prune cluster quantize, " in body
    assert 'classifier.load("model.sqz")' in body
    assert front["model-index"][0]["results"][0]["metrics"][0]["value"] == 0.95


def test_card_of_a_packed_network_has_its_divergence(make_card):
    front, body = make_card(PACKED)
    assert "# SqueezeNet packed\n" in body
    assert "728,652 parameters, 1,000 classes, images of 224x224" in body
    assert "| model.sqz | 150,000 | 0.0163 | 99.00% |" in body
    assert "| saved_model/ | 170,000 | - | - |" in body
    assert "class 18, class 19 and 980 more." in body
    assert "order RGB; 123.675, 116.28, 103.53 are subtracted " in body
    assert "; 58.395, 57.12, 57.375 are what the differences are" in body
    assert "| 150,000 (this file) | 0.0163 ± 0.0020 | 99.00% ± 1.00% |" in body
    assert "| 95.00% | -1.00 ± 1.41 |" in body
    assert "photographs, and measured on 100 validation images." in body
    (result,) = front["model-index"][0]["results"]
    assert result["metrics"][0]["value"] == 0.9375
    assert result["dataset"]["split"] == "test"


def test_card_of_photographs_without_labels_has_no_accuracy(make_card):
    unlabeled = dict.fromkeys(("accuracy", "accuracy_before", "accuracy_error"))
    front, body = make_card(
        {**PACKED, **unlabeled, "is_held_out": False, "test": None}
    )
    assert "model-index" not in front and "metrics" not in front
    assert "100 images that the network may have been trained on." in body
    assert "| 0.0163 ± 0.0020 | 99.00% ± 1.00% | - | - |" in body


def test_card_of_exported_files_says_what_they_take(make_card):
    _, body = make_card(EXPORTED)
    assert "# SqueezeNet exported\n" in body
    assert "| model.tflite | 3,000,000 | raw | 100.00% | 50.00% |" in body
    assert r"Exported from hf://owner/a\_b/model.sqz@0." in body


def test_card_of_exported_files_of_several_labels_says_so(make_card, tmp_path):
    # As at the end of a LiteRT file.
    found = metadata.Metadata(thresholds=(0.5, 0.3))
    (tmp_path / "model.tflite").write_bytes(metadata.append(b"", found))
    front, body = make_card(EXPORTED)
    assert front["metrics"] == ["mean_average_precision"]
    assert "| agreement | mean average precision |" in body
    assert "in enumerate(network.thresholds):" in body


NAMES = ["a|b", "*c*", "<img src=x>", "[d](e)", "`f`", "g\n# h", "i: 'j' \\"]
SHOWN = r"a|b, \*c\*, \<img src=x\>, \[d\](e), \`f\`, g\\n\# h, i: 'j' \\"


def test_names_of_classes_and_data_are_shown_as_they_are(make_card):
    name = 'x"\n---\nlicense: mit\n# <b>y</b>'
    dataset = {**DATASET, "name": name, "classes": NAMES}
    front, body = make_card({**TRAINED, "dataset": dataset})
    assert f"Classes, in the order of the outputs: {SHOWN}.\n" in body
    assert front["license"] == "unknown"
    (result,) = front["model-index"][0]["results"]
    assert result["dataset"]["name"] == name.replace("\n", "\\n")
    assert "\nlicense" not in body
    assert r"\<b\>y\</b\>" in body


def test_hub_takes_the_front_matter(make_card, tmp_path):
    hub = pytest.importorskip("huggingface_hub")
    make_card(TRAINED)
    data = hub.ModelCard.load(tmp_path / "README.md").data
    assert data.library_name == "keras"
    (result,) = data.eval_results
    assert (result.metric_type, result.metric_value) == ("accuracy", 0.95)
    assert result.dataset_split == "test"


def test_card_names_the_address_that_it_is_uploaded_to(make_card):
    _, body = make_card(PACKED)
    address = "hf://owner/name/model.sqz"
    found = model_card.addressed(body, "model.sqz", address)
    assert f'network = classifier.load("{address}")\n' in found
    assert len(found) == len(body) + len(address) - len("model.sqz")


def test_use_takes_five_lines(make_card):
    _, body = make_card(TRAINED)
    code = re.search(r"```python\n(.+?)```", body, re.DOTALL)[1]
    assert len([line for line in code.splitlines() if line]) == 5
    compile(code, "README.md", "exec")
