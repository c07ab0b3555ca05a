//! The small things that every page is made of: a state, a time, an id, a number. Each writes its own HTML
//! and escapes what it is given.

use askama::filters::HtmlSafe;
use jiff::{SignedDuration, Timestamp};
use rust_decimal::Decimal;
use std::fmt::{self, Display, Write};

/// How something is. Shown as a colour, a shape and a word, never as a colour alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    Good,
    Attention,
    Failed,
    Idle,
}

impl Tone {
    pub fn class(self) -> &'static str {
        match self {
            Tone::Good => "good",
            Tone::Attention => "attention",
            Tone::Failed => "failed",
            Tone::Idle => "idle",
        }
    }

    fn mark(self) -> &'static str {
        match self {
            Tone::Good => "●",
            Tone::Attention => "▲",
            Tone::Failed => "✕",
            Tone::Idle => "○",
        }
    }
}

#[derive(Debug, Clone)]
pub struct State {
    pub tone: Tone,
    pub word: String,
}

impl State {
    pub fn new(tone: Tone, word: impl Into<String>) -> Self {
        State {
            tone,
            word: word.into(),
        }
    }

    pub fn good(word: impl Into<String>) -> Self {
        Self::new(Tone::Good, word)
    }

    pub fn attention(word: impl Into<String>) -> Self {
        Self::new(Tone::Attention, word)
    }

    pub fn failed(word: impl Into<String>) -> Self {
        Self::new(Tone::Failed, word)
    }

    pub fn idle(word: impl Into<String>) -> Self {
        Self::new(Tone::Idle, word)
    }
}

impl HtmlSafe for State {}

impl Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (class, mark) = (self.tone.class(), self.tone.mark());
        let word = Escaped(&self.word);
        write!(
            f,
            "<span class=\"state {class}\"><span class=\"mark\" aria-hidden=\"true\">{mark}</span>{word}</span>"
        )
    }
}

/// A moment, relative, with the exact one on hover. The script keeps it fresh.
#[derive(Debug, Clone, Copy)]
pub struct When {
    at: Timestamp,
    now: Timestamp,
}

impl When {
    pub fn new(at: Timestamp, now: Timestamp) -> Self {
        When { at, now }
    }
}

impl HtmlSafe for When {}

impl Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (at, exact) = (self.at, self.at.strftime("%Y-%m-%d %H:%M:%S UTC"));
        let relative = relative(self.now.duration_since(self.at));
        write!(
            f,
            "<time datetime=\"{at:.0}\" title=\"{exact}\" data-at=\"{}\">{relative}</time>",
            at.as_second()
        )
    }
}

/// "now", "12 s ago", "in 3 min", "2 h ago", "5 d ago". The script of the page says the same.
pub fn relative(since: SignedDuration) -> String {
    let seconds = since.as_secs();
    let text = span(seconds.unsigned_abs());
    match seconds {
        0 => "now".into(),
        1.. => format!("{text} ago"),
        _ => format!("in {text}"),
    }
}

/// A length of time in its greatest unit.
pub fn span(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min", seconds / 60),
        3_600..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// An id: set apart, and copied with one press.
#[derive(Debug, Clone)]
pub struct Id(pub String);

impl Id {
    pub fn new(text: impl Display) -> Self {
        Id(text.to_string())
    }
}

impl HtmlSafe for Id {}

impl Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = Escaped(&self.0);
        write!(
            f,
            "<span class=\"id\"><code>{text}</code><button type=\"button\" class=\"copy\" data-copy=\"{text}\" title=\"Copy\" hidden>Copy</button></span>"
        )
    }
}

/// 1,204,551
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Units as people write them: 12, 2.5, −1.
pub fn units(amount: Decimal) -> String {
    let text = amount.normalize().to_string();
    match text.strip_prefix('-') {
        Some(rest) => format!("−{rest}"),
        None => text,
    }
}

/// A movement: +5, −1.
pub fn signed(amount: Decimal) -> String {
    if amount.is_sign_negative() || amount.is_zero() {
        units(amount)
    } else {
        format!("+{}", units(amount))
    }
}

/// Text made safe for HTML, as content or in a quoted attribute.
pub struct Escaped<'a>(pub &'a str);

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for letter in self.0.chars() {
            match letter {
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '&' => f.write_str("&amp;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                other => f.write_char(other)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_a_word_with_a_shape_and_a_colour() {
        let html = State::failed("cannot <log in>").to_string();
        assert!(html.contains("class=\"state failed\""));
        assert!(html.contains('✕') && html.contains("cannot &lt;log in&gt;"));
    }

    #[test]
    fn a_time_is_relative_and_says_the_exact_one() {
        let now: Timestamp = "2026-05-04T10:00:00Z".parse().unwrap();
        let at: Timestamp = "2026-05-04T09:58:00.5Z".parse().unwrap();
        let html = When::new(at, now).to_string();
        assert!(html.contains(">1 min ago<"), "{html}");
        assert!(html.contains("title=\"2026-05-04 09:58:00 UTC\""), "{html}");
        assert!(When::new(now, at).to_string().contains("in 1 min"));
    }

    #[test]
    fn numbers_are_grouped_and_minus_is_a_minus() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1_204_551), "1,204,551");
        assert_eq!(units(Decimal::new(-250, 2)), "−2.5");
        assert_eq!(signed(Decimal::from(5)), "+5");
        assert_eq!(signed(Decimal::ZERO), "0");
    }
}
