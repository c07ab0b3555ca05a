//! Ids as the wire has them: a letter that tells the kind, and the row's number.

/// What an id is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Product,
    Variant,
    Category,
    Picture,
    Order,
    Hook,
}

impl Kind {
    fn letter(self) -> char {
        match self {
            Self::Product => 'p',
            Self::Variant => 'v',
            Self::Category => 'c',
            Self::Picture => 'f',
            Self::Order => 'o',
            Self::Hook => 'h',
        }
    }

    pub fn show(self, row: i64) -> String {
        format!("{}{row}", self.letter())
    }

    /// The row's number, if this is an id of this kind.
    pub fn parse(self, text: &str) -> Option<i64> {
        let digits = text.strip_prefix(self.letter())?;
        if digits.is_empty()
            || digits.len() > 18
            || digits.starts_with('0')
            || !digits.bytes().all(|b| b.is_ascii_digit())
        {
            return None;
        }
        digits.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_of_another_kind_or_shape_is_none() {
        assert_eq!(Kind::Product.parse(&Kind::Product.show(42)), Some(42));
        for text in [
            "v42",
            "p",
            "p042",
            "p-1",
            "p4 2",
            "42",
            "p9999999999999999999",
        ] {
            assert_eq!(Kind::Product.parse(text), None, "{text}");
        }
    }
}
