/// Common words of the languages in Latin letters that whichlang knows: what it names is believed where sentences have these.
/// The words are ones that the neighbouring languages do not share, as far as there are enough of them.
pub const COMMON_WORDS: &[(&str, &[&str])] = &[
    (
        "en",
        &[
            "the", "of", "and", "to", "a", "is", "that", "it", "you", "this", "are", "be", "with", "for", "not", "in",
            "on", "as", "was", "or", "by", "your", "can", "from", "have", "an", "will", "they", "their", "which",
            "its", "at",
        ],
    ),
    (
        "de",
        &[
            "der", "die", "das", "und", "ist", "nicht", "ein", "eine", "zu", "den", "mit", "von", "sie", "es", "auf",
            "für", "im", "dem", "auch", "sich", "oder", "wie", "werden", "einen", "einer", "sind", "kann", "des",
            "als", "bei",
        ],
    ),
    (
        "fr",
        &[
            "le", "la", "les", "des", "et", "est", "un", "une", "que", "qui", "pas", "dans", "pour", "vous", "sur",
            "de", "du", "en", "ce", "il", "au", "par", "plus", "avec", "ou", "sont", "votre", "à", "l", "d", "cette",
            "ne", "être",
        ],
    ),
    (
        "es",
        &[
            "el", "los", "las", "en", "es", "por", "con", "una", "para", "de", "la", "que", "y", "un", "se", "del",
            "su", "al", "como", "más", "o", "lo", "pero", "son", "tu", "sus", "este", "esta", "puede", "muy", "a",
            "no",
        ],
    ),
    (
        "it",
        &[
            "il", "di", "che", "non", "per", "sono", "è", "la", "un", "una", "e", "in", "le", "i", "del", "della",
            "con", "si", "da", "anche", "più", "gli", "come", "al", "nel", "alla", "lo", "questo", "essere", "dei",
            "l", "a", "o",
        ],
    ),
    (
        "pt",
        &[
            "o", "e", "os", "do", "da", "em", "um", "uma", "para", "de", "que", "não", "a", "as", "com", "se", "por",
            "no", "na", "é", "dos", "mais", "ou", "como", "seu", "sua", "ao", "são", "você", "pode", "das", "também",
        ],
    ),
    (
        "nl",
        &[
            "de", "het", "een", "van", "niet", "op", "en", "is", "dat", "in", "te", "zijn", "voor", "met", "die", "je",
            "aan", "ook", "als", "of", "om", "door", "naar", "deze", "kan", "worden", "bij", "uit", "maar", "er",
            "dit",
        ],
    ),
    (
        "sv",
        &[
            "och", "att", "som", "det", "ett", "är", "en", "i", "på", "av", "för", "inte", "med", "den", "till", "de",
            "kan", "har", "du", "om", "från", "eller", "var", "så", "sig", "din", "vara", "även", "när", "men",
        ],
    ),
    (
        "tr",
        &[
            "ve", "bir", "bu", "için", "ile", "de", "da", "çok", "olarak", "daha", "gibi", "ne", "en", "olan", "veya",
            "her", "ise", "var", "kadar", "o", "ancak", "sonra", "bunu", "değil", "şekilde", "olduğu", "göre", "ki",
        ],
    ),
    (
        "vi",
        &[
            "là", "và", "của", "có", "cho", "một", "các", "được", "không", "trong", "với", "những", "này", "đã", "để",
            "khi", "bạn", "thể", "về", "từ", "như", "người", "đó", "nhiều", "cũng", "sẽ", "trên", "hoặc", "ra", "vào",
        ],
    ),
];
