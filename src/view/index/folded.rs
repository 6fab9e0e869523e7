//! Texts as they are searched: in lower case, white space as single spaces.

/// Whose words a text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Voice {
    /// The system message.
    System = 1,
    /// The user.
    User = 2,
    /// The new answers.
    New = 3,
    /// The old answers.
    Old = 4,
    /// Attempts that were rejected, or not decided.
    Rejected = 5,
}

impl Voice {
    /// Every voice with its name in queries.
    pub const ALL: [(&'static str, Self); 5] = [
        ("system", Self::System),
        ("user", Self::User),
        ("new", Self::New),
        ("old", Self::Old),
        ("rejected", Self::Rejected),
    ];

    /// Returns the voice of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|(other, _)| *other == name).map(|(_, voice)| voice)
    }
}

/// Texts of a conversation, folded. Each begins with a byte that says whose words it is, which no folded text has.
#[derive(Debug, Default)]
pub struct FoldedTexts(pub Vec<u8>);

impl FoldedTexts {
    /// Adds a text.
    pub fn push(&mut self, voice: Voice, text: &str) {
        self.0.push(voice as u8);
        fold_into(&mut self.0, text);
    }

    /// Adds a text, unless all of them would be longer than `bytes_max`.
    pub fn push_within(&mut self, voice: Voice, text: &str, bytes_max: usize) {
        if self.0.len() + text.len() <= bytes_max {
            self.push(voice, text);
        }
    }
}

/// Returns a text as it is searched.
pub fn folded(text: &str) -> Vec<u8> {
    let mut folded = Vec::with_capacity(text.len());
    fold_into(&mut folded, text);
    folded
}

fn fold_into(folded: &mut Vec<u8>, text: &str) {
    let start = folded.len();
    let mut bytes = [0; 4];
    for character in text.chars() {
        if character.is_whitespace() || character.is_control() {
            if folded.len() > start && folded.last() != Some(&b' ') {
                folded.push(b' ');
            }
        } else if character.is_ascii() {
            folded.push(character.to_ascii_lowercase() as u8);
        } else {
            for lower in character.to_lowercase() {
                folded.extend_from_slice(lower.encode_utf8(&mut bytes).as_bytes());
            }
        }
    }
    if folded.len() > start && folded.last() == Some(&b' ') {
        folded.pop();
    }
}

/// True where `needle` is in the texts, or in those of one voice.
pub fn occurs(finder: &memchr::memmem::Finder<'_>, texts: &[u8], voice: Option<Voice>) -> bool {
    let Some(voice) = voice else { return finder.find(texts).is_some() };
    let mut rest = texts;
    while let Some(at) = finder.find(rest) {
        let before = &texts[..texts.len() - rest.len() + at];
        let speaks = memchr::memrchr3(1, 2, 3, before).max(memchr::memrchr2(4, 5, before)).map(|at| before[at]);
        if speaks == Some(voice as u8) {
            return true;
        }
        // The next text, if any, is another voice's.
        let behind = &rest[at..];
        let next = [memchr::memchr3(1, 2, 3, behind), memchr::memchr2(4, 5, behind)].into_iter().flatten().min();
        let next = next.unwrap_or(behind.len());
        rest = &behind[next..];
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use memchr::memmem::Finder;

    #[test]
    fn case_and_white_space_do_not_count() {
        assert_eq!(folded("  Hello,\n\tWORLD \u{1}ÄÖ 你好 "), "hello, world äö 你好".as_bytes());
    }

    #[test]
    fn a_text_is_found_in_the_words_of_one_voice_and_never_across_two() {
        let mut texts = FoldedTexts::default();
        texts.push(Voice::User, "Why is the sky blue?");
        texts.push(Voice::New, "Blue light scatters. 因为天空");
        texts.push(Voice::User, "Thanks");
        let find = |text: &str, voice| occurs(&Finder::new(&folded(text)), &texts.0, voice);
        assert!(find("BLUE", None) && find("blue", Some(Voice::User)) && find("blue", Some(Voice::New)));
        assert!(!find("blue", Some(Voice::Old)) && !find("scatters", Some(Voice::User)));
        assert!(find("天空", Some(Voice::New)) && !find("天", Some(Voice::User)) && find("thanks", Some(Voice::User)));
        assert!(!find("blue? blue", None));
    }
}
