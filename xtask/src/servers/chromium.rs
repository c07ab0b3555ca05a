//! Debian's Chromium and the npm package that drives it. Nothing runs between tests: each starts its own browser.

use std::process::Command;
use std::time::Duration;

use super::packages::Packages;
use super::{Absence, Ground, Standing, npm};

const VERSION_MAX: Duration = Duration::from_secs(60);

pub fn start(packages: &Packages, ground: Ground<'_>) -> Result<Standing, Absence> {
    let browser = packages.chromium()?;
    let driver = npm::ensure("browser", packages, ground)?;
    ground.run(
        "chromium --version",
        Command::new(&browser).arg("--version"),
        "chromium",
        VERSION_MAX,
    )?;
    Ok(Standing {
        environment: vec![
            ("LOCKSTEP_TEST_CHROMIUM", browser.display().to_string()),
            (
                "LOCKSTEP_TEST_PLAYWRIGHT",
                driver.folder.display().to_string(),
            ),
        ],
        process: None,
        _installation: Some(driver),
    })
}
