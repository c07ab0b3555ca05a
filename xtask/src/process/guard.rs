//! A second process that outlives xtask for a moment: it knows which process groups and folders xtask
//! made, and when its input ends (xtask is gone, whatever the reason, `kill -9` too) it ends and removes
//! what is left. In the normal case xtask has stopped everything and there is nothing to do.

use std::io::{BufRead, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, test_kill_process_group};

use super::{LOOK_EVERY, signal_group};

/// Between asking the left-over groups to end and killing them.
const MERCY: Duration = Duration::from_secs(3);

/// The sub-command under which xtask starts itself as the guard.
pub const SUBCOMMAND: &str = "guard";

pub struct Guard {
    child: Child,
    line: Mutex<Option<ChildStdin>>,
}

impl Guard {
    /// Call before anything is built: a build of the workspace replaces xtask's own file.
    pub fn start() -> Result<Self> {
        let own = std::env::current_exe().context("xtask does not know its own file")?;
        let mut child = Command::new(own)
            .arg(SUBCOMMAND)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .process_group(0)
            .spawn()
            .context("the guard process could not be started")?;
        let line = Mutex::new(child.stdin.take());
        Ok(Self { child, line })
    }

    pub fn add_group(&self, leader: u32) {
        self.tell(&format!("+group {leader}"));
    }

    pub fn forget_group(&self, leader: u32) {
        self.tell(&format!("-group {leader}"));
    }

    pub fn add_folder(&self, folder: &Path) {
        self.tell(&format!("+folder {}", folder.display()));
    }

    fn tell(&self, message: &str) {
        let mut line = match self.line.lock() {
            Ok(line) => line,
            Err(poisoned) => poisoned.into_inner(),
        };
        let Some(stdin) = line.as_mut() else { return };
        if let Err(error) = writeln!(stdin, "{message}") {
            eprintln!(
                "xtask: the guard no longer listens ({error}); what xtask starts may outlive a kill -9"
            );
            *line = None;
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Ok(mut line) = self.line.lock() {
            line.take();
        }
        if let Err(error) = self.child.wait() {
            eprintln!("xtask: the guard could not be waited for: {error}");
        }
    }
}

/// What the guard process does: listens until its input ends, then cleans up. Always ends within a few seconds of that.
pub fn keep_watch(input: impl BufRead) {
    let mut left = Left::default();
    for line in input.lines() {
        match line {
            Ok(line) => left.hear(&line),
            Err(_) => break,
        }
    }
    left.clean_up();
}

#[derive(Default, Debug, PartialEq)]
struct Left {
    groups: Vec<u32>,
    folders: Vec<PathBuf>,
}

impl Left {
    fn hear(&mut self, line: &str) {
        match line.split_once(' ') {
            Some(("+group", leader)) => self.groups.extend(leader.parse::<u32>()),
            Some(("-group", leader)) => {
                if let Ok(leader) = leader.parse::<u32>() {
                    self.groups.retain(|known| *known != leader);
                }
            }
            Some(("+folder", folder)) => self.folders.push(PathBuf::from(folder)),
            _ => eprintln!("xtask guard: a line that it does not know: {line}"),
        }
    }

    fn clean_up(self) {
        for leader in &self.groups {
            signal_group(*leader, Signal::TERM);
        }
        let deadline = Instant::now() + MERCY;
        while self.groups.iter().any(|leader| is_alive(*leader)) && Instant::now() < deadline {
            std::thread::sleep(LOOK_EVERY);
        }
        for leader in self.groups.iter().filter(|leader| is_alive(**leader)) {
            signal_group(*leader, Signal::KILL);
        }
        for folder in &self.folders {
            if folder.exists()
                && let Err(error) = std::fs::remove_dir_all(folder)
            {
                eprintln!(
                    "xtask guard: {} could not be removed: {error}",
                    folder.display()
                );
            }
        }
    }
}

fn is_alive(leader: u32) -> bool {
    i32::try_from(leader)
        .ok()
        .and_then(Pid::from_raw)
        .is_some_and(|pid| test_kill_process_group(pid).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_that_was_stopped_is_forgotten() {
        let mut left = Left::default();
        for line in ["+group 11", "+group 12", "+folder /tmp/a b", "-group 11"] {
            left.hear(line);
        }
        assert_eq!(
            left,
            Left {
                groups: vec![12],
                folders: vec![PathBuf::from("/tmp/a b")]
            }
        );
    }

    #[test]
    fn what_is_left_when_xtask_is_gone_is_ended_and_removed() {
        let folder =
            std::env::temp_dir().join(format!("lockstep-guard-test-{}", std::process::id()));
        std::fs::create_dir_all(folder.join("inner")).expect("a folder to remove");
        let mut orphan = Command::new("sleep")
            .arg("600")
            .process_group(0)
            .spawn()
            .expect("a process to end");
        let said = format!("+group {}\n+folder {}\n", orphan.id(), folder.display());

        let watch = std::thread::spawn(move || keep_watch(said.as_bytes()));
        let status = orphan.wait().expect("the orphan ends");
        watch.join().expect("the guard ends");

        assert!(!status.success());
        assert!(!folder.exists());
    }
}
