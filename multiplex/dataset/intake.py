"""Prompts into the work file: masked, near-duplicates left out, and in groups that stay in one split."""

import hashlib
import textwrap
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from multiplex.content.scenarios import Option, Scenario
from multiplex.dataset.prompts import Prompt, Skipped, prompt_id
from multiplex.dataset.quality import template_mark
from multiplex.dataset.similarity import DUPLICATE, RELATED, Seen, linked
from multiplex.dataset.store import Store
from multiplex.embedding import Embedder, Vectors

if TYPE_CHECKING:
    from multiplex.dataset.masking import Masks
    from multiplex.dataset.privacy import Session

__all__ = ["Likeness", "take_in"]

_BATCH = 256

_PIECE = 800
"""Characters of a context that are embedded at a time: as many as surely fit into the embedding model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Likeness:
    """From which cosine a prompt is left out as a near-duplicate, and from which two share a group."""

    duplicate: float = DUPLICATE
    related: float = RELATED


def take_in(
    store: Store,
    prompts: Iterable[Prompt | Skipped],
    *,
    embedder: Embedder,
    folder: Path,
    masks: "Masks | None",
    likeness: Likeness | None = None,
) -> None:
    """Read all prompts into the store, in one transaction: whoever is killed in between begins anew.

    Personal data is masked before anything is deliberated on, so that no model is shown it. Prompts are
    near-duplicates by the embeddings of question and context; of several the first stays. Prompts that
    are merely close get the same group; where one of them was given a group, it is that one's, so that
    two given groups that hold close prompts become one.
    """
    like = likeness or Likeness()
    path = folder / "prompts.seen"
    path.unlink(missing_ok=True)
    seen: Seen | None = None
    given: dict[str, str] = {}
    with store.together():
        store.clear_prompts()
        try:
            valid = _valid(store, prompts, masks)
            while batch := list(islice(valid, _BATCH)):
                vectors = _vectors([prompt.scenario for prompt in batch], embedder)
                if seen is None:
                    seen = Seen(
                        path, dimensions=vectors.shape[1], threshold=like.duplicate, embedding=embedder.name
                    )
                ids = [prompt.id for prompt in batch]
                for prompt, repeats in zip(batch, seen.add_many(ids, vectors), strict=True):
                    if repeats is not None:
                        reason = f"as {repeats.key} (cosine {repeats.cosine:.3f})"
                        store.skip(Skipped(origin=prompt.origin, kind="near_duplicate", reason=reason))
                    elif not store.add_prompt(prompt):
                        reason = f"the id {prompt.id} stands twice"
                        store.skip(Skipped(origin=prompt.origin, kind="duplicate_id", reason=reason))
                    elif prompt.group != prompt.id:
                        given[prompt.id] = prompt.group
            if seen is not None:
                keys = list(seen.keys())
                store.regroup(linked(keys, seen.related(like.related), given=given))
        finally:
            if seen is not None:
                seen.close()


def _valid(store: Store, prompts: Iterable[Prompt | Skipped], masks: "Masks | None") -> Iterator[Prompt]:
    for prompt in prompts:
        if isinstance(prompt, Skipped):
            store.skip(prompt)
        elif mark := template_mark(f"{prompt.scenario.question}\n{prompt.scenario.context or ''}"):
            reason = f"holds {mark!r}, which a chat template would read as its own"
            store.skip(Skipped(origin=prompt.origin, kind="chat_template", reason=reason))
        else:
            yield prompt if masks is None else _masked(store, prompt, masks.session())


def _masked(store: Store, prompt: Prompt, session: "Session") -> Prompt:
    found: Counter[str] = Counter()

    def clean(text: str | None) -> str | None:
        if text is None:
            return None
        done = session.mask(text)
        found.update(done.counts)
        return done.text

    scenario = prompt.scenario
    options = [
        Option(key=o.key, text=clean(o.text) or "", reasons=tuple(clean(r) or "" for r in o.reasons))
        for o in scenario.options
    ]
    update = {
        "title": clean(scenario.title),
        "question": clean(scenario.question),
        "context": clean(scenario.context),
        "choice_context": clean(scenario.choice_context),
        "options": tuple(options),
    }
    masked = scenario.model_copy(update=update)
    # An id that is made of the question would let whoever guesses the question see that it was asked.
    made = prompt.id == prompt_id(scenario.question, scenario.context, scenario.options)
    told = prompt_id(masked.question, masked.context, masked.options) if made else _hidden(prompt.id, clean)
    group = told if prompt.group == prompt.id else _hidden(prompt.group, clean)
    for kind, number in found.items():
        store.count("masked in prompts", kind, prompt.origin, number)
    if not found:
        return prompt
    if scenario.name == f"prompt_{prompt.id}":
        masked = masked.model_copy(update={"name": f"prompt_{told}"})
    return prompt.model_copy(update={"id": told, "group": group, "scenario": masked})


def _hidden(name: str, clean: Callable[[str | None], str | None]) -> str:
    """Return a name that a user gave, or its hash where it holds personal data."""
    return name if clean(name) == name else hashlib.sha256(name.encode("utf-8", "replace")).hexdigest()[:16]


def _vectors(scenarios: Sequence[Scenario], embedder: Embedder) -> Vectors:
    """Return a unit vector a scenario, shape (n, 2d): one half for what is asked, one for the facts that go with it.

    A long context would leave no room for the question in the embedding model, and questions about one text
    would all be alike. So the question with its options is embedded by itself, and the context in pieces; a
    scenario without one has its question in both halves.
    """
    asked = ["\n".join((s.question, *(option.text for option in s.options))) for s in scenarios]
    pieces = [textwrap.wrap(s.context or "", _PIECE) for s in scenarios]
    rows = embedder.embed([*asked, *(piece for each in pieces for piece in each)])
    questions, rest = rows[: len(asked)], iter(rows[len(asked) :])
    contexts = questions.copy()
    for place, each in enumerate(pieces):
        if each:
            mean = np.sum([next(rest) for _ in each], axis=0)
            contexts[place] = mean / (float(np.linalg.norm(mean)) or 1.0)
    vectors: Vectors = np.concatenate([questions, contexts], axis=1) / np.sqrt(2).astype(np.float32)
    return vectors
