import base64
import hashlib
import json

import numpy as np
import pytest

from keras_squeezenet import SqueezeNet
from keras_squeezenet import codec
from keras_squeezenet import export
from keras_squeezenet import metadata
from keras_squeezenet.export import web_page


@pytest.fixture(scope="module")
def model(make_model):
    model = make_model()
    found = metadata.Metadata("torch", 16, class_names=tuple("äbcd"))
    metadata.attach(model, found)
    return model


def settings_of(folder):
    text = (folder / web_page.SETTINGS_FILE).read_text(encoding="utf-8")
    return json.loads(text)


def install(folder, monkeypatch):
    """Write a small TensorFlow.js to where npm would install it."""
    for name, file in web_page.RUNTIME_FILES.items():
        path = folder / "node_modules" / file.package_path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
        digest = base64.b64encode(hashlib.sha384(name.encode()).digest())
        monkeypatch.setitem(
            web_page.RUNTIME_FILES,
            name,
            web_page.RuntimeFile(
                file.package, file.path, len(name), digest.decode()
            ),
        )


def test_page_has_the_network_and_what_it_needs_to_know(model, tmp_path):
    web_page.write_web(model, tmp_path / "page")
    content = (tmp_path / "page" / "model.sqz").read_bytes()
    settings = settings_of(tmp_path / "page")
    runtime = settings.pop("runtime")
    assert settings == {
        "name": model.name,
        "labels": ["ä", "b", "c", "d"],
        "side": 16,
        "shorter_side": 16,
        "network": {"url": "model.sqz", "bytes": len(content)},
    }
    assert runtime["core"] == {
        "url": "https://cdn.jsdelivr.net/npm/@tensorflow/tfjs-core@4.22.0/"
        "dist/tf-core.es2017.min.js",
        "integrity": "sha384-pwFlZMvh0feP+i0lcqJy+EGMsa8y8MInwWkUgARHZEHUGyTN"
        "qxnqfi38fzMU994Z",
        "bytes": 255317,
    }
    assert list(runtime) == ["core", "backend", "wasm"]
    images = np.random.default_rng(0).normal(size=(2, 16, 16, 3))
    np.testing.assert_array_equal(
        web_page.load(tmp_path / "page")(images),
        model.predict_on_batch(images),
    )
    assert codec.loads(content).metadata == model.metadata


def test_everything_that_the_page_loads_is_in_the_folder(model, tmp_path):
    web_page.write_web(model, tmp_path / "page")
    modules = list((tmp_path / "page").rglob("*.js"))
    assert len(modules) > 9
    for module in modules:
        lines = module.read_text(encoding="utf-8").splitlines()
        for line in lines:
            if line.startswith("import ") or line.startswith("} from "):
                name = line.split('"')[1]
                assert (module.parent / name).is_file(), line
    page = (tmp_path / "page" / "index.html").read_text(encoding="utf-8")
    assert 'src="page.js"' in page and 'href="style.css"' in page


def test_imagenet_classes_are_named_and_photographs_cropped(tmp_path):
    model = SqueezeNet(weights=None, input_shape=(40, 40, 3))
    web_page.write_web(model, tmp_path / "page")
    settings = settings_of(tmp_path / "page")
    assert settings["labels"][:2] == ["tench", "goldfish"]
    assert len(settings["labels"]) == 1000
    assert (settings["side"], settings["shorter_side"]) == (40, 45)


def test_sqz_file_is_taken_as_it_is(model, tmp_path):
    path = tmp_path / "mine.sqz"
    codec.save(model, path, provenance={"from": "here"})
    result = export.export(path, "web", tmp_path / "out")
    written = tmp_path / "out" / "web" / "model.sqz"
    assert written.read_bytes() == path.read_bytes()
    (file,) = result.files
    assert file.max_difference < 1e-6 and file.agreement == 1
    assert file.normalization == "torch"


def test_runtime_is_copied(model, tmp_path, monkeypatch):
    install(tmp_path / "tfjs", monkeypatch)
    export.export(model, "web", tmp_path / "out", runtime=tmp_path / "tfjs")
    page = tmp_path / "out" / "web"
    for name, file in settings_of(page)["runtime"].items():
        assert (page / file["url"]).read_text() == name
        assert file["url"].startswith("runtime/")


def test_runtime_that_is_not_there_is_refused(model, tmp_path, monkeypatch):
    install(tmp_path / "tfjs", monkeypatch)
    wasm = web_page.RUNTIME_FILES["wasm"].package_path
    path = tmp_path / "tfjs" / "node_modules" / wasm
    path.write_text("another version")
    with pytest.raises(ValueError, match="version 4.22.0.*Run in .*npm inst"):
        export.export(model, "web", tmp_path / "out", runtime=tmp_path / "tfjs")
    path.unlink()
    with pytest.raises(FileNotFoundError, match="simd.wasm. Run in it: npm"):
        export.export(model, "web", tmp_path / "out", runtime=tmp_path / "tfjs")
    assert not (tmp_path / "out").exists()


def test_network_that_is_not_a_classifier_is_refused(tmp_path):
    model = SqueezeNet(weights=None, include_top=False, input_shape=(40, 40, 3))
    with pytest.raises(ValueError, match="a classifier of square images"):
        web_page.write_web(model, tmp_path / "page")
    model = SqueezeNet(weights=None, input_shape=(40, 48, 3))
    with pytest.raises(ValueError, match=r"Received: \(None, 40, 48, 3\)"):
        web_page.write_web(model, tmp_path / "page")
    assert not (tmp_path / "page").exists()
