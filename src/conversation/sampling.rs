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
    /// The highest temperature that servers accept.
    pub const TEMPERATURE_MAX: f64 = 2.0;

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

#[cfg(test)]
mod tests {
    use super::*;

    fn full() -> Sampling {
        Sampling { temperature: Some(0.7), top_p: Some(0.9), max_tokens: Some(100), seed: Some(-5) }
    }

    #[test]
    fn what_is_set_is_named_and_the_rest_is_the_servers_own() {
        assert_eq!(full().to_string(), "temperature 0.7, top-p 0.9, max-tokens 100, seed -5");
        assert_eq!(Sampling { top_p: Some(1.0), ..Sampling::default() }.to_string(), "top-p 1");
        assert_eq!(Sampling::default().to_string(), "the server's own");
    }

    #[test]
    fn what_is_not_set_is_taken_from_the_base() {
        assert_eq!(Sampling::default().or(full()), full());
        assert_eq!(full().or(Sampling { temperature: Some(1.0), seed: Some(1), ..Sampling::default() }), full());
    }

    /// Stored answers are found by these bytes.
    #[test]
    fn the_bytes_of_an_identity_stay_as_they_are() {
        let hashed = |sampling: &Sampling| {
            let mut hasher = PartHasher::new("");
            sampling.hash(&mut hasher);
            hasher.finish()
        };
        let whole = |parts: &[&[u8]]| <[u8; 32]>::from(blake3::hash(&[&b"\0"[..], &parts.concat()].concat()));
        let (temperature, top_p) = (0.7f64.to_bits().to_le_bytes(), 0.9f64.to_bits().to_le_bytes());
        let (tokens, seed) = (100u64.to_le_bytes(), (-5i64).to_le_bytes());
        assert_eq!(hashed(&full()), whole(&[&[1], &temperature, &[1], &top_p, &[1], &tokens, &[1], &seed]));
        assert_eq!(hashed(&Sampling::default()), whole(&[&[0, 0, 0, 0]]));
        let zeros = |zero| hashed(&Sampling { temperature: Some(zero), top_p: Some(zero), ..Sampling::default() });
        let zero = 0u64.to_le_bytes();
        assert_eq!(zeros(0.0), whole(&[&[1], &zero, &[1], &zero, &[0, 0]]));
        assert_eq!(zeros(-0.0), zeros(0.0), "the two zeros of IEEE 754 are one");
    }
}
