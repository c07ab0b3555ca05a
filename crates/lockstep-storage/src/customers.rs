//! Customers and their settings: one row per section, so that an edit of one touches one; shops in a
//! table of their own, their credentials sealed.

use crate::{
    Kind, Storage, StorageError,
    bounds::LIST_ROWS_MAX,
    change::Change,
    entities::{customer, customer_section, service},
    numbers::{folded, from_json, from_ms, label, literal_like, signed, to_json, to_ms, unsigned},
    seal::Seal,
};
use jiff::Timestamp;
use lockstep_model::{
    CustomerId, Revision, ShopId, WorkerId, misread,
    settings::{Credentials, CustomerSettings, OnWire, Problem, Secret, Service},
};
use sea_orm::{
    ActiveModelTrait,
    ActiveValue::Set,
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, IntoActiveModel, PaginatorTrait,
    QueryFilter, QueryOrder, QuerySelect,
    sea_query::{Expr, ExprTrait, LikeExpr, OnConflict},
};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

const SERVICES: &str = "services";

/// What an edit expects to find.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    Anything,
    /// Nobody has edited since this revision.
    Revision(Revision),
    /// There is no such customer yet.
    New,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SaveOutcome {
    pub id: CustomerId,
    pub revision: Revision,
    /// False: it was all as it is, and nobody is told.
    pub changed: bool,
    pub created: bool,
}

/// A customer with its settings, secrets included.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredCustomer {
    pub settings: CustomerSettings,
    pub revision: Revision,
    pub updated_at: Timestamp,
    pub edited_by: String,
    pub stamp: u64,
}

/// A line of the list, without the settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CustomerRow {
    pub id: CustomerId,
    pub name: String,
    pub email: String,
    pub revision: Revision,
    pub enabled: bool,
    pub locked: bool,
    pub movable: bool,
    pub pinned_to: Option<WorkerId>,
    pub shops: u32,
    pub updated_at: Timestamp,
}

#[derive(Debug, Clone, Default)]
pub struct CustomerFilter {
    /// In the name, the mail address, the login or a shop's name, in any case.
    pub text: Option<String>,
    /// Only this one: for the customer's own people.
    pub only: Option<CustomerId>,
    /// Continue after this one.
    pub after: Option<CustomerId>,
    pub limit: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CredentialsOutcome {
    Stored {
        generation: u64,
    },
    /// Somebody changed them since; this is the generation now.
    OldGeneration(u64),
    /// The customer is another's, or in another epoch.
    OldEpoch,
}

impl Storage {
    /// Saves the whole. Secrets that the edit leaves empty stay as they are. An id of 0 makes a new
    /// customer with the next free id. The revision is taken in this transaction.
    pub async fn save_customer(
        &self,
        mut settings: CustomerSettings,
        expect: Expect,
        by: &str,
        now: Timestamp,
    ) -> Result<SaveOutcome, StorageError> {
        let change = self.begin_change().await?;
        let id = match settings.customer.id {
            CustomerId(0) => {
                let id = next_id(&change).await?;
                settings.customer.id = id;
                for link in &mut settings.customer_has_services {
                    if link.customer_id == CustomerId(0) {
                        link.customer_id = id;
                    }
                }
                id
            }
            id => id,
        };
        check_sound(&settings)?;
        let row = customer::Entity::find_by_id(signed(id.0))
            .one(&change.tx)
            .await?;
        let stored = match row.filter(|row| !row.deleted) {
            Some(row) => Some(
                load(&change.tx, &self.seal, vec![row])
                    .await?
                    .swap_remove(0),
            ),
            None => None,
        };
        match (expect, &stored) {
            (Expect::Revision(wanted), Some(stored)) if wanted != stored.revision => {
                return Err(StorageError::new(
                    Kind::OldRevision(stored.revision.0),
                    format!(
                        "customer {id} was edited by {} since revision {wanted}; it is at {}",
                        stored.edited_by, stored.revision
                    ),
                ));
            }
            (Expect::Revision(_), None) => {
                return Err(StorageError::not_found(format!("customer {id}")));
            }
            (Expect::New, Some(_)) => {
                let message = format!("there is a customer {id} already");
                return Err(StorageError::new(Kind::Conflict, message));
            }
            _ => {}
        }
        match &stored {
            Some(stored) => {
                // A secret that would go elsewhere is dropped; whoever edits has been told by the caller.
                settings.keep_secrets_of(&stored.settings);
            }
            None => settings
                .services
                .iter_mut()
                .for_each(|service| service.generation = 1),
        }
        if let Some(stored) = &stored
            && stored.settings == settings
        {
            change.forget().await?;
            return Ok(SaveOutcome {
                id,
                revision: stored.revision,
                changed: false,
                created: false,
            });
        }
        let revision = write(&change, &self.seal, &settings, stored.as_ref(), by, now).await?;
        change.commit().await?;
        Ok(SaveOutcome {
            id,
            revision,
            changed: true,
            created: stored.is_none(),
        })
    }

