"""Upload a network with its model card to the Hugging Face hub.

FOLDER is what train, finetune, compress, pack or export wrote. Its files are
listed first. The model card is README.md, in which the license is to be filled
in. The repository is made where there is none. Checkpoints, locks, temporary
and hidden files, links and the folders of single phases are left out.

The token of the account is HF_TOKEN, or that of `hf auth login`.
"""

import os
import pathlib

from keras_squeezenet import report
from keras_squeezenet.cli import terminal
from keras_squeezenet.cli.flags import command_flags
from keras_squeezenet.pretrained import hub
from keras_squeezenet.utils import files
from keras_squeezenet.utils.text import one_line

FLAGS = command_flags.CommandFlags("FOLDER [hf://owner/name]")
# What the commands write beside a network; one of them must be there.
REPORTS = ("report.json", "pack.json", "export.json")
CHECKPOINT = "last.npz"
LEFT_OUT = (CHECKPOINT, "*.part", "*.tmp", "*.incomplete", "events.out.*")
OFFLINE = "Connect to the internet, and unset HF_HUB_OFFLINE"

with FLAGS.group("Flags"):
    FLAGS.define(
        bool,
        "dry_run",
        False,
        "list what would be uploaded, and upload nothing",
    )
    FLAGS.define(
        bool, "card", False, "print the model card, and upload nothing"
    )
    FLAGS.define(
        bool,
        "private",
        False,
        "make a new repository private; one that is there must be private",
    )
    FLAGS.define(str, "message", None, "the message of the commit")
    FLAGS.define(
        str,
        "revision",
        None,
        "the branch to upload to, which is made where there is none (default: "
        "main)",
    )


def main(*positional):
    folder, address = take_arguments(positional)
    card = read_card(folder, address)
    if FLAGS.card:
        print(card, end="")
        return
    console = terminal.make_console()
    found = find_files(folder)
    terminal.print_table(console, table(address, found, card))
    if "\nlicense: unknown" in card:
        terminal.print_line(console, f"\n{license_note(folder)}")
    if FLAGS.dry_run:
        terminal.print_line(console, "\nNothing was uploaded.")
        return
    commit = send(address, found, card)
    terminal.print_line(console, f"\nUploaded: {commit.commit_url}")
    if any(name.endswith(hub.SUFFIXES) for name in found):
        model = hub.Address(address.repository, None, commit.oid)
        terminal.print_next(
            console, ["predict", "PHOTOGRAPHS", f"--model={model}"]
        )


def license_note(folder):
    """Return how the license is filled in."""
    from keras_squeezenet.report import model_card

    path = folder / model_card.CARD_FILE
    note = (
        "The license is not filled in. State it in the line `license:` at the "
        f"top of {path}"
    )
    if _is_written(path):
        return f"{note}."
    command = f"keras-squeezenet upload {folder} --card > {path}"
    return f"{note}, which `{command}` writes."


def take_arguments(positional):
    """Return the folder, and the address or `None` where none is needed."""
    folder, address = (*positional, None, None)[:2]
    if len(positional) > 2 or folder is None or not (address or FLAGS.card):
        raise ValueError(
            "a folder and an address must be given, as in FOLDER "
            f"hf://owner/name. Received: {' '.join(positional) or 'none'}"
        )
    if hub.is_address(folder):
        raise ValueError(
            "the folder comes first, as in FOLDER hf://owner/name. Received: "
            f"{' '.join(positional)}"
        )
    folder = pathlib.Path(folder)
    if not any((folder / name).is_file() for name in REPORTS):
        raise ValueError(
            "the folder must be one that train, finetune, compress, pack or "
            f"export wrote, with one of {', '.join(REPORTS)}. Received: "
            f"{folder}"
        )
    if address is None:
        return folder, None
    parsed = hub.Address.parse(address)
    if parsed.file or parsed.revision:
        raise ValueError(
            "the address must be hf://owner/name, and a branch is given with "
            f"--revision. Received: {address}"
        )
    return folder, parsed


