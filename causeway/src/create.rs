//! One section of a configuration given to a router, by the code that answers CREATE.

use management::{Agent, Failure, Host, Origin};
use router_core::control::ControlPlane;

use crate::config::Placed;
use crate::log::{Level, Module};

/// Takes lines for the log.
pub(crate) type Tell<'a> = dyn FnMut(Module, Level, String) + 'a;

/// Gives a router what one section says; its identity. An address that cannot be is left out, as it
/// is in the incumbent, and has none.
///
/// # Errors
///
/// Why it cannot be.
pub(crate) fn create(
    placed: &Placed,
    origin: Origin,
    (agent, plane, host): (&mut Agent, &mut ControlPlane, &mut dyn Host),
    tell: &mut Tell<'_>,
) -> Result<Option<String>, Failure> {
    announce(placed, tell);
    match agent.create(placed.entity.clone(), origin, plane, host) {
        Ok(identity) => Ok(Some(identity)),
        Err(failure) if may_be_left_out(placed) => {
            let line = placed.section.line;
            let words = format!(
                "Ignoring configured address on line {line}: {}",
                failure.text
            );
            tell(Module::Router, Level::Warning, words);
            Ok(None)
        }
        Err(failure) => Err(failure),
    }
}

/// Whether a router goes on without it where it cannot be.
pub(crate) fn may_be_left_out(placed: &Placed) -> bool {
    placed.is_of_type("router.config.address")
}

/// Says of a listener or connector that it is configured.
pub(crate) fn announce(placed: &Placed, tell: &mut Tell<'_>) {
    let entity = &placed.entity;
    let kinds = [("listener", "Listener"), ("connector", "Connector")];
    let Some((_, kind)) = kinds.iter().find(|(short, _)| placed.is_of_type(short)) else {
        return;
    };
    let text = |name: &str| entity.text(name).unwrap_or_default();
    let (host, port, role) = (text("host"), text("port"), text("role"));
    let family = entity.text("protocolFamily").unwrap_or("any");
    let profile = entity.text("sslProfile");
    let profile = profile.map_or_else(String::new, |name| format!(", sslProfile={name}"));
    let is_http = entity.is_true("http") || entity.text("httpRootDir").is_some();
    let http = if is_http { ", http" } else { "" };
    let words =
        format!("Configured {kind}: {host}:{port} proto={family}, role={role}{http}{profile}");
    tell(Module::ConnMgr, Level::Info, words);
}
