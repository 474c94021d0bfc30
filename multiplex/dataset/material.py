"""What one prompt's deliberation left, as far as training data is made of it: texts, ballots, and what was measured.

It holds nothing that differs between two runs with the same seed (times, a run's random name), so that a
build that was cut off comes to the same data as one that never was.
"""

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from multiplex.content.panels import Panel
from multiplex.content.personas import Persona, Source
from multiplex.content.protocols import Contrast, Protocol
from multiplex.content.scenarios import Option, Scenario
from multiplex.dataset.prompts import Prompt
from multiplex.dataset.published import public_name, published
from multiplex.deliberation.carried import CARRIED, Claims
from multiplex.deliberation.scores import Embed, rounded
from multiplex.deliberation.stages.step import ranks_of
from multiplex.runs import Run
from multiplex.scoring.classifiers import Controlled
from multiplex.scoring.perspectives import perspective_entropy
from multiplex.scoring.pluralism import representation
from multiplex.sentences import sentences
from multiplex.voting import schulze

__all__ = ["Kind", "Material", "Text", "Voice", "material_of", "system_turn", "user_turn", "with_contrast"]

Kind = Literal["overton", "consensus", "draft", "alone", "steered"]


class _Plain(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Voice(_Plain):
    """A persona as it sat on the panel: who it is, what it claimed at the start, where it stood.

    `sources` are those of all its commitments, `schwartz` the values of those that its opening rests on.
    """

    name: str
    label: str
    perspective: str
    region: str | None
    sha256: str
    system: str
    claims: tuple[str, ...]
    sources: tuple[Source, ...]
    schwartz: tuple[str, ...]
    stance: dict[str, float] | None
    final_stance: dict[str, float] | None


class Text(_Plain):
    """A text, who endorses it (1 to 7), and whose claims it carries.

    `endorsements` is empty where nobody was asked; None is an abstention. `carried` is the share of each
    persona's opening claims that the text carries, 0 to 1, None for who claimed nothing. `references`
    are sentences by perspective, `entropy` the perspective entropy corrected for the classifier's errors.
    """

    kind: Kind
    persona: str | None = None
    text: str
    endorsements: dict[str, int | None] = {}
    objections: dict[str, str] = {}
    carried: dict[str, float | None] = {}
    references: dict[str, float] = {}
    entropy: float | None = None


class Material(_Plain):
    """Everything that rows are made of."""

    prompt: Prompt
    voices: tuple[Voice, ...]
    texts: tuple[Text, ...]
    shares: dict[str, Any] | None
    moral_graph: dict[str, Any] | None
    transcript: tuple[dict[str, Any], ...]
    provenance: dict[str, Any]
    notice: str | None

    def text(self, kind: Kind, persona: str | None = None) -> Text | None:
        """Return the text of that kind (and persona), None where there is none."""
        for text in self.texts:
            if (text.kind, text.persona) == (kind, persona):
                return text
        return None

    def voice(self, name: str) -> Voice:
        """Return the persona of that name; KeyError if it was not seated."""
        for voice in self.voices:
            if voice.name == name:
                return voice
        raise KeyError(name)


def with_contrast(protocol: Protocol) -> Protocol:
    """Return the protocol with the stage `contrast` at its end, where it can have one and has none."""
    names = {stage.name for stage in protocol.stages}
    if "contrast" in names or not {"open", "synthesise"} <= names:
        return protocol
    return Protocol(
        name=protocol.name,
        summary=protocol.summary,
        quorum=protocol.quorum,
        stages=(*protocol.stages, Contrast()),
    )


def system_turn(persona: Persona) -> str:
    """Return the system turn that asks a model to speak as a persona, in its own words and with its limits."""
    return (
        f"You speak as a simulated persona: {persona.label} ({persona.region}). It is written from published "
        "sources, stands for no real person, and speaks for nobody but itself.\n\n"
        f"{persona.summary}\n\nEthics: {persona.ethics}\n\nVoice: {persona.voice}\n\n"
        f"Its tradition disagrees with itself: {persona.diversity}\n\nLimits: {persona.limits}"
    )


def user_turn(scenario: Scenario) -> str:
    """Return what everyone was shown of a scenario, in plain words: facts, question, what is chosen, and options.

    So was the model that answered without the panel: whatever is preferred or rejected answers this.
    """
    parts = [scenario.context, scenario.question]
    if scenario.choice_context:
        parts.append(f"The choice is about: {scenario.choice_context}")
    if scenario.options:
        parts.append("\n".join(("The options:", *map(_shown, scenario.options))))
    return "\n\n".join(part for part in parts if part)


def _shown(option: Option) -> str:
    """Return an option on a line, and what is said for it on lines below."""
    return "\n".join(
        (f"- {option.key}: {option.text}", *(f"  Said for it: {each}" for each in option.reasons))
    )


def material_of(prompt: Prompt, run: Run, panel: Panel, *, embed: Embed, classifier: Controlled) -> Material:
    """Distil a run into what rows are made of, and measure its texts."""
    claims = {
        name: tuple(claim["text"] for claim in steered.claims)
        for name, steered in run.answers.steered.items()
    }
    found = _texts(run)
    # In one go, for each go has a price of its own; from here on they are known.
    spoken = [*(text.text for text in found), *(claim for each in claims.values() for claim in each)]
    embed(
        [
            *(part for text in spoken for part in sentences(text)),
            *(c for each in claims.values() for c in each),
        ]
    )
    near = Claims(claims, embed) if claims else None
    texts = [_measured(text, near, classifier) for text in found]
    return Material(
        prompt=prompt,
        voices=tuple(_voice(persona, run) for persona in panel.personas),
        texts=tuple(texts),
        shares=rounded(run.answers.distribution),
        moral_graph=run.moral_graph,
        transcript=tuple(_told(result) for result in run.transcript),
        provenance=_provenance(run, prompt.scenario),
        notice=run.answers.notice,
    )


def _voice(persona: Persona, run: Run) -> Voice:
    steered = run.answers.steered.get(persona.name)
    rests = {claim["commitment"] for claim in steered.claims} if steered else set()
    grounds = [c for c in persona.commitments if c.key in rests]
    return Voice(
        name=persona.name,
        label=persona.label,
        perspective=persona.perspective,
        region=persona.region,
        sha256=run.manifest["sha256"][f"personas/{persona.name}"],
        system=system_turn(persona),
        claims=tuple(claim["text"] for claim in steered.claims) if steered else (),
        sources=tuple(c.source for c in persona.commitments),
        schwartz=tuple(dict.fromkeys(value for c in grounds for value in c.schwartz)),
        stance=rounded(steered.stance) if steered else None,
        final_stance=rounded(steered.final_stance) if steered else None,
    )


def _texts(run: Run) -> list[Text]:
    """Return the texts of a run with the ballots on them."""
    found: list[Text] = []
    answers = run.answers
    if answers.overton and answers.steered:  # of a panel; without one it is the answer of one model alone
        found.append(
            Text(kind="overton", text=answers.overton, **_ballots(run, "contrast.ballot", "overton"))
        )
    elif answers.overton:
        found.append(Text(kind="alone", text=answers.overton))
    if answers.consensus:
        rounds = [r["round"] for r in run.transcript if r["step"] == "ratify.ballot"]
        dissent = {d.persona: d.text for d in answers.consensus.dissent if answers.consensus.endorsements}
        given = answers.consensus.endorsements
        consensus = Text(
            kind="consensus", text=answers.consensus.statement, endorsements=given, objections=dissent
        )
        found.append(consensus)
        first = _first_draft(run)
        if rounds and answers.consensus.revised and first is not None:
            found.append(Text(kind="draft", text=first, **_ballots(run, "ratify.ballot", "", round=1)))
    for result in run.transcript:
        if result["step"] == "contrast.alone" and result["reply"]:
            ballots = _ballots(run, "contrast.ballot", "alone")
            found.append(Text(kind="alone", text=result["reply"]["answer"], **ballots))
    for name, steered in answers.steered.items():
        found.append(Text(kind="steered", persona=name, text=steered.answer))
    return found


def _first_draft(run: Run) -> str | None:
    """Return the consensus statement that the panel voted on first: of several candidates the one that it ranked first.

    As in the stage `synthesise`, a tie goes to the one that was written first.
    """
    drafts = [
        str(r["reply"]["consensus"]) for r in run.transcript if r["step"] == "synthesise.draft" and r["reply"]
    ]
    ballots = [
        ranks_of(r["reply"]["order"], r["speaker"], run.seed)
        for r in run.transcript
        if r["step"] == "synthesise.rank" and r["reply"]
    ]
    if not drafts:
        return None
    ranks = list(schulze(ballots).ranks or ()) or [0] * len(drafts)
    return drafts[ranks.index(min(ranks))]


def _ballots(run: Run, step: str, about: str, round: int = 1) -> dict[str, Any]:
    endorsements: dict[str, int | None] = {}
    objections: dict[str, str] = {}
    for result in run.transcript:
        if (result["step"], result["about"], result["round"]) == (step, about, round):
            reply = result["reply"] or {"endorsement": None, "objection": None}
            endorsements[result["speaker"]] = reply["endorsement"]
            if reply["objection"]:
                objections[result["speaker"]] = reply["objection"]
    order = {name: place for place, name in enumerate(run.personas)}  # each was asked in an order of its own
    return {
        "endorsements": dict(sorted(endorsements.items(), key=lambda item: order[item[0]])),
        "objections": dict(sorted(objections.items(), key=lambda item: order[item[0]])),
    }


def _measured(text: Text, claims: Claims | None, classifier: Controlled) -> Text:
    parts = sentences(text.text)
    update: dict[str, Any] = {}
    if parts and claims is not None:
        found = representation(claims.nearness(parts), threshold=CARRIED)
        update["carried"] = rounded(
            {n: each.detail["carried"] for n, each in found.detail["personas"].items()}
        )
    entropy = perspective_entropy(text.text, classifier, draws=0)
    update["references"] = {k: v for k, v in rounded(dict(entropy.detail["counts"])).items() if v}
    update["entropy"] = rounded(entropy.detail["corrected"].value)
    return text.model_copy(update=update)


def _told(result: Mapping[str, Any]) -> dict[str, Any]:
    kept = {name: result[name] for name in ("step", "round", "act", "speaker", "about", "reply")}
    # Its kind alone: the reason may quote an endpoint.
    return {**kept, "failure": result["failure"]["kind"] if result["failure"] else None}


def _detail(detail: str) -> str:
    """Return what is published of a model's state: of an endpoint host and port, of an engine's options no folder."""
    state, found, options = detail.partition(", {")
    if found:
        with suppress(ValueError):
            return f"{state}, {json.dumps(published(json.loads('{' + options)), sort_keys=True)}"
    return public_name(detail)


def _asked_sha256(scenario: Scenario) -> str:
    """Return the hash of what a scenario says itself.

    Its name is its file's, and the panel, the protocol and the models that it names may be paths: the hash would
    hang on where they lie, and let whoever guesses the path see that it is the right one.
    """
    told = scenario.model_dump_json(exclude={"name", "personas", "protocol", "models"})
    return hashlib.sha256(told.encode()).hexdigest()


def _provenance(run: Run, scenario: Scenario) -> dict[str, Any]:
    manifest = run.manifest
    models = {speaker: public_name(name) for speaker, name in manifest["models"].items()}
    details = manifest["model_details"].items()
    return {
        "model": " + ".join(dict.fromkeys(models.values())),
        "models": models,
        "model_details": {public_name(name): _detail(detail) for name, detail in details},
        "seed": run.seed,
        "protocol": run.protocol,
        "stages": manifest["content"]["protocol"]["stages"],
        "pack": manifest["content"]["pack"],
        "perspectives": manifest["content"]["perspectives"],
        "embedding": manifest["embedding"],
        "versions": manifest["versions"],
        "sha256": {**manifest["sha256"], "scenario": _asked_sha256(scenario)},
        "acts": run.usage["acts"],
        "failures": run.usage["failures"],
        "simulated": manifest["simulated"],
    }
