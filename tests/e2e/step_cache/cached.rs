//! Builds whose cache goes with them.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use ingot_test_support::{Run, docker_template, ingot, output_of, template};

/// A directory with a template, and the cache of whoever builds it, which goes with it.
pub(super) struct Cached {
    pub(super) dir: tempfile::TempDir,
    pub(super) images: Vec<String>,
}

impl Cached {
    pub(super) fn new(text: &str) -> Cached {
        Cached { dir: template(text), images: Vec::new() }
    }

    /// A template of these steps.
    pub(super) fn of(steps: &str) -> Cached {
        Cached::new(&docker_template("commit = true", steps))
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(super) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    pub(super) fn run(&self, args: &[&str]) -> Run {
        ingot(self.dir.path(), &[&["build", "-color=false"], args, &["."]].concat())
    }

    /// Builds, which must succeed; the output.
    pub(super) fn build(&mut self, args: &[&str]) -> String {
        let run = self.run(args);
        assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
        self.images.extend(image_in(&run.stdout));
        run.stdout
    }

    /// The image that was built last.
    pub(super) fn image(&self) -> &str {
        self.images.last().unwrap()
    }

    /// Removes the image that was built last, so that it is made again.
    pub(super) fn forget_image(&mut self) {
        let image = self.images.pop().unwrap();
        output_of("docker", &["rmi", "-f", &image]);
    }

    /// What `command` prints in the image that was built last.
    pub(super) fn inside(&self, command: &str) -> String {
        inside(self.image(), command)
    }

    pub(super) fn cache(&self, args: &[&str]) -> Run {
        ingot(self.dir.path(), &[&["cache"], args].concat())
    }

    /// The states, as `ingot cache list -json` shows them.
    pub(super) fn states(&self) -> Vec<Value> {
        let list = self.cache(&["list", "-json"]);
        assert_eq!(list.code, Some(0), "{}", list.stdout);
        let list: Value = serde_json::from_str(&list.stdout).unwrap();
        list["states"].as_array().unwrap().clone()
    }
}

impl Drop for Cached {
    fn drop(&mut self) {
        self.cache(&["prune", "-all"]);
        let shared = self.path("shared");
        if shared.exists() {
            self.cache(&["prune", "-all", &format!("-cache-dir={}", shared.display())]);
        }
        for image in &self.images {
            let _ = Command::new("docker").args(["rmi", "-f", image]).output();
        }
    }
}

pub(super) fn image_in(said: &str) -> Option<String> {
    let line = said.lines().find(|line| line.contains("Image ID: "))?;
    line.split("Image ID: ").nth(1).map(str::to_owned)
}

pub(super) fn inside(image: &str, command: &str) -> String {
    output_of("docker", &["run", "--rm", "--entrypoint=/bin/sh", image, "-c", command])
}

/// How many steps were run, and how many came from the cache.
pub(super) fn steps(said: &str) -> (usize, usize) {
    let count = |text: &str| said.lines().filter(|line| line.contains(text)).count();
    (
        count("Provisioning with shell script") + count(": Uploading "),
        count("Using cached state for "),
    )
}

/// A step that leaves a line that differs each time it is run.
pub(super) fn shell(name: &str) -> String {
    format!(
        "  provisioner \"shell\" {{\n    inline = [\"echo {name} $(cat /proc/sys/kernel/random/uuid) \
         >>/log\"]\n  }}\n"
    )
}

pub(super) const UPLOAD: &str =
    "  provisioner \"file\" {\n    source = \"up\"\n    destination = \"/root/up\"\n  }\n";

/// Three steps: a script of its own text, a file, a script in a file.
pub(super) fn three_steps() -> Cached {
    let script = "  provisioner \"shell\" {\n    script = \"last.sh\"\n  }\n";
    let variable = "variable \"word\" {\n  default = \"first\"\n}\n";
    let steps = shell("${var.word}") + UPLOAD + script;
    let options =
        "commit = true\n  changes = [\"ENV ADDED=yes\", \"LABEL who=me\"]\n  message = \"m\"";
    let cached = Cached::new(&(variable.to_owned() + &docker_template(options, &steps)));
    std::fs::create_dir(cached.path("up")).unwrap();
    cached.write("up/file", "one");
    cached.write("last.sh", "echo last >>/log");
    cached
}

/// A script of a step that leaves all kinds of files.
pub(super) const LEAVES: &str = "set -e
mkdir -p /d/sub /d/gone /replaced
echo one >/d/one; ln /d/one /d/sub/two; ln -s ../one /d/sub/link
chmod 4755 /d/one; chmod 1777 /d/sub; chown 12:34 /d/gone
mknod /d/device c 1 3; mkfifo /d/pipe
echo x >\"/d/with space's \\$name\"; echo x >/d/$(head -c 200 /dev/zero | tr '\\0' n)
rm /bin/vi /bin/awk; rm -r /root; mkdir /root; echo new >/root/new
rm -r /replaced; echo a file >/replaced
touch -d '2001-02-03 04:05:06' /d/gone
";

/// Builds on a machine that shares nothing with others but a directory.
pub(super) fn other_machine(cached: &mut Cached, shared: &Path, name: &str) -> String {
    let run = ingot_test_support::ingot_with(
        cached.dir.path(),
        &["build", "-color=false", "-cache", "-explain", "."],
        &[
            ("INGOT_CACHE_DIR", shared.to_str().unwrap()),
            ("INGOT_STATE_DIR", cached.path(name).to_str().unwrap()),
        ],
    );
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    cached.images.extend(image_in(&run.stdout));
    run.stdout
}

/// Removes the states of a shared directory from the Engine, which another machine has none on.
pub(super) fn forget_on_engine(shared: &Path) -> usize {
    let mut count = 0;
    for entry in std::fs::read_dir(shared.join("docker")).unwrap() {
        let path = entry.unwrap().path();
        let key = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let _ = Command::new("docker").args(["rmi", &format!("ingot-cache:{key}")]).output();
        count += 1;
    }
    count
}
