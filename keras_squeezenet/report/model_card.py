"""The model card of a network: what a reader of its folder, or of its
repository on the Hugging Face hub, wants to know.
"""

import dataclasses
import pathlib
import re
from collections.abc import Iterator
from typing import Any

import yaml

from keras_squeezenet import metadata
from keras_squeezenet import normalizations
from keras_squeezenet.report import markdown_page
from keras_squeezenet.report import report_tables
from keras_squeezenet.utils import files
from keras_squeezenet.utils.text import one_line

# The name by which the hub finds it.
CARD_FILE = "README.md"
LICENSE = "license: unknown  # Fill it in: an SPDX identifier in lower case.\n"
PAPER = "1602.07360"
SOURCE = "https://github.com/keras-squeezenet/keras_squeezenet"
MEAN_AVERAGE_PRECISION = "mean average precision"
# More names of classes are not listed.
MAX_CLASSES = 100
FIRST_CLASSES = 20
# The characters with a meaning in Markdown.
SPECIAL = re.compile(r"([\\`*_{}\[\]<>#~$&])")
USE = """\
```python
from keras_squeezenet import classifier

network = classifier.load("{name}")
image = network.read("photograph.jpg")
probabilities = network.predict(image[None])[0]
print(network.class_of(probabilities.argmax())[1], probabilities.max())
```"""


USE_OF_SEVERAL = """\
```python
from keras_squeezenet import classifier

network = classifier.load("{name}")
image = network.read("photograph.jpg")
probabilities = network.predict(image[None])[0]
for index, threshold in enumerate(network.thresholds):
    if probabilities[index] >= threshold:
        print(network.class_of(index)[1], probabilities[index])
```"""


@dataclasses.dataclass(frozen=True)
class _Facts:
    """What a card says, from any report.

    `made` is what was done, such as `"fine-tuned"`; `accuracy` is that of the
    file `name`: a mean average precision if it `takes_several` labels.
    `recipes` are by the name of a phase.
    """

    made: str
    name: str
    dataset: dict[str, Any]
    files: report_tables.Table
    parameters: int | None = None
    accuracy: float | None = None
    several_labels: list[dict] | None = None
    takes_several: bool = False
    recipes: dict[str, dict] = dataclasses.field(default_factory=dict)
    notes: tuple[str, ...] = ()
    curve: report_tables.Table | None = None


def write(report: dict[str, Any], folder: pathlib.Path) -> None:
    """Write the card of a network to its folder, whole or not at all.

    Args:
        report: the content of the `report.json` of `train`, `finetune` or
            `compress`, or of `pack.json` or `export.json`.
        folder: that of the files that the report is about.
    """
    with files.new_file(folder / CARD_FILE) as temporary:
        temporary.write_text(markdown(report, folder), encoding="utf-8")


def markdown(report: dict[str, Any], folder: pathlib.Path) -> str:
    """Return the card of a network, as `write` writes it."""
    facts = _facts(report, folder)
    title = f"SqueezeNet {facts.made}"
    if facts.dataset.get("name"):
        title += f" on {facts.dataset['name']}"
    lines = ["---", f"{LICENSE}{_front_matter(facts, title)}---", ""]
    lines += [f"# {escape(title)}", "", _summary(facts), ""]
    if _takes_photographs(facts.dataset):
        use = USE_OF_SEVERAL if facts.takes_several else USE
        lines += ["## Use", "", use.format(name=facts.name), ""]
    lines += ["## Input and classes", "", *_input(facts.dataset), ""]
    lines += ["## Files", "", *markdown_page.rows(facts.files), ""]
    lines += _terms(facts.files)
    if facts.several_labels:
        table = report_tables.several_labels_table(facts.several_labels)
        lines += ["## Classes", "", *markdown_page.rows(table), ""]
    if facts.curve is not None:
        lines += ["## Size and distortion", ""]
        lines += [*markdown_page.rows(facts.curve), "", *_terms(facts.curve)]
    lines += ["## How it was made", "", *_how(facts)]
    lines += ["## License", "", "To be filled in, here and at the top."]
    return "\n".join([*lines, ""])


def _terms(table):
    terms = [f"- {term}: {text}" for term, text in table.terms.items()]
    return [*terms, *[""] * bool(terms)]


def addressed(card: str, name: str, address: str) -> str:
    """Return a card that loads the file `name` from an address on the hub."""
    return card.replace(f'load("{name}")', f'load("{address}")')


def escape(text: str) -> str:
    """Return a text that Markdown shows as it is, on one line."""
    return SPECIAL.sub(r"\\\1", one_line(text))


