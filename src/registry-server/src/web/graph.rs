//! Ancestry as a picture: a layered graph, drawn as SVG. Layers are the longest way from what has no
//! parents; within a layer, everything is near the middle of what it is connected to.

use maud::{Markup, html};

use super::parts::{status_class, status_name};
use super::sibling_groups::HiddenSiblings;
use super::web_session::PageContext;
use ingot_registry::api::AncestryStatus;
use ingot_registry::service::{AncestryEdge, Lineage, Member};

/// The size of a bucket's box and what is between two.
const WIDTH: usize = 190;
const HEIGHT: usize = 56;
const GAP_X: usize = 150;
const GAP_Y: usize = 22;
/// What is around all.
const EDGE: usize = 12;
/// How much of a name fits into a box.
const NAME: usize = 22;
/// With more relations than this their names would only cover the picture.
const NAMED: usize = 16;
/// How often layers are put in order.
const SWEEPS: usize = 6;

/// Where everything is: the upper left corners of the boxes, in the order of the members, and the
/// size of all.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Layout {
    pub corners: Vec<(usize, usize)>,
    pub width: usize,
    pub height: usize,
}

/// Finds a place for everything. `edges` are pairs of parent and child.
pub(super) fn layout(starts: &[i32], edges: &[(usize, usize)]) -> Layout {
    let layers = layers(starts, edges);
    let count = layers.iter().max().map_or(0, |most| most + 1);
    let mut columns: Vec<Vec<usize>> = vec![Vec::new(); count];
    for (node, layer) in layers.iter().enumerate() {
        columns[*layer].push(node);
    }
    order(&mut columns, starts.len(), edges);

    let step = HEIGHT + GAP_Y;
    let tallest = columns.iter().map(Vec::len).max().unwrap_or(0);
    let height = (tallest * step).saturating_sub(GAP_Y);
    let mut corners = vec![(0, 0); starts.len()];
    for (column, nodes) in columns.iter().enumerate() {
        let top = (height - ((nodes.len() * step).saturating_sub(GAP_Y)).min(height)) / 2;
        for (row, node) in nodes.iter().enumerate() {
            corners[*node] = (EDGE + column * (WIDTH + GAP_X), EDGE + top + row * step);
        }
    }
    let width = (count * (WIDTH + GAP_X)).saturating_sub(GAP_X) + 2 * EDGE;
    Layout { corners, width, height: height + 2 * EDGE }
}

/// The layer of each node, from 0: every child is right of its parents, unless they are each
/// other's ancestors.
fn layers(starts: &[i32], edges: &[(usize, usize)]) -> Vec<usize> {
    let mut layers = starts.to_vec();
    for _ in 0..starts.len() {
        let mut moved = false;
        for (parent, child) in edges.iter().filter(|(parent, child)| parent != child) {
            let least = layers[*parent] + 1;
            if layers[*child] < least {
                layers[*child] = least;
                moved = true;
            }
        }
        if !moved {
            break;
        }
    }
    // A circle leaves holes; only the order counts.
    let mut used = layers.clone();
    used.sort_unstable();
    used.dedup();
    layers.iter().map(|layer| used.partition_point(|other| other < layer)).collect()
}

/// Puts each layer in the order of the middle of what its nodes are connected to.
fn order(columns: &mut [Vec<usize>], nodes: usize, edges: &[(usize, usize)]) {
    let mut neighbours: Vec<Vec<usize>> = vec![Vec::new(); nodes];
    for (parent, child) in edges {
        neighbours[*parent].push(*child);
        neighbours[*child].push(*parent);
    }
    let mut position = vec![0.0_f64; nodes];
    let put = |column: &[usize], position: &mut Vec<f64>| {
        let middle = column.len() as f64 / 2.0;
        for (row, node) in column.iter().enumerate() {
            position[*node] = row as f64 + 0.5 - middle;
        }
    };
    for column in columns.iter() {
        put(column, &mut position);
    }
    for sweep in 0..SWEEPS {
        let mut turn: Vec<usize> = (0..columns.len()).collect();
        if sweep % 2 == 1 {
            turn.reverse();
        }
        for column in turn {
            let mean = |node: usize| {
                let adjacent = &neighbours[node];
                match adjacent.len() {
                    0 => position[node],
                    count => adjacent.iter().map(|it| position[*it]).sum::<f64>() / count as f64,
                }
            };
            let mut ranked: Vec<(f64, usize)> =
                columns[column].iter().map(|node| (mean(*node), *node)).collect();
            ranked.sort_by(|a, b| a.0.total_cmp(&b.0));
            columns[column] = ranked.into_iter().map(|(_, node)| node).collect();
            put(&columns[column], &mut position);
        }
    }
}

