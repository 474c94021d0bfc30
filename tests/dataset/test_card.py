"""The card: a header that a hub reads, a body that people read, and nothing of the user's that is taken for markup."""

import json
import logging
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from multiplex.dataset.assembling import Assembly
from multiplex.dataset.card import About, Generator, Seat, card, keep_edited_card, kept_cards
from multiplex.dataset.card_body import escaped
from multiplex.dataset.checking import examine
from multiplex.dataset.pictures import draw
from multiplex.dataset.schemas import COLUMNS, CONFIGS
from multiplex.dataset.statistics import statistics
from multiplex.dataset.summary import told
from tests.dataset.made import QUESTIONS, Table, write_prompts
from tests.dataset.sound import ABOUT, PERSPECTIVES, sound


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sound(tmp_path_factory.mktemp("sound"))


@pytest.fixture(scope="module")
def counts(folder: Path) -> dict[str, Any]:
    return statistics(folder, perspectives=PERSPECTIVES)


def parted(text: str) -> tuple[dict[str, Any], str]:
    block = re.match(r"---\n(.*?)\n---\n", text, re.DOTALL)
    assert block
    return yaml.safe_load(block[1]), text[block.end() :]


def test_the_header_names_the_files_the_columns_and_the_rows_of_every_config(folder: Path) -> None:
    header, _ = parted((folder / "README.md").read_text())
    assert [each["config_name"] for each in header["configs"]] == list(CONFIGS)
    for each in header["configs"]:
        assert each["data_files"] == [
            {"split": split, "path": f"data/{each['config_name']}/{split}-*.parquet"}
            for split in ("train", "test")
        ]
        assert all(list(folder.glob(file["path"])) for file in each["data_files"])
    for info in header["dataset_info"]:
        assert [each["name"] for each in info["features"]] == list(COLUMNS[info["config_name"]])
    rows = {info["config_name"]: info["splits"] for info in header["dataset_info"]}
    assert [(each["name"], each["num_examples"]) for each in rows["dpo"]] == [("train", 10), ("test", 4)]
    assert header["size_categories"] == ["n<1K"]
    assert {"synthetic", "multiplex", "dpo", "kto", "reward"} <= set(header["tags"])
    assert header["annotations_creators"] == ["machine-generated"]


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (None, {"license": "unknown"}),
        ("CC-BY-4.0", {"license": "cc-by-4.0"}),
        ("other: Ours, ask\nfirst", {"license": "other", "license_name": "ours-ask-first"}),
        ("Ours 1.0", {"license": "other", "license_name": "ours-1.0"}),
        ("other: 水", {"license": "other", "license_name": "unnamed"}),
    ],
)
def test_the_licence_is_the_one_given_and_none_is_made_up(
    counts: dict[str, Any], given: str | None, told: dict[str, str]
) -> None:
    header, said = parted(card(ABOUT.model_copy(update={"license": given}), counts))
    assert {name: value for name, value in header.items() if name.startswith("license")} == told
    assert ("No: no licence was given." in said) is (given is None)


def test_the_body_says_what_was_preferred_who_sat_there_and_what_it_is_not(counts: dict[str, Any]) -> None:
    _, said = parted(card(ABOUT, counts))
    for words in (
        "Every persona is simulated",
        "no substitute for asking people",
        "| Miller | miller | rural | The river valley |",
        "the licence of its output is unknown",
        "| `in_character` | Whoever speaks as itself. | 7 |",
        "10.1038/sdata.2016.18",
        "No: there is none until you register one",
        'load_dataset("DIR", "dpo", split="train")',
        "RewardTrainer(",
        "Personal data were not looked for",
        "empty: 2",
        "0.000 of 1, over the 3 perspectives of the panel's fixed list",
    ):
        assert words in said, words
    principles = {
        line.split("|")[1].split()[0] for line in said.splitlines() if re.match(r"\| [FAIR]\d", line)
    }
    assert sorted(principles) == [
        *("A1", "A1.1", "A1.2", "A2", "F1", "F2", "F3", "F4"),
        *("I1", "I2", "I3", "R1", "R1.1", "R1.2", "R1.3"),
    ]


