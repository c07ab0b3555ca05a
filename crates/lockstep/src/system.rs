//! What a process of ours asks of the system before it does anything: files that nobody else may read, and as many of them
//! open as it may have.

use rustix::fs::Mode;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit, umask};

/// Whatever is written from here on is its owner's alone.
pub fn write_for_ourselves() {
    umask(Mode::RWXG | Mode::RWXO);
}

/// The soft limit of open files is for programs that cannot deal with more; a coordinator holds one for each connection,
/// a worker several for each customer. Said, since it bounds how many there may be.
pub fn raise_file_limit() {
    let limit = getrlimit(Resource::Nofile);
    if limit.current == limit.maximum {
        tracing::info!(files = limit.current, "open files that the system allows");
        return;
    }
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => tracing::info!(
            files = limit.maximum,
            before = limit.current,
            "the limit of open files was raised as far as the system allows"
        ),
        Err(error) => tracing::warn!(
            %error,
            files = limit.current,
            "the limit of open files could not be raised; it bounds connections and customers"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s11_the_soft_limit_of_open_files_is_raised_to_the_hard_one() {
        let before = getrlimit(Resource::Nofile);
        let lowered = Rlimit {
            current: Some(256),
            maximum: before.maximum,
        };
        setrlimit(Resource::Nofile, lowered).unwrap();
        raise_file_limit();
        let after = getrlimit(Resource::Nofile);
        assert_eq!(after.current, before.maximum);
    }
}
