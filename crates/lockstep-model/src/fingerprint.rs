//! Names a change, so that the same one is known again: what a shop has refused stands aside, what differs is made.

use serde::{Deserialize, Serialize};

/// Eight bytes of whatever a change says. The same in every version of this program: it stands in journals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fingerprint(pub u64);

/// Refused changes of one record that are remembered, the latest: more would only ever be tried again.
pub const REFUSED_MAX: usize = 16;

const BASIS: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME: u64 = 0x0000_0100_0000_01b3;

impl Fingerprint {
    /// FNV-1a of these texts, in order.
    pub fn of(texts: &[&str]) -> Self {
        let mut hash = BASIS;
        for text in texts {
            // No text holds this byte: where one ends and the next begins counts.
            for byte in text.bytes().chain([0xff]) {
                hash = (hash ^ u64::from(byte)).wrapping_mul(PRIME);
            }
        }
        Fingerprint(hash)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_same_for_ever_and_another_for_other_texts() {
        assert_eq!(Fingerprint::of(&["a"]), Fingerprint(0x089b_c907_b544_c769));
        assert_ne!(Fingerprint::of(&["ab", "c"]), Fingerprint::of(&["a", "bc"]));
    }
}
