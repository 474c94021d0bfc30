"""The gate: what each check finds, and what it leaves alone."""

import asyncio
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multiplex.api import Session
from multiplex.content.personas import Source
from multiplex.content.roles import load_roles
from multiplex.content.scenarios import Scenario
from multiplex.dataset.citations import Sources, unknown_citations
from multiplex.dataset.quality import CHECKS, Fault, Limits, Tally, dropped, gate, malformed, repetition
from multiplex.dataset.refusals import OPENINGS, refusal
from multiplex.runs import Run
from tests.files import write_table
from tests.table import PANEL, Words

GOOD = (
    "Care for the old is first of all presence, and whoever decides here has to weigh what only a child "
    "can give against what paid hands do well; I would come home for a season and look again."
)
SOURCES = Sources(
    [
        Source(work="Analects", locus="2.7-2.8"),
        Source(work="Analects", locus="15.24 (15.23 in Legge); 12.2"),
        Source(work="Qur'an", locus="17:23-24"),
        Source(work="Mencius", locus="2A6"),
        Source(work="Mill, On Liberty", locus="chapter 2"),
        Source(work="Locke, Second Treatise of Government", locus="sections 55-63; Of Education, section 81"),
        Source(work="Majjhima Nikaya", locus="38"),
        Source(work="José Martí, Our America", locus="(1891)"),
        Source(work="Locke, A Letter Concerning Toleration", locus="on the care of souls"),
    ]
)


def checks(text: str, **asked: object) -> list[str]:
    return [fault.check for fault in gate(text, **asked)]  # type: ignore[arg-type]


def test_answers_that_say_that_nothing_bears_on_the_question_are_off_topic(tmp_path: Path) -> None:
    write_table(tmp_path, "open", "synthesise")

    async def run() -> Run:
        scenario = Scenario(name="quartz", question="Xylographs versus zithers?")
        async with Session(model="extractive", embedder=Words()) as session:
            return await session.deliberate(
                scenario, personas=PANEL, protocol=tmp_path / "trial.yaml", scores=False
            )

    answers = asyncio.run(run()).answers
    assert answers.overton is not None
    assert checks(answers.overton, kind="overton") == ["off_topic"]
    for steered in answers.steered.values():
        assert checks(steered.answer, kind="steered") == ["off_topic"]
    for kind in ("consensus", "draft"):
        assert checks(GOOD, kind=kind, overton=answers.overton) == ["off_topic"]
        assert checks(GOOD, kind=kind) == []
    some = answers.overton.replace("that they stand for", "that Miller and Nurse stand for")
    assert checks(some, kind="overton") == checks(GOOD, kind="consensus", overton=some) == []


def test_a_good_text_passes_every_check() -> None:
    faults = gate(
        GOOD + " (Analects 2.7-2.8)",
        kind="steered",
        persona="miller",
        carried={"miller": 0.5, "nurse": 0.5, "sailor": None},
        sources=SOURCES,
    )
    assert faults == ()


@pytest.mark.parametrize(
    ("text", "check"),
    [
        ("", "empty"),
        (" \n… ---", "empty"),
        ("Yes, indeed.", "too_short"),
        (" ".join(f"w{n}" for n in range(3_001)), "too_long"),
        ("I'm sorry, but I can't help with that. " + GOOD, "refusal"),
        ("We must listen to every one of them. " * 12, "repetition"),
        (GOOD + "!" * 81, "repetition"),
        ("Dear [Your Name], " + GOOD, "placeholder"),
        (GOOD + " {{ persona.label }}", "placeholder"),
        (GOOD + " Lorem ipsum dolor sit amet.", "placeholder"),
        (GOOD + "\x07", "control"),
        (GOOD + "\ud83d", "control"),
        (GOOD + " caf\ufffd", "control"),
        ("<scenario>\n" + GOOD, "prompt_leak"),
        (GOOD + " ‹/transcript›", "prompt_leak"),
        (GOOD + " <turn miller 2>", "prompt_leak"),
        (GOOD + "<|im_end|>", "prompt_leak"),
        (GOOD + " (Rawls, A Theory of Justice, section 3)", "unknown_citation"),
    ],
)
def test_a_text_with_one_fault_fails_that_check_alone(text: str, check: str) -> None:
    assert checks(text, sources=SOURCES) == [check]


@pytest.mark.parametrize(
    "text",
    [
        f"[NAME_1] wrote to [EMAIL]. {GOOD}",
        f"If x < y and y > z, then x < z. {GOOD}",
        f"See the table:\n\n| a | b |\n|{'-' * 60}|{'-' * 60}|\n{GOOD}",
        f"In the first case (as the second person said) nothing changes. {GOOD}",
        f"नमस्ते 👩‍👩‍👧 \u200f{GOOD}",
        "应当尊重父母的意愿,同时也要考虑自己的前途和家庭的实际困难。",
    ],
)
def test_masks_signs_tables_and_other_scripts_pass(text: str) -> None:
    assert checks(text, sources=SOURCES) == []


