//! All bounds of the practice shop, in one place. The README states those that a caller can meet.

use std::time::Duration;

pub const PAGE_DEFAULT: usize = 50;
pub const PAGE_MAX: usize = 250;
pub const BATCH_MAX: usize = 100;
pub const BODY_BYTES_MAX: usize = 2 * 1024 * 1024;
pub const PICTURE_BYTES_MAX: usize = 10 * 1024 * 1024;
pub const TEXT_BYTES_MAX: usize = 64 * 1024;
pub const NAME_CHARS_MAX: usize = 255;
pub const VARIANTS_MAX: usize = 100;
pub const PICTURES_MAX: usize = 100;
pub const LINES_MAX: usize = 500;
pub const MEMBERS_MAX: usize = 250;
pub const QUANTITY_MAX: i64 = 1_000_000_000;
pub const READERS: usize = 4;
pub const RECENT_REQUESTS: usize = 1_000;
pub const FAULTS_MAX: usize = 100;
pub const FAULT_MS_MAX: u64 = 600_000;
pub const HUGE_BYTES_DEFAULT: u64 = 100 * 1024 * 1024;
pub const HUGE_BYTES_MAX: u64 = 1024 * 1024 * 1024;
pub const HOOKS_MAX: usize = 50;
pub const HOOK_TRIES_MAX: u32 = 6;
pub const HOOKS_IN_FLIGHT: usize = 8;
pub const HOOK_TIMEOUT: Duration = Duration::from_secs(10);
pub const HOOK_BACKOFF_MS: u64 = 250;
pub const HOOK_BACKOFF_MS_MAX: u64 = 30_000;
pub const SHUTDOWN_GRACE: Duration = Duration::from_secs(5);
pub const STOREFRONT_PAGE: usize = 24;
