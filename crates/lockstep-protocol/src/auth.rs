//! Enrolment and tokens: `/auth`, `/auth/token`, `/auth/renew`.
//!
//! ```text
//!  worker                              coordinator                       person
//!    │ /auth {public key, name, facts}      │                               │
//!    │ ───────────────────────────────────► │ pending row, 15 minutes       │
//!    │ ◄─ 401 {enrolment, nonce, code} ──── │                               │
//!    │ shows BCDF-GHJK                      │ shows BCDF-GHJK ────────────► │ compares
//!    │ /auth/token {signed} ──► 401 … 401   │ ◄──── confirm (enrolment, code)│
//!    │ /auth/token {signed} ──────────────► │ token, once                   │
//! ```
//! A worker that lost its id and its token but not its key says `/auth` as any other. The key is approved
//! already: nobody is asked, and `known` says so. What it signs then, over the coordinator's nonce, proves the
//! key and names its instance:
//! ```text
//!    │ /auth {public key, …}                │
//!    │ ◄─ 401 {enrolment, nonce, known} ─── │ for one use, 15 minutes; nothing is shown to people
//!    │ /auth/token {signed, instance} ────► │ its id and a token in place of the old one
//! ```

use crate::{DeviceCode, EnrolmentId, InstanceId, Nonce, PublicKey, Signature, UserCode};
use jiff::Timestamp;
use lockstep_model::{
    Incarnation, WorkerId,
    settings::{OnWire, Secret},
};
use serde::{Deserialize, Serialize, Serializer};
use std::collections::BTreeMap;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AuthRequest {
    /// A label that people gave; it proves nothing.
    pub name: String,
    pub public_key: PublicKey,
    pub build: String,
    /// The protocol versions that the worker speaks: from, to.
    pub protocol: [u16; 2],
    /// The connectors that it has.
    pub platforms: Vec<String>,
    #[serde(default)]
    pub facts: Facts,
    /// Confirms in a person's place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub join_token: Option<Bearer>,
}

/// What a worker says of its machine. The worker chose it: it helps people, it proves nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Facts {
    pub host: String,
    pub os: String,
    pub arch: String,
    #[serde(flatten)]
    pub other: BTreeMap<String, String>,
}

/// A token's text in a message. Shows itself to nobody but the wire.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Bearer(pub Secret);

impl Bearer {
    pub fn new(text: impl Into<String>) -> Self {
        Bearer(Secret::new(text))
    }

    pub fn reveal(&self) -> &str {
        self.0.reveal()
    }
}

impl Serialize for Bearer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.reveal())
    }
}

/// In the problem `authorization_pending` that answers `/auth`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Pending {
    pub enrolment: EnrolmentId,
    pub device_code: DeviceCode,
    /// The worker computes it itself and shows its own: [`UserCode::new`].
    pub user_code: UserCode,
    pub nonce: Nonce,
    /// Seconds between two `/auth/token`.
    pub interval: u64,
    /// Seconds until the enrolment is forgotten.
    pub expires_in: u64,
    /// The key is approved already: no person is waited for, `/auth/token` may be asked at once and must name the
    /// instance.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub known: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TokenRequest {
    pub enrolment: EnrolmentId,
    pub device_code: DeviceCode,
    /// The worker's own, fresh.
    pub nonce: Nonce,
    /// Of a worker whose key was known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<InstanceId>,
    /// Over [`token_challenge`], or with `instance` over [`return_challenge`].
    pub signature: Signature,
}

/// Sent once, in a body with `Cache-Control: no-store`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TokenReply {
    pub worker_id: WorkerId,
    pub token: Bearer,
    pub expires_at: Timestamp,
    pub incarnation: Incarnation,
    pub server_time: Timestamp,
}

/// For a worker whose token nears its end or is void: the key is what was approved.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RenewRequest {
    pub worker_id: WorkerId,
    pub instance: InstanceId,
    pub nonce: Nonce,
    /// The worker's clock, set right by `server_time` of earlier answers.
    pub signed_at: Timestamp,
    /// Over [`renew_challenge`].
    pub signature: Signature,
}

/// The bytes that `/auth/token` signs. `nonce` is the coordinator's, `own_nonce` the worker's.
pub fn token_challenge(
    enrolment: &EnrolmentId,
    nonce: &Nonce,
    own_nonce: &Nonce,
    device_code: &DeviceCode,
) -> Vec<u8> {
    challenge(
        "lockstep auth token 1",
        &[
            enrolment.0.as_bytes(),
            &nonce.0,
            &own_nonce.0,
            &device_code.hash(),
        ],
    )
}

/// The bytes that `/auth/token` signs if the key was known.
pub fn return_challenge(
    enrolment: &EnrolmentId,
    nonce: &Nonce,
    own_nonce: &Nonce,
    device_code: &DeviceCode,
    instance: &InstanceId,
) -> Vec<u8> {
    challenge(
        "lockstep auth return 1",
        &[
            enrolment.0.as_bytes(),
            &nonce.0,
            &own_nonce.0,
            &device_code.hash(),
            instance.to_string().as_bytes(),
        ],
    )
}

/// The bytes that `/auth/renew` signs.
pub fn renew_challenge(
    worker: WorkerId,
    instance: &InstanceId,
    nonce: &Nonce,
    signed_at: Timestamp,
) -> Vec<u8> {
    challenge(
        "lockstep auth renew 1",
        &[
            &worker.0.to_be_bytes(),
            instance.to_string().as_bytes(),
            &nonce.0,
            &signed_at.as_millisecond().to_be_bytes(),
        ],
    )
}

/// Each part with its length, so that no two lists of parts give the same bytes.
fn challenge(purpose: &str, parts: &[&[u8]]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for part in std::iter::once(&purpose.as_bytes()).chain(parts) {
        bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
        bytes.extend_from_slice(part);
    }
    bytes
}

/// A refreshed credential of a shop (an OAuth token, say): compare-and-set on the generation.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct CredentialsUpdate {
    pub generation: u64,
    pub credentials: OnWire<lockstep_model::settings::Credentials>,
}

impl Serialize for CredentialsUpdate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct;
        let mut fields = serializer.serialize_struct("CredentialsUpdate", 2)?;
        fields.serialize_field("generation", &self.generation)?;
        fields.serialize_field("credentials", &self.credentials)?;
        fields.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_challenges_never_share_their_bytes() {
        let id = |text: &str| EnrolmentId(text.into());
        let nonce = Nonce([1; 16]);
        let code = DeviceCode("x".into());
        assert_ne!(
            token_challenge(&id("a"), &nonce, &nonce, &code),
            token_challenge(&id("ab"), &nonce, &nonce, &code)
        );
        assert_ne!(
            challenge("p", &[b"a", b"bc"]),
            challenge("p", &[b"ab", b"c"])
        );
    }

    #[test]
    fn the_join_token_reaches_the_wire_and_not_the_log() {
        let bearer = Bearer::new("lsj_1_x_y");
        assert_eq!(serde_json::to_string(&bearer).unwrap(), "\"lsj_1_x_y\"");
        assert!(!format!("{bearer:?}").contains("lsj"));
    }
}
