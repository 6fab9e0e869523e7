//! Reads JSON as models write it: with backslashes of LaTeX, raw line ends, trailing and missing commas, curly or single quotes,
//! names without quotes, and brackets that are not closed. Text that is JSON is read as `serde_json` reads it.

use serde_json::{Map, Number, Value};

/// Nesting that is followed; what is deeper ends the reading.
const DEPTH_MAX: usize = 32;
/// Commands of LaTeX that begin like an escape of JSON: `\frac` is not a form feed.
const LATEX: [&str; 40] = [
    "bar",
    "begin",
    "beta",
    "big",
    "bigg",
    "binom",
    "bmod",
    "boldsymbol",
    "bot",
    "bullet",
    "flat",
    "forall",
    "frac",
    "frown",
    "nabla",
    "natural",
    "nearrow",
    "neg",
    "neq",
    "ni",
    "notin",
    "nu",
    "rangle",
    "rceil",
    "rfloor",
    "rho",
    "right",
    "rightarrow",
    "rm",
    "tan",
    "tanh",
    "tau",
    "text",
    "textbf",
    "textit",
    "tfrac",
    "theta",
    "tilde",
    "times",
    "to",
];

/// Returns the object that a text begins with, and its length in bytes; `None` where the text does not begin with a brace.
pub(super) fn object(text: &str) -> Option<(Value, usize)> {
    let mut reader = Reader { rest: text };
    let value = text.starts_with('{').then(|| reader.value(0)).flatten()?;
    Some((value, text.len() - reader.rest.len()))
}

struct Reader<'a> {
    rest: &'a str,
}

