import importlib.metadata
import importlib.resources
import json

import jsonschema
import pytest

from keras_squeezenet import report
from keras_squeezenet.report import report_files


@pytest.fixture(scope="module")
def schema():
    folder = importlib.resources.files("keras_squeezenet.report")
    return json.loads((folder / "schema.json").read_text(encoding="utf-8"))


def test_report_follows_its_schema(make, schema):
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(make(), schema)
    jsonschema.validate(make(sensitivity=None, message="lost"), schema)
    unlabeled = make(dataset={"labeled_by_teacher": ["validation", "test"]})
    jsonschema.validate(unlabeled, schema)


@pytest.mark.parametrize(
    "change",
    [
        {"version": 1},
        {"status": "fine"},
        {"further": 1},
        {"stages": [{"name": "dense"}]},
        {"files": None},
    ],
)
def test_schema_refuses_other_fields_and_values(change, make, schema):
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**make(), **change}, schema)


def test_schema_needs_every_field(make, schema):
    validator = jsonschema.Draft202012Validator(schema)
    made = make()
    for field in made:
        less = {name: made[name] for name in made if name != field}
        with pytest.raises(jsonschema.ValidationError, match=field):
            validator.validate(less)


def test_report_says_what_was_compressed(make):
    made = make()
    assert made["version"] == 3
    assert made["model"] == {
        "name": "squeezenet",
        "parameters": 1_235_496,
        "input_shape": [28, 28, 3],
    }
    assert made["recipe"]["max_train_steps"] == 7
    assert made["recipe"]["stages"] == ["prune", "cluster", "quantize"]


def test_report_names_the_versions_of_the_packages(make, monkeypatch):
    monkeypatch.setattr(report_files, "PACKAGES", ("keras", "no-such-package"))
    assert make()["environment"]["packages"] == {
        "keras": importlib.metadata.version("keras"),
        "no-such-package": None,
    }


def test_written_report_is_read_unchanged(make, images, tmp_path):
    made = make(dataset={"name": "kočky", "classes": ["kočka", "犬", "c"]})
    report.write(made, tmp_path, images)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        *("README.md", "report.html", "report.json", "report.md")
    ]
    assert report.read(tmp_path / "report.json") == made
    text = (tmp_path / "report.md").read_text(encoding="utf-8")
    assert text.startswith("# squeezenet on kočky\n")


@pytest.mark.parametrize(
    "content, message",
    [
        ("{}", "of version 3. Received: version=None$"),
        ("[]", "of version 3. Received: version=None$"),
        ('{"version": 1}', "Received: version=1; run `compress` again$"),
        ("x", "Expecting value"),
    ],
)
def test_file_that_is_not_a_report_is_refused(content, message, tmp_path):
    (tmp_path / "report.json").write_text(content)
    with pytest.raises(ValueError, match=message):
        report.read(tmp_path / "report.json")
