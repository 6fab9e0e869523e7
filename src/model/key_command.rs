use serde::Deserialize;

/// A command that prints a key: a list of words, or text that is split at spaces. Quotes keep words together; there is no
/// other syntax and no shell.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "WrittenCommand")]
pub struct KeyCommand(pub Vec<String>);

impl TryFrom<WrittenCommand> for KeyCommand {
    type Error = String;

    fn try_from(written: WrittenCommand) -> Result<Self, Self::Error> {
        written.words("key-command").map(Self)
    }
}

/// A command as people write it.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged, expecting = "expected text or a list of words")]
pub enum WrittenCommand {
    /// Split at spaces; quotes keep words together.
    Text(String),
    /// The program and its arguments.
    Words(Vec<String>),
}

impl WrittenCommand {
    /// Returns the program and its arguments. A message calls the command `name`.
    ///
    /// # Errors
    /// Fails for a quote without its end and where there is no program.
    pub fn words(self, name: &str) -> Result<Vec<String>, String> {
        let words = match self {
            Self::Words(words) => words,
            Self::Text(text) => command_words(&text).ok_or_else(|| format!("{name} has a quote without its end"))?,
        };
        let is_command = words.first().is_some_and(|program| !program.is_empty());
        is_command.then_some(words).ok_or_else(|| format!("{name} is empty"))
    }
}

/// Splits text at spaces; `None` for a quote without its end.
fn command_words(text: &str) -> Option<Vec<String>> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for letter in text.chars() {
        match quote {
            Some(end) if letter == end => quote = None,
            Some(_) => word.get_or_insert_default().push(letter),
            None if letter == '"' || letter == '\'' => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            None if letter.is_whitespace() => words.extend(word.take()),
            None => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    quote.is_none().then_some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_split_at_spaces_outside_of_quotes() {
        let words = command_words("gcloud auth  print --for='a b' \"\"").unwrap();
        assert_eq!(words, ["gcloud", "auth", "print", "--for=a b", ""]);
        assert_eq!(command_words("a 'b"), None);
        assert!(KeyCommand::try_from(WrittenCommand::Text(" ".to_owned())).is_err());
        assert!(KeyCommand::try_from(WrittenCommand::Words(Vec::new())).is_err());
    }
}
