//! The parts of the router that write lines, by the names that operators know.

/// Who writes a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Module {
    /// Start, mode, configuration of addresses.
    Router,
    /// Connections and links.
    RouterCore,
    /// HELLO in and out.
    RouterHello,
    /// Link-state messages and computed paths.
    RouterLs,
    /// Mobile address messages.
    RouterMa,
    /// Properties of messages.
    Message,
    /// Sockets, listeners, threads.
    Server,
    /// Management and configuration syntax.
    Agent,
    /// Authentication service.
    AuthService,
    /// The AMQP container.
    Container,
    /// Internal errors.
    Error,
    /// Policy decisions.
    Policy,
    /// HTTP.
    Http,
    /// Configuration of listeners and connectors.
    ConnMgr,
    /// Nothing here; the name is accepted for the sake of existing files.
    Python,
    /// AMQP frames.
    Protocol,
    /// What applies to modules without settings of their own.
    Default,
}

impl Module {
    /// All, in the order by which configurations may number them.
    pub const ALL: [Self; 17] = [
        Self::Router,
        Self::RouterCore,
        Self::RouterHello,
        Self::RouterLs,
        Self::RouterMa,
        Self::Message,
        Self::Server,
        Self::Agent,
        Self::AuthService,
        Self::Container,
        Self::Error,
        Self::Policy,
        Self::Http,
        Self::ConnMgr,
        Self::Python,
        Self::Protocol,
        Self::Default,
    ];

    /// The name in lines and in the configuration.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Router => "ROUTER",
            Self::RouterCore => "ROUTER_CORE",
            Self::RouterHello => "ROUTER_HELLO",
            Self::RouterLs => "ROUTER_LS",
            Self::RouterMa => "ROUTER_MA",
            Self::Message => "MESSAGE",
            Self::Server => "SERVER",
            Self::Agent => "AGENT",
            Self::AuthService => "AUTHSERVICE",
            Self::Container => "CONTAINER",
            Self::Error => "ERROR",
            Self::Policy => "POLICY",
            Self::Http => "HTTP",
            Self::ConnMgr => "CONN_MGR",
            Self::Python => "PYTHON",
            Self::Protocol => "PROTOCOL",
            Self::Default => "DEFAULT",
        }
    }

    /// The module of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|module| module.name() == name)
    }

    /// Its place in [`Module::ALL`].
    #[must_use]
    pub fn index(self) -> usize {
        self as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_stand_at_their_index() {
        for (index, module) in Module::ALL.into_iter().enumerate() {
            assert_eq!(module.index(), index);
            assert_eq!(Module::from_name(module.name()), Some(module));
        }
        assert_eq!(Module::from_name("router"), None);
    }
}
