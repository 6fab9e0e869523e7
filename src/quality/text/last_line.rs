use super::fence_count;
use crate::conversation::ending;

/// Bytes of a word before a point that are looked at.
const WORD_BYTES_MAX: usize = 64;

/// How an answer ends: its last line, where that may be a sentence.
#[derive(Clone, Copy, Debug)]
pub struct LastLine<'a> {
    /// The line without white space at its end.
    pub text: &'a str,
    /// Where it begins in the answer.
    pub start: usize,
}

impl<'a> LastLine<'a> {
    /// Returns the last line of an answer that does not end in a code block, a table, a heading, a formula or an address.
    pub fn of(answer: &'a str) -> Option<Self> {
        let said = answer.trim_end();
        let start = memchr::memrchr(b'\n', said.as_bytes()).map_or(0, |at| at + 1);
        let text = &said[start..];
        let body = text.trim_start();
        let is_other = body.starts_with(['|', '#', '>', '<', '$', '\\', '{', '[', '`', '~', '@'])
            || body.contains("://")
            || body.contains("\\(")
            || (text.starts_with("    ") || text.starts_with('\t')) && !is_item(body)
            || fence_count(said) % 2 == 1
            || fence_count(text) > 0;
        (!said.is_empty() && !is_other && !is_code(body)).then_some(Self { text, start })
    }

    /// True where a sentence, a quotation or an emphasis ends with the line.
    pub fn is_ended(&self) -> bool {
        ends_sentence(self.text)
    }

    /// Returns the words of the line. A character of Chinese or Japanese counts as half a word.
    pub fn word_count(&self) -> usize {
        word_count(self.text)
    }

    /// Returns what follows the last sentence that ends within the line.
    pub fn fragment(&self) -> Option<&'a str> {
        let mut last = None;
        let mut characters = self.text.char_indices().peekable();
        while let Some((at, character)) = characters.next() {
            let is_wide = matches!(character, '。' | '！' | '？' | '।' | '؟' | '۔');
            let is_narrow = matches!(character, '.' | '!' | '?' | '…');
            let next = characters.peek().map(|(_, next)| *next);
            // `e.g. this`, `3.5` and `No. 4` end no sentence; a capital or a script without capitals begins one.
            let begins = || {
                let after = self.text[at + character.len_utf8()..].trim_start().chars().next();
                after.is_some_and(|after| after.is_alphabetic() && !after.is_lowercase())
            };
            // Only before a point, and not far: a line without spaces is not read from each of its characters.
            let is_long = || {
                let before = ending(&self.text[..at], WORD_BYTES_MAX);
                let word = before.rsplit(char::is_whitespace).next().unwrap_or_default();
                let letters = word.chars().filter(|letter| letter.is_alphabetic()).count();
                // The Hindi for "is" ends most sentences.
                letters >= 3 || word == "है" || word.ends_with([')', '»', '”'])
            };
            if (is_wide || (is_narrow && next == Some(' ') && is_long() && begins())) && next.is_some() {
                last = Some(at + character.len_utf8());
            }
        }
        last.map(|at| self.text[at..].trim_start_matches(['"', '”', '»', '」', ')', ' ', '\'', '’', '*']))
    }
}

/// True for what ends a text: a mark, a quotation or bracket, a picture.
pub fn ends_sentence(text: &str) -> bool {
    let Some(last) = text.trim_end().chars().next_back() else { return true };
    !(last.is_alphanumeric() || is_joining(last)) || matches!(last, '๏')
}

/// True for marks after which a sentence continues.
pub fn is_joining(mark: char) -> bool {
    matches!(mark, ',' | '，' | '、' | '،' | '；' | '؛' | '﹐')
}

/// Returns the number of words; a character of a script without spaces counts as half a word.
pub fn word_count(text: &str) -> usize {
    let is_wide = |letter: &char| matches!(letter, '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{9fff}');
    text.split_whitespace().count() + text.chars().filter(is_wide).count() / 2
}

/// True for an item of a list.
pub fn is_item(body: &str) -> bool {
    let digits = body.bytes().take_while(u8::is_ascii_digit).count();
    let is_numbered = (1..=3).contains(&digits) && body[digits..].starts_with(['.', ')', '、', '．', ':']);
    is_numbered || body.starts_with(['-', '*', '+', '•', '·', '・', '–'])
}

/// True for a line with the marks of a program.
fn is_code(body: &str) -> bool {
    let marks = body.bytes().filter(|byte| b"{}=;<>|\\_$&^~`".contains(byte)).count();
    marks >= 2 && marks * 16 >= body.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_end_and_other_lines_are_not_judged() {
        let ended = |text: &str| LastLine::of(text).map(|line| line.is_ended());
        assert_eq!(ended("It is so."), Some(true));
        assert_eq!(ended("It is so"), Some(false));
        assert_eq!(ended("So it is 🙂"), Some(true));
        assert_eq!(ended("因为这样。"), Some(true));
        assert_eq!(ended("因为这样，"), Some(false));
        for text in
            ["# Head", "| a | b |", "```\nlet a", "let a = b; c = d", "See https://example.com/a", "", "$x + y$"]
        {
            assert_eq!(ended(text), None, "{text}");
        }
    }

    #[test]
    fn a_fragment_follows_a_sentence() {
        fn fragment(text: &str) -> Option<&str> {
            LastLine::of(text).and_then(|line| line.fragment())
        }
        assert_eq!(fragment("It flies. Then it la"), Some("Then it la"));
        assert_eq!(fragment("它会飞。然后它"), Some("然后它"));
        assert_eq!((fragment("No. 4 at 3.5 km"), fragment("It flies"), fragment("It flies.")), (None, None, None));
    }
}
