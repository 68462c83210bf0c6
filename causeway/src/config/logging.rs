//! The `log` sections, and what the `router` section says about the log, as settings of the log.

use std::sync::Arc;

use management::schema::Entity;

use super::entity::Placed;
use super::error::ConfigError;
use crate::log::{LogSettings, Module, ModuleSettings, Output, Stamp, parse_levels};

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
            let name = entity.text("module").unwrap_or_default();
            let Some(module) = Module::from_name(name) else {
                continue;
            };
            match module_settings(entity) {
                Ok(of_module) => *settings.module_mut(module) = of_module,
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

/// The settings of one module.
///
/// # Errors
///
/// A level that is none, as a text for the user.
fn module_settings(entity: &Entity) -> Result<ModuleSettings, String> {
    let flag = |name: &str| entity.get(name).map(|_| entity.is_true(name));
    let levels = entity.text("enable").map(parse_levels).transpose();
    Ok(ModuleSettings {
        levels: levels.map_err(|bad| bad.to_string())?.flatten(),
        timestamp: flag("includeTimestamp"),
        source: flag("includeSource"),
        output: entity.text("outputFile").map(Output::named),
    })
}
