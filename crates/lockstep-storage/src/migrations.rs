//! The tables' history, one migration after another; run at each start. What differs between the
//! databases stands in [`Columns`] and nowhere else:
//! MySQL and MariaDB compare text without case *and without trailing spaces* and end `TEXT`/`BLOB` at
//! 64 KB, unless told otherwise.

use sea_orm_migration::{
    prelude::*,
    sea_orm::DbBackend,
    sea_query::{Alias, ColumnType, TableCreateStatement},
};

pub struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(First),
            Box::new(RunsByState),
            Box::new(Erasures),
            Box::new(WakesAsked),
            Box::new(Incidents),
        ]
    }

    fn migration_table_name() -> DynIden {
        Alias::new("migration").into_iden()
    }
}

/// Case and trailing spaces count in keys and SKUs. MariaDB and MySQL name the collation that says so
/// differently; a plain `utf8mb4_bin` takes "A" and "A " for one key.
const EXACT_COLLATIONS: [&str; 2] = ["utf8mb4_nopad_bin", "utf8mb4_0900_bin"];

async fn exact_collation(schema: &SchemaManager<'_>) -> Result<Option<String>, DbErr> {
    if schema.get_database_backend() != DbBackend::MySql {
        return Ok(None);
    }
    let query = Query::select()
        .column(Alias::new("COLLATION_NAME"))
        .from((Alias::new("information_schema"), Alias::new("COLLATIONS")))
        .and_where(Expr::col(Alias::new("COLLATION_NAME")).is_in(EXACT_COLLATIONS))
        .limit(1)
        .to_owned();
    match schema.get_connection().query_one(&query).await? {
        Some(row) => Ok(Some(row.try_get("", "COLLATION_NAME")?)),
        None => Err(DbErr::Custom(
            "the server has no collation that tells \"A\" from \"A \"; MariaDB 10.2 or MySQL 8 has"
                .into(),
        )),
    }
}

/// Builds one table.
struct Columns {
    backend: DbBackend,
    table: TableCreateStatement,
    keys: Vec<&'static str>,
}

impl Columns {
    fn of(backend: DbBackend, collation: Option<&str>, name: &'static str) -> Self {
        let mut table = Table::create();
        table.table(Alias::new(name));
        if let Some(collation) = collation {
            table
                .engine("InnoDB")
                .character_set("utf8mb4")
                .collate(collation);
        }
        Columns {
            backend,
            table,
            keys: Vec::new(),
        }
    }

    fn with(mut self, name: &'static str, kind: ColumnType, null: bool) -> Self {
        let mut column = ColumnDef::new_with_type(Alias::new(name), kind);
        if !null {
            column.not_null();
        }
        self.table.col(column);
        self
    }

    fn key(mut self, name: &'static str) -> Self {
        self.keys.push(name);
        self.number(name)
    }

    fn key_text(mut self, name: &'static str) -> Self {
        self.keys.push(name);
        self.label(name)
    }

    fn number(self, name: &'static str) -> Self {
        self.with(name, ColumnType::BigInteger, false)
    }

    fn number_null(self, name: &'static str) -> Self {
        self.with(name, ColumnType::BigInteger, true)
    }

    fn small(self, name: &'static str) -> Self {
        self.with(name, ColumnType::Integer, false)
    }

    fn flag(self, name: &'static str) -> Self {
        self.with(name, ColumnType::Boolean, false)
    }

    /// Up to 255 characters.
    fn label(self, name: &'static str) -> Self {
        self.with(name, ColumnType::String(StringLen::N(255)), false)
    }

    fn label_null(self, name: &'static str) -> Self {
        self.with(name, ColumnType::String(StringLen::N(255)), true)
    }

    fn long_type(&self) -> ColumnType {
        match self.backend {
            DbBackend::MySql => ColumnType::Custom(Alias::new("LONGTEXT").into_iden()),
            _ => ColumnType::Text,
        }
    }

    fn bytes_type(&self) -> ColumnType {
        match self.backend {
            DbBackend::MySql => ColumnType::Custom(Alias::new("LONGBLOB").into_iden()),
            _ => ColumnType::Blob,
        }
    }

    fn long(self, name: &'static str) -> Self {
        let kind = self.long_type();
        self.with(name, kind, false)
    }

