//! The `log` sections, and what the `router` section says about the log, as settings of the log.

use std::sync::Arc;

use management::settings::log_settings;

use super::entity::Placed;
use super::error::ConfigError;
use crate::log::{LogSettings, ModuleSettings, Stamp};

/// Collects the settings; what is wrong with them is added to the errors.
pub(super) fn settings(
    file: &Arc<str>,
    placed: &[Placed],
    errors: &mut Vec<ConfigError>,
) -> LogSettings {
    let mut settings = LogSettings::default();
    for placed in placed {
        let entity = &placed.entity;
        if placed.is_of_type("log") {
            match ModuleSettings::asked(&log_settings(entity)) {
                Ok((module, asked)) => *settings.module_mut(module) = asked,
                Err(text) => errors.push(placed.error(file, "enable", text)),
            }
        } else if placed.is_of_type("router") {
            let utc = entity.is_true("timestampsInUTC");
            match Stamp::new(utc, entity.text("timestampFormat")) {
                Ok(stamp) => settings.stamp = stamp,
                Err(text) => errors.push(placed.error(file, "timestampFormat", text)),
            }
        }
    }
    settings
}
