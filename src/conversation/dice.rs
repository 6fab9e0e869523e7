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

#[cfg(test)]
mod tests {
    use super::*;

    /// What is drawn decides what is asked: another number would ask again.
    #[test]
    fn the_same_key_draws_the_same_numbers_for_ever() {
        let mut dice = Dice::new("test", b"key");
        assert_eq!((dice.next_bits(), dice.below(1_000), dice.below(0)), (11_566_933_678_402_743_254, 584, 0));
        let (fraction, normal) = (dice.fraction(), dice.normal());
        // The logarithm of another platform may differ in the last digit.
        assert!((fraction - 0.762_905_535_149_350_9).abs() < 1e-15, "{fraction}");
        assert!((normal + 0.567_387_833_388_862_1).abs() < 1e-12, "{normal}");
    }

    #[test]
    fn numbers_are_spread_as_they_should_be() {
        let mut dice = Dice::new("test", b"spread");
        let mean = |numbers: &[f64]| numbers.iter().sum::<f64>() / numbers.len() as f64;
        let even: Vec<f64> = (0..20_000).map(|_| dice.fraction()).collect();
        assert!(even.iter().all(|number| (0.0..1.0).contains(number)) && (mean(&even) - 0.5).abs() < 0.01);
        let normal: Vec<f64> = (0..20_000).map(|_| dice.normal()).collect();
        let squares: Vec<f64> = normal.iter().map(|number| number * number).collect();
        let within_one = normal.iter().filter(|number| number.abs() < 1.0).count() as f64 / 20_000.0;
        assert!(mean(&normal).abs() < 0.02 && (mean(&squares) - 1.0).abs() < 0.04 && (within_one - 0.683).abs() < 0.01);
    }
}
