CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
-- The last stamp given out: stamps never repeat, also over restarts and clocks set back.
CREATE TABLE clock (one INTEGER PRIMARY KEY CHECK (one = 1), last INTEGER NOT NULL);

CREATE TABLE category (
    id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, names TEXT NOT NULL, parent_id INTEGER REFERENCES category (id),
    position INTEGER NOT NULL, rev INTEGER NOT NULL, changed INTEGER NOT NULL, created INTEGER NOT NULL);
CREATE INDEX category_changed ON category (changed);
CREATE INDEX category_parent ON category (parent_id);

CREATE TABLE product (
    id INTEGER PRIMARY KEY AUTOINCREMENT, handle TEXT NOT NULL UNIQUE, title TEXT NOT NULL, description TEXT NOT NULL, texts TEXT NOT NULL,
    status TEXT NOT NULL, shop_versions TEXT NOT NULL, tax_rate TEXT NOT NULL, options TEXT NOT NULL, attributes TEXT NOT NULL,
    rev INTEGER NOT NULL, changed INTEGER NOT NULL, created INTEGER NOT NULL);
CREATE INDEX product_changed ON product (changed);

CREATE TABLE product_category (
    product_id INTEGER NOT NULL REFERENCES product (id) ON DELETE CASCADE, category_id INTEGER NOT NULL REFERENCES category (id),
    position INTEGER NOT NULL, PRIMARY KEY (product_id, category_id)) WITHOUT ROWID;
CREATE INDEX product_category_by_category ON product_category (category_id, product_id);

CREATE TABLE variant (
    id INTEGER PRIMARY KEY AUTOINCREMENT, product_id INTEGER NOT NULL REFERENCES product (id) ON DELETE CASCADE,
    sku TEXT NOT NULL UNIQUE, gtin TEXT, price TEXT NOT NULL, sale_price TEXT, sale_from INTEGER, sale_until INTEGER, cost TEXT,
    options TEXT NOT NULL, weight_g INTEGER, backorder INTEGER NOT NULL, position INTEGER NOT NULL, status TEXT NOT NULL);
CREATE INDEX variant_product ON variant (product_id);

CREATE TABLE blob (sha256 TEXT PRIMARY KEY, content_type TEXT NOT NULL, bytes BLOB NOT NULL);
CREATE TABLE picture (
    id INTEGER PRIMARY KEY AUTOINCREMENT, product_id INTEGER NOT NULL REFERENCES product (id) ON DELETE CASCADE,
    sha256 TEXT NOT NULL REFERENCES blob (sha256), alt TEXT NOT NULL, position INTEGER NOT NULL, variant_id INTEGER);
CREATE INDEX picture_product ON picture (product_id);
CREATE INDEX picture_blob ON picture (sha256);

CREATE TABLE level (
    id INTEGER PRIMARY KEY AUTOINCREMENT, variant_id INTEGER NOT NULL REFERENCES variant (id) ON DELETE CASCADE, stock_id TEXT NOT NULL,
    on_hand INTEGER NOT NULL, reserved INTEGER NOT NULL, location TEXT, rev INTEGER NOT NULL, changed INTEGER NOT NULL,
    UNIQUE (variant_id, stock_id));
CREATE INDEX level_changed ON level (changed);

CREATE TABLE sale (
    id INTEGER PRIMARY KEY AUTOINCREMENT, number TEXT NOT NULL UNIQUE, external_key TEXT UNIQUE, page_key TEXT NOT NULL,
    body TEXT NOT NULL, hidden_until INTEGER NOT NULL, changed INTEGER NOT NULL);
CREATE INDEX sale_changed ON sale (changed);
CREATE INDEX sale_hidden ON sale (hidden_until) WHERE hidden_until > 0;
CREATE TABLE sale_line (
    sale_id INTEGER NOT NULL REFERENCES sale (id), line_id TEXT NOT NULL, sku TEXT NOT NULL, variant_id INTEGER NOT NULL,
    PRIMARY KEY (sale_id, line_id)) WITHOUT ROWID;
CREATE INDEX sale_line_sku ON sale_line (sku, sale_id);

CREATE TABLE tombstone (
    changed INTEGER PRIMARY KEY, kind TEXT NOT NULL, record TEXT NOT NULL, stock_id TEXT);
CREATE INDEX tombstone_kind ON tombstone (kind, changed);

CREATE TABLE hook (
    id INTEGER PRIMARY KEY AUTOINCREMENT, url TEXT NOT NULL UNIQUE, topics TEXT NOT NULL, secret TEXT NOT NULL, enabled INTEGER NOT NULL,
    failures INTEGER NOT NULL, disabled_because TEXT, changed INTEGER NOT NULL, created INTEGER NOT NULL);
CREATE TABLE outbox (
    id INTEGER PRIMARY KEY AUTOINCREMENT, hook_id INTEGER NOT NULL REFERENCES hook (id) ON DELETE CASCADE, delivery TEXT NOT NULL,
    topic TEXT NOT NULL, record TEXT NOT NULL, body TEXT NOT NULL, tries INTEGER NOT NULL, due INTEGER NOT NULL, flying INTEGER NOT NULL);
CREATE INDEX outbox_due ON outbox (hook_id, flying, due);
CREATE INDEX outbox_same ON outbox (hook_id, topic, record);