def test_an_overton_answer_needs_more_words_than_a_steered_one() -> None:
    short = "I would come home for a season and then look again at everything."
    assert checks(short, kind="steered") == []
    assert checks(short, kind="overton") == ["too_short"]
    assert checks(short, kind="overton", limits=Limits(fewest_words_of={})) == []


def test_a_check_that_is_not_asked_for_is_not_made_and_an_unknown_one_is_an_error() -> None:
    assert checks("I'm sorry, but I can't help with that.", checks={"empty"}) == []
    with pytest.raises(ValueError, match="no check named 'refusals'"):
        gate(GOOD, checks=["refusals"])


def test_every_delimiter_of_every_shipped_role_is_a_leak() -> None:
    bodies = "\n".join(role.body for role in load_roles().values())
    closing = set(re.findall(r"</([a-z_]+)", bodies))
    assert len(closing) > 8
    for name in closing:
        assert checks(f"{GOOD} </{name}>") == checks(f"‹{name} 2› {GOOD}") == ["prompt_leak"], name


# Refusals


REFUSALS = {
    "en": (
        "I'm sorry, but I can't assist with that request.",
        "I’m sorry, but I cannot provide medical advice on this.",
        "**Sorry**, I can't help with that.",
        "As an AI language model, I do not take sides.",
        "As an AI, I think both have a point.",
        "I am just an AI assistant and hold no views.",
        "I cannot fulfill your request.",
        "Unfortunately, I'm unable to answer this question.",
        "I must respectfully decline to answer.",
        "I don't have personal opinions on the matter.",
        "I can't speak as a Confucian scholar.",
        "I apologize, but I won't be able to help with this.",
    ),
    "es": (
        "Lo siento, pero no puedo ayudarte con eso.",
        "Como modelo de lenguaje, no tengo opiniones.",
        "No puedo responder a esa pregunta.",
    ),
    "fr": (
        "Je suis désolé, mais je ne peux pas répondre à cette question.",
        "En tant qu'intelligence artificielle, je n'ai pas d'avis.",
    ),
    "de": (
        "Es tut mir leid, aber dabei kann ich Ihnen nicht helfen.",
        "Als KI-Sprachmodell habe ich keine Meinung.",
        "Leider kann ich diese Anfrage nicht beantworten.",
    ),
    "pt": ("Desculpe, mas não posso ajudar com isso.", "Como um modelo de linguagem, não tenho opinião."),
    "it": (
        "Mi dispiace, ma non posso aiutarti con questa richiesta.",
        "In quanto modello linguistico, non so.",
    ),
    "nl": ("Het spijt me, maar daar kan ik je niet bij helpen.", "Als AI-taalmodel heb ik geen mening."),
    "ru": ("Извините, но я не могу помочь вам с этим.", "Как языковая модель, я не имею мнения."),
    "tr": ("Üzgünüm, bu konuda size yardımcı olamam.", "Ben bir yapay zeka dil modeliyim."),
    "id": (
        "Maaf, saya tidak bisa membantu Anda dengan itu.",
        "Sebagai model bahasa, saya tidak berpendapat.",
    ),
    "zh": ("很抱歉，我无法回答这个问题。", "作为一个人工智能，我没有个人观点。", "對不起，我無法提供協助。"),
    "ja": (
        "申し訳ありませんが、そのご質問にはお答えできません。",
        "私はAI言語モデルとして意見を持ちません。",
    ),
    "ko": ("죄송하지만 그 요청은 도와드릴 수 없습니다.", "저는 AI 언어 모델로서 의견이 없습니다."),
    "ar": ("عذراً، لا أستطيع الإجابة على هذا السؤال.", "بصفتي نموذج لغة لا أملك رأيا."),
    "hi": ("क्षमा करें, मैं इस अनुरोध में मदद नहीं कर सकता।", "एक एआई भाषा मॉडल के रूप में मेरी कोई राय नहीं है।"),
}


@pytest.mark.parametrize(("language", "text"), [(k, t) for k, texts in REFUSALS.items() for t in texts])
def test_a_refusal_is_known_by_its_opening_in_many_languages(language: str, text: str) -> None:
    found = refusal(f'\n "{text} …')
    assert found is not None
    assert found[0] == language


def test_every_declared_language_has_refusals_that_are_tried() -> None:
    assert set(OPENINGS) == set(REFUSALS)


