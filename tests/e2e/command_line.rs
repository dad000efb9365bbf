//! The command line: flags as Packer's users give them, help, and errors.

use std::io::Write as _;
use std::process::Stdio;

use crate::terminal::{Terminal, there_is_a_terminal};
use ingot_test_support::{NULL, Run, ingot, require, template};

fn all(run: &Run) -> String {
    format!("{}{}", run.stdout, run.stderr)
}

/// Runs `ingot` and returns what it says, which has to be a failure of this exit code.
fn mistake(dir: &std::path::Path, args: &[&str], code: i32) -> String {
    let run = ingot(dir, args);
    assert_eq!(run.code, Some(code), "{args:?}: {}", all(&run));
    all(&run)
}

#[test]
fn of_a_flag_given_twice_the_last_counts() {
    let steps = "build {\n  sources = [\"source.null.n\"]\n  post-processor \"shell-local\" {\n    \
                 inline = [\"echo ran\"]\n  }\n}\n";
    let source = "source \"null\" \"n\" {\n  communicator = \"none\"\n}\n";
    let dir = template(&format!("{source}{steps}"));
    let run = ingot(
        dir.path(),
        &[
            "build",
            "-color=true",
            "-color=false",
            "-color=false",
            "-force",
            "-force=false",
            "-on-error=abort",
            "-on-error",
            "cleanup",
            "-timestamp-ui",
            "-timestamp-ui",
            "-parallel-builds=2",
            "-parallel-builds",
            "1",
            "-warn-on-undeclared-var",
            "-warn-on-undeclared-var=false",
            ".",
        ],
    );
    assert_eq!(run.code, Some(0), "{}", all(&run));
    assert!(run.stdout.contains("Z: ==> null.n"), "{}", run.stdout);
    let run = ingot(dir.path(), &["build", "-machine-readable", "-machine-readable=false", "."]);
    assert!(run.stdout.contains("\n==> Wait completed"), "{}", run.stdout);
    let said = mistake(dir.path(), &["build", "-on-error=cleanup", "-on-error=nosuch", "."], 1);
    assert!(said.contains("'nosuch' for '-on-error <ACTION>'"), "{said}");
    // Those that are lists are added up.
    let run = ingot(dir.path(), &["validate", "-only=null.x", "-only=null.n", "."]);
    assert!(run.stdout.contains("no build is called `null.x`"), "{}", run.stdout);
    assert!(!run.stdout.contains("called `null.n`"), "{}", run.stdout);
}

#[test]
fn flags_that_all_of_packers_commands_take_are_taken() {
    let dir = template(&format!("variable \"v\" {{\n  default = 1\n}}\n{NULL}"));
    std::fs::write(dir.path().join("v.pkrvars.hcl"), "v = 2\n").unwrap();
    let commands = ["build", "validate", "init", "inspect", "fmt", "console"];
    let mut commands = commands.map(|command| vec![command]).to_vec();
    if cfg!(feature = "plugin-host") {
        commands.push(vec!["plugins", "required"]);
    }
    for command in commands {
        let flags = [
            "-only=null.n",
            "-except=x",
            "-var=v=3",
            "-var-file=v.pkrvars.hcl",
            "-config-type=hcl2",
            "-machine-readable",
        ];
        let flags: &[&str] = if command == ["console"] { &flags[..5] } else { &flags };
        let run = ingot(dir.path(), &[&command, flags, &["."]].concat());
        assert_eq!(run.code, Some(0), "{command:?}: {}", all(&run));
    }
}

