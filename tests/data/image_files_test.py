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
