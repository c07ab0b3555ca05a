//! Small values of bytes or text that cross the wire: keys, signatures, nonces, ids.

use data_encoding::BASE64URL_NOPAD;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};
use sha2::{Digest, Sha256};
use std::fmt;

macro_rules! byte_values {
    ($($(#[$doc:meta])* $name:ident($length:literal)),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash)]
        pub struct $name(pub [u8; $length]);

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&BASE64URL_NOPAD.encode(&self.0))
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                let wrong = || D::Error::custom(concat!("not ", $length, " bytes in base64url"));
                let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).map_err(|_| wrong())?;
                bytes.try_into().map($name).map_err(|_| wrong())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({}…)"), BASE64URL_NOPAD.encode(&self.0[..4]))
            }
        }
    )+};
}

byte_values! {
    /// Ed25519.
    PublicKey(32),
    /// Ed25519.
    Signature(64),
    /// Picked once, used once.
    Nonce(16),
}

impl PublicKey {
    /// What people may compare in full, as SSH shows it: `SHA256:…`.
    pub fn fingerprint(&self) -> String {
        format!("SHA256:{}", BASE64URL_NOPAD.encode(&Sha256::digest(self.0)))
    }
}

/// Names one pending enrolment. Public.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EnrolmentId(pub String);

impl fmt::Display for EnrolmentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a worker that waits shows to prove that it is the one that asked. A secret: 256 random bits.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DeviceCode(pub String);

impl DeviceCode {
    pub fn from_random(bytes: [u8; 32]) -> Self {
        DeviceCode(BASE64URL_NOPAD.encode(&bytes))
    }

    /// What is stored in its place.
    pub fn hash(&self) -> [u8; 32] {
        Sha256::digest(self.0.as_bytes()).into()
    }
}

impl fmt::Debug for DeviceCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DeviceCode(…)")
    }
}

/// The value of the header `Worker-Instance`: which boot of which machine, which data folder, and the
/// how many-th start from it. Same boot and folder with a higher count replaces the earlier process;
/// anything else is a second machine.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct InstanceId {
    pub boot: String,
    pub folder: String,
    pub start: u64,
}

impl fmt::Display for InstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.boot, self.folder, self.start)
    }
}

impl InstanceId {
    /// `None` for anything that [`fmt::Display`] does not print.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(3, '.');
        let label = |part: &str| {
            let sound = !part.is_empty()
                && part.len() <= crate::bounds::LABEL_CHARS_MAX
                && part
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
            sound.then(|| part.to_owned())
        };
        let boot = label(parts.next()?)?;
        let folder = label(parts.next()?)?;
        let start = parts.next()?.parse().ok()?;
        Some(InstanceId {
            boot,
            folder,
            start,
        })
    }

    /// The same data folder on the same boot of the same machine, started again later.
    pub fn succeeds(&self, earlier: &InstanceId) -> bool {
        self.boot == earlier.boot && self.folder == earlier.folder && self.start > earlier.start
    }
}

impl Serialize for InstanceId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for InstanceId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        InstanceId::parse(&text).ok_or_else(|| D::Error::custom("not a worker's instance"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instance_reads_what_it_prints() {
        let instance = InstanceId {
            boot: "b-1".into(),
            folder: "f2".into(),
            start: 7,
        };
        assert_eq!(
            InstanceId::parse(&instance.to_string()),
            Some(instance.clone())
        );
        assert!(
            InstanceId {
                start: 8,
                ..instance.clone()
            }
            .succeeds(&instance)
        );
        assert!(
            !InstanceId {
                boot: "other".into(),
                start: 8,
                ..instance.clone()
            }
            .succeeds(&instance)
        );
        for text in ["", "a", "a.b", "a.b.c", ".b.1", "a.b.-1", "a b.c.1"] {
            assert_eq!(InstanceId::parse(text), None, "{text}");
        }
    }
}
