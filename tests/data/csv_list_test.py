import os

import numpy as np
import pytest
from PIL import Image

from keras_squeezenet import data
from keras_squeezenet.data import csv_list
from keras_squeezenet.data import image_ops
from keras_squeezenet.data import image_reader
from keras_squeezenet.data import lazy_examples


@pytest.fixture
def write(image_folder):
    """Return a function that writes a CSV file beside the images."""

    def write(text, **options):
        path = image_folder / "list.csv"
        path.write_text(text, **options)
        return path

    return write


def levels(found):
    return [
        (int(image[0, 0, 0]), found.class_names[label])
        for image, label in found.test
    ]


def test_images_are_in_the_order_of_the_file(write):
    path = write("path,label\ndog/1.png,dog\ncat/0.png,cat\ncat/3.png,dog\n")
    found = csv_list.load_all(path, 8)
    assert levels(found) == [(11, "dog"), (0, "cat"), (3, "dog")]
    assert (found.name, found.test_size) == ("list.csv", 3)
    assert found.class_names == ("cat", "dog")
    assert found.skipped == ()


@pytest.mark.parametrize(
    "labels, expected",
    [
        ("10 2 0 1", ("0", "1", "2", "10")),
        ("010 002 000 001", ("000", "001", "002", "010")),
        ("10 2 b a", ("10", "2", "a", "b")),
    ],
)
def test_numbered_classes_are_in_the_order_of_their_numbers(
    labels, expected, write
):
    lines = ["path,label,split"]
    for folder, split in (("cat", "train"), ("dog", "test")):
        for number, label in enumerate(labels.split()):
            lines.append(f"{folder}/{number}.png,{label},{split}")
    path = write("\n".join(lines))
    for found in (csv_list.load_all(path, 8), data.load(path, image_size=8)):
        assert found.class_names == expected
        first = labels.split()[0]
        assert (10, first) in levels(found)
    path = write("\n".join(lines).replace("label", "labels"))
    assert data.load(path, image_size=8).class_names == expected


def test_other_columns_marks_quotes_and_empty_lines_are_allowed(
    write, image_folder
):
    path = write(
        'n,label,path\r\n\r\n1, "a, b", cat/1.png\r\n'
        f"2,ä,{image_folder}/dog/2.png",
        encoding="utf-8-sig",
    )
    assert levels(csv_list.load_all(path, 8)) == [(1, "a, b"), (12, "ä")]


def test_spaces_and_the_case_of_columns_do_not_count(write):
    path = write(
        "Path , LABEL,Split \ncat/1.png ,a, test\ncat/2.png,a ,test \n"
        "cat/3.png, b,train\n"
    )
    found = csv_list.load_all(path, 8)
    assert levels(found) == [(1, "a"), (2, "a")]
    assert found.train.size == 1


def test_image_may_be_there_twice(write):
    path = write("path,label\ncat/1.png,a\ncat/1.png,b\n")
    assert levels(csv_list.load_all(path, 8)) == [(1, "a"), (1, "b")]


def test_all_images_are_the_test_set_without_splits(write):
    found = csv_list.load_all(write("path,label\ncat/1.png,cat\n"), 8)
    assert found.train is None
    assert found.split("test") is found.split("all")
    found = csv_list.load_all(
        write(
            "path,label,split\ncat/1.png,cat,test\ndog/1.png,dog,train\n"
            "dog/0.png,dog,test\n"
        ),
        8,
    )
    assert levels(found) == [(1, "cat"), (10, "dog")]
    assert [int(image[0, 0, 0]) for image, _ in found.train] == [11]
    with pytest.raises(ValueError, match="1 images .* all of the training set"):
        csv_list.load_all(write("path,label,split\ncat/1.png,cat,train\n"), 8)


def test_training_set_may_be_left_out(write):
    found = csv_list.load_all(
        write("path,label,split\ncat/1.png,cat,test\ndog/1.png,dog,test\n"), 8
    )
    assert found.train is None
    assert levels(found) == [(1, "cat"), (11, "dog")]
    found = csv_list.load_all(
        write("path,label,split\ncat/1.png,cat,test\ndog/1.png,dog,val\n"), 8
    )
    assert (found.train, found.validation_size, found.test_size) == (None, 1, 1)


def test_images_are_cut_as_asked_for(write, image_folder):
    pixels = np.random.default_rng(0).integers(0, 256, (21, 15, 3))
    photo = image_folder / "photo.png"
    Image.fromarray(pixels.astype("uint8")).save(photo)
    found = csv_list.load_all(
        write("path,label\nphoto.png,a"), 8, shorter_side=12
    )
    ((image, _),) = found.test
    expected = image_ops.square(image_reader.read(photo), 8, 12)
    np.testing.assert_array_equal(image, expected)