impl Reader<'_> {
    fn value(&mut self, depth: usize) -> Option<Value> {
        self.skip_space();
        match self.rest.chars().next()? {
            '{' | '[' if depth >= DEPTH_MAX => None,
            '{' => Some(Value::Object(self.fields(depth)?)),
            '[' => Some(Value::Array(self.items(depth)?)),
            quote if closing(quote).is_some() => self.text().map(Value::String),
            _ => self.word(),
        }
    }

    /// Reads an object. One that is not closed ends with the list around it, or with the text.
    fn fields(&mut self, depth: usize) -> Option<Map<String, Value>> {
        self.step();
        let mut fields = Map::new();
        loop {
            self.skip_separators();
            match self.rest.chars().next() {
                Some('}') => {
                    self.step();
                    return Some(fields);
                }
                None | Some(']') => return Some(fields),
                Some(_) => {}
            }
            let name = match self.rest.chars().next() {
                Some(quote) if closing(quote).is_some() => self.text()?,
                _ => match self.name() {
                    Some(name) => name,
                    // What follows is other text.
                    None => return (!fields.is_empty()).then_some(fields),
                },
            };
            self.skip_space();
            self.rest = self.rest.strip_prefix(':')?;
            self.skip_space();
            // The text ended after the name.
            if self.rest.is_empty() {
                return Some(fields);
            }
            fields.insert(name, self.value(depth + 1)?);
        }
    }

    /// Reads a list. One that is not closed ends with the object around it, or with the text.
    fn items(&mut self, depth: usize) -> Option<Vec<Value>> {
        self.step();
        let mut items = Vec::new();
        loop {
            self.skip_separators();
            match self.rest.chars().next() {
                Some(']') => {
                    self.step();
                    return Some(items);
                }
                None | Some('}') => return Some(items),
                // A name that is followed by a value belongs to the object around a list that was not closed.
                Some(_) if !items.is_empty() && self.is_before_name() => return Some(items),
                Some(_) => items.push(self.value(depth + 1)?),
            }
        }
    }

    /// Reads a text in quotes; one that is not closed ends with the text.
    fn text(&mut self) -> Option<String> {
        let quote = self.rest.chars().next()?;
        let ends = closing(quote)?;
        self.step();
        let mut text = String::new();
        while let Some(letter) = self.rest.chars().next() {
            self.step();
            match letter {
                '\\' => self.escape(&mut text),
                letter if ends.contains(letter) && (!matches!(letter, '"' | '\'') || self.ends_text()) => {
                    return Some(text);
                }
                letter => text.push(letter),
            }
        }
        Some(text)
    }

    /// True where a quote that was just read can be the end of a text: what follows is not more of the text.
    fn ends_text(&self) -> bool {
        let rest = self.rest.trim_start();
        rest.is_empty() || rest.starts_with([',', '}', ']', ':', '`']) || Reader { rest }.is_before_name()
    }

    /// True where a name in quotes comes next, with its colon.
    fn is_before_name(&self) -> bool {
        const NAME_MAX: usize = 64;
        let Some(quote) = self.rest.chars().next() else { return false };
        let Some(ends) = closing(quote) else { return false };
        let name = self.rest[quote.len_utf8()..].char_indices().take(NAME_MAX);
        let mut name = name.take_while(|(_, letter)| *letter != '\\');
        let end = name.find(|(_, letter)| ends.contains(*letter));
        let rest = end.map(|(at, letter)| &self.rest[quote.len_utf8() + at + letter.len_utf8()..]);
        rest.is_some_and(|rest| rest.trim_start().starts_with(':'))
    }

    fn escape(&mut self, text: &mut String) {
        let letters = self.rest.find(|letter: char| !letter.is_ascii_alphabetic()).unwrap_or(self.rest.len());
        if LATEX.contains(&&self.rest[..letters]) {
            text.push('\\');
            return;
        }
        let Some(letter) = self.rest.chars().next() else { return };
        let known = match letter {
            '"' | '\\' | '/' => letter,
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'u' => return self.unicode(text),
            _ => return text.push('\\'),
        };
        self.step();
        text.push(known);
    }

    /// Reads `uXXXX`, and a second one where the two make a character.
    fn unicode(&mut self, text: &mut String) {
        let unit = |rest: &str| u16::from_str_radix(rest.strip_prefix('u')?.get(..4)?, 16).ok();
        let Some(first) = unit(self.rest) else { return text.push('\\') };
        self.rest = &self.rest[5..];
        let second = self.rest.strip_prefix('\\').and_then(unit);
        let both = [Some(first), second].into_iter().flatten();
        match char::decode_utf16(both).next() {
            Some(Ok(letter)) => {
                text.push(letter);
                if letter.len_utf16() == 2 {
                    self.rest = &self.rest[6..];
                }
            }
            _ => text.push(char::REPLACEMENT_CHARACTER),
        }
    }

    /// Reads a number, a word of JSON or of Python, or words without quotes.
    fn word(&mut self) -> Option<Value> {
        let is_number = self.rest.starts_with(|letter: char| letter.is_ascii_digit() || letter == '-');
        let ends = |letter: char| {
            let ends_number = !letter.is_ascii_alphanumeric() && !"+-./".contains(letter);
            if is_number { ends_number } else { [',', '}', ']', '\n'].contains(&letter) }
        };
        let end = self.rest.find(ends).unwrap_or(self.rest.len());
        let word = self.rest[..end].trim();
        self.rest = &self.rest[end..];
        Some(match word {
            "" => return None,
            "true" | "True" => Value::Bool(true),
            "false" | "False" => Value::Bool(false),
            "null" | "None" => Value::Null,
            word => serde_json::from_str::<Number>(word).map_or_else(|_| Value::String(word.to_owned()), Value::Number),
        })
    }

    /// Reads a name without quotes.
    fn name(&mut self) -> Option<String> {
        let end = self.rest.find(|letter: char| !letter.is_alphanumeric() && letter != '_')?;
        let name = self.rest[..end].to_owned();
        self.rest = &self.rest[end..];
        (!name.is_empty()).then_some(name)
    }

    fn step(&mut self) {
        let mut letters = self.rest.chars();
        letters.next();
        self.rest = letters.as_str();
    }

    fn skip_space(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn skip_separators(&mut self) {
        self.rest = self.rest.trim_start_matches(|letter: char| letter.is_whitespace() || letter == ',');
    }
}

