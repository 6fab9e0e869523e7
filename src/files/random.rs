use std::collections::hash_map::RandomState;
use std::fs::File;
use std::hash::{BuildHasher, Hasher};
use std::io::Read;
use std::time::{SystemTime, UNIX_EPOCH};

/// Returns bytes that no other process draws, from the system's random numbers. Where those cannot be read, from the seed of the
/// program's hash tables, the time and the process.
pub fn random_bytes<const COUNT: usize>() -> [u8; COUNT] {
    let mut bytes = [0; COUNT];
    let read = File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut bytes));
    if read.is_err() {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
        for (at, part) in bytes.chunks_mut(8).enumerate() {
            let mut hasher = RandomState::new().build_hasher();
            hasher.write(format!("{at} {now} {}", std::process::id()).as_bytes());
            part.copy_from_slice(&hasher.finish().to_le_bytes()[..part.len()]);
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_draws_differ() {
        let drawn: [[u8; 16]; 2] = [random_bytes(), random_bytes()];
        assert_ne!(drawn[0], drawn[1]);
        assert_ne!(drawn[0], [0; 16]);
    }
}
