#![expect(
    clippy::unnecessary_wraps,
    clippy::format_collect,
    reason = "every kind has one type; damaged texts are short"
)]

use super::phrases::{MARKS, introductions, refusals, speakers};
use super::texts::{Draw, Text};

/// A kind of damage.
pub struct Kind {
    pub name: &'static str,
    /// Rules that only flag this damage. Every other kind is to be rejected.
    pub flags: &'static [&'static str],
    /// The share that must be caught at each strength, in percent.
    pub least: [u8; 3],
    /// Damages a text; `None` where it has no such part.
    pub damage: fn(&Text, &[Text], usize, &mut Draw) -> Option<Damaged>,
}

/// A damaged answer with what it answers.
pub struct Damaged {
    pub user: String,
    pub answer: String,
    pub earlier: Vec<String>,
}

pub const KINDS: &[Kind] = &[
    rejected("phrase loop", [95, 95, 95], phrase_loop),
    rejected("word loop", [95, 95, 95], word_loop),
    rejected("letter loop", [95, 95, 95], letter_loop),
    rejected("sentence cycle", [95, 95, 95], sentence_cycle),
    rejected("item cycle", [95, 95, 95], item_cycle),
    rejected("endless list", [94, 94, 94], endless_list),
    rejected("said again", [95, 95, 95], said_again),
    rejected("language tail", [95, 95, 95], language_tail),
    rejected("other language", [95, 95, 95], other_language),
    rejected("not the language asked for", [95, 95, 95], not_as_asked),
    Kind { name: "cut", flags: &["no_terminal"], least: [95, 95, 95], damage: cut },
    Kind { name: "cut in code", flags: &["fence_open"], least: [95, 95, 95], damage: cut_in_code },
    rejected("template mark", [95, 95, 95], template_mark),
    rejected("other speaker", [95, 95, 95], other_speaker),
    rejected("reasoning", [95, 95, 95], reasoning),
    Kind { name: "refusal", flags: &["refusal"], least: [95, 95, 95], damage: refusal },
    Kind { name: "introduction", flags: &["identity"], least: [95, 95, 95], damage: introduction },
    rejected("looks empty", [90, 90, 95], looks_empty),
    rejected("base64", [95, 95, 95], base64),
    rejected("garbage", [95, 95, 95], garbage),
    rejected("mojibake", [95, 95, 95], mojibake),
    rejected("control characters", [95, 95, 95], control_characters),
    rejected("echo of the question", [0, 95, 95], echo_of_the_question),
    rejected("echo of the last answer", [95, 95, 95], echo_of_the_last_answer),
];

const fn rejected(
    name: &'static str,
    least: [u8; 3],
    damage: fn(&Text, &[Text], usize, &mut Draw) -> Option<Damaged>,
) -> Kind {
    Kind { name, flags: &[], least, damage }
}

fn with(text: &Text, answer: String) -> Option<Damaged> {
    Some(Damaged { user: text.user.clone(), answer, earlier: Vec::new() })
}

/// True for languages that put no spaces between words.
fn is_unspaced(language: &str) -> bool {
    matches!(language, "zh" | "ja")
}

/// The last words of a text, or its last characters in languages without spaces.
fn last_words(text: &Text, count: usize) -> String {
    let letters = text.answer.trim_end_matches(|letter: char| !letter.is_alphanumeric());
    if is_unspaced(&text.language) {
        let letters: Vec<char> = letters.chars().collect();
        let mut from = letters.len().saturating_sub(2 * count);
        // A Latin word is not split.
        while from > 0 && letters[from - 1].is_ascii_alphanumeric() && letters[from].is_ascii_alphanumeric() {
            from -= 1;
        }
        return letters[from..].iter().collect();
    }
    let words: Vec<&str> = letters.split_whitespace().collect();
    words[words.len().saturating_sub(count)..].join(" ")
}