/// Returns the quotes that close what this one opens; `None` where it opens nothing.
fn closing(quote: char) -> Option<&'static str> {
    match quote {
        '"' => Some("\""),
        '\'' => Some("'"),
        '“' | '”' => Some("”\""),
        '„' => Some("“”\""),
        '‘' => Some("’'"),
        '«' => Some("»"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn object(text: &str) -> Option<Value> {
        super::object(text).map(|(value, _)| value)
    }

    #[test]
    fn what_a_person_can_read_is_read() {
        let whole = json!({"score": 7, "errors": [{"quote": "a", "fix": "b"}], "verdict": "revise"});
        for text in [
            r#"{"score": 7, "errors": [{"quote": "a", "fix": "b",},], "verdict": "revise",}"#,
            r#"{"score": 7, "errors": [{"quote": "a", "fix": "b"}], "verdict": "revise""#,
            r#"{"score": 7, "errors": [{"quote": "a", "fix": "b"], "verdict": "revise"}"#,
            r#"{"score": 7, "errors": [{"quote": "a", "fix": "b"}, "verdict": "revise"}"#,
            r#"{"score": 7 "errors": [{"quote": "a" "fix": "b"}] "verdict": "revise"}"#,
            "{“score”: 7, “errors”: [{“quote”: “a”, “fix”: “b”}], “verdict”: “revise”}",
            "{'score': 7, 'errors': [{'quote': 'a', 'fix': 'b'}], 'verdict': 'revise'}",
            r#"{score: 7, errors: [{quote: "a", fix: "b"}], verdict: revise}"#,
            "{\n\"score\": 7,\n\"errors\": [\n{\"quote\": \"a\", \"fix\": \"b\"}\n],\n\"verdict\": \"revise\n",
        ] {
            let mut read = object(text).unwrap_or_else(|| panic!("{text}"));
            if let Some(Value::String(verdict)) = read.get_mut("verdict") {
                *verdict = verdict.trim().to_owned();
            }
            assert_eq!(read, whole, "{text}");
        }
    }

    #[test]
    fn texts_keep_what_belongs_to_them() {
        for (text, expected) in [
            (r#"{"fix": "\frac{1}{2} \cdot \theta \nabla"}"#, r"\frac{1}{2} \cdot \theta \nabla"),
            (r#"{"fix": "one\ntwo\tthree \"four\" \u00e9 \ud83d\ude00"}"#, "one\ntwo\tthree \"four\" é 😀"),
            ("{\"fix\": \"one\ntwo\"}", "one\ntwo"),
            (r#"{"fix": "he says "stop" to her"}"#, r#"he says "stop" to her"#),
            (r#"{"fix": "\ud83d alone \uzz \"#, "\u{fffd} alone \\uzz "),
            ("{\"fix\": “a \"b\" c”}", "a \"b\" c"),
        ] {
            assert_eq!(object(text).map(|value| value["fix"].clone()), Some(Value::from(expected)), "{text}");
        }
        for text in ["", "fine", "[1]", "{\"a\" 1}", &"{\"a\":".repeat(100)] {
            assert_eq!(object(text), None, "{text}");
        }
    }

    /// Values without control characters, whose escapes LaTeX shares.
    fn values() -> impl Strategy<Value = Value> {
        let text = "[a-z \"\\\\{}:,é。]{0,12}".prop_filter("a command of LaTeX", |text: &String| !text.contains('\\'));
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i32>().prop_map(Value::from),
            text.clone().prop_map(Value::from),
        ];
        let nested = leaf.prop_recursive(4, 24, 4, move |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::btree_map("[a-z]{1,6}", inner, 0..4)
                    .prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        });
        proptest::collection::btree_map("[a-z]{1,6}", nested, 0..5)
            .prop_map(|fields| Value::Object(fields.into_iter().collect()))
    }

    proptest! {
        #[test]
        fn what_is_json_is_read_as_it_is(value in values()) {
            prop_assert_eq!(object(&value.to_string()), Some(value.clone()));
            let pretty = serde_json::to_string_pretty(&value).unwrap();
            prop_assert_eq!(object(&pretty), Some(value));
        }

        #[test]
        fn brackets_that_are_missing_at_the_end_are_closed(value in values()) {
            let whole = value.to_string();
            let open = whole.trim_end_matches(['}', ']']);
            if !open.is_empty() && !open.ends_with(['"', '{', '[']) {
                prop_assert_eq!(object(open), Some(value));
            }
        }

        #[test]
        fn no_text_stops_it(text in "(\\{|\\}|\\[|\\]|\"|'|“|”|\\\\|\\\\u|:|,|[a-z0-9é \n]){0,60}") {
            let _ = object(&text);
            let _ = object(&format!("{{{text}"));
        }
    }
}
