use std::sync::LazyLock;

use serde_json::Value;

/// A question with an answer that is plainly right and one of similar length that is plainly wrong: whether a judge can be
/// trusted shows in what it makes of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownAnswer {
    /// The code of its language.
    pub language: &'static str,
    /// The user's message.
    pub question: String,
    /// The right answer.
    pub right: String,
    /// The wrong one.
    pub wrong: String,
}

/// The questions of each language, a JSON object a line.
const FILES: [(&str, &str); 4] = [
    ("en", include_str!("known_answers/en.jsonl")),
    ("zh", include_str!("known_answers/zh.jsonl")),
    ("de", include_str!("known_answers/de.jsonl")),
    ("es", include_str!("known_answers/es.jsonl")),
];

static ALL: LazyLock<Vec<KnownAnswer>> = LazyLock::new(|| {
    let of_file = |(language, text): &(&'static str, &'static str)| {
        let known = |line: &str| {
            let value: Value = serde_json::from_str(line).ok()?;
            let text = |name: &str| Some(value[name].as_str()?.to_owned());
            Some(KnownAnswer { language, question: text("question")?, right: text("right")?, wrong: text("wrong")? })
        };
        text.lines().filter_map(known).collect::<Vec<_>>()
    };
    FILES.iter().flat_map(of_file).collect()
});

impl KnownAnswer {
    /// Returns all of them, language by language.
    pub fn all() -> &'static [Self] {
        &ALL
    }

    /// Returns the one that asks this question.
    pub fn to(question: &str) -> Option<&'static Self> {
        ALL.iter().find(|known| known.question == question)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_line_is_a_question_with_two_answers_of_similar_length() {
        let all = KnownAnswer::all();
        assert_eq!(all.len(), FILES.iter().map(|(_, text)| text.lines().count()).sum::<usize>());
        assert!(all.len() >= 40);
        for (language, _) in FILES {
            assert!(all.iter().filter(|known| known.language == language).count() >= 10, "{language}");
        }
        let questions: BTreeSet<&str> = all.iter().map(|known| known.question.as_str()).collect();
        assert_eq!(questions.len(), all.len());
        for known in all {
            let [right, wrong] = [&known.right, &known.wrong].map(|answer| answer.chars().count() as f64);
            assert!(known.right != known.wrong && (0.7..=1.4).contains(&(right / wrong)), "{}", known.question);
            assert_eq!(KnownAnswer::to(&known.question), Some(known));
        }
    }
}
