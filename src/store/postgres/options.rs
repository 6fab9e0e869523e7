//! The parameter `options`: command-line arguments of the server process, of which `-c name=value` sets a variable.

/// Returns the variables that options set; `None` where they have anything else in them.
pub fn settings(options: &str) -> Option<Vec<(String, String)>> {
    let words = words(options);
    let mut words = words.iter().map(String::as_str);
    let mut settings = Vec::new();
    while let Some(word) = words.next() {
        let setting = match word.strip_prefix("-c") {
            Some("") => words.next()?,
            Some(setting) => setting,
            None => word.strip_prefix("--")?,
        };
        let (name, value) = setting.split_once('=')?;
        settings.push((name.replace('-', "_").to_lowercase(), value.to_owned()));
    }
    Some(settings)
}

/// Splits at white space; a backslash escapes the next character.
fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => word.get_or_insert_default().extend(characters.next()),
            space if space.is_ascii_whitespace() => words.extend(word.take()),
            _ => word.get_or_insert_default().push(character),
        }
    }
    words.extend(word);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_told_from_other_arguments() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(settings(""), Some(vec![]));
        assert_eq!(settings("-c search_path=a,b"), Some(vec![pair("search_path", "a,b")]));
        let both = settings(" -csearch_path=a\\ b  --lock-timeout=3s ");
        assert_eq!(both, Some(vec![pair("search_path", "a b"), pair("lock_timeout", "3s")]));
        for text in ["project=x", "-c", "-c x", "-B 3"] {
            assert_eq!(settings(text), None, "{text}");
        }
    }
}
