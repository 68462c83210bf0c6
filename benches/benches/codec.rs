//! Times the `codec` workloads.

use criterion::{Criterion, criterion_group, criterion_main};

fn codec(criterion: &mut Criterion) {
    for workload in benches::group("codec") {
        let mut unit = workload.prepare();
        criterion.bench_function(workload.name, |bencher| bencher.iter(&mut unit));
    }
}

criterion_group!(group, codec);
criterion_main!(group);
