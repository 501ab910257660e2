import json
import shutil
import subprocess

import pytest

from keras_squeezenet.utils import digests

# The output of `printf 'old' | sha256sum`.
OLD = "cba06b5736faf67e54b07b561eae94395e774c517a7d910a54369e1263ccfbd4"
NAME = "model_int8.tflite"


@pytest.fixture
def path(tmp_path):
    path = tmp_path / NAME
    path.write_bytes(b"old")
    return path


def write_report(path, content, name="report.json"):
    path.with_name(name).write_text(json.dumps(content))


def test_digest_beside_a_file_is_required(path):
    digests.write(path)
    digests.require(path, b"old")
    message = (
        f"{NAME} differs from the one that {NAME}.sha256 describes: its "
        f"SHA-256 digest must be {OLD}. Received: "
    )
    with pytest.raises(ValueError, match=message):
        digests.require(path, b"new")
    digests.forget(path)
    digests.forget(path)
    digests.require(path, b"new")


@pytest.mark.skipif(not shutil.which("sha256sum"), reason="has no sha256sum")
def test_digest_is_checked_by_the_usual_program(path):
    digests.write(path)
    command = ["sha256sum", "--check", f"{NAME}.sha256"]
    subprocess.run(command, cwd=path.parent, check=True, capture_output=True)


@pytest.mark.parametrize("name", ["report.json", "export.json"])
def test_digest_of_a_report_is_required(name, path):
    rows = [{"name": "other.tflite", "sha256": "0"}, {"name": NAME}]
    rows[1]["sha256"] = OLD
    write_report(path, {"files": rows}, name)
    digests.require(path, b"old")
    with pytest.raises(ValueError, match=f"the one that {name} describes"):
        digests.require(path, b"new")


@pytest.mark.parametrize(
    "content",
    [[], {}, {"files": 3}, {"files": [3]}, {"files": [{"name": NAME}]}],
)
def test_other_reports_say_nothing(content, path):
    write_report(path, content)
    digests.require(path, b"new")


def test_formats_with_a_checksum_are_not_checked(path):
    path = path.rename(path.with_suffix(".keras"))
    digests.write(path)
    digests.require(path, b"new")