fn sentences(text: &str) -> Vec<String> {
    let mut sentences = vec![String::new()];
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        sentences.last_mut().unwrap().push(letter);
        // A number and an address have such marks too.
        let is_narrow_end = ".!?؟".contains(letter) && letters.peek().is_none_or(|next| next.is_whitespace());
        if is_narrow_end || "。！？।\n".contains(letter) {
            sentences.push(String::new());
        }
    }
    let said = |sentence: &String| sentence.chars().filter(|letter| letter.is_alphanumeric()).count() > 5;
    sentences.into_iter().map(|sentence| sentence.trim().to_owned()).filter(said).collect()
}

fn space(text: &Text) -> &'static str {
    if is_unspaced(&text.language) { "" } else { " " }
}

/// True where a text ends in prose: what follows code or a table is part of neither.
fn ends_in_prose(text: &Text) -> bool {
    let last = text.answer.trim_end().lines().next_back().unwrap_or_default();
    last.chars().any(char::is_alphabetic) && !last.contains(['|', '`'])
}

fn phrase_loop(text: &Text, _: &[Text], strength: usize, draw: &mut Draw) -> Option<Damaged> {
    if !ends_in_prose(text) {
        return None;
    }
    let phrase = last_words(text, 4 + draw.below(4));
    let more: String = (0..[2, 6, 30][strength]).map(|_| format!("{}{phrase}", space(text))).collect();
    with(text, format!("{}{more}", text.answer.trim_end_matches(|letter: char| !letter.is_alphanumeric())))
}

fn word_loop(text: &Text, _: &[Text], strength: usize, _: &mut Draw) -> Option<Damaged> {
    if !ends_in_prose(text) {
        return None;
    }
    let word = last_words(text, 1);
    with(text, format!("{}{}", text.answer, format!("{}{word}", space(text)).repeat([30, 60, 200][strength])))
}

fn letter_loop(text: &Text, _: &[Text], strength: usize, draw: &mut Draw) -> Option<Damaged> {
    let letters: Vec<char> = text.answer.chars().filter(|letter| letter.is_alphabetic()).collect();
    let letter = draw.of(&letters).to_string();
    ends_in_prose(text).then(|| with(text, format!("{} {}", text.answer, letter.repeat([80, 200, 1_000][strength]))))?
}

fn sentence_cycle(text: &Text, _: &[Text], strength: usize, _: &mut Draw) -> Option<Damaged> {
    let (answer, sentences) = (text.answer.trim_end(), sentences(&text.answer));
    let first = answer.rfind(&sentences[sentences.len().checked_sub(2)?])?;
    let last = &answer[first..];
    // A word or two are said again in good texts.
    if !ends_in_prose(text) || amount(last) < 40 {
        return None;
    }
    // As what is before it is apart, so is each time that it comes again.
    let apart = &answer[answer[..first].trim_end().len()..first];
    with(text, format!("{answer}{}", format!("{apart}{last}").repeat([2, 5, 12][strength])))
}

fn item_cycle(text: &Text, _: &[Text], strength: usize, _: &mut Draw) -> Option<Damaged> {
    let sentences = sentences(&text.answer);
    let items = sentences.iter().take(3).map(|item| format!("- {item}\n")).collect::<String>();
    with(text, format!("{}\n\n{}", text.answer, items.repeat([4, 8, 20][strength])))
}

fn endless_list(text: &Text, _: &[Text], strength: usize, draw: &mut Draw) -> Option<Damaged> {
    let item = if draw.below(2) == 0 { String::new() } else { last_words(text, 3) };
    let items: String = (1..=[25, 60, 200][strength]).map(|number| format!("{number}. {item}\n")).collect();
    with(text, format!("{}\n\n{items}", text.answer))
}

fn said_again(text: &Text, _: &[Text], strength: usize, _: &mut Draw) -> Option<Damaged> {
    with(text, vec![text.answer.as_str(); [2, 3, 6][strength]].join("\n\n"))
}

