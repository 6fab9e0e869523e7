use std::sync::LazyLock;

/// Words with which people ask, of the languages of [`COMMON_WORDS`](super::words::COMMON_WORDS) in their order. Short messages
/// have these, and few of the common words.
pub static ASKING_WORDS: LazyLock<Vec<Vec<&'static str>>> =
    LazyLock::new(|| include_str!("asking.txt").lines().map(|line| line.split(' ').skip(1).collect()).collect());

#[cfg(test)]
mod tests {
    use super::super::words::COMMON_WORDS;
    use super::*;

    #[test]
    fn every_language_has_words_and_each_is_one_word_in_small_letters() {
        let languages = include_str!("asking.txt").lines().filter_map(|line| line.split(' ').next());
        assert!(languages.eq(COMMON_WORDS.iter().map(|(language, _)| *language)));
        for word in ASKING_WORDS.iter().flatten() {
            assert!(word.chars().all(char::is_alphabetic) && *word == word.to_lowercase(), "{word}");
        }
    }
}
