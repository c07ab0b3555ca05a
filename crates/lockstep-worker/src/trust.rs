//! Whom we believe to be who they say: the web's authorities, an authority of one's own, or one
//! certificate by its fingerprint.

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
};
use sha2::{Digest, Sha256};
use std::sync::Arc;

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Trust {
    /// The authorities that browsers trust.
    #[default]
    Web,
    /// These authorities beside them; PEM.
    WebAnd(Vec<u8>),
    /// This certificate alone, self-signed or not, whatever it says of itself: SHA-256 of its DER.
    Pinned([u8; 32]),
}

#[derive(Debug, thiserror::Error)]
pub enum BadTrust {
    #[error(
        "\"{0}\" is not a fingerprint: 64 hexadecimal digits, with or without \"sha256:\" and colons"
    )]
    Fingerprint(String),
    #[error("the file of authorities is not PEM")]
    Pem(#[source] rustls::pki_types::pem::Error),
    #[error("the file of authorities holds no certificate")]
    NoCertificate,
    #[error("the TLS library refuses: {0}")]
    Tls(#[from] rustls::Error),
}

impl Trust {
    /// `sha256:ab12…`, `AB:12:…` or bare digits.
    pub fn pinned(text: &str) -> Result<Self, BadTrust> {
        let digits: String = text
            .trim()
            .to_ascii_lowercase()
            .trim_start_matches("sha256:")
            .chars()
            .filter(|c| *c != ':')
            .collect();
        data_encoding::HEXLOWER
            .decode(digits.as_bytes())
            .ok()
            .and_then(|bytes| bytes.try_into().ok())
            .map(Trust::Pinned)
            .ok_or_else(|| BadTrust::Fingerprint(text.chars().take(100).collect()))
    }

    /// As coordinators print it, and [`Trust::pinned`] reads it.
    pub fn fingerprint_text(fingerprint: &[u8; 32]) -> String {
        format!("SHA256:{}", data_encoding::HEXUPPER.encode(fingerprint))
    }

    pub fn client_config(&self) -> Result<ClientConfig, BadTrust> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()?;
        let config = match self {
            Trust::Web => builder.with_root_certificates(web_roots()),
            Trust::WebAnd(pem) => {
                let mut roots = web_roots();
                let mut added = 0;
                for certificate in CertificateDer::pem_slice_iter(pem) {
                    roots.add(certificate.map_err(BadTrust::Pem)?)?;
                    added += 1;
                }
                if added == 0 {
                    return Err(BadTrust::NoCertificate);
                }
                builder.with_root_certificates(roots)
            }
            Trust::Pinned(fingerprint) => {
                builder
                    .dangerous()
                    .with_custom_certificate_verifier(Arc::new(OneCertificate {
                        fingerprint: *fingerprint,
                        provider,
                    }))
            }
        };
        Ok(config.with_no_client_auth())
    }
}

pub(crate) fn web_roots() -> RootCertStore {
    RootCertStore {
        roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
    }
}

/// Believes one certificate; that the peer holds its key is proven by the handshake's signature.
#[derive(Debug)]
struct OneCertificate {
    fingerprint: [u8; 32],
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for OneCertificate {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let theirs: [u8; 32] = Sha256::digest(end_entity.as_ref()).into();
        if theirs == self.fingerprint {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(rustls::Error::InvalidCertificate(
                CertificateError::ApplicationVerificationFailure,
            ))
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_read_as_people_paste_it() {
        let digits = "ab".repeat(32);
        let colons = vec!["AB"; 32].join(":");
        for text in [
            digits.clone(),
            format!("sha256:{digits}"),
            format!(" {colons} "),
        ] {
            assert_eq!(
                Trust::pinned(&text).unwrap(),
                Trust::Pinned([0xab; 32]),
                "{text}"
            );
        }
        let printed = Trust::fingerprint_text(&[0xab; 32]);
        assert_eq!(Trust::pinned(&printed).unwrap(), Trust::Pinned([0xab; 32]));
        for text in ["", "ab", "sha256:zz"] {
            assert!(Trust::pinned(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_file_without_a_certificate_is_refused() {
        assert!(Trust::WebAnd(b"nothing".to_vec()).client_config().is_err());
        assert!(Trust::Web.client_config().is_ok());
    }
}
