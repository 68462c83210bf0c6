//! `cargo xtask ci`: the steps a change must pass, in order.
//!
//! Owns the list. It never does a step's work. Decision: cheap steps first, so that what usually
//! fails is seen early, and everything that can rot (models, seeds, fuzz targets, benches) is run,
//! if only for seconds.

use crate::fuzz;
use crate::instructions;
use crate::step::Step;
use crate::tasks;

/// All steps of CI.
pub(crate) fn steps() -> Vec<Step> {
    vec![
        Step::new("format", tasks::format),
        Step::new("tidy", tasks::tidy),
        Step::new("lint", tasks::lint),
        Step::new("test", |root| tasks::test(root, &[])),
        Step::new("docs", tasks::docs),
        Step::new("loom", tasks::loom),
        Step::new("simulation", tasks::simulation),
        Step::new("fuzz", fuzz::smoke),
        Step::new("bench", tasks::bench_quick),
        Step::new("instructions", |root| instructions::run(root, false)),
        Step::new("interop", tasks::interop),
    ]
}
