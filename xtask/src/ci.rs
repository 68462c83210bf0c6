//! `cargo xtask ci`: the steps a change must pass, in order.
//!
//! Owns the list. It never does a step's work. Decision: cheap steps first, so that what usually
//! fails is seen early, and everything that can rot (models, seeds, fuzz targets, benches) is run,
//! if only for seconds. Two lanes, because half of the time is spent by one compiler or one program
//! waiting: what is built for development and what is built optimised lie in folders of their own.

use crate::fuzz;
use crate::instructions;
use crate::step::Step;
use crate::tasks;

/// All steps of CI.
pub(crate) fn lanes() -> [Vec<Step>; 2] {
    [
        vec![
            Step::new("format", tasks::format),
            Step::new("tidy", tasks::tidy),
            Step::new("lint", tasks::lint),
            Step::new("test", |root| tasks::test(root, &[])),
            Step::new("docs", tasks::docs),
            Step::new("interop", tasks::interop),
        ],
        vec![
            Step::new("simulation", tasks::simulation),
            Step::new("loom", tasks::loom),
            Step::new("fuzz", fuzz::smoke),
            Step::new("bench", tasks::bench_quick),
            Step::new("instructions", |root| instructions::run(root, false)),
        ],
    ]
}
