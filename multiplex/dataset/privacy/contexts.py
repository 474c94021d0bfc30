"""Words beside which a name stands, in many languages.

Three strengths. `STRONG`: what follows is a name whatever it looks like (my name is, Mrs, yours
sincerely). `CLOSE`: what follows is likely a name (my neighbour, I am). `AFTER`: what stands before is
likely a name (said, 's mother, aged 40). Everything is matched without regard to case.
"""

import re

__all__ = ["AFTER", "ASKED", "CLOSE", "KIN", "MY_NAME", "NATIVE", "SAYS", "STRONG"]

_MY_NAME = (
    r"my (?:full |first |given |last )?name(?:'s|’s| is|:)|name\s?:|names?\s+are|"
    r"(?:i am|i'm|im|he is|she is|they are|is|was|are) (?:called|named)|(?:just )?call me|signed(?: by|,|:)?|"
    r"me llamo|mi nombre es|se llama|je m[’']appelle|mon nom est|s[’']appelle|ich hei(?:ß|ss)e|"
    r"mein name ist|hei(?:ß|ss)t|"
    r"mi chiamo|il mio nome è|si chiama|meu nome é|(?:eu )?me chamo|chamo-me|mijn naam is|ik heet|"
    r"benim adım|adım|nazywam się|mam na imię|jmenuji se|a nevem|nevem|mă numesc|numele meu este|"
    r"jag heter|mitt namn är|jeg (?:hedder|heter)|(?:mit|mitt) navn er|nimeni on|minun nimeni on|"
    r"tôi tên là|tên tôi là|nama saya(?: adalah)?|jina langu ni|naitwa|orúkọ mi ni|igama lami ngu|sunana|"
    r"aha m bụ|me din de|ang pangalan ko ay|ako si|toku ingoa(?: ko)?|ko .{0,20}ahau|ko hoku hingoa ko|"
    r"меня зовут|мо[её] имя|мене звати|моє ім'я|казвам се|με λένε|ονομάζομαι|το όνομά μου είναι|անունս"
)
_SIGNED = (
    r"(?:(?:yours|kind|best|warm|many|with) )?(?:sincerely|faithfully|truly|regards|wishes|"
    r"respectfully|thanks|love|"
    r"cordialement|saludos|atentamente|grüße|grüßen|cordiali saluti|atenciosamente)[,.]?\s*\n\s*"
)
_TITLES = (
    r"(?:mr|mrs|ms|mx|dr|prof|rev|sr|sra|srta|dra|fr|mme|mlle|hr|frk|dhr|mevr|ustadz|pn|en)\.?|m\.|"
    r"miss|master|doctor|"
    r"professor|reverend|pastor|imam|sheikh|shaykh|sheik|rabbi|ustaz|ustadh|auntie|aunty|madam|chief|"
    r"nurse|inspector|"
    r"constable|sergeant|señor(?:a|ita)?|don|doña|monsieur|madame|mademoiselle|maître|herrn?|frau|"
    r"signor(?:a|e|ina)?|"
    r"senhora?|dona|meneer|mevrouw|pan[ií]?|bapak|pak|ibu|bwana|mzee|mwalimu|baba|alhaji|hajia|shri|smt|"
    r"господин|госпожа|пан|пані|κύριος?|κυρία|bay|bayan|anh|chị|ông|bà"
)
STRONG = re.compile(
    rf"(?:(?<!\w)(?:{_MY_NAME})[\s,:]*[\"“«']?|(?<!\w)(?:{_SIGNED})|(?<!\w)(?:dear|hi|hello|hey|"
    rf"querid[oa]|cher|chère|"
    rf"lieber?|caro|cara|beste|kære|kära|to mr|from mr)\s+|(?<!\w)(?:{_TITLES})\s+)$",
    re.I,
)
"""Matches a text that ends where a name begins, whatever the name looks like."""

_KIN = (
    r"neighbou?r|son|daughter|wife|husband|mother|father|mum|mom|dad|brother|sister|friend|colleague|"
    r"boss|manager|"
    r"teacher|tutor|cousin|uncle|aunt|grand(?:mother|father|son|daughter)|grandma|grandpa|partner|"
    r"boyfriend|girlfriend|"
    r"doctor|nurse|therapist|landlord|landlady|student|pupil|patient|client|tenant|flatmate|roommate|"
    r"housemate|classmate|"
    r"employee|employer|carer|caretaker|co-?worker|supervisor|assistant|nephew|niece|fianc[ée]e?|ex|"
    r"(?:mother|father|sister|brother|son|daughter)-in-law|stepson|stepdaughter|stepfather|stepmother|"
    r"baby|child|twin|"
    r"maid|driver|gardener|cleaner|babysitter|coach|lawyer|mentor"
)
_KIN_ELSEWHERE = (
    r"(?:mi|nuestr[oa]|tu|su) (?:hij[oa]|vecin[oa]|espos[oa]|marido|mujer|herman[oa]|madre|padre|"
    r"amig[oa]|jef[ea]|prim[oa])|"
    r"(?:mon|ma|notre|son|sa) (?:fils|fille|voisine?|mari|femme|frère|s(?:œ|oe)ur|mère|père|amie?|"
    r"collègue|patronn?e?)|"
    r"(?:mein|unser|sein|ihr)e?n? (?:sohn|tochter|nachbar(?:in)?|mann|frau|bruder|schwester|"
    r"freund(?:in)?|kolleg(?:e|in)|chef(?:in)?)|"
    r"(?:mio|mia|il mio|la mia) (?:figli[oa]|vicin[oa]|marito|moglie|fratello|sorella|amic[oa])|"
    r"(?:meu|minha) (?:filh[oa]|vizinh[oa]|marido|esposa|irmão|irmã|amig[oa]|mãe|pai)|"
    r"мо[йяею]{1,3} (?:сын|дочь|сосед(?:ка)?|муж|жена|брат|сестра|друг|подруга)|"
    r"ο (?:γείτονάς|γιος|αδελφός|φίλος) μου|η (?:γειτόνισσά|κόρη|αδελφή|φίλη) μου"
)
CLOSE = re.compile(
    r"(?:(?<!\w)(?:i am|i'm|i’m|im|this is|it is|it's|soy|yo soy|je suis|ich bin|sono|eu sou|ik ben|"
    r"jag är|jeg er|ja jestem|я|είμαι(?: ο| η)?)\s+|"
    r"(?<!\w)(?:named|called|llamad[oa]|nommée?|namens|according to|spoke (?:to|with)|talked (?:to|"
    r"with)|written by|met|"
    r"asked|told|married(?: to)?|thanks? to|owe|owed|lent|paid|hired|fired|sacked|thanked|forgave|sued|visited|"
    r"divorced|dated|helped|trusted|invited|phoned|called|emailed|on behalf of|care of|c/o|attn:?|"
    r"sincerely)\s+)$",
    re.I,
)
"""Matches a text that ends where a name is likely to begin."""

