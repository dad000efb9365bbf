//! `-only` and `-except`.

use globset::{Glob, GlobMatcher};

use ingot_hcl::diagnostic::{Diagnostic, Diagnostics, closest, list};

/// Which builds to run.
#[derive(Debug, Default)]
pub struct Filter {
    only: Vec<Pattern>,
    except: Vec<Pattern>,
}

/// What a flag names.
#[derive(Debug)]
enum Pattern {
    /// All names that it matches, and how it was given.
    Glob(GlobMatcher, String),
    /// This name.
    Name(String),
}

impl Pattern {
    fn is_match(&self, name: &str) -> bool {
        match self {
            Pattern::Glob(glob, _) => glob.is_match(name),
            Pattern::Name(wanted) => wanted == name,
        }
    }

    /// As it was given.
    fn text(&self) -> &str {
        match self {
            Pattern::Glob(_, given) => given,
            Pattern::Name(name) => name,
        }
    }
}

impl Filter {
    /// Patterns as the flags give them: `*` stands for anything, dots included.
    ///
    /// # Errors
    /// A pattern is not well-formed; the text says which and why.
    pub fn new(only: &[String], except: &[String]) -> Result<Filter, String> {
        Ok(Filter { only: compile("-only", only)?, except: compile("-except", except)? })
    }

    /// Names, as the flags give them for legacy JSON templates: nothing in them stands for
    /// anything else.
    pub fn of_names(only: &[String], except: &[String]) -> Filter {
        let names = |lists: &[String]| {
            let names = lists.iter().flat_map(|list| list.split(','));
            names.map(|name| Pattern::Name(name.to_owned())).collect()
        };
        Filter { only: names(only), except: names(except) }
    }

    /// Whether a build of this name runs.
    pub fn selects(&self, name: &str) -> bool {
        let any = |patterns: &[Pattern]| patterns.iter().any(|one| one.is_match(name));
        (self.only.is_empty() || any(&self.only)) && !any(&self.except)
    }

    /// Warns of patterns that match nothing: no build called one of `names`, nor, for `-except`, a
    /// post-processor called one of `steps`. `blocks` are the names of build blocks, which the names
    /// of their builds start with.
    pub fn warn_unmatched<'a>(
        &self,
        names: &'a [String],
        steps: impl Iterator<Item = &'a str> + Clone,
        blocks: &[&str],
        diagnostics: &mut Diagnostics,
    ) {
        let build = |glob: &Pattern| names.iter().any(|name| glob.is_match(name));
        let step = |glob: &Pattern| steps.clone().any(|name| glob.is_match(name));
        let only = self.only.iter().filter(|glob| !build(glob)).map(|glob| ("-only", glob));
        let except = self.except.iter().filter(|glob| !build(glob) && !step(glob));
        let builds: Vec<&str> = names.iter().map(String::as_str).collect();
        for (flag, glob) in only.chain(except.map(|glob| ("-except", glob))) {
            let pattern = glob.text();
            let mut targets = builds.clone();
            let what = match flag {
                "-except" => {
                    targets.extend(steps.clone());
                    "build or post-processor"
                }
                _ => "build",
            };
            targets.sort_unstable();
            targets.dedup();
            let warning = Diagnostic::warning(format!("{flag}: no {what} is called `{pattern}`"));
            let in_a_block =
                |name: &&str| name.strip_suffix(pattern).is_some_and(|block| block.ends_with('.'));
            let source = pattern.strip_prefix("source.").unwrap_or(pattern);
            let meant = if blocks.contains(&pattern) {
                // All builds of the block.
                Some(format!("{pattern}.*"))
            } else if builds.contains(&source) {
                Some(source.to_owned())
            } else if builds.iter().any(in_a_block) {
                Some(format!("*.{pattern}"))
            } else {
                closest(pattern, targets.iter().copied()).map(str::to_owned)
            };
            let warning = match meant {
                Some(meant) => warning.help(format!("did you mean {flag}='{meant}'?")),
                None => warning,
            };
            diagnostics.push(match targets.is_empty() {
                true => warning.note("there are none"),
                false => warning.note(format!("{what}s here: {}", list(targets))),
            });
        }
    }

    /// Whether a post-processor of this name is left out; `-except` names those too.
    pub fn excludes_step(&self, name: &str) -> bool {
        self.except.iter().any(|glob| glob.is_match(name))
    }
}

/// The patterns of a list with commas between them; commas in braces are part of a pattern.
fn split(list: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0usize;
    list.split(move |c| {
        match c {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        c == ',' && depth == 0
    })
}

fn compile(flag: &str, patterns: &[String]) -> Result<Vec<Pattern>, String> {
    patterns
        .iter()
        .flat_map(|list| split(list))
        // As in Packer only `!` negates a set; `^` is a character of it.
        .map(|pattern| match Glob::new(&pattern.replace("[^", "[\\^")) {
            Ok(glob) => Ok(Pattern::Glob(glob.compile_matcher(), pattern.to_owned())),
            Err(error) => Err(format!("{flag}: `{pattern}` is not a pattern: {}", error.kind())),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::Filter;

    #[test]
    fn patterns_select() {
        let texts = |list: &[&str]| list.iter().map(|&text| text.to_owned()).collect::<Vec<_>>();
        let filter = Filter::new(&texts(&["*.docker.*"]), &texts(&["*.b"])).unwrap();
        assert!(filter.selects("x.docker.a"));
        assert!(!filter.selects("x.docker.b"));
        assert!(!filter.selects("docker.a"));
        let filter = Filter::new(&texts(&["null.{a,b},x"]), &[]).unwrap();
        assert!(filter.selects("null.b") && filter.selects("x") && !filter.selects("null.c"));
        // `!` negates, `^` does not.
        for (pattern, selected) in
            [("null.[^n]", ["null.n", "null.^"]), ("null.[!n]", ["null.a", "null.^"])]
        {
            let filter = Filter::new(&texts(&[pattern]), &[]).unwrap();
            for name in ["null.n", "null.a", "null.^"] {
                assert_eq!(filter.selects(name), selected.contains(&name), "{pattern}: {name}");
            }
        }
        assert!(Filter::default().selects("anything"));
        assert!(Filter::new(&texts(&["[a"]), &[]).unwrap_err().contains("-only"));
    }
}
