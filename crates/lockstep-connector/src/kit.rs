//! The contract kit: what a connector must prove, one function for each line of its table.
//!
//! A line is written against [`ShopUnderTest`]: how a real shop is seeded, edited, bought in and looked at *without* the
//! connector. Lines that need no shop (broken answers, throttling, secrets) run over [`ports::Canned`]. A connector may
//! say `None` only to what its platform cannot do.

mod categories;
mod feed;
mod hooks;
mod identity;
mod orders;
pub mod ports;
mod pressure;
mod products;
mod pulls;
mod reading;
mod shop;
mod stock;
mod writing;

pub use orders::copy;
pub use shop::{Seed, Seen, ShopUnderTest};

use lockstep_model::Fault;
use std::fmt;
use std::future::Future;
use std::pin::Pin;

/// How a line was proven.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    Live,
    Scripted,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proof {
    Yes(How),
    /// The platform has no such thing, and the manifest says so.
    None(&'static str),
}

/// Why a line is not proven.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure(pub String);

pub type Told = Result<Proof, Failure>;

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Failure(format!("{:?}: {}", fault.kind, fault.message))
    }
}

impl From<String> for Failure {
    fn from(text: String) -> Self {
        Failure(text)
    }
}

impl fmt::Display for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Proof::Yes(How::Live) => f.write_str("yes (live)"),
            Proof::Yes(How::Scripted) => f.write_str("yes (scripted)"),
            Proof::None(why) => write!(f, "no: {why}"),
        }
    }
}

/// Fails the line unless this holds.
macro_rules! ensure {
    ($holds:expr, $($why:tt)+) => {
        if !$holds {
            return Err($crate::kit::Failure(format!($($why)+)));
        }
    };
}
pub(crate) use ensure;

type Running<'a> = Pin<Box<dyn Future<Output = Told> + Send + 'a>>;

/// A line of the table.
#[derive(Clone, Copy)]
pub struct Line {
    pub number: &'static str,
    pub name: &'static str,
    pub run: for<'a> fn(&'a dyn ShopUnderTest) -> Running<'a>,
}

macro_rules! lines {
    ($($number:literal $module:ident :: $name:ident;)*) => {
        $(
            #[doc = concat!("Line ", $number, ".")]
            pub async fn $name(shop: &dyn ShopUnderTest) -> Told {
                $module::$name(shop).await
            }
        )*

        /// All lines, in the table's order.
        pub const LINES: &[Line] = &[$(
            Line {
                number: $number,
                name: stringify!($name),
                run: |shop| Box::pin($module::$name(shop)),
            },
        )*];

        /// One test for each line: `$run` is called with the line and has to finish it.
        #[macro_export]
        macro_rules! kit_tests {
            ($run:path) => {
                $(
                    #[test]
                    fn $name() {
                        $run(stringify!($name));
                    }
                )*
            };
        }
    };
}

lines! {
    "1" identity::check_names_the_shop;
    "2" identity::check_tells_wrong_address_wrong_key_missing_right_apart;
    "4" reading::first_pull_sees_every_record_once;
    "5" reading::a_bad_record_does_not_hide_its_page;
    "6" reading::an_empty_shop_is_an_empty_page;
    "7" reading::a_failed_page_is_a_fault_not_an_empty_page;
    "9" reading::memory_stays_flat_over_a_long_pull;
    "10" feed::an_edit_is_seen_once;
    "11" feed::edits_within_one_second_are_all_seen;
    "12" feed::a_price_change_is_seen;
    "13" feed::a_stock_change_is_seen;
    "16" feed::a_delete_is_seen;
    "19" products::a_simple_product_makes_the_round_trip;
    "20" products::variants_make_the_round_trip;
    "21" products::prices_make_the_round_trip;
    "28" products::an_update_touches_only_what_it_says;
    "34" categories::a_membership_is_set_and_cleared;
    "35" categories::a_root_category_is_made_or_used;
    "41" stock::a_level_is_set;
    "42" stock::a_level_is_set_by_the_safest_call;
    "45" stock::a_sale_between_read_and_write_is_not_lost;
    "46" stock::available_and_taken_agree_with_the_platform;
    "47" orders::an_order_is_read_in_full;
    "49" orders::an_order_is_created_once_by_key;
    "50" orders::a_lost_reply_and_a_late_write_do_not_create_a_second;
    "51" orders::two_creators_with_one_key_make_one;
    "57e" orders::a_copy_is_never_taken_for_an_order;
    "58" writing::a_batch_of_the_largest_safe_size_is_one_call;
    "59" writing::one_bad_member_fails_alone;
    "60" writing::an_echo_of_our_own_write_is_not_a_change;
    "61" writing::an_unknown_outcome_leads_to_a_look_and_not_to_a_repeat;
    "63" pressure::throttling_is_told_and_learned_from;
    "64" pressure::every_broken_answer_is_its_fault;
    "66" pressure::secrets_are_never_in_faults;
    "67" hooks::hooks_are_registered_listed_removed_and_enabled_again;
    "68" hooks::a_signature_is_checked_on_the_raw_bytes;
    "69" hooks::duplicates_and_disorder_are_harmless;
}

pub fn line(name: &str) -> Option<Line> {
    LINES.iter().find(|line| line.name == name).copied()
}

/// What came of each line for one platform.
pub struct Column {
    pub platform: String,
    pub cells: Vec<(Line, Told)>,
}

impl Column {
    pub fn failures(&self) -> impl Iterator<Item = (&Line, &Failure)> {
        let cells = self.cells.iter();
        cells.filter_map(|(line, told)| told.as_ref().err().map(|failure| (line, failure)))
    }
}

/// Runs all lines against one shop, one after the other.
pub async fn run(shop: &dyn ShopUnderTest) -> Column {
    let mut cells = Vec::new();
    for line in LINES {
        cells.push((*line, (line.run)(shop).await));
    }
    Column {
        platform: shop.platform().manifest().platform.to_owned(),
        cells,
    }
}

/// The table platform × ability, in Markdown.
pub fn table(columns: &[Column]) -> String {
    use fmt::Write as _;
    let mut out = String::from("| | |");
    for column in columns {
        let _ = write!(out, " {} |", column.platform);
    }
    out.push_str("\n|---|---|");
    out.push_str(&"---|".repeat(columns.len()));
    for (at, line) in LINES.iter().enumerate() {
        let _ = write!(out, "\n| {} | `{}` |", line.number, line.name);
        for column in columns {
            let cell = match column.cells.get(at).map(|(_, told)| told) {
                Some(Ok(proof)) => proof.to_string(),
                Some(Err(failure)) => format!("**failed**: {failure}"),
                None => "not run".to_owned(),
            };
            let _ = write!(out, " {cell} |");
        }
    }
    out.push('\n');
    out
}
