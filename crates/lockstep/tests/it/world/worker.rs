//! A process `lockstep worker`.

use super::process::{Process, command};
use serde_json::Value;
use std::path::{Path, PathBuf};

pub struct Worker {
    pub process: Process,
    pub name: String,
    pub data: PathBuf,
    url: String,
    join: Option<String>,
    folder: PathBuf,
}

impl Worker {
    /// Without a join token it waits for a person.
    pub fn start(folder: &Path, name: &str, url: &str, join: Option<&str>) -> Worker {
        Worker::start_dying(folder, name, url, join, None)
    }

    /// Dies at a named point: "after_send:2" at the second time that it is reached.
    pub fn start_dying(
        folder: &Path,
        name: &str,
        url: &str,
        join: Option<&str>,
        crash_at: Option<&str>,
    ) -> Worker {
        let data = folder.join(name);
        Worker {
            process: spawn(folder, name, &data, url, join, crash_at),
            name: name.to_owned(),
            data,
            url: url.to_owned(),
            join: join.map(str::to_owned),
            folder: folder.to_owned(),
        }
    }

    /// On the same disk.
    pub fn start_again(&mut self, crash_at: Option<&str>) {
        self.process.kill();
        self.process = spawn(
            &self.folder,
            &self.name,
            &self.data,
            &self.url,
            self.join.as_deref(),
            crash_at,
        );
    }

    /// On the same disk, with another way to its coordinator.
    pub fn start_again_through(&mut self, url: &str) {
        self.url = url.to_owned();
        self.start_again(None);
    }

    /// Its customers' journals are gone; its key and its token are not.
    pub fn lose_its_journals(&mut self) {
        self.process.kill();
        std::fs::remove_dir_all(self.data.join("customers")).expect("the journals go away");
    }

    pub fn lose_its_disk(&mut self) {
        self.process.kill();
        std::fs::remove_dir_all(&self.data).expect("the worker's folder goes away");
    }

    /// What it holds of the coordinator's settings, read from its own disk.
    pub fn stored_settings(&self) -> Option<Value> {
        let text = std::fs::read_to_string(self.data.join("settings.json")).ok()?;
        Some(serde_json::from_str(&text).expect("settings.json is whole or not there"))
    }
}

fn spawn(
    folder: &Path,
    name: &str,
    data: &Path,
    url: &str,
    join: Option<&str>,
    crash_at: Option<&str>,
) -> Process {
    let mut command = command();
    command
        .args([
            "--json",
            "worker",
            "--coordinator",
            url,
            "--name",
            name,
            "--data",
        ])
        .arg(data);
    // The shops of these tests stand on this machine.
    command.args(["--allow-address", "loopback"]);
    if let Some(join) = join {
        command.args(["--join", join]);
    }
    if let Some(point) = crash_at {
        command.env("LOCKSTEP_CRASH_AT", point);
    }
    Process::start(name, folder, command)
}