#[test]
fn mistakes_of_a_command_line_are_explained() {
    let dir = template(NULL);
    for (args, wanted) in [
        (
            &["validate", "-nosuch", "."][..],
            &["`ingot validate` has no flag -nosuch", "`ingot validate -help`"][..],
        ),
        (&["build", "-forc", "."], &["has no flag -forc", "did you mean -force?"]),
        (&["build", "--machine-readble", "."], &["did you mean -machine-readable?"]),
        (&["validate", "-force", "."], &["-force is a flag of `ingot build`"]),
        (&["-force", "build", "."], &["`ingot` itself has no flag -force", "ingot COMMAND -force"]),
        (&["registry", "-force"], &["`ingot registry` itself has no flag -force"]),
        (
            &["registry", "buckets", "delete", "web", "-force"],
            &["`ingot registry buckets delete` has no flag -force"],
        ),
        (&["validate", "var-file=x", "."], &["its dash is missing", "write -var-file=…"]),
        (&["validate", "var-file", "x", "."], &["its dash is missing", "write -var-file"]),
        (
            &["validate", ".", "other"],
            &["`other` is one argument too many", "a command reads one template"],
        ),
        (&["validate", "-var", "x=a", "b", "."], &["one argument too many", "stands in quotes"]),
        // Several templates may be given to these, with a flag that says so.
        (&["build", "var-file=x", "."], &["its dash is missing", "write -var-file=…"]),
        (&["build", ".", "force"], &["its dash is missing", "write -force"]),
        (&["build", "-var", "x=a", "b", "."], &["one argument too many", "stands in quotes"]),
        (&["plan", "var-file=x", "."], &["its dash is missing", "write -var-file=…"]),
        // Standard input is a template.
        (&["build", "-", "other"], &["`other` is one argument too many"]),
        (&["validate", "other", "-"], &["`other` is one argument too many"]),
        (&["build", "-dry-run", ".", "other"], &["-dry-run is for families: -stale is missing"]),
        (
            &["validate", "-var", "=x", "."],
            &["a -var names no variable", "write -var 'NAME=value'"],
        ),
        (&["validate", "-var", "a b=x", "."], &["-var sets `a b`", "with the name of a variable"]),
        (
            &["build", "-parallel-builds=many", "."],
            &["'many' for '-parallel-builds <N>'", "try '-help'"],
        ),
        (&["build"], &["<TEMPLATE>"]),
        // Nothing is younger than that, so all would be removed.
        (&["cleanup", "-older-than=-24h"], &["less than no time", "write it like 30m or 24h"]),
        (&["cache", "prune", "-older-than=-24h"], &["less than no time"]),
    ] {
        let said = mistake(dir.path(), args, 1);
        for text in wanted {
            assert!(said.contains(text), "{args:?}: {text:?} is not said: {said}");
        }
        for wrong in ["declare it: variable \"\"", "as a value, use", "--"] {
            assert!(!said.contains(wrong), "{args:?}: {said}");
        }
        assert_eq!(said.matches("error:").count(), 1, "{said}");
    }
    let said = mistake(dir.path(), &["validat", "."], 127);
    assert!(said.contains("validate"), "{said}");
}

#[test]
fn packers_commands_are_known_by_name() {
    let dir = template(NULL);
    for (args, wanted) in [
        (&["execute", "packer-builder-x"][..], "built in"),
        (&["-autocomplete-install"], "ingot completions"),
    ] {
        let said = mistake(dir.path(), args, 1);
        assert!(said.contains(args[0]) && said.contains(wanted), "{args:?}: {said}");
    }
}

