import functools
import http.server
import json
import os
import threading

import numpy as np
import pytest
from absl.testing import flagsaver
from PIL import Image

from keras_squeezenet import classifier
from keras_squeezenet import imagenet
from keras_squeezenet.cli import predict
from keras_squeezenet.pretrained import download

DEEP_COMPRESSION = "--model=imagenet_deep_compression"
# Photographs whose class the network is sure of, and its name.
SURE = {
    "n01829413_hornbill.jpg": (93, "hornbill"),
    "n02110341_dalmatian.jpg": (251, "dalmatian"),
    "n02391049_zebra.jpg": (340, "zebra"),
    "n02509815_lesser_panda.jpg": (387, "lesser_panda"),
    "n02782093_balloon.jpg": (417, "balloon"),
    "n03662601_lifeboat.jpg": (625, "lifeboat"),
    "n04254680_soccer_ball.jpg": (805, "soccer_ball"),
    "n07715103_cauliflower.jpg": (938, "cauliflower"),
}
LEVELS = 10
SIDE = 4


class Stub:
    """A network that finds the class that is an image's level of grey."""

    def __init__(self):
        self.batches = []
        self.arguments = None

    def __call__(self, x):
        self.batches.append(len(x))
        levels = np.round(x[:, 0, 0, 2] + 123.68).astype(int)
        return 0.7 * np.eye(LEVELS)[levels] + 0.03

    def load(self, *arguments):
        self.arguments = arguments
        names = tuple((None, f"level_{i}") for i in range(LEVELS))
        return classifier.Classifier("stub", self, SIDE, names)


@pytest.fixture
def stub(monkeypatch):
    stub = Stub()
    monkeypatch.setattr(classifier, "load", stub.load)
    return stub


@pytest.fixture
def photos(tmp_path, monkeypatch):
    """A working folder with images of the levels 0 to 4."""
    monkeypatch.chdir(tmp_path)
    for level, name in enumerate(
        ["b.png", "a.jpg", "sub/d.JPG", "sub/c.gif", "sub/deep/e.webp"]
    ):
        write_image(name, level)
    return tmp_path


def write_image(path, level, **options):
    folder = os.path.dirname(path)
    os.makedirs(folder or os.curdir, exist_ok=True)
    pixels = np.full((SIDE, SIDE, 3), level, "uint8")
    # Without loss in WebP, and nearly so in JPEG.
    Image.fromarray(pixels).save(path, quality=100, lossless=True, **options)


@pytest.fixture
def run(run_command):
    return functools.partial(run_command, predict)


def found(run, *arguments, err=""):
    """Runs the command with `--json`; returns `{file: best class}`."""
    status, out, printed = run("--json", *arguments)
    assert (status, printed) == (0, err)
    assert out.startswith("["), out
    results = json.loads(out)
    best = {each["file"]: each["predictions"][0]["index"] for each in results}
    assert len(best) == len(results)
    return best


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture
def mirror(shared_data):
    """The address of a local server that has the weights."""
    folder = shared_data / "weights"
    handler = functools.partial(QuietHandler, directory=folder)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def public_weights(shared_data, monkeypatch, tmp_path):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setenv(download.MIRROR, str(shared_data / "weights"))


def test_files_are_found_once_in_the_order_of_the_arguments(run, stub, photos):
    best = found(run, "b.png", "sub/c.gif", "a.jpg", "*.png", "b.png")
    assert list(best.items()) == [("b.png", 0), ("sub/c.gif", 3), ("a.jpg", 1)]


def test_folder_is_searched_with_its_sub_folders(run, stub, photos):
    assert list(found(run, ".").items()) == [
        ("a.jpg", 1),
        ("b.png", 0),
        ("sub/c.gif", 3),
        ("sub/d.JPG", 2),
        ("sub/deep/e.webp", 4),
    ]


def test_hidden_files_and_other_files_of_a_folder_are_left_out(
    run, stub, photos
):
    write_image(".hidden.png", 5)
    write_image("sub/.hidden/f.png", 6)
    (photos / "sub" / "notes.txt").write_text("no image")
    (photos / "sub" / "folder.jpg").mkdir()
    err = "Files of sub that are left out: 1 hidden, 1 not images\n"
    assert list(found(run, "sub", err=err).values()) == [3, 2, 4]
    assert found(run, ".hidden.png") == {".hidden.png": 5}
    assert found(run, "sub/.hidden") == {"sub/.hidden/f.png": 6}


