//! TLS to the database, with the meanings that libpq gives to `sslmode`.
//!
//! | sslmode | encrypted | the authority signs | the host's name fits |
//! |---|---|---|---|
//! | `allow`, `prefer` | where the server can | if a root certificate is there | not checked |
//! | `require` | yes | if a root certificate is there | not checked |
//! | `verify-ca` | yes | yes | not checked |
//! | `verify-full` | yes | yes | yes |

use std::fs;
use std::future::Future;
use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_platform_verifier::Verifier;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::Socket;
use tokio_postgres::config::SslNegotiation;
use tokio_postgres::tls::{ChannelBinding, MakeTlsConnect, TlsConnect, TlsStream};
use tokio_rustls::{TlsConnector, client};

use super::address::{AddressError, Roots, SslMode, Tls};
use super::binding;

/// Makes TLS connections.
#[derive(Clone)]
pub struct TlsMaker(Arc<ClientConfig>);

/// Prepares connections as an address asks for them. Reads the certificates.
pub fn maker(tls: &Tls) -> Result<TlsMaker, AddressError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let key_provider = provider.key_provider;
    let mut versions = Vec::new();
    versions.extend(tls.allows_1_2.then_some(&rustls::version::TLS12));
    versions.extend(tls.allows_1_3.then_some(&rustls::version::TLS13));
    let unfit = |error: rustls::Error| AddressError {
        message: format!("the TLS settings do not fit: {error}"),
        hint: "check sslcert, sslkey and the protocol versions".to_owned(),
    };
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider)).with_protocol_versions(&versions);
    let builder = builder.map_err(unfit)?.dangerous().with_custom_certificate_verifier(verifier(tls, provider)?);
    let mut config = match client_certificate(tls)? {
        Some((chain, key)) => {
            let key = key_provider.load_private_key(key).map_err(unfit)?;
            // Nothing but the server looks at what is in the certificate: what openssl makes by default is of a version that
            // rustls does not read.
            builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(CertifiedKey::new(chain, key))))
        }
        None => builder.with_no_client_auth(),
    };
    config.enable_sni = tls.sends_name;
    if tls.negotiation == SslNegotiation::Direct {
        config.alpn_protocols = vec![b"postgresql".to_vec()];
    }
    Ok(TlsMaker(Arc::new(config)))
}

fn verifier(tls: &Tls, provider: Arc<CryptoProvider>) -> Result<Arc<dyn ServerCertVerifier>, AddressError> {
    let file = match &tls.roots {
        Roots::System => {
            let error = |error: rustls::Error| AddressError {
                message: format!("the system's root certificates cannot be read: {error}"),
                hint: "name a file of certificates as sslrootcert".to_owned(),
            };
            return Ok(Arc::new(Verifier::new(provider).map_err(error)?));
        }
        Roots::File(path) => Some(path.as_path()),
        Roots::Usual(path) => path.as_deref(),
    };
    let file = file.filter(|file| file.exists());
    let Some(file) = file else {
        if tls.mode < SslMode::VerifyCa {
            return Ok(Arc::new(AnyCertificate(provider)));
        }
        let expected = match &tls.roots {
            Roots::File(path) | Roots::Usual(Some(path)) => path.display().to_string(),
            _ => "of root certificates".to_owned(),
        };
        return Err(AddressError {
            message: format!("the file {expected} does not exist, and sslmode asks for a check of the server"),
            hint: "name the authority's certificate as sslrootcert, or sslrootcert=system for public ones".to_owned(),
        });
    };
    let mut roots = RootCertStore::empty();
    let trusted = certificates(file)?;
    for certificate in &trusted {
        roots.add(certificate.clone()).map_err(|error| unreadable(file, &error))?;
    }
    let inner = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build();
    let inner = inner.map_err(|error| unreadable(file, &error))?;
    Ok(Arc::new(FileOfRoots { inner, trusted, checks_name: tls.mode == SslMode::VerifyFull }))
}

