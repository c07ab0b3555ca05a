//! Who calls, and what he may do.

use crate::{
    AppState,
    refusal::{Answer, Refusal},
};
use axum::{
    extract::FromRequestParts,
    http::{header, request::Parts},
};
use jiff::Timestamp;
use lockstep_model::CustomerId;
use lockstep_protocol::{
    Code, Token, TokenKind,
    people::login::{Me, Role},
};
use lockstep_storage::{self as storage, Hash};

/// A person who is logged in: a CLI, a script, or the console for its visitor.
#[derive(Debug, Clone)]
pub struct Person {
    pub me: Me,
    /// Of the token that he showed.
    pub session: Hash,
}

pub fn role(stored: storage::Role) -> Role {
    match stored {
        storage::Role::Viewer => Role::Viewer,
        storage::Role::Editor => Role::Editor,
        storage::Role::Operator => Role::Operator,
    }
}

pub fn me(person: &storage::Person) -> Me {
    Me {
        name: person.name.clone(),
        role: role(person.role),
        customer_id: person.customer,
    }
}

impl FromRequestParts<AppState> for Person {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Answer<Self> {
        let bearer = parts
            .headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "))
            .ok_or_else(|| {
                Refusal::new(
                    Code::LoginRequired,
                    "log in first: lockstep login, or set LOCKSTEP_TOKEN",
                )
            })?;
        let token = Token::parse(bearer)
            .map_err(|error| Refusal::new(Code::BadToken, error.to_string()))?;
        if token.kind != TokenKind::Person {
            return Err(Refusal::new(
                Code::BadToken,
                "this is a worker's token, not a person's",
            ));
        }
        let session = Hash(token.hash().0);
        let Some((person, _)) = app.storage.session(session, Timestamp::now()).await? else {
            return Err(Refusal::new(
                Code::BadToken,
                "this login is over or was ended; log in again",
            ));
        };
        Ok(Person {
            me: me(&person),
            session,
        })
    }
}

impl Person {
    pub fn name(&self) -> &str {
        &self.me.name
    }

    pub fn needs(&self, role: Role) -> Answer<()> {
        if self.me.role >= role {
            return Ok(());
        }
        Err(Refusal::new(
            Code::Forbidden,
            format!(
                "this needs the role {role}, and {} is {}",
                self.me.name, self.me.role
            ),
        ))
    }

    /// For what concerns all customers: workers, new customers.
    pub fn needs_all_customers(&self, role: Role) -> Answer<()> {
        self.needs(role)?;
        match self.me.customer_id {
            None => Ok(()),
            Some(_) => Err(Refusal::new(
                Code::Forbidden,
                "this login is for one customer's own people",
            )),
        }
    }

    pub fn sees(&self, customer: CustomerId) -> bool {
        self.me.customer_id.is_none_or(|own| own == customer)
    }

    /// Another customer's is as if it were not there.
    pub fn may(&self, role: Role, customer: CustomerId) -> Answer<()> {
        if !self.sees(customer) {
            return Err(Refusal::not_found(format!("customer {customer}")));
        }
        self.needs(role)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn person(role: Role, customer_id: Option<u64>) -> Person {
        Person {
            me: Me {
                name: "Maija".into(),
                role,
                customer_id: customer_id.map(CustomerId),
            },
            session: Hash([0; 32]),
        }
    }

    #[test]
    fn a_merchant_sees_its_own_customer_and_the_others_are_not_there() {
        let merchant = person(Role::Editor, Some(7));
        assert!(merchant.may(Role::Editor, CustomerId(7)).is_ok());
        let refused = merchant.may(Role::Viewer, CustomerId(8)).unwrap_err();
        assert_eq!(refused.problem().code, Code::NotFound);
        assert!(merchant.needs_all_customers(Role::Viewer).is_err());
    }

    #[test]
    fn a_role_may_what_the_ones_below_it_may() {
        for (role, allowed) in [(Role::Viewer, 1), (Role::Editor, 2), (Role::Operator, 3)] {
            let person = person(role, None);
            let may = Role::ALL
                .into_iter()
                .filter(|needed| person.needs(*needed).is_ok());
            assert_eq!(may.count(), allowed, "{role}");
        }
    }
}
