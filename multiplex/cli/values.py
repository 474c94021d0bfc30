"""What `multiplex graph values` does: the values that texts, transcripts and runs show, found and printed."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from multiplex.acts.observer import Observer
from multiplex.cli.graph_shown import counted, flat
from multiplex.cli.outcome import print_json
from multiplex.cli.text import safe
from multiplex.cli.texts import Passage, read_passages
from multiplex.content.passages import neutral_sentences
from multiplex.content.personas import Pack, load_pack
from multiplex.content.schwartz import SCHWARTZ_VALUES, group_of
from multiplex.embedding import Embedder, SentenceEmbedder
from multiplex.errors import ContentError, ModelError
from multiplex.models.base import Model
from multiplex.models.pool import ModelPool
from multiplex.moral_graph.cards import ValuesCard
from multiplex.moral_graph.in_text import Span, ValuesInText, nearness_floor, spans_of, values_in_text
from multiplex.responders.language_model import LanguageModelResponder
from multiplex.seeds import derive_seed
from multiplex.sentences import sentences

__all__ = ["cards_of", "values_command"]

_SHOWN = 20
"""How many values a table lists; JSON has them all."""

_CHUNK = 6000
"""About how many characters a language model reads at a time."""


def values_command(
    files: Sequence[Path],
    *,
    pack: str = "civilizations",
    model: str | Model = "extractive",
    base_url: str | Mapping[str, str] | None = None,
    api_key: str | None = None,
    as_json: bool = False,
    seed: int = 0,
    embedder: Embedder | None = None,
) -> None:
    """Print the values that texts, JSONL files and run folders show, mapped to a pack's commitments.

    With `extractive` every sentence is compared with the commitments; with a model, what it extracts is.

    Raises:
        ContentError: a file, the pack or the model's name is wrong.
        ModelError: the embedding cannot be loaded, or the model answered nothing.
    """
    if not files:
        raise ContentError("no file is named; name a text, a JSONL file or a run's folder")
    passages = [passage for file in files for passage in read_passages(file)]
    chosen = load_pack(pack)
    cards = cards_of(chosen)
    embed = (embedder or SentenceEmbedder()).embed
    failed: list[str] = []
    spans = [span for where, text in passages for span in spans_of(text, where=where)]
    if model != "extractive":
        spans, failed = asyncio.run(
            _extracted(passages, model, ModelPool(base_url=base_url, api_key=api_key), seed)
        )
    found = values_in_text(
        spans,
        cards,
        embed,
        floor=nearness_floor(neutral_sentences(), cards, embed),
        groups={value: group_of(value) for value in SCHWARTZ_VALUES},
    )
    titles = {card.id: card for card in cards}
    name = model if isinstance(model, str) else model.name
    if as_json:
        print_json({"pack": chosen.name, "model": name, **_plain(found, titles), "failed": failed})
    else:
        _print(found, titles, failed)


def cards_of(pack: Pack) -> list[ValuesCard]:
    """Return the commitments of a pack's personas as values cards, by `persona.commitment`."""
    return [
        ValuesCard(
            id=f"{persona.name}.{commitment.key}",
            title=commitment.title,
            description=commitment.statement,
            policies=commitment.attends_to,
            schwartz=commitment.schwartz,
            context="",
            authors=(persona.name,),
            sources=(str(commitment.source),),
        )
        for persona in pack.personas
        for commitment in persona.commitments
    ]


async def _extracted(
    passages: Sequence[Passage], model: str | Model, pool: ModelPool, seed: int
) -> tuple[list[Span], list[str]]:
    try:
        asked = pool.named(model) if isinstance(model, str) else pool.given(model)
        if asked is None:
            raise ContentError(f"the model {model!r} extracts nothing")
        observer = Observer(LanguageModelResponder(asked))
        chunks = [(where, part) for where, text in passages for part in _chunks(text)]
        answers = await asyncio.gather(
            *(observer.values(part, derive_seed(seed, "values", i)) for i, (_, part) in enumerate(chunks))
        )
    finally:
        await pool.aclose()
    spans: list[Span] = []
    failed: list[str] = []
    for (where, _), answer in zip(chunks, answers, strict=True):
        if isinstance(answer, str):
            failed.append(f"{where}: {answer}")
        else:
            spans += [Span(each.span, where, each.value) for each in answer]
    if len(failed) == len(chunks):
        raise ModelError(f"no text could be read by the model: {failed[0]}")
    return spans, failed


def _chunks(text: str) -> Iterator[str]:
    """Yield whole sentences of a text, about `_CHUNK` characters at a time; a longer sentence is cut."""
    part: list[str] = []
    length = 0
    for sentence in sentences(text):
        for start in range(0, len(sentence), _CHUNK):
            piece = sentence[start : start + _CHUNK]
            if part and length + len(piece) > _CHUNK:
                yield "\n".join(part)
                part, length = [], 0
            part.append(piece)
            length += len(piece)
    if part:
        yield "\n".join(part)


def _plain(found: ValuesInText, cards: Mapping[str, ValuesCard]) -> dict[str, Any]:
    return {
        "spans": found.spans,
        "none": found.none,
        "untagged": found.untagged,
        "floor": round(found.floor, 4),
        "reason": found.reason,
        "values": [
            {
                "card": card,
                "title": cards[card].title,
                "authors": list(cards[card].authors),
                "schwartz": list(cards[card].schwartz),
                "count": int(count),
                "share": round(count / found.cards.total, 4),
            }
            for card, count in found.cards.counts.items()
        ],
        "schwartz": _rows(found.schwartz.counts, found.schwartz.shares),
        "groups": _rows(found.groups.counts, found.groups.shares),
        "names": dict(found.names),
        "shown": [
            {
                "where": each.span.where,
                "span": each.span.text,
                "name": each.span.name,
                "card": each.card,
                "nearness": round(each.nearness, 4),
            }
            for each in found.shown
        ],
    }


def _rows(counts: Mapping[str, float], shares: Mapping[str, float] | None) -> dict[str, dict[str, float]]:
    return {
        name: {"count": round(count, 4), "share": round((shares or {})[name], 4)}
        for name, count in counts.items()
    }


def _print(found: ValuesInText, cards: Mapping[str, ValuesCard], failed: Sequence[str]) -> None:
    console = Console()
    best: dict[str, Any] = {}
    for each in found.shown:
        if each.card is not None and (each.card not in best or each.nearness > best[each.card].nearness):
            best[each.card] = each
    if found.cards.counts:
        table = Table(
            *("value", "held by", "Schwartz", "count", "share", "for example"), box=None, pad_edge=False
        )
        for card, count in list(found.cards.counts.items())[:_SHOWN]:
            table.add_row(
                flat(cards[card].title),
                flat(", ".join(cards[card].authors)),
                flat(", ".join(cards[card].schwartz)),
                str(int(count)),
                f"{count / found.cards.total:.0%}",
                flat(best[card].span.text[:120]),
            )
        console.print(table)
        if (more := len(found.cards.counts) - _SHOWN) > 0:
            console.print(f"and {more} more; --json lists them all")
        groups = ", ".join(
            f"{name.replace('_', ' ')} {share:.0%}" for name, share in (found.groups.shares or {}).items()
        )
        console.print(f"Schwartz's groups: {groups or 'none'}")
    else:
        console.print(safe(found.reason or "nothing was found"))
    console.print(
        f"{counted(found.spans, 'span')}, {found.none} of them near to no value (nearness below {found.floor:.2f}). "
        "Nearness shows what a sentence is about, not that the text is for it."
    )
    for reason in failed:
        console.print(flat(f"not read: {reason}"))
