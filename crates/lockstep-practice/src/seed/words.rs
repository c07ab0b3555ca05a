//! The words that the catalogue is made of, in English and Finnish.

/// Categories: name, Finnish name, and the index of the parent.
pub const TREE: [(&str, &str, Option<usize>); 24] = [
    ("Clothing", "Vaatteet", None),
    ("Home", "Koti", None),
    ("Outdoor", "Ulkoilu", None),
    ("Office", "Toimisto", None),
    ("Food and drink", "Ruoka ja juoma", None),
    ("Tops", "Yläosat", Some(0)),
    ("Accessories", "Asusteet", Some(0)),
    ("Footwear", "Jalkineet", Some(0)),
    ("Scarves and hats", "Huivit ja hatut", Some(6)),
    ("Gloves and socks", "Käsineet ja sukat", Some(6)),
    ("Kitchen", "Keittiö", Some(1)),
    ("Living room", "Olohuone", Some(1)),
    ("Bath", "Kylpyhuone", Some(1)),
    ("Mugs and bowls", "Mukit ja kulhot", Some(10)),
    ("Cookware", "Keittoastiat", Some(10)),
    ("Lamps", "Valaisimet", Some(11)),
    ("Textiles", "Tekstiilit", Some(11)),
    ("Camping", "Retkeily", Some(2)),
    ("Bags", "Laukut", Some(2)),
    ("Bottles", "Juomapullot", Some(17)),
    ("Paper", "Paperi", Some(3)),
    ("Desk", "Työpöytä", Some(3)),
    ("Coffee and tea", "Kahvi ja tee", Some(4)),
    ("Sweets", "Makeiset", Some(4)),
];

pub const ADJECTIVES: [(&str, &str); 24] = [
    ("Nordic", "Pohjoinen"),
    ("Classic", "Klassinen"),
    ("Quiet", "Hiljainen"),
    ("Morning", "Aamun"),
    ("Harbour", "Sataman"),
    ("Forest", "Metsän"),
    ("Winter", "Talvinen"),
    ("Summer", "Kesäinen"),
    ("Lakeside", "Järven"),
    ("Everyday", "Arkinen"),
    ("Grand", "Suuri"),
    ("Little", "Pieni"),
    ("Northern", "Pohjolan"),
    ("Island", "Saaren"),
    ("Meadow", "Niityn"),
    ("Studio", "Studio"),
    ("Heritage", "Perinne"),
    ("Modern", "Moderni"),
    ("Polar", "Polaarinen"),
    ("Birch", "Koivuinen"),
    ("Copper", "Kuparinen"),
    ("Market", "Torin"),
    ("Sauna", "Saunan"),
    ("Evening", "Illan"),
];

/// Name, Finnish name, and the colour itself.
pub const COLOURS: [(&str, &str, &str); 14] = [
    ("moss", "sammal", "#6f8352"),
    ("sky", "taivas", "#6ea8d8"),
    ("rust", "ruoste", "#b5563a"),
    ("cream", "kerma", "#d9c69a"),
    ("charcoal", "hiili", "#4a4f57"),
    ("rose", "ruusu", "#cf7c8c"),
    ("ochre", "okra", "#c9952f"),
    ("navy", "laivasto", "#2f456e"),
    ("sage", "salvia", "#94a78b"),
    ("plum", "luumu", "#7a4a72"),
    ("sand", "hiekka", "#c2a77f"),
    ("teal", "sinivihreä", "#2f7f80"),
    ("berry", "marja", "#9b2f4f"),
    ("snow", "lumi", "#a9b8c4"),
];

/// A kind of product.
pub struct Noun {
    pub en: &'static str,
    pub fi: &'static str,
    /// English, and the Finnish first part of the compound.
    pub material: (&'static str, &'static str),
    pub category: usize,
    pub price_cents: i64,
    pub weight_g: i64,
    pub option: &'static str,
    pub values: &'static [&'static str],
    pub tax_class: &'static str,
    pub shape: usize,
    pub story: &'static str,
}

const SIZES: &[&str] = &["S", "M", "L", "XL"];
const GLOVES: &[&str] = &["S", "M", "L"];
const SHOES: &[&str] = &["38", "40", "42", "44"];
const VOLUMES: &[&str] = &["0.3 l", "0.5 l"];
const BAGS: &[&str] = &["15 l", "25 l"];
const PACKS: &[&str] = &["250 g", "500 g", "1 kg"];
const BEDS: &[&str] = &["Single", "Double"];
const ONE: &[&str] = &[];

/// One kind of product in one line: a table reads better so.
#[allow(clippy::too_many_arguments)]
const fn noun(
    en: &'static str,
    fi: &'static str,
    material: (&'static str, &'static str),
    category: usize,
    price_cents: i64,
    weight_g: i64,
    option: &'static str,
    values: &'static [&'static str],
    shape: usize,
    story: &'static str,
) -> Noun {
    let food = category >= 22;
    Noun {
        en,
        fi,
        material,
        category,
        price_cents,
        weight_g,
        option,
        values,
        tax_class: if food { "reduced" } else { "standard" },
        shape,
        story,
    }
}

