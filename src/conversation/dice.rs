/// Random numbers that are a function of a hash: the same key gives the same numbers in any run.
///
/// blake3's extendable output (BLAKE3 paper, section 2.6) read eight bytes at a time.
pub struct Dice(blake3::OutputReader);

impl Dice {
    /// Makes a generator for `purpose`, seeded with `key`.
    pub fn new(purpose: &'static str, key: &[u8]) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(b"cohobate dice 1\0").update(purpose.as_bytes()).update(&[0]).update(key);
        Self(hasher.finalize_xof())
    }

    /// Returns the next 64 random bits.
    pub fn next_bits(&mut self) -> u64 {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        u64::from_le_bytes(bytes)
    }

    /// Returns a number below `bound`; 0 where `bound` is 0.
    pub fn below(&mut self, bound: usize) -> usize {
        // The bias of a plain remainder is below 2^-32 for every bound used here.
        (self.next_bits() % (bound.max(1) as u64)) as usize
    }

    /// Returns a number in `[0, 1)`.
    pub fn fraction(&mut self) -> f64 {
        (self.next_bits() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Returns a number with the standard normal distribution (Box and Muller, 1958).
    pub fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.fraction()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.fraction()).cos()
    }
}
