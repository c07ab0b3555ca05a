//! The program that runs the tests: cargo-nextest where it is installed, else `cargo test`.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use super::Start;
use crate::place;
use crate::process::{Bounds, Guard, Interrupt, cargo, run_for_output, run_in_foreground};
use crate::servers::{Environment, Server};

const BUILD_MAX: Duration = Duration::from_secs(30 * 60);
const LIST_MAX: Duration = Duration::from_secs(10 * 60);
const RUN_MAX: Duration = Duration::from_secs(30 * 60);

/// nextest's own word for "there was nothing to run" is an error unless told otherwise.
const NEXTEST_NO_TESTS: &str = "--no-tests=warn";

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Nextest,
    CargoTest,
}

pub struct Runner {
    kind: Kind,
    packages: Vec<String>,
    rest: Vec<String>,
    /// Where the list of tests is written.
    list: PathBuf,
    interrupt: Interrupt,
    guard: Arc<Guard>,
}

impl Runner {
    pub fn choose(start: &Start, packages: &[String], rest: &[String]) -> Self {
        let asked = cargo(&["nextest", "--version"])
            .stdin(Stdio::null())
            .output();
        let kind = match asked {
            Ok(output) if output.status.success() => Kind::Nextest,
            _ => Kind::CargoTest,
        };
        let packages = match packages {
            [] => vec!["--workspace".to_owned()],
            some => some
                .iter()
                .flat_map(|package| ["--package".to_owned(), package.clone()])
                .collect(),
        };
        Self {
            kind,
            packages,
            rest: rest.to_vec(),
            list: start.ground().log("tests"),
            interrupt: start.interrupt.clone(),
            guard: start.guard.clone(),
        }
    }

    /// Builds binaries and tests in one go, so that both use the same dependencies.
    pub fn build(&self) -> Result<Duration> {
        let began = Instant::now();
        let mut arguments = vec!["build", "--bins", "--tests"];
        arguments.extend(self.packages.iter().map(String::as_str));
        self.succeed(&arguments, BUILD_MAX)?;
        Ok(began.elapsed())
    }

    /// Whether [`Runner::build`] has built `lockstep` itself: a binary from some earlier build proves nothing.
    pub fn has_built_binary(&self) -> bool {
        self.packages
            .iter()
            .any(|package| package == "--workspace" || package == "lockstep")
    }

    /// How many tests each of these servers keeps from running. A test that needs two is counted once.
    pub fn count_marked(&self, absent: &[Server]) -> Result<Vec<(Server, usize)>> {
        if absent.is_empty() {
            return Ok(Vec::new());
        }
        let names = match self.kind {
            Kind::Nextest => {
                nextest_names(&self.listed(&["nextest", "list", "--message-format", "json"], &[])?)?
            }
            Kind::CargoTest => cargo_test_names(&self.listed(&["test"], &["--", "--list"])?),
        };
        Ok(count_by_mark(&names, absent))
    }

    fn listed(&self, before: &[&str], after: &[&str]) -> Result<String> {
        let mut command = cargo(before);
        command.args(&self.packages).args(after);
        let bounds = Bounds {
            wait_max: LIST_MAX,
            interrupt: &self.interrupt,
            guard: &self.guard,
        };
        run_for_output("the list of tests", &mut command, &self.list, bounds)
    }

    /// Runs the documentation's examples and then the tests. `Ok(false)` when one failed.
    pub fn run(&self, environment: &Environment, absent: &[Server]) -> Result<bool> {
        let mut have_passed = true;
        if self.kind == Kind::Nextest && self.rest.is_empty() && self.have_examples()? {
            // nextest leaves them out. The same packages as in the build, not only those with examples:
            // another choice would unify other features and build the dependencies again.
            let mut command = cargo(&["test", "--doc", "--quiet"]);
            command.args(&self.packages);
            have_passed &= self.spend(command, environment)?;
        }
        let mut command = match self.kind {
            Kind::Nextest => cargo(&["nextest", "run", NEXTEST_NO_TESTS]),
            Kind::CargoTest => cargo(&["test", "--no-fail-fast"]),
        };
        command.args(&self.packages);
        match self.kind {
            Kind::Nextest => {
                command.args(&self.rest);
                if !absent.is_empty() {
                    command.args(["-E", &nextest_filter(absent)]);
                }
            }
            Kind::CargoTest => {
                command.arg("--").args(&self.rest);
                for server in absent {
                    command.args(["--skip", server.test_mark()]);
                }
            }
        }
        have_passed &= self.spend(command, environment)?;
        Ok(have_passed)
    }

