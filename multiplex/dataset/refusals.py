"""How a text opens that refuses instead of answering.

A declared list of openings, each tied to what models say of themselves or of a request. A persona
that says what it cannot accept, do or give up refuses nothing: so a bare "I cannot" is never enough,
in no language. Only the first words of a text are looked at.
"""

# ruff: noqa: E501 (one way to refuse a line)

import re
import unicodedata
from functools import cache

__all__ = ["OPENINGS", "refusal"]

_THIS = r"(?:this|that|these|those|such|your)"
_ASKED = r"(?:request|question|prompt|task|topic|query|instruction|conversation|kind|type|sort)s?"
_MATTER = r"(?:advice|assistance|information|content|responses?|answers?|opinions?|instructions|guidance)"
_WHO = r"(?: large| helpful| virtual)*(?: ai| artificial intelligence| language model)(?: language)?(?: model| assistant| system| chatbot)?"
_END = r"(?![-\w])"

OPENINGS: dict[str, tuple[str, tuple[str, ...]]] = {
    "en": (
        r"(?:(?:i'm|i am|we're|we are|so)? ?(?:very |truly |so )?sorry\b[^.!?]{0,30}?|(?:my|our) apologies|"
        r"i (?:must )?apologi[sz]e[^.!?]{0,40}?|unfortunately|regrettably)[,.!:]? (?:but |however,? )?",
        (
            rf"i (?:<cannot>) (?:help|assist)(?: you)?(?: (?:with|in|on) (?:{_THIS}|the {_ASKED}|\w+ing)\b|[.,;!]|$)",
            rf"i (?:<cannot>) (?:fulfil|fulfill|complete|process|satisfy|comply with) (?:{_THIS}|the) {_ASKED}\b",
            rf"i (?:<cannot>) (?:answer|discuss|respond to|engage (?:with|in)) (?:{_THIS}|the) (?:\w+ )?{_ASKED}\b",
            rf"i (?:<cannot>) (?:provide|give|offer|share|create|write)(?: you)?(?: with)? (?:{_THIS}|an?) {_MATTER}\b",
            rf"i (?:<cannot>) (?:provide|give|offer|share|generate|create|produce|write)(?: you)?(?: with)? {_MATTER}\b",
            rf"i (?:<cannot>) (?:provide|give|offer)(?: you)?(?: with)? (?:personal|medical|legal|financial) {_MATTER}\b",
            r"i (?:<cannot>) (?:role-?play|pretend to be|impersonate|adopt|speak as) (?:as )?(?:an?|the|this|that) ",
            r"i (?:<cannot>)(?: do (?:that|this|so))?[.!]?$",
            rf"as an?{_WHO}(?:,| \(| developed| created| trained| i\b)",
            rf"i(?:'m| am) (?:just |only |merely )?an?{_WHO}{_END}",
            rf"i (?:must|have to|need to) (?:\w+ )?decline (?:{_THIS}|the {_ASKED}|to (?:answer|respond|help|assist|provide))\b",
            r"i (?:don't|do not) (?:have|hold) (?:any )?personal (?:opinion|belief|view|experience|feeling)",
            rf"i(?:'m| am) not comfortable (?:with|answering|discussing|providing|writing) {_THIS} (?:\w+ )?{_ASKED}\b",
        ),
    ),
    "es": (
        r"(?:lo siento|lo lamento|lamentablemente|disculpa|disculpe|perdón|perdona)(?: mucho)?[,.]? (?:pero )?",
        (
            r"no puedo ayudar(?:te|le|les|os)? con (?:es[oae]|est[oae]|tu|su)\b",
            r"no puedo (?:responder a|contestar(?: a)?|cumplir con) (?:es[ae]|est[ae]|tu|su) (?:pregunta|solicitud|petición)",
            r"no puedo (?:proporcionar|ofrecer|dar)(?:te|le)? (?:es[ae]|est[ae]|ese tipo de|información sobre|consejos)",
            rf"(?:como|soy|solo soy) (?:un |una )?(?:modelo de (?:lenguaje|ia)|ia|inteligencia artificial){_END}",
        ),
    ),
    "fr": (
        r"(?:je suis )?(?:vraiment )?(?:désolée?|navrée?|malheureusement)[,.]? (?:mais )?",
        (
            r"je ne (?:peux|puis) (?:malheureusement )?pas (?:vous aider|t'aider) (?:avec|sur|à) (?:cel?a|cette|ce|votre|ta)",
            r"je ne (?:peux|puis) (?:malheureusement )?pas répondre à (?:cette|votre|ta) (?:question|demande)",
            r"je ne (?:peux|puis) (?:malheureusement )?pas (?:satisfaire|traiter|accéder à) (?:cette|votre|ta) demande",
            r"je ne (?:peux|puis) (?:malheureusement )?pas fournir (?:ce|cette|ces|d'informations|de conseils)",
            rf"en tant qu(?:e |')(?:un |une )?(?:modèle (?:de langage|linguistique)|ia|intelligence artificielle){_END}",
        ),
    ),
    "de": (
        r"(?:(?:es )?tut mir (?:sehr )?leid|leider|entschuldigung|verzeihung)[,.]? ?(?:aber )?",
        (
            r"(?:dabei|damit|hierbei) kann ich (?:ihnen |dir )?(?:leider )?nicht (?:weiter)?(?:helfen|dienen|behilflich)",
            r"(?:ich kann|kann ich) (?:ihnen |dir )?(?:leider )?(?:dabei|damit) (?:leider )?nicht (?:weiter)?(?:helfen|dienen)",
            r"(?:ich kann|kann ich) (?:leider )?(?:diese|deine|ihre) (?:anfrage|frage) (?:leider )?nicht (?:beantw|erfül|bearb)",
            rf"als (?:ein |eine )?(?:großes )?(?:ki|künstliche intelligenz|(?:ki-)?sprachmodell|ki-assistent(?:in)?){_END}",
        ),
    ),
    "pt": (
        r"(?:desculpe|desculpa|sinto muito|lamento|infelizmente)[,.]? (?:mas )?",
        (
            r"(?:eu )?não posso (?:te )?ajudar(?:-te|-lo|-la)? com (?:iss[oae]|est[ea]|ess[ea]|sua|seu)\b",
            r"(?:eu )?não posso (?:responder (?:a )?|atender (?:a )?|cumprir )(?:à|ess[ea]|est[ea]|su?a) (?:pergunt|solicit|pedid)",
            r"(?:eu )?não posso fornecer (?:ess[ea]|est[ea]|informações|conselhos)\b",
            rf"como (?:um |uma )?(?:modelo de (?:linguagem|língua|ia)|ia|inteligência artificial){_END}",
        ),
    ),
    "it": (
        r"(?:mi dispiace|purtroppo|spiacente|scusa|mi scuso)[,.]? (?:ma )?",
        (
            r"non posso aiutar(?:ti|la|vi) (?:con|in) (?:quest|tal|ciò)",
            r"non posso (?:rispondere a|soddisfare|esaudire) (?:questa|quella|tale|la tua|la sua) (?:domanda|richiesta)",
            r"non posso fornire (?:quest|tali|informazioni|consigli)",
            rf"(?:come|in quanto) (?:un )?(?:modello (?:linguistico|di linguaggio)|ia|intelligenza artificiale){_END}",
        ),
    ),
    "nl": (
        r"(?:het spijt me|sorry|helaas)[,.]? ?(?:maar )?",
        (
            r"(?:daar|hier|daarmee|hiermee) kan ik (?:je |u )?(?:helaas )?niet (?:bij |mee )?(?:helpen|van dienst)",
            r"(?:ik kan|kan ik) (?:je |u )?(?:helaas )?niet (?:helpen|assisteren) (?:met|bij) (?:dit|dat|deze|je|uw)\b",
            r"(?:ik kan|kan ik) (?:deze|die|je|uw) (?:vraag|verzoek) (?:helaas )?niet (?:beantwoorden|inwilligen)",
            rf"als (?:een )?(?:ai|ai-taalmodel|ai-assistent|taalmodel|kunstmatige intelligentie){_END}",
        ),
    ),
    "ru": (
        r"(?:извините|простите|к сожалению|мне (?:очень )?жаль|прошу прощения)[,.]? (?:но )?",
        (
            r"я не могу (?:вам |тебе )?помочь (?:вам |тебе )?с (?:этим|этой|вашим|твоим)",
            r"я не могу ответить на (?:этот|ваш|твой) (?:вопрос|запрос)",
            r"я не могу (?:выполнить (?:эт|ваш|тво)|предоставить (?:эту|такую|информацию))",
            r"(?:как|я всего лишь|я [—-]) ?(?:большая )?(?:языковая модель|искусственный интеллект|ии)(?!\w)",
        ),
    ),
    "tr": (
        r"(?:üzgünüm|özür dilerim|maalesef|ne yazık ki)[,.]? (?:ama |ancak |fakat )?",
        (
            r"bu (?:konuda|isteğe|soruya|talebi|isteği) (?:size |sana )?(?:yardımcı olam|yardım edem|yanıt verem|cevap verem)",
            r"bu (?:talebi|isteği|soruyu) (?:yerine getirem|karşılayam|yanıtlayam)",
            r"(?:ben )?bir (?:yapay zek[aâ]|dil)(?: dil)? (?:modeli|asistanı)",
        ),
    ),
    "id": (
        r"(?:mohon )?maaf[,.]? (?:tetapi |tapi |namun )?",
        (
            r"saya tidak (?:bisa|dapat) (?:membantu (?:anda )?dengan|menjawab pertanyaan|memenuhi permintaan)",
            r"saya tidak (?:bisa|dapat) memberikan (?:informasi|saran|nasihat)",
            r"sebagai (?:sebuah )?(?:ai|model bahasa|kecerdasan buatan)(?!\w)",
        ),
    ),
    "zh": (
        r"(?:很|非常|十分)?(?:抱歉|对不起|對不起|不好意思)[,。!]? ?(?:但)?",
        (
            r"我?(?:暂时|目前)?(?:无法|不能|無法)(?:[为為][您你])?(?:提供|回答|回[应應]|[帮幫]助|[协協]助|[满滿]足|[处處]理|[讨討][论論])",
            r"我(?:无法|不能|無法)(?:回答|[满滿]足|[协協]助|[处處]理)(?:您|你|这|此|該|该|這)",
            r"(?:[作][为為]|我只?是)一?(?:个|個|名|款|[种種])?(?:大型)?(?:ai|人工智能|人工智慧|[语語]言模型)",
        ),
    ),
    "ja": (
        r"(?:大変)?(?:申し訳(?:ありません|ございません)|すみません|恐れ入ります)(?:が)?[。,、]? ?",
        (
            r"[^。]{0,30}?(?:お答え|お手伝い|お応え|対応|ご提供|提供|回答)(?:する(?:こと)?)?[がはを]?.{0,3}(?:でき|かね)",
            r"(?:私は)?(?:ai|人工知能|(?:大規模)?言語モデル)(?:言語モデル|アシスタント|モデル)?(?:として|です|なので|であり)",
        ),
    ),
    "ko": (
        r"(?:죄송(?:하지만|합니다만|합니다)|미안하지만|유감이지만|유감스럽게도)[.,]? ?",
        (
            r"[^.]{0,30}?(?:도와드릴|도움을 드릴|답변(?:해 )?드릴|답변할|제공(?:해 )?드릴|제공할) 수 ?(?:가 |는 )?없",
            r"(?:저는 )?(?:ai|인공지능|언어 ?모델)(?: 언어 ?모델| 어시스턴트| 비서)?(?:로서|이므로|입니다|이기 때문)",
        ),
    ),
    "ar": (
        r"(?:عذر[اًا]*|(?:أنا )?آسفة?|أعتذر|معذرة|للأسف)[,،.]? ?(?:و?لكن(?:ني|ي)? )?",
        (
            r"(?:أنا )?(?:لا أستطيع|لا يمكنني) (?:مساعدتك|المساعدة) (?:في|ب) ?(?:هذا|ذلك|هذه|طلبك)",
            r"(?:أنا )?(?:لا أستطيع|لا يمكنني) (?:الإجابة (?:على|عن)|تلبية|تقديم) (?:هذا|هذه|سؤالك|طلبك|معلومات)",
            r"(?:بصفتي|كوني|باعتباري|أنا مجرد) (?:نموذج|ذكاء|مساعد)",
        ),
    ),
    "hi": (
        r"(?:क्षमा करें|माफ़ (?:करें|कीजिए)|मुझे (?:खेद है|माफ़ करें))[,।]? ?(?:लेकिन )?",
        (
            r"(?:मैं )?(?:इस|आपके|आपकी|यह)[^।]{0,20}?(?:मदद|सहायता|उत्तर|जवाब|अनुरोध|जानकारी)[^।]{0,20}?नहीं (?:कर|दे) सक",
            r"(?:मैं )?एक (?:ai|एआई|कृत्रिम बुद्धिमत्ता|भाषा) ?(?:भाषा )?(?:मॉडल|सहायक)",
        ),
    ),
}
"""By language: what may come first (an apology), and what is a refusal after it or at the very start.

Regular expressions, matched without case at the start of a text; `<cannot>` stands for the English
ways to say so.
"""

