//! A plan as a graph in Graphviz's language: `dot -Tsvg`.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::model::{BuildPlan, PlannedBlock, State};

/// A plan as a graph: what builds are made from on the left, what is published on the right.
pub fn dot(plan: &BuildPlan) -> String {
    let mut graph = Graph::new("plan");
    let bucket = plan.publish.as_ref().map(|publish| {
        let id = format!("bucket {}", publish.bucket);
        graph.node(&id, &format!("bucket {}", publish.bucket), "shape=cylinder");
        for channel in &publish.channels {
            let channel_id = format!("channel {channel}");
            graph.node(&channel_id, &format!("channel {channel}"), "shape=cds");
            graph.edge(&id, &channel_id);
        }
        id
    });
    for build in &plan.builds {
        let name = &build.name;
        let of = |kind: &str| format!("{name} {kind}");
        let shown = match build.state {
            State::NotCompared => name.clone(),
            state => format!("{name}\n{}", state.shown()),
        };
        let start = of("source");
        let style = format!("shape=box, style=filled, fillcolor={}", color(build.state));
        graph.node(&start, &format!("{shown}\n{}", block_text(&build.source)), &style);
        for parent in &build.parents {
            let bucket = parent.bucket.as_deref().unwrap_or(&parent.data_source);
            let id = format!("bucket {bucket}");
            let text = match &parent.channel {
                Some(channel) => format!("bucket {bucket}\nchannel {channel}"),
                None => format!("bucket {bucket}"),
            };
            graph.node(&id, &text, "shape=cylinder");
            graph.edge(&id, &start);
        }
        let others = build
            .data_sources
            .iter()
            .filter(|data| build.parents.iter().all(|parent| parent.data_source != data.name));
        for data in others {
            graph.node(&data.name, &data.name, "shape=note");
            graph.edge(&data.name, &start);
        }
        let mut before = start.clone();
        for (index, step) in build.provisioners.iter().enumerate() {
            let id = of(&format!("provisioner {}", index + 1));
            graph.node(&id, &block_text(step), "shape=box, style=rounded");
            graph.edge(&before, &id);
            graph.files(step, &id);
            before = id;
        }
        graph.files(&build.source, &start);
        let mut ends = Vec::new();
        for (pipeline, steps) in build.post_processors.iter().enumerate() {
            let mut last = before.clone();
            for (index, step) in steps.iter().enumerate() {
                let id = of(&format!("post-processor {}.{}", pipeline + 1, index + 1));
                graph.node(&id, &block_text(step), "shape=box, style=\"rounded,dashed\"");
                graph.edge(&last, &id);
                graph.files(step, &id);
                last = id;
            }
            ends.push(last);
        }
        if ends.is_empty() {
            ends.push(before);
        }
        for end in ends {
            bucket.iter().for_each(|bucket| graph.edge(&end, bucket));
        }
    }
    graph.finish()
}

fn color(state: State) -> &'static str {
    match state {
        State::NotCompared => "white",
        State::Unchanged => "palegreen",
        State::New | State::Changed | State::Undecided => "khaki",
    }
}

fn block_text(block: &PlannedBlock) -> String {
    match &block.name {
        Some(name) => format!("{} {name}", block.ty),
        None => block.ty.clone(),
    }
}

/// A graph that is being written.
pub(crate) struct Graph {
    text: String,
    nodes: BTreeSet<String>,
    edges: BTreeSet<(String, String)>,
}

impl Graph {
    /// An empty graph, from left to right.
    pub(crate) fn new(name: &str) -> Self {
        let text = format!("digraph {} {{\n  rankdir=LR;\n", quoted(name));
        Graph { text, nodes: BTreeSet::new(), edges: BTreeSet::new() }
    }

    /// Adds a node, unless there is one called `id`. `style` are attributes of Graphviz.
    pub(crate) fn node(&mut self, id: &str, label: &str, style: &str) {
        if self.nodes.insert(id.to_owned()) {
            let _ = writeln!(self.text, "  {} [label={}, {style}];", quoted(id), quoted(label));
        }
    }

    /// Adds an edge, unless it is there.
    pub(crate) fn edge(&mut self, from: &str, to: &str) {
        if self.edges.insert((from.to_owned(), to.to_owned())) {
            let _ = writeln!(self.text, "  {} -> {};", quoted(from), quoted(to));
        }
    }

    /// Adds the files that a block reads.
    fn files(&mut self, block: &PlannedBlock, id: &str) {
        for file in &block.files {
            let file_id = format!("file {}", file.path);
            self.node(&file_id, &file.path, "shape=note");
            self.edge(&file_id, id);
        }
    }

    /// The whole text.
    pub(crate) fn finish(mut self) -> String {
        self.text.push_str("}\n");
        self.text
    }
}

/// A string of Graphviz's language.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            c if c.is_control() => quoted.push(' '),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::Graph;

    #[test]
    fn nothing_ends_a_string_early() {
        let mut graph = Graph::new("g");
        graph.node("a\"b\\", "one\ntwo", "shape=box");
        graph.node("a\"b\\", "again", "shape=box");
        graph.edge("a\"b\\", "c");
        let wanted = "digraph \"g\" {\n  rankdir=LR;\n  \"a\\\"b\\\\\" [label=\"one\\ntwo\", \
                      shape=box];\n  \"a\\\"b\\\\\" -> \"c\";\n}\n";
        assert_eq!(graph.finish(), wanted);
    }
}
