//! Times the `scan` workloads.

use criterion::{Criterion, criterion_group, criterion_main};

fn scan(criterion: &mut Criterion) {
    for workload in benches::group("scan") {
        let mut unit = workload.prepare();
        criterion.bench_function(workload.name, |bencher| bencher.iter(&mut unit));
    }
}

criterion_group!(group, scan);
criterion_main!(group);