    pub async fn customer(&self, id: CustomerId) -> Result<Option<StoredCustomer>, StorageError> {
        Ok(self.customers_by_id(&[id]).await?.pop())
    }

    /// Those of these that there are, by id.
    pub async fn customers_by_id(
        &self,
        ids: &[CustomerId],
    ) -> Result<Vec<StoredCustomer>, StorageError> {
        let mut found = Vec::with_capacity(ids.len());
        for ids in ids.chunks(crate::bounds::BATCH_ROWS) {
            let rows = customer::Entity::find()
                .filter(customer::Column::Id.is_in(ids.iter().map(|id| signed(id.0))))
                .filter(customer::Column::Deleted.eq(false))
                .order_by_asc(customer::Column::Id)
                .all(&self.db)
                .await?;
            found.extend(load(&self.db, &self.seal, rows).await?);
        }
        Ok(found)
    }

    pub async fn list_customers(
        &self,
        filter: &CustomerFilter,
    ) -> Result<Vec<CustomerRow>, StorageError> {
        let mut query = customer::Entity::find()
            .filter(customer::Column::Deleted.eq(false))
            .order_by_asc(customer::Column::Id)
            .limit(filter.limit.clamp(1, LIST_ROWS_MAX));
        if let Some(after) = filter.after {
            query = query.filter(customer::Column::Id.gt(signed(after.0)));
        }
        if let Some(only) = filter.only {
            query = query.filter(customer::Column::Id.eq(signed(only.0)));
        }
        if let Some(text) = filter
            .text
            .as_deref()
            .filter(|text| !text.trim().is_empty())
        {
            let pattern = format!("%{}%", literal_like(&folded(text.trim())));
            let like = LikeExpr::new(pattern).escape('!');
            query =
                query.filter(Condition::all().add(Expr::col(customer::Column::Search).like(like)));
        }
        query
            .all(&self.db)
            .await?
            .into_iter()
            .map(CustomerRow::try_from)
            .collect()
    }

    pub async fn customer_count(&self) -> Result<u64, StorageError> {
        Ok(customer::Entity::find()
            .filter(customer::Column::Deleted.eq(false))
            .count(&self.db)
            .await?)
    }

    /// Its worker is told to let it go; its journal stays until its retention is over.
    pub async fn delete_customer(
        &self,
        id: CustomerId,
        by: &str,
        now: Timestamp,
    ) -> Result<u64, StorageError> {
        let change = self.begin_change().await?;
        let row = customer::Entity::find_by_id(signed(id.0))
            .one(&change.tx)
            .await?
            .filter(|row| !row.deleted)
            .ok_or_else(|| StorageError::not_found(format!("customer {id}")))?;
        let revision = row.revision;
        let mut row = row.into_active_model();
        row.deleted = Set(true);
        row.revision = Set(revision + 1);
        row.edited_by = Set(label(by));
        row.updated_at = Set(to_ms(now));
        row.stamp = Set(change.stamp);
        row.update(&change.tx).await?;
        service::Entity::delete_many()
            .filter(service::Column::Customer.eq(signed(id.0)))
            .exec(&change.tx)
            .await?;
        customer_section::Entity::delete_many()
            .filter(customer_section::Column::Customer.eq(signed(id.0)))
            .exec(&change.tx)
            .await?;
        crate::owners::end(&change, signed(id.0), now).await?;
        change.commit().await
    }