def test_options_and_counts_are_told_in_words(counts: dict[str, Any]) -> None:
    about = ABOUT.model_copy(
        update={
            "options": {"least_margin": 0.02, "limits": {"fewest_words_of": {"overton": 30}}},
            "report": {"texts": {"out_of_character": 3}},
            "left_out": {"dpo": "20 of 25 pairs; left out: 5 for balance (Schwartz values 5)"},
            "covered": "6 on 4 of 16 topics (family 2)",
        }
    )
    _, said = parted(card(about, counts))
    for words in (
        "- least margin: 0.02",
        "- what the quality gate asks of a text:\n  - fewest words, by kind of text:\n    - overton: 30",
        "- out of character: 3",
        "## What was left out\n\n- `dpo`: 20 of 25 pairs; left out: 5 for balance (Schwartz values 5)",
        "Prompts: 6 on 4 of 16 topics (family 2).",
        "| split | desirable | undesirable |\n| --- | --- | --- |\n| train | 10 | 0 |",
    ):
        assert words in said, words
    outside = re.sub(r"```.*?```|`[^`\n]*`|\]\([^)]*\)", "", said, flags=re.DOTALL)
    assert [line for line in outside.splitlines() if re.match(r"\s*- \w*\\_", line)] == []


def test_an_edited_card_is_kept_beside_once_and_one_as_it_was_built_is_not(tmp_path: Path) -> None:
    made = sound(tmp_path, configs=("kto",))
    assert keep_edited_card(made) is None
    whole = (made / "README.md").read_text()
    (made / "README.md").write_text(f"{whole}\nAda Lovelace\n")
    first = keep_edited_card(made)
    assert first == made / "README.md.bak"
    assert first.read_text().endswith("Ada Lovelace\n")
    assert keep_edited_card(made) == first
    (made / "README.md").write_text(f"{whole}\nGrace Hopper\n")
    assert keep_edited_card(made) == made / "README.md.bak1"
    assert [path.name for path in kept_cards(made)] == ["README.md.bak", "README.md.bak1"]
    (made / "manifest.json").unlink()
    assert keep_edited_card(made) is None


def test_a_build_keeps_a_completed_card_beside_the_new_one_and_writes_its_statistics(tmp_path: Path) -> None:
    table = Table(tmp_path)
    prompts = write_prompts(tmp_path / "questions.jsonl", QUESTIONS[:2])
    made = table.build(prompts, assembly=Assembly(configs=("grpo",)))
    assert "statistics.json" in {entry.path for entry in made.files}
    assert json.loads((table.out / "statistics.json").read_text()) == json.loads(
        json.dumps(statistics(table.out))
    )
    (completed,) = [line for line in told(table.out) if line.startswith("coverage: ")]
    assert completed == "coverage: 2 on 0 of 16 topics; 2 without a topic, over which they are not balanced"
    card = table.out / "README.md"
    card.write_text(card.read_text() + "Ada Lovelace\n")
    table.build(prompts, assembly=Assembly(configs=("transcripts",)))
    assert "Ada Lovelace" not in card.read_text()
    assert (table.out / "README.md.bak").read_text().endswith("Ada Lovelace\n")
    assert told(table.out)[-1].startswith("README.md.bak: the card that was there")
    checked = examine(table.out)
    assert (checked.problems, [note.where for note in checked.notes]) == ([], ["README.md.bak"])


def test_a_licence_of_the_generator_and_a_privacy_agent_are_told_where_they_are_known(
    counts: dict[str, Any],
) -> None:
    known = {
        "generators": (Generator(name="qwen_3", licence="apache-2.0"),),
        "masker": {"library": "presidio", "entities": ["NAME", "EMAIL"]},
    }
    _, said = parted(card(ABOUT.model_copy(update=known), counts))
    assert "Texts by qwen\\_3; its licence, as told by whoever built the set: apache-2.0." in said
    assert "- entities: NAME, EMAIL" in said
    assert "No such search finds everything" in said


HOSTILE = "x\n---\n# Big <script>alert(1)</script> | [a](http://b.c) `*_~$ \u202e\x1b[31m }\\"


