import numpy as np
import pytest
from PIL import Image

from keras_squeezenet.data import images
from keras_squeezenet.data import table


@pytest.fixture
def write(image_folder):
    """Returns a function that writes a CSV file beside the images."""

    def write(text, **options):
        path = image_folder / "list.csv"
        path.write_text(text, **options)
        return path

    return write


def levels(found):
    return [
        (int(image[0, 0, 0]), found.class_names[label])
        for image, label in found.examples
    ]


def test_images_are_in_the_order_of_the_file(write):
    path = write("path,label\ndog/1.png,dog\ncat/0.png,cat\ncat/3.png,dog\n")
    found = table.load(path, 8)
    assert levels(found) == [(11, "dog"), (0, "cat"), (3, "dog")]
    assert (found.name, found.size) == ("list.csv", 3)
    assert found.class_names == ("cat", "dog")
    assert found.skipped == ()


def test_other_columns_marks_quotes_and_empty_lines_are_no_matter(
    write, image_folder
):
    path = write(
        'n,label,path\r\n\r\n1, "a, b", cat/1.png\r\n'
        f"2,ä,{image_folder}/dog/2.png",
        encoding="utf-8-sig",
    )
    assert levels(table.load(path, 8)) == [(1, "a, b"), (12, "ä")]


def test_image_may_be_there_twice(write):
    path = write("path,label\ncat/1.png,a\ncat/1.png,b\n")
    assert levels(table.load(path, 8)) == [(1, "a"), (1, "b")]


def test_images_are_cut_as_asked_for(write, image_folder):
    pixels = np.random.default_rng(0).integers(0, 256, (21, 15, 3))
    photo = image_folder / "photo.png"
    Image.fromarray(pixels.astype("uint8")).save(photo)
    found = table.load(write("path,label\nphoto.png,a"), 8, shorter_side=12)
    ((image, _),) = found.examples
    expected = images.square(images.read_image(photo), 8, 12)
    np.testing.assert_array_equal(image, expected)


def test_images_that_cannot_be_read_are_named_or_skipped(write, image_folder):
    path = write("path,label\nmissing.png,a\ncat/1.png,b\n")
    with pytest.raises(ValueError, match="missing.png"):
        table.load(path, 8)
    found = table.load(path, 8, skip_bad_images=True)
    assert levels(found) == [(1, "b")]
    assert found.skipped == (str(image_folder / "missing.png"),)
    with pytest.raises(ValueError, match="1 images, and none can be"):
        table.load(write("path,label\nmissing.png,a"), 8, skip_bad_images=True)


@pytest.mark.parametrize(
    "text,message",
    [
        ("", "columns path and label.*Received: an empty file"),
        ("file,class\na.png,b", "Received: file, class"),
        ("path,label\n", "should list images. It has none"),
        ("path,label\na.png,b\na.png\n", "Received: line 3, which lacks"),
        ("path,label\n,b\n", "Received: line 2, which lacks"),
    ],
)
def test_files_of_another_kind_are_refused(text, message, write):
    with pytest.raises(ValueError, match=message):
        table.load(write(text), 8)


def test_file_that_is_no_text_is_refused(write, image_folder):
    with pytest.raises(ValueError, match="CSV file in UTF-8"):
        table.load(image_folder / "cat" / "0.png", 8)
    with pytest.raises(FileNotFoundError):
        table.load(image_folder / "missing.csv", 8)
