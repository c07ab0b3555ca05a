//! What a call without a reply means: by what it would have done, and whether a byte of it had left.
//!
//! ```text
//!                        a read                  a write
//! no byte left           Unavailable             Unavailable
//! reply lost, broken     Unavailable             UnknownOutcome
//! no reply in time       Timeout                 UnknownOutcome
//! reply too large        Protocol                Protocol
//! ```

use super::reach::AddressRefused;
use lockstep_connector::Effect;
use lockstep_model::{Fault, FaultKind};
use std::error::Error;

/// `name`: what people call the shop.
pub fn without_reply(name: &str, effect: Effect, error: &reqwest::Error) -> Fault {
    if let Some(refused) = cause::<AddressRefused>(error) {
        let field = Some("url".to_owned());
        return Fault::new(FaultKind::Invalid { field }, format!("{name}: {refused}"));
    }
    // A fault of our own: the stream that we sent broke.
    let own = cause::<Fault>(error).map(|fault| format!(" ({})", fault.message));
    if error.is_connect() || error.is_builder() {
        let message = format!(
            "{name} cannot be reached: {}; nothing was sent, it is tried again",
            reason(error)
        );
        return Fault::new(FaultKind::Unavailable, message);
    }
    let own = own.unwrap_or_default();
    let (kind, what) = match effect {
        Effect::Read if error.is_timeout() => (
            FaultKind::Timeout,
            format!("{name} did not answer in time; it is asked again"),
        ),
        Effect::Read => (
            FaultKind::Unavailable,
            format!("{name} broke off its answer{own}; it is asked again"),
        ),
        Effect::Repeatable | Effect::Once => (
            FaultKind::UnknownOutcome,
            format!(
                "the answer of {name} to a change was lost{own}; it is looked up whether the change was made \
                 before anything is sent again"
            ),
        ),
    };
    Fault::new(kind, what)
}

pub fn too_large(name: &str, bytes_max: usize) -> Fault {
    let message = format!(
        "{name} answered with more than {} MiB, which no answer of its API has; the rest was not read",
        bytes_max.div_ceil(1024 * 1024)
    );
    Fault::new(FaultKind::Protocol, message)
}

/// Why no connection came about, in words; never the whole chain, which may quote the URL.
fn reason(error: &reqwest::Error) -> String {
    if let Some(tls) = cause::<rustls::Error>(error) {
        return match tls {
            rustls::Error::InvalidCertificate(why) => certificate(why),
            other => format!("TLS failed ({other})"),
        };
    }
    if error.is_timeout() {
        return "no connection came about in time".into();
    }
    if let Some(io) = cause::<std::io::Error>(error) {
        return match io.kind() {
            std::io::ErrorKind::ConnectionRefused => "the connection was refused".into(),
            std::io::ErrorKind::ConnectionReset => "the connection was reset".into(),
            _ => format!("{io}"),
        };
    }
    if error.is_builder() {
        return "its address is not one that can be called".into();
    }
    "no connection came about; is its name right?".into()
}

fn certificate(why: &rustls::CertificateError) -> String {
    use rustls::CertificateError as Why;
    match why {
        Why::Expired | Why::ExpiredContext { .. } => "its certificate has expired".into(),
        Why::NotValidYet | Why::NotValidYetContext { .. } => {
            "its certificate is not valid yet; is this machine's clock right?".into()
        }
        Why::NotValidForName | Why::NotValidForNameContext { .. } => {
            "its certificate is for another name".into()
        }
        Why::UnknownIssuer => "nobody whom we trust vouches for its certificate".into(),
        Why::ApplicationVerificationFailure => "its certificate is not the pinned one".into(),
        other => format!("its certificate is not good ({other})"),
    }
}

/// The first error of this type in the chain, wrapped ones included.
fn cause<'a, T: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a T> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<T>() {
            return Some(found);
        }
        // An io::Error hides what it wraps from `source`.
        if let Some(found) = error
            .downcast_ref::<std::io::Error>()
            .and_then(std::io::Error::get_ref)
            .and_then(|inner| cause::<T>(inner))
        {
            return Some(found);
        }
        next = error.source();
    }
    None
}