def test_what_users_give_is_neither_yaml_nor_markdown_nor_html(counts: dict[str, Any]) -> None:
    about = About(
        title=HOSTILE,
        multiplex=HOSTILE,
        created=HOSTILE,
        license=HOSTILE,
        languages=(HOSTILE, "no", "null"),
        protocol=HOSTILE,
        stages=(HOSTILE,),
        panel=(Seat(name=HOSTILE, label=HOSTILE, perspective=HOSTILE, region=HOSTILE),),
        generators=(Generator(name=HOSTILE, licence=HOSTILE),),
        notice=HOSTILE,
        rules={HOSTILE: HOSTILE},
        masker={HOSTILE: [HOSTILE]},
        report={HOSTILE: {HOSTILE: HOSTILE}},
    )
    header, said = parted(card(about, counts))
    assert header["language"][1:] == ["no", "null"]
    assert header["configs"][0]["config_name"] == "sft"
    outside = re.sub(r"```.*?```|`[^`\n]*`", "", said, flags=re.DOTALL)
    assert "<script" not in outside.replace("\\<", "")
    assert not re.search(r"(?<!\\)\[a\\?\]", outside)
    assert [line for line in said.splitlines() if line.startswith(("# ", "---"))] == [f"# {escaped(HOSTILE)}"]
    assert "\x1b" not in said
    assert "\u202e" not in said
    tables = [line for line in said.splitlines() if line.startswith("|")]
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in tables} <= {3, 4, 5, 10}


@given(text=st.text())
def test_escaped_text_is_one_line_that_reads_as_what_was_given(text: str) -> None:
    line = escaped(text)
    assert "\n" not in line
    back = re.sub(r"\\([\\`*_\[\]<>#|~&$])", r"\1", line.replace("\u200b", ""))
    assert back.split() == "".join(c if c.isprintable() else " " for c in text).replace("\u200b", "").split()


def test_the_same_set_gives_the_same_card(counts: dict[str, Any]) -> None:
    assert card(ABOUT, counts) == card(ABOUT, counts)


@pytest.mark.slow
def test_pictures_are_the_same_bytes_in_every_process_and_take_any_label(
    folder: Path, tmp_path: Path
) -> None:
    counts = statistics(folder)
    counts["balance"]["perspective"]["sft"].append({"name": "a $\\frac{1 <b> \u6c34", "rows": 2})
    drawn = draw(tmp_path, counts)
    assert drawn == ["pictures/perspectives.svg", "pictures/margins.svg", "pictures/lengths.svg"]
    first = (tmp_path / drawn[0]).read_text()
    assert "&lt;b&gt;" in first
    assert "\u6c34" in first
    assert "<dc:date>" not in first
    code = (
        "import json, sys; from pathlib import Path; from multiplex.dataset.pictures import draw; "
        "draw(Path(sys.argv[1]), json.load(sys.stdin))"
    )
    again = tmp_path / "again"
    subprocess.run([sys.executable, "-c", code, str(again)], input=json.dumps(counts), text=True, check=True)
    for name in drawn:
        assert (again / name).read_bytes() == (tmp_path / name).read_bytes()
    assert card(ABOUT, counts, pictures=drawn).count("![") == 3


@pytest.mark.slow
@pytest.mark.parametrize("config", CONFIGS)
def test_the_library_datasets_loads_every_config_offline_from_the_folder(
    folder: Path,
    config: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    from datasets import Features, load_dataset

    from multiplex.dataset.reading import read_rows, shards
    from multiplex.dataset.schemas import schema

    # The library's own logger hands nothing on to the root, where pytest listens.
    monkeypatch.setattr(logging.getLogger("datasets"), "propagate", True)
    loaded = load_dataset(str(folder), config, cache_dir=str(tmp_path))
    assert "Ignoring part of dataset_info" not in caplog.text
    parts = shards(folder, configs=(config,))
    for split in ("train", "test"):
        expected = [row for part in parts if part.split == split for row in read_rows(part)]
        assert list(loaded[split]) == expected
    features = Features.from_arrow_schema(schema(config))
    assert loaded["train"].features == features
    header, _ = parted((folder / "README.md").read_text())
    told = next(each for each in header["dataset_info"] if each["config_name"] == config)
    assert told["features"] == features._to_yaml_list()
