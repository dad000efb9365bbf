//! Small templates.

use crate::BASE;

/// A directory with one template in it.
pub fn template(text: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a directory for the test");
    std::fs::write(dir.path().join("t.pkr.hcl"), text).expect("the template is written");
    dir
}

/// The template of a null build with `steps` in its build block.
pub fn null_template(steps: &str) -> String {
    format!(
        "source \"null\" \"n\" {{\n  communicator = \"none\"\n}}\nbuild {{\n  sources = \
         [\"source.null.n\"]\n{steps}\n}}\n"
    )
}

/// The template of a docker build with `options` in its source and `steps` in its build block.
pub fn docker_template(options: &str, steps: &str) -> String {
    format!(
        "source \"docker\" \"d\" {{\n  image = \"{BASE}\"\n  pull = false\n  {options}\n}}\nbuild \
         {{\n  sources = [\"source.docker.d\"]\n{steps}\n}}\n"
    )
}

/// A build that does nothing, for templates whose other blocks matter.
pub const NULL: &str = "source \"null\" \"n\" {\n  communicator = \"none\"\n}\nbuild {\n  sources = [\"source.null.n\"]\n}\n";
