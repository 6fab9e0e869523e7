use memchr::memmem::Finder;

use super::{listed, spellings};

/// The beginnings of phrases: finds in a text, without an automaton, where one of them may stand. It may find more places, but
/// misses none.
///
/// An automaton looks at one byte after the other, each after the last one; here four bytes are looked up at each second place,
/// and no look waits for another.
pub struct Beginnings {
    seen: Box<[u64; 1 << (BITS - 6)]>,
    /// Phrases that are too short to be looked up.
    short: Vec<Finder<'static>>,
}

const BITS: u32 = 16;
/// Bytes that are looked up.
const BYTES: usize = 4;
/// Small and capital letters of ASCII differ in these bits. That other bytes lose them too does no harm.
const CASE_BITS: u32 = 0x2020_2020;

impl Beginnings {
    /// Takes the phrases of these sections.
    pub fn of(sections: &[&str]) -> Self {
        let mut beginnings = Self { seen: Box::new([0; 1 << (BITS - 6)]), short: Vec::new() };
        let phrases = sections.iter().flat_map(|section| listed(section)).flat_map(|(_, phrase)| spellings(phrase));
        for phrase in phrases {
            let bytes = phrase.as_bytes();
            if bytes.len() < BYTES {
                // They are found as they are written: none has a letter of ASCII.
                beginnings.short.push(Finder::new(bytes).into_owned());
                continue;
            }
            // A phrase begins at a place that is looked up, or right before one.
            beginnings.take([bytes[0], bytes[1], bytes[2], bytes[3]]);
            match bytes.get(BYTES) {
                Some(fifth) => beginnings.take([bytes[1], bytes[2], bytes[3], *fifth]),
                None => (0..=u8::MAX).for_each(|after| beginnings.take([bytes[1], bytes[2], bytes[3], after])),
            }
        }
        beginnings
    }

    fn take(&mut self, gram: [u8; BYTES]) {
        let place = place_of(u32::from_le_bytes(gram));
        self.seen[place / 64] |= 1 << (place % 64);
    }

    /// Passes the places in a text where a phrase may begin, in bytes and in no order, and returns the first thing that is found
    /// at one. A loop that calls is several times as fast as an iterator here.
    pub fn find_map<T>(&self, text: &str, mut look: impl FnMut(usize) -> Option<T>) -> Option<T> {
        let bytes = text.as_bytes();
        for from in [0, BYTES / 2] {
            let (grams, _) = bytes.get(from..).unwrap_or_default().as_chunks::<BYTES>();
            for (at, gram) in grams.iter().enumerate() {
                let place = place_of(u32::from_le_bytes(*gram));
                if self.seen[place / 64] >> (place % 64) & 1 == 1 {
                    let at = from + BYTES * at;
                    let found = if at > 0 { look(at - 1) } else { None }.or_else(|| look(at));
                    if found.is_some() {
                        return found;
                    }
                }
            }
        }
        // Four bytes at the end are not looked up where they begin at an odd place.
        let end = bytes.len().checked_sub(BYTES).filter(|end| end % 2 == 1);
        let found = end.and_then(&mut look);
        found.or_else(|| self.short.iter().flat_map(|short| short.find_iter(bytes)).find_map(look))
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
        let places = |beginnings: &Beginnings, text: &str| {
            let mut places = Vec::new();
            beginnings.find_map(text, |at| -> Option<()> {
                places.push(at);
                None
            });
            places
        };
        let sections = ["self", "am", "made", "decline", "unable"];
        let beginnings = Beginnings::of(&sections);
        for (_, phrase) in sections.iter().flat_map(|section| listed(section)) {
            for spelling in spellings(phrase).into_iter().chain([phrase.to_ascii_uppercase()]) {
                for text in
                    [format!("да, {spelling} so"), format!("é{spelling}"), format!("a{spelling}"), spelling.clone()]
                {
                    let at = text.find(&spelling).unwrap();
                    assert!(places(&beginnings, &text).contains(&at), "{text}");
                }
            }
        }
        let text = "The harbor lies in the north of the city, and most of the ships carry timber and grain.";
        assert!(places(&beginnings, text).len() <= 12);
    }
}
