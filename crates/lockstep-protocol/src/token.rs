//! Bearer tokens: `lsw_<id>_<secret>_<crc>`. The prefix lets a scanner of leaked secrets find them, the
//! check lets a slip of the pen be told from a wrong token without a look into the database.

use data_encoding::BASE32_DNSSEC;
use sha2::{Digest, Sha256};
use std::fmt;

/// Whose token it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TokenKind {
    /// A worker's; the id is its own.
    Worker,
    /// A person's, for scripts and the CLI; the id is the token's row.
    Person,
    /// Confirms an enrolment in a person's place; the id is the token's row.
    Join,
}

impl TokenKind {
    const ALL: [TokenKind; 3] = [TokenKind::Worker, TokenKind::Person, TokenKind::Join];

    fn prefix(self) -> &'static str {
        match self {
            TokenKind::Worker => "lsw",
            TokenKind::Person => "lsp",
            TokenKind::Join => "lsj",
        }
    }
}

/// A token in clear. It exists in the answer that hands it out and in the header that shows it; only its
/// [`TokenHash`] is stored. `Debug` is redacted.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    pub kind: TokenKind,
    pub id: u64,
    secret: [u8; 32],
}

/// SHA-256 of the token's text. 256 random bits need no salt and no slow hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TokenHash(pub [u8; 32]);

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadToken {
    #[error("not a token of Lockstep")]
    Form,
    #[error("the token's check digits are wrong: it was cut or mistyped")]
    Check,
}

impl Token {
    pub fn new(kind: TokenKind, id: u64, secret: [u8; 32]) -> Self {
        Token { kind, id, secret }
    }

    /// The token itself. Each call is a place where it could leak.
    pub fn reveal(&self) -> String {
        let body = self.body();
        let check = crc32fast::hash(body.as_bytes());
        format!("{body}_{check:08x}")
    }

    fn body(&self) -> String {
        format!(
            "{}_{}_{}",
            self.kind.prefix(),
            self.id,
            BASE32_DNSSEC.encode(&self.secret)
        )
    }

    pub fn hash(&self) -> TokenHash {
        TokenHash(Sha256::digest(self.reveal().as_bytes()).into())
    }

    /// Never panics, whatever is given.
    pub fn parse(text: &str) -> Result<Self, BadToken> {
        // The longest there is: 3 + 20 digits + 52 + 8, and three underscores.
        if text.len() > 86 {
            return Err(BadToken::Form);
        }
        let mut parts = text.split('_');
        let mut next = || parts.next().ok_or(BadToken::Form);
        let (prefix, id, secret, check) = (next()?, next()?, next()?, next()?);
        if parts.next().is_some() {
            return Err(BadToken::Form);
        }
        let kind = TokenKind::ALL
            .into_iter()
            .find(|kind| kind.prefix() == prefix)
            .ok_or(BadToken::Form)?;
        let id = id.parse().map_err(|_| BadToken::Form)?;
        let secret = BASE32_DNSSEC
            .decode(secret.as_bytes())
            .map_err(|_| BadToken::Form)?;
        let secret = secret.try_into().map_err(|_| BadToken::Form)?;
        let token = Token { kind, id, secret };
        // Compared as printed, so that one token has one text and one hash.
        if token.reveal() == text {
            return Ok(token);
        }
        Err(if check.len() == 8 {
            BadToken::Check
        } else {
            BadToken::Form
        })
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_{}_…", self.kind.prefix(), self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_token_reads_what_it_prints(kind in 0..3usize, id: u64, secret: [u8; 32]) {
            let token = Token::new(TokenKind::ALL[kind], id, secret);
            prop_assert_eq!(Token::parse(&token.reveal()), Ok(token.clone()));
            prop_assert!(token.reveal().len() <= 86);
        }

        #[test]
        fn one_wrong_character_is_noticed(id: u64, secret: [u8; 32], at: prop::sample::Index, with in "[a-z0-9_]") {
            let text = Token::new(TokenKind::Worker, id, secret).reveal();
            let at = at.index(text.len());
            let mut wrong = text.clone();
            wrong.replace_range(at..=at, &with);
            prop_assume!(wrong != text);
            prop_assert!(Token::parse(&wrong).is_err());
        }

        #[test]
        fn reading_a_token_never_panics(text in "(lsw_)?\\PC{0,100}") {
            let _unpanicked = Token::parse(&text);
        }
    }

    #[test]
    fn debug_keeps_the_secret() {
        let token = Token::new(TokenKind::Worker, 7, [7; 32]);
        assert_eq!(format!("{token:?}"), "lsw_7_…");
    }
}
