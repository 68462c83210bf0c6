//! Figures of the program around the router: of its log, and of pools of memory.

use crate::schema::definition::Attribute;
use crate::schema::definition::EntityType;
use crate::schema::definition::Kind::{Integer, String};
use crate::schema::tables::base::OPERATIONAL;

/// How many lines a module of the log has written.
pub static LOG_STATS: EntityType = EntityType {
    short: "logStats",
    extends: Some(&OPERATIONAL),
    attributes: &[
        Attribute::graph("traceCount", "Lines of level trace."),
        Attribute::graph("debugCount", "Lines of level debug."),
        Attribute::graph("infoCount", "Lines of level info."),
        Attribute::graph("noticeCount", "Lines of level notice."),
        Attribute::graph("warningCount", "Lines of level warning."),
        Attribute::graph("errorCount", "Lines of level error."),
        Attribute::graph("criticalCount", "Lines of level critical."),
    ],
    description: "How many lines a module of the log has written.",
    ..EntityType::PLAIN
};

/// A pool of memory for objects of one type.
pub static ALLOCATOR: EntityType = EntityType {
    short: "allocator",
    extends: Some(&OPERATIONAL),
    attributes: &[
        Attribute::new("typeName", String, "The type."),
        Attribute::new("typeSize", Integer, "Bytes of an object."),
        Attribute::new("transferBatchSize", Integer, "Objects moved at once."),
        Attribute::graph("localFreeListMax", "Free objects that a thread keeps."),
        Attribute::graph("globalFreeListMax", "Free objects that all keep together."),
        Attribute::graph("totalAllocFromHeap", "Objects that memory was taken for."),
        Attribute::graph("totalFreeToHeap", "Objects whose memory was given back."),
        Attribute::graph("heldByThreads", "Objects that threads have memory for."),
        Attribute::graph("batchesRebalancedToThreads", "Batches given to threads."),
        Attribute::graph("batchesRebalancedToGlobal", "Batches taken from threads."),
    ],
    description: "A pool of memory for objects of one type. Each worker thread has its own pools, \
                  shown as one; what the program takes in all is memoryUsage of the router.",
    ..EntityType::PLAIN
};
