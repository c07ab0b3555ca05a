//! Which certificate a coordinator shows, for a person to compare before it is trusted. Nothing is sent to it: on
//! who is not known to the web's authorities we hang up in the handshake.

use crate::trust::{BadTrust, web_roots};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use sha2::{Digest, Sha256};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(10);

/// What was shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// A certificate that browsers trust too, or plain HTTP.
    Known,
    /// Another; SHA-256 of its DER.
    Unknown([u8; 32]),
}

#[derive(Debug, thiserror::Error)]
pub enum LookError {
    #[error(transparent)]
    Trust(#[from] BadTrust),
    #[error("{0}")]
    Verifier(#[from] rustls::client::VerifierBuilderError),
    #[error("it could not be reached: {0}")]
    NoAnswer(#[from] reqwest::Error),
}

/// Asks this address for its certificate, and for nothing else if that is a stranger's.
pub async fn look(url: &str) -> Result<Shown, LookError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let authorities =
        WebPkiServerVerifier::builder_with_provider(Arc::new(web_roots()), provider.clone())
            .build()?;
    let noting = Arc::new(Noting {
        authorities,
        unknown: Mutex::new(None),
    });
    let tls = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(BadTrust::Tls)?
        .dangerous()
        .with_custom_certificate_verifier(noting.clone())
        .with_no_client_auth();
    let client = reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .redirect(reqwest::redirect::Policy::none())
        .timeout(PATIENCE)
        .build()?;
    let answer = client.head(url).send().await;
    let unknown = *noting.lock();
    match (unknown, answer) {
        (Some(fingerprint), _) => Ok(Shown::Unknown(fingerprint)),
        (None, Ok(_)) => Ok(Shown::Known),
        (None, Err(error)) => Err(error.without_url().into()),
    }
}

/// The authorities' judgement, and a note of what they refused.
#[derive(Debug)]
struct Noting {
    authorities: Arc<WebPkiServerVerifier>,
    unknown: Mutex<Option<[u8; 32]>>,
}

impl Noting {
    fn lock(&self) -> std::sync::MutexGuard<'_, Option<[u8; 32]>> {
        self.unknown.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ServerCertVerifier for Noting {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let judged = self.authorities.verify_server_cert(
            end_entity,
            intermediates,
            server_name,
            ocsp_response,
            now,
        );
        if judged.is_err() {
            *self.lock() = Some(Sha256::digest(end_entity.as_ref()).into());
        }
        judged
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.authorities
            .verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.authorities
            .verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.authorities.supported_verify_schemes()
    }
}
