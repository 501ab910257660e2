"""A server on loopback with the few endpoints of the Hugging Face hub.

`huggingface_hub` asks it for whom a token is of, for a repository, its files
and their content, and sends it commits with small files and large ones.
"""

import base64
import hashlib
import http.server
import json
import threading
import urllib.parse

COMMIT = "a" * 40
TOKEN = "hf_writer"
# The hub takes binary files as large files.
LARGE_SUFFIXES = (".keras", ".sqz")


class Hub:
    """Repositories in memory, and the requests that were made.

    `files` are by repository and name; `errors` maps a repository to the
    status and the `X-Error-Code` that it answers with.
    """

    def __init__(self):
        self.files = {}
        self.errors = {}
        self.users = {
            TOKEN: {"name": "owner", "role": "write"},
            "hf_reader": {"name": "owner", "role": "read"},
        }
        self.public = set()
        self.branches = {}
        self.large = {}
        self.messages = []
        self.requests = []
        self.cut_size = None
        self.stated_size = None
        self.server = http.server.ThreadingHTTPServer(
            ("127.0.0.1", 0), type("Handler", (Handler,), {"hub": self})
        )
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def __enter__(self):
        threading.Thread(
            target=self.server.serve_forever, args=(0.01,), daemon=True
        ).start()
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def paths(self, method):
        return [path for asked, path in self.requests if asked == method]


def put_in_place(monkeypatch, server, folder):
    """Make the library use a server, and a cache in an empty folder."""
    from huggingface_hub import constants

    # The library reads HF_ENDPOINT when it is imported.
    template = constants.HUGGINGFACE_CO_URL_TEMPLATE.removeprefix(
        constants.ENDPOINT
    )
    monkeypatch.setattr(
        constants, "HUGGINGFACE_CO_URL_TEMPLATE", server.url + template
    )
    monkeypatch.setattr(constants, "ENDPOINT", server.url)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(folder / "hub"))
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(folder / "token"))
    # Large files go to the server, and not through another program.
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)


class Handler(http.server.BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        path = self.begin()
        match path:
            case ["api", "whoami-v2"]:
                self.whoami()
            case ["api", "models", owner, name, *revision]:
                self.model_info(f"{owner}/{name}", revision[1:])
            case [owner, name, "resolve", revision, *file]:
                self.resolve(f"{owner}/{name}", revision, "/".join(file))
            case _:
                self.answer(404)

    do_HEAD = do_GET

    def do_POST(self):
        path = self.begin()
        length = int(self.headers.get("Content-Length", 0))
        body = self.rfile.read(length)
        match path:
            case ["api", "validate-yaml"]:
                self.answer(200, {"errors": [], "warnings": []})
            case ["api", "repos", "create"]:
                self.create(json.loads(body))
            case ["api", "models", owner, name, "branch", branch]:
                self.hub.branches[branch] = f"{owner}/{name}"
                self.answer(200, {})
            case ["api", "models", owner, name, "preupload", _]:
                self.preupload(f"{owner}/{name}", json.loads(body)["files"])
            case ["api", "models", owner, name, "commit", revision]:
                self.commit(f"{owner}/{name}", revision, body)
            case [_, _, "info", "lfs", "objects", "batch"]:
                self.large_files(json.loads(body))
            case _:
                self.answer(404)

    def do_PUT(self):
        (*_, digest) = self.begin()
        content = self.rfile.read(int(self.headers["Content-Length"]))
        assert hashlib.sha256(content).hexdigest() == digest
        self.hub.large[digest] = content
        self.answer(200)

    def begin(self):
        path = urllib.parse.urlsplit(self.path).path
        self.hub.requests.append((self.command, path))
        return [urllib.parse.unquote(part) for part in path.split("/")[1:]]

    def answer(self, status, value=None, content=b"", **headers):
        content = content if value is None else json.dumps(value).encode()
        self.send_response(status)
        for name, text in headers.items():
            self.send_header(name.replace("_", "-"), text)
        if "Content_Length" not in headers:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def user(self):
        token = (self.headers["Authorization"] or "").removeprefix("Bearer ")
        return self.hub.users.get(token)

    def refuses(self, repository):
        """Answer with an error of a repository, if it has any."""
        missing = (401, "RepoNotFound")
        known = repository in self.hub.files
        status, code = self.hub.errors.get(
            repository, (200, None) if known else missing
        )
        if status != 200:
            self.answer(status, {"error": code}, X_Error_Code=code or "")
        return status != 200

    def whoami(self):
        user = self.user()
        if user is None:
            self.answer(401, {"error": "Invalid user token."})
            return
        self.answer(
            200,
            {
                "name": user["name"],
                "orgs": [{"name": "lab"}],
                "auth": {"accessToken": {"role": user["role"]}},
            },
        )

    def model_info(self, repository, revision):
        if self.refuses(repository):
            return
        if revision not in ([], ["main"], [COMMIT]):
            self.answer(404, {}, X_Error_Code="RevisionNotFound")
            return
        files = self.hub.files[repository]
        siblings = [
            {"rfilename": name, "size": self.hub.stated_size or len(content)}
            for name, content in files.items()
        ]
        self.answer(
            200,
            {
                "id": repository,
                "sha": COMMIT,
                "private": repository not in self.hub.public,
                "siblings": siblings,
            },
        )

    def resolve(self, repository, revision, file):
        if self.refuses(repository):
            return
        content = self.hub.files[repository].get(file)
        if content is None:
            self.answer(404, {}, X_Error_Code="EntryNotFound")
            return
        self.answer(
            200,
            content=content,
            ETag=f'"{hashlib.sha256(content).hexdigest()}"',
            X_Repo_Commit=COMMIT,
        )

    def create(self, values):
        user = self.user()
        repository = f"{values['organization']}/{values['name']}"
        if user is None or user["role"] == "read":
            self.answer(403, {"error": "no right"})
        elif repository in self.hub.files:
            self.answer(409, {"url": f"{self.hub.url}/{repository}"})
        else:
            self.hub.files[repository] = {}
            if values.get("visibility") != "private" and not values.get(
                "private"
            ):
                self.hub.public.add(repository)
            self.answer(200, {"url": f"{self.hub.url}/{repository}"})

    def preupload(self, repository, files):
        if self.refuses(repository):
            return
        modes = [
            {
                "path": file["path"],
                "uploadMode": "lfs"
                if file["path"].endswith(LARGE_SUFFIXES)
                else "regular",
                "shouldIgnore": False,
            }
            for file in files
        ]
        self.answer(200, {"files": modes})

    def large_files(self, values):
        objects = [
            {
                "oid": each["oid"],
                "size": each["size"],
                "actions": {
                    "upload": {"href": f"{self.hub.url}/large/{each['oid']}"}
                },
            }
            for each in values["objects"]
        ]
        self.answer(200, {"transfer": "basic", "objects": objects})

    def commit(self, repository, revision, body):
        if self.refuses(repository):
            return
        lines = [json.loads(line) for line in body.splitlines()]
        for line in lines:
            value = line["value"]
            if line["key"] == "header":
                self.hub.messages.append((revision, value["summary"]))
            elif line["key"] == "file":
                content = base64.b64decode(value["content"])
                self.hub.files[repository][value["path"]] = content
            else:
                content = self.hub.large[value["oid"]]
                self.hub.files[repository][value["path"]] = content
        url = f"{self.hub.url}/{repository}/commit/{COMMIT}"
        self.answer(200, {"commitUrl": url, "commitOid": COMMIT})
