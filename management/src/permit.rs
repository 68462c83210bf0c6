//! Who may look at the router, and who may change it.
//!
//! It knows nobody but the asker that the control plane names. Decision: whoever is not known,
//! since the request came by way of another router or by a link that names no address, may do what
//! every listener and connector of this router would allow, and does not change a router that names
//! who may: see ADR 18.

use router_core::mail::Asker;
use router_core::settings::ManagementAccess;

use crate::schema::{Entity, shortened};
use crate::status::{Failure, Status};

/// Operations that leave everything as it is.
fn only_looks(operation: &str) -> bool {
    matches!(operation, "READ" | "QUERY") || operation.starts_with("GET-")
}

/// Checks that a request may be done. `least` is what all listeners and connectors allow.
///
/// # Errors
/// 403, with what could be done about it.
pub(crate) fn check(
    operation: &str,
    asker: Option<&Asker>,
    router: &Entity,
    least: ManagementAccess,
) -> Result<(), Failure> {
    let refuse = |text: String| Err(Failure::new(Status::Forbidden, text));
    let access = asker.map_or(least, |asker| asker.access);
    let needed = match only_looks(operation) {
        true => ManagementAccess::Read,
        false => ManagementAccess::Full,
    };
    if access < needed {
        return refuse(too_little(asker, access));
    }
    if needed == ManagementAccess::Read || router.text("managementUsers").is_none() {
        return Ok(());
    }
    let Some(asker) = asker else {
        return refuse(
            "Who asks by way of another router, or by a link that names no address, may not change \
             this router, which has managementUsers: connect to it as one of them"
                .to_owned(),
        );
    };
    let user = asker.user.as_deref();
    if user.is_some_and(|user| may_change(router, user)) {
        return Ok(());
    }
    let user = user.map_or_else(
        || "Whoever has not authenticated".to_owned(),
        |user| format!("User '{}'", shortened(user)),
    );
    refuse(format!(
        "{user} may not change this router: managementUsers in its router section names who may"
    ))
}

/// Whether a user is among those who may change the router.
fn may_change(router: &Entity, user: &str) -> bool {
    let named = router.text("managementUsers").unwrap_or_default();
    names(named).any(|name| name == user)
}

/// The names in a list: between commas, or between single quotes where a name has commas itself, as
/// the subject of a certificate has.
fn names(list: &str) -> impl Iterator<Item = &str> {
    let mut rest = list;
    std::iter::from_fn(move || {
        rest = rest.trim_start_matches([',', ' ']);
        if rest.is_empty() {
            return None;
        }
        let (name, behind) = match rest.strip_prefix('\'') {
            Some(quoted) => quoted.split_once('\'').unwrap_or((quoted, "")),
            None => rest.split_at(rest.find(',').unwrap_or(rest.len())),
        };
        // What stands between a quote and the next comma is nobody.
        rest = behind.find(',').map_or("", |at| &behind[at..]);
        Some(name.trim())
    })
}

fn too_little(asker: Option<&Asker>, access: ManagementAccess) -> String {
    let (what, remedy) = match access {
        ManagementAccess::None => ("Management is not for", "read or full"),
        ManagementAccess::Read | ManagementAccess::Full => ("Looking is all there is for", "full"),
    };
    match asker {
        Some(asker) => format!(
            "{what} peers of '{}': ask at a listener whose managementAccess is {remedy}",
            shortened(&asker.container.name),
        ),
        None => format!(
            "{what} who asks by way of another router, or by a link that names no address, where \
             managementAccess of some listener or connector is less: connect to a listener of this \
             router where it is {remedy}"
        ),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use router_core::ids::{ConnectionId, ShardId};
    use router_core::mail::Container;

    use super::*;
    use crate::schema::ROUTER;

    fn asker(user: Option<&str>, access: ManagementAccess) -> Asker {
        Asker {
            container: Container {
                connection: ConnectionId(1),
                shard: ShardId(0),
                container: "client".into(),
                name: "public".into(),
            },
            user: user.map(Arc::from),
            access,
        }
    }

    fn router(users: Option<&str>) -> Entity {
        let mut router = Entity::new(&ROUTER);
        router.set(
            "managementUsers",
            users.map(|users| users.to_owned().into()),
        );
        router
    }

    fn refusal(
        operation: &str,
        asker: Option<&Asker>,
        users: Option<&str>,
        least: ManagementAccess,
    ) -> Option<String> {
        let result = check(operation, asker, &router(users), least);
        result.err().map(|failure| {
            assert_eq!(failure.status, Status::Forbidden);
            failure.text
        })
    }

    #[test]
    fn a_router_that_says_nothing_lets_everybody_do_everything() {
        let anybody = asker(None, ManagementAccess::Full);
        for operation in ["QUERY", "CREATE", "GET-LOG", "DELETE", "ANYTHING"] {
            for asker in [Some(&anybody), None] {
                let refusal = refusal(operation, asker, None, ManagementAccess::Full);
                assert_eq!(refusal, None);
            }
        }
    }

    #[test]
    fn a_listener_restricts_its_own_peers_and_those_whom_nobody_knows() {
        let least = ManagementAccess::None;
        let admin = asker(None, ManagementAccess::Full);
        let reader = asker(None, ManagementAccess::Read);
        let nobody = asker(None, ManagementAccess::None);
        assert_eq!(refusal("UPDATE", Some(&admin), None, least), None);
        assert_eq!(refusal("QUERY", Some(&reader), None, least), None);
        let text = refusal("UPDATE", Some(&reader), None, least).unwrap();
        let expected = "Looking is all there is for peers of 'public': ask at a listener whose \
                        managementAccess is full";
        assert_eq!(text, expected);
        assert!(refusal("GET-LOG", Some(&nobody), None, least).is_some());
        assert!(refusal("QUERY", None, None, least).is_some());
        assert!(refusal("DELETE", None, None, ManagementAccess::Read).is_some());
        assert_eq!(refusal("READ", None, None, ManagementAccess::Read), None);
    }

    #[test]
    fn only_named_users_change_a_router_that_names_them() {
        let full = ManagementAccess::Full;
        let users = Some("alice@example.com, C=DE;O=Us,'CN=bob,O=Us' x,carol");
        for (user, may) in [
            (Some("alice@example.com"), true),
            (Some("C=DE;O=Us"), true),
            (Some("CN=bob,O=Us"), true),
            (Some("carol"), true),
            (Some("CN=bob"), false),
            (Some("O=Us"), false),
            (Some("x"), false),
            (Some("alice"), false),
            (Some(""), false),
            (None, false),
        ] {
            let asker = asker(user, full);
            let refused = refusal("CREATE", Some(&asker), users, full);
            assert_eq!(refused.is_none(), may, "{user:?} {refused:?}");
            assert_eq!(refusal("QUERY", Some(&asker), users, full), None);
        }
        let text = refusal("CREATE", None, users, full).unwrap();
        assert!(text.contains("connect to it as one of them"), "{text}");
        let reader = asker(Some("alice@example.com"), ManagementAccess::Read);
        assert!(refusal("CREATE", Some(&reader), users, full).is_some());
    }
}
