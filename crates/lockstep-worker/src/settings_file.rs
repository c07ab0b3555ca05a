//! The last good settings, on the worker's own disk: with them a pinned customer goes on while no
//! coordinator answers. They carry credentials, so they are their owner's alone.

use crate::crash::{CrashPoint, CrashPoints};
use crate::folder::{Folder, FolderError};
use lockstep_model::{CustomerId, ShopId};
use lockstep_protocol::delta::Held;
use serde::{Deserialize, Serialize};

const SETTINGS: &str = "settings.json";

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Kept {
    pub held: Held,
    /// Where each shop was told to send its webhooks.
    #[serde(default)]
    pub hooks: Vec<HookPlace>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HookPlace {
    pub customer: CustomerId,
    pub shop: ShopId,
    pub url: String,
}

impl Kept {
    /// A file that cannot be read is as good as none: the coordinator gives everything again.
    pub fn load(folder: &Folder) -> Result<Self, FolderError> {
        match folder.read_json(SETTINGS) {
            Ok(kept) => Ok(kept.unwrap_or_default()),
            Err(FolderError::Unreadable { path, why }) => {
                tracing::warn!(path = %path.display(), error = %why, "the kept settings are not readable; all are asked for anew");
                Ok(Kept::default())
            }
            Err(error) => Err(error),
        }
    }

    pub fn save(&self, folder: &Folder, crash: &CrashPoints) -> Result<(), FolderError> {
        folder.write_json_pausing(SETTINGS, self, || crash.reach(CrashPoint::SettingsSave))
    }

    pub fn hook_url(&self, customer: CustomerId, shop: ShopId) -> Option<&str> {
        let mut places = self.hooks.iter();
        let place = places.find(|place| place.customer == customer && place.shop == shop)?;
        Some(&place.url)
    }

    /// True: it was another.
    pub fn set_hook_url(&mut self, customer: CustomerId, shop: ShopId, url: Option<&str>) -> bool {
        if self.hook_url(customer, shop) == url {
            return false;
        }
        self.hooks
            .retain(|place| place.customer != customer || place.shop != shop);
        self.hooks.extend(url.map(|url| HookPlace {
            customer,
            shop,
            url: url.to_owned(),
        }));
        true
    }

    /// Drops what belongs to customers that left.
    pub fn forget_strangers(&mut self) {
        let customers = &self.held.customers;
        self.hooks
            .retain(|place| customers.contains_key(&place.customer));
    }
}
