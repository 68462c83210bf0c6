//! Work on many things at once, as many as there are processors.
//!
//! Owns the threads. It never knows the work, whose lines have the name of who asked for it.
//! Decision: scoped threads that take the next item each from one counter; results come in the
//! order of the items, whoever was first.

use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::console;

/// What `work` makes of each item.
pub(crate) fn spread<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let workers = thread::available_parallelism().map_or(1, NonZero::get);
    let next = AtomicUsize::new(0);
    let name = console::name();
    let take = || {
        let mut done = Vec::new();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(index) else {
                return done;
            };
            done.push((index, work(item)));
        }
    };
    let mut done = thread::scope(|scope| {
        let workers: Vec<_> = (0..workers)
            .map(|_| scope.spawn(|| console::named(name, take)))
            .collect();
        let joined = workers.into_iter().map(thread::ScopedJoinHandle::join);
        joined
            .flat_map(|part| part.unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect::<Vec<_>>()
    });
    done.sort_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_item_is_worked_on_once_and_results_keep_the_order() {
        let items: Vec<u64> = (0..100).collect();
        let doubled = spread(&items, |item| 2 * item);
        assert_eq!(
            doubled,
            items.iter().map(|item| 2 * item).collect::<Vec<_>>()
        );
        assert!(spread(&[0_u8; 0], |_| ()).is_empty());
    }

    #[test]
    fn what_the_work_prints_has_the_name_of_who_asked_for_it() {
        let names = console::named(Some("loom"), || spread(&[0; 4], |_| console::name()));
        assert_eq!(names, [Some("loom"); 4]);
    }
}
