/// Pairs of letters that are looked at, from the end, and the share of rare ones. In good texts it is at most a tenth.
const PAIRS: [usize; 3] = [24, 48, 72];
const RARE_LATIN_MIN: f64 = 0.16;
const RARE_CYRILLIC_MIN: f64 = 0.3;
/// Different rare pairs. One word that comes again (`sqrt`) is no garbage.
const RARE_DIFFERENT_MIN: usize = 5;

/// The pairs of small letters that occur at least once in ten thousand in one of nine languages: for each first letter, a bit for
/// each second one.
const LATIN: [u32; 26] = [
    0x03ff_ffef,
    0x011e_7fb3,
    0x031e_4f95,
    0x035e_fd5f,
    0x03ff_ffff,
    0x035e_6bfb,
    0x013e_6ddb,
    0x013e_7f15,
    0x02ff_ffff,
    0x0274_7f79,
    0x025e_ef57,
    0x037d_ffff,
    0x011c_fd1b,
    0x037f_ffff,
    0x03fe_ffff,
    0x031e_fdfd,
    0x0010_0000,
    0x037f_fdff,
    0x037f_ffff,
    0x037e_ffff,
    0x03fe_ffff,
    0x0032_4115,
    0x031e_e59d,
    0x0018_c115,
    0x025e_ff7f,
    0x035f_fddf,
];
/// The same for the letters а to я in Russian.
const CYRILLIC: [u32; 32] = [
    0xc3f7_bffe,
    0x8e6b_6da1,
    0x880f_7d25,
    0x0009_5931,
    0x880b_fd35,
    0x43e7_fefe,
    0x0000_7531,
    0x0809_7d35,
    0xc1f7_ffff,
    0x0006_2c10,
    0x004f_6965,
    0xd888_6d63,
    0x8808_f525,
    0xd85e_653d,
    0xa3ef_fffe,
    0x0009_6d21,
    0x982e_756d,
    0x99ef_fd25,
    0x980b_f535,
    0x4287_befc,
    0x001d_4921,
    0x0001_6100,
    0x0808_4125,
    0x0004_6521,
    0x000d_0121,
    0x1008_0121,
    0x0000_0020,
    0x01a7_9eb6,
    0x4106_3480,
    0x0014_0c00,
    0x0284_0002,
    0x42e4_30b4,
];

/// Returns where the letters begin that no language puts together, up to the end of a text.
pub fn rare_letters(tail: &str) -> Option<usize> {
    let latin = tail
        .bytes()
        .enumerate()
        .rev()
        .map(|(at, byte)| (at, byte.is_ascii_lowercase().then(|| usize::from(byte - b'a'))));
    // Fewer letters make no pairs that are looked at.
    let has_letters = tail.bytes().filter(u8::is_ascii_lowercase).count() > PAIRS[0];
    if has_letters
        && rare_latin_pairs(tail.as_bytes()) >= RARE_DIFFERENT_MIN
        && let Some(at) = rare_pairs(latin, &LATIN, RARE_LATIN_MIN)
    {
        return tail.is_char_boundary(at).then_some(at);
    }
    memchr::memchr2(0xd0, 0xd1, tail.as_bytes())?;
    let number = |letter: char| ('а'..='я').contains(&letter).then(|| letter as usize - 'а' as usize);
    let cyrillic = tail.char_indices().rev().map(|(at, letter)| (at, number(letter)));
    rare_pairs(cyrillic, &CYRILLIC, RARE_CYRILLIC_MIN)
}

/// The number of each small letter of ASCII, and one for all other bytes.
const PLACES: [u8; 256] = {
    let mut places = [OTHER; 256];
    let mut letter = b'a';
    while letter <= b'z' {
        places[letter as usize] = letter - b'a';
        letter += 1;
    }
    places
};
const OTHER: u8 = 26;
/// The pairs of small letters that are not rare. Those with another byte do not count either.
const NOT_RARE: [u32; 27] = {
    let mut rows = [u32::MAX; 27];
    let mut row = 0;
    while row < LATIN.len() {
        rows[row] = LATIN[row] | 1 << OTHER;
        row += 1;
    }
    rows
};

/// Returns how many pairs of small letters are rare. Most texts have few.
fn rare_latin_pairs(bytes: &[u8]) -> usize {
    let mut rare = 0;
    let mut this = OTHER;
    for byte in bytes {
        let next = PLACES[usize::from(*byte)];
        rare += !(NOT_RARE[usize::from(this)] >> next) & 1;
        this = next;
    }
    rare as usize
}

/// Looks at pairs of letters, given by their numbers in an alphabet, from the end.
fn rare_pairs(letters: impl Iterator<Item = (usize, Option<usize>)>, table: &[u32], least: f64) -> Option<usize> {
    let (mut pairs, mut rare, mut next, mut different) = (0usize, 0usize, None, Vec::new());
    for (at, this) in letters {
        if let (Some(this), Some(next)) = (this, next) {
            let row: u32 = table[this];
            pairs += 1;
            if row >> next & 1 == 0 {
                rare += 1;
                if !different.contains(&(this, next)) {
                    different.push((this, next));
                }
            }
            if PAIRS.contains(&pairs) {
                if different.len() >= RARE_DIFFERENT_MIN && rare as f64 >= least * pairs as f64 {
                    return Some(at);
                }
                if pairs == PAIRS[PAIRS.len() - 1] {
                    return None;
                }
            }
        }
        next = this;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_of_no_language_are_told_from_words() {
        for text in [
            "The harbor lies in the north of the city, and most of the ships that come here carry timber.",
            "Szczebrzeszyn, chrząszcz brzmi w trzcinie, a większość statków przywozi drewno i zboże.",
            "Гавань расположена на севере города, и большинство кораблей привозят сюда лес и зерно.",
            "sqrt(3) + sqrt(5) = sqrt(8) + sqrt(7) - sqrt(2) * sqrt(26) / sqrt(41)",
            "",
        ] {
            assert_eq!(rare_letters(text), None, "{text}");
        }
        assert!(rare_letters("So. qzxvkj wpqlfzx vjkqzxw bqxjvz kwqxzpv").is_some());
        assert!(rare_letters("Так. щъжфыцх йцщзъхэ ждщшгнъ фыщвпъ ъэжщц").is_some());
    }
}
