"""Folders and zip archives as `{name: content}`."""

import io
import zipfile


def write(folder, texts):
    """Writes `{path in the folder: text}`."""
    for name, text in texts.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def read(folder):
    """Returns `{path in the folder: text}`; `None` is a folder."""
    return {
        path.relative_to(folder).as_posix(): (
            path.read_text() if path.is_file() else None
        )
        for path in folder.rglob("*")
    }


def zip_archive(members, method=zipfile.ZIP_DEFLATED):
    """Returns the content of a zip archive with these members.

    Members carry a fixed time: equal members give equal content, whenever it
    is made.
    """
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as opened:
        for name, content in members.items():
            opened.writestr(zipfile.ZipInfo(name), content, method)
    return file.getvalue()
