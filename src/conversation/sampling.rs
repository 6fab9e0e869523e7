use std::fmt;

use super::identity::PartHasher;

/// The parameters that shape an answer. `None` leaves the choice to the server.
///
/// Digest: for each field in this order one presence byte and, where present, eight bytes
/// little-endian (floats as their IEEE 754 bits).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sampling {
    /// Softmax temperature.
    pub temperature: Option<f64>,
    /// Nucleus mass.
    pub top_p: Option<f64>,
    /// Most tokens in the answer, reasoning included.
    pub max_tokens: Option<u32>,
    /// Seed for the server's random numbers; the sample index is added to it.
    pub seed: Option<i64>,
}

impl fmt::Display for Sampling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = ["temperature", "top-p", "max-tokens", "seed"].into_iter();
        let words = names.zip(self.as_words()).filter_map(|(name, value)| Some(format!("{name} {}", value?)));
        let words: Vec<String> = words.collect();
        f.write_str(if words.is_empty() { "the server's own" } else { "" })?;
        f.write_str(&words.join(", "))
    }
}

impl Sampling {
    /// Returns temperature, top-p, max-tokens and seed as text.
    pub fn as_words(&self) -> [Option<String>; 4] {
        [
            self.temperature.map(|value| value.to_string()),
            self.top_p.map(|value| value.to_string()),
            self.max_tokens.map(|value| value.to_string()),
            self.seed.map(|value| value.to_string()),
        ]
    }

    /// Returns these parameters with `base` for those that are not set.
    #[must_use]
    pub fn or(self, base: Sampling) -> Self {
        Self {
            temperature: self.temperature.or(base.temperature),
            top_p: self.top_p.or(base.top_p),
            max_tokens: self.max_tokens.or(base.max_tokens),
            seed: self.seed.or(base.seed),
        }
    }

    pub(super) fn hash(&self, hasher: &mut PartHasher) {
        // `+ 0.0` makes the two zeros of IEEE 754 one.
        let fields = [
            self.temperature.map(|value| (value + 0.0).to_bits()),
            self.top_p.map(|value| (value + 0.0).to_bits()),
            self.max_tokens.map(u64::from),
            self.seed.map(i64::cast_unsigned),
        ];
        for field in fields {
            match field {
                Some(bits) => hasher.raw(&[1]).number(bits),
                None => hasher.raw(&[0]),
            };
        }
    }
}
