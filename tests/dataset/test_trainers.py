"""TRL's own trainers take real steps on a dataset of ours, with a tiny model made on the spot."""

import asyncio
import json
import math
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from bench.tiny_model import make_model
from multiplex.api import Session
from multiplex.dataset.assembling import Assembly
from multiplex.dataset.building import Plan, Publication, build
from multiplex.dataset.checking import examine
from multiplex.dataset.deliberating import deliberate_all
from multiplex.dataset.producing import Producer, Recipe
from multiplex.dataset.prompts import Prompt, Skipped, read_prompts
from multiplex.dataset.store import Store
from multiplex.embedding import SentenceEmbedder
from tests.dataset.made import QUESTIONS, write_prompts

pytestmark = [
    pytest.mark.slow,
    pytest.mark.heavy,
    # Not ours: what trainers and what they stand on say of their own inner parts.
    *(pytest.mark.filterwarnings(f"ignore:::{module}") for module in ("trl", "transformers", "torch")),
]

PANEL = ("confucian", "western", "african")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build a small dataset with the extractive default."""
    folder = tmp_path_factory.mktemp("dataset")
    prompts = write_prompts(folder / "prompts.jsonl", QUESTIONS[:4])
    (folder / "short.yaml").write_text(
        json.dumps({"name": "short", "summary": "Short.", "stages": ["open", "synthesise", "ratify"]})
    )
    embedder = SentenceEmbedder()
    recipe = Recipe(personas=PANEL, protocol=str(folder / "short.yaml"))

    async def run() -> None:
        async with Session(embedder=embedder) as session:
            producer = Producer(session, embedder, recipe)

            async def taken() -> Iterable[Prompt | Skipped]:
                return read_prompts([prompts])

            async def deliberate(store: Store) -> None:
                await deliberate_all(store, producer.produce, at_once=1)

            await build(
                folder / "out",
                Plan(model="extractive", recipe=recipe, embedding=embedder.name, multiplex="0"),
                Assembly(shares={"train": 1.0, "validation": 0.0, "test": 0.0}),
                Publication(),
                prompts=taken,
                deliberate=deliberate,
                embedder=embedder,
                masks=None,
            )

    asyncio.run(run())
    assert examine(folder / "out").problems == []
    return folder / "out"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Write a model of a few hundred thousand random weights, with a tokenizer and a chat template."""
    return str(make_model(tmp_path_factory.mktemp("model"), hidden=64, layers=2, heads=2, vocabulary=1000))