#[rustfmt::skip]
pub fn nouns() -> Vec<Noun> {
    vec![
        noun("scarf", "huivi", ("wool", "villa"), 8, 2_400, 9, "Size", ONE, 5, "Long enough to go round twice."),
        noun("beanie", "pipo", ("merino", "merino"), 8, 1_900, 90, "Size", GLOVES, 5, "Stays put in the wind."),
        noun("mittens", "lapaset", ("wool", "villa"), 9, 2_200, 110, "Size", GLOVES, 5, "Warm to twenty below."),
        noun("gloves", "käsineet", ("leather", "nahka"), 9, 3_900, 120, "Size", GLOVES, 5, "They get better with the years."),
        noun("socks", "sukat", ("cotton", "puuvilla"), 9, 900, 60, "Size", SHOES, 5, "Knitted without a seam at the toe."),
        noun("jumper", "neule", ("lambswool", "villa"), 5, 7_900, 520, "Size", SIZES, 0, "A plain knit for every day of the winter."),
        noun("shirt", "paita", ("linen", "pellava"), 5, 5_400, 240, "Size", SIZES, 0, "Washed once, so it will not shrink again."),
        noun("T-shirt", "T-paita", ("cotton", "puuvilla"), 5, 2_400, 170, "Size", SIZES, 0, "Heavy cotton, short sleeves."),
        noun("cardigan", "villatakki", ("merino", "merino"), 5, 8_900, 480, "Size", SIZES, 0, "Five buttons made of horn."),
        noun("boots", "saappaat", ("rubber", "kumi"), 7, 6_900, 1_400, "Size", SHOES, 4, "For puddles of any depth."),
        noun("slippers", "tossut", ("felt", "huopa"), 7, 3_400, 320, "Size", SHOES, 4, "Felted in one piece."),
        noun("sandals", "sandaalit", ("leather", "nahka"), 7, 5_900, 460, "Size", SHOES, 4, "Two straps, one buckle."),
        noun("mug", "muki", ("stoneware", "kivi"), 13, 1_400, 340, "Size", VOLUMES, 1, "Fits both hands, and the dishwasher."),
        noun("bowl", "kulho", ("stoneware", "kivi"), 13, 1_700, 11, "Size", ONE, 1, "For porridge, soup or keys."),
        noun("teapot", "teekannu", ("porcelain", "posliini"), 13, 4_200, 780, "Size", ONE, 1, "Pours without a drop beside the cup."),
        noun("pan", "pannu", ("cast-iron", "valurauta"), 14, 5_600, 2_100, "Size", ONE, 10, "Seasoned and ready for the fire."),
        noun("saucepan", "kattila", ("steel", "teräs"), 14, 4_900, 1_200, "Size", ONE, 10, "With a lid that closes well."),
        noun("chopping board", "leikkuulauta", ("birch", "koivu"), 10, 2_600, 900, "Size", ONE, 3, "Oiled by hand."),
        noun("apron", "esiliina", ("linen", "pellava"), 10, 2_900, 260, "Size", ONE, 0, "Two pockets and a loop for a towel."),
        noun("table lamp", "pöytälamppu", ("ash", "saarni"), 15, 7_400, 1_300, "Size", ONE, 2, "A warm light for late reading."),
        noun("pendant lamp", "riippuvalaisin", ("paper", "paperi"), 15, 8_900, 700, "Size", ONE, 2, "Folded from a single sheet."),
        noun("candle holder", "kynttilänjalka", ("brass", "messinki"), 11, 1_900, 260, "Size", ONE, 2, "For the dark months."),
        noun("blanket", "huopa", ("mohair", "mohair"), 16, 8_400, 9, "Size", BEDS, 3, "Light, and warmer than it looks."),
        noun("cushion cover", "tyynynpäällinen", ("linen", "pellava"), 16, 2_400, 9, "Size", ONE, 3, "With a hidden zip."),
        noun("rug", "matto", ("cotton", "puuvilla"), 16, 6_400, 1_900, "Size", ONE, 9, "Woven from what other rugs left over."),
        noun("towel", "pyyhe", ("waffle", "vohveli"), 12, 1_900, 9, "Size", BEDS, 3, "Dries fast, in the sauna too."),
        noun("soap dish", "saippua-alusta", ("larch", "lehtikuusi"), 12, 1_100, 11, "Size", ONE, 1, "Lets the soap dry between washes."),
        noun("tent", "teltta", ("canvas", "kangas"), 17, 24_900, 4_800, "Size", ONE, 8, "Up in four minutes."),
        noun("sleeping bag", "makuupussi", ("down", "untuva"), 17, 16_900, 1_300, "Size", SIZES, 9, "Comfort to minus five."),
        noun("camp stove", "retkikeitin", ("steel", "teräs"), 17, 6_900, 10, "Size", ONE, 6, "Boils a litre in five minutes."),
        noun("backpack", "reppu", ("waxed", "vaha"), 18, 9_900, 980, "Size", BAGS, 6, "Keeps the rain where it belongs."),
        noun("tote bag", "kangaskassi", ("cotton", "puuvilla"), 18, 1_500, 160, "Size", ONE, 6, "Carries a week of groceries."),
        noun("water bottle", "juomapullo", ("steel", "teräs"), 19, 2_400, 290, "Size", VOLUMES, 7, "Cold for a day, hot for half of one."),
        noun("thermos", "termos", ("steel", "teräs"), 19, 3_900, 420, "Size", VOLUMES, 7, "For coffee on the ice."),
        noun("notebook", "muistikirja", ("recycled", "kierrätys"), 20, 900, 220, "Size", ONE, 3, "Dotted, lies flat."),
        noun("calendar", "kalenteri", ("paper", "paperi"), 20, 1_600, 240, "Size", ONE, 3, "A week on each page."),
        noun("pencil case", "penaali", ("canvas", "kangas"), 21, 1_400, 80, "Size", ONE, 3, "Holds more than it should."),
        noun("desk tray", "lokerikko", ("oak", "tammi"), 21, 3_400, 11, "Size", ONE, 3, "Brings order to one corner at least."),
        noun("coffee", "kahvi", ("light-roast", "vaalea"), 22, 700, 250, "Pack", PACKS, 7, "Notes of berries and cocoa."),
        noun("liquorice", "lakritsi", ("salty", "suola"), 23, 400, 250, "Pack", PACKS, 7, "Not for everybody."),
    ]
}
