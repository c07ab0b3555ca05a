//! How ids, times, decimals, subjects and JSON stand in the columns of the file.

use crate::JournalError;
use crate::bounds::CATEGORY_DEPTH_MAX;
use jiff::Timestamp;
use lockstep_model::cases::RootCategory;
use lockstep_model::entry::{AsideSubject, Subject};
use lockstep_model::settings::StockId;
use lockstep_model::{ItemId, Kind, OrderKey, RecordId, ShopId};
use rust_decimal::Decimal;
use serde::{Serialize, de::DeserializeOwned};

/// SQLite's integers are signed; ids are not. The bits are kept.
pub(crate) fn int(id: u64) -> i64 {
    id.cast_signed()
}

pub(crate) fn id(int: i64) -> u64 {
    int.cast_unsigned()
}

/// The ends of time are those of the column.
pub(crate) fn micros(at: Timestamp) -> i64 {
    if at == Timestamp::MAX {
        i64::MAX
    } else if at == Timestamp::MIN {
        i64::MIN
    } else {
        at.as_microsecond()
    }
}

pub(crate) fn time(micros: i64) -> Result<Timestamp, JournalError> {
    match micros {
        i64::MAX => return Ok(Timestamp::MAX),
        i64::MIN => return Ok(Timestamp::MIN),
        _ => {}
    }
    Timestamp::from_microsecond(micros).map_err(|_| JournalError::Corrupt { what: "a time" })
}

pub(crate) fn kind_code(kind: Kind) -> i64 {
    match kind {
        Kind::Category => 0,
        Kind::Product => 1,
        Kind::Level => 2,
        Kind::Order => 3,
    }
}

pub(crate) fn kind_of(code: i64) -> Result<Kind, JournalError> {
    match code {
        0 => Ok(Kind::Category),
        1 => Ok(Kind::Product),
        2 => Ok(Kind::Level),
        3 => Ok(Kind::Order),
        _ => Err(JournalError::Corrupt {
            what: "a kind of record",
        }),
    }
}

pub(crate) fn json<T: Serialize>(what: &'static str, value: &T) -> Result<String, JournalError> {
    serde_json::to_string(value).map_err(JournalError::encode(what))
}

pub(crate) fn parse<T: DeserializeOwned>(
    what: &'static str,
    text: &str,
) -> Result<T, JournalError> {
    serde_json::from_str(text).map_err(|_| JournalError::Corrupt { what })
}

/// Equal numbers are equal texts.
pub(crate) fn number(decimal: Decimal) -> String {
    decimal.normalize().to_string()
}

pub(crate) fn decimal(text: &str) -> Result<Decimal, JournalError> {
    text.parse()
        .map_err(|_| JournalError::Corrupt { what: "a number" })
}

pub(crate) fn record_subject(record: i64) -> String {
    format!("r:{}", id(record))
}

pub(crate) fn level_subject(stock: StockId, item: &ItemId) -> String {
    format!("l:{stock}:{item}")
}

pub(crate) fn order_subject(order_key: &str) -> String {
    format!("o:{order_key}")
}

pub(crate) fn order_key_of_subject(subject: &str) -> Result<&str, JournalError> {
    subject.strip_prefix("o:").ok_or(JournalError::Corrupt {
        what: "an order's subject",
    })
}

pub(crate) fn subject_text(subject: &Subject) -> String {
    match subject {
        Subject::Record(record) => record_subject(int(record.0)),
        Subject::Level { stock, item } => level_subject(*stock, item),
        Subject::Order(order) => order_subject(&order.to_string()),
        Subject::Shop(shop) => format!("s:{shop}"),
        Subject::Levels => "t:".into(),
        Subject::Catalogue => "c:".into(),
    }
}

pub(crate) fn subject_of(text: &str) -> Result<Subject, JournalError> {
    try_subject(text).ok_or(JournalError::Corrupt { what: "a subject" })
}

fn try_subject(text: &str) -> Option<Subject> {
    let (sort, rest) = text.split_once(':')?;
    match sort {
        "r" => Some(Subject::Record(RecordId(rest.parse().ok()?))),
        "l" => {
            let (stock, item) = rest.split_once(':')?;
            Some(Subject::Level {
                stock: StockId(stock.parse().ok()?),
                item: item.into(),
            })
        }
        "o" => Some(Subject::Order(OrderKey::parse(rest)?)),
        "s" => Some(Subject::Shop(ShopId(rest.parse().ok()?))),
        "t" => Some(Subject::Levels),
        "c" => Some(Subject::Catalogue),
        _ => None,
    }
}

pub(crate) fn aside_text(subject: &AsideSubject) -> String {
    match subject {
        AsideSubject::Subject(subject) => subject_text(subject),
        AsideSubject::Remote { kind, id: Some(id) } => remote_text(*kind, id.as_str()),
        AsideSubject::Remote { kind, id: None } => format!("y:{}", kind.as_str()),
    }
}

pub(crate) fn remote_text(kind: Kind, id: &str) -> String {
    format!("x:{}:{id}", kind.as_str())
}

