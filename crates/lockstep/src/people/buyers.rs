//! `lockstep buyers …`

use super::api::Api;
use super::orders::order_key;
use crate::arguments::Buyers;
use crate::exit::{Exit, Trouble};
use crate::print;
use lockstep_model::{CustomerId, OrderKey};
use lockstep_protocol::paths::people as paths;
use lockstep_protocol::people::buyers::{BuyerSought, BuyersRequest, BuyersView, ErasureView};

pub async fn buyers(command: Buyers, as_json: bool) -> anyhow::Result<Exit> {
    let api = Api::open()?;
    match command {
        Buyers::Export { customer, of } => {
            let customer = api.customer(&customer).await?;
            let request = sought(&api, customer, &of).await?;
            let path = Api::of_customer(paths::BUYERS_EXPORT, customer);
            let view: BuyersView = api.post(&path, &request).await?;
            if as_json {
                print::json(&view)?;
            } else {
                print::line(&serde_json::to_string_pretty(&view)?);
            }
            Ok(Exit::Done)
        }
        Buyers::Erase { customer, of } => {
            let customer = api.customer(&customer).await?;
            let request = sought(&api, customer, &of).await?;
            let path = Api::of_customer(paths::BUYERS_ERASE, customer);
            let erasure: ErasureView = api.post(&path, &request).await?;
            if as_json {
                print::json(&erasure)?;
            } else {
                say(&erasure);
            }
            Ok(match erasure.done_at {
                Some(_) => Exit::Done,
                None => Exit::NeedsPerson,
            })
        }
    }
}

fn say(erasure: &ErasureView) {
    let Some(done_at) = erasure.done_at else {
        print::line(&format!(
            "The customer's worker is away: request {} is kept, and carried out as soon as it is back. Asked again, this \
             command says when it is done.",
            erasure.id
        ));
        return;
    };
    print::line(&format!(
        "Erased at {}: the buyer of {} {}. Names, addresses and notes can be read nowhere in Lockstep any more, its \
         backups included; sums and lines remain. What the shops themselves keep is theirs to erase.",
        done_at.strftime("%Y-%m-%d %H:%M:%S UTC"),
        erasure.orders,
        if erasure.orders == 1 {
            "order"
        } else {
            "orders"
        },
    ));
    if erasure.unreadable > 0 {
        print::line(&format!(
            "{} more orders are sealed under keys of a disk that this customer has left: nobody can read or match them.",
            erasure.unreadable
        ));
    }
}

async fn sought(api: &Api, customer: CustomerId, of: &str) -> anyhow::Result<BuyersRequest> {
    if of.contains('@') {
        let of = BuyerSought::Email(of.to_owned());
        return Ok(BuyersRequest { of });
    }
    let key = order_key(api, customer, of).await?;
    let order = OrderKey::parse(&key)
        .ok_or_else(|| Trouble::wrong_use(format!("{key} is not one of our order keys")))?;
    Ok(BuyersRequest {
        of: BuyerSought::Order(order),
    })
}
