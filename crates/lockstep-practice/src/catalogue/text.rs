//! Bounds of texts, and handles made of titles.

use crate::bounds;
use crate::problem::Problem;

/// A short text: not blank, no control characters, kept byte for byte.
pub fn check_name(field: &str, text: &str) -> Result<(), Problem> {
    if text.trim().is_empty() {
        return Err(Problem::invalid(
            field,
            format!("“{field}” must not be empty."),
        ));
    }
    check_label(field, text)
}

/// A short text that may be empty.
pub fn check_label(field: &str, text: &str) -> Result<(), Problem> {
    if text.chars().count() > bounds::NAME_CHARS_MAX {
        return Err(Problem::invalid(
            field,
            format!(
                "“{field}” has more than {} characters.",
                bounds::NAME_CHARS_MAX
            ),
        ));
    }
    if text.chars().any(char::is_control) {
        return Err(Problem::invalid(
            field,
            format!("“{field}” holds a control character."),
        ));
    }
    Ok(())
}

/// A long text.
pub fn check_text(field: &str, text: &str) -> Result<(), Problem> {
    if text.len() > bounds::TEXT_BYTES_MAX {
        return Err(Problem::invalid(
            field,
            format!(
                "“{field}” is longer than {} KiB.",
                bounds::TEXT_BYTES_MAX / 1024
            ),
        ));
    }
    Ok(())
}

/// The part of an address that stands for a title: small letters, digits, dashes.
pub fn handle_of(title: &str) -> String {
    let mut handle = String::new();
    for c in title.chars().flat_map(char::to_lowercase) {
        match c {
            'a'..='z' | '0'..='9' => handle.push(c),
            'ä' | 'å' | 'á' | 'à' => handle.push('a'),
            'ö' | 'ó' | 'ø' => handle.push('o'),
            'é' | 'è' => handle.push('e'),
            'ü' => handle.push('u'),
            _ if !handle.ends_with('-') && !handle.is_empty() => handle.push('-'),
            _ => {}
        }
        if handle.len() >= 80 {
            break;
        }
    }
    let handle = handle.trim_matches('-').to_string();
    if handle.is_empty() {
        "product".into()
    } else {
        handle
    }
}

pub fn check_handle(handle: &str) -> Result<(), Problem> {
    let plain = !handle.is_empty()
        && handle.len() <= 120
        && handle
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if plain {
        Ok(())
    } else {
        Err(Problem::invalid(
            "handle",
            "A handle is 1 to 120 small letters, digits and dashes.",
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handle_is_made_of_any_title() {
        for (title, handle) in [
            ("Nordic wool scarf", "nordic-wool-scarf"),
            ("  Äiti & Öljy!  ", "aiti-oljy"),
            ("日本", "product"),
            ("M–L, 2 kg", "m-l-2-kg"),
        ] {
            assert_eq!(handle_of(title), handle);
            assert!(check_handle(&handle_of(title)).is_ok());
        }
    }
}
