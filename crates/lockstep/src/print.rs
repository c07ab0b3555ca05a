//! Answers for people and for scripts. What shops, buyers and coordinators wrote may hold characters that a terminal
//! obeys: they are shown, never done.

use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;
use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::{IsTerminal, Write};

/// One line of JSON on standard output.
pub fn json(value: &impl Serialize) -> anyhow::Result<()> {
    let text = escaped(&serde_json::to_string(value)?);
    let mut out = std::io::stdout().lock();
    writeln!(out, "{text}")?;
    out.flush()?;
    Ok(())
}

/// The same JSON: its writer escapes the older control characters alone.
fn escaped(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        if commands(c) {
            // All of them stand in strings, and none needs a pair.
            let _never = write!(out, "\\u{:04x}", u32::from(c));
        } else {
            out.push(c);
        }
    }
    out
}

/// Does a terminal act on it, or put what follows in another order?
fn commands(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{061c}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        || matches!(c, '\u{2028}' | '\u{2029}')
}

/// One line of text that a terminal only shows.
pub fn shown(text: &str) -> Cow<'_, str> {
    visible(text, false)
}

fn visible(text: &str, lines: bool) -> Cow<'_, str> {
    let is_kept = |c: char| !commands(c) || (lines && c == '\n');
    if text.chars().all(is_kept) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match u32::from(c) {
            _ if is_kept(c) => out.push(c),
            // The pictures of Unicode for them: ␛, ␇, ␍ …
            code @ 0..=0x1f => out.push(char::from_u32(0x2400 + code).unwrap_or('\u{fffd}')),
            0x7f => out.push('\u{2421}'),
            code => {
                let _never = write!(out, "<{code:x}>");
            }
        }
    }
    Cow::Owned(out)
}

/// A plain table: no boxes, columns as wide as the terminal allows.
pub fn table(heads: &[&str], rows: Vec<Vec<String>>) {
    let mut table = Table::new();
    table
        .load_preset(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_header(heads.to_vec());
    for row in rows {
        table.add_row(row.iter().map(|cell| shown(cell)));
    }
    line(&table.trim_fmt());
}

/// A line on standard output; a reader that went away is no error of ours.
pub fn line(text: &str) {
    let mut out = std::io::stdout().lock();
    if writeln!(out, "{}", visible(text, true)).is_err() {
        tracing::debug!("nobody reads standard output any more");
    }
}

/// What standard output has as it is; a terminal is only shown it.
pub fn raw(text: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    let text = match out.is_terminal() {
        true => visible(text, true),
        false => Cow::Borrowed(text),
    };
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// Beside what standard output has: for people alone.
pub fn note(text: &str) {
    eprintln!("{}", visible(text, true));
}

/// What went wrong, with its causes.
pub fn trouble(error: &anyhow::Error) {
    eprintln!("lockstep: {}", visible(&format!("{error:#}"), true));
}

/// Is somebody looking who would like to see progress?
pub fn is_watched() -> bool {
    std::io::stderr().is_terminal()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s9_what_a_terminal_would_do_is_shown() {
        let name = "Coffee\u{1b}]0;owned\u{7}\r\u{9b}2J\u{7f}\u{202e}xet\n\tx";
        let text = shown(name);
        assert_eq!(text, "Coffee␛]0;owned␇␍<9b>2J␡<202e>xet␊␉x");
        assert!(!text.chars().any(commands));
        assert_eq!(shown("Kahvi, Öljy 5 € 咖啡"), "Kahvi, Öljy 5 € 咖啡");
        assert_eq!(visible("two\nlines", true), "two\nlines");
    }

    #[test]
    fn s9_json_for_scripts_is_the_same_json() {
        let value = serde_json::json!({"name": "a\u{1b}[2J\u{9b}2J\u{202e}b\u{7f}"});
        let text = escaped(&value.to_string());
        assert!(!text.chars().any(commands), "{text}");
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&text).unwrap(),
            value
        );
    }
}