/// The sentences of a text that are in no code, table or heading, are mostly letters and end with a mark: labels and names are in
/// no language.
fn prose_sentences(text: &str) -> Vec<String> {
    let mut is_code = false;
    let is_prose = |line: &&str| {
        is_code ^= line.trim_start().starts_with("```");
        !is_code && !line.contains(['|', '`', '#', '/', '='])
    };
    let prose: String = text.lines().filter(is_prose).map(|line| line.to_owned() + "\n").collect();
    let is_said = |sentence: &String| {
        let letters = sentence.chars().filter(|letter| letter.is_alphabetic() || letter.is_whitespace()).count();
        letters * 10 > sentence.chars().count() * 7 && amount(sentence) >= 30 && ends_with_mark(sentence)
    };
    sentences(&prose).into_iter().filter(is_said).collect()
}

fn ends_with_mark(sentence: &str) -> bool {
    sentence.ends_with(['.', '!', '?', '。', '！', '？', '।', '؟'])
}

/// How much a text says, in letters of an alphabet.
fn amount(text: &str) -> usize {
    let weight = |letter: char| match letter {
        '\u{3040}'..='\u{30ff}' | '\u{4e00}'..='\u{9fff}' | '\u{ac00}'..='\u{d7af}' => 3,
        letter => usize::from(letter.is_alphabetic()),
    };
    text.chars().map(weight).sum()
}

/// Sentences of a text of another language, at least three that say at least so much.
fn foreign_sentences(text: &Text, texts: &[Text], least: usize, draw: &mut Draw) -> Vec<String> {
    loop {
        let other = draw.of(texts);
        let sentences = prose_sentences(&other.answer);
        if other.language != text.language && sentences.len() >= 3 && amount(&sentences.concat()) >= least {
            return sentences;
        }
    }
}

fn language_tail(text: &Text, texts: &[Text], strength: usize, draw: &mut Draw) -> Option<Damaged> {
    let own = prose_sentences(&text.answer);
    if own.len() < 4 {
        return None;
    }
    let kept = own.len() * [66, 50, 34][strength] / 100;
    // As much is said in the other language as in the sentences whose place it takes, as far as a text has so much.
    let replaced = amount(&own[kept..].concat());
    let other = foreign_sentences(text, texts, replaced.min(600), draw);
    let is_needed = |count: &usize| amount(&other[..*count].concat()) < replaced;
    let other = &other[..(0..other.len()).filter(is_needed).count()];
    with(text, format!("{}{}{}", own[..kept].join(space(text)), space(text), other.join(" ")))
}

fn other_language(text: &Text, texts: &[Text], strength: usize, draw: &mut Draw) -> Option<Damaged> {
    let sentences = foreign_sentences(text, texts, 100, draw);
    let kept = sentences.len().min([3, 6, 100][strength]);
    with(text, sentences[..kept].join(" "))
}

/// The user asks for another language and gets an answer in a third one.
fn not_as_asked(text: &Text, texts: &[Text], strength: usize, draw: &mut Draw) -> Option<Damaged> {
    let request = match text.language.as_str() {
        "de" => "Bitte antworte auf Finnisch.",
        "fr" => "Réponds en finnois, s'il te plaît.",
        "es" => "Responde en finés, por favor.",
        "it" => "Rispondi in finlandese, per favore.",
        "pt" => "Responda em finlandês, por favor.",
        "ru" => "Ответь, пожалуйста, по-фински.",
        "zh" => "请用芬兰语回答。",
        "ja" => "フィンランド語で答えてください。",
        "ko" => "핀란드어로 대답해 주세요.",
        "ar" => "أجب باللغة الفنلندية من فضلك.",
        "hi" => "कृपया फ़िनिश में उत्तर दीजिए।",
        _ => "Please answer in Finnish.",
    };
    let sentences = foreign_sentences(text, texts, 100, draw);
    let answer = sentences[..sentences.len().min([3, 6, 100][strength])].join(" ");
    Some(Damaged { user: format!("{} {request}", text.user), answer, earlier: Vec::new() })
}