    /// A worker renewed a shop's credentials (an OAuth token). Fenced by the epoch, compare-and-set on the
    /// generation. The revision stays: the worker that has the customer has them already, and another gets
    /// them with the customer.
    pub async fn renew_credentials(
        &self,
        customer: CustomerId,
        shop: ShopId,
        worker: WorkerId,
        generation: u64,
        credentials: &Credentials,
    ) -> Result<CredentialsOutcome, StorageError> {
        let tx = self.begin().await?;
        let owner = crate::owners::locked(&tx, signed(customer.0)).await?;
        if owner.is_none_or(|row| row.worker != Some(signed(worker.0))) {
            tx.rollback().await?;
            return Ok(CredentialsOutcome::OldEpoch);
        }
        let row = service::Entity::find_by_id((signed(customer.0), signed(shop.0)))
            .one(&tx)
            .await?
            .ok_or_else(|| {
                StorageError::not_found(format!("shop {shop} of customer {customer}"))
            })?;
        if unsigned(row.generation) != generation {
            tx.rollback().await?;
            return Ok(CredentialsOutcome::OldGeneration(unsigned(row.generation)));
        }
        let generation = row.generation + 1;
        let sealed = sealed_credentials(&self.seal, customer, shop, credentials)?;
        let mut row = row.into_active_model();
        row.generation = Set(generation);
        row.sealed_credentials = Set(sealed);
        row.update(&tx).await?;
        tx.commit().await?;
        Ok(CredentialsOutcome::Stored {
            generation: unsigned(generation),
        })
    }
}

/// Under the change counter's lock, so no two get one.
async fn next_id(change: &Change) -> Result<CustomerId, StorageError> {
    let last = customer::Entity::find()
        .order_by_desc(customer::Column::Id)
        .limit(1)
        .one(&change.tx)
        .await?;
    Ok(CustomerId(last.map_or(1, |row| unsigned(row.id) + 1)))
}

fn check_sound(settings: &CustomerSettings) -> Result<(), StorageError> {
    let mut problems = settings.validate().err().unwrap_or_default();
    let ids = settings.services.iter().map(|service| service.id.0);
    for id in ids.chain([settings.customer.id.0]) {
        if id == 0 || id >= i64::MAX as u64 {
            problems.push(Problem::new(
                "id",
                format!("{id} is not an id; ids are 1, 2, 3 …"),
            ));
        }
    }
    if problems.is_empty() {
        return Ok(());
    }
    let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
    Err(StorageError::new(
        Kind::Invalid(problems),
        format!("nothing was saved: {}", lines.join("; ")),
    ))
}

fn place(customer: CustomerId, shop: ShopId, part: &str) -> String {
    format!("service/{customer}/{shop}/{part}")
}

fn sealed_credentials(
    seal: &Seal,
    customer: CustomerId,
    shop: ShopId,
    credentials: &Credentials,
) -> Result<Vec<u8>, StorageError> {
    let clear = to_json(&OnWire(credentials.clone()))?;
    seal.seal(&place(customer, shop, "credentials"), clear.as_bytes())
}

/// Every section but the services, as it is stored.
fn sections(settings: &CustomerSettings) -> Result<BTreeMap<String, String>, StorageError> {
    let whole = serde_json::to_value(settings).map_err(|error| {
        StorageError::because(
            Kind::Conflict,
            "the settings cannot be written as JSON",
            error,
        )
    })?;
    let Value::Object(whole) = whole else {
        return Err(StorageError::new(
            Kind::Conflict,
            "the settings are no JSON object",
        ));
    };
    whole
        .into_iter()
        .filter(|(section, _)| section != SERVICES)
        .map(|(section, body)| Ok((section, to_json(&body)?)))
        .collect()
}

async fn write(
    change: &Change,
    seal: &Seal,
    settings: &CustomerSettings,
    stored: Option<&StoredCustomer>,
    by: &str,
    now: Timestamp,
) -> Result<Revision, StorageError> {
    let id = settings.id();
    let customer = &settings.customer;
    // A deleted customer's row is still there: its revision goes on, so that none is told twice.
    let row = customer::Entity::find_by_id(signed(id.0))
        .one(&change.tx)
        .await?;
    let revision = row.as_ref().map_or(1, |row| row.revision + 1);
    let mut search = vec![
        folded(&customer.name),
        folded(&customer.email),
        folded(&customer.username),
    ];
    search.extend(
        settings
            .services
            .iter()
            .map(|service| folded(&service.name)),
    );
    let active = customer::ActiveModel {
        id: Set(signed(id.0)),
        name: Set(label(&customer.name)),
        search: Set(search.join("\n")),
        email: Set(label(&customer.email)),
        username: Set(label(&customer.username)),
        revision: Set(revision),
        enabled: Set(customer.enable_syncing),
        locked: Set(customer.locked),
        movable: Set(customer.movable),
        pinned_to: Set(customer.worker_id.map(|id| signed(id.0))),
        shops: Set(i32::try_from(settings.customer_has_services.len()).unwrap_or(i32::MAX)),
        deleted: Set(false),
        edited_by: Set(label(by)),
        created_at: Set(row.as_ref().map_or(to_ms(now), |row| row.created_at)),
        updated_at: Set(to_ms(now)),
        stamp: Set(change.stamp),
    };
    match row {
        Some(_) => {
            active.update(&change.tx).await?;
        }
        None => {
            customer::Entity::insert(active)
                .exec_without_returning(&change.tx)
                .await?;
        }
    }
    let before = stored
        .map(|stored| sections(&stored.settings))
        .transpose()?
        .unwrap_or_default();
    for (section, body) in sections(settings)? {
        if before.get(&section) == Some(&body) {
            continue;
        }
        let row = customer_section::ActiveModel {
            customer: Set(signed(id.0)),
            section: Set(section),
            body_json: Set(body),
        };
        customer_section::Entity::insert(row)
            .on_conflict(
                OnConflict::columns([
                    customer_section::Column::Customer,
                    customer_section::Column::Section,
                ])
                .update_column(customer_section::Column::BodyJson)
                .to_owned(),
            )
            .exec_without_returning(&change.tx)
            .await?;
    }
    write_services(change, seal, settings, stored).await?;
    Ok(Revision(unsigned(revision)))
}

async fn write_services(
    change: &Change,
    seal: &Seal,
    settings: &CustomerSettings,
    stored: Option<&StoredCustomer>,
) -> Result<(), StorageError> {
    let id = settings.id();
    let before = stored.map_or(&[][..], |stored| stored.settings.services.as_slice());
    let kept: BTreeSet<ShopId> = settings.services.iter().map(|service| service.id).collect();
    let gone = before
        .iter()
        .map(|service| service.id)
        .filter(|shop| !kept.contains(shop));
    for shop in gone {
        service::Entity::delete_by_id((signed(id.0), signed(shop.0)))
            .exec(&change.tx)
            .await?;
    }
    for (at, shop) in settings.services.iter().enumerate() {
        if before.get(at) == Some(shop) {
            continue;
        }
        let hook_secret = shop.hook_secret.as_ref().map(|secret| {
            seal.seal(
                &place(id, shop.id, "hook_secret"),
                secret.reveal().as_bytes(),
            )
        });
        let row = service::ActiveModel {
            customer: Set(signed(id.0)),
            id: Set(signed(shop.id.0)),
            position: Set(i32::try_from(at).unwrap_or(i32::MAX)),
            name: Set(label(&shop.name)),
            platform: Set(label(&shop.platform)),
            url: Set(shop.url.clone()),
            options_json: Set(to_json(&shop.options)?),
            sealed_credentials: Set(sealed_credentials(seal, id, shop.id, &shop.credentials)?),
            sealed_hook_secret: Set(hook_secret.transpose()?),
            generation: Set(signed(shop.generation)),
            active: Set(shop.active),
            read_only: Set(shop.read_only),
        };
        service::Entity::insert(row)
            .on_conflict(
                OnConflict::columns([service::Column::Customer, service::Column::Id])
                    .update_columns([
                        service::Column::Position,
                        service::Column::Name,
                        service::Column::Platform,
                        service::Column::Url,
                        service::Column::OptionsJson,
                        service::Column::SealedCredentials,
                        service::Column::SealedHookSecret,
                        service::Column::Generation,
                        service::Column::Active,
                        service::Column::ReadOnly,
                    ])
                    .to_owned(),
            )
            .exec_without_returning(&change.tx)
            .await?;
    }
    Ok(())
}

/// The settings of these customers, in their order.
async fn load(
    db: &impl ConnectionTrait,
    seal: &Seal,
    rows: Vec<customer::Model>,
) -> Result<Vec<StoredCustomer>, StorageError> {
    let ids: Vec<i64> = rows.iter().map(|row| row.id).collect();
    let mut wholes: BTreeMap<i64, Map<String, Value>> = BTreeMap::new();
    let sections = customer_section::Entity::find()
        .filter(customer_section::Column::Customer.is_in(ids.iter().copied()))
        .all(db)
        .await?;
    for row in sections {
        let body = from_json(
            &format!("{} of customer {}", row.section, row.customer),
            &row.body_json,
        )?;
        wholes
            .entry(row.customer)
            .or_default()
            .insert(row.section, body);
    }
    let mut shops: BTreeMap<i64, Vec<Service>> = BTreeMap::new();
    let services = service::Entity::find()
        .filter(service::Column::Customer.is_in(ids))
        .order_by_asc(service::Column::Position)
        .all(db)
        .await?;
    for row in services {
        shops
            .entry(row.customer)
            .or_default()
            .push(shop(seal, row)?);
    }
    rows.into_iter()
        .map(|row| {
            let whole = wholes.remove(&row.id).unwrap_or_default();
            let mut settings: CustomerSettings = serde_json::from_value(Value::Object(whole))
                .map_err(|error| {
                    let why = crate::numbers::Misread(misread(&error));
                    StorageError::corrupt(format!("the settings of customer {}", row.id), why)
                })?;
            settings.services = shops.remove(&row.id).unwrap_or_default();
            Ok(StoredCustomer {
                settings,
                revision: Revision(unsigned(row.revision)),
                updated_at: from_ms(row.updated_at)?,
                stamp: unsigned(row.stamp),
                edited_by: row.edited_by,
            })
        })
        .collect()
}

fn shop(seal: &Seal, row: service::Model) -> Result<Service, StorageError> {
    let customer = CustomerId(unsigned(row.customer));
    let id = ShopId(unsigned(row.id));
    let clear = seal.open(&place(customer, id, "credentials"), &row.sealed_credentials)?;
    let credentials: OnWire<Credentials> = serde_json::from_slice(&clear).map_err(|_| {
        // serde's message may repeat what it read.
        let what = format!("the credentials of shop {id} of customer {customer} cannot be read");
        StorageError::new(Kind::Corrupt, what)
    })?;
    let hook_secret = row
        .sealed_hook_secret
        .as_deref()
        .map(|sealed| {
            let clear = seal.open(&place(customer, id, "hook_secret"), sealed)?;
            String::from_utf8(clear).map(Secret::new).map_err(|_| {
                let what =
                    format!("the hook secret of shop {id} of customer {customer} is no text");
                StorageError::new(Kind::Corrupt, what)
            })
        })
        .transpose()?;
    Ok(Service {
        id,
        options: from_json("a shop's options", &row.options_json)?,
        credentials: credentials.0,
        hook_secret,
        generation: unsigned(row.generation),
        name: row.name,
        platform: row.platform,
        url: row.url,
        active: row.active,
        read_only: row.read_only,
    })
}

impl TryFrom<customer::Model> for CustomerRow {
    type Error = StorageError;

    fn try_from(row: customer::Model) -> Result<Self, StorageError> {
        Ok(CustomerRow {
            id: CustomerId(unsigned(row.id)),
            revision: Revision(unsigned(row.revision)),
            pinned_to: row.pinned_to.map(|id| WorkerId(unsigned(id))),
            shops: u32::try_from(row.shops).unwrap_or(0),
            updated_at: from_ms(row.updated_at)?,
            name: row.name,
            email: row.email,
            enabled: row.enabled,
            locked: row.locked,
            movable: row.movable,
        })
    }
}
