//! Many siblings as one: where a bucket has eight children or more that lead nowhere else, or as
//! many parents, the first of them are shown and how many there are besides.

use std::collections::BTreeSet;

use ingot_registry::api::AncestryStatus;
use ingot_registry::service::{AncestryEdge, Lineage};

/// From how many on siblings are folded, and how many of them are shown then.
const LARGE_GROUP: usize = 8;
const SHOWN: usize = 6;

/// Siblings that are not shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct HiddenSiblings {
    /// Of whom, as a place in the members.
    pub of: usize,
    /// Whether they are its children, not its parents.
    pub children: bool,
    /// How many.
    pub count: usize,
    /// How many of them are out of date.
    pub out_of_date: usize,
}

/// A family without the siblings that are too many, and what was left out.
pub(super) fn hide_siblings(lineage: &Lineage) -> (Lineage, Vec<HiddenSiblings>) {
    let mut gone: BTreeSet<usize> = BTreeSet::new();
    let mut hidden = Vec::new();
    for of in 0..lineage.members.len() {
        for children in [true, false] {
            let other = |kin: &AncestryEdge| match children {
                true => (kin.parent == of).then_some(kin.child),
                false => (kin.child == of).then_some(kin.parent),
            };
            // The bucket that the page is of stays, and so does what leads on.
            let ends = |member: usize| {
                member != 0
                    && lineage
                        .kin
                        .iter()
                        .filter(|kin| kin.parent == member || kin.child == member)
                        .all(|kin| other(kin).is_some())
            };
            let mut siblings: Vec<(AncestryStatus, usize)> = Vec::new();
            for kin in &lineage.kin {
                let Some(member) = other(kin).filter(|member| ends(*member)) else { continue };
                match siblings.iter_mut().find(|it| it.1 == member) {
                    Some(known) => known.0 = known.0.max(kin.status),
                    None => siblings.push((kin.status, member)),
                }
            }
            if siblings.len() < LARGE_GROUP {
                continue;
            }
            // What is out of date first: it is what people look for.
            siblings.sort_by(|a, b| {
                let name = |at: usize| &lineage.members[at].bucket;
                b.0.cmp(&a.0).then_with(|| name(a.1).cmp(name(b.1)))
            });
            let rest = &siblings[SHOWN..];
            gone.extend(rest.iter().map(|it| it.1));
            let out_of_date = rest.iter().filter(|it| it.0 == AncestryStatus::OutOfDate).count();
            hidden.push(HiddenSiblings { of, children, count: rest.len(), out_of_date });
        }
    }
    let kept: Vec<usize> = (0..lineage.members.len()).filter(|it| !gone.contains(it)).collect();
    let position = |of: usize| kept.iter().position(|it| *it == of);
    let kin = lineage.kin.iter().filter_map(|kin| {
        let (parent, child) = position(kin.parent).zip(position(kin.child))?;
        Some(AncestryEdge { parent, child, ..kin.clone() })
    });
    let folded = Lineage {
        members: kept.iter().map(|it| lineage.members[*it].clone()).collect(),
        kin: kin.collect(),
        more: lineage.more,
        deeper: lineage.deeper,
    };
    let hidden = hidden
        .into_iter()
        .filter_map(|it| Some(HiddenSiblings { of: position(it.of)?, ..it }))
        .collect();
    (folded, hidden)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ingot_registry::api::VersionStatus;
    use ingot_registry::service::{Member, VersionName};

    fn family(children: usize) -> Lineage {
        let member = |number: usize| Member {
            bucket: format!("b{number:02}"),
            latest: None,
            generation: i32::from(number > 0),
        };
        let version = VersionName {
            bucket: String::new(),
            name: "v1".into(),
            fingerprint: "f".into(),
            status: VersionStatus::Active,
        };
        let kin = (1..=children).map(|child| AncestryEdge {
            parent: 0,
            child,
            parent_version: version.clone(),
            child_version: version.clone(),
            channel: None,
            status: match child {
                5.. => AncestryStatus::OutOfDate,
                _ => AncestryStatus::UpToDate,
            },
        });
        Lineage {
            members: (0..=children).map(member).collect(),
            kin: kin.collect(),
            ..Lineage::default()
        }
    }

    #[test]
    fn eight_siblings_are_folded_and_seven_are_not() {
        let (seven, hidden) = hide_siblings(&family(7));
        assert_eq!((seven.members.len(), hidden.len()), (8, 0));
        let (eight, hidden) = hide_siblings(&family(8));
        assert_eq!(eight.members.len(), 1 + SHOWN);
        assert_eq!(hidden, [HiddenSiblings { of: 0, children: true, count: 2, out_of_date: 0 }]);
        // Those that are out of date are shown first.
        assert!(eight.members.iter().any(|it| it.bucket == "b08"));
        assert!(eight.kin.iter().all(|kin| kin.child < eight.members.len()));
    }
}
