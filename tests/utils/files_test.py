import csv
import json
import os
import pathlib
import re
import stat
import tempfile

import pytest
from contents import read
from contents import write

from keras_squeezenet.utils import files


@pytest.mark.parametrize("before", [{}, {"old.txt": "old"}])
def test_content_is_there_only_at_the_end(before, tmp_path):
    out = tmp_path / "out"
    write(out, before)
    with files.new_folder(out, overwrite=True) as folder:
        assert read(folder) == {}
        write(folder, {"a.txt": "a", "saved/b.txt": "b"})
        hidden = folder.parent
        assert hidden.name.startswith(".keras_squeezenet.")
        assert {*out.iterdir()} == {hidden, *(out / name for name in before)}
    assert read(tmp_path) == {
        "out": None,
        "out/a.txt": "a",
        "out/saved": None,
        "out/saved/b.txt": "b",
        **{f"out/{name}": text for name, text in before.items()},
    }


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("name", ["missing", "empty", "full"])
def test_error_leaves_everything_as_it_was(name, error, tmp_path):
    (tmp_path / "empty").mkdir()
    write(tmp_path, {"full/a.txt": "old", "full/saved/b.txt": "old"})
    before = read(tmp_path)
    with pytest.raises(error):
        with files.new_folder(tmp_path / name, overwrite=True) as folder:
            write(folder, {"a.txt": "new", "saved/b.txt": "new"})
            raise error("stop")
    assert read(tmp_path) == before


@pytest.mark.parametrize("name", ["out", "deep/er/out", "empty"])
def test_missing_folders_are_made(name, tmp_path):
    (tmp_path / "empty").mkdir()
    with files.new_folder(tmp_path / name) as folder:
        write(folder, {"a.txt": "a"})
    assert read(tmp_path / name) == {"a.txt": "a"}


@pytest.mark.parametrize("name", ["old.txt", ".hidden", "saved/old.txt"])
def test_folder_with_content_is_refused(name, tmp_path):
    write(tmp_path / "out", {name: "old"})
    before = read(tmp_path)
    with pytest.raises(
        FileExistsError, match="is not empty, and nothing was written"
    ) as error:
        with files.new_folder(tmp_path / "out"):
            pytest.fail("the block should not be entered")
    assert f"the output folder {tmp_path / 'out'} is" in str(error.value)
    assert "--overwrite" in str(error.value)
    assert read(tmp_path) == before


@pytest.mark.parametrize(
    "old, new, expected",
    [
        (
            ["a", "b", "c/d"],
            ["a", "e"],
            {"a": "new", "b": "old", "c": None, "c/d": "old", "e": "new"},
        ),
        # Folders are replaced whole.
        (["c/d", "c/e/f"], ["c/d"], {"c": None, "c/d": "new"}),
        (["a"], ["a/b"], {"a": None, "a/b": "new"}),
        (["a/b"], ["a"], {"a": "new"}),
    ],
)
def test_overwrite_replaces_what_has_the_same_name(
    old, new, expected, tmp_path
):
    write(tmp_path / "out", dict.fromkeys(old, "old"))
    with files.new_folder(tmp_path / "out", overwrite=True) as folder:
        write(folder, dict.fromkeys(new, "new"))
    assert read(tmp_path / "out") == expected
    assert os.listdir(tmp_path) == ["out"]


@pytest.mark.parametrize("overwrite", [False, True])
def test_file_where_a_folder_should_be_is_refused(overwrite, tmp_path):
    write(tmp_path, {"out": "a file"})
    with pytest.raises(
        NotADirectoryError, match="must be a folder. Received: .*out, a file"
    ):
        with files.new_folder(tmp_path / "out", overwrite):
            pytest.fail("the block should not be entered")
    assert read(tmp_path) == {"out": "a file"}


@pytest.mark.parametrize("name", ["out", "deep/out", "./out", "deep/../out"])
def test_relative_path_is_taken_from_where_the_work_began(
    name, tmp_path, monkeypatch
):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "deep").mkdir()
    monkeypatch.chdir(tmp_path)
    with files.new_folder(name) as folder:
        write(folder, {"a.txt": "a"})
        monkeypatch.chdir("elsewhere")
    assert read((tmp_path / name).resolve()) == {"a.txt": "a"}
    assert read(tmp_path / "elsewhere") == {}