def _facts(report, folder):
    if "phases" in report:
        return _fine_tuned(report, folder)
    if "stages" in report:
        return _compressed(report)
    if "curve" in report:
        return _packed(report)
    if "compared_on" in report:
        return _exported(report, folder)
    return _trained(report, folder)


def _trained(report, folder):
    return _Facts(
        made="trained",
        name="model.keras",
        dataset=report["dataset"],
        files=_model_table([report], folder, report),
        parameters=report["parameters"],
        accuracy=_accuracy(report, report["dataset"]),
        several_labels=report.get("several_labels"),
        takes_several=bool(report.get("several_labels")),
        recipes={"Recipe": report["recipe"]},
        notes=(f"Best epoch: {report['best_epoch']}.", *_teacher(report)),
    )


def _fine_tuned(report, folder):
    phases = report["phases"]
    kept = [row for row in phases if row["name"] == report["kept"]]
    names = ", ".join(phase["name"] for phase in phases)
    return _Facts(
        made="fine-tuned",
        name="model.keras",
        dataset=report["dataset"],
        files=_model_table(kept, folder, report),
        parameters=report["parameters"],
        accuracy=_accuracy(kept[0], report["dataset"]),
        several_labels=report.get("several_labels"),
        takes_several=bool(report.get("several_labels")),
        recipes={
            f"Recipe of the phase {phase['name']}": phase["recipe"]
            for phase in phases
            if "recipe" in phase
        },
        notes=(
            f"Phases: {names}. The best is {report['kept']}.",
            *_teacher(report),
        ),
    )


def _teacher(report):
    found = markdown_page.teacher(report)
    return (escape(found),) if found else ()


def _model_table(rows, folder, report):
    several, dataset = report.get("several_labels"), report["dataset"]
    what = {
        split: MEAN_AVERAGE_PRECISION
        if several
        else report_tables.accuracy_of(dataset, split)
        for split in ("validation", "test")
    }
    size = (folder / "model.keras").stat().st_size
    return report_tables.Table.of(
        "Files",
        [{**row, "name": "model.keras", "bytes": size} for row in rows],
        {
            "file": "name",
            "bytes": "bytes:,",
            **{
                f"{split} {name}": f"{split}_accuracy:.2%"
                for split, name in what.items()
            },
        },
    )


def _accuracy(row, dataset):
    """Return the accuracy on the test set, or else the validation set.

    It is `None` if the set has no labels.
    """
    split = "validation" if row["test_accuracy"] is None else "test"
    if report_tables.accuracy_of(dataset, split) == report_tables.AGREEMENT:
        return None
    return row[f"{split}_accuracy"]


def _compressed(report):
    rows = {row["name"]: row for row in report["files"]}
    name = "model.sqz"
    packing = report["packing"]
    return _Facts(
        made="compressed",
        name=name,
        dataset=report["dataset"],
        files=report_tables.file_table(report),
        parameters=report["model"]["parameters"],
        accuracy=None
        if report_tables.is_agreement(report)
        else rows[name]["accuracy"],
        recipes={"Recipe": report["recipe"]},
        notes=_teacher(report),
        curve=packing
        and report_tables.curve_table(
            packing, report_tables.is_agreement(report)
        ),
    )


def _packed(report):
    rows = [
        {"name": "model.sqz", "bytes": report["bytes"], **report},
        {"name": "saved_model/", "bytes": report["saved_model_bytes"]},
    ]
    keys = ("name", "bytes", "kl", "agreement")
    return _Facts(
        made="packed",
        name="model.sqz",
        dataset=report["network"],
        files=report_tables.Table.of(
            "Files",
            [{key: row.get(key) for key in keys} for row in rows],
            {
                "file": "name",
                "bytes": "bytes:,",
                "divergence": "kl:.4f",
                "agreement": "agreement:.2%",
            },
            {
                "divergence": "mean Kullback-Leibler divergence from the "
                "outputs of the network before packing, in nats",
                "agreement": "share of the images for which it predicts the "
                "class that the network before packing predicts",
            },
        ),
        parameters=report["float32_bytes"] // 4,
        accuracy=(report["test"] or {}).get("accuracy"),
        notes=(
            f"Packed with {report['images']:,} photographs, and measured on "
            f"{report_tables.measured_on(report)}.",
        ),
        curve=report_tables.curve_table(report),
    )