/// The picture of a family; `hidden` are boxes for more of it, which lead to `all`.
pub(super) fn picture(
    context: &PageContext,
    lineage: &Lineage,
    hidden: &[HiddenSiblings],
    all: &str,
    title: &str,
) -> Markup {
    let count = lineage.members.len();
    let mut starts: Vec<i32> = lineage.members.iter().map(|member| member.generation).collect();
    let mut edges: Vec<(usize, usize)> =
        lineage.kin.iter().map(|kin| (kin.parent, kin.child)).collect();
    for (number, group) in hidden.iter().enumerate() {
        starts.push(starts[group.of] + if group.children { 1 } else { -1 });
        let other = count + number;
        edges.push(if group.children { (group.of, other) } else { (other, group.of) });
    }
    let layout = layout(&starts, &edges);
    let size = format!("0 0 {} {}", layout.width, layout.height);
    // One line for all relations of two buckets: the worst.
    let mut lines: Vec<&AncestryEdge> = Vec::new();
    for kin in &lineage.kin {
        match lines.iter_mut().find(|it| (it.parent, it.child) == (kin.parent, kin.child)) {
            Some(other) if kin.status > other.status => *other = kin,
            Some(_) => {}
            None => lines.push(kin),
        }
    }
    html! {
        div.picture role="region" aria-label=(title) tabindex="0" {
            svg viewBox=(size) width=(layout.width) height=(layout.height) role="group"
                aria-label=(format!("{title}, as a picture; the table below says the same")) {
                defs {
                    @for class in ["good", "warn", "dim"] {
                        marker id=(format!("arrow-{class}")) viewBox="0 0 8 8" refX="7" refY="4"
                            markerWidth="8" markerHeight="8" orient="auto" {
                            path.arrow.(class) d="M0 0.500 7.500 4 0 7.500z" {}
                        }
                    }
                }
                g aria-hidden="true" {
                    @for kin in &lines { (line(kin.parent, kin.child, line_class(kin.status), &layout)) }
                    @for (parent, child) in &edges[lineage.kin.len()..] {
                        (line(*parent, *child, "dim", &layout))
                    }
                    @if lines.len() <= NAMED {
                        @for kin in &lines { (line_name(kin, &layout)) }
                    }
                }
                @for (number, member) in lineage.members.iter().enumerate() {
                    (node(context, member, layout.corners[number], number == 0))
                }
                @for (number, group) in hidden.iter().enumerate() {
                    (more(group, all, layout.corners[count + number]))
                }
            }
        }
    }
}

fn line_class(status: AncestryStatus) -> &'static str {
    match status {
        AncestryStatus::UpToDate => "good",
        AncestryStatus::OutOfDate => "warn",
        AncestryStatus::Undetermined => "dim",
    }
}

/// The ends of a line: from the parent's right side to the child's left side.
fn ends(parent: usize, child: usize, layout: &Layout) -> ((usize, usize), (usize, usize)) {
    let (from, to) = (layout.corners[parent], layout.corners[child]);
    ((from.0 + WIDTH, from.1 + HEIGHT / 2), (to.0.saturating_sub(3), to.1 + HEIGHT / 2))
}

fn line(parent: usize, child: usize, class: &str, layout: &Layout) -> Markup {
    let ((x1, y1), (x2, y2)) = ends(parent, child, layout);
    let bend = GAP_X / 2;
    let path = format!("M{x1} {y1}C{} {y1} {} {y2} {x2} {y2}", x1 + bend, x2.saturating_sub(bend));
    html! { path.kin.(class) d=(path) marker-end=(format!("url(#arrow-{class})")) {} }
}

