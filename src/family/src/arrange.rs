//! The order of a family: parents before children.

use std::collections::BTreeMap;

use ingot_hcl::{Diagnostic, Diagnostics};
use ingot_sdk::TemplatePlace;

use super::member::{Member, ParentLink};

/// A family in order.
#[derive(Debug, Default)]
pub struct Family {
    /// The members: each behind all that it builds on.
    pub members: Vec<Member>,
    /// The parents of each that are of the family, by their places in `members`.
    pub parents: Vec<Vec<usize>>,
    /// How many generations are above each in the family.
    pub levels: Vec<usize>,
}

/// Puts members into order. Templates that publish to one bucket, and those that build on each other in
/// a circle, are errors; there is no family then.
pub fn arrange(mut members: Vec<Member>, diagnostics: &mut Diagnostics) -> Option<Family> {
    members.sort_by(|a, b| a.bucket.cmp(&b.bucket));
    for pair in members.windows(2) {
        if pair[0].bucket == pair[1].bucket {
            let at = |member: &Member| format!("{} publishes to it", shown(&member.place));
            diagnostics.push(
                Diagnostic::error(format!(
                    "two templates publish to the bucket {}",
                    pair[0].bucket
                ))
                .note(at(&pair[0]))
                .note(at(&pair[1]))
                .help("give each template a bucket of its own, or leave one of them out"),
            );
        }
    }
    if diagnostics.has_errors() {
        return None;
    }
    let places: BTreeMap<&str, usize> =
        members.iter().enumerate().map(|(place, one)| (one.bucket.as_str(), place)).collect();
    let parents: Vec<Vec<usize>> = members
        .iter()
        .map(|member| {
            let links = member.parents.iter();
            let mut own: Vec<usize> =
                links.filter_map(|link| places.get(link.bucket.as_str()).copied()).collect();
            own.sort_unstable();
            own.dedup();
            own
        })
        .collect();
    let mut levels: Vec<Option<usize>> = vec![None; members.len()];
    loop {
        let mut moved = false;
        for place in 0..members.len() {
            if levels[place].is_some() {
                continue;
            }
            let above: Option<Vec<usize>> = parents[place].iter().map(|&one| levels[one]).collect();
            if let Some(above) = above {
                levels[place] = Some(above.into_iter().max().map_or(0, |level| level + 1));
                moved = true;
            }
        }
        if !moved {
            break;
        }
    }
    if let Some(start) = levels.iter().position(Option::is_none) {
        diagnostics.push(circle(&members, &parents, &levels, start));
        return None;
    }
    let levels: Vec<usize> = levels.into_iter().flatten().collect();
    let mut order: Vec<usize> = (0..members.len()).collect();
    order.sort_by_key(|&place| (levels[place], place));
    let new_place = |old: usize| order.iter().position(|&place| place == old);
    let mut family = Family::default();
    for &place in &order {
        family.members.push(members[place].clone());
        family.levels.push(levels[place]);
        family.parents.push(parents[place].iter().filter_map(|&one| new_place(one)).collect());
    }
    Some(family)
}

/// The error that members build on each other in a circle. `start` is one that has no level, as
/// it is in a circle or below one.
fn circle(
    members: &[Member],
    parents: &[Vec<usize>],
    levels: &[Option<usize>],
    start: usize,
) -> Diagnostic {
    let mut path = vec![start];
    let first = loop {
        let last = path[path.len() - 1];
        // All without a level have a parent without one.
        let next = parents[last].iter().copied().find(|&one| levels[one].is_none());
        let Some(next) = next else { break 0 };
        if let Some(first) = path.iter().position(|&one| one == next) {
            break first;
        }
        path.push(next);
    };
    let mut error = Diagnostic::error("these templates build on each other in a circle");
    let cycle = &path[first..];
    for (index, &child) in cycle.iter().enumerate() {
        let parent = &members[cycle[(index + 1) % cycle.len()]].bucket;
        let link = members[child].parents.iter().find(|link| link.bucket == *parent);
        let place = link.map_or(&members[child].place, |link: &ParentLink| &link.place);
        let child = &members[child].bucket;
        error = error.note(format!("{}: {child} builds on {parent}", shown(place)));
    }
    error.help("one of them has to start from something else")
}

fn shown(place: &TemplatePlace) -> String {
    format!("{}:{}:{}", place.file, place.line, place.column)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(bucket: &str, parents: &[&str]) -> Member {
        let place = |line| TemplatePlace { file: format!("{bucket}.pkr.hcl"), line, column: 1 };
        let parents = parents.iter().map(|parent| ParentLink {
            data_source: format!("data.hcp-packer-artifact.{parent}"),
            place: place(7),
            bucket: (*parent).to_owned(),
            channel: Some("latest".into()),
        });
        Member {
            template: bucket.into(),
            bucket: bucket.into(),
            place: place(1),
            promote: None,
            fingerprint: String::new(),
            of_commit: false,
            channels: Vec::new(),
            parents: parents.collect(),
            builds: 1,
            variables: Vec::new(),
            secrets: Default::default(),
            public_names: Vec::new(),
        }
    }

    #[test]
    fn parents_come_before_children() {
        let members = vec![
            member("app", &["web", "base"]),
            member("base", &["elsewhere"]),
            member("web", &["base"]),
            member("alone", &[]),
        ];
        let family = arrange(members, &mut Diagnostics::default()).unwrap();
        let names: Vec<&str> = family.members.iter().map(|one| one.bucket.as_str()).collect();
        assert_eq!(names, ["alone", "base", "web", "app"]);
        assert_eq!(family.levels, [0, 0, 1, 2]);
        assert_eq!(family.parents, [vec![], vec![], vec![1], vec![1, 2]]);
    }

    #[test]
    fn circles_and_two_of_one_bucket_are_errors() {
        let said = |members: Vec<Member>| {
            let mut diagnostics = Diagnostics::default();
            assert!(arrange(members, &mut diagnostics).is_none());
            diagnostics.render(&Default::default(), false).to_string()
        };
        let circle =
            said(vec![member("below", &["one"]), member("one", &["two"]), member("two", &["one"])]);
        assert!(circle.contains("one.pkr.hcl:7:1: one builds on two"), "{circle}");
        assert!(circle.contains("two.pkr.hcl:7:1: two builds on one"), "{circle}");
        assert!(!circle.contains("below"), "{circle}");
        let twice = said(vec![member("one", &[]), member("one", &[])]);
        assert!(twice.contains("two templates publish to the bucket one"), "{twice}");
    }
}