    fn long_null(self, name: &'static str) -> Self {
        let kind = self.long_type();
        self.with(name, kind, true)
    }

    fn bytes(self, name: &'static str) -> Self {
        let kind = self.bytes_type();
        self.with(name, kind, false)
    }

    fn bytes_null(self, name: &'static str) -> Self {
        let kind = self.bytes_type();
        self.with(name, kind, true)
    }

    fn done(mut self) -> TableCreateStatement {
        let mut primary = Index::create();
        for key in &self.keys {
            primary.col(Alias::new(*key));
        }
        self.table.primary_key(&mut primary);
        self.table
    }
}

fn index(table: &'static str, columns: &[&'static str], unique: bool) -> IndexCreateStatement {
    let mut index = Index::create();
    let name = format!(
        "{}_{}_{}",
        if unique { "unique" } else { "by" },
        table,
        columns.join("_")
    );
    index.name(name).table(Alias::new(table));
    for column in columns {
        index.col(Alias::new(*column));
    }
    if unique {
        index.unique();
    }
    index
}

struct First;

impl MigrationName for First {
    fn name(&self) -> &str {
        "0001_first"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for First {
    async fn up(&self, schema: &SchemaManager) -> Result<(), DbErr> {
        let collation = exact_collation(schema).await?;
        for table in tables(schema.get_database_backend(), collation.as_deref()) {
            schema.create_table(table).await?;
        }
        for index in indexes() {
            schema.create_index(index).await?;
        }
        Ok(())
    }
}

fn tables(backend: DbBackend, collation: Option<&str>) -> Vec<TableCreateStatement> {
    let table = |name| Columns::of(backend, collation, name);
    vec![
        table("meta")
            .key("id")
            .number("incarnation")
            .label("key_id")
            .bytes("key_check")
            .label("archive_marker")
            .number("departed_since")
            .number("created_at")
            .done(),
        table("change").key("id").number("counter").done(),
        table("person")
            .key("id")
            .label("name")
            .label("name_folded")
            .label("password")
            .label("role")
            .number_null("customer")
            .flag("disabled")
            .number("failures")
            .number_null("wait_until")
            .number("created_at")
            .done(),
        table("session")
            .key_text("hash")
            .number("id")
            .number("person")
            .label("kind")
            .label("label")
            .number("created_at")
            .number_null("used_at")
            .number_null("expires_at")
            .done(),
        table("enrolment")
            .key_text("id")
            .label("public_key")
            .label("name")
            .label("build")
            .long("platforms_json")
            .long("facts_json")
            .label("address")
            .label("code")
            .label("device_hash")
            .label("nonce")
            .label("state")
            .number_null("worker")
            .label_null("decided_by")
            .number("wrong_codes")
            .number("asked_at")
            .number("expires_at")
            .number_null("polled_at")
            .done(),
        table("worker")
            .key("id")
            .label("name")
            .label("public_key")
            .label("state")
            .label("build")
            .long("platforms_json")
            .long("facts_json")
            .label("address")
            .label_null("instance")
            .label("approved_by")
            .number("created_at")
            .number_null("last_seen_at")
            .number("stamp")
            .done(),
        table("token")
            .key("worker")
            .key("slot")
            .label("hash")
            .number("expires_at")
            .number("minted_at")
            .number_null("used_at")
            .flag("revoked")
            .number("stamp")
            .done(),
        table("join_token")
            .key("id")
            .label("hash")
            .label("label")
            .label("made_by")
            .number("uses_left")
            .number("created_at")
            .number("expires_at")
            .done(),
        table("customer")
            .key("id")
            .label("name")
            .long("search")
            .label("email")
            .label("username")
            .number("revision")
            .flag("enabled")
            .flag("locked")
            .flag("movable")
            .number_null("pinned_to")
            .small("shops")
            .flag("deleted")
            .label("edited_by")
            .number("created_at")
            .number("updated_at")
            .number("stamp")
            .done(),
        table("customer_section")
            .key("customer")
            .key_text("section")
            .long("body_json")
            .done(),
        table("service")
            .key("customer")
            .key("id")
            .small("position")
            .label("name")
            .label("platform")
            .long("url")
            .long("options_json")
            .bytes("sealed_credentials")
            .bytes_null("sealed_hook_secret")
            .number("generation")
            .flag("active")
            .flag("read_only")
            .done(),
        table("ownership")
            .key("customer")
            .number_null("worker")
            .number("incarnation")
            .number("epoch")
            .number_null("moving_to")
            .flag("revoked")
            .number("touched")
            .number("since")
            .number("stamp")
            .done(),
        table("departure")
            .key("customer")
            .key("worker")
            .number("stamp")
            .done(),
        table("wake")
            .key("customer")
            .key("shop")
            .key_text("flow")
            .number("counter")
            .number("acted")
            .number("raised_at")
            .number("stamp")
            .done(),
        table("cancel")
            .key("customer")
            .key("run")
            .label("asked_by")
            .number("asked_at")
            .number("stamp")
            .done(),
        table("ask")
            .key("id")
            .number_null("customer")
            .label_null("platform")
            .number_null("worker")
            .label("kind")
            .bytes("sealed_question")
            .bytes_null("sealed_answer")
            .label("state")
            .label("asked_by")
            .number("asked_at")
            .number("deadline")
            .number_null("answered_at")
            .number("stamp")
            .done(),
        table("segment")
            .key("customer")
            .key("sequence")
            .number("incarnation")
            .number("epoch")
            .number("worker")
            .label("previous")
            .label("hash")
            .bytes_null("body")
            .label_null("blob")
            .number("body_bytes")
            .number("received_at")
            .done(),
        table("blob")
            .key_text("hash")
            .bytes("body")
            .number("created_at")
            .done(),
        table("run")
            .key("customer")
            .key("run")
            .number("worker")
            .label("lane")
            .number("revision")
            .label("cause")
            .label("phase")
            .long("counts_json")
            .number_null("expected")
            .long("message")
            .number("started_at")
            .number_null("finished_at")
            .label_null("result")
            .number("heard_at")
            .done(),
        table("report")
            .key("customer")
            .number("worker")
            .number("revision")
            .number("epoch")
            .label("state")
            .long_null("error")
            .number("journal_sequence")
            .number("reported_at")
            .done(),
        table("search_row")
            .key("customer")
            .key_text("kind")
            .key("record")
            .key_text("key")
            .label("key_folded")
            .label("title")
            .label("title_folded")
            .done(),
        table("alert")
            .key("id")
            .label("dedupe")
            .number_null("customer")
            .number_null("worker")
            .label("kind")
            .label("title")
            .long("detail")
            .label("href")
            .number("raised_at")
            .number("seen_at")
            .number("times")
            .number_null("cleared_at")
            .done(),
    ]
}

fn indexes() -> Vec<IndexCreateStatement> {
    vec![
        index("person", &["name_folded"], true),
        index("session", &["person"], false),
        index("session", &["id"], true),
        index("enrolment", &["public_key"], false),
        index("enrolment", &["expires_at"], false),
        index("worker", &["public_key"], true),
        index("worker", &["stamp"], false),
        index("token", &["hash"], true),
        index("token", &["stamp"], false),
        index("join_token", &["hash"], true),
        index("customer", &["stamp"], false),
        index("customer", &["name"], false),
        index("ownership", &["worker"], false),
        index("ownership", &["stamp"], false),
        index("departure", &["stamp"], false),
        index("wake", &["stamp"], false),
        index("cancel", &["stamp"], false),
        index("ask", &["stamp"], false),
        index("ask", &["state"], false),
        index("run", &["started_at"], false),
        index("run", &["finished_at"], false),
        index("search_row", &["customer", "key_folded"], false),
        index("alert", &["dedupe"], true),
        index("alert", &["cleared_at"], false),
    ]
}

/// What runs are asked for by, of all customers at once.
struct RunsByState;

impl MigrationName for RunsByState {
    fn name(&self) -> &str {
        "0002_runs_by_state"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for RunsByState {
    async fn up(&self, schema: &SchemaManager) -> Result<(), DbErr> {
        for name in ["trouble", "wrote", "news"] {
            let mut column = ColumnDef::new_with_type(Alias::new(name), ColumnType::Boolean);
            column.not_null().default(false);
            // SQLite takes one change at a time.
            let table = Table::alter()
                .table(Alias::new("run"))
                .add_column(column)
                .to_owned();
            schema.alter_table(table).await?;
        }
        schema.exec_stmt(states_before()).await?;
        for columns in [
            ["customer", "started_at"],
            ["trouble", "started_at"],
            ["wrote", "started_at"],
            ["news", "started_at"],
        ] {
            schema.create_index(index("run", &columns, false)).await?;
        }
        Ok(())
    }
}

/// Buyers to be forgotten, until they are.
struct Erasures;

impl MigrationName for Erasures {
    fn name(&self) -> &str {
        "0003_erasures"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Erasures {
    async fn up(&self, schema: &SchemaManager) -> Result<(), DbErr> {
        let collation = exact_collation(schema).await?;
        let backend = schema.get_database_backend();
        let table = Columns::of(backend, collation.as_deref(), "erasure")
            .key("id")
            .number("customer")
            .bytes_null("sealed_of")
            .label("asked_by")
            .number("asked_at")
            .number_null("done_at")
            .number("orders")
            .number("unreadable")
            .done();
        schema.create_table(table).await?;
        schema
            .create_index(index("erasure", &["done_at"], false))
            .await?;
        schema
            .create_index(index("erasure", &["customer"], false))
            .await
    }
}

/// Which of a flow's wakes a person raised.
struct WakesAsked;

impl MigrationName for WakesAsked {
    fn name(&self) -> &str {
        "0004_wakes_asked"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for WakesAsked {
    async fn up(&self, schema: &SchemaManager) -> Result<(), DbErr> {
        let mut column = ColumnDef::new_with_type(Alias::new("asked"), ColumnType::BigInteger);
        column.not_null().default(0);
        let table = Table::alter()
            .table(Alias::new("wake"))
            .add_column(column)
            .to_owned();
        schema.alter_table(table).await
    }
}

/// Why runs ended as they did, what cures an alert, and a search over all customers by one index.
struct Incidents;

impl MigrationName for Incidents {
    fn name(&self) -> &str {
        "0005_incidents"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Incidents {
    async fn up(&self, schema: &SchemaManager) -> Result<(), DbErr> {
        let text = || ColumnType::String(StringLen::N(255));
        for (table, name, kind) in [
            ("run", "why", text()),
            ("alert", "action", text()),
            ("alert", "shop", ColumnType::BigInteger),
        ] {
            // SQLite takes one change at a time.
            let table = Table::alter()
                .table(Alias::new(table))
                .add_column(ColumnDef::new_with_type(Alias::new(name), kind))
                .to_owned();
            schema.alter_table(table).await?;
        }
        let collation = exact_collation(schema).await?;
        let backend = schema.get_database_backend();
        let table = Columns::of(backend, collation.as_deref(), "search_word")
            .key("customer")
            .key_text("kind")
            .key("record")
            .key_text("word")
            .done();
        schema.create_table(table).await?;
        for (table, columns) in [
            ("search_word", ["word", "customer"]),
            ("search_row", ["key_folded", "customer"]),
        ] {
            schema.create_index(index(table, &columns, false)).await?;
        }
        Ok(())
    }
}

/// The runs that are there already, by their results and counts as they were written until then.
fn states_before() -> UpdateStatement {
    let result = |word: &str| Expr::col(Alias::new("result")).eq(format!("\"{word}\""));
    let some =
        |count: &str| Expr::col(Alias::new("counts_json")).not_like(format!("%\"{count}\":0,%"));
    let trouble = result("partly")
        .or(result("needs_person"))
        .or(result("failed"));
    let moved = ["changed", "bad", "written", "failed", "conflicts"]
        .map(some)
        .into_iter()
        .reduce(|any, more| any.or(more));
    let unsound = Expr::col(Alias::new("result"))
        .is_null()
        .or(result("done").not());
    Query::update()
        .table(Alias::new("run"))
        .value(
            Alias::new("trouble"),
            Expr::col(Alias::new("result")).is_not_null().and(trouble),
        )
        .value(Alias::new("wrote"), some("written"))
        .value(
            Alias::new("news"),
            match moved {
                Some(moved) => unsound.or(moved),
                None => unsound,
            },
        )
        .to_owned()
}
