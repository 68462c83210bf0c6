//! The workloads whose cost is watched, one list for criterion and for the instruction counter.
//!
//! Owns what a unit of each workload is. It never measures: the benches do it in time, for people,
//! the `instructions` binary in instructions, for CI. Decision: one list, so that what CI judges is
//! what a person can look at under a profiler.
#![forbid(unsafe_code)]

mod bed;
mod client;
mod codec;
mod hop;
mod mailbox;
mod mesh;
mod route_choose;
mod scan;
#[cfg(feature = "tls")]
mod sealed;
mod shard;
mod workload;

pub use workload::{Unit, Workload};

/// Every workload that is timed: those that are counted, and those whose instructions depend on the
/// processor.
#[must_use]
pub fn timed() -> Vec<Workload> {
    [
        workloads(),
        #[cfg(feature = "tls")]
        sealed::workloads(),
    ]
    .concat()
}

/// Every workload that is counted, in the order in which it is reported.
#[must_use]
pub fn workloads() -> Vec<Workload> {
    [
        codec::workloads(),
        scan::workloads(),
        mailbox::workloads(),
        mesh::workloads(),
        route_choose::workloads(),
        shard::workloads(),
        hop::workloads(),
    ]
    .concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_workload_has_a_name_of_its_own_and_does_its_work() {
        let mut names = std::collections::BTreeSet::new();
        for workload in timed() {
            assert!(names.insert(workload.name), "{}", workload.name);
            let mut unit = workload.prepare();
            let first = unit();
            assert!(first > 0, "{} does nothing", workload.name);
            assert_eq!(first, unit(), "{} is not the same each time", workload.name);
        }
    }
}