fn cut(text: &Text, _: &[Text], strength: usize, draw: &mut Draw) -> Option<Damaged> {
    let letters: Vec<char> = text.answer.chars().collect();
    let kept = letters.len() * ([85, 60, 40][strength] + draw.below(10)) / 100;
    // A cut at the end of a sentence cannot be seen, nor one in a label, after a few words, or in the first sentence, before any has
    // ended.
    let shows = |kept: &usize| {
        let is_within = letters[kept - 1].is_alphabetic() && letters[*kept].is_alphabetic();
        is_within && is_cut_in_sentence(&letters[..*kept].iter().collect::<String>(), &letters[*kept..])
    };
    let kept = (1..=kept).rev().find(shows)?;
    with(text, letters[..kept].iter().collect())
}

/// True where a text ends within a sentence of prose that goes on to a mark, after several of its words.
fn is_cut_in_sentence(kept: &str, rest: &[char]) -> bool {
    let line = kept.lines().next_back().unwrap_or_default();
    let rest: String = rest.iter().take_while(|letter| **letter != '\n').collect();
    let begun = sentences(line).pop().unwrap_or_default();
    let is_prose = !line.contains(['|', '`', '#', '/', '=', '<', '{']) && !line.starts_with([' ', '\t']);
    is_prose
        && ends_with_mark(rest.trim_end())
        && line.ends_with(&begun)
        && amount(&begun) >= 60
        && !prose_sentences(kept).is_empty()
}

fn cut_in_code(text: &Text, _: &[Text], strength: usize, _: &mut Draw) -> Option<Damaged> {
    let lines =
        ["def area(width, height):", "    return width * height", "", "for side in range(3, 9):", "    print(area("];
    let code = lines[..[1, 3, 5][strength]].join("\n");
    with(text, format!("{}\n\n```python\n{code}", text.answer))
}

fn template_mark(text: &Text, _: &[Text], strength: usize, draw: &mut Draw) -> Option<Damaged> {
    let (mark, sentences) = (draw.of(MARKS), sentences(&text.answer));
    let middle = sentences.len() / 2;
    let answer = match strength {
        0 => format!("{}{mark}", text.answer),
        1 => format!("{mark}{}", text.answer),
        _ => format!("{}\n{mark}\n{}", sentences[..middle].join(" "), sentences[middle..].join(" ")),
    };
    with(text, answer)
}

fn other_speaker(text: &Text, _: &[Text], strength: usize, draw: &mut Draw) -> Option<Damaged> {
    let (user, assistant) = if draw.below(3) == 0 { ("User", "Assistant") } else { speakers(&text.language) };
    let colon = if matches!(text.language.as_str(), "zh" | "ja") { "：" } else { ": " };
    let name = |name: &str| {
        if strength == 2 { format!("**{name}{colon}**") } else { format!("{name}{colon}") }
    };
    let more = match strength {
        0 => format!("\n{}{}", name(user), text.user),
        _ => format!("\n\n{}{}\n\n{}{}", name(user), text.user, name(assistant), text.answer),
    };
    with(text, format!("{}{more}", text.answer))
}

fn reasoning(text: &Text, _: &[Text], strength: usize, draw: &mut Draw) -> Option<Damaged> {
    let tag = draw.of(&["think", "thinking", "thought", "reasoning"]);
    let sentences = sentences(&text.answer);
    let middle = sentences.len() / 2;
    let (first, second) = (sentences[..middle].join(" "), sentences[middle..].join(" "));
    let answer = match strength {
        0 => format!("{first}\n</{tag}>\n\n{second}"),
        1 => format!("<{tag}>\n{first}\n\n{second}"),
        _ => format!("{first}\n<{tag}>\n{second}"),
    };
    with(text, answer)
}

fn refusal(text: &Text, _: &[Text], strength: usize, _: &mut Draw) -> Option<Damaged> {
    with(text, refusals(&text.language)[strength].to_owned())
}

fn introduction(text: &Text, _: &[Text], strength: usize, _: &mut Draw) -> Option<Damaged> {
    let said = introductions(&text.language)[strength];
    with(text, format!("{said}{}{}", space(text), text.answer))
}

fn looks_empty(text: &Text, _: &[Text], strength: usize, draw: &mut Draw) -> Option<Damaged> {
    let choices: [&[&str]; 3] = [
        &["...", "…", "。。。", "......"],
        &["null", "{}", "[]", "NULL", "```\n```", "```json\n\n```"],
        &["\u{200b}\u{200b}", "\u{feff}", "\u{2060} \u{200d}", "\u{ad}", "\u{3164}"],
    ];
    with(text, (*draw.of(choices[strength])).to_owned())
}

