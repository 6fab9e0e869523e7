/// Changes between scripts that stand apart in texts.
const CHANGES_MIN: usize = 3;

/// The scripts, apart from the Latin one, whose letters a byte may begin: a bit for each; and one for a sign of ASCII.
const KINDS_OF_BYTE: [u32; 256] = {
    let mut kinds = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        kinds[byte] = match byte {
            0..0x80 if (byte as u8).is_ascii_punctuation() => SIGN,
            0xcd..=0xcf => 1,
            0xd0..=0xd4 => 1 << 1,
            0xd6..=0xd7 => 1 << 2,
            0xd8..=0xdb => 1 << 3,
            // Indian scripts and Thai: which one it is shows in the second byte.
            0xe0 => 1 << 4 | 1 << 5,
            0xe3..=0xe9 => 1 << 6,
            0xea..=0xed => 1 << 7,
            _ => 0,
        };
        byte += 1;
    }
    kinds
};
const SIGN: u32 = 1 << 8;

/// What the last part of a text is made of.
#[derive(Clone, Copy, Debug)]
pub struct MadeOf {
    /// The signs of ASCII.
    pub signs: usize,
    /// A number that its scripts, apart from the Latin one, do not exceed.
    pub scripts_at_most: usize,
}

impl MadeOf {
    /// Looks at a text.
    pub fn of(tail: &str) -> Self {
        let (mut signs, mut all) = (0, 0);
        for byte in tail.bytes() {
            let kind = KINDS_OF_BYTE[usize::from(byte)];
            signs += kind / SIGN;
            all |= kind;
        }
        Self { signs: signs as usize, scripts_at_most: (all & !SIGN).count_ones() as usize }
    }
}

/// Returns where the words begin, in the last part of a text, whose scripts change from one to the next, without a mark between them.
pub fn changing_scripts(tail: &str, made_of: MadeOf) -> Option<usize> {
    if made_of.scripts_at_most < 2 {
        return None;
    }
    let script = |letter: char| match letter {
        'a'..='z' | 'A'..='Z' => Some(0),
        '\u{370}'..='\u{3ff}' => Some(1),
        '\u{400}'..='\u{52f}' => Some(2),
        '\u{590}'..='\u{5ff}' => Some(3),
        '\u{600}'..='\u{6ff}' => Some(4),
        '\u{900}'..='\u{97f}' => Some(5),
        '\u{980}'..='\u{dff}' => Some(6),
        '\u{e00}'..='\u{e7f}' => Some(7),
        '\u{3040}'..='\u{30ff}' | '\u{4e00}'..='\u{9fff}' => Some(8),
        '\u{ac00}'..='\u{d7af}' => Some(9),
        _ => None,
    };
    let (mut last, mut changes, mut first, mut kinds) = (None, 0usize, 0usize, 0u16);
    for (at, letter) in tail.char_indices() {
        match script(letter) {
            Some(kind) => {
                // Latin words stand in every text, and a Chinese one in a Korean text.
                let is_change = last.is_some_and(|last| last != kind && last != 0 && kind != 0 && last + kind != 17);
                if is_change {
                    changes += 1;
                    if changes == 1 {
                        first = at;
                    }
                }
                if is_change || kinds == 0 {
                    kinds |= 1 << kind;
                }
                last = Some(kind);
            }
            None if letter == ' ' => {}
            None => last = None,
        }
    }
    (changes >= CHANGES_MIN && kinds.count_ones() >= 3).then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_that_change_without_a_mark_are_found() {
        let changing = |tail: &str| changing_scripts(tail, MadeOf::of(tail));
        assert_eq!(changing("So бли 的 مرح 한국"), Some(10));
        assert_eq!(changing("Russian привет, Chinese 你好, Arabic مرحبا, Korean 안녕"), None);
        assert_eq!(changing("한국의 漢字 문화와 日本의 문화"), None);
    }
}