def test_current_folder_may_be_the_output(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with files.new_folder(".") as folder:
        write(folder, {"a.txt": "a"})
    assert read(tmp_path) == {"here": None, "here/a.txt": "a"}


def test_link_to_a_folder_stays_a_link(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "out").symlink_to(tmp_path / "real")
    with files.new_folder(tmp_path / "out") as folder:
        write(folder, {"a.txt": "a"})
    assert (tmp_path / "out").is_symlink()
    assert read(tmp_path / "real") == {"a.txt": "a"}


def test_output_may_be_on_another_file_system(tmp_path):
    memory = pathlib.Path("/dev/shm")
    if not (
        os.access(memory, os.W_OK)
        and memory.stat().st_dev != tmp_path.stat().st_dev
    ):
        pytest.skip("this test needs a second file system")
    with tempfile.TemporaryDirectory(dir=memory) as other:
        (tmp_path / "out").symlink_to(other)
        with files.new_folder(tmp_path / "out") as folder:
            write(folder, {"a.txt": "a", "saved/b.txt": "b"})
        assert read(pathlib.Path(other)) == {
            "a.txt": "a",
            "saved": None,
            "saved/b.txt": "b",
        }


def test_old_files_stay_where_the_new_ones_cannot_be_moved(
    tmp_path, monkeypatch
):
    write(tmp_path / "out", {"a.txt": "old", "b.txt": "old"})
    replace = os.replace

    def replace_all_but_the_new_b(source, target):
        if pathlib.Path(source).parts[-2:] == ("new", "b.txt"):
            raise OSError("no space left on device")
        replace(source, target)

    monkeypatch.setattr(os, "replace", replace_all_but_the_new_b)
    with pytest.raises(OSError, match="no space"):
        with files.new_folder(tmp_path / "out", overwrite=True) as folder:
            write(folder, {"a.txt": "new", "b.txt": "new"})
    assert read(tmp_path / "out") == {"a.txt": "old", "b.txt": "old"}


def test_content_of_a_folder_is_that_of_its_files_in_order(tmp_path):
    names = [f"{i // 10}/{i}" for i in range(10, 50)]
    write(tmp_path / "saved", {name: name for name in reversed(names)})
    content = files.content(tmp_path / "saved")
    assert content.decode() == "".join(names)
    assert files.content(str(tmp_path / "saved" / "2" / "21")) == b"2/21"


def test_writable_folder_is_left_alone(tmp_path):
    files.require_writable(tmp_path / "out")
    files.require_writable(tmp_path)
    assert read(tmp_path) == {}


@pytest.mark.parametrize("before", [{}, {"a.keras": "old", "b.txt": "b"}])
def test_file_is_there_only_at_the_end(before, tmp_path):
    write(tmp_path, before)
    with files.new_file(tmp_path / "a.keras") as temporary:
        assert temporary.parent.parent == tmp_path
        assert temporary.name == "a.keras"
        assert not temporary.exists()
        temporary.write_text("new")
        assert {*os.listdir(tmp_path)} == {temporary.parent.name, *before}
    assert read(tmp_path) == before | {"a.keras": "new"}


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("before", [{}, {"a.txt": "old"}])
@pytest.mark.parametrize("written", [True, False])
def test_error_leaves_the_file_as_it_was(before, error, written, tmp_path):
    write(tmp_path, before)
    with pytest.raises(error, match="stop"):
        with files.new_file(tmp_path / "a.txt") as temporary:
            if written:
                temporary.write_text("new")
            raise error("stop")
    assert read(tmp_path) == before


def test_file_is_on_the_disk_before_it_has_its_name(tmp_path, monkeypatch):
    def full(descriptor):
        assert os.fstat(descriptor).st_size == 3
        raise OSError("no space left on device")

    write(tmp_path, {"a.txt": "old"})
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="no space"):
        with files.new_file(tmp_path / "a.txt") as temporary:
            temporary.write_text("new")
    assert read(tmp_path) == {"a.txt": "old"}


def test_last_of_several_writers_wins(tmp_path):
    path = tmp_path / "a.txt"
    with files.new_file(path) as one, files.new_file(path) as other:
        one.write_text("one")
        other.write_text("other")
        with pytest.raises(ValueError):
            with files.new_file(path) as failing:
                failing.write_text("failing")
                raise ValueError
        assert len({one, other, failing}) == 3
    # The first block ended last.
    assert read(tmp_path) == {"a.txt": "one"}


@pytest.mark.parametrize("umask, mode", [(0o022, 0o644), (0o077, 0o600)])
def test_file_has_the_mode_of_any_new_file(umask, mode, tmp_path):
    before = os.umask(umask)
    try:
        with files.new_file(tmp_path / "a.txt") as temporary:
            temporary.write_text("a")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a.txt").stat().st_mode) == mode