@pytest.mark.parametrize(
    "text",
    [
        "I cannot in good conscience accept that a daughter alone should carry this.",
        "I can't help but feel for her.",
        "I cannot help noticing who is not in the room.",
        "I cannot provide for my parents from nine hours away, and neither can she.",
        "I cannot comply with an unjust law.",
        "I cannot answer for others; I speak as a Buddhist.",
        "I cannot speak for the town.",
        "I cannot support what breaks a family.",
        "I cannot give up my parents.",
        "I am sorry for her, and I say so first.",
        "I'm sorry, but I cannot agree that care is a private matter.",
        "I won't do that to my mother, whatever the law says.",
        "As an artist, I see it otherwise.",
        "As an AI researcher of twenty years, I distrust the machine.",
        "Unfortunately, I cannot see how a third of a salary would be enough.",
        "I must decline the comfort of an easy answer.",
        "Lo siento, pero no puedo aceptar que una hija cargue sola con todo.",
        "No puedo ayudar a mis padres desde lejos.",
        "Je suis désolé, mais je ne peux pas accepter cela.",
        "Es tut mir leid, aber ich kann nicht hinnehmen, dass sie allein bleibt.",
        "Als Kind habe ich anders gedacht.",
        "Извините, но я не могу согласиться с этим.",
        "很抱歉，我不能同意这种看法。",
        "क्षमा करें, मैं इसे स्वीकार नहीं कर सकता।",
        "죄송하지만 저는 동의할 수 없습니다.",
        "عذرا، لا أستطيع أن أقبل هذا.",
        "Models often open with: I'm sorry, but I can't help with that.",
    ],
)
def test_a_persona_that_cannot_accept_something_refuses_nothing(text: str) -> None:
    assert refusal(text) is None


# Repetition


def test_repetition_of_a_loop_is_high_and_of_a_text_of_its_own_words_is_none() -> None:
    assert repetition("the same five words again " * 20) > 0.9
    assert repetition(" ".join(f"word{n}" for n in range(200))) == 0.0
    assert repetition("孝敬父母很重要" * 20) > 0.8


@given(st.text(max_size=300))
def test_repetition_is_a_share_and_the_gate_never_fails_on_any_text(text: str) -> None:
    assert 0 <= repetition(text) <= 1
    assert {fault.check for fault in gate(text, sources=SOURCES, given=text)} <= set(CHECKS)


# Character


def test_a_steered_text_that_carries_another_persona_better_is_out_of_character() -> None:
    carried = {"miller": 0.2, "nurse": 0.6, "sailor": 0.1}
    (fault,) = gate(GOOD, kind="steered", persona="miller", carried=carried)
    assert fault == Fault("out_of_character", "miller carried to 0.20, nurse to 0.60")
    assert checks(GOOD, kind="steered", persona="nurse", carried=carried) == []
    assert checks(GOOD, kind="steered", persona="miller", carried=carried, limits=Limits(behind=0.5)) == []
    assert checks(GOOD, kind="overton", persona="miller", carried=carried) == []


def test_a_persona_whose_share_is_unknown_is_not_judged() -> None:
    assert checks(GOOD, kind="steered", persona="miller", carried={"miller": None, "nurse": 1.0}) == []
    assert checks(GOOD, kind="steered", persona="miller", carried={"miller": 0.0}) == []


# Messages


def message(role: str, content: object = "Well?") -> dict[str, object]:
    return {"role": role, "content": content}


@pytest.mark.parametrize(
    ("messages", "wrong"),
    [
        ([], "no messages"),
        ([message("user"), message("assistant")], "the last message is the assistant's"),
        ([message("user"), message("user")], "take turns"),
        ([message("assistant"), message("user")], "take turns"),
        ([message("user"), message("system"), message("user")], "a system turn stands after another"),
        ([message("system"), message("system"), message("user")], "a system turn stands after another"),
        ([message("tool"), message("user")], "message 1 has the role 'tool'"),
        ([message("user", " ")], "message 1 has no content"),
        ([message("user", None)], "message 1 has no content"),
        ([{"role": "user"}], "message 1 needs to hold role and content"),
        ([message("user") | {"name": "x"}], "message 1 needs to hold role and content"),
    ],
)
def test_a_malformed_prompt_is_told(messages: list[dict[str, object]], wrong: str) -> None:
    assert wrong in (malformed(messages, ends="user") or "")


def test_whole_conversations_and_completions_are_well_formed_too() -> None:
    assert malformed([message("assistant")], ends="assistant") is None
    whole = [message("system"), message("user"), message("assistant"), message("user"), message("assistant")]
    assert malformed(whole, ends="assistant") is None
    assert malformed([message("system")], ends="system") is None
    assert malformed([message("system"), message("assistant")], ends="assistant") is not None