#[test]
fn bash_completes_flags_with_one_dash_and_with_two() {
    let dir = template(NULL);
    let script = ingot(dir.path(), &["completions", "bash"]);
    assert_eq!(script.code, Some(0), "{}", script.stderr);
    std::fs::write(dir.path().join("ingot.bash"), script.stdout).unwrap();
    // As bash calls the function that is registered, with the cursor at the last word.
    const COMPLETE: &str = r#"
source ./ingot.bash
registered=$(complete -p ingot)
[[ $registered =~ -F\ ([a-z_]+)\  ]] || exit 2
COMP_WORDS=("$@")
COMP_CWORD=$(($# - 1))
"${BASH_REMATCH[1]}" "$1" "${@: -1}" "${@: -2:1}"
echo "${COMPREPLY[*]}"
"#;
    let completed = |words: &[&str]| {
        let output = std::process::Command::new("bash")
            .args(["-euc", COMPLETE, "bash", "ingot"])
            .args(words)
            .current_dir(dir.path())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{words:?}: {said}");
        String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
    };
    let actions = "cleanup abort keep ask run-cleanup-provisioner";
    for (words, expected) in [
        (&["bui"][..], "build"),
        (&["build", "-var"], "-var -var-file"),
        (&["build", "--var"], "--var --var-file"),
        (&["build", "-on-error", ""], actions),
        (&["build", "--on-error", ""], actions),
        // An equals sign is a word.
        (&["build", "-on-error", "=", "a"], "abort ask"),
        (&["build", "-force", "-on-e"], "-on-error"),
        (&["registry", "channels", "list", "-js"], "-json"),
    ] {
        assert_eq!(completed(words), expected, "{words:?}");
    }
}

#[test]
fn help_shows_flags_and_examples() {
    let dir = template(NULL);
    let run = ingot(dir.path(), &["build", "-help"]);
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""));
    for line in ["      -force ", "      -color=false ", "      -var <NAME=VALUE> ", "  -h, -help "]
    {
        assert!(run.stdout.contains(line), "{line:?}: {}", run.stdout);
    }
    assert!(run.stdout.contains("\nExamples:\n  ingot build ."), "{}", run.stdout);
    // Descriptions stand below each other.
    let options = run.stdout.split_once("Options:\n").unwrap().1;
    let options = options.split_once("\n\n").unwrap().0;
    let column = |line: &str| {
        line.trim_start().find("  ").map(|gap| {
            let start = line.len() - line.trim_start().len() + gap;
            start + line[start..].find(|c| c != ' ').unwrap()
        })
    };
    let columns: std::collections::BTreeSet<_> = options.lines().filter_map(column).collect();
    assert_eq!(columns.len(), 1, "{options}");
    for args in [&["-h"][..], &["--help"], &["help"], &["registry", "-help"], &["help", "build"]] {
        let run = ingot(dir.path(), args);
        assert_eq!(run.code, Some(0), "{args:?}: {}", all(&run));
        assert!(!run.stdout.contains("--"), "{}", run.stdout);
    }
}

#[test]
fn patterns_that_match_nothing_are_explained() {
    let dir = template(
        "source \"null\" \"h1\" {\n  communicator = \"none\"\n}\nbuild {\n  name = \"alin\"\n  sources = \
         [\"source.null.h1\"]\n  post-processor \"manifest\" {\n    name = \"list\"\n  }\n}\n",
    );
    for (flag, wanted) in [
        ("-only=alin", &["no build is called `alin`", "did you mean -only='alin.*'?"][..]),
        ("-only=null.h1", &["did you mean -only='*.null.h1'?"]),
        ("-only=source.alin.null.h1", &["did you mean -only='alin.null.h1'?"]),
        ("-only=alin.null.h2", &["did you mean -only='alin.null.h1'?"]),
        ("-only=nosuch", &["builds here: alin.null.h1"]),
        ("-except=alin", &["did you mean -except='alin.*'?"]),
        (
            "-except=nosuch",
            &["no build or post-processor is called `nosuch`", "alin.null.h1, list"],
        ),
        ("-except=lisst", &["did you mean -except='list'?"]),
    ] {
        let run = ingot(dir.path(), &["validate", flag, "."]);
        assert_eq!(run.code, Some(0), "{}", all(&run));
        for text in wanted {
            assert!(run.stdout.contains(text), "{flag}: {text:?}: {}", run.stdout);
        }
    }
    let run = ingot(dir.path(), &["validate", "-only=[a", "."]);
    assert!(run.stdout.contains("-only: `[a` is not a pattern"), "{}", run.stdout);
}

