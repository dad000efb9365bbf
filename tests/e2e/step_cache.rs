//! The step cache with the real Engine: what is run again and what is not, and that what comes out is
//! the same.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use flate2::read::GzDecoder;
use ingot_sdk::hash::sha256;
use serde_json::Value;

use crate::running::{PATIENCE, Running};
use ingot_test_support::{BASE, Run, docker, docker_template, ingot, output_of, require, template};

/// A directory with a template, and the cache of whoever builds it, which goes with it.
struct Cached {
    dir: tempfile::TempDir,
    images: Vec<String>,
}

impl Cached {
    fn new(text: &str) -> Cached {
        Cached { dir: template(text), images: Vec::new() }
    }

    /// A template of these steps.
    fn of(steps: &str) -> Cached {
        Cached::new(&docker_template("commit = true", steps))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    fn run(&self, args: &[&str]) -> Run {
        ingot(self.dir.path(), &[&["build", "-color=false"], args, &["."]].concat())
    }

    /// Builds, which must succeed; the output.
    fn build(&mut self, args: &[&str]) -> String {
        let run = self.run(args);
        assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
        self.images.extend(image_in(&run.stdout));
        run.stdout
    }

    /// The image that was built last.
    fn image(&self) -> &str {
        self.images.last().unwrap()
    }

    /// Removes the image that was built last, so that it is made again.
    fn forget_image(&mut self) {
        let image = self.images.pop().unwrap();
        output_of("docker", &["rmi", "-f", &image]);
    }

    /// What `command` prints in the image that was built last.
    fn inside(&self, command: &str) -> String {
        inside(self.image(), command)
    }

    fn cache(&self, args: &[&str]) -> Run {
        ingot(self.dir.path(), &[&["cache"], args].concat())
    }

    /// The states, as `ingot cache list -json` shows them.
    fn states(&self) -> Vec<Value> {
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

fn image_in(said: &str) -> Option<String> {
    let line = said.lines().find(|line| line.contains("Image ID: "))?;
    line.split("Image ID: ").nth(1).map(str::to_owned)
}

fn inside(image: &str, command: &str) -> String {
    output_of("docker", &["run", "--rm", "--entrypoint=/bin/sh", image, "-c", command])
}

/// What an image is configured to be. The host's name is that of the container it comes from.
fn config(image: &str) -> Value {
    let text = output_of("docker", &["inspect", "-f", "{{json .Config}}", image]);
    let mut config: Value = serde_json::from_str(&text).unwrap();
    config["Hostname"] = Value::Null;
    config
}

/// The checksums of the layers of an image.
fn layers(image: &str) -> Vec<String> {
    let text = output_of("docker", &["inspect", "-f", "{{json .RootFS.Layers}}", image]);
    serde_json::from_str(&text).unwrap()
}

/// The layers of an image, as tar archives, which Engines with the image store of containerd compress.
fn archives(image: &str) -> Vec<Vec<u8>> {
    let saved = Command::new("docker").args(["save", image]).output().unwrap().stdout;
    let file = |wanted: &str| {
        let mut archive = tar::Archive::new(&saved[..]);
        let entries = archive.entries().unwrap().map(Result::unwrap);
        let mut found = entries.filter(|entry| entry.path().unwrap() == Path::new(wanted));
        let mut bytes = Vec::new();
        found.next().unwrap().read_to_end(&mut bytes).unwrap();
        bytes
    };
    let manifest: Value = serde_json::from_slice(&file("manifest.json")).unwrap();
    let layers = manifest[0]["Layers"].as_array().unwrap().iter();
    let unpacked = |packed: Vec<u8>| {
        let mut bytes = Vec::new();
        match packed.starts_with(&[0x1f, 0x8b]) {
            true => drop(GzDecoder::new(&packed[..]).read_to_end(&mut bytes).unwrap()),
            false => bytes = packed,
        }
        bytes
    };
    layers.map(|layer| unpacked(file(layer.as_str().unwrap()))).collect()
}

const MOUNT_POINTS: [&str; 5] =
    ["packer-files/", "etc/", "etc/hosts", "etc/hostname", "etc/resolv.conf"];

/// The last layer of an image, entry for entry with its header; but for the mount point of the scratch
/// volume, which is made when a container starts, and those of files that the Engine mounts, which some
/// Engines make when something is uploaded.
fn last_layer(image: &str) -> Vec<String> {
    let layer = archives(image).pop().unwrap();
    let mut archive = tar::Archive::new(&layer[..]);
    let mut entries = Vec::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let mut data = Vec::new();
        entry.read_to_end(&mut data).unwrap();
        let path = entry.path().unwrap().display().to_string();
        let (header, data) = (entry.header(), String::from_utf8_lossy(&data));
        // What marks that a file was deleted is of the time when it was deleted.
        if path.contains("/.wh.") {
            entries.push(path);
        } else if !MOUNT_POINTS.contains(&path.as_str()) {
            entries.push(format!("{path} {header:?} {data}"));
        }
    }
    entries
}

/// Whether a path of an image is of the Engine, which mounts something there.
fn is_mounted(path: &str) -> bool {
    let first = path.split('/').next().unwrap_or_default();
    ["proc", "sys", "dev"].contains(&first)
        || ["etc/hosts", "etc/hostname", "etc/resolv.conf"].contains(&path)
}

/// All files of an image: kind, mode, owner, and contents of those that are no programs; but for what the
/// Engine mounts.
fn files(image: &str) -> String {
    // Nothing runs in it.
    let container = output_of("docker", &["create", "--entrypoint", "/none", image]);
    let export = Command::new("docker").args(["export", &container]).output();
    output_of("docker", &["rm", "-v", &container]);
    let export = export.unwrap();
    assert!(export.status.success(), "{}", String::from_utf8_lossy(&export.stderr));
    let plain = |path: &Path| {
        let path = path.display().to_string();
        path.trim_start_matches("./").trim_end_matches('/').to_owned()
    };
    let mut sums: HashMap<String, String> = HashMap::new();
    let mut lines = Vec::new();
    for entry in tar::Archive::new(&export.stdout[..]).entries().unwrap() {
        let mut entry = entry.unwrap();
        let path = plain(&entry.path().unwrap());
        if is_mounted(&path) {
            continue;
        }
        let header = entry.header();
        let (mut kind, mode) = (header.entry_type(), header.mode().unwrap() & 0o7777);
        let (uid, gid) = (header.uid().unwrap(), header.gid().unwrap());
        let sum = match kind {
            // Another name of a file that came before.
            tar::EntryType::Link => {
                kind = tar::EntryType::Regular;
                let file = plain(&entry.link_name().unwrap().unwrap());
                sums[&file].clone()
            }
            _ => {
                let mut data = Vec::new();
                entry.read_to_end(&mut data).unwrap();
                sha256(data)
            }
        };
        let mut line = format!("/{path} {kind:?} {mode:o} {uid} {gid}\n");
        if kind.is_file() && mode & 0o111 == 0 {
            line += &format!("{sum} /{path}\n");
        }
        lines.push((path.clone(), line));
        sums.insert(path, sum);
    }
    lines.sort();
    lines.into_iter().map(|(_, line)| line).collect()
}

/// How many steps were run, and how many came from the cache.
fn steps(said: &str) -> (usize, usize) {
    let count = |text: &str| said.lines().filter(|line| line.contains(text)).count();
    (
        count("Provisioning with shell script") + count(": Uploading "),
        count("Using cached state for "),
    )
}

/// A step that leaves a line that differs each time it is run.
fn shell(name: &str) -> String {
    format!(
        "  provisioner \"shell\" {{\n    inline = [\"echo {name} $(cat /proc/sys/kernel/random/uuid) \
         >>/log\"]\n  }}\n"
    )
}

const UPLOAD: &str =
    "  provisioner \"file\" {\n    source = \"up\"\n    destination = \"/root/up\"\n  }\n";

/// Three steps: a script of its own text, a file, a script in a file.
fn three_steps() -> Cached {
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

#[test]
fn an_unchanged_build_runs_nothing() {
    require!(docker());
    let mut cached = three_steps();
    let first = cached.build(&["-cache"]);
    assert_eq!(steps(&first), (3, 0), "{first}");
    let log = cached.inside("cat /log");
    let again = cached.build(&["-cache", "-report=report.json"]);
    assert_eq!(steps(&again), (0, 3), "{again}");
    for line in ["shell (1 of 3)", "file (2 of 3)", "shell (3 of 3)"] {
        let line = format!("==> docker.d: Using cached state for {line}\n");
        assert!(again.contains(&line), "{again}");
    }
    assert!(!again.contains("Starting docker container"), "{again}");
    assert_eq!(cached.inside("cat /log"), log);
    // It is the image of the first build, which no container was needed for.
    assert_eq!(cached.images[0], cached.images[1]);
    // Where somebody removed that, it is made again of the states.
    cached.forget_image();
    cached.images.clear();
    let again = cached.build(&["-cache", "-report=report.json"]);
    assert_eq!(steps(&again), (0, 3), "{again}");
    assert_eq!(cached.inside("cat /log"), log);
    let new = cached.image().to_owned();
    let report: Value =
        serde_json::from_slice(&std::fs::read(cached.path("report.json")).unwrap()).unwrap();
    assert!(report.to_string().contains("\"skipped\""), "{report}");
    // The image is what a build without the cache makes.
    let uncached = cached.build(&["-no-cache", "-cache"]);
    assert_eq!(steps(&uncached), (3, 0), "{uncached}");
    assert_eq!(config(&new), config(cached.image()));
    let about =
        |image: &str| output_of("docker", &["inspect", "-f", "{{.Author}}/{{.Comment}}", image]);
    assert_eq!(about(&new), about(cached.image()));
    let without_log = |image: &str| {
        files(image).lines().filter(|line| !line.ends_with(" /log")).collect::<Vec<_>>().join("\n")
    };
    assert_eq!(without_log(&new), without_log(cached.image()));
    // For programs, and what the environment says.
    let lines = ingot_test_support::ingot_with(
        cached.dir.path(),
        &["build", "-machine-readable", "."],
        &[("INGOT_CACHE", "1")],
    );
    assert_eq!(lines.code, Some(0), "{}", lines.stdout);
    cached.images.extend(image_in(&lines.stdout.replace("%!(PACKER_COMMA)", ",")));
    assert!(lines.stdout.contains(",docker.d,step-cache,1,shell,cached,"), "{}", lines.stdout);
    let wrong = ingot_test_support::ingot_with(
        cached.dir.path(),
        &["build", "."],
        &[("INGOT_CACHE", "maybe")],
    );
    assert_eq!(wrong.code, Some(1));
    assert!(
        wrong.stdout.contains("INGOT_CACHE is \"maybe\": write true or false"),
        "{}",
        wrong.stdout
    );
}

#[test]
fn an_image_is_configured_as_without_the_cache() {
    require!(docker());
    let container = output_of("docker", &["create", BASE]);
    let mut commit = vec!["commit"];
    for change in [
        "ENV A=1 PATH=/bin",
        "LABEL from=base",
        "EXPOSE 80",
        "USER 1000",
        "WORKDIR /tmp",
        "ENTRYPOINT [\"/bin/id\"]",
        "CMD [\"-u\"]",
        "HEALTHCHECK CMD true",
    ] {
        commit.extend(["--change", change]);
    }
    commit.push(&container);
    let base = output_of("docker", &commit);
    output_of("docker", &["rm", &container]);
    let log = "  provisioner \"shell\" {\n    inline = [\"id >>/tmp/log\"]\n  }\n";
    let name = format!("ingot-test-configured:{}", std::process::id());
    output_of("docker", &["tag", &base, &name]);
    let run_command = "run_command = [\"-d\", \"-e\", \"C=3\", \"-l\", \"who=me\", \"-h\", \"box\", \
         \"--entrypoint=sleep\", \"--\", \"{{.Image}}\", \"600\"]";
    for (image, options) in [
        (name.as_str(), ""),
        (&name, "changes = [\"ENV B=2\", \"USER 0\", \"CMD []\"]"),
        (&name, run_command),
        (BASE, "changes = [\"ENTRYPOINT []\", \"CMD []\"]"),
    ] {
        let text = docker_template(&format!("commit = true\n  {options}"), log);
        let mut cached = Cached::new(&text.replace(BASE, image));
        cached.build(&["-cache"]);
        cached.forget_image();
        assert_eq!(steps(&cached.build(&["-cache"])), (0, 1), "{options}");
        let with = cached.image().to_owned();
        cached.build(&[]);
        assert_eq!(config(&with), config(cached.image()), "{image} {options}");
    }
    output_of("docker", &["rmi", &name]);
}

#[test]
fn what_changed_and_what_comes_after_it_is_run_again() {
    require!(docker());
    let mut cached = three_steps();
    let explain = ["-cache", "-explain"];
    cached.build(&["-cache"]);
    cached.write("last.sh", "echo changed >>/log");
    let said = cached.build(&explain);
    assert_eq!(steps(&said), (1, 2), "{said}");
    assert!(said.contains("shell (3 of 3) was run and kept: changed: last.sh"), "{said}");
    assert!(cached.inside("cat /log").ends_with("changed"));
    cached.write("up/file", "two");
    let said = cached.build(&explain);
    assert_eq!(steps(&said), (2, 1), "{said}");
    assert!(said.contains("file (2 of 3) was run and kept: changed: up"), "{said}");
    assert_eq!(cached.inside("cat /root/up/up/file || cat /root/up/file"), "two");
    std::fs::set_permissions(cached.path("up/file"), PermissionsExt::from_mode(0o600)).unwrap();
    assert_eq!(steps(&cached.build(&["-cache"])), (2, 1));
    let said = cached.build(&["-cache", "-explain", "-var", "word=second"]);
    assert_eq!(steps(&said), (3, 0), "{said}");
    assert!(said.contains("shell (1 of 3) was run and kept: changed: option inline"), "{said}");
    assert!(cached.inside("cat /log").starts_with("second "));
    // All earlier states are there still.
    assert_eq!(steps(&cached.build(&["-cache"])), (0, 3));
    // Other options of the builder are another machine.
    let text = std::fs::read_to_string(cached.path("t.pkr.hcl")).unwrap();
    cached.write("t.pkr.hcl", &text.replace("commit = true", "commit = true\n  exec_user = \"0\""));
    assert_eq!(steps(&cached.build(&["-cache"])), (3, 0));
    // Without -cache, nothing is kept, and nothing taken.
    let before = cached.states().len();
    let said = cached.build(&["-explain"]);
    assert_eq!(steps(&said), (3, 0));
    assert!(said.contains("The step cache is off: -cache turns it on"), "{said}");
    assert_eq!(cached.states().len(), before);
}

#[test]
fn what_an_image_does_not_hold_is_not_cached() {
    require!(docker());
    let leaves = |command: &str| {
        let step = format!("  provisioner \"shell\" {{\n    inline = [{command:?}]\n  }}\n");
        Cached::of(&(step + &shell("after")))
    };
    for (command, why) in [
        ("sleep 300 >/dev/null 2>&1 &", "the process `sleep` is still running"),
        ("echo 10.0.0.1 db >>/etc/hosts", "/etc/hosts"),
        ("echo x >/dev/shm/x", "an image does not hold /dev/shm/x"),
        ("echo x >/packer-files/.x", "an image does not hold /packer-files/.x"),
    ] {
        let mut cached = leaves(command);
        let said = cached.build(&["-cache", "-explain"]);
        let line =
            said.lines().find(|line| line.contains("The state after shell (1 of 2) is not kept: "));
        assert!(line.is_some_and(|line| line.contains(why)), "{command}: {said}");
        assert!(said.contains("shell (2 of 2) was run, not cached: a step before it"), "{said}");
        assert_eq!(cached.states().len(), 0, "{command}");
        assert_eq!(steps(&cached.build(&["-cache"])), (2, 0), "{command}");
    }
    // A process that is about to end is waited for.
    let mut cached = leaves("sleep 0.3 >/dev/null 2>&1 &");
    cached.build(&["-cache"]);
    assert_eq!(steps(&cached.build(&["-cache"])), (0, 2));
    for (options, why) in [
        ("volumes = { \"/tmp\" = \"/data\" }", "what is mounted at /data"),
        ("tmpfs = [\"/run\"]", "what is mounted at /run"),
        (
            "run_command = [\"-d\", \"--entrypoint=/bin/sh\", \"--\", \"{{.Image}}\", \"-c\", \"sleep 600\"]",
            "its main program `sh`",
        ),
    ] {
        let options = format!("commit = true\n  {options}");
        let mut cached = Cached::new(&docker_template(&options, &shell("one")));
        let said = cached.build(&["-cache"]);
        let line = said.lines().find(|line| line.contains("No state of the container is kept: "));
        assert!(line.is_some_and(|line| line.contains(why)), "{said}");
        assert_eq!(cached.states().len(), 0);
    }
}

#[test]
fn a_step_after_one_that_is_not_cached_is_run_on_a_cached_state() {
    require!(docker());
    let volatile =
        "  provisioner \"shell\" {\n    inline = [\"echo ${timestamp()} >>/log\"]\n  }\n";
    let mut cached = Cached::of(&(shell("one") + volatile + &shell("two")));
    let said = cached.build(&["-cache", "-explain"]);
    assert!(said.contains("shell (2 of 3) was run, not cached: timestamp() gives"), "{said}");
    let first = cached.inside("head -n 1 /log");
    let said = cached.build(&["-cache"]);
    assert_eq!(steps(&said), (2, 1), "{said}");
    // The container runs after all, and what it is called is right to the end.
    assert!(said.contains("Starting docker container"), "{said}");
    assert_eq!(cached.inside("head -n 1 /log"), first);
    assert_eq!(cached.inside("wc -l </log"), "3");
}

#[test]
fn the_companion_file_says_what_is_cached_and_packer_does_not_read_it() {
    require!(docker());
    let mut cached = Cached::of(&(shell("one") + UPLOAD + &shell("two")));
    cached.write("up", "up");
    cached.write(
        "t.ingot.hcl",
        "cache {\n  enabled = true\n}\nstep \"file\" {\n  cache = false\n}\n",
    );
    let said = cached.build(&["-explain"]);
    assert!(said.contains("file (2 of 3) was run, not cached: its `cache` is false"), "{said}");
    assert_eq!(steps(&cached.build(&[])), (2, 1));
    assert_eq!(steps(&cached.build(&["-no-cache"])), (3, 0));
    assert_eq!(steps(&cached.build(&["-cache=false"])), (3, 0));
    cached.write("t.ingot.hcl", "cache {\n  enabled = true\n  max_age = \"1s\"\n}\n");
    cached.build(&[]);
    std::thread::sleep(Duration::from_millis(1100));
    assert_eq!(steps(&cached.build(&[])), (3, 0));
}

#[test]
fn states_that_are_gone_or_not_what_they_seem_are_made_again() {
    require!(docker());
    let mut cached = Cached::of(&(shell("one") + &shell("two")));
    cached.build(&["-cache"]);
    let states = cached.states();
    assert_eq!(states.len(), 2, "{states:?}");
    let last = states.iter().find(|state| state["number"] == 2).unwrap();
    let name = format!("ingot-cache:{}", last["key"].as_str().unwrap());
    // Somebody gives the name to another image.
    cached.forget_image();
    output_of("docker", &["tag", BASE, &name]);
    let said = cached.build(&["-cache"]);
    assert_eq!(steps(&said), (1, 1), "{said}");
    assert_eq!(cached.inside("wc -l </log"), "2");
    assert_eq!(steps(&cached.build(&["-cache"])), (0, 2));
    // Somebody removes it.
    cached.forget_image();
    cached.images.clear();
    output_of("docker", &["rmi", &name]);
    assert_eq!(steps(&cached.build(&["-cache"])), (1, 1));
    // The index is damaged; what is there is used all the same, and can be removed.
    cached.write("state/step-cache/index.json", "{\"states\": {");
    assert_eq!(steps(&cached.build(&["-cache"])), (0, 2));
    let list = cached.cache(&["list"]);
    assert!(list.stdout.contains("unknown") && list.stdout.contains("2 states"), "{}", list.stdout);
    let pruned = cached.cache(&["prune", "-all"]);
    assert!(pruned.stdout.starts_with("Removed 2 states"), "{}", pruned.stdout);
    assert_eq!(steps(&cached.build(&["-cache"])), (2, 0));
}

/// A script of a step that leaves all kinds of files.
const LEAVES: &str = "set -e
mkdir -p /d/sub /d/gone /replaced
echo one >/d/one; ln /d/one /d/sub/two; ln -s ../one /d/sub/link
chmod 4755 /d/one; chmod 1777 /d/sub; chown 12:34 /d/gone
mknod /d/device c 1 3; mkfifo /d/pipe
echo x >\"/d/with space's \\$name\"; echo x >/d/$(head -c 200 /dev/zero | tr '\\0' n)
rm /bin/vi /bin/awk; rm -r /root; mkdir /root; echo new >/root/new
rm -r /replaced; echo a file >/replaced
touch -d '2001-02-03 04:05:06' /d/gone
";

#[test]
fn an_image_that_is_built_from_a_state_is_one_layer_on_its_base() {
    require!(docker());
    let script = "  provisioner \"shell\" {\n    script = \"first.sh\"\n  }\n  provisioner \
                  \"shell\" {\n    script = \"last.sh\"\n  }\n";
    let mut cached = Cached::of(script);
    cached.write("first.sh", &format!("{LEAVES}echo TOKEN-$((6*7)) >/d/token\n"));
    cached.write("last.sh", "rm /d/token\n");
    cached.build(&["-cache"]);
    let change = "rm /d/token; echo more >>/d/one; rm -r /d/gone; ln /d/one /three\n";
    cached.write("last.sh", change);
    let said = cached.build(&["-cache"]);
    assert_eq!(steps(&said), (1, 1), "{said}");
    let with = cached.image().to_owned();
    assert_eq!(layers(&with).len(), layers(BASE).len() + 1);
    // What the state held and the last step deleted is nowhere in it.
    let layer = archives(&with).concat();
    let holds = |text: &[u8]| layer.windows(text.len()).any(|window| window == text);
    assert!(!holds(b"TOKEN-42") && holds(b"d/device"));
    // All names of a file are changed by one of them.
    assert_eq!(cached.inside("cat /d/sub/two; stat -c %h /three"), "one\nmore\n3");
    cached.build(&["-no-cache"]);
    assert_eq!(files(&with), files(cached.image()));
    // The state after the last step, in a container of its own, is that state to the last bit.
    let states = cached.states();
    let state = states.iter().filter(|state| state["number"] == 2);
    let state = state.max_by_key(|state| state["used"].as_str().unwrap().to_owned()).unwrap();
    let state = format!("ingot-cache:{}", state["key"].as_str().unwrap());
    let text = std::fs::read_to_string(cached.path("t.pkr.hcl")).unwrap();
    cached.write("t.pkr.hcl", &text.replace("commit = true", "commit = true\n  message = \"m\""));
    let said = cached.build(&["-cache"]);
    assert_eq!(steps(&said), (0, 2), "{said}");
    assert!(said.contains("Restoring the cached state"), "{said}");
    assert_ne!(cached.image(), with);
    assert_eq!(last_layer(cached.image()), last_layer(&state));
}

#[test]
fn steps_that_change_nothing_are_cached() {
    require!(docker());
    // The mount point of the scratch volume, which a container has beside its image, is there.
    let made = output_of("docker", &["create", BASE, "mkdir", "/packer-files"]);
    output_of("docker", &["start", "-a", &made]);
    let name = format!("ingot-test-mount-point:{}", std::process::id());
    output_of("docker", &["commit", &made, &name]);
    output_of("docker", &["rm", &made]);
    let nothing = "  provisioner \"shell\" {\n    inline = [\"true\"]\n  }\n";
    let text = docker_template("commit = true", &(nothing.to_owned() + &shell("one")));
    let mut cached = Cached::new(&text.replace(BASE, &name));
    let shared = cached.path("shared");
    let flag = format!("-cache-dir={}", shared.display());
    assert_eq!(steps(&cached.build(&["-cache", &flag])), (2, 0));
    cached.write("t.pkr.hcl", &text.replace(BASE, &name).replace("echo one", "echo other"));
    assert_eq!(steps(&cached.build(&["-cache", &flag])), (1, 1));
    assert_eq!(cached.inside("cut -d ' ' -f 1 /log"), "other");
    // A machine that has the directory alone.
    assert_eq!(forget_on_engine(&shared), 3);
    cached.forget_image();
    let said = other_machine(&mut cached, &shared, "other");
    assert_eq!(steps(&said), (0, 2), "{said}");
    assert_eq!(cached.inside("cut -d ' ' -f 1 /log"), "other");
    output_of("docker", &["rmi", "-f", &name]);
}

#[test]
fn a_state_that_cannot_be_unpacked_is_made_again() {
    require!(docker());
    let mut cached = Cached::of(&(shell("one") + &shell("two")));
    cached.build(&["-cache"]);
    cached.forget_image();
    let run = ingot_test_support::ingot_with(
        cached.dir.path(),
        &["build", "-color=false", "-cache", "."],
        &[("TMPDIR", "/nowhere")],
    );
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    cached.images.extend(image_in(&run.stdout));
    assert!(run.stdout.contains("writing a temporary file in /nowhere"), "{}", run.stdout);
    assert_eq!(steps(&run.stdout), (2, 0), "{}", run.stdout);
    assert_eq!(cached.inside("wc -l </log"), "2");
    let left = output_of("docker", &["ps", "-aq", "--filter", "ancestor=ingot-e2e-base:1"]);
    assert!(!left.lines().any(|id| run.stdout.contains(id)), "{}", run.stdout);
}

#[test]
fn an_artifact_that_an_earlier_build_has_too_is_not_removed() {
    require!(docker());
    let save = "  post-processor \"docker-save\" {\n    path = \"image.tar\"\n    \
                keep_input_artifact = false\n  }\n";
    let mut cached = Cached::of(&shell("one"));
    cached.build(&["-cache"]);
    let text = std::fs::read_to_string(cached.path("t.pkr.hcl")).unwrap();
    let end = text.rfind('}').unwrap();
    cached.write("t.pkr.hcl", &format!("{}{save}}}\n", &text[..end]));
    let said = cached.build(&["-cache"]);
    assert_eq!(cached.images[0], cached.images[1], "{said}");
    assert_eq!(cached.inside("wc -l </log"), "1");
    // Other changes, author or message make another image of the same states.
    let text = text.replace("commit = true", "commit = true\n  author = \"somebody\"");
    cached.write("t.pkr.hcl", &text);
    let said = cached.build(&["-cache"]);
    assert_eq!(steps(&said), (0, 1), "{said}");
    assert_ne!(cached.images[0], cached.images[2]);
    assert_eq!(output_of("docker", &["inspect", "-f", "{{.Author}}", cached.image()]), "somebody");
    // Who prunes the cache keeps the image, and forgets that it was made.
    cached.cache(&["prune", "-all"]);
    assert_eq!(steps(&cached.build(&["-cache"])), (1, 0));
    assert_eq!(cached.inside("wc -l </log"), "1");
}

/// Builds on a machine that shares nothing with others but a directory.
fn other_machine(cached: &mut Cached, shared: &Path, name: &str) -> String {
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
fn forget_on_engine(shared: &Path) -> usize {
    let mut count = 0;
    for entry in std::fs::read_dir(shared.join("docker")).unwrap() {
        let path = entry.unwrap().path();
        let key = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let _ = Command::new("docker").args(["rmi", &format!("ingot-cache:{key}")]).output();
        count += 1;
    }
    count
}

#[test]
fn machines_share_states_by_a_directory() {
    require!(docker());
    let script = "  provisioner \"shell\" {\n    script = \"last.sh\"\n  }\n";
    let mut cached = Cached::of(&(shell("one") + &shell("two") + script));
    cached.write("last.sh", &format!("{LEAVES}echo three >>/log\n"));
    let shared = cached.path("shared");
    let said = other_machine(&mut cached, &shared, "first");
    assert_eq!(steps(&said), (3, 0), "{said}");
    assert!(said.contains("Keeping 3 states for other machines"), "{said}");
    assert_eq!(forget_on_engine(&shared), 3);
    let (log, all) = (cached.inside("cat /log"), files(cached.image()));
    // The next one has all of it.
    let said = other_machine(&mut cached, &shared, "second");
    assert_eq!(steps(&said), (0, 3), "{said}");
    let from = format!("after shell (3 of 3) comes from {}", shared.display());
    assert!(said.contains(&from), "no {from:?}: {said}");
    assert_eq!(files(cached.image()), all);
    assert_eq!(last_layer(cached.image()), last_layer(&cached.images[0]));
    assert_ne!(cached.image(), cached.images[0]);
    // What changed is run, and kept for the others.
    cached.write("last.sh", "echo changed >>/log\n");
    let said = other_machine(&mut cached, &shared, "third");
    assert_eq!(steps(&said), (1, 2), "{said}");
    assert!(said.contains("Keeping 1 state for other machines"), "{said}");
    assert_eq!(cached.inside("head -n 2 /log"), log.lines().take(2).collect::<Vec<_>>().join("\n"));
    assert_eq!(forget_on_engine(&shared), 4);
    // What is damaged is not used, nor is what is not whole.
    let mut states: Vec<_> = std::fs::read_dir(shared.join("docker")).unwrap().collect();
    states.sort_by_key(|entry| entry.as_ref().unwrap().metadata().unwrap().len());
    for (number, entry) in states.iter().enumerate() {
        let path = entry.as_ref().unwrap().path();
        let mut bytes = std::fs::read(&path).unwrap();
        match number % 2 {
            0 => *bytes.last_mut().unwrap() ^= 1,
            _ => bytes.truncate(bytes.len() / 2),
        }
        std::fs::write(&path, bytes).unwrap();
    }
    let said = other_machine(&mut cached, &shared, "fourth");
    assert_eq!(steps(&said), (3, 0), "{said}");
    assert!(said.contains(".layer is not used: it is damaged"), "{said}");
    // They are made good.
    forget_on_engine(&shared);
    let block = "cache {\n  directory = \"shared\"\n}\n";
    cached.write("t.ingot.hcl", block);
    let said = other_machine(&mut cached, Path::new(""), "fifth");
    assert_eq!(steps(&said), (0, 3), "{said}");
    let flag = format!("-cache-dir={}", shared.display());
    let list = cached.cache(&["list", "-json", &flag]);
    let list: Value = serde_json::from_str(&list.stdout).unwrap();
    assert_eq!(list["states"].as_array().unwrap().len(), 4, "{list}");
    std::fs::remove_file(cached.path("t.ingot.hcl")).unwrap();
    let planned = |args: &[&str]| {
        let plan = ingot(cached.dir.path(), &[&["plan", "-offline"], args, &["."]].concat());
        assert_eq!(plan.code, Some(0), "{}", plan.stderr);
        plan.stdout.matches("step cache: last kept 20").count()
    };
    assert_eq!((planned(&[&flag]), planned(&[])), (3, 0));
    let pruned = cached.cache(&["prune", "-all", &flag]);
    assert!(pruned.stdout.starts_with("Removed 4 states"), "{}", pruned.stdout);
    assert_eq!(std::fs::read_dir(shared.join("docker")).unwrap().count(), 0);
}

#[test]
fn states_are_listed_shown_and_removed() {
    require!(docker());
    let fill = |name: &str, count: u32| {
        format!(
            "  provisioner \"shell\" {{\n    name = \"{name}\"\n    inline = [\"dd if=/dev/zero \
             of=/{name} bs=1000 count={count}\"]\n  }}\n"
        )
    };
    let mut cached = Cached::of(&(fill("small", 100) + &fill("large", 900)));
    let empty = cached.cache(&["list"]);
    assert!(empty.stdout.contains("keeps no states"), "{}", empty.stdout);
    cached.build(&["-cache"]);
    let list = cached.cache(&["list"]).stdout;
    for part in ["docker.d", "small (1 of 2)", "large (2 of 2)", "2 states, "] {
        assert!(list.contains(part), "no {part} in {list}");
    }
    let states = cached.states();
    let bytes = |number: u64| {
        states.iter().find(|state| state["number"] == number).unwrap()["bytes"].as_u64().unwrap()
    };
    assert!(bytes(1) >= 100_000 && bytes(1) < 150_000, "{states:?}");
    assert!(bytes(2) >= 1_000_000, "{states:?}");
    let key = states[0]["key"].as_str().unwrap();
    let shown = cached.cache(&["show", &key[..20]]).stdout;
    for part in [key, "docker.d", "option inline", "t.pkr.hcl"].iter().take(3) {
        assert!(shown.contains(part), "no {part} in {shown}");
    }
    let none = cached.cache(&["show", "ffff"]);
    assert_eq!(none.code, Some(1));
    let unsaid = cached.cache(&["prune"]);
    assert_eq!(unsaid.code, Some(1));
    let said = format!("{}{}", unsaid.stdout, unsaid.stderr);
    assert!(said.contains("-older-than=168h, -keep-bytes=10GB or -all"), "{said}");
    assert!(cached.cache(&["prune", "-older-than=1h"]).stdout.starts_with("Removed 0 states"));
    let dry = cached.cache(&["prune", "-keep-bytes=500kB", "-dry-run"]).stdout;
    assert!(dry.starts_with("Would remove 1 state,"), "{dry}");
    assert_eq!(cached.states().len(), 2);
    let json = cached.cache(&["prune", "-keep-bytes=500kB", "-json"]);
    let json: Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(json["removed"][0]["step"], "large (2 of 2)", "{json}");
    assert_eq!(cached.states().len(), 1);
    // The image that was built from them is the user's.
    assert_eq!(cached.inside("ls /small /large | wc -l"), "2");
    assert_eq!(cached.cache(&["prune", "-older-than=1ms"]).code, Some(0));
    assert_eq!(cached.states().len(), 0);
}

#[test]
fn builds_share_a_cache_at_the_same_time() {
    require!(docker());
    let mut cached = Cached::of(&(shell("one") + &shell("two")));
    let spawn = || Running::spawn(cached.dir.path(), &["-cache", "-color=false"]);
    let mut builds = [spawn(), spawn()];
    for build in &mut builds {
        assert!(build.wait().unwrap().success());
    }
    let said = cached.build(&["-cache"]);
    assert_eq!(steps(&said), (0, 2), "{said}");
    assert_eq!(cached.inside("wc -l </log"), "2");
    assert_eq!(cached.states().len(), 2);
    let made = format!("{}{said}", std::fs::read_to_string(cached.path("stdout")).unwrap());
    cached.images.extend(made.lines().filter_map(image_in));
}

/// Waits until the Engine begins to commit a container that a build made after `since`: it pauses the
/// container for that. The Engine also reports events of before the request.
fn wait_for_commit(container: &str, since: SystemTime, said: impl Fn() -> String) {
    let since = since.duration_since(UNIX_EPOCH).unwrap().as_secs().to_string();
    let container = format!("container={container}");
    let mut events = Command::new("docker")
        .args(["events", "--since", &since, "--filter", "event=pause", "--filter", &container])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(events.stdout.take().unwrap()).lines();
    let (found, first) = std::sync::mpsc::channel();
    let reading = std::thread::spawn(move || found.send(lines.next().is_some()));
    let first = first.recv_timeout(PATIENCE);
    let _ = events.kill();
    let _ = events.wait();
    let _ = reading.join();
    assert_eq!(first, Ok(true), "it is never committed: {}", said());
}

#[test]
fn a_build_that_is_killed_while_it_keeps_a_state_leaves_none_that_is_not_whole() {
    require!(docker());
    let fill = "  provisioner \"shell\" {\n    inline = [\"dd if=/dev/urandom of=/big bs=1M \
                count=50\"]\n  }\n";
    let two = "  provisioner \"shell\" {\n    script = \"two.sh\"\n  }\n";
    let mut cached = Cached::of(&(fill.to_owned() + two));
    // However late the signal comes, the build has not ended by then.
    cached.write("two.sh", "sleep 300");
    let begun = SystemTime::now();
    let child = Running::spawn(cached.dir.path(), &["-cache", "-color=false"]);
    let dir = std::mem::replace(&mut cached.dir, tempfile::tempdir().unwrap());
    let mut running = Running { child, dir };
    running.wait_for("Container ID: ");
    wait_for_commit(&running.container(), begun, || running.said());
    running.signal("KILL");
    running.end();
    cached.dir = running.dir;
    cached.write("two.sh", "echo two >>/log");
    let said = cached.build(&["-cache"]);
    // Either the Engine had all of it, or it is made again; never a part.
    assert_eq!(cached.inside("wc -c </big"), "52428800", "{said}");
    assert!(said.contains("Removed docker-container"), "{said}");
    let again = cached.build(&["-cache"]);
    assert_eq!(steps(&again), (0, 2), "{said}{again}");
    let unfinished = output_of("docker", &["images", "-q", "ingot-unfinished"]);
    let journals = |dir: &Path| {
        let entries = std::fs::read_dir(dir.join("state")).into_iter().flatten().flatten();
        entries.filter(|entry| entry.path().extension().is_some_and(|end| end == "journal")).count()
    };
    // Others may be at work; what this one wrote down is gone.
    assert_eq!(journals(cached.dir.path()), 0, "{unfinished}");
}

/// A small generator of numbers, the same each time.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

/// A step of a random template, which does the same each time it is run on the same machine.
fn random_step(numbers: &mut Numbers) -> String {
    let number = numbers.below(3);
    let options = match numbers.below(6) {
        0 => format!("inline = [\"echo {number} >>/log\"]"),
        1 => format!("script = \"s{number}\""),
        2 => "inline = [\"cat /log /root/* >/sum 2>/dev/null; md5sum /sum >>/log\"]".to_owned(),
        3 => "inline = [\"echo ${var.word} >>/log\"]".to_owned(),
        4 => format!("inline = [\"rm -rf /root/up{number}; ln -s /log /root/link{number}\"]"),
        _ => {
            let slash = if number == 0 { "/" } else { "" };
            return format!(
                "  provisioner \"file\" {{\n    source = \"up{slash}\"\n    destination = \
                 \"/root/up{number}\"\n  }}\n"
            );
        }
    };
    format!("  provisioner \"shell\" {{\n    {options}\n    valid_exit_codes = [0, 1]\n  }}\n")
}

#[test]
fn random_edits_of_random_templates_give_what_they_give_without_the_cache() {
    require!(docker());
    let mut numbers = Numbers(u64::from(std::process::id()));
    println!("begins with {}", numbers.0);
    let mut cached = three_steps();
    for name in ["s0", "s1", "s2"] {
        cached.write(name, &format!("echo {name} >>/log"));
    }
    let mut list: Vec<String> = (0..4).map(|_| random_step(&mut numbers)).collect();
    let mut word = "first".to_owned();
    let mut from_cache = 0;
    for round in 0..12 {
        let at = numbers.below(list.len() as u64) as usize;
        match numbers.below(6) {
            0 => list[at] = random_step(&mut numbers),
            1 => list.insert(at, random_step(&mut numbers)),
            2 if list.len() > 2 => drop(list.remove(at)),
            3 => cached
                .write(&format!("s{}", numbers.below(3)), &format!("echo round {round} >>/log")),
            4 => cached.write("up/file", &format!("round {round}")),
            _ => word = format!("word {}", numbers.below(2)),
        }
        let variable = format!("variable \"word\" {{\n  default = \"{word}\"\n}}\n");
        let text = docker_template("commit = true", &list.concat());
        cached.write("t.pkr.hcl", &(variable + &text));
        let said = cached.build(&["-cache"]);
        from_cache += steps(&said).1;
        let with = cached.image().to_owned();
        cached.build(&[]);
        assert_eq!(files(&with), files(cached.image()), "round {round}: {text}");
        assert_eq!(config(&with), config(cached.image()), "round {round}: {text}");
    }
    assert!(from_cache > 6, "{from_cache} steps came from the cache");
}
