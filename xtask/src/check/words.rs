//! House rules that a search can hold: module names that say nothing, unfinished code, hidden tests, files
//! that do not say what they are, lock files that name one machine's registry.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

/// Names under which god files grow.
const EMPTY_NAMES: [&str; 8] = [
    "service", "core", "utils", "types", "manager", "common", "helpers", "base",
];

/// Split, so that this file does not find itself.
const UNFINISHED: [(&str, &str); 3] = [
    (concat!("to", "do!"), "unfinished code"),
    (concat!("unimpl", "emented!"), "unfinished code"),
    (concat!("#[ig", "nore"), "a test that hides"),
];

pub fn faults(root: &Path) -> Result<Vec<String>> {
    let mut faults = Vec::new();
    for file in tracked(root)? {
        let path = root.join(&file);
        let is_rust = file.ends_with(".rs");
        // Deleted and not yet committed.
        if !path.is_file() || !(is_rust || file.ends_with("package-lock.json")) {
            continue;
        }
        let text =
            std::fs::read_to_string(&path).with_context(|| format!("{file} cannot be read"))?;
        faults.extend(if is_rust {
            rust_faults(&file, &text)
        } else {
            lock_faults(&file, &text)
        });
    }
    Ok(faults)
}

/// What git knows of or would add.
fn tracked(root: &Path) -> Result<Vec<String>> {
    let output = Command::new("git")
        .current_dir(root)
        .args([
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
        ])
        .output()
        .context("git could not be started")?;
    if !output.status.success() {
        bail!(
            "git cannot list the files: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    let names = String::from_utf8(output.stdout).context("a file's name is not text")?;
    Ok(names
        .split('\0')
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect())
}

fn rust_faults(file: &str, text: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let module = module_of(file);
    if EMPTY_NAMES.contains(&module) {
        faults.push(format!("{file}: a module named `{module}` says nothing"));
    }
    // A library's README is its crate doc.
    if !["//!", "#![doc = "]
        .iter()
        .any(|start| text.trim_start().starts_with(start))
    {
        faults.push(format!(
            "{file}: does not begin with `//!`, what it is and is not"
        ));
    }
    for (index, line) in text.lines().enumerate() {
        let number = index + 1;
        if let Some(name) = inline_module(line)
            && EMPTY_NAMES.contains(&name)
        {
            faults.push(format!(
                "{file}:{number}: a module named `{name}` says nothing"
            ));
        }
        for (word, what) in UNFINISHED {
            if line.contains(word) {
                faults.push(format!("{file}:{number}: {what}: {word}"));
            }
        }
    }
    faults
}

/// The module that a file is: its stem, or its folder's name.
fn module_of(file: &str) -> &str {
    let (folder, name) = file.rsplit_once('/').unwrap_or(("", file));
    match name.strip_suffix(".rs").unwrap_or(name) {
        "mod" => folder.rsplit('/').next().unwrap_or_default(),
        stem => stem,
    }
}

fn inline_module(line: &str) -> Option<&str> {
    let line = line.trim_start();
    let line = line
        .strip_prefix("pub ")
        .or_else(|| line.strip_prefix("pub(crate) "))
        .unwrap_or(line);
    let name = line.strip_prefix("mod ")?.strip_suffix('{')?;
    Some(name.trim_end())
}

fn lock_faults(file: &str, text: &str) -> Vec<String> {
    let names_a_registry = text.contains("\"resolved\":");
    let fault = format!(
        "{file}: names a registry (npm install --omit-lockfile-registry-resolved writes one without)"
    );
    names_a_registry.then_some(fault).into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_that_says_nothing_is_found_as_file_folder_and_block() {
        assert_eq!(rust_faults("crates/a/src/utils.rs", "//! x").len(), 1);
        assert_eq!(rust_faults("crates/a/src/core/mod.rs", "//! x").len(), 1);
        assert_eq!(
            rust_faults("crates/a/src/b.rs", "//! x\npub mod helpers {\n}").len(),
            1
        );
        assert_eq!(
            rust_faults("crates/base/src/b.rs", "//! x\nmod tests {\n}"),
            Vec::<String>::new()
        );
    }

    #[test]
    fn unfinished_code_is_named_with_its_line() {
        let text = format!("//! x\nfn a() {{ {}() }}", UNFINISHED[0].0);
        assert_eq!(
            rust_faults("a.rs", &text),
            [format!("a.rs:2: unfinished code: {}", UNFINISHED[0].0)]
        );
    }

    #[test]
    fn a_file_says_what_it_is_first() {
        assert_eq!(rust_faults("a.rs", "use std::fmt;\n").len(), 1);
    }

    #[test]
    fn a_lock_file_names_no_registry() {
        assert_eq!(
            lock_faults(
                "package-lock.json",
                r#"{"resolved": "https://registry.example"}"#
            )
            .len(),
            1
        );
        assert_eq!(
            lock_faults("package-lock.json", r#"{"version": "1.0.0"}"#),
            Vec::<String>::new()
        );
    }
}
