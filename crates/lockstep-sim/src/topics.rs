//! What a history may have in it beside what every history has: each topic can be left out, so that what it brings to
//! light can be told from the rest. A history draws some of those that its scenario allows.

use crate::dice::Dice;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Topic {
    /// Orders of up to three lines.
    SeveralLines,
    /// Two lines of one SKU, at two prices.
    TwinLines,
    /// A line that is no item of stock.
    LinesWithoutStock,
    /// Shipping, fees and discounts.
    Charges,
    /// Two tax rates.
    Taxes,
    /// Orders are shipped in parts.
    Parts,
    /// Parcels bear a carrier and a number.
    Tracking,
    /// Each parcel is on both sides, however many there are.
    Parcels,
    /// A part of an order that has crossed is cancelled.
    PartCancels,
    /// What comes back cannot be sold again.
    Broken,
    /// Nor where the shop's number does not show that it was ever sold.
    BrokenUnseen,
    /// Money is given back, and no goods come back.
    Refunds,
    /// Money is promised before it is paid.
    Authorised,
    /// Shops whose orders cross in other states.
    Gates,
    /// Orders are older than the date from which they cross.
    Opening,
    /// Selling shops are not told of all units.
    Buffers,
    /// Products are drafts, active or archived.
    Statuses,
    /// Descriptions, texts in other languages, sale prices.
    Texts,
    /// Variants come and go.
    Variants,
    /// Products are deleted where they come from.
    Deletes,
    /// And made again with their SKU.
    MadeAgain,
    RenamedSkus,
    /// Two products change SKUs.
    SwappedSkus,
    /// A tree of categories, and products in them.
    Trees,
    Pictures,
    /// A shop keeps pictures as something else than it was given.
    ReencodedPictures,
    /// A shop is given some of the products.
    Assortments,
    /// All money of an order is given back before anything has left.
    FullRefunds,
    /// Buyers correct where their goods go to.
    Readdressed,
    /// The date from which orders cross is moved past orders that have crossed.
    OpeningMoved,
    /// A count leaves nothing of anything.
    Wiped,
    /// Shops refuse everything, or one record, for a while.
    Refusals,
    /// Pages take several times what a write needs to settle.
    SlowPages,
    /// Settings are closed and opened while everything goes on.
    Closings,
    /// The ERP has a second stock, and a shop may sell from both.
    Stocks,
    /// Runs are undone.
    Undo,
    /// People of a selling shop delete products.
    DeletedThere,
}

impl Topic {
    /// Of what is bought, and what becomes of it.
    const OF_ORDERS: [Topic; 16] = [
        Topic::SeveralLines,
        Topic::TwinLines,
        Topic::LinesWithoutStock,
        Topic::Charges,
        Topic::Taxes,
        Topic::Parts,
        Topic::Tracking,
        Topic::Parcels,
        Topic::PartCancels,
        Topic::Broken,
        Topic::BrokenUnseen,
        Topic::Refunds,
        Topic::Authorised,
        Topic::Gates,
        Topic::Opening,
        Topic::Buffers,
    ];

    /// Of what is sold, and how it is shown.
    pub const OF_THE_CATALOGUE: [Topic; 11] = [
        Topic::Statuses,
        Topic::Texts,
        Topic::Variants,
        Topic::Deletes,
        Topic::MadeAgain,
        Topic::RenamedSkus,
        Topic::SwappedSkus,
        Topic::Trees,
        Topic::Pictures,
        Topic::ReencodedPictures,
        Topic::Assortments,
    ];

    /// What befalls an order or a shop while all goes on. These came later than the others.
    const LATE: [Topic; 10] = [
        Topic::FullRefunds,
        Topic::Readdressed,
        Topic::OpeningMoved,
        Topic::Wiped,
        Topic::Refusals,
        Topic::SlowPages,
        Topic::Closings,
        Topic::Stocks,
        Topic::Undo,
        Topic::DeletedThere,
    ];

    pub fn all() -> impl Iterator<Item = Topic> {
        let early = Self::OF_ORDERS.into_iter().chain(Self::OF_THE_CATALOGUE);
        early.chain(Self::LATE)
    }

    /// In how many of a hundred histories it is.
    fn percent(self) -> u64 {
        match self {
            // While nothing is left of anything little else can be seen.
            Topic::Wiped => 15,
            _ => 65,
        }
    }

    fn bit(self) -> u64 {
        1 << (self as u8)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Topics(u64);

impl Topics {
    pub const NONE: Topics = Topics(0);
    pub fn of(topics: &[Topic]) -> Self {
        topics.iter().copied().fold(Self::NONE, Self::and)
    }

    pub fn and(self, topic: Topic) -> Self {
        Topics(self.0 | topic.bit())
    }

    pub fn or(self, other: Self) -> Self {
        Topics(self.0 | other.0)
    }

    pub fn all() -> Self {
        Topic::all().fold(Self::NONE, Self::and)
    }

    /// All that the product is known to be right in.
    pub fn usual() -> Self {
        Self::all()
    }

    pub fn without(self, topics: &[Topic]) -> Self {
        Topics(self.0 & !Self::of(topics).0)
    }

    pub fn has(self, topic: Topic) -> bool {
        self.0 & topic.bit() != 0
    }

    pub fn has_any(self, topics: &[Topic]) -> bool {
        topics.iter().any(|topic| self.has(*topic))
    }

    /// About two in three of most of them: what is seen only without another is seen too.
    /// `late`: for the topics that came later, so that the histories of a seed stay what they were without them.
    pub fn some(self, dice: &mut Dice, late: &mut Dice) -> Self {
        let drawn = Topic::all().filter(|topic| {
            let is_late = Topic::LATE.contains(topic);
            let dice = if is_late { &mut *late } else { &mut *dice };
            // Each is asked, so that a topic that is left out does not change which others are drawn.
            let drawn = dice.chance(topic.percent());
            drawn && self.has(*topic)
        });
        let drawn = drawn.fold(Self::NONE, Self::and);
        // A product that is deleted, or made again with the SKU that another had a moment ago, and half a swap that is undone:
        // nobody has said yet what is right.
        let parted = [
            Topic::Deletes,
            Topic::MadeAgain,
            Topic::DeletedThere,
            Topic::Undo,
        ];
        if drawn.has_any(&parted) {
            drawn.without(&[Topic::SwappedSkus])
        } else {
            drawn
        }
    }
}

impl std::fmt::Display for Topics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names = Topic::all().filter(|topic| self.has(*topic));
        let names: Vec<String> = names.map(|topic| format!("{topic:?}")).collect();
        f.write_str(&names.join(" "))
    }
}