def test_images_that_cannot_be_read_are_named_or_skipped(write, image_folder):
    path = write("path,label\nmissing.png,a\ncat/1.png,b\n")
    with pytest.raises(ValueError, match="missing.png"):
        csv_list.load_all(path, 8)
    found = csv_list.load_all(path, 8, skip_bad_images=True)
    assert levels(found) == [(1, "b")]
    assert found.skipped == (str(image_folder / "missing.png"),)
    with pytest.raises(ValueError, match="1 images, none of which can be"):
        csv_list.load_all(
            write("path,label\nmissing.png,a"), 8, skip_bad_images=True
        )


@pytest.mark.parametrize(
    "text,message",
    [
        ("", "columns path and label.*Received: an empty file"),
        ("file,class\na.png,b", "Received: file, class"),
        ("path,label\n", "must list images. Received: no rows"),
        ("path,label\na.png,b\na.png\n", "Received: line 3, which lacks"),
        ("path,label\n,b\n", "Received: line 2, which lacks"),
        ("path,label\na.png,b,c\n", "line 2.*Quote a cell that has a comma"),
        ('path,label\n"a.png,b', "CSV file in UTF-8"),
        ("path,label,Labels\na.png,b,c\n", "Received: both; leave one out"),
        ("path,label,Label\na.png,b,c\n", "'label', which it has twice"),
        ("path,a,b,a \na.png,0,1,1\n", "'a', which it has twice"),
    ],
)
def test_files_of_another_kind_are_refused(text, message, write):
    with pytest.raises(ValueError, match=message):
        csv_list.load_all(write(text), 8)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes")
def test_pipe_is_refused_at_once(write, image_folder):
    os.mkfifo(image_folder / "pipe")
    with pytest.raises(OSError, match="pipe must be a file"):
        csv_list.load_all(image_folder / "pipe", 8)
    with pytest.raises(ValueError, match="pipe must be a file"):
        csv_list.load_all(write("path,label\npipe,b\n"), 8)


def test_file_of_too_many_bytes_is_refused(write, monkeypatch):
    monkeypatch.setattr(csv_list, "MAX_BYTES", 10)
    with pytest.raises(ValueError, match="at most 10 bytes. Received: 21"):
        csv_list.load_all(write("path,label\nmissing,b\n"), 8)


def test_file_that_is_not_text_is_refused(write, image_folder):
    with pytest.raises(ValueError, match="must be a text in UTF-8"):
        csv_list.load_all(image_folder / "cat" / "0.png", 8)
    with pytest.raises(FileNotFoundError):
        csv_list.load_all(image_folder / "missing.csv", 8)


CLASSES = ("cat", "dog")


def test_splits_are_a_column(write):
    lines = [f"{name}/{i}.png,{name}" for i in (0, 1, 2) for name in CLASSES]
    lines = [f"{line},{'test' if '2.' in line else 'train'}" for line in lines]
    path = write("\n".join(["path,label,split", *lines]))
    loaded = data.load(path, image_size=8)
    assert (loaded.train_size, loaded.test_size) == (4, 2)
    assert loaded.class_names == CLASSES
    found = [(int(image[0, 0, 0]), int(label)) for image, label in loaded.test]
    assert sorted(found) == [(2, 0), (12, 1)]


def test_splits_have_the_names_of_folders(write):
    lines = [f"{name}/{i}.png,{name}" for i in (0, 1, 2) for name in CLASSES]
    for splits in (("Training", "val", "TEST"), ("train", "val", "val")):
        rows = [
            f"{row},{splits[index // 2]}" for index, row in enumerate(lines)
        ]
        loaded = data.load(
            write("\n".join(["path,label,split", *rows])), image_size=8
        )
        sizes = (loaded.train_size, loaded.validation_size, loaded.test_size)
        assert sizes == ((2, 2, 2) if "TEST" in splits else (2, 0, 4))


def test_a_fifth_is_for_testing_where_there_are_no_splits(write):
    lines = [f"{name}/{i}.png,{name}" for i in range(10) for name in CLASSES]
    path = write("\n".join(["path,label", *lines]))
    loaded = data.load(path, image_size=8)
    assert (loaded.train_size, loaded.test_size) == (16, 4)


@pytest.mark.parametrize(
    "lines,message",
    [
        ("cat/0.png,cat,final", "line 2, which has 'final'"),
        ("cat/0.png,cat", "line 2, which has ''"),
        (
            "cat/0.png,cat,train\ncat/0.png,dog,test",
            "line 3, whose image is in line 2 too",
        ),
        (
            "cat/0.png,cat,train\ndog/0.png,dog,test",
            r"whose train set has none for \['dog'\]",
        ),
    ],
)
def test_bad_splits_are_named(lines, message, write):
    path = write(f"path,label,split\n{lines}\n")
    with pytest.raises(ValueError, match=f"list.csv.*{message}"):
        data.load(path, image_size=8)


def test_missing_table_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="/none.csv'"):
        data.load(tmp_path / "none.csv")