@pytest.fixture
def loaded(dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    return lambda config: datasets.load_dataset(str(dataset), config, split="train")


@pytest.fixture
def trl() -> Any:
    import trl

    return trl


def options(folder: Path, **more: Any) -> dict[str, Any]:
    given = {
        "output_dir": str(folder),
        "max_steps": 2,
        "per_device_train_batch_size": 2,
        "learning_rate": 1e-3,
        "logging_steps": 1,
        "report_to": [],
        "save_strategy": "no",
        "use_cpu": True,
        "bf16": False,
        "seed": 1,
        "disable_tqdm": True,
    }
    return {**given, **more}


def taught(trainer: Any) -> list[float]:
    """Train; return the losses of the two steps, once the weights are seen to have changed."""
    import torch

    before = {name: weight.detach().clone() for name, weight in trainer.model.named_parameters()}
    trainer.train()
    assert trainer.state.global_step == 2
    changed = [
        name for name, weight in trainer.model.named_parameters() if not torch.equal(weight, before[name])
    ]
    assert len(changed) > len(before) / 2
    assert all(torch.isfinite(weight).all() for weight in trainer.model.parameters())
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    assert len(losses) == 2
    assert all(map(math.isfinite, losses))
    return losses


def test_sft_takes_two_steps(loaded: Any, trl: Any, model: str, tmp_path: Path) -> None:
    rows = loaded("sft")
    assert {row["messages"][-1]["role"] for row in rows} == {"assistant"}
    config = trl.SFTConfig(**options(tmp_path), max_length=2048)
    losses = taught(trl.SFTTrainer(model, args=config, train_dataset=rows))
    assert all(loss > 1 for loss in losses)  # of a model that knows nothing


def test_dpo_takes_two_steps(loaded: Any, trl: Any, model: str, tmp_path: Path) -> None:
    rows = loaded("dpo")
    assert len(rows) >= 4
    trainer = trl.DPOTrainer(
        model, args=trl.DPOConfig(**options(tmp_path), max_length=2048), train_dataset=rows
    )
    first = taught(trainer)[0]
    assert first == pytest.approx(math.log(2), abs=0.01)  # the policy is still its own reference


def test_kto_takes_two_steps(loaded: Any, trl: Any, model: str, tmp_path: Path) -> None:
    rows = loaded("kto")
    assert set(rows["label"]) == {True, False}
    taught(
        trl.KTOTrainer(model, args=trl.KTOConfig(**options(tmp_path), max_length=2048), train_dataset=rows)
    )


def test_a_reward_model_takes_two_steps_with_our_margins(
    loaded: Any, trl: Any, model: str, tmp_path: Path
) -> None:
    from transformers import AutoModelForSequenceClassification

    rows = loaded("reward")
    scorer = AutoModelForSequenceClassification.from_pretrained(model, num_labels=1)
    config = trl.RewardConfig(**options(tmp_path), max_length=2048)
    trainer = trl.RewardTrainer(scorer, args=config, train_dataset=rows)
    batch = next(iter(trainer.get_train_dataloader()))
    assert batch["margin"].shape == (2,)
    assert {round(margin, 4) for margin in batch["margin"].tolist()} <= set(rows["margin"])
    taught(trainer)


def test_a_reward_model_takes_two_steps_on_all_pairs_without_the_margins(
    loaded: Any, trl: Any, model: str, tmp_path: Path
) -> None:
    from transformers import AutoModelForSequenceClassification

    rows = loaded("dpo")
    assert len(rows) > len(loaded("reward"))
    scorer = AutoModelForSequenceClassification.from_pretrained(model, num_labels=1)
    config = trl.RewardConfig(**options(tmp_path), max_length=2048)
    taught(trl.RewardTrainer(scorer, args=config, train_dataset=rows.remove_columns("margin")))


def test_grpo_takes_two_steps_with_a_reward_of_our_columns(
    loaded: Any, trl: Any, model: str, tmp_path: Path
) -> None:
    """The reward is the one that docs/dataset.md shows; of random words it is 0, so their number counts a little."""
    page = (Path(__file__).parents[2] / "docs" / "dataset.md").read_text(encoding="utf-8")
    [shown] = [
        code for code in re.findall(r"^```python\n(.*?)^```", page, re.M | re.S) if "def least_served" in code
    ]
    example: dict[str, Any] = {}
    exec(shown.partition("\nrow = ")[0], example)  # noqa: S102 (what its reader is told to do)
    seen: list[int] = []

    def least_served(
        completions: Any, claims: Any, answers: Any, judgements: Any, **rest: Any
    ) -> list[float]:
        for given, judged in zip(answers, judgements, strict=True):
            assert {each["answer"] for each in judged} == set(range(len(given)))
            seen.append(len(judged))
        own = [[{"role": "assistant", "content": " ".join(c["text"] for c in stated)}] for stated in claims]
        assert example["least_served"](own, claims) == [1.0] * len(claims)  # an answer that says it all
        rewards = example["least_served"](completions, claims, answers=answers, **rest)
        words = [len(set(completion[0]["content"].split())) for completion in completions]
        return [reward + count / 100 for reward, count in zip(rewards, words, strict=True)]

    config = trl.GRPOConfig(
        **options(tmp_path, remove_unused_columns=False), num_generations=2, max_completion_length=16
    )
    trainer = trl.GRPOTrainer(model, reward_funcs=least_served, args=config, train_dataset=loaded("grpo"))
    taught(trainer)
    assert len(seen) == 4
    assert all(seen)
