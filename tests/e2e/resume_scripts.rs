//! Which words of commands are scripts, of which a change keeps a build from going on.

use crate::resume::{KEEP, RESUME, fails, log, step, succeeds, write};
use ingot_test_support::{ingot, null_template, template};

#[test]
fn what_a_step_writes_or_a_shell_looks_up_is_no_script_of_it() {
    let inline = r#"["test -d test && date +%N > test/last", "date +A=%N > a.env", ". ./a.env", "sh b.sh", ". ./b.env"]"#;
    let one = format!("  provisioner \"shell-local\" {{\n    inline = {inline}\n  }}\n");
    let text = |two: &str| null_template(&format!("{one}{}", step("two", two)));
    let dir = template(&text("exit 3; "));
    let dir = dir.path();
    std::fs::create_dir(dir.join("test")).unwrap();
    // One file is there before, and one is not.
    for (file, text) in [("a.env", "A=0\n"), ("b.sh", "date +B=%N > b.env\n")] {
        std::fs::write(dir.join(file), text).unwrap();
    }
    fails(&ingot(dir, KEEP), &["goes on at provisioner 2 of 2"]);
    write(dir, &text(""));
    std::fs::write(dir.join("b.sh"), "true\n").unwrap();
    fails(&ingot(dir, RESUME), &["provisioner 1 has run on its machine", "the file b.sh"]);
    std::fs::write(dir.join("b.sh"), "date +B=%N > b.env\n").unwrap();
    succeeds(&ingot(dir, RESUME));
    assert_eq!(log(dir), "two ");
}
