//! What becomes of artifacts in pipelines with post-processors of plugins.

use crate::installed::installed;
use ingot_test_support::{require, template};

#[test]
fn a_post_processor_that_makes_no_artifact_ends_its_pipeline() {
    let plugins = require!(installed());
    let built = |pipelines: &str| {
        let dir = template(&format!(
            r#"
source "trial" "t" {{
  directory = "built"
}}
build {{
  sources = ["source.trial.t"]
{pipelines}
}}
"#
        ));
        let run = plugins.ingot(dir.path(), &["build", "."]);
        assert_eq!(run.code, Some(0), "{}", run.stdout);
        assert!(!dir.path().join("ran").exists(), "{}", run.stdout);
        (dir, run.stdout)
    };
    let after = r#"
    post-processor "trial" {}
    post-processor "shell-local" {
      inline = ["touch ran"]
    }
"#;
    // Nothing keeps the builder's artifact.
    let (dir, said) = built(&format!("post-processors {{{after}}}"));
    assert!(said.contains("Builds finished but no artifacts were created."), "{said}");
    assert!(!dir.path().join("built").exists(), "{said}");
    // Another pipeline does, and is not stopped.
    let other = "post-processor \"shell-local\" {\n    inline = [\"touch other\"]\n  }";
    let (dir, said) = built(&format!("post-processors {{{after}}}\n  {other}"));
    assert!(dir.path().join("other").exists() && dir.path().join("built").exists(), "{said}");
    // What the step was given is not listed.
    let first = "post-processor \"trial\" {\n      output = \"out\"\n      keep   = true\n    }";
    let (_dir, said) = built(&format!("post-processors {{\n    {first}{after}}}"));
    assert!(said.contains("--> trial.t: A directory: built"), "{said}");
    assert!(!said.contains("--> trial.t: A directory: out"), "{said}");
}
