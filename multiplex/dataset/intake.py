"""Prompts into the work file: masked, near-duplicates left out, and in groups that stay in one split."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from multiplex.content.scenarios import Option, Scenario
from multiplex.dataset.prompts import Prompt, Skipped
from multiplex.dataset.similarity import DUPLICATE, RELATED, Seen, linked
from multiplex.dataset.store import Store
from multiplex.embedding import Embedder

if TYPE_CHECKING:
    from multiplex.dataset.masking import Masks
    from multiplex.dataset.privacy import Session

__all__ = ["Likeness", "take_in"]

_BATCH = 256


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
    near-duplicates by the embedding of context and question; of several the first stays. Prompts that
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
                vectors = embedder.embed([_asked(prompt.scenario) for prompt in batch])
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
    for kind, number in found.items():
        store.count("masked in prompts", kind, prompt.origin, number)
    return prompt.model_copy(update={"scenario": scenario.model_copy(update=update)}) if found else prompt


def _asked(scenario: Scenario) -> str:
    return f"{scenario.context}\n{scenario.question}" if scenario.context else scenario.question
