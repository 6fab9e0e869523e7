//! Channel binding `tls-server-end-point` (RFC 5929): the digest of the server's certificate, with the hash function that the
//! certificate is signed with.

use ring::digest::{Algorithm, SHA256, SHA384, SHA512, digest};

/// Object identifiers of signatures, as in a certificate, and the hash functions of channel bindings. SHA-256 takes the place
/// of MD5 and SHA-1. Ed25519 has none, and PSS names its own beside.
const SIGNATURES: [(&[u8], &Algorithm); 8] = [
    (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x04], &SHA256),
    (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x05], &SHA256),
    (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0b], &SHA256),
    (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0c], &SHA384),
    (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0d], &SHA512),
    (&[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02], &SHA256),
    (&[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x03], &SHA384),
    (&[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x04], &SHA512),
];

const SEQUENCE: u8 = 0x30;
const OBJECT_IDENTIFIER: u8 = 0x06;

/// Returns the binding of a certificate in DER; `None` where none is defined for its signature.
pub fn end_point(certificate: &[u8]) -> Option<Vec<u8>> {
    let (inside, _) = element(certificate, SEQUENCE)?;
    let (_, behind_body) = element(inside, SEQUENCE)?;
    let (algorithm, _) = element(behind_body, SEQUENCE)?;
    let (identifier, _) = element(algorithm, OBJECT_IDENTIFIER)?;
    let (_, hash) = SIGNATURES.iter().find(|(known, _)| *known == identifier)?;
    Some(digest(hash, certificate).as_ref().to_vec())
}

/// Reads one element of DER with this tag; returns its content and what follows.
fn element(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&found, rest) = bytes.split_first()?;
    let (&first, mut rest) = rest.split_first()?;
    let mut length = usize::from(first & 0x7f);
    if first & 0x80 != 0 {
        let (digits, behind) = rest.split_at_checked(length)?;
        if digits.len() > 4 {
            return None;
        }
        length = digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit));
        rest = behind;
    }
    if found == tag { rest.split_at_checked(length) } else { None }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject as _;

    use super::*;

    fn certificate() -> Vec<u8> {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/certificates/server.pem");
        CertificateDer::from_pem_file(path).expect("a certificate").to_vec()
    }

    #[test]
    fn a_certificate_is_bound_by_the_hash_of_its_signature() {
        let certificate = certificate();
        let expected = digest(&SHA256, &certificate).as_ref().to_vec();
        assert_eq!(end_point(&certificate), Some(expected), "ecdsa-with-SHA256");
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..60), cut in 0..600usize) {
            let _ = end_point(&bytes);
            let certificate = certificate();
            let cut = cut.min(certificate.len());
            let _ = end_point(&certificate[..cut]);
        }
    }
}
