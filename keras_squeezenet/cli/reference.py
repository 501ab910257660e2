"""The reference of the command line, as Markdown."""

import importlib

from keras_squeezenet.cli import main
from keras_squeezenet.cli.flags import command_flags


def markdown() -> str:
    """Return a page with the help of every command and its flags."""
    lines = ["# Command line", "", "```text", main.usage(), "```", ""]
    for name in main.COMMANDS:
        command = importlib.import_module(f"keras_squeezenet.cli.{name}")
        lines += [f"## {name}", "", f"`{main.synopsis(name, command)}`", ""]
        lines += [(command.__doc__ or "").strip(), ""]
        for title, group in command.FLAGS.grouped():
            lines += [f"### {name}: {title.lower()}", ""]
            lines += ["| flag | |", "|---|---|"]
            for flag in group:
                usage = command_flags.usage(flag).replace("|", "\\|")
                text = command_flags.explanation(flag).replace("|", "\\|")
                lines.append(f"| `{usage}` | {text} |")
            lines.append("")
    return "\n".join(lines)


if __name__ == "__main__":
    print(markdown())
