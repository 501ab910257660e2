"""Networks with their cards, uploaded to a server on loopback."""

import json
import os
import re

import hub_server
import numpy as np
import pytest
from PIL import Image

from keras_squeezenet import metadata
from keras_squeezenet import models
from keras_squeezenet.cli import upload
from keras_squeezenet.pretrained import hub
from keras_squeezenet.report import model_card

ADDRESS = "hf://owner/quarters"
REPOSITORY = "owner/quarters"


@pytest.fixture(scope="module")
def network(make_model, randomize, tmp_path_factory):
    """The content of the model.keras of a small network."""
    model = randomize(make_model())
    names = tuple("abcdefghij"[: model.output_shape[-1]])
    metadata.attach(model, metadata.describe(model, class_names=names))
    path = tmp_path_factory.mktemp("network") / "model.keras"
    models.save(model, path)
    return path.read_bytes()


@pytest.fixture
def folder(network, tmp_path, monkeypatch):
    """A folder as `finetune` leaves it, with what must not be uploaded."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "out"
    (folder / "top").mkdir(parents=True)
    (folder / "model.keras").write_bytes(network)
    report = {
        "dataset": {"name": "quarters", "classes": ["a", "b"]},
        "parameters": 123,
        "best_epoch": 1,
        "recipe": {"epochs": 1},
        "validation_accuracy": 0.5,
        "test_accuracy": 0.25,
    }
    (folder / "report.json").write_text(json.dumps(report))
    model_card.write(report, folder)
    for name in (
        *("last.npz", ".keras_squeezenet.lock", ".unfinished.npz", "a.part"),
        *("events.out.tfevents.1", "top/last.npz", "top/model.keras"),
    ):
        (folder / name).write_bytes(b"secret")
    (folder / "saved_model" / "variables").mkdir(parents=True)
    (folder / "saved_model" / "saved_model.pb").write_bytes(b"graph")
    (tmp_path / "private.txt").write_text("secret")
    os.symlink(tmp_path / "private.txt", folder / "link.txt")
    return folder


UPLOADED = {
    *("README.md", "model.keras", "report.json", "saved_model/saved_model.pb"),
}


@pytest.fixture
def server(hub_on_loopback, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", hub_server.TOKEN)
    return hub_on_loopback


def test_files_are_listed_and_uploaded_in_one_commit(
    server, folder, network, run_command
):
    status, out, _ = run_command(
        upload, folder, ADDRESS, "--message=The first", "--revision=v1"
    )
    assert status == 0
    files = server.files[REPOSITORY]
    assert set(files) == UPLOADED
    assert files["model.keras"] == network
    assert not any(b"secret" in content for content in files.values())
    assert server.messages == [("v1", "The first")]
    assert server.branches == {"v1": REPOSITORY}
    assert server.public == {REPOSITORY}
    # Large files go another way than small ones.
    assert set(server.large.values()) == {network}
    assert f"To {ADDRESS}" in out
    assert re.search(rf"model\.keras +{len(network):,}\n", out)
    assert "The license is not filled in" in out
    assert f"--model={ADDRESS}@{hub_server.COMMIT}" in out


def test_dry_run_lists_and_asks_for_nothing(
    hub_on_loopback, folder, run_command
):
    status, out, _ = run_command(upload, folder, ADDRESS, "--dry_run")
    assert status == 0
    assert hub_on_loopback.requests == []
    listed = re.findall(r"^([\w./]+) +[\d,]+$", out, re.MULTILINE)
    assert set(listed) == UPLOADED
    assert "Nothing was uploaded." in out


def test_card_is_printed_without_an_upload(
    hub_on_loopback, folder, run_command
):
    assert run_command(upload, folder, "--card") == (
        *(0, (folder / "README.md").read_text(), ""),
    )
    _, out, _ = run_command(upload, folder, ADDRESS, "--card")
    assert f'classifier.load("{ADDRESS}/model.keras")\n' in out
    assert hub_on_loopback.requests == []


def test_card_is_made_where_there_is_none(folder, run_command):
    expected = (folder / "README.md").read_text()
    (folder / "README.md").unlink()
    assert run_command(upload, folder, "--card") == (0, expected, "")


def test_license_note_names_the_card_or_how_to_write_it(folder, run_command):
    _, out, _ = run_command(upload, "out", ADDRESS, "--dry_run")
    assert "at the top of out/README.md." in " ".join(out.split())
    (folder / "README.md").unlink()
    _, out, _ = run_command(upload, "out", ADDRESS, "--dry_run")
    command = "`keras-squeezenet upload out --card > out/README.md` writes."
    assert command in " ".join(out.split())


def test_card_is_made_where_a_shell_has_just_opened_its_file(
    folder, run_command
):
    expected = (folder / "README.md").read_text()
    (folder / "README.md").write_text("")
    _, out, _ = run_command(upload, folder, "--card")
    assert out == expected


def test_filled_in_card_is_uploaded_as_it_is(server, folder, run_command):
    text = (folder / "README.md").read_text()
    text = text.replace("license: unknown", "license: mit") + "\nMine.\n"
    (folder / "README.md").write_text(text)
    _, out, _ = run_command(upload, folder, ADDRESS)
    assert "The license is not filled in" not in out
    assert server.files[REPOSITORY]["README.md"].decode() == text.replace(
        '"model.keras"', f'"{ADDRESS}/model.keras"'
    )
    assert (folder / "README.md").read_text() == text


def test_five_lines_of_the_card_classify_a_photograph(
    server, folder, run_command, capsys
):
    run_command(upload, folder, ADDRESS)
    card = server.files[REPOSITORY]["README.md"].decode()
    code = re.search(r"```python\n(.+?)```", card, re.DOTALL)[1]
    pixels = np.random.default_rng(0).integers(0, 256, (50, 70, 3), "uint8")
    Image.fromarray(pixels).save("photograph.jpg")
    names = {}
    exec(code, names)
    assert names["network"].name == (
        f"{ADDRESS}/model.keras@{hub_server.COMMIT}"
    )
    label, probability = capsys.readouterr().out.split()
    index = names["probabilities"].argmax()
    assert label == "abcdefghij"[index]
    assert float(probability) == names["probabilities"][index]


def test_private_repository_is_made(server, folder, run_command):
    run_command(upload, folder, ADDRESS, "--private")
    assert server.public == set()
    assert set(server.files[REPOSITORY]) == UPLOADED


def test_public_repository_gets_nothing_that_is_private(
    server, folder, run_command
):
    server.files[REPOSITORY] = {}
    server.public.add(REPOSITORY)
    with pytest.raises(hub.HubError, match="is public, and --private was"):
        run_command(upload, folder, ADDRESS, "--private")
    assert server.files[REPOSITORY] == {}


@pytest.mark.parametrize(
    "token, address, reason",
    [
        (None, ADDRESS, "needs a token: set HF_TOKEN"),
        ("hf_wrong", ADDRESS, "if it is valid: set HF_TOKEN"),
        ("hf_reader", ADDRESS, "may read only: set HF_TOKEN"),
        (hub_server.TOKEN, "hf://other/name", "one of owner, lab"),
    ],
)
def test_missing_right_is_told_before_anything_is_sent(
    token, address, reason, server, folder, monkeypatch, run_command
):
    monkeypatch.delenv("HF_TOKEN")
    if token:
        monkeypatch.setenv("HF_TOKEN", token)
    with pytest.raises(hub.HubError, match=reason) as caught:
        run_command(upload, folder, address)
    assert "\n" not in str(caught.value)
    assert server.paths("POST") == []


def test_refused_commit_is_one_sentence(server, folder, run_command):
    server.files[REPOSITORY] = {}
    server.errors[REPOSITORY] = (403, "")
    with pytest.raises(hub.HubError, match="may not be used with this token"):
        run_command(upload, folder, ADDRESS)
    assert server.files[REPOSITORY] == {}


def test_hub_that_cannot_be_reached_is_one_sentence(
    server, folder, run_command
):
    server.close()
    with pytest.raises(hub.HubError, match="Connect to the internet") as caught:
        run_command(upload, folder, ADDRESS)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "arguments, reason",
    [
        ((), "a folder and an address must be given"),
        (("out",), "a folder and an address must be given"),
        (("out", ADDRESS, "more"), "a folder and an address must be given"),
        (("out/top", ADDRESS), "must be one that train, finetune"),
        ((ADDRESS, "out"), f"the folder comes first.*: {ADDRESS} out"),
        (("out", "owner/name"), "an address on the hub must be hf://"),
        (("out", f"{ADDRESS}/a.sqz"), "a branch is given with --revision"),
        (("out", f"{ADDRESS}@v1"), "a branch is given with --revision"),
    ],
)
def test_other_arguments_are_refused(arguments, reason, folder, run_command):
    with pytest.raises(ValueError, match=reason):
        run_command(upload, *arguments)


def test_damaged_report_is_named(folder, run_command):
    (folder / "README.md").unlink()
    (folder / "report.json").write_text('{"phases": 1}')
    with pytest.raises(ValueError, match="report.json cannot be read as a"):
        run_command(upload, folder, "--card")
