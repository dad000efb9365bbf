//! A plan as a tree for people, at most 60 columns wide where words allow it.

use super::model::{BuildPlan, PlannedBlock, PlannedBuild, PublishPlan, State};
use ingot_ui::plain;

/// How wide the tree is, in columns.
const WIDTH: usize = 60;
/// How many digits of a hash are shown.
const DIGITS: usize = 12;
/// The longest value of a variable that is shown, in characters.
const LONGEST_VALUE: usize = 40;

/// How a line looks where colours may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Style {
    /// As it is.
    #[default]
    Plain,
    /// Green: all is well, nothing to do.
    Good,
    /// Yellow: something is to be done.
    Attention,
    /// Red: something is wrong.
    Bad,
    /// Faint: detail.
    Detail,
}

impl Style {
    fn codes(self) -> Option<&'static str> {
        match self {
            Style::Plain => None,
            Style::Good => Some("32"),
            Style::Attention => Some("33"),
            Style::Bad => Some("31"),
            Style::Detail => Some("2"),
        }
    }
}

/// A line of a tree, and those below it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Branch {
    text: String,
    style: Style,
    children: Vec<Branch>,
}

impl Branch {
    /// A line.
    pub fn new(text: impl Into<String>) -> Self {
        Branch { text: text.into(), ..Branch::default() }
    }

    /// The same in a style.
    pub fn style(self, style: Style) -> Self {
        Branch { style, ..self }
    }

    /// Adds a line below it.
    pub fn push(&mut self, child: Branch) {
        self.children.push(child);
    }

    /// The tree as text, which ends with a newline.
    pub fn render(&self, color: bool) -> String {
        let mut lines = String::new();
        self.write("", "", color, &mut lines);
        lines
    }

    fn write(&self, first: &str, below: &str, color: bool, lines: &mut String) {
        let text = plain(&self.text);
        let room = WIDTH.saturating_sub(first.chars().count()).max(WIDTH / 3);
        for (index, line) in wrapped(&text, room).into_iter().enumerate() {
            let indent = match index {
                0 => first.to_owned(),
                // What goes on stands below its beginning.
                _ if self.children.is_empty() => format!("{below}  "),
                _ => format!("{below}│ "),
            };
            let line = match self.style.codes().filter(|_| color) {
                Some(codes) => format!("\u{1b}[{codes}m{line}\u{1b}[0m"),
                None => line,
            };
            lines.push_str(format!("{indent}{line}").trim_end());
            lines.push('\n');
        }
        let last = self.children.len().saturating_sub(1);
        for (index, child) in self.children.iter().enumerate() {
            let (branch, under) = match index == last {
                true => ("└── ", "    "),
                false => ("├── ", "│   "),
            };
            child.write(&format!("{below}{branch}"), &format!("{below}{under}"), color, lines);
        }
    }
}