#[test]
fn names_in_only_of_a_block_are_not_patterns() {
    let block = |name: &str| {
        template(&format!(
            "source \"null\" \"h1\" {{\n  communicator = \"none\"\n}}\nbuild {{\n  sources = \
             [\"source.null.h1\"]\n  provisioner \"shell-local\" {{\n    only = [\"{name}\"]\n    \
             inline = [\"true\"]\n  }}\n}}\n"
        ))
    };
    for (name, wanted) in [
        ("null.h*", &["patterns work in the flags -only and -except, not here", "null.h1"][..]),
        ("source.null.h1", &["leave out `source.`: write \"null.h1\""]),
        ("null.h2", &["did you mean `null.h1`?"]),
    ] {
        let run = ingot(block(name).path(), &["validate", "."]);
        assert_eq!(run.code, Some(0), "{}", all(&run));
        for text in wanted {
            assert!(run.stdout.contains(text), "{name}: {text:?}: {}", run.stdout);
        }
    }
}

#[test]
fn sources_that_no_build_uses_are_checked_too() {
    let unused =
        "source \"null\" \"old\" {\n  comunicator = \"none\"\n}\nsource \"nul\" \"x\" {}\n";
    let dir = template(&format!("{NULL}{unused}"));
    let run = ingot(dir.path(), &["validate", "."]);
    assert_eq!(run.code, Some(0), "{}", all(&run));
    for text in [
        "warning: there is no option called `comunicator`",
        "did you mean `communicator`?",
        "no build uses source.null.old",
        "warning: no builder is called `nul`",
    ] {
        assert!(run.stdout.contains(text), "{text}: {}", run.stdout);
    }
    assert!(run.stdout.ends_with("The configuration is valid.\n"), "{}", run.stdout);
    // One that is in use and not selected is none of them.
    let fine = "source \"null\" \"n\" {\n  communicator = \"none\"\n}\nsource \"null\" \"m\" {\n  \
                communicator = \"nosuch\"\n}\nbuild {\n  sources = [\"null.n\", \"null.m\"]\n}\n";
    let run = ingot(template(fine).path(), &["validate", "-only=null.n", "."]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(0), "The configuration is valid.\n"));
}

