"""Pages that MkDocs makes from the package: its flags and its API."""

import ast
import pathlib
import sys

from mkdocs.structure import files

ROOT = pathlib.Path(__file__).resolve().parents[1]
PACKAGE = "keras_squeezenet"


def on_config(config):
    """List the pages of the API where the navigation has `api/`."""
    pages = [f"api/{name}.md" for name, _ in _public()]
    config.nav = _replaced(config.nav, "api/", pages)
    return config


def on_files(all_files, config, **unused):
    """Add the generated pages."""
    # MkDocs takes back what a hook does to the path while it is loaded.
    sys.path.insert(0, str(ROOT))
    from keras_squeezenet.cli import reference

    pages = {"command_line.md": reference.markdown()}
    for name, stub in _public():
        pages[f"api/{name}.md"] = _api_page(name, stub)
    for path, text in pages.items():
        all_files.append(files.File.generated(config, path, content=text))
    return all_files


def _public():
    """Yield the name and the stub of each package, or public module, by name.

    A module has no stub: all of its names are public.
    """
    root = ROOT / PACKAGE
    found = {PACKAGE: root / "__init__.pyi"}
    for stub in root.glob("*/__init__.pyi"):
        found[f"{PACKAGE}.{stub.parent.name}"] = stub
    for node in ast.parse(found[PACKAGE].read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ImportFrom) and node.module is None:
            found.setdefault(f"{PACKAGE}.{node.names[0].name}", None)
    yield from sorted(found.items())


def _api_page(package, stub):
    """Return a page with everything that a stub imports, but packages."""
    lines = [f"# {package}", "", f"::: {package}", "    options:"]
    lines += ["      show_root_heading: false"]
    if stub is None:
        return "\n".join(lines)
    lines += ["      members: false", ""]
    for node in ast.parse(stub.read_text(encoding="utf-8")).body:
        if not isinstance(node, ast.ImportFrom):
            continue
        for alias in node.names:
            module = f"{package}.{node.module}" if node.module else package
            path = f"{module}.{alias.name}"
            if _is_module(path):
                if path in dict(_public()):
                    lines += [f"- [`{alias.name}`]({path}.md)", ""]
                continue
            lines += [f"::: {path}", "    options:", "      heading_level: 2"]
            lines += [""]
    return "\n".join(lines)


def _is_module(path):
    base = ROOT / path.replace(".", "/")
    return base.is_dir() or base.with_suffix(".py").is_file()


def _replaced(nav, placeholder, pages):
    if isinstance(nav, list):
        return [_replaced(entry, placeholder, pages) for entry in nav]
    if isinstance(nav, dict):
        return {
            title: _replaced(entry, placeholder, pages)
            for title, entry in nav.items()
        }
    return pages if nav == placeholder else nav
