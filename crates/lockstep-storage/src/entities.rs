//! The tables as SeaORM entities: rows, nothing else. Texts of ids and hashes are hex; times are UNIX
//! milliseconds; `…_json` is JSON; `sealed_…` opens with the key of [`crate::seal`] alone.

/// One entity: its key columns in round brackets, the others in braces.
macro_rules! table {
    ($(#[$doc:meta])* $module:ident $name:tt ($($key:ident: $key_type:ty),+) {
        $($field:ident: $type:ty),* $(,)?
    }) => {
        $(#[$doc])*
        pub mod $module {
            use sea_orm::entity::prelude::*;

            #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
            #[sea_orm(table_name = $name)]
            pub struct Model {
                $(#[sea_orm(primary_key, auto_increment = false)] pub $key: $key_type,)+
                $(pub $field: $type,)*
            }

            #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
            pub enum Relation {}

            impl ActiveModelBehavior for ActiveModel {}
        }
    };
}

table! {
    /// One row: what this database is.
    meta "meta" (id: i64) {
        incarnation: i64,
        key_id: String,
        key_check: Vec<u8>,
        archive_marker: String,
        departed_since: i64,
        created_at: i64,
    }
}

table! {
    /// One row: incremented first in each transaction that others must hear of.
    change "change" (id: i64) { counter: i64 }
}

table! {
    person "person" (id: i64) {
        name: String,
        name_folded: String,
        password: String,
        role: String,
        customer: Option<i64>,
        disabled: bool,
        // Of earlier versions, like the next: nobody is shut out by name any more.
        failures: i64,
        wait_until: Option<i64>,
        created_at: i64,
    }
}

table! {
    /// A login: of a browser, or a token for scripts.
    session "session" (hash: String) {
        id: i64,
        person: i64,
        kind: String,
        label: String,
        created_at: i64,
        used_at: Option<i64>,
        expires_at: Option<i64>,
    }
}

table! {
    enrolment "enrolment" (id: String) {
        public_key: String,
        name: String,
        build: String,
        platforms_json: String,
        facts_json: String,
        address: String,
        code: String,
        device_hash: String,
        nonce: String,
        state: String,
        worker: Option<i64>,
        decided_by: Option<String>,
        wrong_codes: i64,
        asked_at: i64,
        expires_at: i64,
        polled_at: Option<i64>,
    }
}

table! {
    worker "worker" (id: i64) {
        name: String,
        public_key: String,
        state: String,
        build: String,
        platforms_json: String,
        facts_json: String,
        address: String,
        instance: Option<String>,
        approved_by: String,
        created_at: i64,
        last_seen_at: Option<i64>,
        stamp: i64,
    }
}

table! {
    /// A worker's token. One slot for now; the column is there for two.
    token "token" (worker: i64, slot: i64) {
        hash: String,
        expires_at: i64,
        minted_at: i64,
        used_at: Option<i64>,
        revoked: bool,
        stamp: i64,
    }
}

table! {
    join_token "join_token" (id: i64) {
        hash: String,
        label: String,
        made_by: String,
        uses_left: i64,
        created_at: i64,
        expires_at: i64,
    }
}

table! {
    customer "customer" (id: i64) {
        name: String,
        search: String,
        email: String,
        username: String,
        revision: i64,
        enabled: bool,
        locked: bool,
        movable: bool,
        pinned_to: Option<i64>,
        shops: i32,
        deleted: bool,
        edited_by: String,
        created_at: i64,
        updated_at: i64,
        stamp: i64,
    }
}

table! {
    /// One section of a customer's settings. `services` have their own table.
    customer_section "customer_section" (customer: i64, section: String) { body_json: String }
}

table! {
    service "service" (customer: i64, id: i64) {
        position: i32,
        name: String,
        platform: String,
        url: String,
        options_json: String,
        sealed_credentials: Vec<u8>,
        sealed_hook_secret: Option<Vec<u8>>,
        generation: i64,
        active: bool,
        read_only: bool,
    }
}

table! {
    ownership "ownership" (customer: i64) {
        worker: Option<i64>,
        incarnation: i64,
        epoch: i64,
        moving_to: Option<i64>,
        revoked: bool,
        touched: i64,
        since: i64,
        stamp: i64,
    }
}

table! {
    /// That a worker is told to let a customer go.
    departure "departure" (customer: i64, worker: i64) { stamp: i64 }
}

table! {
    wake "wake" (customer: i64, shop: i64, flow: String) {
        counter: i64,
        acted: i64,
        asked: i64,
        raised_at: i64,
        stamp: i64,
    }
}

table! {
    cancel "cancel" (customer: i64, run: i64) { asked_by: String, asked_at: i64, stamp: i64 }
}

table! {
    ask "ask" (id: i64) {
        customer: Option<i64>,
        platform: Option<String>,
        worker: Option<i64>,
        kind: String,
        sealed_question: Vec<u8>,
        sealed_answer: Option<Vec<u8>>,
        state: String,
        asked_by: String,
        asked_at: i64,
        deadline: i64,
        answered_at: Option<i64>,
        stamp: i64,
    }
}

table! {
    /// A row here *is* the acknowledgement of a journal segment.
    segment "segment" (customer: i64, sequence: i64) {
        incarnation: i64,
        epoch: i64,
        worker: i64,
        previous: String,
        hash: String,
        body: Option<Vec<u8>>,
        blob: Option<String>,
        body_bytes: i64,
        received_at: i64,
    }
}

table! {
    /// Bytes under their own SHA-256.
    blob "blob" (hash: String) { body: Vec<u8>, created_at: i64 }
}

table! {
    run "run" (customer: i64, run: i64) {
        worker: i64,
        lane: String,
        revision: i64,
        cause: String,
        phase: String,
        counts_json: String,
        expected: Option<i64>,
        message: String,
        started_at: i64,
        finished_at: Option<i64>,
        result: Option<String>,
        heard_at: i64,
        // These three follow from result and counts, so that runs can be found by them.
        trouble: bool,
        wrote: bool,
        news: bool,
        why: Option<String>,
    }
}

table! {
    /// What a worker said last of a customer's settings.
    report "report" (customer: i64) {
        worker: i64,
        revision: i64,
        epoch: i64,
        state: String,
        error: Option<String>,
        journal_sequence: i64,
        reported_at: i64,
    }
}

table! {
    /// One row per record, kind and key, for the search box.
    search_row "search_row" (customer: i64, kind: String, record: i64, key: String) {
        key_folded: String,
        title: String,
        title_folded: String,
    }
}

table! {
    /// The words of titles, for the search box.
    search_word "search_word" (customer: i64, kind: String, record: i64, word: String) {}
}

table! {
    alert "alert" (id: i64) {
        dedupe: String,
        customer: Option<i64>,
        worker: Option<i64>,
        kind: String,
        title: String,
        detail: String,
        href: String,
        raised_at: i64,
        seen_at: i64,
        times: i64,
        cleared_at: Option<i64>,
        action: Option<String>,
        shop: Option<i64>,
    }
}

table! {
    /// A buyer to be forgotten. Whose data it is goes when it was done.
    erasure "erasure" (id: i64) {
        customer: i64,
        sealed_of: Option<Vec<u8>>,
        asked_by: String,
        asked_at: i64,
        done_at: Option<i64>,
        orders: i64,
        unreadable: i64,
    }
}
