import pytest

from keras_squeezenet import data
from keras_squeezenet.data import listing


@pytest.fixture
def write_list(image_folder):
    """Returns a function that writes lines to a CSV file beside images."""

    def write_list(*lines, name="list.csv"):
        path = image_folder / name
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return path

    return write_list


def test_images_and_labels_are_those_of_the_lines(write_list):
    path = write_list(
        "label,note,path",
        "dog,x,dog/1.png",
        'cat,"a, b",cat/0.png',
        "dog,,dog/0.png",
    )
    folder = path.parent
    assert listing.read(path) == [
        {
            "cat": [str(folder / "cat/0.png")],
            "dog": [str(folder / "dog/0.png"), str(folder / "dog/1.png")],
        }
    ]


def test_split_is_a_column(write_list):
    lines = [f"{name}/{i}.png,{name}" for i in (0, 1, 2) for name in CLASSES]
    path = write_list(
        "path,label,split",
        *(f"{line},{'test' if '2.' in line else 'train'}" for line in lines),
    )
    train, test = listing.read(path)
    assert [len(train["cat"]), len(test["dog"])] == [2, 1]
    loaded = data.load("folder", data_dir=path, image_size=8)
    assert (loaded.train_size, loaded.test_size) == (4, 2)
    assert loaded.class_names == ("cat", "dog")
    levels = [(int(image[0, 0, 0]), int(label)) for image, label in loaded.test]
    assert sorted(levels) == [(2, 0), (12, 1)]


CLASSES = ("cat", "dog")


def test_a_fifth_is_for_testing_where_there_is_no_split(write_list):
    lines = [f"{name}/{i}.png,{name}" for i in range(10) for name in CLASSES]
    loaded = data.load(
        "folder", data_dir=write_list("path,label", *lines), image_size=8
    )
    assert (loaded.train_size, loaded.test_size) == (16, 4)


@pytest.mark.parametrize(
    "lines,expected",
    [
        (["path,class", "a,b"], "line 1, should name the columns path, label"),
        ([""], "line 1, should name the columns.*Received: none"),
        (["path,label"], "should list images"),
        (["path,label", "cat/0.png,cat", "cat/1.png,"], "line 3, should have"),
        (["path,label", "cat/0.png"], "line 2, should have a path and a label"),
        (["path,label", "cat/x.png,cat"], "line 2: there is no file .*x.png"),
        (
            ["path,label,split", "cat/0.png,cat,validation"],
            "line 2: the split should be train or test. Received: 'validation'",
        ),
        (
            ["path,label", "cat/0.png,cat", "cat/0.png,dog"],
            "line 3: .*cat/0.png is in the list already",
        ),
        (["path,label", '"cat/0.png,cat'], "is no CSV file"),
    ],
)
def test_bad_line_is_named(lines, expected, write_list):
    with pytest.raises(ValueError, match=f"list.csv.*{expected}"):
        listing.read(write_list(*lines))


def test_class_without_images_to_test_on_is_named(write_list):
    path = write_list(
        "path,label,split", "cat/0.png,cat,train", "dog/0.png,dog,test"
    )
    with pytest.raises(ValueError, match=r"has none for \['dog'\]"):
        data.load("folder", data_dir=path, image_size=8)


def test_missing_list_is_named(tmp_path):
    with pytest.raises(ValueError, match="or a CSV file.*/none.csv'"):
        data.load("folder", data_dir=tmp_path / "none.csv")
