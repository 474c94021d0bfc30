"""What is published of names and values that may be paths or addresses."""

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from multiplex.dataset.checking import examine
from multiplex.dataset.manifest import write_manifest
from multiplex.dataset.plan import sources_of
from multiplex.dataset.published import public_name, published
from multiplex.dataset.store import Store
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


def test_nothing_that_a_build_publishes_is_of_the_prompt_files_before_they_were_masked(
    tmp_path: Path,
) -> None:
    table = Table(tmp_path)
    first = write_prompts(tmp_path / "first.txt", QUESTIONS[:2])
    more = write_prompts(tmp_path / "more.txt", QUESTIONS[2:3])
    table.build(first, assembly=WORDS)
    made = table.build(more, assembly=WORDS, extend=True)
    assert made.sources == ({"file": "file 1"}, {"file": "file 2"})
    assert made.options["plan"]["sources"] == list(made.sources)
    for path in (first, more):
        digest = sha256(path.read_bytes()).hexdigest().encode()
        published = [each for each in table.out.rglob("*") if each.is_file() and ".build" not in each.parts]
        assert published
        assert [each for each in published if digest in each.read_bytes()] == []
    # It is known by its hash all the same.
    write_prompts(more, QUESTIONS[3:4])
    with pytest.raises(ContentError, match=r"more\.txt has changed since"):
        table.build(more, assembly=WORDS)


def test_a_folder_whose_manifest_tells_more_of_prompt_files_is_read_and_the_same_build_takes_it_out(
    tmp_path: Path,
) -> None:
    table = Table(tmp_path)
    prompts = write_prompts(tmp_path / "questions.txt", QUESTIONS[:2])
    made = table.build(prompts, assembly=WORDS)
    [source] = sources_of([prompts])
    told = {name: source[name] for name in ("file", "sha256", "bytes")}
    plan = {**made.options["plan"], "sources": [told]}
    before = made.model_copy(update={"sources": (told,), "options": {**made.options, "plan": plan}})
    write_manifest(table.out, before)
    with Store(table.out / ".build") as store:
        store.keep_fact("written", {**store.fact("written"), "sources": [told]})
    assert examine(table.out).problems == []
    assert table.build(prompts, assembly=WORDS).sha256 == made.sha256
    assert source["sha256"] not in (table.out / "manifest.json").read_text()


def test_the_same_scenario_gives_the_same_rows_wherever_its_file_lies(tmp_path: Path) -> None:
    made = []
    for name in ("one", "other"):
        table = Table(tmp_path / name)
        scenario = tmp_path / name / "bells.yaml"
        scenario.write_text("name: bells\nquestion: What are bells for?\npersonas: ./table\n")
        made.append(table.build(scenario, assembly=WORDS))
    assert made[0].data_sha256 == made[1].data_sha256
