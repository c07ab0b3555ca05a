//! Every dependency's licence lets a merchant do what they like with the binary.

use cargo_metadata::Metadata;
use spdx::{Expression, ParseMode};

/// Permissive licences. One with conditions on the whole work does not belong here.
const ALLOWED: [&str; 13] = [
    "MIT",
    "MIT-0",
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "0BSD",
    "ISC",
    "Zlib",
    "BSL-1.0",
    "Unlicense",
    "CC0-1.0",
    "Unicode-3.0",
    "CDLA-Permissive-2.0",
];

pub fn faults(metadata: &Metadata) -> Vec<String> {
    metadata
        .packages
        .iter()
        .filter(|package| !metadata.workspace_members.contains(&package.id))
        .filter_map(|package| {
            let fault = fault_of(package.license.as_deref())?;
            Some(format!("{} {}: {fault}", package.name, package.version))
        })
        .collect()
}

fn fault_of(licence: Option<&str>) -> Option<String> {
    let Some(licence) = licence else {
        return Some("names no licence".to_owned());
    };
    // Old packages write "MIT/Apache-2.0".
    match Expression::parse_mode(licence, ParseMode::LAX) {
        Err(error) => Some(format!(
            "its licence `{licence}` cannot be read: {}",
            error.reason
        )),
        // An exception ("WITH …") only ever permits more.
        Ok(expression) => {
            let is_allowed = expression.evaluate(|asked| {
                asked
                    .license
                    .id()
                    .is_some_and(|licence| ALLOWED.contains(&licence.name))
            });
            (!is_allowed).then(|| format!("`{licence}` is not among the allowed licences"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_permissive_choice_is_enough_and_all_joined_parts_must_be() {
        assert_eq!(fault_of(Some("GPL-3.0-only OR MIT")), None);
        assert_eq!(fault_of(Some("MIT/Apache-2.0")), None);
        assert_eq!(fault_of(Some("Apache-2.0 WITH LLVM-exception")), None);
        assert_eq!(fault_of(Some("(MIT OR Apache-2.0) AND Unicode-3.0")), None);
        assert!(fault_of(Some("MIT AND GPL-3.0-only")).is_some());
    }

    #[test]
    fn a_package_without_a_licence_is_not_allowed() {
        assert!(fault_of(None).is_some());
        assert!(fault_of(Some("see file")).is_some());
    }
}
