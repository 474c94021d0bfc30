"""What is published of names and values that may be paths or addresses."""

import json
from pathlib import Path
from typing import Any

import pytest

from multiplex.dataset.published import public_name, published
from multiplex.errors import ContentError
from tests.dataset.made import QUESTIONS, WORDS, Table, write_prompts


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("extractive", "extractive"),
        ("vllm:Qwen/Qwen3-8B", "vllm:Qwen/Qwen3-8B"),
        ("vllm:org/name-GGUF:Q4_K_M", "vllm:org/name-GGUF:Q4_K_M"),
        ("openai:accounts/us/models/llama", "openai:accounts/us/models/llama"),
        ("spacy:en_core_web_sm", "spacy:en_core_web_sm"),
        ("vllm:/home/ada/ckpt", "vllm:ckpt"),
        ("vllm:/home/ada/my ckpt/", "vllm:my ckpt"),
        ("vllm:./ckpt", "vllm:ckpt"),
        ("vllm:../ada/ckpt", "vllm:ckpt"),
        ("vllm:~/ckpt", "vllm:ckpt"),
        ("vllm:~ada", "vllm:~"),
        ("vllm:.", "vllm:."),
        ("vllm:home/ada/ckpt", "vllm:ckpt"),
        ("vllm:home/ada lovelace/models/ckpt", "vllm:ckpt"),
        ("vllm:Ada Lovelace/models/ckpt", "vllm:ckpt"),
        ("vllm:Ada Lovelace\\models\\ckpt", "vllm:ckpt"),
        ("vllm:ada(1)/a/b/c", "vllm:c"),
        ("vllm:ada/ckpt/", "vllm:ckpt"),
        ("vllm:ada/../ckpt", "vllm:ckpt"),
        ("vllm:$HOME/x", "vllm:x"),
        ("vllm:{{ada}}/x", "vllm:x"),
        ("vllm:ada/name:Q4/ckpt", "vllm:ckpt"),
        ("vllm:C:\\Users\\ada\\ckpt", "vllm:ckpt"),
        ("vllm:models\\ckpt", "vllm:ckpt"),
        ("vllm:s3://key:secret@bucket/ada/ckpt?token=1", "vllm:ckpt"),
        ("openai:/home/ada/ckpt", "openai:ckpt"),  # as vLLM's server calls a folder
        ("spacy:/home/ada/ner", "spacy:ner"),
        ("spacy:ada lovelace/ner", "spacy:ner"),
        ("home/ada lovelace/x/y", "y"),
        ("Ada Lovelace, and others/models", "models"),
        ("ada/hf/", "hf"),
        ("org/tokenizer", "org/tokenizer"),
        ("/home/ada/.hf", ".hf"),
        ("C:/Users/ada/hf", "hf"),
        ("https://ada:pw@host:8000/v1?key=1", "https://host:8000"),
        ("https://ada:p@w@host/v1", "https://host"),
        ("file:///home/Ada Lovelace/x", "file://"),
        ("{{ '<s>' }}{% for m in messages %}</s>", "{{ '<s>' }}{% for m in messages %}</s>"),
        ("names that nothing introduces, and/or others", "names that nothing introduces, and/or others"),
    ],
)
def test_a_path_is_published_by_its_last_part_and_an_address_by_its_host(given: str, told: str) -> None:
    assert public_name(given) == told
    assert public_name(told) == told


def test_paths_are_found_however_deep_they_lie() -> None:
    given = {"speculative_config": {"model": "./draft", "n": 3}, "paths": ["/home/ada/a", None, True, 0.5]}
    assert published(given) == {
        "speculative_config": {"model": "draft", "n": 3},
        "paths": ["a", None, True, 0.5],
    }


def test_what_looks_like_a_name_on_a_hub_and_lies_here_is_published_as_a_path_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ada" / "ckpt").mkdir(parents=True)
    given = {"model": "vllm:ada/ckpt", "names": "spacy:ada/ckpt", "tokenizer": ["ada/ckpt", "org/other"]}
    assert published(given) == given
    monkeypatch.chdir(tmp_path)
    assert published(given) == {
        "model": "vllm:ckpt",
        "names": "spacy:ckpt",
        "tokenizer": ["ckpt", "org/other"],
    }
    assert public_name("openai:ada/ckpt") == "openai:ada/ckpt"  # a server's name, whatever lies here


def test_nothing_that_a_build_publishes_names_a_folder_and_another_one_is_told_all_the_same(
    tmp_path: Path,
) -> None:
    table = Table(tmp_path / "ada")
    prompts = write_prompts(tmp_path / "questions.jsonl", QUESTIONS[:2])
    plan: dict[str, Any] = {
        "model": "vllm:/home/ada/ckpt",
        "embedding": "/home/ada/words",
        "engine": {"download_dir": "/home/ada/.hf", "hub": "https://ada@hub.example/ada"},
        "masker": {"names": "spacy:/home/ada/ner"},
    }
    made = table.build(prompts, assembly=WORDS, plan=plan)
    files = [path for path in table.out.rglob("*") if path.is_file() and ".build" not in path.parts]
    assert files
    assert [path for path in files if b"/ada" in path.read_bytes() or b"ada@" in path.read_bytes()] == []
    told = made.options["plan"]
    assert (told["model"], told["embedding"]) == ("vllm:ckpt", "words")
    assert told["engine"] == {"download_dir": ".hf", "hub": "https://hub.example"}
    assert told["masker"] == made.masker == {"names": "spacy:ner"}
    assert "spacy:ner" in (table.out / "README.md").read_text()
    assert json.loads((table.out / "manifest.json").read_text())["masker"] == made.masker
    with pytest.raises(
        ContentError, match=r"another model .*'vllm:/home/ada/ckpt', and now 'vllm:/srv/ckpt'"
    ):
        table.build(prompts, assembly=WORDS, plan={**plan, "model": "vllm:/srv/ckpt"})


def test_the_same_scenario_gives_the_same_rows_wherever_its_file_lies(tmp_path: Path) -> None:
    made = []
    for name in ("one", "other"):
        table = Table(tmp_path / name)
        scenario = tmp_path / name / "bells.yaml"
        scenario.write_text("name: bells\nquestion: What are bells for?\npersonas: ./table\n")
        made.append(table.build(scenario, assembly=WORDS))
    assert made[0].data_sha256 == made[1].data_sha256