fn line_name(kin: &AncestryEdge, layout: &Layout) -> Markup {
    let ((_, y1), (x, y)) = ends(kin.parent, kin.child, layout);
    // On the side of the line's end that the line does not come from.
    let y = if y > y1 { y + 17 } else { y.saturating_sub(8) };
    let name = match &kin.channel {
        Some(channel) => format!("{} · {}", kin.parent_version.name, cut(channel, 12)),
        None => kin.parent_version.name.clone(),
    };
    html! {
        text.kin-name x=(x.saturating_sub(10)) y=(y) text-anchor="end" { (name) }
    }
}

fn node(context: &PageContext, member: &Member, (x, y): (usize, usize), here: bool) -> Markup {
    let version = member.latest.as_ref();
    let class = version.map_or("dim", |version| status_class(version.status));
    let path = match version {
        Some(version) => context.version_path(&member.bucket, &version.fingerprint, ""),
        None => context.bucket_path(&member.bucket, ""),
    };
    let name = cut(&member.bucket, NAME);
    let state = version.map_or("no complete version".to_owned(), |version| {
        format!("{} · {}", version.name, status_name(version.status))
    });
    let cut_off = name != member.bucket;
    html! {
        a.node.here[here] href=(path) aria-label=[cut_off.then(|| format!("{name} {state}, {}", member.bucket))] {
            @if cut_off { title { (member.bucket) } }
            rect x=(x) y=(y) width=(WIDTH) height=(HEIGHT) rx="8" {}
            circle.(class) cx=(x + 17) cy=(y + 38) r="4.500" {}
            text.name x=(x + 12) y=(y + 23) { (name) " " }
            text.state x=(x + 28) y=(y + 42) { (state) }
        }
    }
}

/// What stands for siblings that are not shown.
pub(super) fn more_text(group: &HiddenSiblings) -> (String, String) {
    let kind = if group.children { "children" } else { "parents" };
    let text = format!("{} more {kind}", group.count);
    let state = match group.out_of_date {
        0 => "show all".to_owned(),
        count => format!("{count} out of date · show all"),
    };
    (text, state)
}

fn more(group: &HiddenSiblings, all: &str, (x, y): (usize, usize)) -> Markup {
    let (text, state) = more_text(group);
    html! {
        a.node.more href=(all) {
            rect x=(x) y=(y) width=(WIDTH) height=(HEIGHT) rx="8" {}
            text.name x=(x + 12) y=(y + 23) { (text) }
            text.state x=(x + 12) y=(y + 42) { (state) }
        }
    }
}

/// As much of a name as fits.
fn cut(name: &str, most: usize) -> String {
    match name.chars().count() > most {
        true => name.chars().take(most - 1).chain(['…']).collect(),
        false => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn children_are_right_of_all_their_parents() {
        // 1 → 0, 0 → 2, 0 → 3, 2 → 3: the last is two steps from the first's child.
        let edges = [(1, 0), (0, 2), (0, 3), (2, 3)];
        let layout = layout(&[0, -1, 1, 1], &edges);
        for (parent, child) in edges {
            assert!(layout.corners[parent].0 + WIDTH < layout.corners[child].0);
        }
        let mut corners = layout.corners.clone();
        corners.sort_unstable();
        corners.dedup();
        assert_eq!(corners.len(), 4);
        assert_eq!(layout.width, 4 * WIDTH + 3 * GAP_X + 2 * EDGE);
    }

    #[test]
    fn lines_do_not_cross_where_they_need_not() {
        // Two parents with a child each, in the wrong order.
        let layout = layout(&[0, 0, 1, 1], &[(0, 3), (1, 2)]);
        let y = |node: usize| layout.corners[node].1;
        assert_eq!(y(0) < y(1), y(3) < y(2));
    }

    #[test]
    fn a_circle_ends() {
        let layout = layout(&[0, 1], &[(0, 1), (1, 0), (0, 0)]);
        assert_ne!(layout.corners[0], layout.corners[1]);
        assert_eq!(layout.width, 2 * WIDTH + GAP_X + 2 * EDGE);
    }

    #[test]
    fn names_are_cut_between_characters() {
        assert_eq!(cut("é".repeat(30).as_str(), 3), "éé…");
        assert_eq!(cut("abc", 3), "abc");
    }
}