KIN = re.compile(
    rf"(?<!\w)(?:(?:my|our|his|her|their|your)\s+(?:[a-z-]+\s+){{0,2}}(?:{_KIN})|"
    rf"{_KIN_ELSEWHERE})\s*[,:(]?\s*$",
    re.I,
)
"""Matches a text that ends in someone's relation to the speaker; what has a capital then is a name."""

MY_NAME = re.compile(rf"(?<!\w)(?:{_MY_NAME})[\s,:]*[\"“«']?$", re.I)
"""Matches a text that ends where a speaker says a name as such."""

_VERBS = (
    r"said|says|told|tells|asked|asks|thinks|thought|wants|wanted|wrote|writes|replied|believes|feels|"
    r"felt|refuses|refused|"
    r"insists|insisted|called|rang|texted|lives|lived|works|worked|moved|died|visited|promised|complained|"
    r"and i\b|and me\b|dijo|dice|a dit|dit|sagte|sagt|meint|disse|ha detto|zei|zegt|sa|säger|"
    r"powiedział|powiedziała|"
    r"сказал|сказала|говорит|είπε|λέει|bilang|alisema|berkata"
)
AFTER = re.compile(
    rf"(?:(?:'s|’s)\s+(?:{_KIN}|house|home|family|phone|number|email|e-mail|address|flat|car|job|"
    rf"salary|wedding|funeral|birthday)\b|"
    rf",?\s+(?:{_VERBS})\b|,?\s+(?:is|was)\s+(?:my|our|his|her|their)\b|,?\s+(?:who|whom)\b|"
    rf",?\s*\(?(?:aged\s+)?\d{{1,2}}(?:\)|,|\s+years?\b)|"
    r"\s*,\s+(?:a|an|my|our|the)\s+[a-z])",
    re.I,
)
"""Matches a text that begins where a name is likely to have ended."""

SAYS = re.compile(r"\s+(?:said|says|told|tells|asked|asks|thinks|thought|replied|replies)\b", re.I)
"""Matches a text that begins with what people do, and of places and times few say."""

ASKED = re.compile(r"(?<!\w)(?:asked|told|thanked|phoned|emailed|(?:spoke|talked) (?:to|with))\s+$", re.I)
"""Matches a text that ends with what is done to people, and seldom to places and times."""

NATIVE = re.compile(
    r"(?:(?<!\w)(?:"
    # Arabic, Persian, Urdu
    r"(?:أنا\s+)?اسم[يهك](?:\s+هو)?|اسمها|إسمي|انا اسمي|السيدة?|الدكتورة?|الأستاذة?|الشيخ|جاري|جارتي|"
    r"صديقي|صديقتي|"
    r"ابني|ابنتي|زوجي|زوجتي|أخي|أختي|نام من|اسم من|اسمم|آقای|خانم|دکتر|همسایه‌ام|میرا نام|جناب|محترمہ|"
    # Hebrew
    r"שמי(?: הוא)?|קוראים לי|השם שלי(?: הוא)?|אדון|מר|גברת|גב'|ד\"ר|השכן שלי|השכנה שלי|"
    # Hindi, Marathi, Nepali, Bengali, Tamil, Telugu, Gujarati, Punjabi, Sinhala
    r"मेरा नाम|माझे नाव|मेरो नाम|श्री|श्रीमती|डॉ\.?|मेरे पड़ोसी|मेरी पड़ोसन|मेरा (?:भाई|बेटा|दोस्त)|"
    r"मेरी (?:बहन|बेटी|दोस्त)|"
    r"আমার নাম|জনাব|শ্রী|বেগম|என் பெயர்|எனது பெயர்|திரு\.?|திருமதி|నా పేరు|મારું નામ|ਮੇਰਾ ਨਾਮ|මගේ නම|"
    # Georgian, Amharic, Armenian
    r"მე მქვია|ჩემი სახელია|ბატონი|ქალბატონი|ስሜ|አቶ|ወይዘሮ|ወ/ሮ|ዶ/ር|իմ անունը|անունս"
    r"))[\s:,]+$"
)
"""As `STRONG`, for scripts that have no capitals and put spaces between words."""
