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
    """Returns the content of a zip archive with these members."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as opened:
        for name, content in members.items():
            opened.writestr(name, content)
    return file.getvalue()
