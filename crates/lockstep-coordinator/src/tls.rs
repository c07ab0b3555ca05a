//! How the coordinator is reached: TLS by a given certificate, TLS by one that it makes for itself and
//! names by its fingerprint in the join line, or plain HTTP, which is for loopback alone.

use anyhow::{Context, bail};
use data_encoding::HEXUPPER;
use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use sha2::{Digest, Sha256};
use std::{
    fs,
    io::Write,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

/// What was asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Tls {
    /// Plain on loopback, a certificate of its own elsewhere.
    #[default]
    Auto,
    /// Refused off loopback.
    Plain,
    /// Made at the first start and kept in the data folder.
    SelfSigned,
    /// PEM files.
    Given { certificate: PathBuf, key: PathBuf },
}

/// What is served.
pub enum Transport {
    Plain,
    Tls {
        config: Arc<ServerConfig>,
        /// SHA-256 of the certificate; for a self-signed one, what a worker is told to expect.
        fingerprint: String,
        self_signed: bool,
    },
}

impl Transport {
    pub fn scheme(&self) -> &'static str {
        match self {
            Transport::Plain => "http",
            Transport::Tls { .. } => "https",
        }
    }

    pub fn open(
        wanted: &Tls,
        listen: SocketAddr,
        data: &Path,
        names: &[String],
    ) -> anyhow::Result<Self> {
        match wanted {
            Tls::Auto if listen.ip().is_loopback() => Ok(Transport::Plain),
            Tls::Plain if listen.ip().is_loopback() => Ok(Transport::Plain),
            Tls::Plain => bail!(
                "plain HTTP on {listen} is refused: shop credentials would cross the network in clear. Give a \
                 certificate and its key, or let the coordinator make its own, or listen on 127.0.0.1"
            ),
            Tls::Auto | Tls::SelfSigned => own(data, listen, names),
            Tls::Given { certificate, key } => from_files(certificate, key, false),
        }
    }
}

fn own(data: &Path, listen: SocketAddr, names: &[String]) -> anyhow::Result<Transport> {
    let folder = data.join("tls");
    let (certificate, key) = (folder.join("certificate.pem"), folder.join("key.pem"));
    if !certificate.exists() || !key.exists() {
        lockstep_storage::private_folder(&folder)
            .with_context(|| format!("cannot make {}", folder.display()))?;
        let mut names = names.to_vec();
        names.extend([
            "localhost".to_owned(),
            "127.0.0.1".to_owned(),
            "::1".to_owned(),
        ]);
        if !listen.ip().is_unspecified() {
            names.push(listen.ip().to_string());
        }
        names.sort_unstable();
        names.dedup();
        let made = rcgen::generate_simple_self_signed(names)
            .context("cannot make a certificate for these names")?;
        write_private(&key, made.signing_key.serialize_pem().as_bytes())?;
        fs::write(&certificate, made.cert.pem())
            .with_context(|| format!("cannot write {}", certificate.display()))?;
    }
    from_files(&certificate, &key, true)
}

fn from_files(certificate: &Path, key: &Path, self_signed: bool) -> anyhow::Result<Transport> {
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(certificate)
        .with_context(|| format!("cannot read the certificate {}", certificate.display()))?
        .collect::<Result<_, _>>()
        .with_context(|| format!("{} is not a PEM certificate", certificate.display()))?;
    let first = chain
        .first()
        .with_context(|| format!("{} holds no certificate", certificate.display()))?;
    let fingerprint = format!("SHA256:{}", HEXUPPER.encode(&Sha256::digest(first)));
    let key_der = PrivateKeyDer::from_pem_file(key)
        .with_context(|| format!("{} is not a PEM private key", key.display()))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .context("no TLS version in common with ourselves")?
        .with_no_client_auth()
        .with_single_cert(chain, key_der)
        .with_context(|| {
            format!(
                "{} and {} do not belong together",
                certificate.display(),
                key.display()
            )
        })?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Transport::Tls {
        config: Arc::new(config),
        fingerprint,
        self_signed,
    })
}

fn write_private(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    let mut file = options
        .open(path)
        .with_context(|| format!("cannot write {}", path.display()))?;
    file.write_all(bytes)
        .and_then(|()| file.sync_all())
        .with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_off_loopback_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let open = |tls: Tls, listen: &str| {
            Transport::open(&tls, listen.parse().unwrap(), folder.path(), &[])
        };
        assert!(open(Tls::Plain, "0.0.0.0:0").is_err());
        assert!(matches!(
            open(Tls::Plain, "127.0.0.1:0"),
            Ok(Transport::Plain)
        ));
        assert!(matches!(open(Tls::Auto, "[::1]:0"), Ok(Transport::Plain)));
        assert!(matches!(
            open(Tls::Auto, "0.0.0.0:0"),
            Ok(Transport::Tls { .. })
        ));
    }

    #[test]
    fn the_own_certificate_is_made_once_and_its_key_is_ours_alone() {
        let folder = tempfile::tempdir().unwrap();
        let open = || {
            let listen = "127.0.0.1:0".parse().unwrap();
            match Transport::open(
                &Tls::SelfSigned,
                listen,
                folder.path(),
                &["sync.example".into()],
            ) {
                Ok(Transport::Tls { fingerprint, .. }) => fingerprint,
                _ => panic!("no TLS"),
            }
        };
        assert_eq!(open(), open());
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = fs::metadata(folder.path().join("tls/key.pem"))
                .unwrap()
                .permissions()
                .mode();
            assert_eq!(mode & 0o777, 0o600);
        }
    }
}