    /// Whether any chosen library's documentation has code: asking rustdoc takes a while.
    fn have_examples(&self) -> Result<bool> {
        let metadata = cargo_metadata::MetadataCommand::new()
            .current_dir(place::root())
            .no_deps()
            .exec()
            .context("cargo cannot read the workspace")?;
        for package in metadata.packages {
            let is_chosen = self
                .packages
                .iter()
                .any(|chosen| chosen == "--workspace" || *chosen == *package.name);
            let is_library = package.targets.iter().any(cargo_metadata::Target::is_lib);
            let sources = package.manifest_path.with_file_name("src");
            if is_chosen && is_library && has_examples(sources.as_std_path())? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn spend(&self, mut command: Command, environment: &Environment) -> Result<bool> {
        command.envs(environment.iter().map(|(name, value)| (*name, value)));
        Ok(run_in_foreground(&mut command, RUN_MAX, &self.interrupt, &self.guard)?.success())
    }

    fn succeed(&self, arguments: &[&str], wait_max: Duration) -> Result<()> {
        let mut command = cargo(arguments);
        if !run_in_foreground(&mut command, wait_max, &self.interrupt, &self.guard)?.success() {
            bail!("`cargo {}` failed", arguments.join(" "));
        }
        Ok(())
    }
}

fn nextest_filter(absent: &[Server]) -> String {
    let marks: Vec<String> = absent
        .iter()
        .map(|server| format!("test(/{}/)", server.test_mark()))
        .collect();
    format!("not ({})", marks.join(" or "))
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct NextestList {
    rust_suites: std::collections::BTreeMap<String, NextestSuite>,
}

#[derive(Deserialize)]
struct NextestSuite {
    testcases: std::collections::BTreeMap<String, serde_json::Value>,
}

fn nextest_names(listed: &str) -> Result<Vec<String>> {
    let list: NextestList =
        serde_json::from_str(listed).context("nextest's list is not what was expected")?;
    Ok(list
        .rust_suites
        .into_values()
        .flat_map(|suite| suite.testcases.into_keys())
        .collect())
}

fn cargo_test_names(listed: &str) -> Vec<String> {
    listed
        .lines()
        .filter_map(|line| line.strip_suffix(": test"))
        .map(str::to_owned)
        .collect()
}

fn count_by_mark(names: &[String], absent: &[Server]) -> Vec<(Server, usize)> {
    let mut counts: Vec<(Server, usize)> = absent.iter().map(|server| (*server, 0)).collect();
    for name in names {
        if let Some((_, count)) = counts
            .iter_mut()
            .find(|(server, _)| name.contains(server.test_mark()))
        {
            *count += 1;
        }
    }
    counts
}

fn has_examples(folder: &std::path::Path) -> Result<bool> {
    let entries = std::fs::read_dir(folder)
        .with_context(|| format!("{} cannot be read", folder.display()))?;
    for entry in entries {
        let path = entry
            .with_context(|| format!("{} cannot be read", folder.display()))?
            .path();
        let has_some = if path.is_dir() {
            has_examples(&path)?
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path)
                .with_context(|| format!("{} cannot be read", path.display()))?;
            text.lines().any(|line| {
                matches!(
                    line.trim_start(),
                    "/// ```" | "//! ```" | "/// ```no_run" | "//! ```no_run"
                )
            })
        } else {
            false
        };
        if has_some {
            return Ok(true);
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_that_needs_two_absent_servers_is_counted_once() {
        let names = [
            "a::on_medusa::x",
            "on_medusa::in_chromium::y",
            "b::in_chromium::z",
            "c::on_postgres::ok",
        ];
        let names: Vec<String> = names.map(str::to_owned).to_vec();
        let counted = count_by_mark(&names, &[Server::Medusa, Server::Chromium]);
        assert_eq!(counted, [(Server::Medusa, 2), (Server::Chromium, 1)]);
    }

    #[test]
    fn absent_servers_filter_their_tests_out() {
        let filter = nextest_filter(&[Server::Medusa, Server::Chromium]);
        assert_eq!(filter, "not (test(/on_medusa/) or test(/in_chromium/))");
    }

    #[test]
    fn names_are_read_from_both_runners_lists() {
        let nextest = r#"{"rust-suites":{"a":{"testcases":{"x::y":{"ignored":false}}},"b":{"testcases":{}}}}"#;
        assert_eq!(nextest_names(nextest).expect("a list"), ["x::y"]);
        assert_eq!(
            cargo_test_names("x::y: test\nz: benchmark\n\n1 test, 1 benchmark\n"),
            ["x::y"]
        );
    }
}
