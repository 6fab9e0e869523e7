use std::sync::LazyLock;

use super::kinds::character_at;

/// A writing system, by which the language of answers is distinguished.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Script {
    /// Latin letters.
    Latin,
    /// Chinese characters.
    Han,
    /// Hiragana and katakana, which identify Japanese.
    Kana,
    /// Korean.
    Hangul,
    /// Russian and other Cyrillic languages.
    Cyrillic,
    /// Arabic, Persian, Urdu.
    Arabic,
    /// Hindi and other Devanagari languages.
    Devanagari,
    /// Thai.
    Thai,
    /// Hebrew.
    Hebrew,
    /// Greek.
    Greek,
}

const SCRIPTS: [Script; 10] = [
    Script::Latin,
    Script::Han,
    Script::Kana,
    Script::Hangul,
    Script::Cyrillic,
    Script::Arabic,
    Script::Devanagari,
    Script::Thai,
    Script::Hebrew,
    Script::Greek,
];

/// A Chinese, Japanese or Korean character counts as this many letters.
const LETTERS_PER_IDEOGRAPH: usize = 3;

/// The places in [`Letters`] of the scripts of the basic plane's characters. Each script begins and ends at a multiple of 16.
static SCRIPT_OF: LazyLock<[u8; 1 << 12]> =
    LazyLock::new(|| std::array::from_fn(|block| char::from_u32((block as u32) << 4).map_or(NO_SCRIPT, place_of)));
/// The place of characters of no script.
const NO_SCRIPT: u8 = 10;

/// Returns the place in [`Letters`] of the script of a character that is not ASCII.
fn place_of(character: char) -> u8 {
    let script = match character {
        '\u{c0}'..='\u{24f}' => Script::Latin,
        '\u{370}'..='\u{3ff}' => Script::Greek,
        '\u{400}'..='\u{52f}' => Script::Cyrillic,
        '\u{590}'..='\u{5ff}' => Script::Hebrew,
        '\u{600}'..='\u{77f}' => Script::Arabic,
        '\u{900}'..='\u{97f}' => Script::Devanagari,
        '\u{e00}'..='\u{e7f}' => Script::Thai,
        '\u{3040}'..='\u{30ff}' => Script::Kana,
        '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{20000}'..='\u{2ffff}' => Script::Han,
        '\u{ac00}'..='\u{d7af}' => Script::Hangul,
        _ => return NO_SCRIPT,
    };
    script as u8
}

/// The number of letters of each script in a text.
#[derive(Clone, Copy, Debug, Default)]
pub struct Letters([usize; 10]);

impl Letters {
    /// Counts the letters of a text.
    pub fn of(text: &str) -> Self {
        let mut counts = [0; 10];
        // ASCII letter bytes occur in no multi-byte character, so they are counted bytewise, which vectorises.
        counts[Script::Latin as usize] = text.bytes().filter(u8::is_ascii_alphabetic).count();
        if text.is_ascii() {
            return Self(counts);
        }
        // The last place counts characters of no script.
        let (bytes, scripts, mut all) = (text.as_bytes(), &*SCRIPT_OF, [0; 11]);
        let mut at = 0;
        while let Some(byte) = bytes.get(at) {
            if byte.is_ascii() {
                at += 1;
                continue;
            }
            let Some((value, size)) = character_at(bytes, at) else { break };
            at += size;
            let script = scripts.get(value as usize >> 4).copied();
            let script = script.or_else(|| char::from_u32(value).map(place_of)).unwrap_or(NO_SCRIPT);
            all[usize::from(script).min(10)] += 1;
        }
        counts.iter_mut().zip(all).for_each(|(count, more)| *count += more);
        Self(counts)
    }

    /// Returns the number of letters of `script`.
    pub fn count(&self, script: Script) -> usize {
        self.0[script as usize]
    }

    /// Returns the amount of text in each script, in letters. Chinese characters count as kana in a Japanese text.
    fn weights(&self) -> [usize; 10] {
        let (han, kana) = (self.count(Script::Han), self.count(Script::Kana));
        let is_japanese = kana * 10 > han;
        let mut weights = self.0;
        weights[Script::Han as usize] = if is_japanese { 0 } else { han * LETTERS_PER_IDEOGRAPH };
        weights[Script::Kana as usize] = if is_japanese { (kana + han) * LETTERS_PER_IDEOGRAPH } else { 0 };
        weights[Script::Hangul as usize] *= LETTERS_PER_IDEOGRAPH;
        weights
    }

    /// Returns the amount of text in all scripts, in letters.
    pub fn total(&self) -> usize {
        self.weights().into_iter().sum()
    }

    /// Returns the share of `script` in the text, 0 to 1.
    pub fn share(&self, script: Script) -> f64 {
        self.weights()[script as usize] as f64 / self.total().max(1) as f64
    }

    /// Returns the script with the largest share.
    pub fn dominant(&self) -> Script {
        let weights = self.weights();
        let mut first = Script::Latin;
        for script in SCRIPTS {
            if weights[script as usize] > weights[first as usize] {
                first = script;
            }
        }
        first
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_script_that_says_most_is_dominant() {
        let dominant = |text: &str| Letters::of(text).dominant();
        assert_eq!(dominant("Hello, 世界"), Script::Han);
        assert_eq!(dominant("What does 你 mean?"), Script::Latin);
        assert_eq!(dominant("これは漢字です"), Script::Kana);
        assert_eq!(dominant("Привет"), Script::Cyrillic);
        assert_eq!(dominant("123 + 4"), Script::Latin);
        assert_eq!(Letters::of("123").total(), 0);
    }
}