_CANNOT = (
    r"can't|cannot|can not|could not|couldn't|won't|will not|won't be able to|will not be able to|am unable to|"
    r"am not able to|must decline to|have to decline to"
)

_LOOKED_AT = 300
"""How many characters of a text's start are looked at."""

_BEFORE = " \t\r\n\"'`*_#>-“”‘’«»「『《(["
"""What may stand before the first word."""


def refusal(text: str) -> tuple[str, str] | None:
    """Return the language and the words of the refusal that a text opens with, or None.

    A refusal in a language that is not on the list, or after an answer has begun, is not found.
    """
    start = unicodedata.normalize("NFKC", text[: 2 * _LOOKED_AT]).lstrip(_BEFORE)[:_LOOKED_AT]
    start = " ".join(start.replace("’", "'").split()).casefold().replace("i'm unable", "i am unable")
    for language, pattern in _openings():
        if match := pattern.match(start.replace("i'm not able", "i am not able")):
            return language, match[0].strip()
    return None


@cache
def _openings() -> tuple[tuple[str, re.Pattern[str]], ...]:
    found = []
    for language, (first, refusals) in OPENINGS.items():
        whole = f"(?:{first})?(?:{'|'.join(refusals)})".replace("<cannot>", _CANNOT)
        found.append((language, re.compile(unicodedata.normalize("NFKC", whole))))
    return tuple(found)
