use std::fmt;

use super::answer_tokens::AnswerTokens;

/// What a request asks for beside the answer's text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TokenDetail {
    /// The ids of prompt and answer.
    Ids,
    /// The ids, and this many log-probabilities at each place; at least 1.
    Logprobs(u8),
}

impl TokenDetail {
    /// The field of a fingerprint for ids.
    pub const IDS: &'static str = "token-ids";
    /// The field of a fingerprint for log-probabilities.
    pub const LOGPROBS: &'static str = "logprobs";

    /// Returns the fields that an identity holds, by name.
    pub fn named(self) -> Vec<(&'static str, String)> {
        let mut named = vec![(Self::IDS, "true".to_owned())];
        if let Self::Logprobs(count) = self {
            named.push((Self::LOGPROBS, count.to_string()));
        }
        named
    }

    /// Reads what [`TokenDetail::named`] writes, from the values of the two fields.
    pub fn from_named(ids: Option<&str>, logprobs: Option<&str>) -> Option<Self> {
        match logprobs.map(str::parse) {
            Some(Ok(count @ 1..)) => Some(Self::Logprobs(count)),
            _ => (ids == Some("true")).then_some(Self::Ids),
        }
    }

    /// True where an answer's tokens have all of this.
    pub fn is_in(self, tokens: &AnswerTokens) -> bool {
        self.logprobs().is_none() || tokens.logprobs.is_some()
    }

    /// Returns the number of log-probabilities at each place.
    pub fn logprobs(self) -> Option<u8> {
        match self {
            Self::Ids => None,
            Self::Logprobs(count) => Some(count),
        }
    }
}

impl fmt::Display for TokenDetail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ids => f.write_str("token ids"),
            Self::Logprobs(count) => write!(f, "token ids, {count} logprobs"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Stored settings and fingerprints hold these words.
    #[test]
    fn details_keep_their_names_and_their_order() {
        let words = |detail: TokenDetail| {
            let named = detail.named();
            let value = |name: &str| named.iter().find(|(own, _)| *own == name).map(|(_, value)| value.clone());
            assert_eq!(
                TokenDetail::from_named(value("token-ids").as_deref(), value("logprobs").as_deref()),
                Some(detail)
            );
            named.into_iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(words(TokenDetail::Ids), "token-ids=true");
        assert_eq!(words(TokenDetail::Logprobs(5)), "token-ids=true logprobs=5");
        assert!(TokenDetail::Ids < TokenDetail::Logprobs(1) && TokenDetail::Logprobs(1) < TokenDetail::Logprobs(5));
        assert_eq!(TokenDetail::from_named(None, None), None);
        assert_eq!(TokenDetail::from_named(None, Some("0")), None);
        assert_eq!((TokenDetail::Ids.logprobs(), TokenDetail::Logprobs(3).logprobs()), (None, Some(3)));
        assert_eq!(TokenDetail::Logprobs(3).to_string(), "token ids, 3 logprobs");
    }
}