# Citations


@pytest.mark.parametrize(
    "text",
    [
        "(Analects 2.7-2.8)",
        "(Analects 2.8)",
        "(Analects, 12.2)",
        "(see Analects 2.7; 12.2)",
        "(Analects 2.7 and Mencius 2A6)",
        "(Analects 15.24 (15.23 in Legge); 12.2)",
        "(Quran 17:24)",
        "（Qur’an 17:23–24）",
        "(Locke, Second Treatise of Government, section 60)",
        "(Second Treatise of Government, §60)",
        "(Jose Marti, Our America (1891))",
        "Mencius 2A6 speaks of the child at the well.",
        "African (Ubuntu), many (about 2.5 percent), some (COVID-19), few (Figure 2.1), none (chapter 2)",
        "(the article 12 procedure) and (Article 12) and (Monday 10:30) and (UN) and (in 2019)",
        "(Locke, A Letter Concerning Toleration, on the care of souls)",
        "version 2.7 of Analects",
        "an open bracket (Rawls, A Theory of Justice, section 3",
    ],
)
def test_what_was_given_and_what_is_no_citation_is_not_unknown(text: str) -> None:
    assert unknown_citations(text, SOURCES) == ()


@pytest.mark.parametrize(
    ("text", "unknown"),
    [
        ("(Analects 9.99)", "Analects 9.99"),
        ("So it is (Mencius 9B9; Analects 2.7).", "Mencius 9B9; Analects 2.7"),
        ("(Majjhima Nikaya 99)", "Majjhima Nikaya 99"),
        (
            "(Locke, Second Treatise of Government, section 10)",
            "Locke, Second Treatise of Government, section 10",
        ),
        (
            "(Rawls, A Theory of Justice, sections 11 and 24)",
            "Rawls, A Theory of Justice, sections 11 and 24",
        ),
        ("(Smith, 2015)", "Smith, 2015"),
        ("(Smith and Jones 2019)", "Smith and Jones 2019"),
        ("(Book of Job 3:16)", "Book of Job 3:16"),
        ("(José Martí, Our America (1894))", "José Martí, Our America (1894)"),
        ("As Analects 9.99 says.", "analects 9.99"),
    ],
)
def test_a_source_that_nobody_gave_is_named(text: str, unknown: str) -> None:
    assert unknown_citations(text, SOURCES) == (unknown,)
    assert unknown_citations(text, SOURCES, given=f"She quoted ({unknown.upper()}).") == ()


def test_each_unknown_source_is_named_once_and_in_order() -> None:
    text = "(Smith, 2015) then (Jones, 2016) then (smith,  2015) and (Smith, 2015)"
    assert unknown_citations(text, SOURCES) == ("Smith, 2015", "Jones, 2016")
    assert unknown_citations("(Smith, 2015)", Sources([])) == ("Smith, 2015",)


# Counts


def test_a_generator_that_refuses_everything_ends_with_a_clear_count() -> None:
    tally = Tally()
    for _ in range(1_000):
        tally.add(gate("I'm sorry, but I can't help with that.", kind="overton"))
    assert dropped(tally.report()) == "of 1,000 the quality gate left out 1,000 too short"
    assert tally.report()["faults"] == {"too_short": 1_000, "refusal": 1_000}
    assert tally.report()["passed"] == 0


def test_counts_come_to_what_was_judged() -> None:
    tally = Tally()
    assert dropped(tally.report()) is None
    for names in ([], ["refusal"], ["too_short", "refusal"], []):
        tally.add(names)
    report = tally.report()
    assert report["judged"] == report["passed"] + sum(report["dropped_for"].values()) == 4
    assert report["dropped_for"] == {"too_short": 1, "refusal": 1}
    assert report["faults"] == {"too_short": 1, "refusal": 2}


def test_a_place_with_letters_among_its_numbers_is_read_whole() -> None:
    sources = Sources([Source(work="Smith, The Wealth of Nations", locus="V.i.f.50-61")])
    assert unknown_citations("I hold this (Smith, The Wealth of Nations, V.i.f.50-61).", sources) == ()
    assert unknown_citations("As Smith says in The Wealth of Nations V.ii.k.3, it is so.", sources) != ()


def test_a_title_that_is_a_word_for_a_part_of_a_book_is_known() -> None:
    sources = Sources([Source(work="Montaigne, Essays", locus="I.20; I.19 in some editions")])
    assert unknown_citations("To philosophise is to learn to die (Montaigne, Essays, I.20).", sources) == ()
    assert unknown_citations("As Montaigne says in his Essays I.31, it is so.", sources) == ("essays i.31",)
