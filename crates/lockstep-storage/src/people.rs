//! People and their logins. Passwords as argon2id; sessions and API tokens as hashes.

use crate::{
    Hash, Kind, Storage, StorageError,
    bounds::LIST_ROWS_MAX,
    change::Change,
    entities::{person, session},
    numbers::{folded, from_ms, label, optional_ms, signed, to_ms, unsigned},
};
use argon2::{
    Argon2,
    password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash},
};
use jiff::Timestamp;
use lockstep_model::CustomerId;
use sea_orm::{
    ActiveValue::Set, ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder,
    QuerySelect, sea_query::Expr,
};
use secrecy::{ExposeSecret, SecretString};

/// Each may do what the ones before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    Viewer,
    Editor,
    Operator,
}

impl Role {
    pub fn as_str(self) -> &'static str {
        match self {
            Role::Viewer => "viewer",
            Role::Editor => "editor",
            Role::Operator => "operator",
        }
    }

    fn parse(text: &str) -> Result<Self, StorageError> {
        [Role::Viewer, Role::Editor, Role::Operator]
            .into_iter()
            .find(|role| role.as_str() == text)
            .ok_or_else(|| {
                StorageError::new(
                    Kind::Corrupt,
                    format!("a person has the unknown role {text:?}"),
                )
            })
    }
}

pub struct NewPerson {
    pub name: String,
    pub password: SecretString,
    pub role: Role,
    /// For a customer's own people: they see this one alone.
    pub customer: Option<CustomerId>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    pub id: u64,
    pub name: String,
    pub role: Role,
    pub customer: Option<CustomerId>,
    pub disabled: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SessionKind {
    /// A cookie.
    Browser,
    /// A bearer token for the CLI and scripts.
    Api,
}

impl SessionKind {
    fn as_str(self) -> &'static str {
        match self {
            SessionKind::Browser => "browser",
            SessionKind::Api => "api",
        }
    }
}

#[derive(Debug, Clone)]
pub struct NewSession {
    /// Of the token or cookie.
    pub hash: Hash,
    /// From [`Storage::next_session_id`]; the token bears it.
    pub id: u64,
    pub person: u64,
    pub kind: SessionKind,
    pub label: String,
    pub expires_at: Option<Timestamp>,
}

impl TryFrom<person::Model> for Person {
    type Error = StorageError;

    fn try_from(row: person::Model) -> Result<Self, StorageError> {
        Ok(Person {
            id: unsigned(row.id),
            role: Role::parse(&row.role)?,
            customer: row.customer.map(|id| CustomerId(unsigned(id))),
            name: row.name,
            disabled: row.disabled,
        })
    }
}

/// A login or a token that is open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenSession {
    pub id: u64,
    pub person: u64,
    pub kind: SessionKind,
    pub label: String,
    pub created_at: Timestamp,
    pub expires_at: Option<Timestamp>,
}

impl TryFrom<session::Model> for OpenSession {
    type Error = StorageError;

    fn try_from(row: session::Model) -> Result<Self, StorageError> {
        Ok(OpenSession {
            id: unsigned(row.id),
            person: unsigned(row.person),
            kind: match row.kind.as_str() {
                "browser" => SessionKind::Browser,
                _ => SessionKind::Api,
            },
            label: row.label,
            created_at: from_ms(row.created_at)?,
            expires_at: optional_ms(row.expires_at)?,
        })
    }
}

/// Without an operator nobody could let another in.
async fn keep_an_operator(change: &Change, but: u64) -> Result<(), StorageError> {
    let others = person::Entity::find()
        .filter(person::Column::Id.ne(signed(but)))
        .filter(person::Column::Role.eq(Role::Operator.as_str()))
        .filter(person::Column::Customer.is_null())
        .filter(person::Column::Disabled.eq(false))
        .count(&change.tx)
        .await?;
    if others > 0 {
        return Ok(());
    }
    let of = person::Entity::find_by_id(signed(but))
        .one(&change.tx)
        .await?;
    match of {
        Some(row) if row.role == Role::Operator.as_str() && !row.disabled => {
            Err(StorageError::new(
                Kind::Conflict,
                "this is the last operator who can log in; make another one first",
            ))
        }
        _ => Ok(()),
    }
}

async fn end_sessions_of(change: &Change, person: u64) -> Result<(), StorageError> {
    session::Entity::delete_many()
        .filter(session::Column::Person.eq(signed(person)))
        .exec(&change.tx)
        .await?;
    Ok(())
}

