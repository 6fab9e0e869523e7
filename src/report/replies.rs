use serde::Serialize;

use super::words::number;
use crate::conversation::{Reading, ReadingResult, ReplyForm};

/// How the replies were read that must have a form: verdicts, grades or goal cards.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct RepliesReport {
    /// Replies that are JSON from their beginning, as a server sends that follows a schema.
    pub json: ReplyCount,
    /// All other replies.
    pub text: ReplyCount,
}

/// Replies of one form.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct ReplyCount {
    /// All of them. A repeated question counts with the first.
    pub replies: u64,
    /// Those that could be read only after the question was repeated.
    pub repaired: u64,
    /// Their share.
    pub repaired_share: f64,
    /// Those that could not be read.
    pub invalid: u64,
    /// Their share.
    pub invalid_share: f64,
}

impl RepliesReport {
    /// Counts a reply.
    pub fn add(&mut self, reading: Reading) {
        let count = match reading.form {
            ReplyForm::Json => &mut self.json,
            ReplyForm::Text => &mut self.text,
        };
        count.replies += 1;
        count.repaired += u64::from(reading.result == ReadingResult::Repaired);
        count.invalid += u64::from(reading.result == ReadingResult::Invalid);
        count.repaired_share = count.repaired as f64 / count.replies as f64;
        count.invalid_share = count.invalid as f64 / count.replies as f64;
    }

    /// Returns it in words: `40 as JSON (0.0 % repaired, 0.0 % invalid), 2 as text (…)`; empty without a reply.
    pub fn words(&self) -> String {
        let forms = [(self.json, "JSON"), (self.text, "text")].into_iter().filter(|(count, _)| count.replies > 0);
        let words = forms.map(|(count, form)| {
            let (repaired, invalid) = (count.repaired_share * 100.0, count.invalid_share * 100.0);
            format!("{} as {form} ({repaired:.1} % repaired, {invalid:.1} % invalid)", number(count.replies))
        });
        words.collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_has_its_shares() {
        let mut report = RepliesReport::default();
        assert_eq!(report.words(), "");
        for (form, result) in [
            (ReplyForm::Json, ReadingResult::Valid),
            (ReplyForm::Json, ReadingResult::Repaired),
            (ReplyForm::Text, ReadingResult::Invalid),
        ] {
            report.add(Reading { form, result });
        }
        assert_eq!((report.json.replies, report.json.repaired, report.json.invalid), (2, 1, 0));
        let words = "2 as JSON (50.0 % repaired, 0.0 % invalid), 1 as text (0.0 % repaired, 100.0 % invalid)";
        assert_eq!(report.words(), words);
    }
}
