//! What the log is told of requests: who asks for what, and who has changed what.

use router_core::mail::Asker;
use router_core::notice::Notice;

use crate::query::is_management;
use crate::schema::shortened;
use crate::wire::Content;

/// A request has come. Its operation is called as it calls it: who searches the log for what a tool
/// has sent finds that.
pub(crate) fn asked(content: &Content, asker: Option<&Asker>) -> Notice {
    let operation = content.text("operation").ok().flatten().unwrap_or_default();
    let user = asker.and_then(|asker| asker.user.as_deref());
    Notice::ManagementAsked {
        operation: shortened(operation).into_owned(),
        target: target(content),
        connection: asker.map(|asker| asker.container.connection),
        user: user.map(|user| shortened(user).into_owned()),
        changed: false,
    }
}

/// The same request has changed something.
pub(crate) fn done(mut asked: Notice) -> Notice {
    if let Notice::ManagementAsked { changed, .. } = &mut asked {
        *changed = true;
    }
    asked
}

/// What a request is about.
fn target(content: &Content) -> String {
    let names = ["entityType", "type", "name", "identity"];
    let said = names.into_iter().filter_map(|name| {
        let text = content.text(name).ok().flatten()?;
        // The stock client says that of the node with each request.
        if text == "self" || is_management(text) {
            return None;
        }
        Some(format!("{name}={}", shortened(text)))
    });
    said.collect::<Vec<_>>().join(" ")
}