def read_card(folder, address):
    """Return the model card of a folder, with the address that it will have."""
    from keras_squeezenet.report import model_card

    path = folder / model_card.CARD_FILE
    if _is_written(path):
        card = files.read_text(path)
    else:
        summaries = [folder / name for name in REPORTS]
        summary = next(path for path in summaries if path.is_file())
        with files.as_value_error(f"{summary} cannot be read as a report"):
            card = model_card.markdown(files.read_json(summary), folder)
    if address is None:
        return card
    for name in os.listdir(folder):
        if name.endswith(hub.SUFFIXES):
            card = model_card.addressed(card, name, f"{address}/{name}")
    return card


def _is_written(path):
    # A shell that writes the output of --card there makes the file first.
    return path.is_file() and path.stat().st_size > 0


def find_files(folder):
    """Return the paths of the files to upload, by their names in the hub."""
    found = {}
    for path, folders, names in os.walk(folder):
        # The folder of a phase is a run of its own.
        folders[:] = sorted(
            name
            for name in folders
            if name[0] != "."
            and not os.path.exists(f"{path}/{name}/{CHECKPOINT}")
        )
        for name in sorted(names):
            file = pathlib.Path(path, name)
            is_left_out = name[0] == "." or files.matches(name, LEFT_OUT)
            if file.is_file() and not file.is_symlink() and not is_left_out:
                found[file.relative_to(folder).as_posix()] = file
    return found


def table(address, found, card):
    from keras_squeezenet.report import model_card

    sizes = {name: path.stat().st_size for name, path in found.items()}
    sizes[model_card.CARD_FILE] = len(card.encode())
    rows = [(name, f"{size:,}") for name, size in sorted(sizes.items())]
    total = ("", f"{sum(sizes.values()):,}")
    return report.Table(f"To {address}", ("file", "bytes"), [*rows, total])


def send(address, found, card):
    """Upload files in one commit, and return what the library tells of it."""
    client = hub.api()
    try:
        require_right(client, address)
        return _commit(client, address, found, card)
    # Each version of the library has errors of another HTTP client.
    except Exception as error:
        # A `ValueError` is about the model card.
        if type(error) in (hub.HubError, ValueError):
            raise
        raise hub.explain(address, error, OFFLINE) from error


def require_right(client, address):
    """Raise a `HubError` unless the token may write to the address."""
    account = client.whoami()
    token = account.get("auth", {}).get("accessToken", {})
    owner = address.repository.partition("/")[0]
    owners = [
        account["name"],
        *(each["name"] for each in account.get("orgs", ())),
    ]
    if token.get("role") == "read":
        raise hub.HubError(
            f"{address} needs a token that may write, and this one may read "
            f"only: {hub.TOKEN}."
        )
    if owner not in owners:
        raise hub.HubError(
            f"{address} must begin with hf:// and the owner of the token: one "
            f"of {', '.join(map(one_line, owners))}. {hub.TOKEN.capitalize()}."
        )


def _commit(client, address, found, card):
    import huggingface_hub

    from keras_squeezenet.report import model_card

    repository = address.repository
    client.create_repo(repository, private=FLAGS.private or None, exist_ok=True)
    if FLAGS.private and not client.model_info(repository).private:
        raise hub.HubError(
            f"{address} is public, and --private was given: make it private "
            "on its page, or leave --private out. Nothing was uploaded."
        )
    if FLAGS.revision:
        client.create_branch(repository, branch=FLAGS.revision, exist_ok=True)
    contents = {**found, model_card.CARD_FILE: card.encode()}
    return client.create_commit(
        repository,
        [
            huggingface_hub.CommitOperationAdd(name, content)
            for name, content in contents.items()
        ],
        commit_message=FLAGS.message or "Upload with keras-squeezenet",
        revision=FLAGS.revision,
    )
