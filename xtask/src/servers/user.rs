//! Servers that refuse root run as an unprivileged user of this machine.

use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct User {
    uid: u32,
    gid: u32,
}

impl User {
    /// `None` when xtask itself is unprivileged: then servers run as the same user. Otherwise the first of
    /// `names` that this machine has.
    pub fn for_servers(names: &[&str]) -> Result<Option<Self>> {
        if !rustix::process::geteuid().is_root() {
            return Ok(None);
        }
        let passwd =
            std::fs::read_to_string("/etc/passwd").context("/etc/passwd cannot be read")?;
        let found = names.iter().find_map(|name| Self::in_passwd(&passwd, name));
        let asked = names.join(", ");
        found.map(Some).with_context(|| {
            format!("this machine has none of the users {asked}, and root may not run it")
        })
    }

    fn in_passwd(passwd: &str, name: &str) -> Option<Self> {
        passwd.lines().find_map(|line| {
            let mut fields = line.split(':');
            (fields.next()? == name).then_some(())?;
            let _password = fields.next()?;
            Some(Self {
                uid: fields.next()?.parse().ok()?,
                gid: fields.next()?.parse().ok()?,
            })
        })
    }
}

/// Makes `folder` and gives it to `user`.
pub fn make_folder(folder: &Path, user: Option<User>) -> Result<()> {
    std::fs::create_dir_all(folder)
        .with_context(|| format!("{} cannot be made", folder.display()))?;
    if let Some(user) = user {
        chown(folder, Some(user.uid), Some(user.gid))
            .with_context(|| format!("{} cannot be given away", folder.display()))?;
    }
    Ok(())
}

/// A command in `folder`, as `user`, with nothing of this environment but the way to programs.
pub fn command(program: &Path, folder: &Path, user: Option<User>) -> Command {
    let mut command = Command::new(program);
    command
        .current_dir(folder)
        .env_clear()
        .env("LC_ALL", "C.UTF-8")
        .env("HOME", folder);
    if let Some(path) = std::env::var_os("PATH") {
        command.env("PATH", path);
    }
    if let Some(user) = user {
        // std drops root's supplementary groups when it changes the user.
        command.uid(user.uid).gid(user.gid);
    }
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_found_by_its_whole_name() {
        let passwd = "root:x:0:0:root:/root:/bin/bash\nmysqld:x:7:8::/:/bin/false\nmysql:x:102:105::/:/bin/false\n";
        assert_eq!(
            User::in_passwd(passwd, "mysql"),
            Some(User { uid: 102, gid: 105 })
        );
        assert_eq!(User::in_passwd(passwd, "postgres"), None);
    }
}
