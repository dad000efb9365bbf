//! Go's `go.mod`: the modules that a module requires, indirect ones included.

use std::collections::HashMap;

use super::file_packages::{FilePackages, MOST_PACKAGES};
use super::{Ecosystem, Package};

/// A module or, without a version, all versions of it.
type Module = (String, Option<String>);

/// The modules, with what `replace` puts in their place.
pub(super) fn parse(text: &str, found: &mut FilePackages) -> Result<(), String> {
    let mut replaced: HashMap<Module, Module> = HashMap::new();
    for (verb, words) in lines(text).filter(|(verb, _)| *verb == "replace") {
        let _ = verb;
        if replaced.len() >= MOST_PACKAGES {
            return Err("it replaces too many modules".to_owned());
        }
        if let Some((old, new)) = replacement(&words) {
            replaced.entry(old).or_insert(new);
        }
    }
    for (_, words) in lines(text).filter(|(verb, _)| *verb == "require") {
        let [path, version] = words.as_slice() else { continue };
        let mut module = (unquoted(path), Some((*version).to_owned()));
        // What replaces one version goes before what replaces all.
        let new = replaced.get(&module).or_else(|| {
            module.1 = None;
            replaced.get(&module)
        });
        match new {
            Some((path, Some(version))) => {
                found.push(Package::new(Ecosystem::Golang, path, version));
            }
            // A directory has no version of its own.
            Some((_, None)) => {}
            None => found.push(Package::new(Ecosystem::Golang, &module.0, version)),
        }
        if found.is_full() {
            break;
        }
    }
    Ok(())
}

/// The verb of each line, in front of it or of its block, and the words behind it. No line that means
/// something has more than five.
fn lines(text: &str) -> impl Iterator<Item = (&str, Vec<&str>)> {
    let mut block = None;
    text.lines().filter_map(move |line| {
        let line = line.split("//").next().unwrap_or(line);
        let mut words: Vec<&str> = line.split_whitespace().take(7).collect();
        match (block, words.as_slice()) {
            (_, []) => None,
            (Some(_), [")"]) => {
                block = None;
                None
            }
            (None, [verb, "("]) => {
                block = Some(*verb);
                None
            }
            (Some(verb), _) => Some((verb, words)),
            (None, _) => Some((words.remove(0), words)),
        }
    })
}

/// `old [version] => new [version]`
fn replacement(words: &[&str]) -> Option<(Module, Module)> {
    let arrow = words.iter().position(|word| *word == "=>")?;
    Some((module(&words[..arrow])?, module(&words[arrow + 1..])?))
}

fn module(words: &[&str]) -> Option<Module> {
    match words {
        [path] => Some((unquoted(path), None)),
        [path, version] => Some((unquoted(path), Some((*version).to_owned()))),
        _ => None,
    }
}

fn unquoted(word: &str) -> String {
    word.trim_matches('"').to_owned()
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;
    use std::time::{Duration, Instant};

    use super::*;

    fn names(text: &str) -> Vec<String> {
        let mut found = FilePackages::default();
        parse(text, &mut found).unwrap();
        found.names()
    }

    #[test]
    fn blocks_lines_and_replacements() {
        let text = "module example.org/me\n\ngo 1.22\n\nrequire golang.org/x/net v0.1.0 // indirect\n\
                    require (\n\tgithub.com/a/b v1.0.0\n\tgithub.com/c/d v1.1.0\n\t\"x.org/e\" v2.0.0\n)\n\
                    replace github.com/c/d => ../d\nreplace (\n\tx.org/e v2.0.0 => y.org/e v2.0.1\n\
                    \tgithub.com/a/b v0.9.0 => other.org/b v1.0.0\n)\n";
        // What replaces another version replaces nothing.
        let wanted = ["golang.org/x/net v0.1.0", "github.com/a/b v1.0.0", "y.org/e v2.0.1"];
        assert_eq!(names(text), wanted);
    }

    #[test]
    fn time_grows_with_the_file_and_no_faster() {
        let mut text = String::new();
        for index in 0..50_000 {
            let _ = writeln!(text, "require m{index} v1.0.0\nreplace m{index} => n{index} v2.0.0");
        }
        let start = Instant::now();
        let found = names(&text);
        assert_eq!((found.len(), found[7].as_str()), (50_000, "n7 v2.0.0"));
        // Looked up one by one they take minutes.
        assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
    }
}