pub(crate) fn aside_of(text: &str) -> Result<AsideSubject, JournalError> {
    let remote = || {
        let (sort, rest) = text.split_once(':')?;
        match sort {
            "x" => {
                let (kind, id) = rest.split_once(':')?;
                Some(AsideSubject::Remote {
                    kind: Kind::parse(kind)?,
                    id: Some(id.into()),
                })
            }
            "y" => Some(AsideSubject::Remote {
                kind: Kind::parse(rest)?,
                id: None,
            }),
            _ => None,
        }
    };
    match remote() {
        Some(subject) => Ok(subject),
        None => Ok(AsideSubject::Subject(subject_of(text)?)),
    }
}

pub(crate) fn order_key_of(text: &str) -> Result<OrderKey, JournalError> {
    OrderKey::parse(text).ok_or(JournalError::Corrupt {
        what: "an order's key",
    })
}

/// Parts of a category's path are joined with this.
pub(crate) const PATH_SEPARATOR: char = '\u{1f}';
/// Between what a place sorts by and what makes it unique; sorts before all that a key holds.
pub(crate) const TIE_SEPARATOR: char = '\u{1}';

/// Where the root category of our own stands: before every depth of the tree. After the second nothing of it comes.
const ROOT_DEPTH: &str = "-";
pub(crate) const AFTER_ROOT: &str = "-\u{1f}\u{7f}";

/// Where something stands in the order of its kind: products by their smallest SKU, categories by depth, then path.
pub(crate) fn place(kind: Kind, key: &str, tie: &str) -> String {
    match kind {
        Kind::Category => place_at_depth(key.matches(PATH_SEPARATOR).count(), key, tie),
        Kind::Product | Kind::Level | Kind::Order => format!("{key}{TIE_SEPARATOR}{tie}"),
    }
}

/// A path is put together of what shops say, and categories that stand above each other would make it grow for ever.
pub(crate) fn is_within_depth(path: &str) -> bool {
    path.matches(PATH_SEPARATOR).count() < CATEGORY_DEPTH_MAX
}

/// A category that is deeper in its shop than its path tells stands with those of its depth: parents come first.
pub(crate) fn place_at_depth(depth: usize, path: &str, tie: &str) -> String {
    if path == RootCategory::KEY {
        return format!("{ROOT_DEPTH}{PATH_SEPARATOR}{path}{TIE_SEPARATOR}{tie}");
    }
    let depth = depth.min(999);
    format!("{depth:03}{PATH_SEPARATOR}{path}{TIE_SEPARATOR}{tie}")
}

/// The same place for another path.
pub(crate) fn place_under(place: &str, path: &str) -> String {
    let depth = place
        .split_once(PATH_SEPARATOR)
        .map_or("000", |(depth, _)| depth);
    let tie = place.rsplit_once(TIE_SEPARATOR).map_or("", |(_, tie)| tie);
    format!("{depth}{PATH_SEPARATOR}{path}{TIE_SEPARATOR}{tie}")
}

/// The key that a place was made of.
pub(crate) fn key_of_place(kind: Kind, place: &str) -> &str {
    let key = place
        .rsplit_once(TIE_SEPARATOR)
        .map_or(place, |(key, _)| key);
    match kind {
        Kind::Category => key.split_once(PATH_SEPARATOR).map_or(key, |(_, path)| path),
        Kind::Product | Kind::Level | Kind::Order => key,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lockstep_model::{CustomerId, ShopId};

    #[test]
    fn a_subject_survives_its_text() {
        let order = OrderKey {
            customer: CustomerId(1),
            shop: ShopId(2),
            id: "gid://x:9".into(),
        };
        let subjects = [
            Subject::Record(RecordId(u64::MAX)),
            Subject::Level {
                stock: StockId(3),
                item: "a:b:".into(),
            },
            Subject::Order(order),
        ];
        for subject in subjects {
            assert_eq!(subject_of(&subject_text(&subject)).unwrap(), subject);
            let aside = AsideSubject::Subject(subject);
            assert_eq!(aside_of(&aside_text(&aside)).unwrap(), aside);
        }
        for id in [None, Some("p:1".into())] {
            let kind = Kind::Level;
            let aside = AsideSubject::Remote { kind, id };
            assert_eq!(aside_of(&aside_text(&aside)).unwrap(), aside);
        }
    }

    #[test]
    fn a_parent_category_stands_before_its_children_and_a_sku_before_those_it_begins() {
        let tea = place(Kind::Category, "Tea", "r1");
        let green = place(Kind::Category, "Tea\u{1f}Green", "r2");
        let coffee = place(Kind::Category, "Zubehör", "r3");
        assert!(tea < green && coffee < green);
        let root = place(Kind::Category, RootCategory::KEY, "r0");
        assert!(root.as_str() < AFTER_ROOT && AFTER_ROOT < tea.as_str());
        assert_eq!(key_of_place(Kind::Category, &root), RootCategory::KEY);
        assert_eq!(key_of_place(Kind::Category, &green), "Tea\u{1f}Green");
        assert!(place(Kind::Product, "A", "z") < place(Kind::Product, "A1", "a"));
    }

    #[test]
    fn equal_numbers_are_equal_texts() {
        assert_eq!(number(Decimal::new(100, 2)), number(Decimal::ONE));
        assert_eq!(number(-Decimal::new(0, 2)), "0");
    }
}