fn base64(text: &Text, _: &[Text], strength: usize, draw: &mut Draw) -> Option<Damaged> {
    let letters: Vec<char> = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".chars().collect();
    let noise: String = (0..[200, 600, 2_000][strength]).map(|_| *draw.of(&letters)).collect();
    with(text, format!("{}\n\n{noise}==", text.answer))
}

fn garbage(text: &Text, _: &[Text], strength: usize, draw: &mut Draw) -> Option<Damaged> {
    let letters: Vec<char> =
        "abcdefghijklmnopqrstuvwxyz0123456789#$%&@^~*_=+|\\/<>;:,.!?()[]{}éøпжש漢の글ض".chars().collect();
    let noise: String =
        (0..[80, 250, 800][strength]).map(|_| if draw.below(7) == 0 { ' ' } else { *draw.of(&letters) }).collect();
    with(text, format!("{} {noise}", text.answer))
}

/// UTF-8 that was read as Windows-1252 or Latin-1. English gets some typographic characters first.
fn mojibake(text: &Text, _: &[Text], strength: usize, _: &mut Draw) -> Option<Damaged> {
    let typographic = text.answer.replace(", ", " – ").replace('\'', "’").replace("a ", "“a” ");
    let source = if text.language == "en" { typographic } else { text.answer.clone() };
    let sentences = sentences(&source);
    let kept = sentences.len() * [66, 34, 0][strength] / 100;
    let wrong: String = sentences[kept..].join(space(text)).bytes().map(|byte| cp1252(byte, strength)).collect();
    let answer = format!("{}{}{wrong}", sentences[..kept].join(space(text)), space(text));
    (wrong.chars().filter(|letter| !letter.is_ascii()).count() >= 6).then(|| with(text, answer)).flatten()
}

fn cp1252(byte: u8, strength: usize) -> char {
    const HIGH: &str = "€\u{81}‚ƒ„…†‡ˆ‰Š‹Œ\u{8d}Ž\u{8f}\u{90}‘’“”•–—˜™š›œ\u{9d}žŸ";
    if strength < 2 && (0x80..0xa0).contains(&byte) {
        return HIGH.chars().nth(usize::from(byte) - 0x80).unwrap();
    }
    char::from(byte)
}

fn control_characters(text: &Text, _: &[Text], strength: usize, draw: &mut Draw) -> Option<Damaged> {
    let mut letters: Vec<char> = text.answer.chars().collect();
    for _ in 0..[3, 10, 50][strength] {
        let at = draw.below(letters.len());
        letters[at] = *draw.of(&['\u{fffd}', '\u{1}', '\u{8}', '\u{1b}', '\u{fffd}', '\u{9f}', '\u{e000}']);
    }
    with(text, letters.into_iter().collect())
}

fn echo_of_the_question(text: &Text, _: &[Text], strength: usize, _: &mut Draw) -> Option<Damaged> {
    // A short answer may be said again, and a part of it is an extract.
    let sentences = sentences(&text.answer);
    let kept = text.answer[..text.answer.rfind(sentences.last()?)?].trim_end();
    if amount(&text.answer) < 150 || amount(kept) * 4 < amount(&text.answer) * 3 {
        return None;
    }
    let answer = match strength {
        0 => kept.to_owned(),
        1 => format!("{}{}{}", text.answer, space(text), sentences[0]),
        _ => text.answer.clone(),
    };
    Some(Damaged { user: text.answer.clone(), answer, earlier: Vec::new() })
}

fn echo_of_the_last_answer(text: &Text, _: &[Text], strength: usize, _: &mut Draw) -> Option<Damaged> {
    let mut damaged = echo_of_the_question(text, &[], strength, &mut Draw::new(0))?;
    damaged.earlier = vec![std::mem::replace(&mut damaged.user, text.user.clone())];
    Some(damaged)
}