def test_patterns_are_found_sorted(run, stub, photos):
    write_image("c.jpg", 5)
    assert list(found(run, "?.jpg", "*.png").values()) == [1, 5, 0]
    assert list(found(run, "sub/[cd].*").values()) == [3, 2]


def test_two_stars_are_any_sub_folders(run, stub, photos):
    assert found(run, "**/*.webp") == {"sub/deep/e.webp": 4}
    assert list(found(run, "**/*.*").values()) == [1, 0, 3, 2, 4]


@pytest.mark.parametrize(
    "name", ["a b.png", "ä.png", "[red]x.png", "*.png", "%s.png", "[/].png"]
)
def test_file_names_may_be_odd(name, run, stub, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_image(name, 7)
    write_image("other.png", 1)
    assert found(run, name) == {name: 7}
    status, out, err = run(name)
    assert (status, err) == (0, "")
    assert out.splitlines()[0] == name


def test_file_names_may_begin_with_a_dash(run, stub, photos):
    write_image("-x.png", 7)
    assert found(run, "--", "-x.png") == {"-x.png": 7}
    assert found(run, "./-x.png") == {"./-x.png": 7}


def test_file_names_need_not_be_unicode(run, stub, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    name = os.fsdecode(b"\xff.png")
    write_image(name, 7)
    assert found(run, name) == {name: 7}
    status, out, err = run(".")
    assert (status, err) == (0, "")
    assert out.splitlines()[0] == r"\udcff.png"
    (tmp_path / name).write_text("no image")
    status, out, err = run(".")
    assert (status, out) == (1, "")
    assert r"cannot be read: \udcff.png: cannot identify" in err


@pytest.mark.parametrize("batch_size,batches", [(2, [2, 2, 1]), (32, [5])])
def test_images_are_looked_at_in_batches(
    batch_size, batches, run, stub, photos
):
    best = found(run, ".", f"--batch_size={batch_size}")
    assert list(best.values()) == [1, 0, 3, 2, 4]
    assert stub.batches == batches


def test_batch_without_a_readable_image_is_left_out(run, stub, photos):
    status, out, err = run("--json", "--batch_size=1", "b.png", "x", "a.jpg")
    assert status == 1
    assert [each["file"] for each in json.loads(out)] == ["b.png", "a.jpg"]
    assert stub.batches == [1, 1]


def test_text_names_the_classes_with_their_probabilities(run, stub, photos):
    status, out, err = run("sub/c.gif", "b.png", "--top=2")
    assert (status, err) == (0, "")
    assert out == (
        "sub/c.gif\n"
        "   1   73.00%  level 3\n"
        "   2    3.00%  level 0\n"
        "b.png\n"
        "   1   73.00%  level 0\n"
        "   2    3.00%  level 1\n"
    )


def test_json_has_all_there_is_to_know(run, stub, photos):
    _, out, _ = run("a.jpg", "--json", "--top=2")
    (result,) = json.loads(out)
    first, second = result.pop("predictions")
    assert result == {"file": "a.jpg"}
    assert first == {
        "rank": 1,
        "index": 1,
        "wordnet_id": None,
        "label": "level_1",
        "probability": pytest.approx(0.73),
    }
    assert (second["rank"], second["index"]) == (2, 0)


@pytest.mark.parametrize("top,count", [(None, 5), (1, 1), (99, 10)])
def test_top_is_how_many_classes_are_named(top, count, run, stub, photos):
    arguments = [f"--top={top}"] if top else []
    _, out, _ = run("--json", "a.jpg", *arguments)
    assert len(json.loads(out)[0]["predictions"]) == count
    _, out, _ = run("a.jpg", *arguments)
    assert len(out.splitlines()) == 1 + count


def test_flags_reach_the_network(run, stub, photos):
    found(run, ".")
    assert stub.arguments == ("imagenet", None, None, None, None)
    found(run, ".", "--model=a.npz", "--config=1.0", "--image_size=64")
    assert stub.arguments == ("a.npz", "1.0", 64, None, None)


@pytest.mark.parametrize(
    "arguments,message",
    [
        ([], "an image must be given: .*Received: none"),
        (["a.keras", "a.jpg"], "the model with --model. .*: a.keras"),
        (["a.npz", "a.jpg"], "the model with --model. .*: a.npz"),
        ([".", "--top=0"], "must be .*Received: --top=0"),
        ([".", "--batch_size=0"], "must be .*Received: --batch_size=0"),
    ],
)
def test_bad_arguments_are_refused(arguments, message, run, stub, photos):
    with pytest.raises(ValueError, match=message):
        run(*arguments)
    assert stub.arguments is None


@pytest.mark.parametrize("name", ["empty", "*.bmp", "sub/*/*/*", "sub/d*p"])
def test_argument_that_names_nothing_is_an_error(name, run, stub, photos):
    (photos / "empty").mkdir()
    with pytest.raises(
        ValueError, match="must contain images. .*, which contains none"
    ):
        run("a.jpg", name)
    # Before anything is downloaded.
    assert stub.arguments is None


@pytest.mark.parametrize("output", ["--json", "--nojson"])
@pytest.mark.parametrize(
    "name,reason",
    [
        ("text.jpg", "cannot identify image file"),
        ("missing.jpg", "No such file or directory\n"),
        ("missing/", "No such file or directory\n"),
    ],
)
def test_what_cannot_be_read_is_named_and_skipped(
    name, reason, output, run, stub, photos
):
    (photos / "text.jpg").write_text("no image")
    status, out, err = run(output, "b.png", name, "a.jpg")
    assert status == 1
    start = f"keras-squeezenet predict: skipped, cannot be read: {name}: "
    assert err.startswith(start)
    assert reason in err
    assert err.count("\n") == 1
    if output == "--json":
        assert [each["file"] for each in json.loads(out)] == ["b.png", "a.jpg"]
    else:
        lines = out.splitlines()
        assert [line for line in lines if line[0] != " "] == ["b.png", "a.jpg"]


def test_file_without_permission_is_named_and_skipped(run, stub, photos):
    (photos / "a.jpg").chmod(0)
    if os.access("a.jpg", os.R_OK):
        pytest.skip("this user may read everything")
    status, out, err = run(".")
    assert status == 1
    assert err.endswith("a.jpg: Permission denied\n")


def test_nothing_readable_leaves_an_empty_list(run, stub, photos):
    (photos / "x.jpg").write_text("no image")
    status, out, err = run("--json", "x.jpg", "missing.jpg")
    assert (status, json.loads(out)) == (1, [])
    assert err.count("skipped") == 2
    status, out, err = run("x.jpg")
    assert (status, out) == (1, "")
    assert stub.batches == []


@pytest.mark.parametrize("error", [KeyError, MemoryError])
def test_error_without_a_text_is_named_by_its_kind(error, stub):
    def read(path):
        raise error

    network = stub.load()
    object.__setattr__(network, "read", read)
    unreadable = {}
    with flagsaver.flagsaver():
        predict.FLAGS(["predict"])
        found = predict.predict(network, ["a.jpg"], unreadable)
        if error is MemoryError:
            # It is not a damaged file.
            with pytest.raises(MemoryError):
                list(found)
        else:
            assert list(found) == []
            assert unreadable == {"a.jpg": "KeyError()"}


@pytest.mark.parametrize(
    "weights,text",
    [
        ("imagnet", "Received: imagnet. Did you mean 'imagenet'"),
        ("a.jpg", "weights file must end with one of.*a.jpg"),
        ("sub", "that of a SavedModel.*Received: sub"),
    ],
)
def test_bad_weights_are_an_error(weights, text, run, photos):
    with pytest.raises((ValueError, OSError), match=text):
        run(".", f"--model={weights}")


def test_weights_that_cannot_be_downloaded_are_an_error(
    run, photos, monkeypatch
):
    monkeypatch.setenv(download.MIRROR, "http://127.0.0.1:9")
    with pytest.raises(OSError, match="cannot be downloaded.*Without the int"):
        run("--json", ".")


def test_trained_network_names_its_own_classes(run, model_path, photos):
    status, out, err = run(f"--model={model_path}", "a.jpg")
    assert (status, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == "a.jpg"
    names = {line.split("%  ")[1] for line in lines[1:]}
    assert names == {"a", "b", "c", "d"}
    (photos / "names.txt").write_text("Vogel\nKatze\nGreat_Dane\nHai\n")
    _, out, _ = run(f"--model={model_path}", "a.jpg", "--labels=names.txt")
    assert "Great Dane" in out and "%  b" not in out


def test_photographs_are_what_they_show(run, public_weights, photographs):
    folder = photographs[0].parent
    _, out, _ = run(
        "--json", "--top=1", DEEP_COMPRESSION, *(str(folder / n) for n in SURE)
    )
    for result, (name, (index, label)) in zip(
        json.loads(out), SURE.items(), strict=True
    ):
        assert result["file"] == str(folder / name)
        (best,) = result["predictions"]
        assert best.pop("probability") > 0.98
        assert best == {
            "rank": 1,
            "index": index,
            "wordnet_id": name.partition("_")[0],
            "label": label,
        }
        assert imagenet.imagenet_classes()[index][1] == label


def test_download_prints_nothing_between_the_json(
    run, mirror, monkeypatch, tmp_path, photographs
):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setenv(download.MIRROR, mirror)
    status, out, err = run("--json", DEEP_COMPRESSION, str(photographs[0]))
    assert status == 0
    assert len(json.loads(out)) == 1
    assert "675763/675763" in err
    assert (tmp_path / "models" / "compressed_SqueezeNet.net").is_file()


@pytest.mark.slow
def test_command_prints_json_and_nothing_else(
    start, mirror, photographs, tmp_path
):
    (tmp_path / "text.jpg").write_text("no image")
    zebra = photographs[340]
    process = start(
        *("predict", "--json", "--top", "1", str(zebra), str(tmp_path)),
        DEEP_COMPRESSION,
        KERAS_HOME=str(tmp_path),
        KERAS_SQUEEZENET_MIRROR=mirror,
    )
    stdout, stderr = process.communicate()
    assert process.returncode == 1
    assert stderr.splitlines()[-1] == (
        "keras-squeezenet predict: skipped, cannot be read: "
        f"{tmp_path}/text.jpg: cannot identify image file "
        f"'{tmp_path}/text.jpg'"
    )
    (zebras,) = json.loads(stdout)
    assert zebras["predictions"][0]["label"] == "zebra"


@pytest.fixture
def many_of_one_name(tmp_path, monkeypatch):
    """A working folder with several images called x."""
    monkeypatch.chdir(tmp_path)
    for level, name in enumerate(["one/x.png", "two/x.png", "two/x.bmp"]):
        write_image(name, 40 * level)
    return ["one/x.png", "two/x.bmp", "two/x.png"]


def test_explanations_are_written_for_each_photograph(
    run, many_of_one_name, model_path
):
    status, out, err = run(
        "one", "two", f"--model={model_path}", "--explain=maps", "--json"
    )
    assert (status, err) == (0, "")
    results = json.loads(out)
    assert [result["file"] for result in results] == many_of_one_name
    assert [result["explanation"] for result in results] == [
        *("maps/1_x.jpg", "maps/2_x.jpg", "maps/3_x.jpg")
    ]
    assert sorted(os.listdir("maps")) == ["1_x.jpg", "2_x.jpg", "3_x.jpg"]
    # The photograph and three classes, enlarged to 14 times 16 pixels.
    assert Image.open("maps/1_x.jpg").size == (8 + 4 * (224 + 8), 305)
    with pytest.raises(FileExistsError, match="--overwrite"):
        run("one", f"--model={model_path}", "--explain=maps")
    _, out, _ = run(
        *("one", "no.png", f"--model={model_path}"),
        *("--explain=maps", "--overwrite", "--top=1"),
    )
    assert out.endswith("\nWritten to maps\n")
    assert Image.open("maps/1_x.jpg").size[0] == 8 + 2 * (224 + 8)


@pytest.mark.parametrize("model", ["a.tflite", "folder", "a.onnx"])
def test_forms_without_layers_cannot_be_explained(model, run, stub, photos):
    (photos / "folder").mkdir()
    with pytest.raises(
        ValueError,
        match=r"--explain needs .*: a .keras or .sqz file, or weights .*: "
        f"{model}",
    ):
        run("a.jpg", f"--model={model}", "--explain=maps")
    assert stub.arguments is None
    assert not os.path.exists("maps")
