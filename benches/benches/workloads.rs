//! Times every workload. `cargo xtask bench scan` times those whose names contain `scan`.
//!
//! Owns nothing. Decision: one program for all groups, because linking is what takes long.

use criterion::{Criterion, criterion_group, criterion_main};

fn time(criterion: &mut Criterion) {
    for workload in benches::timed() {
        let mut unit = workload.prepare();
        criterion.bench_function(workload.name, |bencher| bencher.iter(&mut unit));
    }
}

criterion_group!(workloads, time);
criterion_main!(workloads);
