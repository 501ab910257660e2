"""Run the JavaScript modules of the web page in Node.js."""

import json
import shutil
import subprocess

import pytest

from keras_squeezenet.export import web_page


def copy_to(folder):
    """Copy the modules to where Node.js takes them as modules."""
    if not shutil.which("node"):
        pytest.skip("this test needs Node.js, which is not installed")
    web_page.write_modules(folder)
    (folder / "package.json").write_text('{"type": "module"}')
    return folder


def run(folder, code, *arguments):
    """Run code in a folder of modules; return the JSON that it prints."""
    result = subprocess.run(
        ["node", "--input-type=module", "--eval", code, "--", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert not result.returncode, result.stderr
    return json.loads(result.stdout)
