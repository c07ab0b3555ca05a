//! Who this worker is: the key pair that a person approved, and the token that stands for it.

use crate::folder::{Folder, FolderError};
use ed25519_dalek::{Signer, SigningKey};
use jiff::Timestamp;
use lockstep_model::{Incarnation, WorkerId};
use lockstep_protocol::auth::{Bearer, TokenReply};
use lockstep_protocol::{PublicKey, Signature};
use serde::{Deserialize, Serialize};

const KEY: &str = "key";
const TOKEN: &str = "worker.json";

/// The worker's own key. Made once; never leaves the folder.
pub struct Key(SigningKey);

impl Key {
    pub fn load_or_make(folder: &Folder) -> Result<Self, FolderError> {
        let kept = folder.read(KEY)?.and_then(|bytes| bytes.try_into().ok());
        let seed: [u8; 32] = match kept {
            Some(seed) => seed,
            None => {
                let seed: [u8; 32] = rand::random();
                folder.write(KEY, &seed)?;
                seed
            }
        };
        Ok(Key(SigningKey::from_bytes(&seed)))
    }

    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key().to_bytes())
    }

    pub fn sign(&self, message: &[u8]) -> Signature {
        Signature(self.0.sign(message).to_bytes())
    }
}

/// The token and what was said with it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Pass {
    pub worker_id: WorkerId,
    pub token: Bearer,
    pub obtained_at: Timestamp,
    pub expires_at: Timestamp,
    pub incarnation: Incarnation,
    /// The coordinator's clock less ours, milliseconds.
    #[serde(default)]
    pub clock_ahead_ms: i64,
}

impl Pass {
    pub fn of(reply: TokenReply, now: Timestamp) -> Self {
        Pass {
            worker_id: reply.worker_id,
            token: reply.token,
            obtained_at: now,
            expires_at: reply.expires_at,
            incarnation: reply.incarnation,
            clock_ahead_ms: reply
                .server_time
                .as_millisecond()
                .saturating_sub(now.as_millisecond()),
        }
    }

    pub fn load(folder: &Folder) -> Result<Option<Self>, FolderError> {
        folder.read_json(TOKEN)
    }

    pub fn save(&self, folder: &Folder) -> Result<(), FolderError> {
        folder.write_json(TOKEN, self)
    }

    pub fn forget(folder: &Folder) -> Result<(), FolderError> {
        folder.remove(TOKEN)
    }

    /// When 75 % of its life are over, counted by the coordinator's clock.
    pub fn is_due(&self, now: Timestamp) -> bool {
        let ahead = |at: Timestamp| at.as_millisecond().saturating_add(self.clock_ahead_ms);
        let (from, to) = (ahead(self.obtained_at), self.expires_at.as_millisecond());
        let life = to.saturating_sub(from).max(0);
        ahead(now) >= from.saturating_add(life / 4 * 3)
    }

    /// Now, by the coordinator's clock.
    pub fn their_now(&self, now: Timestamp) -> Timestamp {
        let ahead = jiff::SignedDuration::from_millis(self.clock_ahead_ms);
        now.checked_add(ahead).unwrap_or(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ed25519_dalek::{Verifier, VerifyingKey};

    #[test]
    fn the_key_is_made_once_and_signs() {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder::open(place.path()).unwrap();
        let first = Key::load_or_make(&folder).unwrap();
        let again = Key::load_or_make(&folder).unwrap();
        assert_eq!(first.public(), again.public());
        let theirs = VerifyingKey::from_bytes(&first.public().0).unwrap();
        let signature = ed25519_dalek::Signature::from_bytes(&again.sign(b"challenge").0);
        theirs.verify(b"challenge", &signature).unwrap();
    }

    #[test]
    fn a_pass_is_due_after_three_quarters_also_when_the_clocks_differ() {
        let second = |s: i64| Timestamp::from_second(s).unwrap();
        let reply = TokenReply {
            worker_id: WorkerId(1),
            token: Bearer::new("t"),
            expires_at: second(10_000 + 1_000),
            incarnation: Incarnation(1),
            server_time: second(10_000),
        };
        // Our clock is 9,000 s behind.
        let pass = Pass::of(reply, second(1_000));
        assert!(!pass.is_due(second(1_000 + 749)));
        assert!(pass.is_due(second(1_000 + 750)));
        assert_eq!(pass.their_now(second(1_001)), second(10_001));
    }

    #[test]
    fn a_pass_is_kept_with_its_token_and_shown_without() {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder::open(place.path()).unwrap();
        let pass = Pass {
            worker_id: WorkerId(3),
            token: Bearer::new("lsw_3_secret"),
            obtained_at: Timestamp::UNIX_EPOCH,
            expires_at: Timestamp::UNIX_EPOCH,
            incarnation: Incarnation(1),
            clock_ahead_ms: 0,
        };
        pass.save(&folder).unwrap();
        assert_eq!(Pass::load(&folder).unwrap(), Some(pass.clone()));
        assert!(!format!("{pass:?}").contains("secret"));
        Pass::forget(&folder).unwrap();
        assert_eq!(Pass::load(&folder).unwrap(), None);
    }
}
