//! What a control plane is made from.

use std::sync::Arc;

use crate::counters::Counters;
use crate::mesh::MeshSettings;
use crate::settings::RouterSettings;

/// What a control plane begins with.
#[derive(Debug)]
pub struct ControlConfig {
    /// The router's settings.
    pub settings: Arc<RouterSettings>,
    /// The number of worker shards; the control plane is the shard after the last.
    pub shards: u16,
    /// The second, since the epoch, in which this life of the router began: never one that an
    /// earlier life under the same id has used, because that is how others tell lives apart.
    pub instance: i64,
    /// Keys the hashes of the routing table and of what routers tell all.
    pub seed: u64,
    /// The counters of all shards, to be read.
    pub counters: Arc<Counters>,
}

impl ControlConfig {
    /// What the routing protocol has to know of it.
    pub(super) fn mesh(&self) -> MeshSettings {
        let timers = self.settings.timers;
        MeshSettings {
            id: Arc::clone(&self.settings.id),
            instance: self.instance,
            seed: self.seed,
            hello_interval: timers.hello_interval,
            hello_max_age: timers.hello_max_age,
            ra_interval: timers.ra_interval,
            ra_interval_flux: timers.ra_interval_flux,
            remote_ls_max_age: timers.remote_ls_max_age,
        }
    }
}