fn hashed(password: &SecretString) -> Result<String, StorageError> {
    let hash = Argon2::default().hash_password(password.expose_secret().as_bytes());
    hash.map(|hash| hash.to_string()).map_err(|error| {
        StorageError::because(Kind::Conflict, "the password cannot be hashed", error)
    })
}

fn fits(password: &SecretString, stored: &str) -> Result<bool, StorageError> {
    let stored = PasswordHash::new(stored)
        .map_err(|error| StorageError::corrupt("a password's hash", error))?;
    let given = password.expose_secret().as_bytes();
    Ok(Argon2::default().verify_password(given, &stored).is_ok())
}

impl Storage {
    /// Slow on purpose: not on the threads that serve, and not many at once.
    async fn slowly<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, StorageError> + Send + 'static,
    ) -> Result<T, StorageError> {
        let failed = |error: Box<dyn std::error::Error + Send + Sync>| StorageError {
            kind: Kind::Unavailable,
            message: "the password could not be checked".into(),
            source: Some(error),
        };
        let _turn = self
            .passwords
            .acquire()
            .await
            .map_err(|error| failed(error.into()))?;
        tokio::task::spawn_blocking(work)
            .await
            .map_err(|error| failed(error.into()))?
    }

    /// 0: nobody can log in yet, the first start.
    pub async fn person_count(&self) -> Result<u64, StorageError> {
        Ok(person::Entity::find().count(&self.db).await?)
    }

    pub async fn people(&self) -> Result<Vec<Person>, StorageError> {
        let rows = person::Entity::find()
            .order_by_asc(person::Column::Id)
            .all(&self.db)
            .await?;
        rows.into_iter().map(Person::try_from).collect()
    }

    /// A conflict if the name is taken, in whatever case.
    pub async fn add_person(&self, new: NewPerson, now: Timestamp) -> Result<u64, StorageError> {
        let password = self.slowly(move || hashed(&new.password)).await?;
        let change = self.begin_change().await?;
        let last = person::Entity::find()
            .order_by_desc(person::Column::Id)
            .limit(1)
            .one(&change.tx)
            .await?;
        let id = last.map_or(1, |row| row.id + 1);
        let row = person::ActiveModel {
            id: Set(id),
            name: Set(label(&new.name)),
            name_folded: Set(folded(&new.name)),
            password: Set(password),
            role: Set(new.role.as_str().to_owned()),
            customer: Set(new.customer.map(|id| signed(id.0))),
            disabled: Set(false),
            failures: Set(0),
            wait_until: Set(None),
            created_at: Set(to_ms(now)),
        };
        person::Entity::insert(row)
            .exec_without_returning(&change.tx)
            .await?;
        change.commit().await?;
        Ok(unsigned(id))
    }

    /// Ends all of the person's logins.
    pub async fn set_password(
        &self,
        person: u64,
        password: SecretString,
    ) -> Result<(), StorageError> {
        let password = self.slowly(move || hashed(&password)).await?;
        let tx = self.begin().await?;
        session::Entity::delete_many()
            .filter(session::Column::Person.eq(signed(person)))
            .exec(&tx)
            .await?;
        let done = person::Entity::update_many()
            .col_expr(person::Column::Password, Expr::value(password))
            .filter(person::Column::Id.eq(signed(person)))
            .exec(&tx)
            .await?;
        if done.rows_affected == 0 {
            return Err(StorageError::not_found(format!("person {person}")));
        }
        Ok(tx.commit().await?)
    }

    /// `None`: no such name, another password, or switched off. Which of these is not told, and takes the same time. How
    /// often somebody may guess is the caller's to say, who knows from where he does.
    pub async fn check_password(
        &self,
        name: &str,
        password: SecretString,
    ) -> Result<Option<Person>, StorageError> {
        let row = person::Entity::find()
            .filter(person::Column::NameFolded.eq(folded(name)))
            .one(&self.db)
            .await?;
        let Some(row) = row else {
            self.slowly(move || hashed(&password)).await?;
            return Ok(None);
        };
        let stored = row.password.clone();
        let fits = self.slowly(move || fits(&password, &stored)).await?;
        if row.disabled || !fits {
            return Ok(None);
        }
        Ok(Some(Person::try_from(row)?))
    }

    /// Switches a login off, which ends all that it opened, or on again.
    pub async fn set_person_disabled(
        &self,
        person: u64,
        disabled: bool,
    ) -> Result<(), StorageError> {
        let change = self.begin_change().await?;
        if disabled {
            keep_an_operator(&change, person).await?;
            end_sessions_of(&change, person).await?;
        }
        let done = person::Entity::update_many()
            .col_expr(person::Column::Disabled, Expr::value(disabled))
            .filter(person::Column::Id.eq(signed(person)))
            .exec(&change.tx)
            .await?;
        if done.rows_affected == 0 {
            return Err(StorageError::not_found(format!("person {person}")));
        }
        change.commit().await?;
        Ok(())
    }

    /// Takes a login away, with all that it opened. What the person did keeps its name.
    pub async fn delete_person(&self, person: u64) -> Result<(), StorageError> {
        let change = self.begin_change().await?;
        keep_an_operator(&change, person).await?;
        end_sessions_of(&change, person).await?;
        let gone = person::Entity::delete_by_id(signed(person))
            .exec(&change.tx)
            .await?;
        if gone.rows_affected == 0 {
            return Err(StorageError::not_found(format!("person {person}")));
        }
        change.commit().await?;
        Ok(())
    }

    /// What is open: of this person, or of everybody. The newest first, without those that are over.
    pub async fn sessions(
        &self,
        person: Option<u64>,
        now: Timestamp,
    ) -> Result<Vec<OpenSession>, StorageError> {
        let mut query = session::Entity::find()
            .order_by_desc(session::Column::Id)
            .limit(LIST_ROWS_MAX);
        if let Some(person) = person {
            query = query.filter(session::Column::Person.eq(signed(person)));
        }
        let rows = query.all(&self.db).await?;
        let rows = rows
            .into_iter()
            .filter(|row| row.expires_at.is_none_or(|end| end > to_ms(now)));
        rows.map(OpenSession::try_from).collect()
    }

    pub async fn end_session_by_id(&self, id: u64) -> Result<(), StorageError> {
        let gone = session::Entity::delete_many()
            .filter(session::Column::Id.eq(signed(id)))
            .exec(&self.db)
            .await?;
        match gone.rows_affected {
            0 => Err(StorageError::not_found(format!("token {id}"))),
            _ => Ok(()),
        }
    }

    /// The next session's number; the token bears it.
    pub async fn next_session_id(&self) -> Result<u64, StorageError> {
        let last = session::Entity::find()
            .order_by_desc(session::Column::Id)
            .limit(1)
            .one(&self.db)
            .await?;
        Ok(last.map_or(1, |row| unsigned(row.id) + 1))
    }

    /// A conflict if somebody took the number meanwhile: take the next.
    pub async fn put_session(&self, new: &NewSession, now: Timestamp) -> Result<(), StorageError> {
        session::Entity::delete_many()
            .filter(session::Column::ExpiresAt.lte(to_ms(now)))
            .exec(&self.db)
            .await?;
        let row = session::ActiveModel {
            hash: Set(new.hash.to_hex()),
            id: Set(signed(new.id)),
            person: Set(signed(new.person)),
            kind: Set(new.kind.as_str().to_owned()),
            label: Set(label(&new.label)),
            created_at: Set(to_ms(now)),
            used_at: Set(None),
            expires_at: Set(new.expires_at.map(to_ms)),
        };
        session::Entity::insert(row)
            .exec_without_returning(&self.db)
            .await?;
        Ok(())
    }

    /// Who is logged in by this token or cookie, and until when.
    pub async fn session(
        &self,
        hash: Hash,
        now: Timestamp,
    ) -> Result<Option<(Person, Option<Timestamp>)>, StorageError> {
        let row = session::Entity::find_by_id(hash.to_hex())
            .one(&self.db)
            .await?;
        let Some(row) = row.filter(|row| row.expires_at.is_none_or(|end| end > to_ms(now))) else {
            return Ok(None);
        };
        let expires_at = optional_ms(row.expires_at)?;
        let person = person::Entity::find_by_id(row.person).one(&self.db).await?;
        let Some(person) = person.filter(|person| !person.disabled) else {
            return Ok(None);
        };
        Ok(Some((Person::try_from(person)?, expires_at)))
    }

    pub async fn end_session(&self, hash: Hash) -> Result<(), StorageError> {
        session::Entity::delete_by_id(hash.to_hex())
            .exec(&self.db)
            .await?;
        Ok(())
    }
}
