//! Go's `go.mod`: the modules that a module requires, indirect ones included.

use super::{Ecosystem, Package};

/// The modules, with what `replace` puts in their place.
pub(super) fn parse(text: &str) -> Vec<Package> {
    let mut modules: Vec<(String, String)> = Vec::new();
    let mut replaced: Vec<(String, Option<(String, String)>)> = Vec::new();
    let mut block = None;
    for line in text.lines() {
        let line = line.split("//").next().unwrap_or(line).trim();
        let words: Vec<&str> = line.split_whitespace().collect();
        match (block, words.as_slice()) {
            (_, []) => {}
            (Some(_), [")"]) => block = None,
            (None, [verb, "("]) => block = Some(*verb),
            (None, ["require", path, version]) | (Some("require"), [path, version]) => {
                modules.push((unquoted(path), (*version).to_owned()));
            }
            (None, ["replace", rest @ ..]) | (Some("replace"), rest) => {
                replaced.extend(replacement(rest));
            }
            _ => {}
        }
    }
    let module = |(path, version): &(String, String)| match replaced
        .iter()
        .find(|(old, _)| old == path)
    {
        // A directory has no version of its own.
        Some((_, None)) => None,
        Some((_, Some((path, version)))) => Some(Package::new(Ecosystem::Golang, path, version)),
        None => Some(Package::new(Ecosystem::Golang, path, version)),
    };
    modules.iter().filter_map(module).collect()
}

/// `old [version] => new [version]`
fn replacement(words: &[&str]) -> Option<(String, Option<(String, String)>)> {
    let arrow = words.iter().position(|word| *word == "=>")?;
    let old = unquoted(words.first()?);
    let new = match &words[arrow + 1..] {
        [path, version] => Some((unquoted(path), (*version).to_owned())),
        _ => None,
    };
    Some((old, new))
}

fn unquoted(word: &str) -> String {
    word.trim_matches('"').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_lines_and_replacements() {
        let text = "module example.org/me\n\ngo 1.22\n\nrequire golang.org/x/net v0.1.0 // indirect\n\
                    require (\n\tgithub.com/a/b v1.0.0\n\tgithub.com/c/d v1.1.0\n\t\"x.org/e\" v2.0.0\n)\n\
                    replace github.com/c/d => ../d\nreplace (\n\tx.org/e v2.0.0 => y.org/e v2.0.1\n)\n";
        let found = parse(text);
        let found: Vec<String> =
            found.iter().map(|p| format!("{} {}", p.name, p.version)).collect();
        assert_eq!(found, ["golang.org/x/net v0.1.0", "github.com/a/b v1.0.0", "y.org/e v2.0.1"]);
    }
}