type ClientCertificate = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn client_certificate(tls: &Tls) -> Result<Option<ClientCertificate>, AddressError> {
    let Some((certificate, key)) = &tls.client else { return Ok(None) };
    if !tls.is_client_named && !certificate.exists() {
        return Ok(None);
    }
    let chain = certificates(certificate)?;
    check_permissions(key)?;
    let key = PrivateKeyDer::from_pem_file(key).map_err(|error| unreadable(key, &error))?;
    Ok(Some((chain, key)))
}

/// Refuses a key that others may read. Root's may be read by a group, as libpq allows it.
#[cfg(unix)]
fn check_permissions(key: &Path) -> Result<(), AddressError> {
    use std::os::unix::fs::MetadataExt as _;
    let metadata = fs::metadata(key).map_err(|error| unreadable(key, &error))?;
    let allowed = if metadata.uid() == 0 { 0o640 } else { 0o600 };
    if metadata.mode() & 0o777 & !allowed == 0 {
        return Ok(());
    }
    let message = format!("others may read the key {}", key.display());
    Err(AddressError { message, hint: format!("run chmod 600 {}", key.display()) })
}

#[cfg(not(unix))]
fn check_permissions(key: &Path) -> Result<(), AddressError> {
    fs::metadata(key).map(|_| ()).map_err(|error| unreadable(key, &error))
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, AddressError> {
    let all = CertificateDer::pem_file_iter(file).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    match all {
        Ok(all) if !all.is_empty() => Ok(all),
        Ok(_) => Err(unreadable(file, &"it contains none")),
        Err(error) => Err(unreadable(file, &error)),
    }
}

fn unreadable(file: &Path, error: &dyn std::fmt::Display) -> AddressError {
    AddressError {
        message: format!("no certificate or key can be read from {}: {error}", file.display()),
        hint: "name a file in PEM format that this user may read".to_owned(),
    }
}

/// Accepts any certificate: the connection is encrypted, nobody is proven.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

/// Accepts the certificates of a file, and what they sign.
#[derive(Debug)]
struct FileOfRoots {
    inner: Arc<WebPkiServerVerifier>,
    trusted: Vec<CertificateDer<'static>>,
    checks_name: bool,
}

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

impl ServerCertVerifier for FileOfRoots {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        // A server's certificate that signs itself, as the documentation of PostgreSQL makes it, is an authority's too;
        // WebPKI does not take one for a server's.
        if self.trusted.iter().any(|trusted| trusted == certificate) {
            if self.checks_name {
                verify_server_name(&ParsedCertificate::try_from(certificate)?, name)?;
            }
            return Ok(ServerCertVerified::assertion());
        }
        // The name is checked last: whatever else is wrong is found before it.
        match self.inner.verify_server_cert(certificate, chain, name, response, now) {
            Err(rustls::Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if !self.checks_name => Ok(ServerCertVerified::assertion()),
            verdict => verdict,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

/// A connection to one server, not yet encrypted.
pub struct TlsStart {
    connector: TlsConnector,
    name: ServerName<'static>,
}

/// An encrypted connection.
pub struct Encrypted(client::TlsStream<Socket>);

impl MakeTlsConnect<Socket> for TlsMaker {
    type Stream = Encrypted;
    type TlsConnect = TlsStart;
    type Error = io::Error;

    fn make_tls_connect(&mut self, host: &str) -> io::Result<TlsStart> {
        // A socket has no name, and no TLS.
        let host = if host.is_empty() { "localhost" } else { host };
        let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
        Ok(TlsStart { connector: TlsConnector::from(Arc::clone(&self.0)), name })
    }
}

impl TlsConnect<Socket> for TlsStart {
    type Stream = Encrypted;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Encrypted>> + Send>>;

    fn connect(self, stream: Socket) -> Self::Future {
        Box::pin(async move { Ok(Encrypted(self.connector.connect(self.name, stream).await?)) })
    }
}

impl TlsStream for Encrypted {
    fn channel_binding(&self) -> ChannelBinding {
        let certificate = self.0.get_ref().1.peer_certificates().and_then(|chain| chain.first());
        match certificate.and_then(|certificate| binding::end_point(certificate)) {
            Some(digest) => ChannelBinding::tls_server_end_point(digest),
            None => ChannelBinding::none(),
        }
    }
}

impl AsyncRead for Encrypted {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, into)
    }
}

impl AsyncWrite for Encrypted {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}