SEVERAL = """path,labels,split
cat/0.png,furry | small,train
cat/1.png,,train
cat/2.png,small,test
dog/1.png,furry,validation
"""
COLUMNS = """path,split,small,furry
cat/0.png,train,1,1
cat/1.png,train,0,0
cat/2.png,test,1,0
dog/1.png,validation,0,1
"""


@pytest.mark.parametrize(
    "text, names",
    [(SEVERAL, ("furry", "small")), (COLUMNS, ("small", "furry"))],
)
def test_images_have_several_labels(write, text, names):
    found = data.load(write(text), image_size=8)
    assert found.several_labels
    assert found.class_names == names
    rows = {
        int(image[0, 0, 0]): {
            name for name, value in zip(names, label.numpy()) if value
        }
        for image, label in found.split("all")
    }
    assert rows == {
        0: {"furry", "small"},
        1: set(),
        2: {"small"},
        11: {"furry"},
    }
    assert (found.train_size, found.validation_size) == (2, 1)
    _, labels = next(iter(found.train_batches(2)))
    assert (labels.dtype, labels.shape) == ("float32", (2, 2))
    alone = csv_list.load_all(write(text), 8)
    assert alone.several_labels and alone.class_names == names


def test_fifth_of_the_images_is_tested_without_splits(write):
    rows = [
        f"{name}/{index}.png,a|b"
        for name in ("cat", "dog")
        for index in range(1, 4)
    ]
    found = data.load(write("\n".join(["path,labels", *rows])), image_size=8)
    assert (found.train_size, found.test_size) == (5, 1)


@pytest.mark.parametrize(
    "text, message",
    [
        (
            "path,furry\ncat/0.png,1\n",
            "path and labels, where .* Received: path",
        ),
        (
            "path,a,b\ncat/0.png,1,x\n",
            "must have 0 or 1 .* line 2, .*'x' for 'b'",
        ),
        ("path,a,b\ncat/0.png,1\n", "line 2, which has '' for 'b'"),
        (SEVERAL.replace("furry |", "big |"), "training image with 'furry'"),
    ],
)
def test_labels_that_cannot_be_learned_are_refused(write, text, message):
    with pytest.raises(ValueError, match=message):
        data.load(write(text), image_size=8)


def test_several_labels_need_an_image_that_can_be_read(write):
    path = write("path,labels\nmissing.png,a\nnone.png,b\n")
    with pytest.raises(ValueError, match="2 images, none of which can be"):
        data.load(path, image_size=8, skip_bad_images=True)


def listed(weights, columns="path,label,split,weight", label="{}"):
    """Return a list of two cats and two dogs to train on, with weights."""
    rows = [
        f"{name}/{number}.png,{label.format(name)},{split}"
        for split, numbers in (("train", (0, 1)), ("test", (2,)))
        for name in ("cat", "dog")
        for number in numbers
    ]
    lines = [f"{row},{weight}" for row, weight in zip(rows, weights)]
    return "\n".join([columns, *lines])


@pytest.mark.parametrize("several", [False, True])
@pytest.mark.parametrize("limit", [2**30, 0])
def test_weights_are_those_of_the_training_images(
    write, monkeypatch, several, limit
):
    monkeypatch.setattr(lazy_examples, "CACHE_LIMIT", limit)
    columns = f"path,{'labels' if several else 'label'},split,weight"
    # The images of the cats have the values 0 and 1, those of the dogs 10, 11.
    found = data.load(write(listed([0, 1, 0.5, 2.5, 7, 7], columns)))
    expected = {0: 0, 1: 1, 10: 0.5, 11: 2.5}
    assert [len(element) for element in found.train] == [2] * 4
    in_order = found.as_test("train").test_batches(4, weighted=True)
    for batches in (found.epoch_batches(4), in_order):
        ((images, _, weights),) = batches.as_numpy_iterator()
        # In the order BGR, and without the mean of blue.
        values = np.rint(images[:, 0, 0, 0] + 103.939)
        assert dict(zip(values, weights)) == expected
    for unweighted in (found.test_batches(4), found.train_batches(4)):
        assert len(unweighted.element_spec) == 2
    half = found.split_validation(0.5)
    ((images, _, weights),) = half.epoch_batches(2).as_numpy_iterator()
    for image, weight in zip(images, weights):
        assert expected[round(image[0, 0, 0] + 103.939)] == weight


@pytest.mark.parametrize("weight", ["-1", "nan", "inf", "heavy", ""])
def test_bad_weights_are_refused_with_their_line(write, weight):
    with pytest.raises(ValueError, match="at least 0. Received: line 4, "):
        data.load(write(listed([1, 1, weight, 1, 1, 1])))


def test_weights_that_are_all_zero_are_refused(write):
    with pytest.raises(ValueError, match="must not all be 0"):
        data.load(write(listed([0, 0, 0, 0, 1, 1])))
