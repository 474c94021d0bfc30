"""Whether each steered answer speaks for its persona: a table of nearness by sentences, and how far to trust it."""

from collections.abc import Mapping

from multiplex.deliberation.state import Plain
from multiplex.runs import Answers
from multiplex.scoring.classifiers import SentenceClassifier
from multiplex.scoring.perspectives import PerspectiveClassifier
from multiplex.scoring.pluralism import steerability
from multiplex.scoring.score import Score, plain
from multiplex.sentences import sentences

__all__ = ["steerability_of"]


def steerability_of(
    answers: Answers, classifier: SentenceClassifier, perspectives: Mapping[str, str]
) -> Plain:
    """Return whether each steered answer speaks for its persona's perspective and no other on the panel.

    Nearness is the mean probability, over the answer's sentences, of each perspective that is seated.
    Sentences that the default classifier was trained on, of which extractive answers are made, are labelled by
    models that had not seen them, and `caution` says how many there were.
    """
    seated = list(dict.fromkeys(perspectives[name] for name in answers.steered if name in perspectives))
    if len(seated) < len(answers.steered):
        return _none("two personas share a perspective, or one has none that is known")
    if not set(seated) <= set(classifier.perspectives):
        return _none("the pack it was scored against has other perspectives")
    table: dict[str, list[dict[str, float]]] = {}
    of_the_pack = 0
    for name, steered in answers.steered.items():
        parts = sentences(steered.answer)
        if isinstance(classifier, PerspectiveClassifier):
            labels, known = classifier.label_held_out(parts)
        else:
            labels, known = classifier.label(parts), 0
        if not labels:
            return _none(f"the answer of {name} holds no sentence that could be labelled")
        of_the_pack += known
        table[perspectives[name]] = [{each: label.probabilities[each] for each in seated} for label in labels]
    caution = None
    if of_the_pack:
        total = sum(map(len, table.values()))
        caution = (
            f"{of_the_pack} of {total} sentences are the pack's own, which the classifier learned from; they were "
            "labelled by models that had not seen them. Still, this says how well the pack's personas can be told "
            "apart, and not how well a model is steered."
        )
    found: Plain = plain(steerability(table, caution=caution))
    return found


def _none(reason: str) -> Plain:
    return Score.undefined(reason).as_dict()