def _exported(report, folder):
    rows = report["files"]
    found = metadata.read(folder / rows[0]["name"])
    several = bool(found and found.thresholds)
    return _Facts(
        made="exported",
        name=rows[0]["name"],
        dataset={
            "image_size": report["image_size"],
            "channels": report.get("channels", 3),
            "normalization": rows[0]["normalization"],
        },
        files=report_tables.Table.of(
            "Files",
            rows,
            {
                "file": "name",
                "bytes": "bytes:,",
                "takes": "normalization",
                "agreement": "agreement:.2%",
                MEAN_AVERAGE_PRECISION if several else "accuracy": (
                    "accuracy:.2%"
                ),
            },
            {
                "takes": "normalization of its images, `raw` for photographs; "
                "a SavedModel has a signature for photographs too, and the "
                "page normalizes them",
                "agreement": "share of the images for which it predicts the "
                "class that the Keras model predicts",
            },
        ),
        accuracy=rows[0]["accuracy"],
        takes_several=several,
        notes=(f"Exported from {escape(report['model'])}.",),
    )


def _front_matter(facts, title):
    values: dict[str, Any] = {
        "library_name": "keras",
        "pipeline_tag": "image-classification",
        "tags": ["squeezenet", "keras-squeezenet", f"arxiv:{PAPER}"],
    }
    if facts.accuracy is not None:
        kind, name = "accuracy", "Accuracy"
        if facts.takes_several:
            kind, name = "mean_average_precision", "Mean average precision"
        result = {
            "task": {"type": "image-classification"},
            "dataset": {
                "type": "imagefolder",
                "name": one_line(facts.dataset.get("name") or "images"),
                "split": _tested_on(facts.dataset),
            },
            "metrics": [
                {
                    "type": kind,
                    "name": name,
                    "value": round(facts.accuracy, 6),
                }
            ],
        }
        values["metrics"] = [kind]
        values["model-index"] = [{"name": one_line(title), "results": [result]}]
    return yaml.safe_dump(values, allow_unicode=True, sort_keys=False)


def _tested_on(dataset):
    return "test" if dataset.get("test_images", 1) else "validation"


def _summary(facts):
    parts = []
    if facts.parameters:
        parts.append(f"{facts.parameters:,} parameters")
    if facts.dataset.get("classes"):
        parts.append(f"{len(facts.dataset['classes']):,} classes")
    side = facts.dataset.get("image_size")
    if side:
        parts.append(f"images of {side}x{side} pixels")
    text = (
        "An image classifier, a "
        f"[SqueezeNet](https://arxiv.org/abs/{PAPER}), made with "
        f"[keras_squeezenet]({SOURCE})"
    )
    return f"{text}: {', '.join(parts)}." if parts else f"{text}."


def _takes_photographs(dataset):
    """Return whether images have three channels, as photographs have."""
    return dataset.get("channels", 3) == 3


def _input(dataset: dict[str, Any]) -> Iterator[str]:
    if _takes_photographs(dataset):
        yield _normalization(dataset)
    else:
        yield "The images have one channel: they are gray."
    classes = list(map(escape, dataset.get("classes") or ()))
    if not classes:
        return
    listed = ", ".join(classes)
    if len(classes) > MAX_CLASSES:
        more = len(classes) - FIRST_CLASSES
        listed = f"{', '.join(classes[:FIRST_CLASSES])} and {more:,} more"
    yield ""
    yield f"Classes, in the order of the outputs: {listed}."


def _normalization(dataset):
    name = dataset.get("normalization", normalizations.CAFFE)
    known = normalizations.get(name)
    steps = [
        f"{', '.join(f'{number:g}' for number in numbers)} are {what}"
        for numbers, nothing, what in (
            (known.mean, 0, "subtracted from R, G and B"),
            (known.std, 1, "what the differences are divided by"),
        )
        if set(numbers) != {nothing}
    ]
    return (
        f"Normalization `{name}`: values from 0 to 255 in the order "
        f"{'; '.join([known.order, *steps])}. `network.read` resizes and crops "
        "a photograph, and `network.predict` normalizes it."
    )


def _how(facts: _Facts) -> Iterator[str]:
    dataset = facts.dataset
    if dataset.get("name"):
        counts = [
            f"{dataset[key]:,} {what}"
            for key, what in (
                ("train_images", "training"),
                ("validation_images", "validation"),
                ("test_images", "test"),
            )
            if dataset.get(key) is not None
        ]
        text = f"Data: {escape(dataset['name'])}"
        if counts:
            text += f", {', '.join(counts)} images"
        yield f"{text}."
        yield ""
    for note in facts.notes:
        yield note
        yield ""
    for name, recipe in facts.recipes.items():
        yield f"{escape(name)}: {markdown_page.settings(recipe)}."
        yield ""
