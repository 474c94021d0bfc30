"""Pushing, against a server on loopback that answers as a hub does."""

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from multiplex.dataset.pushing import push
from multiplex.errors import ContentError, RunError
from tests.dataset.sound import sound

TOKEN = "hf_a_token_for_tests"


@dataclass
class Hub:
    """A hub: where it is, what it holds, and what it was asked."""

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    created: list[dict[str, Any]] = field(default_factory=list)
    tokens: set[str] = field(default_factory=set)
    deleted: list[str] = field(default_factory=list)


@contextmanager
def hub(*, status: int = 200, holds: dict[str, bytes] | None = None) -> Iterator[Hub]:
    there = Hub(files=dict(holds or {}))

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *args: Any) -> None:
            pass

        def answer(self, data: Any, code: int = 200) -> None:
            body = json.dumps(data).encode()
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_GET(self) -> None:
            if "/tree/" in self.path:
                files = [
                    {"type": "file", "path": path, "size": len(data), "oid": "0" * 40}
                    for path, data in there.files.items()
                ]
                self.answer(files)
            else:
                self.answer({"id": "ada/panel", "sha": "1" * 40, "siblings": []}, status)

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            there.tokens.add(self.headers.get("Authorization", ""))
            if status != 200:
                self.answer({"error": f"no, {TOKEN}"}, status)
            elif self.path == "/api/repos/create":
                there.created.append(json.loads(body))
                self.answer({"url": f"{there.url}/datasets/ada/panel"})
            elif self.path == "/api/validate-yaml":
                self.answer({"errors": [], "warnings": []})
            elif "/preupload/" in self.path:
                asked = json.loads(body)["files"]
                self.answer(
                    {
                        "files": [
                            {"path": f["path"], "uploadMode": "regular", "shouldIgnore": False} for f in asked
                        ]
                    }
                )
            else:
                for line in body.splitlines():
                    told = json.loads(line)
                    if told["key"] == "file":
                        there.files[told["value"]["path"]] = base64.b64decode(told["value"]["content"])
                    elif told["key"] == "deletedFile":
                        there.deleted.append(told["value"]["path"])
                url = f"{there.url}/datasets/ada/panel/commit/{'1' * 40}"
                self.answer({"success": True, "commitOid": "1" * 40, "commitUrl": url})

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    there.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield there
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = sound(tmp_path_factory.mktemp("sound"), configs=("kto",))
    (made / ".build").mkdir()
    (made / ".build" / "work.sqlite").write_text("half of a build, with prompts not masked yet")
    return made


@pytest.fixture
def _online(monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.mark.slow
@pytest.mark.usefixtures("_online")
def test_a_sound_dataset_is_pushed_with_all_its_files_and_nothing_else(folder: Path) -> None:
    stale = {"data/kto/train-00000-of-00009.parquet": b"of an earlier push", "notes.md": b"somebody's"}
    with hub(holds=stale) as there:
        address = push(folder, "ada/panel", token=TOKEN, endpoint=there.url)
    assert address == f"{there.url}/datasets/ada/panel/commit/{'1' * 40}"
    assert there.created == [
        {"name": "panel", "organization": "ada", "visibility": "private", "type": "dataset"}
    ]
    assert there.tokens == {f"Bearer {TOKEN}"}
    assert there.deleted == ["data/kto/train-00000-of-00009.parquet"]
    pushed = {name: data for name, data in there.files.items() if name not in stale}
    assert pushed == {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and ".build" not in path.parts
    }


@pytest.mark.slow
@pytest.mark.usefixtures("_online")
def test_a_completed_card_goes_along_with_its_licence_and_not_with_the_card_before(tmp_path: Path) -> None:
    made = sound(tmp_path / "set", configs=("kto",))
    card = (made / "README.md").read_text() + "Ada Lovelace\n"
    (made / "README.md").write_text(card)
    (made / "LICENSE").write_text("do as you like")
    (made / "README.md.bak").write_text("an earlier one")
    notes: list[str] = []
    with hub() as there:
        push(made, "ada/panel", token=TOKEN, endpoint=there.url, on_note=notes.append)
    assert there.files["README.md"].decode() == card
    assert there.files["LICENSE"] == b"do as you like"
    assert "README.md.bak" not in there.files
    assert [note.partition(":")[0] for note in notes] == ["LICENSE", "README.md.bak", "README.md"]


@pytest.mark.slow
@pytest.mark.usefixtures("_online")
@pytest.mark.parametrize(
    ("status", "said"),
    [
        (401, "does not know the token in HF_TOKEN (401)"),
        (403, "does not let this token write there (403)"),
        (400, "refused (400)"),
    ],
)
def test_a_hub_that_refuses_is_told_in_a_sentence_and_the_token_is_not(
    folder: Path, status: int, said: str
) -> None:
    with hub(status=status) as there, pytest.raises(RunError) as caught:
        push(folder, "ada/panel", token=TOKEN, endpoint=there.url)
    assert said in str(caught.value)
    assert TOKEN not in str(caught.value)
    assert "\n" not in str(caught.value)
    assert there.files == {}


@pytest.mark.slow
@pytest.mark.usefixtures("_online")
def test_a_hub_that_is_not_there_is_told(folder: Path) -> None:
    with hub() as there:
        pass
    with pytest.raises(RunError, match=r"not pushed: http://127\.0\.0\.1:\d+ cannot be reached"):
        push(folder, "ada/panel", token=TOKEN, endpoint=there.url)


@pytest.mark.slow
def test_offline_mode_is_told(folder: Path) -> None:
    with pytest.raises(RunError, match="HF_HUB_OFFLINE or TRANSFORMERS_OFFLINE is set"):
        push(folder, "ada/panel", token=TOKEN, endpoint="http://127.0.0.1:9")


@pytest.mark.parametrize("token", [None, ""])
def test_nothing_is_pushed_without_a_token(folder: Path, token: str | None) -> None:
    with pytest.raises(
        ContentError, match="no token: put one that may write into the environment variable HF_T"
    ):
        push(folder, "ada/panel", token=token)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["panel", "a/b/c", "ada/pa nel", "ada/..", "ada/pa--nel", "ada/panel.git", "/", ""]
)
def test_a_name_that_no_hub_takes_is_told(folder: Path, name: str) -> None:
    with pytest.raises(ContentError, match="is no name that a hub takes"):
        push(folder, name, token=TOKEN)


@pytest.mark.slow
def test_a_dataset_with_problems_is_not_pushed(folder: Path, tmp_path: Path) -> None:
    made = sound(tmp_path / "set", configs=("kto",))
    (made / "stray.txt").write_text("mine")
    with pytest.raises(
        ContentError, match=r"not pushed, for the check finds 1 problems, the first in stray\.txt"
    ):
        push(made, "ada/panel", token=TOKEN, endpoint="http://127.0.0.1:9")