#[test]
fn installed_as_packer_it_says_what_scripts_expect_of_packer() {
    let dir = template(
        "packer {\n  required_plugins {\n    x = {\n      source  = \"github.com/acme/x\"\n      version = \">= 1.0\"\n    }\n  }\n}\nsource \"x\" \"y\" {}\nbuild {\n  sources = [\"source.x.y\"]\n}\n",
    );
    let link = dir.path().join("packer");
    std::os::unix::fs::symlink(ingot_test_support::ingot_program(), &link).unwrap();
    let nothing = dir.path().join("plugins");
    let env = [("PACKER_PLUGIN_PATH", nothing.to_str().unwrap())];
    let packer =
        |args: &[&str]| ingot_test_support::program(link.to_str().unwrap(), dir.path(), args, &env);
    for args in [&["version"][..], &["-v"], &["--version"], &["-version"], &["-v", "build", "."]] {
        let run = packer(args);
        let expected = (Some(0), "Packer v1.16.0\n", "");
        assert_eq!((run.code, run.stdout.as_str(), run.stderr.as_str()), expected, "{args:?}");
    }
    for args in [["-machine-readable", "version"], ["version", "-machine-readable"]] {
        let run = packer(&args);
        let without_time =
            run.stdout.lines().map(|line| line.split_once(',').unwrap().1).collect::<Vec<_>>();
        let expected =
            [",version,1.16.0", ",version-prelease,", ",version-commit,", ",ui,say,Packer v1.16.0"];
        assert_eq!(without_time, expected);
    }
    let run = packer(&["validate", "."]);
    assert_eq!(run.code, Some(1));
    assert!(run.stdout.contains("run `packer init` to install it"), "{}", run.stdout);
    assert!(all(&packer(&["validate", "-nosuch", "."])).contains("packer validate"));
    assert_eq!(packer(&[]).code, Some(127));
    // Under its own name it has its own version.
    let run = ingot(dir.path(), &["version"]);
    assert_eq!(run.stdout, format!("Ingot v{}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn packer_s_configuration_file_is_read_as_packer_reads_it() {
    let dir = template(NULL);
    let home = dir.path().join("home");
    std::fs::create_dir(&home).unwrap();
    let named = dir.path().join("named").display().to_string();
    let validate = |env: &[(&str, &str)]| {
        let home = home.to_str().unwrap();
        let env = [&[("HOME", home), ("PACKER_CONFIG", ""), ("PACKER_CONFIG_DIR", "")], env];
        ingot_test_support::ingot_with(dir.path(), &["validate", "."], &env.concat())
    };
    // One that is not there is nothing.
    assert_eq!(validate(&[]).code, Some(0));
    assert_eq!(validate(&[("PACKER_CONFIG", &named)]).code, Some(0));
    std::fs::write(&named, "{\"disable_checkpoint\": true}").unwrap();
    assert_eq!(validate(&[("PACKER_CONFIG", &named)]).code, Some(0));
    // Wherever it is, what Packer does not start with is an error.
    let legacy = "{\"builders\": {\"acme\": \"/opt/packer-builder-acme\"}}";
    std::fs::write(home.join(".packerconfig"), legacy).unwrap();
    let home_directory = home.to_str().unwrap();
    for env in [&[][..], &[("PACKER_CONFIG_DIR", home_directory), ("HOME", "/")]] {
        let run = validate(env);
        assert_eq!((run.code, run.stdout.as_str()), (Some(1), ""), "{}", run.stderr);
        assert!(run.stderr.contains("/opt/packer-builder-acme"), "{}", run.stderr);
        assert!(run.stderr.contains("ingot plugins install"), "{}", run.stderr);
    }
    // The one that is named comes first.
    assert_eq!(validate(&[("PACKER_CONFIG", &named)]).code, Some(0));
    std::fs::write(&named, "{\n  builders\n}").unwrap();
    let run = validate(&[("PACKER_CONFIG", &named)]);
    assert_eq!(run.code, Some(1));
    assert!(
        run.stderr.contains(&named) && run.stderr.contains("line 2 column 3"),
        "{}",
        run.stderr
    );
}

#[test]
fn the_console_works_on_a_template_that_is_not_right_yet() {
    let dir = template(
        "variable \"need\" {\n  type = string\n}\nvariable \"a\" {\n  default = \"x\"\n}\n\
         locals {\n  bad = file(\"nope.txt\")\n}\n",
    );
    let console = |line: &str| {
        let run = with_input(dir.path(), &["console", "."], line);
        assert!(run.stderr.contains("the variable `need` has no value"), "{run:?}");
        (run.code, run.stdout)
    };
    assert_eq!(console("upper(var.a)\n"), (Some(0), "X\n".to_owned()));
    assert_eq!(console("var.need\n").0, Some(0));
    std::fs::write(dir.path().join("broken.pkr.hcl"), "locals {").unwrap();
    assert_eq!(with_input(dir.path(), &["console", "."], "1\n").code, Some(1));
}

/// As Packer's exit codes are.
#[test]
fn a_script_learns_from_the_console_that_a_value_cannot_be_had() {
    let console = |text: &str, line: &str| {
        let run = with_input(template(text).path(), &["console", "."], line);
        (run.code, run.stdout)
    };
    let known = "variable \"a\" {\n  default = \"x\"\n}\n";
    let broken = format!("{known}locals {{\n  bad = file(\"nope.txt\")\n  good = \"g\"\n}}\n");
    assert_eq!(console(&broken, "local.bad\n").0, Some(1));
    assert_eq!(console(&broken, "\"v${local.bad}\"\nvar.a\n").0, Some(1));
    assert_eq!(console(&broken, "local.good\n"), (Some(0), "g\n".to_owned()));
    assert_eq!(console(&broken, "var.a\n"), (Some(0), "x\n".to_owned()));
    // Such a template is not read by Packer.
    assert_eq!(console(&format!("{known}{known}"), "var.a\n").0, Some(1));
    assert_eq!(console(&format!("{known}nope {{}}\n"), "1\n").0, Some(1));
    // A mistake in a build is no reason to fail.
    let step = "build {\n  sources = [\"null.gone\"]\n}\n";
    assert_eq!(console(&format!("{known}{step}"), "var.a\n"), (Some(0), "x\n".to_owned()));
    let refused = "variable \"b\" {\n  default = \"y\"\n  validation {\n    condition = \
                   var.b == \"z\"\n    error_message = \"Use z.\"\n  }\n}\n";
    assert_eq!(console(refused, "var.b\n"), (Some(0), "y\n".to_owned()));
}

/// As a shell gives them for `*.pkr.hcl`.
#[test]
fn files_of_one_template_are_no_family() {
    let dir = template(NULL);
    std::fs::write(dir.path().join("variables.pkr.hcl"), "variable \"a\" {}\n").unwrap();
    for (command, flag) in [("build", "-stale"), ("plan", "-family")] {
        let said = mistake(dir.path(), &[command, "t.pkr.hcl", "variables.pkr.hcl"], 1);
        let directory = format!("name their directory: `ingot {command} .`");
        assert!(said.contains(&directory), "{said}");
        assert!(said.contains(&format!("ingot {command} {flag} TEMPLATE…")), "{said}");
        // Two directories may well be a family.
        std::fs::create_dir_all(dir.path().join("other")).unwrap();
        let said = mistake(dir.path(), &[command, ".", "other"], 1);
        assert!(!said.contains("name their directory"), "{said}");
    }
}

#[test]
fn lines_of_the_console_are_edited_and_come_back() {
    require!(there_is_a_terminal());
    let dir = template("");
    let mut terminal = Terminal::start(dir.path(), 80, 24, "exec $INGOT console");
    let has = |screen: &[String], value: &str| {
        screen.iter().any(|row| row == value) && screen.last().is_some_and(|row| row == ">")
    };
    terminal.wait_for("the prompt", |screen| screen.last().is_some_and(|row| row == ">"));
    terminal.press("1+1\r");
    terminal.wait_for("the value", |screen| has(screen, "2"));
    // Up, left, and a digit in the middle.
    terminal.press("\u{1b}[A\u{1b}[D2\r");
    terminal.wait_for("the value of the line before, changed", |screen| has(screen, "22"));
    // Ctrl-C empties the line.
    terminal.press("oops\u{3}3+4\r");
    terminal.wait_for("the value of the next line", |screen| has(screen, "7"));
    // Lines that arrive at once, as without a terminal that marks what is pasted.
    terminal.press("70+1\r70+2\r");
    terminal.wait_for("the values of both", |screen| has(screen, "71") && has(screen, "72"));
    // Pasted: lines, each of which is an expression, and one expression of several lines.
    terminal.press("\u{1b}[200~10+1\n30+3\u{1b}[201~\r");
    terminal.wait_for("the values of both lines", |screen| has(screen, "11") && has(screen, "33"));
    terminal.press("\u{1b}[200~[\n50,\n60\n][0] + 5\u{1b}[201~\r");
    terminal.wait_for("the value of all lines", |screen| has(screen, "55"));
    terminal.press("\u{4}");
    let (code, screen) = terminal.end();
    assert_eq!(code, Some(0), "{}", screen.join("\n"));
    assert!(!screen.join("\n").contains("error"), "{}", screen.join("\n"));
}

/// Runs `ingot` with this on its standard input.
fn with_input(dir: &std::path::Path, args: &[&str], input: &str) -> Run {
    let mut command = ingot_test_support::ingot_command();
    command.current_dir(dir).args(args);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the program can be run");
    let mut stdin = child.stdin.take().expect("it is piped");
    // It may have ended already.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    let output = child.wait_with_output().expect("the program ends");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("it writes text");
    Run { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}
