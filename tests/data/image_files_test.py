import os

from keras_squeezenet.data import image_files


def test_folder_of_images_alone_has_no_sub_folders_of_images(
    tmp_path, write_images
):
    assert not image_files.has_images_alone(tmp_path)
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.txt").touch()
    write_images(tmp_path, ["a.png"])
    write_images(tmp_path / ".hidden", ["a.png"])
    assert image_files.has_images_alone(tmp_path)
    assert image_files.has_images_alone(f"{tmp_path}/")
    write_images(tmp_path / "cat", ["a.png"])
    assert not image_files.has_images_alone(tmp_path)


def test_linked_folders_have_their_images(tmp_path, write_images):
    outside, inside = tmp_path / "outside", tmp_path / "inside"
    write_images(outside / "bee", ["a.png", "b.png"])
    inside.mkdir()
    (inside / "bee").symlink_to(outside / "bee", target_is_directory=True)
    (outside / "bee" / "again").symlink_to(inside, target_is_directory=True)
    images, left_out = image_files.find(inside)
    assert images == [str(inside / "bee" / name) for name in ("a.png", "b.png")]
    assert left_out == {"links to a folder that they are in": 1}


def test_folders_that_cannot_be_read_are_counted(
    tmp_path, write_images, monkeypatch
):
    write_images(tmp_path, ["a.png"])
    closed = tmp_path / "closed"
    closed.mkdir()
    scan = os.scandir

    def refuse(path):
        if path == str(closed):
            raise PermissionError(path)
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    images, left_out = image_files.find(tmp_path)
    assert images == [str(tmp_path / "a.png")]
    assert left_out == {"folders that cannot be read": 1}