@pytest.mark.parametrize("before", [{}, {"a.txt": "old"}])
def test_block_that_writes_nothing_is_an_error(before, tmp_path):
    write(tmp_path, before)
    message = f"nothing was written for {tmp_path / 'a.txt'}"
    with pytest.raises(FileNotFoundError, match=re.escape(message)):
        with files.new_file(tmp_path / "a.txt"):
            pass
    assert read(tmp_path) == before


def test_relative_file_is_where_the_work_began(tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    with files.new_file("a.txt") as temporary:
        monkeypatch.chdir("elsewhere")
        temporary.write_text("a")
    assert read(tmp_path) == {"a.txt": "a", "elsewhere": None}


def test_file_does_not_replace_a_folder(tmp_path):
    write(tmp_path / "out", {"a.txt": "old"})
    with pytest.raises(IsADirectoryError):
        with files.new_file(tmp_path / "out") as temporary:
            temporary.write_text("new")
    assert read(tmp_path) == {"out": None, "out/a.txt": "old"}


IGNORED = (".unfinished", ".new.*")


def test_ignored_names_may_be_in_the_folder_and_stay(tmp_path):
    write(tmp_path, {".unfinished": "state", ".new.abc/x": "left over"})
    files.require_writable(tmp_path, ignored=IGNORED)
    with files.new_folder(tmp_path, ignored=IGNORED) as folder:
        write(folder, {"a.txt": "a"})
    assert read(tmp_path) == {
        ".unfinished": "state",
        ".new.abc": None,
        ".new.abc/x": "left over",
        "a.txt": "a",
    }


def test_other_names_are_refused_beside_ignored_ones(tmp_path):
    write(tmp_path, {".unfinished": "state", "mine.txt": "mine"})
    with pytest.raises(FileExistsError, match="not empty"):
        files.require_writable(tmp_path, ignored=IGNORED)


def test_sweeping_removes_what_matches_and_nothing_else(tmp_path):
    write(
        tmp_path,
        {".unfinished": "a", ".new.abc/deep/x": "b", "new.txt": "c"},
    )
    files.sweep(tmp_path, IGNORED)
    assert read(tmp_path) == {"new.txt": "c"}
    files.sweep(tmp_path / "missing", IGNORED)


def test_begun_run_is_resumed_or_replaced_only_where_asked(tmp_path):
    def require(**options):
        files.require_resumable(tmp_path, "last.npz", **options)

    require()
    require(resume=True)
    (tmp_path / "last.npz").touch()
    with pytest.raises(FileExistsError, match="pass --resume .*--overwrite"):
        require()
    require(resume=True)
    require(overwrite=True)
    (tmp_path / "last.npz").rename(tmp_path / "other.txt")
    with pytest.raises(FileExistsError, match="not empty"):
        require(resume=True)


def test_values_are_written_as_json_and_rows_as_csv(tmp_path):
    files.write_json(tmp_path / "a.json", {"a": [1, None]})
    text = (tmp_path / "a.json").read_text()
    assert json.loads(text) == {"a": [1, None]} and text.endswith("}\n")
    rows = [{"a": 1, "b": ["x", "y"]}, {"a": 2.5, "b": None}]
    files.write_csv(tmp_path / "a.csv", rows)
    with open(tmp_path / "a.csv", newline="") as file:
        assert list(csv.DictReader(file)) == [
            {"a": "1", "b": '["x", "y"]'},
            {"a": "2.5", "b": ""},
        ]


def test_what_is_not_a_file_is_refused_at_once(tmp_path):
    (tmp_path / "file").touch()
    files.require_regular(tmp_path / "file")
    with pytest.raises(FileNotFoundError, match="absent"):
        files.require_regular(tmp_path / "absent")
    received = {os.devnull: "a pipe or a device", str(tmp_path): "a folder"}
    for path, kind in received.items():
        with pytest.raises(OSError, match=f"{path} must be a file.*{kind}"):
            files.require_regular(path)


def test_value_that_is_not_json_leaves_the_file_before_it(tmp_path):
    files.write_json(tmp_path / "a.json", 1)
    with pytest.raises(TypeError):
        files.write_json(tmp_path / "a.json", object())
    assert os.listdir(tmp_path) == ["a.json"]
    assert json.loads((tmp_path / "a.json").read_text()) == 1


def test_folder_is_made_where_a_link_leads(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "folder")
    with files.new_folder(tmp_path / "link") as folder:
        (folder / "a").write_text("a")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "folder" / "a").read_text() == "a"