/// The lines of a text that is broken at blanks. A word that is too long stays whole.
fn wrapped(text: &str, room: usize) -> Vec<String> {
    let mut lines: Vec<String> = vec![String::new()];
    for word in text.split_whitespace() {
        let line = lines.last_mut();
        match line {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) if line.chars().count() + 1 + word.chars().count() <= room => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// A plan as a tree.
pub fn tree(plan: &BuildPlan) -> Branch {
    let mut root = Branch::new(&plan.template);
    plan.builds.iter().for_each(|build| root.push(build_branch(build)));
    match &plan.publish {
        Some(publish) => root.push(publish_branch(publish, plan.registry_asked)),
        None => root.push(Branch::new("nothing is published").style(Style::Detail)),
    }
    root
}

/// The style of a state.
pub(super) fn style_of(state: State) -> Style {
    match state {
        State::Unchanged => Style::Good,
        State::New | State::Changed | State::Undecided => Style::Attention,
        State::NotCompared => Style::Plain,
    }
}

fn build_branch(build: &PlannedBuild) -> Branch {
    let text = match build.state {
        State::NotCompared => build.name.clone(),
        state => format!("{}: {}", build.name, state.shown()),
    };
    let mut branch = Branch::new(text).style(style_of(build.state));
    for reason in &build.reasons {
        let text = match build.state {
            State::Undecided => format!("not known: {reason}"),
            state => format!("{}: {reason}", state.shown()),
        };
        branch.push(Branch::new(text).style(style_of(build.state)));
    }
    branch.push(block("source", &build.source));
    for (index, step) in build.provisioners.iter().enumerate() {
        branch.push(block(&format!("provisioner {}:", index + 1), step));
    }
    for (pipeline, steps) in build.post_processors.iter().enumerate() {
        for (index, step) in steps.iter().enumerate() {
            branch.push(block(&format!("post-processor {}.{}:", pipeline + 1, index + 1), step));
        }
    }
    for variable in &build.variables {
        let name = &variable.name;
        let text = match (&variable.value, variable.sensitive) {
            (_, true) => format!("var.{name} (sensitive)"),
            (serde_json::Value::Null, _) => format!("var.{name} (null or not known)"),
            (value, _) => format!("var.{name} = {}", shortened(&value.to_string())),
        };
        branch.push(Branch::new(text).style(Style::Detail));
    }
    for data in &build.data_sources {
        let fetched = if data.fetched { "fetched" } else { "not fetched" };
        branch.push(Branch::new(format!("{}, {fetched}", data.name)).style(Style::Detail));
    }
    for parent in &build.parents {
        let bucket = parent.bucket.as_deref().unwrap_or("(not known)");
        let text = match &parent.channel {
            Some(channel) => format!("parent {bucket}, channel {channel}"),
            None => format!("parent {bucket}"),
        };
        branch.push(Branch::new(text));
    }
    branch
}

fn shortened(text: &str) -> String {
    match text.chars().count() > LONGEST_VALUE {
        true => format!("{}…", text.chars().take(LONGEST_VALUE).collect::<String>()),
        false => text.to_owned(),
    }
}

fn block(what: &str, block: &PlannedBlock) -> Branch {
    let PlannedBlock { ty, name, file, line, .. } = block;
    let name = match (what, name) {
        ("source", Some(name)) => format!("{ty}.{name}"),
        (_, Some(name)) => format!("{ty} \"{name}\""),
        (_, None) => ty.clone(),
    };
    let mut branch = Branch::new(format!("{what} {name} ({file}:{line})"));
    let mut detail = |text: String| branch.push(Branch::new(text).style(Style::Detail));
    block.base.iter().for_each(|base| detail(format!("from {base}")));
    for file in &block.files {
        detail(match (&file.sha256, &file.error) {
            (Some(digest), _) => {
                format!("{} {} sha256 {}", file.option, file.path, &digest[..DIGITS])
            }
            (None, why) => {
                format!("{} {}: {}", file.option, file.path, why.as_deref().unwrap_or_default())
            }
        });
    }
    let lists = [("known when it runs", &block.unknown), ("new in each run", &block.volatile)];
    for (what, options) in lists.into_iter().filter(|(_, options)| !options.is_empty()) {
        detail(format!("{what}: {}", options.join(", ")));
    }
    if let Some(cache) = &block.cache {
        detail(match (&cache.not_kept_because, &cache.last_kept) {
            (Some(why), _) => format!("not cached: {why}"),
            (None, Some(at)) => format!("step cache: last kept {at}"),
            (None, None) => "step cache: nothing kept yet".into(),
        });
    }
    if block.holds_secret {
        detail("holds secrets, which are not compared".into());
    }
    branch
}

fn publish_branch(publish: &PublishPlan, asked: bool) -> Branch {
    let mut branch = Branch::new(match &publish.registry {
        Some(registry) => format!("publish to {} ({registry})", publish.bucket),
        None => format!("publish to {}", publish.bucket),
    });
    let mut line = |text: String| branch.push(Branch::new(text));
    line(match (&publish.fingerprint, &publish.beside) {
        (Some(fingerprint), _) => format!("fingerprint {fingerprint}"),
        (None, Some(commit)) => format!("a new version beside {commit}"),
        (None, None) => "a new version".into(),
    });
    let labels = [("bucket", &publish.bucket_labels), ("builds", &publish.build_labels)];
    for (of, labels) in labels.into_iter().filter(|(_, labels)| !labels.is_empty()) {
        let labels: Vec<String> =
            labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
        line(format!("labels of the {of}: {}", labels.join(", ")));
    }
    if !publish.channels.is_empty() {
        line(format!("channels: {}", publish.channels.join(", ")));
    }
    if let Some(channel) = &publish.promote {
        line(format!("promoted by -stale to {channel}"));
    }
    line(match &publish.last_version {
        Some(last) => {
            let revoked = if last.revoked { ", revoked" } else { "" };
            format!("last version: {} ({}){revoked}", last.name, last.fingerprint)
        }
        None if asked => "no complete version yet".into(),
        None => "the registry was not asked".into(),
    });
    if !publish.removed.is_empty() {
        let removed = format!("removed since: {}", publish.removed.join(", "));
        branch.push(Branch::new(removed).style(Style::Attention));
    }
    branch
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_broken_at_blanks() {
        let mut root = Branch::new("web");
        let mut child = Branch::new("word ".repeat(20)).style(Style::Good);
        child.push(Branch::new("below"));
        root.push(child);
        root.push(Branch::new("x".repeat(80)));
        let text = root.render(false);
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[..3].iter().all(|line| line.chars().count() <= WIDTH), "{text}");
        assert_eq!(lines[1], format!("├── {}", ["word"; 11].join(" ")));
        assert!(lines[2].starts_with("│   │ word"), "{text}");
        assert_eq!(lines[3], "│   └── below");
        assert!(root.render(true).contains("\u{1b}[32mword"));
    }
}
