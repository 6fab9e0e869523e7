use super::MadeOf;

/// Characters at the end that are looked at.
const CHARACTERS: usize = 80;
/// Kinds of ASCII signs among them. A program or a formula has fewer.
const SIGNS_DIFFERENT_MIN: usize = 13;
/// Letters in a row that are a word, and the share of the letters that may be in words.
const WORD_MIN: usize = 4;
const IN_WORDS_MAX: f64 = 0.35;
const IN_WORDS_WITH_SCRIPTS_MAX: f64 = 0.6;
/// Signs that no formula has, of which this many different ones are among them.
const HARD: &[u8] = b"@#$%&~?\\";
const HARD_DIFFERENT_MIN: usize = 3;
/// The number of kinds where letters of several scripts stand among them.
const SIGNS_DIFFERENT_WITH_SCRIPTS_MIN: usize = 8;
const SCRIPTS_MIN: usize = 2;
/// One or two letters of another script between other characters, and how many scripts they are of.
const ISLAND_LETTERS_MAX: usize = 2;
const ISLANDS_MIN: usize = 3;
const ISLAND_SCRIPTS_MIN: usize = 3;

/// Returns where a jumble begins that a text ends with: letters, digits and many different signs in turn, or single letters of many
/// scripts between other characters.
pub fn jumble(tail: &str, made_of: MadeOf) -> Option<usize> {
    // Text has few signs, and letters of one script or two. Most ends are settled by that.
    let MadeOf { signs, scripts_at_most: scripts } = made_of;
    let has_few = signs < SIGNS_DIFFERENT_WITH_SCRIPTS_MIN || scripts < SCRIPTS_MIN;
    if signs < SIGNS_DIFFERENT_MIN && scripts < ISLAND_SCRIPTS_MIN && has_few {
        return None;
    }
    let end = end_of(tail);
    let (islands, scripts) = islands_in(end);
    let has_signs = if scripts >= SCRIPTS_MIN {
        has_signs(end, SIGNS_DIFFERENT_WITH_SCRIPTS_MIN, IN_WORDS_WITH_SCRIPTS_MAX)
    } else {
        has_signs(end, SIGNS_DIFFERENT_MIN, IN_WORDS_MAX)
    };
    let is_jumble = has_signs || (islands >= ISLANDS_MIN && scripts >= ISLAND_SCRIPTS_MIN);
    is_jumble.then(|| tail.len() - end.len() + first_odd(end))
}

/// True where single letters of many scripts stand at the end of a text.
pub fn has_many_scripts(tail: &str) -> bool {
    let (islands, scripts) = islands_in(end_of(tail));
    islands >= ISLANDS_MIN && scripts >= ISLAND_SCRIPTS_MIN
}

/// Returns the part of the last line that is looked at.
fn end_of(tail: &str) -> &str {
    let line = tail.rsplit('\n').next().unwrap_or_default();
    &line[line.char_indices().rev().nth(CHARACTERS - 1).map_or(0, |(at, _)| at)..]
}

/// True where a text consists of letters, digits and at least this many different signs, and hardly of words.
fn has_signs(end: &str, different_min: usize, in_words_max: f64) -> bool {
    let mut signs = 0u128;
    let (mut sign_count, mut letters, mut in_words, mut run) = (0usize, 0usize, 0usize, 0usize);
    for character in end.chars() {
        if character.is_ascii_punctuation() {
            signs |= 1 << character as u32;
            sign_count += 1;
        }
        if character.is_alphabetic() {
            letters += 1;
            run += 1;
            in_words += match run {
                WORD_MIN => WORD_MIN,
                longer if longer > WORD_MIN => 1,
                _ => 0,
            };
        } else {
            run = 0;
        }
    }
    let hard = HARD.iter().filter(|sign| signs >> **sign & 1 == 1).count();
    signs.count_ones() as usize >= different_min
        && hard >= HARD_DIFFERENT_MIN
        && letters * 3 >= sign_count
        && in_words as f64 <= in_words_max * letters as f64
}

/// Returns how often one or two letters of another script stand right beside other characters, and of how many scripts they are.
fn islands_in(end: &str) -> (usize, usize) {
    let (mut islands, mut scripts, mut run) = (0usize, 0u8, 0usize);
    let (mut before_run, mut here) = (' ', None);
    let mut last = ' ';
    for character in end.chars().chain([' ']) {
        let script = script_of(character);
        if script != here {
            if let Some(script) = here
                && run <= ISLAND_LETTERS_MAX
                && (is_part(before_run) || is_part(character))
            {
                islands += 1;
                scripts |= 1 << script;
            }
            (before_run, here, run) = (last, script, 0);
        }
        run += 1;
        last = character;
    }
    (islands, scripts.count_ones() as usize)
}

/// True for characters that stand in a word or a formula, not before or after one.
fn is_part(character: char) -> bool {
    character.is_alphanumeric() || "#$%&@^~*_=+|\\<>{}".contains(character)
}

/// Returns the number of the script of a letter that is not Latin or Greek.
fn script_of(letter: char) -> Option<u8> {
    Some(match letter {
        '\u{400}'..='\u{52f}' => 0,
        '\u{590}'..='\u{5ff}' => 1,
        '\u{600}'..='\u{6ff}' => 2,
        '\u{900}'..='\u{dff}' => 3,
        '\u{e00}'..='\u{e7f}' => 4,
        '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{9fff}' => 5,
        '\u{ac00}'..='\u{d7af}' => 6,
        _ => return None,
    })
}

/// Returns where the words end that a text begins with.
fn first_odd(end: &str) -> usize {
    let is_word = |word: &str| {
        let letters = word.trim_matches(|character: char| !character.is_alphanumeric());
        let script = letters.chars().next().map(script_of);
        letters.chars().count() >= WORD_MIN
            && letters.chars().all(|letter| letter.is_alphabetic() && Some(script_of(letter)) == script)
    };
    let words = end.split_inclusive(' ').rev().take_while(|word| !is_word(word));
    end.len() - words.map(str::len).sum::<usize>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_jumble_is_told_from_programs_formulas_and_lists_of_signs() {
        for text in [
            "So it is. k%2;жz @a^q(9 ~x}ø7=b| $c<é/3_ [n:ש\\ ?d!w+ 漢5*m ]r{h, 의u#8 ضt&k.",
            "So it is. aжb7 cשd 漢x5 eضfg h9 글j kпm2 nの qrжs",
        ] {
            assert!(jumble(text, MadeOf::of(text)).is_some_and(|at| at < 40), "{text}");
        }
        for text in [
            "perl -pe 's/([^A-Za-z0-9])/sprintf(\"%%%02X\", ord($1))/seg; tr/+/ /' file | sort -u > out && cat out",
            "The signs !\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~ are punctuation.",
            "f(x) = a*x^2 + b*x + c; g(y) = {y | y > 0}; h[i] = 3/4 - i!",
            "第3章第5節の「A」と「B」を参照してください（GNU/Linux）。",
            "3월 5일 14시에 USB를 연결하세요.",
            "",
        ] {
            assert_eq!(jumble(text, MadeOf::of(text)), None, "{text}");
        }
    }
}
