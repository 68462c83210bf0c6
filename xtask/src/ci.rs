//! `cargo xtask ci`: the steps a change must pass, in order.
//!
//! Owns the list. It never does a step's work. Decision: cheap steps first, so that what usually
//! fails is seen early, and everything that can rot (models, seeds, fuzz targets, benches) is run,
//! if only for seconds. Two lanes, because programs wait and compilers end one by one; the second
//! begins with what is built in folders of its own.

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
            Step::new("fuzz", fuzz::smoke),
            Step::new("loom", tasks::loom),
            Step::new("instructions", |root| instructions::run(root, false)),
            Step::new("simulation", tasks::simulation),
            Step::new("bench", tasks::bench_quick),
        ],
    ]
}
