//! What a refusal of the coordinator means: one total match over its codes.

use crate::bounds;
use lockstep_protocol::Code;
use std::time::Duration;

/// Whether the coordinator lets us work. Pinned customers go on while nobody answers; an answer that
/// refuses stops every write at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    Answers,
    NoAnswer,
    Refuses(Code),
}

/// What a worker with a token does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The token is not good any more; our key may be.
    Renew,
    /// Our token was replaced by a newer one, which is on our disk or lost: the key tells who we are.
    Reload,
    /// A person has to act; ask again now and then.
    Wait(Duration),
    /// What we have is of a database that is gone: ask for everything.
    StartOver,
    /// Its fault, not ours: back off and try again.
    Again,
}

impl Verdict {
    /// 401, 403, 409, 410 and 426 are answers.
    pub fn stops_writes(self) -> bool {
        match self {
            Verdict::Renew | Verdict::Reload | Verdict::Wait(_) | Verdict::StartOver => true,
            Verdict::Again => false,
        }
    }
}

pub fn verdict(code: Code) -> Verdict {
    match code {
        Code::BadToken | Code::BadSignature | Code::ClockSkew | Code::LoginRequired => {
            Verdict::Renew
        }
        Code::Superseded => Verdict::Reload,
        Code::DuplicateInstance => Verdict::Wait(bounds::DUPLICATE_PAUSE),
        Code::Suspended
        | Code::Rejected
        | Code::Forbidden
        | Code::WrongCode
        | Code::Upgrade
        | Code::AuthorizationPending
        | Code::Expired => Verdict::Wait(bounds::REFUSED_PAUSE),
        Code::IncarnationChanged => Verdict::StartOver,
        Code::SlowDown
        | Code::TooManyPending
        | Code::TooManyRequests
        | Code::SegmentConflict
        | Code::SegmentGap
        | Code::OldEpoch
        | Code::OldRevision
        | Code::InvalidSettings
        | Code::BadRequest
        | Code::Locked
        | Code::NotFound
        | Code::Conflict
        | Code::RunGoesOn
        | Code::TooLarge
        | Code::NoWorker
        | Code::AskExpired
        | Code::ShopFailed
        | Code::NotYet
        | Code::Unavailable
        | Code::Internal
        | Code::Unrecognised => Verdict::Again,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_stop_writes_and_troubles_do_not() {
        for code in [
            Code::BadToken,
            Code::Suspended,
            Code::Forbidden,
            Code::DuplicateInstance,
            Code::IncarnationChanged,
            Code::Upgrade,
        ] {
            assert!(verdict(code).stops_writes(), "{code:?}");
        }
        for code in [Code::Unavailable, Code::Internal, Code::TooManyRequests] {
            assert!(!verdict(code).stops_writes(), "{code:?}");
        }
    }
}
