//! What `-with-annotations` says to who is new to HCL2.

/// Of the file.
pub(super) const FILE: &str = "\
This was written from a JSON template. Read it once before relying on it; from then on it is yours.
Blocks may move to other files of the same directory whose names end in .pkr.hcl: the variables to \
variables.pkr.hcl, for instance. A command that is given the directory reads all of them.";

/// Of the packer block.
pub(super) const PACKER: &str = "\
What has to be there before anything is built: versions, and the plugins that `init` installs.";

/// Of variables.
pub(super) const VARIABLES: &str = "\
Input variables. All are strings, as they were in JSON; a type such as number, bool or list(string) \
may fit better. They are given values with -var, -var-file and PKR_VAR_name.";

/// Of locals.
pub(super) const LOCALS: &str = "\
Values that are computed: those of variables that asked for more than the environment.";

/// Of sources.
pub(super) const SOURCES: &str = "\
A source is a builder with its options. Nothing is built of it until a build block names it.";

/// Of the build.
pub(super) const BUILD: &str = "\
A build runs provisioners on each of its sources, and post-processors on what comes of them.";

/// As many characters of a comment are on a line.
const WIDTH: usize = 96;

/// `text` as comment lines.
pub(super) fn comment(text: &str) -> String {
    let mut lines = String::new();
    for paragraph in text.lines() {
        let mut line = String::from("#");
        for word in paragraph.split_whitespace() {
            if line.len() > 1 && line.chars().count() + word.chars().count() + 1 > WIDTH {
                lines.push_str(&line);
                lines.push('\n');
                line = String::from("#");
            }
            line.push(' ');
            line.push_str(word);
        }
        lines.push_str(&line);
        lines.push('\n');
    }
    lines
}
