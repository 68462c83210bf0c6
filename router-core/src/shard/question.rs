//! What a shard wants to know of whoever decides who somebody is.

use std::sync::Arc;

use amqp_proto::SaslStep;

use crate::ids::{ConnectionId, ShardId};
use crate::settings::ConnectionSettings;

/// A step of an exchange that somebody has to decide, or the end of one.
#[derive(Clone, Debug)]
pub struct SaslQuestion {
    /// The connection.
    pub connection: ConnectionId,
    /// The shard that wants the answer.
    pub shard: ShardId,
    /// `address:port` of the peer.
    pub peer: String,
    /// The listener or connector.
    pub settings: Arc<ConnectionSettings>,
    /// Nobody else can read what passes.
    pub is_encrypted: bool,
    /// This side has a certificate to prove who it is.
    pub has_certificate: bool,
    /// What the peer did; `None`: the connection is gone, and nothing is to be answered.
    pub step: Option<SaslStep>,
}
