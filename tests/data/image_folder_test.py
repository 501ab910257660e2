import logging
import os
import re
import shutil

import numpy as np
import pytest
from PIL import Image

from keras_squeezenet import data
from keras_squeezenet.data import decode
from keras_squeezenet.data import image_ops
from keras_squeezenet.data import image_reader
from keras_squeezenet.data import lazy_examples
from keras_squeezenet.data.image_folder import training_folder


def load(folder, **options):
    return data.load(folder, image_size=8, **options)


def levels(split):
    """`(gray level, label)` of each image, in order."""
    return [(int(image[0, 0, 0]), int(label)) for image, label in split]


def write_bad(path):
    path.write_text("no image")


def test_class_folders_alone_are_split_class_by_class(image_folder):
    images = load(image_folder)
    assert (images.name, images.image_size) == (image_folder.name, 8)
    assert (images.class_names, images.skipped) == (("cat", "dog"), ())
    assert (images.train_size, images.test_size) == (16, 4)
    train, test = levels(images.train), levels(images.test)
    assert sorted(label for _, label in test) == [0, 0, 1, 1]
    assert sorted(train + test) == [(i, i // 10) for i in range(20)]
    # The training images come mixed.
    labels = [label for _, label in train]
    assert labels != sorted(labels)


def test_photographs_in_one_folder_or_several_need_no_classes(
    tmp_path, write_images
):
    write_images(tmp_path, ["a.png", "b.png", "c.png"])
    write_images(tmp_path / "2024", ["d.png", "e.png"])
    images = load(tmp_path, labeled=False)
    assert images.class_names == () and not images.is_labeled
    assert (images.train_size, images.test_size) == (4, 1)
    found = levels(images.train) + levels(images.test)
    assert sorted(level for level, _ in found) == [0, 1, 2, 3, 4]
    again = load(tmp_path, labeled=False)
    assert levels(again.train) == levels(images.train)


def test_sets_without_labels_may_be_folders(tmp_path, write_images):
    for split in ("train", "val", "test"):
        write_images(tmp_path / split, ["a.png", "b.png"])
    images = load(tmp_path, labeled=False)
    sets = images.train, images.validation, images.test
    assert [each.size for each in sets] == [2, 2, 2]


def test_too_few_photographs_are_refused(tmp_path, write_images):
    write_images(tmp_path, ["a.png", "b.png"])
    with pytest.raises(ValueError, match="at least 3 images.*which has 2"):
        load(tmp_path, labeled=False)
    with pytest.raises(ValueError, match="must be an existing folder"):
        load(tmp_path / "none", labeled=False)


def test_split_is_the_same_for_the_same_seed(image_folder):
    tests = [levels(load(image_folder, seed=seed).test) for seed in (0, 0, 1)]
    assert tests[0] == tests[1] != tests[2]


def test_split_of_a_class_does_not_depend_on_the_others(
    image_folder, write_images
):
    before = levels(load(image_folder).test)
    write_images(image_folder / "ant", [f"{i}.png" for i in range(7)])
    after = levels(load(image_folder).test)
    assert after[1:] == [(level, label + 1) for level, label in before]


def test_small_class_gives_one_test_image(tmp_path, write_images):
    for name in ("cat", "dog"):
        write_images(tmp_path / name, ["a.png", "b.png"])
    images = load(tmp_path)
    assert (images.train_size, images.test_size) == (2, 2)


@pytest.mark.parametrize("test", ["test", "val", "validation", "valid"])
def test_train_and_test_folders_are_the_splits(test, tmp_path, write_images):
    for split in ("train", test):
        for name in ("cat", "dog"):
            write_images(tmp_path / split / name, ["b.png", "a.png"])
    images = load(tmp_path)
    assert images.class_names == ("cat", "dog")
    assert sorted(levels(images.train)) == [(0, 0), (1, 0), (2, 1), (3, 1)]
    # In the order of the file names.
    assert levels(images.test) == [(5, 0), (4, 0), (7, 1), (6, 1)]


@pytest.mark.parametrize("names", [("Train", "Test"), ("training", "TESTING")])
def test_splits_have_their_names_in_any_case(names, tmp_path, write_images):
    for split in names:
        for name in ("cat", "dog"):
            write_images(tmp_path / split / name, ["a.png"])
    images = load(tmp_path)
    assert images.class_names == ("cat", "dog")
    assert sorted(levels(images.train)) == [(0, 0), (1, 1)]
    assert (levels(images.test), images.validation) == ([(2, 0), (3, 1)], None)


@pytest.mark.parametrize("third", ["val", "Validation", "valid", "dev", "eval"])
def test_third_folder_is_the_validation_set(third, tmp_path, write_images):
    for split in ("train", third, "test"):
        for name in ("cat", "dog"):
            write_images(tmp_path / split / name, ["a.png"])
    images = load(tmp_path)
    assert levels(images.validation) == [(2, 0), (3, 1)]
    assert levels(images.test) == [(4, 0), (5, 1)]
    assert images.origins["validation"] == f"the folder {third}"
    both = [*levels(images.train), (2, 0), (3, 1), (4, 0), (5, 1)]
    assert levels(images.split("all")) == both


def test_images_keep_their_paths(image_folder, tmp_path, monkeypatch):
    for limit in (lazy_examples.CACHE_LIMIT, 0):
        monkeypatch.setattr(lazy_examples, "CACHE_LIMIT", limit)
        images = load(image_folder).split_validation(0.25)
        names = [*images.train.names, *images.validation.names]
        assert len(names) == 16
        for examples in (images.train, images.validation, images.test):
            assert [
                (
                    str(
                        image_folder
                        / ("cat", "dog")[label]
                        / f"{level % 10}.png"
                    )
                )
                for level, label in levels(examples)
            ] == list(examples.names)


def test_origins_say_what_became_which_set(
    image_folder, tmp_path, write_images
):
    images = load(image_folder)
    fifths = {"train": "80% of the images", "test": "the other 20%"}
    assert images.origins == fifths
    share = {"validation": "12.5% of the training images"}
    assert images.split_validation(0.125).origins == {**fifths, **share}
    for split in ("train", "val"):
        for name in ("cat", "dog"):
            write_images(tmp_path / "sets" / split / name, ["a.png"])
    assert load(tmp_path / "sets").origins == {
        "train": "the folder train",
        "test": "the folder val",
    }


@pytest.mark.parametrize(
    "folders, found",
    [
        (("Train", "test"), "Train"),
        (("train", "val"), "train"),
        (("train",), "."),
        (("train", "holidays"), "."),
        (("test", "val"), "."),
        (("cat", "dog"), "."),
    ],
)
def test_training_folder_is_that_beside_another_set(folders, found, tmp_path):
    for name in folders:
        (tmp_path / name).mkdir()
    assert training_folder(tmp_path) == tmp_path / found


def test_train_folder_alone_is_split(tmp_path, write_images):
    for name in ("cat", "dog"):
        write_images(tmp_path / "Train" / name, [f"{i}.jfif" for i in range(5)])
    images = load(tmp_path)
    assert images.class_names == ("cat", "dog")
    assert (images.train_size, images.test_size) == (8, 2)


@pytest.mark.parametrize("name", ["train", "Val", "testing"])
def test_class_that_is_called_like_a_set_is_refused(
    name, image_folder, write_images
):
    write_images(image_folder / name, ["a.png", "b.png"])
    expected = rf"{name}.* called like a set, beside \['cat', 'dog'\]. Rename"
    with pytest.raises(ValueError, match=expected):
        load(image_folder)


def test_two_folders_for_one_set_are_refused(tmp_path, write_images):
    for split in ("train", "val", "valid"):
        for name in ("cat", "dog"):
            write_images(tmp_path / split / name, ["a.png"])
    expected = "one validation folder. .* 'val' and 'valid'"
    with pytest.raises(ValueError, match=expected):
        load(tmp_path)


def test_images_of_every_suffix_are_found_in_deeper_folders(
    image_folder, write_images
):
    suffixes = "JPG jpeg jfif png bmp GIF webp tiff avif".split()
    names = ["without_suffix", *(f"a.{suffix}" for suffix in suffixes)]
    write_images(image_folder / "cat" / "black" / "old", names)
    images = load(image_folder)
    found = levels(images.train) + levels(images.test)
    assert {(level, 0) for level in range(20, 30)} < set(found)
    assert images.left_out == {}


def test_what_is_left_out_is_counted_by_reason(
    image_folder, write_images, caplog
):
    caplog.set_level(logging.INFO)
    write_images(image_folder / ".cache", ["a.png"])
    write_images(image_folder / "cat", ["._a.png"])
    write_images(image_folder / "cat" / ".thumbnails", ["a.png"])
    write_images(image_folder / "cat" / "@eaDir", ["a.png"])
    write_images(image_folder / "__MACOSX" / "dog", ["a.png", "b.png"])
    write_images(image_folder, ["cover.png"])
    (image_folder / "cat" / "notes.txt").write_text("a cat")
    (image_folder / "cat" / "LICENSE").write_text("free")
    (image_folder / "README.md").write_text("cats and dogs")
    images = load(image_folder)
    assert images.class_names == ("cat", "dog")
    assert images.train_size + images.test_size == 20
    system = "in @eaDir or __MACOSX or $RECYCLE.BIN"
    assert images.left_out == {
        "hidden": 3,
        system: 3,
        "not images": 3,
        "in no class folder": 1,
    }
    assert "3 hidden" in caplog.text and f"3 {system}" in caplog.text


def test_folders_beside_the_sets_are_left_out(tmp_path, write_images):
    for split in ("train", "test", "unlabeled"):
        for name in ("cat", "dog"):
            write_images(tmp_path / split / name, ["a.png"])
    images = load(tmp_path)
    assert (images.train_size, images.test_size) == (2, 2)
    assert images.left_out == {"in folders beside the sets": 2}


def test_images_become_squares_of_224_by_default(image_folder, write_images):
    write_images(image_folder / "cat", ["a.png"], size=(30, 20))
    images = data.load(f"{image_folder}/")
    assert images.image_size == 224
    assert {image.shape for image, _ in images.train} == {(224, 224, 3)}


def test_images_are_decoded_once(image_folder):
    images = load(image_folder)
    expected = levels(images.train)
    for name in images.class_names:
        shutil.rmtree(image_folder / name)
    assert levels(images.train) == expected


def test_images_beyond_the_limit_are_decoded_in_each_epoch(
    image_folder, monkeypatch
):
    kept = load(image_folder)
    monkeypatch.setattr(lazy_examples, "CACHE_LIMIT", 8 * 8 * 3)
    streamed = load(image_folder)
    assert (
        streamed.train.decoded.element_spec == kept.train.decoded.element_spec
    )
    for split in ("train", "test"):
        for _ in range(2):
            assert levels(getattr(streamed, split)) == levels(
                getattr(kept, split)
            )
    batches = streamed.train_batches(16).take(2)
    assert [image.shape for image, _ in batches] == [(16, 8, 8, 3)] * 2
    (image_folder / "cat" / "0.png").unlink()
    with pytest.raises(Exception, match="0.png"):
        levels(streamed.train) + levels(streamed.test)


def test_streamed_test_images_are_cached_where_they_fit(
    image_folder, monkeypatch
):
    monkeypatch.setattr(lazy_examples, "CACHE_LIMIT", 4 * 8 * 8 * 3)
    images = load(image_folder)
    expected = levels(images.test)
    for name in images.class_names:
        shutil.rmtree(image_folder / name)
    assert levels(images.test) == expected


def test_names_of_class_folders_need_not_be_unicode(tmp_path, write_images):
    try:
        (tmp_path / "caf\udce9").mkdir()
    except OSError:
        pytest.skip("this file system takes no such names")
    for name in ("caf\udce9", "tea"):
        write_images(tmp_path / name, ["0.png", "1.png"])
    assert load(tmp_path).class_names == (r"caf\udce9", "tea")


def test_file_names_need_not_be_unicode(image_folder, monkeypatch):
    name = os.fsencode(image_folder / "cat") + b"/\xff.png"
    try:
        os.rename(image_folder / "cat" / "0.png", name)
    except OSError:
        pytest.skip("this file system has Unicode names only")
    monkeypatch.setattr(lazy_examples, "CACHE_LIMIT", 0)
    images = load(image_folder)
    assert len(levels(images.train) + levels(images.test)) == 20


def test_unreadable_images_are_an_error(image_folder):
    for i in range(7):
        write_bad(image_folder / "cat" / f"bad{i}.jpg")
    with pytest.raises(ValueError) as error:
        load(image_folder)
    text = str(error.value)
    assert "Received: 7 that cannot be read" in text
    for i in range(5):
        assert str(image_folder / "cat" / f"bad{i}.jpg") in text
    assert "bad5.jpg" not in text and "and 2 more" in text
    assert "--skip_bad_images (skip_bad_images=True)" in text


def test_unreadable_images_are_skipped_when_asked_to(image_folder):
    write_bad(image_folder / "cat" / "bad.jpg")
    truncated = image_folder / "dog" / "truncated.jpg"
    Image.effect_noise((64, 64), 50).save(truncated)
    truncated.write_bytes(truncated.read_bytes()[:800])
    images = load(image_folder, skip_bad_images=True)
    assert images.skipped == (
        str(image_folder / "cat" / "bad.jpg"),
        str(truncated),
    )
    found = levels(images.train) + levels(images.test)
    assert sorted(found) == [(i, i // 10) for i in range(20)]


def test_missing_memory_is_not_damage(image_folder, monkeypatch):
    def fail(path):
        raise MemoryError("the memory ran out")

    monkeypatch.setattr(image_reader, "read", fail)
    with pytest.raises(MemoryError, match="the memory ran out"):
        load(image_folder, skip_bad_images=True)


@pytest.mark.parametrize(
    "folder, names, message",
    [
        ("none", (), "existing folder.*/none'"),
        (".", ("a.png",), "a sub-folder.*{root}', which has no"),
        (".", ("cat/a.png",), r"at least two classes.*{root}'.*\['cat'\]"),
    ],
)
def test_folder_of_another_layout_is_an_error(
    folder, names, message, tmp_path, write_images
):
    for name in names:
        path = tmp_path / name
        write_images(path.parent, [path.name])
    message = message.format(root=re.escape(str(tmp_path)))
    with pytest.raises(ValueError, match=message):
        load(tmp_path / folder)


def test_class_without_an_image_is_an_error(image_folder):
    (image_folder / "bee").mkdir()
    (image_folder / "bee" / "notes.txt").write_text("none yet")
    with pytest.raises(
        ValueError, match=rf"{re.escape(str(image_folder))}.*none for \['bee'"
    ):
        load(image_folder)


def test_class_without_a_readable_image_is_an_error(image_folder):
    (image_folder / "bee").mkdir()
    write_bad(image_folder / "bee" / "a.png")
    with pytest.raises(ValueError, match=r"readable image.*none for \['bee'\]"):
        load(image_folder, skip_bad_images=True)


@pytest.mark.parametrize(
    "lacking,other", [("test", "train"), ("train", "test")]
)
def test_different_classes_to_test_on_are_an_error(
    lacking, other, tmp_path, write_images
):
    for split in ("train", "test"):
        for name in ("cat", "dog"):
            write_images(tmp_path / split / name, ["a.png"])
    write_images(tmp_path / other / "emu", ["a.png"])
    with pytest.raises(
        ValueError, match=rf"same classes.*/{lacking}', which lacks \['emu'\]"
    ):
        load(tmp_path)


def test_single_image_cannot_be_split(image_folder, write_images):
    write_images(image_folder / "emu", ["a.png"])
    with pytest.raises(ValueError, match="at least two.*'emu'.*emu/a.png"):
        load(image_folder)


def test_flowers_are_read(shared_data):
    flowers = data.load(shared_data / "flowers12")
    assert (flowers.train_size, flowers.test_size) == (720, 240)
    assert len(flowers.class_names) == 12
    assert flowers.class_names[0] == "bluebell"
    labels = [int(label) for _, label in flowers.test]
    assert np.bincount(labels).tolist() == [20] * 12
    image, _ = next(iter(flowers.train_batches(32)))
    assert image.shape == (32, 224, 224, 3)
    assert -124 <= image.numpy().min() and image.numpy().max() <= 152


@pytest.mark.parametrize("limit", [lazy_examples.CACHE_LIMIT, 0])
def test_more_of_an_image_may_be_cut_off(image_folder, limit, monkeypatch):
    monkeypatch.setattr(lazy_examples, "CACHE_LIMIT", limit)
    pixels = np.random.default_rng(0).integers(0, 256, (21, 15, 3))
    path = image_folder / "cat" / "0.png"
    Image.fromarray(pixels.astype("uint8")).save(path)
    found = data.load(image_folder, image_size=8, shorter_side=12).split("all")
    expected = image_ops.square(image_reader.read(path), 8, 12).numpy()
    assert any(
        np.array_equal(image, expected)
        for image, _ in found.decoded.as_numpy_iterator()
    )


def test_bad_image_that_is_decoded_in_each_epoch_is_named(
    image_folder, monkeypatch
):
    monkeypatch.setattr(lazy_examples, "CACHE_LIMIT", 0)
    write_bad(image_folder / "cat" / "bad.jpg")
    images = load(image_folder)
    assert images.train_size + images.test_size == 21
    with pytest.raises(
        decode.UnreadableImageError, match="bad.jpg cannot be read"
    ):
        with decode.named_errors():
            levels(images.split("all"))
    images = load(image_folder, skip_bad_images=True)
    assert images.skipped == (str(image_folder / "cat" / "bad.jpg"),)
    assert len(levels(images.split("all"))) == 20
