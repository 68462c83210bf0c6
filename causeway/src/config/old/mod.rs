//! The words of early releases of `qdrouterd`, which files in the field still use: each is taken as
//! what it is called today, with one warning that shows the modern spelling.
//!
//! Only names that no release of today knows are dealt with here; those that it deprecates are
//! aliases in the schema. Decision: sections are translated before anything reads them, so nothing
//! else in the house knows that there were other words. What is translated is noted as a list of
//! changes to lines, from which `causeway check --upgrade` writes the file anew ([`text`]) with
//! comments and order kept.

mod modern;
mod retired;
pub(super) mod text;
mod words;

use std::sync::Arc;

use super::error::ConfigError;
use super::section::{Attribute, Section, camel_case};
pub(super) use modern::Modern;

/// Translates the sections of a file; of one in the native form, that is its text.
pub(super) fn modernise(file: &Arc<str>, sections: Vec<Section>, text: Option<&str>) -> Modern {
    let mut modern = Modern::default();
    let sections = retired::containers(&mut modern, file, sections);
    let waypoints = retired::Waypoints::of(&sections);
    for section in sections {
        match section.name.as_str() {
            "fixedAddress" => retired::fixed_address(&mut modern, file, &section),
            "linkRoutePattern" => retired::link_route_pattern(&mut modern, file, &section),
            "waypoint" => waypoints.translate(&mut modern, file, &section),
            _ => {
                let section = words::translate(&mut modern, file, section);
                modern.sections.push(section);
            }
        }
    }
    retired::default_distribution(&mut modern);
    if let Some(text) = text {
        spellings(&mut modern, file, text);
    }
    modern
}

/// Warns of names in another spelling than camel case, which are otherwise the names of today.
fn spellings(modern: &mut Modern, file: &Arc<str>, text: &str) {
    let lines: Vec<&str> = text.lines().collect();
    let written = |line: u32| {
        let line = lines.get(usize::try_from(line).ok()?.checked_sub(1)?)?;
        text::written_name(line)
    };
    let mut warnings = Vec::new();
    let mut note = |line: u32, entity: &str, attribute: Option<&str>, name: &str| {
        warnings.push(ConfigError {
            file: Arc::clone(file),
            line,
            entity: Some(entity.to_owned()),
            attribute: attribute.map(str::to_owned),
            text: "is the spelling of an early release".to_owned(),
            remedy: Some(format!("write '{name}'")),
        });
    };
    for section in &modern.sections {
        let is_other = |written: &str, name: &str| written != name && camel_case(written) == name;
        if let Some(heading) = written(section.line).filter(|of| is_other(of, &section.name)) {
            note(section.line, heading, None, &section.name);
        }
        for Attribute { name, line, .. } in &section.attributes {
            let spelt = written(*line).filter(|of| is_other(of, name));
            if let Some(spelt) = spelt.filter(|_| !text::is_alias(section, name)) {
                note(*line, &section.name, Some(spelt), name);
            }
        }
    }
    modern.warnings.append(&mut warnings);
}

#[cfg(test)]
mod tests;
