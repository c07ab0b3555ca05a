//! Sealing at rest: XChaCha20-Poly1305 under one key, which lies in a file of mode 0600 or comes from the
//! environment, never in the database. The place (table, row, column) is bound in, so that a sealed value
//! moved elsewhere does not open.

use crate::{Kind, StorageError};
use chacha20poly1305::{
    KeyInit, XChaCha20Poly1305, XNonce,
    aead::{Aead, Payload},
};
use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};
use std::{
    fmt,
    fs::{self, OpenOptions},
    io::{ErrorKind, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::Path,
};

const VERSION: u8 = 1;
const NONCE_BYTES: usize = 24;

/// The key, ready for use. `Debug` shows its id alone.
#[derive(Clone)]
pub struct Seal {
    cipher: XChaCha20Poly1305,
    id: String,
}

impl fmt::Debug for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Seal({})", self.id)
    }
}

impl Seal {
    pub fn new(key: [u8; 32]) -> Self {
        let mut hash = Sha256::new();
        hash.update(b"lockstep key id 1\n");
        hash.update(key);
        let id = HEXLOWER.encode(&hash.finalize())[..16].to_owned();
        Seal {
            cipher: XChaCha20Poly1305::new(&key.into()),
            id,
        }
    }

    /// 64 hex digits, as `LOCKSTEP_KEY` and the key file hold them.
    pub fn from_hex(text: &str) -> Result<Self, StorageError> {
        let key = HEXLOWER
            .decode(text.trim().to_ascii_lowercase().as_bytes())
            .ok();
        let key: Option<[u8; 32]> = key.and_then(|bytes| bytes.try_into().ok());
        key.map(Seal::new).ok_or_else(|| {
            StorageError::new(Kind::WrongKey, "the key is not 64 hex digits (32 bytes)")
        })
    }

    /// The key in this file; `None` if there is no such file.
    pub fn from_file(path: &Path) -> Result<Option<Self>, StorageError> {
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => {
                let message = format!("the key file {} cannot be read", path.display());
                return Err(StorageError::because(Kind::WrongKey, message, error));
            }
        };
        let failed = |error| {
            let message = format!("the rights of {} cannot be read", path.display());
            StorageError::because(Kind::WrongKey, message, error)
        };
        let mode = fs::metadata(path).map_err(failed)?.permissions().mode();
        if mode & 0o077 != 0 {
            return Err(StorageError::new(
                Kind::WrongKey,
                format!(
                    "{} can be read by others (mode {:o}); run: chmod 600 {}",
                    path.display(),
                    mode & 0o777,
                    path.display()
                ),
            ));
        }
        Seal::from_hex(&text).map(Some)
    }

    /// A new key in a new file, on the disk before it is used.
    pub fn create_file(path: &Path) -> Result<Self, StorageError> {
        let key: [u8; 32] = rand::random();
        let write = || {
            let mut file = OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(path)?;
            file.write_all(HEXLOWER.encode(&key).as_bytes())?;
            file.write_all(b"\n")?;
            file.sync_all()?;
            match path.parent() {
                Some(folder) => fs::File::open(folder)?.sync_all(),
                None => Ok(()),
            }
        };
        write().map_err(|error: std::io::Error| {
            let message = format!("the key file {} cannot be made", path.display());
            StorageError::because(Kind::Unavailable, message, error)
        })?;
        Ok(Seal::new(key))
    }

    /// Tells keys apart without telling anything of them.
    pub fn id(&self) -> &str {
        &self.id
    }

    pub fn seal(&self, place: &str, clear: &[u8]) -> Result<Vec<u8>, StorageError> {
        let nonce: [u8; NONCE_BYTES] = rand::random();
        let payload = Payload {
            msg: clear,
            aad: place.as_bytes(),
        };
        let sealed = self
            .cipher
            .encrypt(&XNonce::from(nonce), payload)
            .map_err(|error| {
                StorageError::because(Kind::Conflict, format!("{place} cannot be sealed"), error)
            })?;
        let mut whole = Vec::with_capacity(1 + NONCE_BYTES + sealed.len());
        whole.push(VERSION);
        whole.extend_from_slice(&nonce);
        whole.extend_from_slice(&sealed);
        Ok(whole)
    }

    pub fn open(&self, place: &str, whole: &[u8]) -> Result<Vec<u8>, StorageError> {
        let cut = || StorageError::new(Kind::Corrupt, format!("{place} is not a sealed value"));
        let (version, rest) = whole.split_first().ok_or_else(cut)?;
        let (nonce, sealed) = rest.split_first_chunk::<NONCE_BYTES>().ok_or_else(cut)?;
        if *version != VERSION {
            return Err(cut());
        }
        let payload = Payload {
            msg: sealed,
            aad: place.as_bytes(),
        };
        self.cipher
            .decrypt(&XNonce::from(*nonce), payload)
            .map_err(|error| {
                let message = format!("{place} was sealed with another key, or changed by hand");
                StorageError::because(Kind::WrongKey, message, error)
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sealed_opens_in_its_place_alone() {
        let seal = Seal::new([7; 32]);
        let sealed = seal.seal("service 1/2", b"token").unwrap();
        assert_eq!(seal.open("service 1/2", &sealed).unwrap(), b"token");
        assert_eq!(
            seal.open("service 1/3", &sealed).unwrap_err().kind,
            Kind::WrongKey
        );
        assert_eq!(
            Seal::new([8; 32])
                .open("service 1/2", &sealed)
                .unwrap_err()
                .kind,
            Kind::WrongKey
        );
        assert_eq!(
            seal.open("service 1/2", &[]).unwrap_err().kind,
            Kind::Corrupt
        );
        assert_eq!(
            seal.open("service 1/2", &sealed[..9]).unwrap_err().kind,
            Kind::Corrupt
        );
    }

    #[test]
    fn the_key_file_is_for_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        assert!(Seal::from_file(&path).unwrap().is_none());
        let made = Seal::create_file(&path).unwrap();
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        assert_eq!(Seal::from_file(&path).unwrap().unwrap().id(), made.id());
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(Seal::from_file(&path).unwrap_err().kind, Kind::WrongKey);
    }

    #[test]
    fn a_key_is_64_hex_digits() {
        assert!(Seal::from_hex(&"0aF9".repeat(16)).is_ok());
        assert!(Seal::from_hex("secret").is_err());
    }
}
