//! Whether routers know of each other what they should. Pure: reports in, complaints out.

use std::collections::BTreeMap;

use super::report::{RouterReport, Way};

/// What each router that runs says, by name.
pub(super) type Reports = BTreeMap<String, RouterReport>;

/// What each of them should have a way to, and what the cheapest one costs.
pub(super) type Expected = BTreeMap<String, BTreeMap<String, u64>>;

/// What routers do not know yet, still believe, or would not pass on.
pub(super) fn disagreements(reports: &Reports, expected: &Expected) -> Vec<String> {
    let mut wrong = Vec::new();
    for (name, expected) in expected {
        let Some(report) = reports.get(name) else {
            continue;
        };
        for (router, cost) in expected {
            match way(report, router).map(|way| way.cost) {
                None => wrong.push(format!("{name} does not know {router}")),
                Some(at) if at != *cost => {
                    wrong.push(format!("{name} reaches {router} at {at} instead of {cost}"));
                }
                Some(_) => wrong.extend(refusal(reports, name, router)),
            }
        }
        let ways = report.routers.iter().map(|way| &way.to);
        let stale = ways.filter(|router| !expected.contains_key(*router));
        wrong.extend(stale.map(|router| format!("{name} still knows {router}")));
    }
    wrong
}

/// A router on the way that would not pass on what comes from the beginning of the way. Routers
/// work out their own ways first, and those of others after that.
fn refusal(reports: &Reports, from: &str, to: &str) -> Option<String> {
    let mut at = from;
    for _ in reports {
        let on = way(reports.get(at)?, to)?;
        let next = on.next.as_deref().filter(|next| *next != to)?;
        let onward = way(reports.get(next)?, to);
        if !onward.is_some_and(|way| way.origins.iter().any(|origin| origin == from)) {
            return Some(format!("{next} would not pass on from {from} to {to}"));
        }
        at = next;
    }
    Some(format!("the way from {from} to {to} runs in a circle"))
}

/// Routers that do not know all receivers of an address.
pub(super) fn unaware(address: &str, reports: &Reports, expected: &Expected) -> Vec<String> {
    let seen = |name: &String| {
        let report = reports.get(name)?;
        report.addresses.get(address).copied()
    };
    let receives = |name: &String| seen(name).is_some_and(|seen| seen.receivers > 0);
    if !reports.keys().any(receives) {
        return vec![format!("nobody receives from {address}")];
    }
    let mut wrong = Vec::new();
    for (name, reachable) in expected {
        let expected = reachable.keys().filter(|name| receives(name)).count() as u64;
        let knows = seen(name).unwrap_or_default().routers;
        if knows != expected {
            wrong.push(format!(
                "{name} knows {knows} of {expected} other routers with receivers of {address}"
            ));
        }
    }
    wrong
}

fn way<'a>(report: &'a RouterReport, to: &str) -> Option<&'a Way> {
    report.routers.iter().find(|way| way.to == to)
}

#[cfg(test)]
mod tests {
    use super::super::report::AddressReport;
    use super::*;

    /// A report of ways: to, next, cost, origins.
    fn report(ways: &[(&str, &str, u64, &str)]) -> RouterReport {
        let ways = ways.iter().map(|(to, next, cost, origins)| Way {
            to: (*to).to_owned(),
            next: Some((*next).to_owned()).filter(|next| !next.is_empty()),
            cost: *cost,
            origins: origins.split_whitespace().map(str::to_owned).collect(),
        });
        RouterReport {
            routers: ways.collect(),
            ..RouterReport::default()
        }
    }

    /// A line A-B-C.
    fn line() -> (Reports, Expected) {
        let reports = BTreeMap::from([
            (
                "A".to_owned(),
                report(&[("B", "", 1, ""), ("C", "B", 2, "")]),
            ),
            (
                "B".to_owned(),
                report(&[("A", "", 1, "C"), ("C", "", 1, "A")]),
            ),
            (
                "C".to_owned(),
                report(&[("A", "B", 2, ""), ("B", "", 1, "")]),
            ),
        ]);
        let costs = |ways: &RouterReport| {
            let ways = ways.routers.iter();
            ways.map(|way| (way.to.clone(), way.cost)).collect()
        };
        let expected = reports
            .iter()
            .map(|(name, ways)| (name.clone(), costs(ways)));
        let expected = expected.collect();
        (reports, expected)
    }

    fn complaint(name: &str, ways: &[(&str, &str, u64, &str)]) -> String {
        let (mut reports, expected) = line();
        reports.insert(name.to_owned(), report(ways));
        disagreements(&reports, &expected).join("; ")
    }

    #[test]
    fn routers_that_agree_give_no_complaint() {
        let (reports, expected) = line();
        assert_eq!(disagreements(&reports, &expected), Vec::<String>::new());
    }

    #[test]
    fn each_disagreement_is_named() {
        let lacks = complaint("A", &[("B", "", 1, "")]);
        assert_eq!(lacks, "A does not know C");
        let dear = complaint("A", &[("B", "", 1, ""), ("C", "", 9, "")]);
        assert_eq!(dear, "A reaches C at 9 instead of 2");
        let old = complaint(
            "C",
            &[("A", "B", 2, ""), ("B", "", 1, ""), ("D", "", 1, "")],
        );
        assert_eq!(old, "C still knows D");
        let late = complaint("B", &[("A", "", 1, "C"), ("C", "", 1, "")]);
        assert_eq!(late, "B would not pass on from A to C");
        let circle = complaint("B", &[("A", "", 1, "C"), ("C", "A", 1, "A B")]);
        assert!(
            circle.contains("A would not pass on from B to C"),
            "{circle}"
        );
    }

    #[test]
    fn receivers_elsewhere_must_be_known() {
        let (mut reports, expected) = line();
        assert_eq!(
            unaware("q", &reports, &expected),
            ["nobody receives from q"]
        );
        let mut sees = |name: &str, receivers, routers| {
            let seen = AddressReport {
                receivers,
                routers,
                ..AddressReport::default()
            };
            let report = reports.get_mut(name).unwrap();
            report.addresses.insert("q".to_owned(), seen);
            unaware("q", &reports, &expected)
        };
        let two = [
            "A knows 0 of 1 other routers with receivers of q",
            "B knows 0 of 1 other routers with receivers of q",
        ];
        assert_eq!(sees("C", 1, 0), two);
        assert_eq!(sees("B", 0, 1), two[..1]);
        assert_eq!(sees("A", 0, 1), Vec::<String>::new());
    }
}
