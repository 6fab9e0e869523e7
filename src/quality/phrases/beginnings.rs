use super::{listed, spellings};

/// The beginnings of phrases: finds in a text, without an automaton, where one of them may stand. It may find more places, but
/// misses none.
///
/// An automaton looks at one byte after the other, each after the last one; here four bytes are looked up at each place, and no
/// look waits for another.
pub struct Beginnings(Box<[u64; 1 << (BITS - 6)]>);

const BITS: u32 = 16;
/// Bytes that are looked at. A shorter phrase has every byte after it.
const BYTES: usize = 4;
/// Small and capital letters of ASCII differ in these bits. That other bytes lose them too does no harm.
const CASE_BITS: u32 = 0x2020_2020;

impl Beginnings {
    /// Takes the phrases of these sections.
    pub fn of(sections: &[&str]) -> Self {
        let mut seen = Self(Box::new([0; 1 << (BITS - 6)]));
        let phrases = sections.iter().flat_map(|section| listed(section)).flat_map(|(_, phrase)| spellings(phrase));
        for phrase in phrases {
            let bytes = phrase.as_bytes();
            let missing = BYTES.saturating_sub(bytes.len()) as u32;
            for after in 0..1u32 << (8 * missing) {
                let mut gram = after << (8 * (BYTES as u32 - missing)).min(31);
                bytes.iter().take(BYTES).enumerate().for_each(|(at, byte)| gram |= u32::from(*byte) << (8 * at));
                let place = place_of(gram);
                seen.0[place / 64] |= 1 << (place % 64);
            }
        }
        seen
    }

    /// Returns where in a text a phrase may begin, in bytes.
    pub fn places<'a>(&'a self, text: &'a str) -> impl Iterator<Item = usize> + 'a {
        let bytes = text.as_bytes();
        let is_seen = |gram: &[u8]| {
            let place = place_of(u32::from_le_bytes(gram.try_into().expect("four bytes")));
            self.0[place / 64] >> (place % 64) & 1 == 1
        };
        let inner = bytes.windows(BYTES).enumerate().filter(move |(_, gram)| is_seen(gram)).map(|(at, _)| at);
        // A short phrase may end the text.
        inner.chain(bytes.len().saturating_sub(BYTES - 1)..bytes.len())
    }
}

fn place_of(gram: u32) -> usize {
    ((gram | CASE_BITS).wrapping_mul(0x9e37_79b1) >> (u32::BITS - BITS)) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_phrase_is_found_wherever_it_stands() {
        let sections = ["self", "am", "made", "decline", "unable"];
        let beginnings = Beginnings::of(&sections);
        for (_, phrase) in sections.iter().flat_map(|section| listed(section)) {
            for spelling in spellings(phrase).into_iter().chain([phrase.to_ascii_uppercase()]) {
                for text in [format!("да, {spelling} so"), format!("é{spelling}"), spelling.clone()] {
                    let at = text.find(&spelling).unwrap();
                    assert!(beginnings.places(&text).any(|place| place == at), "{text}");
                }
            }
        }
        let text = "The harbor lies in the north of the city, and most of the ships carry timber and grain.";
        assert!(beginnings.places(text).count() <= 6);
    }
}
