use super::certain::{common_words_at, two_letters};
use super::words::COMMON_WORDS;

/// Words of the other language that a text must end with, and how much each word of the first one counts against them.
const WORDS_MIN: i32 = 6;
const AGAINST: i32 = 2;
/// Letters of such an end.
const LETTERS_MIN: usize = 60;

/// Returns where a text in one language in Latin letters continues in another one up to its end, and in which: from there on it has
/// enough common words that only the other one has, and hardly any that only the first one has, and looks like it.
pub fn word_change(text: &str, first: &str) -> Option<(usize, &'static str)> {
    let place_of = |language: &str| COMMON_WORDS.iter().position(|(other, _)| *other == language);
    let first = place_of(first)?;
    let words = common_words_at(text);
    let others = (0..COMMON_WORDS.len()).filter(|other| *other != first);
    let ends = others.filter_map(|other| {
        let (mut score, mut most, mut from) = (0, 0, None);
        for (at, languages) in words.iter().rev() {
            match (languages >> other & 1, languages >> first & 1) {
                (1, 0) => score += 1,
                (0, 1) => score -= AGAINST,
                _ => {}
            }
            if score > most {
                (most, from) = (score, Some(*at));
            }
        }
        from.map(|from| (most, from, COMMON_WORDS[other].0))
    });
    let (most, from, language) = ends.max_by_key(|(most, ..)| *most)?;
    let end = &text[from..];
    let is_long = || end.chars().filter(|letter| letter.is_alphabetic()).count() >= LETTERS_MIN;
    let looks = || two_letters(whichlang::detect_language(end)) == language;
    (most >= WORDS_MIN && is_long() && looks()).then_some((from, language))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_where_another_language_begins_is_found() {
        let english = "The harbor lies in the north of the city, and most of the ships carry timber.";
        let german =
            "Der Hafen liegt im Norden der Stadt, und die meisten Schiffe bringen nicht nur Holz und Getreide.";
        let text = format!("{english} {german}");
        let (from, language) = word_change(&text, "en").unwrap();
        assert_eq!((language, &text[from..from + 3]), ("de", "Der"));
        assert_eq!(word_change(english, "en"), None);
        assert_eq!(word_change(&format!("{german} {english}"), "de").map(|(_, language)| language), Some("en"));
        assert_eq!(word_change(&format!("{english} Der Hafen der Stadt."), "en"), None, "too short to tell");
    }
}
