-- One customer's file. Three families of tables; what belongs where is the crate's main invariant.

-- 1. The journal itself.
CREATE TABLE meta(
    name  TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE entry(
    seq  INTEGER PRIMARY KEY,
    line TEXT NOT NULL
);

-- Cuts are kept, so that the same segment is made again until it is acknowledged, and after.
CREATE TABLE segment(
    sequence     INTEGER PRIMARY KEY,
    incarnation  INTEGER NOT NULL,
    epoch        INTEGER NOT NULL,
    first_seq    INTEGER NOT NULL,
    last_seq     INTEGER NOT NULL,
    previous     BLOB NOT NULL,
    hash         BLOB NOT NULL,
    at           INTEGER NOT NULL,
    acknowledged INTEGER NOT NULL
);
CREATE INDEX segment_open ON segment(sequence) WHERE acknowledged = 0;

-- 2. Projections: from entries alone, in the order of entries. `projection::TABLES` names them.
CREATE TABLE head(
    one         INTEGER PRIMARY KEY CHECK (one = 1),
    incarnation INTEGER NOT NULL,
    epoch       INTEGER NOT NULL,
    worker      INTEGER
);
CREATE TABLE counter(
    name  TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE shop(
    shop     INTEGER PRIMARY KEY,
    identity TEXT NOT NULL
);
-- Shops that had no products of their own when they were first read.
CREATE TABLE met(shop INTEGER PRIMARY KEY);
CREATE TABLE stock_mapping(
    one  INTEGER PRIMARY KEY CHECK (one = 1),
    body TEXT NOT NULL
);
CREATE TABLE cursor(
    shop   INTEGER NOT NULL,
    kind   INTEGER NOT NULL,
    cursor TEXT NOT NULL,
    at     INTEGER NOT NULL,
    PRIMARY KEY (shop, kind)
) WITHOUT ROWID;

-- When the last run began that read all of a feed and dealt with it.
CREATE TABLE looked(
    shop INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    at   INTEGER NOT NULL,
    PRIMARY KEY (shop, kind)
) WITHOUT ROWID;

CREATE TABLE run(
    run         INTEGER PRIMARY KEY,
    lane        TEXT NOT NULL,
    revision    INTEGER NOT NULL,
    causes      TEXT NOT NULL,
    started_at  INTEGER NOT NULL,
    started_seq INTEGER NOT NULL,
    finished_at INTEGER,
    result      TEXT,
    counts      TEXT,
    message     TEXT
);
CREATE TABLE run_page(
    run     INTEGER NOT NULL,
    shop    INTEGER NOT NULL,
    kind    INTEGER NOT NULL,
    pages   INTEGER NOT NULL,
    records INTEGER NOT NULL,
    changed INTEGER NOT NULL,
    bad     INTEGER NOT NULL,
    PRIMARY KEY (run, shop, kind)
) WITHOUT ROWID;
CREATE TABLE written(
    run         INTEGER NOT NULL,
    intent      INTEGER NOT NULL,
    seq         INTEGER NOT NULL,
    settled_seq INTEGER,
    state       TEXT NOT NULL,
    PRIMARY KEY (run, intent)
) WITHOUT ROWID;

CREATE TABLE record(
    record INTEGER PRIMARY KEY,
    kind   INTEGER NOT NULL,
    place  TEXT NOT NULL,
    keys   TEXT NOT NULL,
    ours   TEXT NOT NULL,
    -- When any of it last changed.
    changed_at INTEGER NOT NULL DEFAULT 0
);
-- Beside `record`, so that a search does not read every field of every record.
CREATE TABLE record_text(
    record INTEGER PRIMARY KEY,
    kind   INTEGER NOT NULL,
    title  TEXT NOT NULL,
    needle TEXT NOT NULL
);
CREATE INDEX record_text_kind ON record_text(kind);
CREATE TABLE record_key(
    kind   INTEGER NOT NULL,
    key    TEXT NOT NULL,
    record INTEGER NOT NULL,
    PRIMARY KEY (kind, key, record)
) WITHOUT ROWID;
CREATE TABLE record_gtin(
    gtin   TEXT NOT NULL,
    record INTEGER NOT NULL,
    PRIMARY KEY (gtin, record)
) WITHOUT ROWID;
CREATE INDEX record_gtin_record ON record_gtin(record);
-- Shops' records of which it is open, or was said by a person, which of ours they are.
CREATE TABLE doubt(
    shop   INTEGER NOT NULL,
    kind   INTEGER NOT NULL,
    id     TEXT NOT NULL,
    -- One of ours that it could be.
    record INTEGER NOT NULL,
    by_sku INTEGER NOT NULL,
    -- NULL: nobody has said. 0: none of ours.
    answer INTEGER,
    PRIMARY KEY (shop, kind, id, record)
) WITHOUT ROWID;
CREATE INDEX doubt_record ON doubt(record);
CREATE TABLE link(
    shop   INTEGER NOT NULL,
    kind   INTEGER NOT NULL,
    id     TEXT NOT NULL,
    record INTEGER NOT NULL,
    gone   INTEGER NOT NULL,
    seq    INTEGER NOT NULL,
    parts  TEXT NOT NULL,
    meant  TEXT NOT NULL,
    held   TEXT NOT NULL
);
CREATE UNIQUE INDEX link_id ON link(shop, kind, id);
CREATE INDEX link_record ON link(record);
CREATE TABLE due(
    record INTEGER NOT NULL,
    shop   INTEGER NOT NULL,
    kind   INTEGER NOT NULL,
    place  TEXT NOT NULL,
    -- Nothing is missing there but pictures.
    pictures INTEGER NOT NULL DEFAULT 0,
    failed INTEGER NOT NULL,
    PRIMARY KEY (record, shop)
) WITHOUT ROWID;
CREATE INDEX due_place ON due(kind, place);
CREATE INDEX due_fields ON due(kind, place) WHERE pictures = 0;
CREATE INDEX due_pictures ON due(kind, place) WHERE pictures = 1;
-- Items that bear another SKU in our record than the one that they are named after. Of all others their name says it.
CREATE TABLE item_sku(
    item   TEXT PRIMARY KEY,
    record INTEGER NOT NULL,
    -- NULL: none.
    sku    TEXT
) WITHOUT ROWID;
CREATE INDEX item_sku_sku ON item_sku(sku);
CREATE INDEX item_sku_record ON item_sku(record);
-- The same in a shop.
CREATE TABLE item_at(
    shop    INTEGER NOT NULL,
    item    TEXT NOT NULL,
    record  INTEGER NOT NULL,
    sku     TEXT,
    variant TEXT NOT NULL,
    PRIMARY KEY (shop, item)
) WITHOUT ROWID;
CREATE INDEX item_at_sku ON item_at(shop, sku);
CREATE INDEX item_at_variant ON item_at(shop, variant);
CREATE INDEX item_at_record ON item_at(record, shop);
-- Categories that records are in and that have no link in a shop yet.
CREATE TABLE awaited(
    shop     INTEGER NOT NULL,
    -- t: and the shop's id of it, o: and our own.
    category TEXT NOT NULL,
    record   INTEGER NOT NULL,
    PRIMARY KEY (shop, category, record)
) WITHOUT ROWID;
CREATE INDEX awaited_record ON awaited(record);

CREATE TABLE intent(
    intent  INTEGER PRIMARY KEY,
    run     INTEGER NOT NULL,
    shop    INTEGER NOT NULL,
    subject TEXT NOT NULL,
    item    TEXT,
    what    TEXT NOT NULL,
    at      INTEGER NOT NULL,
    look_at INTEGER
);
CREATE INDEX intent_subject ON intent(subject, shop);
CREATE TABLE aside(
    subject  TEXT NOT NULL,
    shop     INTEGER NOT NULL,
    fault    TEXT NOT NULL,
    retry_at INTEGER NOT NULL,
    tries    INTEGER NOT NULL,
    at       INTEGER NOT NULL,
    -- The changes that failed, by their fingerprints, oldest first. Empty: no change at all is made meanwhile.
    refused  TEXT NOT NULL DEFAULT '[]',
    -- The record was seen to move since: what is to be written may be another change.
    moved    INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (subject, shop)
) WITHOUT ROWID;
CREATE TABLE conflict(
    conflict  INTEGER PRIMARY KEY,
    subject   TEXT NOT NULL,
    about     TEXT NOT NULL,
    at        INTEGER NOT NULL,
    closed_at INTEGER,
    decision  TEXT,
    -- A person's name; NULL: it closed by itself.
    decided_by TEXT
);
CREATE INDEX conflict_of ON conflict(subject, closed_at);

CREATE TABLE purchase(
    order_key      TEXT PRIMARY KEY,
    first_seq      INTEGER NOT NULL,
    before_opening INTEGER NOT NULL,
    held           TEXT,
    -- What was changed after the copy was made and is to be carried or asked about.
    edited         TEXT
);
CREATE INDEX purchase_first ON purchase(first_seq);
CREATE INDEX purchase_held ON purchase(first_seq) WHERE held IS NOT NULL;
CREATE TABLE known_order(
    order_key TEXT NOT NULL,
    shop      INTEGER NOT NULL,
    id        TEXT NOT NULL,
    number    TEXT NOT NULL,
    placed    INTEGER NOT NULL,
    accepted  INTEGER NOT NULL,
    seq       INTEGER NOT NULL,
    state     TEXT NOT NULL,
    sealed    TEXT,
    PRIMARY KEY (order_key, shop)
);
CREATE TABLE order_copy(
    order_key TEXT NOT NULL,
    shop      INTEGER NOT NULL,
    id        TEXT NOT NULL,
    -- Which of its lines were made of which of the origin's.
    links     TEXT,
    PRIMARY KEY (order_key, shop)
) WITHOUT ROWID;
CREATE INDEX order_copy_id ON order_copy(shop, id);
CREATE TABLE order_dirty(order_key TEXT PRIMARY KEY) WITHOUT ROWID;
-- Orders whose buyers are forgotten.
CREATE TABLE erased(
    order_key TEXT PRIMARY KEY,
    at        INTEGER NOT NULL,
    -- A person's name; NULL: by the settings' bound.
    erased_by TEXT
) WITHOUT ROWID;
CREATE TABLE order_line(
    order_key TEXT NOT NULL,
    shop      INTEGER NOT NULL,
    item      TEXT NOT NULL,
    stock     INTEGER NOT NULL,
    wanted    TEXT NOT NULL,
    taken     TEXT NOT NULL,
    done      INTEGER NOT NULL,
    -- The entry that took it out of the sums; 0: it counts.
    closed    INTEGER NOT NULL,
    PRIMARY KEY (order_key, shop, item, stock)
) WITHOUT ROWID;
CREATE INDEX order_line_item ON order_line(item, stock, order_key) WHERE closed = 0;

CREATE TABLE level(
    item   TEXT NOT NULL,
    stock  INTEGER NOT NULL,
    shop   INTEGER NOT NULL,
    level  TEXT NOT NULL,
    taken  TEXT NOT NULL,
    meant  TEXT,
    target TEXT,
    -- The shop no longer has the item: the level is as last seen, and nobody writes it.
    gone   INTEGER NOT NULL DEFAULT 0,
    -- The shop's own id of what it is of, where it tells.
    variant TEXT,
    -- Its item was known by another name when it was read: it may be another's, and is read again.
    stale   INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (item, stock, shop)
) WITHOUT ROWID;
CREATE INDEX level_shop ON level(shop, item);
CREATE INDEX level_variant ON level(shop, variant) WHERE variant IS NOT NULL;
CREATE INDEX level_stale ON level(shop, item) WHERE stale = 1;
CREATE TABLE taken(
    item  TEXT NOT NULL,
    stock INTEGER NOT NULL,
    shop  INTEGER NOT NULL,
    taken TEXT NOT NULL,
    PRIMARY KEY (item, stock, shop)
) WITHOUT ROWID;
CREATE TABLE base(
    item  TEXT NOT NULL,
    stock INTEGER NOT NULL,
    base  TEXT NOT NULL,
    -- The shop that it was opened by, or that owned the stock later.
    counted_by INTEGER,
    -- A count has left nothing of what the orders had left.
    emptied INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (item, stock)
) WITHOUT ROWID;
CREATE TABLE movement(
    item  TEXT NOT NULL,
    stock INTEGER NOT NULL,
    seq   INTEGER NOT NULL,
    at    INTEGER NOT NULL,
    delta TEXT NOT NULL,
    cause TEXT NOT NULL,
    PRIMARY KEY (item, stock, seq)
) WITHOUT ROWID;
CREATE TABLE item_dirty(
    item  TEXT NOT NULL,
    stock INTEGER NOT NULL,
    PRIMARY KEY (item, stock)
) WITHOUT ROWID;

CREATE TABLE history(
    subject TEXT NOT NULL,
    seq     INTEGER NOT NULL,
    PRIMARY KEY (subject, seq)
) WITHOUT ROWID;

-- 3. This file's own: never an entry, never in a segment.
CREATE TABLE staged(
    reading INTEGER PRIMARY KEY AUTOINCREMENT,
    shop    INTEGER NOT NULL,
    kind    INTEGER NOT NULL,
    id      TEXT NOT NULL,
    place   TEXT NOT NULL,
    keys    TEXT NOT NULL,
    gone    INTEGER NOT NULL,
    fields  TEXT NOT NULL,
    -- When the request that read it left, at the latest.
    left_at INTEGER NOT NULL DEFAULT 0,
    parts   TEXT NOT NULL
);
CREATE UNIQUE INDEX staged_id ON staged(shop, kind, id);
CREATE INDEX staged_place ON staged(kind, place);
CREATE TABLE staged_key(
    kind    INTEGER NOT NULL,
    key     TEXT NOT NULL,
    reading INTEGER NOT NULL,
    PRIMARY KEY (kind, key, reading)
) WITHOUT ROWID;
CREATE INDEX staged_key_reading ON staged_key(reading);
CREATE TABLE staged_gtin(
    gtin    TEXT NOT NULL,
    reading INTEGER NOT NULL,
    PRIMARY KEY (gtin, reading)
) WITHOUT ROWID;
CREATE INDEX staged_gtin_reading ON staged_gtin(reading);
CREATE TABLE staged_order(
    reading   INTEGER PRIMARY KEY AUTOINCREMENT,
    shop      INTEGER NOT NULL,
    id        TEXT NOT NULL,
    order_key TEXT NOT NULL,
    state     TEXT NOT NULL,
    sealed    TEXT,
    left_at   INTEGER NOT NULL DEFAULT 0
);
CREATE UNIQUE INDEX staged_order_id ON staged_order(shop, id);
CREATE INDEX staged_order_key ON staged_order(order_key);
CREATE TABLE staged_level(
    reading INTEGER PRIMARY KEY AUTOINCREMENT,
    item    TEXT NOT NULL,
    stock   INTEGER NOT NULL,
    shop    INTEGER NOT NULL,
    level   TEXT NOT NULL,
    left_at INTEGER NOT NULL DEFAULT 0
);
CREATE UNIQUE INDEX staged_level_id ON staged_level(item, stock, shop);
CREATE TABLE person_key(
    order_key TEXT PRIMARY KEY,
    key       BLOB NOT NULL
) WITHOUT ROWID;
CREATE TABLE plan(
    run  INTEGER NOT NULL,
    ord  INTEGER NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (run, ord)
);
