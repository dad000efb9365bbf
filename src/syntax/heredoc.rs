//! The lines of heredocs.
//!
//! HCL takes a heredoc apart line by line: a strip marker (`~`) eats white space of its own line
//! only, and `<<-` takes off the indentation that the lines have after that. The parser works on
//! whole stretches of text, so what it made of them is made again here from the text.

use std::borrow::Cow;

use hcl_edit::Span as _;
use hcl_edit::template::{Directive, Element, Strip, Template};

/// A line of text, or something between `${` or `%{` and `}`.
enum Token {
    /// Part of literal number `literal`, in order of the text; with its line end.
    Line { literal: usize, text: String },
    /// Whether it strips what is before and after it.
    Tag { before: bool, after: bool },
}

/// Gives the literals of a template the text they have for HCL, and takes its strip markers away.
/// `text` is the text that was parsed; `flush` says that the heredoc is indented (`<<-`).
pub(super) fn settle(template: &mut Template, text: &str, flush: bool) {
    let mut tokens = Vec::new();
    let mut literals = 0;
    collect(template, text, &mut literals, &mut tokens);
    strip(&mut tokens);
    if flush {
        dedent(&mut tokens);
    }
    let mut texts = vec![String::new(); literals];
    for token in tokens {
        if let Token::Line { literal, text } = token {
            texts[literal].push_str(&text);
        }
    }
    write(template, &mut texts.into_iter());
}

fn collect(template: &Template, text: &str, literals: &mut usize, tokens: &mut Vec<Token>) {
    let tag = |strip: Strip| Token::Tag { before: strip.strip_start(), after: strip.strip_end() };
    for element in template {
        match element {
            Element::Literal(literal) => {
                let raw = literal.span().and_then(|span| text.get(span));
                let raw = raw.map(|raw| raw.replace("$${", "${").replace("%%{", "%{"));
                let whole = raw.unwrap_or_else(|| literal.value().clone());
                for line in whole.split_inclusive('\n') {
                    tokens.push(Token::Line { literal: *literals, text: line.to_owned() });
                }
                *literals += 1;
            }
            Element::Interpolation(inner) => tokens.push(tag(inner.strip)),
            Element::Directive(directive) => match &**directive {
                Directive::If(inner) => {
                    tokens.push(tag(inner.if_expr.strip));
                    collect(&inner.if_expr.template, text, literals, tokens);
                    if let Some(other) = &inner.else_expr {
                        tokens.push(tag(other.strip));
                        collect(&other.template, text, literals, tokens);
                    }
                    tokens.push(tag(inner.endif_expr.strip));
                }
                Directive::For(inner) => {
                    tokens.push(tag(inner.for_expr.strip));
                    collect(&inner.for_expr.template, text, literals, tokens);
                    tokens.push(tag(inner.endfor_expr.strip));
                }
            },
        }
    }
}

fn strip(tokens: &mut [Token]) {
    for at in 0..tokens.len() {
        let Token::Tag { before, after } = tokens[at] else { continue };
        if before
            && let Some(Token::Line { text, .. }) = at.checked_sub(1).map(|at| &mut tokens[at])
        {
            text.truncate(text.trim_end().len());
        }
        if after && let Some(Token::Line { text, .. }) = tokens.get_mut(at + 1) {
            *text = text.trim_start().to_owned();
        }
    }
}

/// Takes the indentation that all lines share off each. A line is what follows a line end; blank
/// lines do not count.
fn dedent(tokens: &mut [Token]) {
    let mut shared = usize::MAX;
    let mut indented = Vec::new();
    let mut start = true;
    for (at, token) in tokens.iter().enumerate() {
        let text = match token {
            Token::Line { text, .. } => text.as_str(),
            Token::Tag { .. } => "",
        };
        if start {
            let inside = text.trim_start();
            if !(inside.is_empty() && text.ends_with('\n')) {
                shared = shared.min(text[..text.len() - inside.len()].chars().count());
                indented.push(at);
            }
        }
        start = text.ends_with('\n');
    }
    for at in indented {
        if let Token::Line { text, .. } = &mut tokens[at] {
            *text = text.chars().skip(shared).collect();
        }
    }
}

fn write(template: &mut Template, texts: &mut dyn Iterator<Item = String>) {
    for element in template.iter_mut() {
        match element {
            Element::Literal(literal) => *literal.value_mut() = texts.next().unwrap_or_default(),
            Element::Interpolation(inner) => inner.strip = Strip::None,
            Element::Directive(directive) => match &mut **directive {
                Directive::If(inner) => {
                    inner.if_expr.strip = Strip::None;
                    write(&mut inner.if_expr.template, texts);
                    if let Some(other) = &mut inner.else_expr {
                        other.strip = Strip::None;
                        write(&mut other.template, texts);
                    }
                    inner.endif_expr.strip = Strip::None;
                }
                Directive::For(inner) => {
                    inner.for_expr.strip = Strip::None;
                    write(&mut inner.for_expr.template, texts);
                    inner.endfor_expr.strip = Strip::None;
                }
            },
        }
    }
}

/// What the text is inside of.
enum Inside<'a> {
    /// Blocks and expressions, `${ }` and `%{ }` among them; with how many braces are open.
    Code(usize),
    /// With where they start.
    Quotes(usize),
    Heredoc(&'a str),
}

/// The text as the parser takes it for what it is to HCL, byte for byte in the same places.
///
/// A heredoc without lines becomes `""` and blanks: the parser takes what follows for its text when
/// its end marker comes again later. A delimiter at the start of a line of text loses its first
/// letter, which [`settle`] reads from the text itself.
///
/// # Errors
/// Where a text in quotes starts that does not end on its line. The parser takes that, HCL does
/// not.
pub(super) fn settled(text: &str) -> Result<Cow<'_, str>, usize> {
    let mut blanked = Cow::Borrowed(text);
    let mut stack = vec![Inside::Code(0)];
    let mut at = 0;
    while let (Some(rest), Some(inside)) = (text.get(at..), stack.last_mut()) {
        let Some(first) = rest.chars().next() else { break };
        let line_end = rest.find('\n').unwrap_or(rest.len());
        let mut step = first.len_utf8();
        match inside {
            Inside::Code(open) => {
                if first == '#' || rest.starts_with("//") {
                    step = line_end.max(1);
                } else if let Some(comment) = rest.strip_prefix("/*") {
                    step = comment.find("*/").map_or(rest.len(), |end| end + 4);
                } else if let Some((delimiter, start)) = heredoc(rest) {
                    step = start;
                    match end_marker(&rest[start..], delimiter) {
                        Some(end) => {
                            step = start + end;
                            let blank = rest[2..step].chars().map(|c| match c {
                                '\n' => "\n".to_owned(),
                                c => " ".repeat(c.len_utf8()),
                            });
                            let blank: String = blank.collect();
                            blanked.to_mut().replace_range(at..at + step, &format!("\"\"{blank}"));
                        }
                        None => stack.push(Inside::Heredoc(delimiter)),
                    }
                } else {
                    match first {
                        '"' => stack.push(Inside::Quotes(at)),
                        '{' => *open += 1,
                        '}' if *open > 0 => *open -= 1,
                        '}' if stack.len() > 1 => drop(stack.pop()),
                        _ => {}
                    }
                }
            }
            Inside::Quotes(_) if first == '\n' => {
                // Of quotes in quotes, those that stand first on the line are the open ones.
                let line = text[..at].rfind('\n').map_or(0, |end| end + 1);
                let open = stack.iter().find_map(|inside| match inside {
                    Inside::Quotes(start) if *start >= line => Some(*start),
                    _ => None,
                });
                return Err(open.unwrap_or(at));
            }
            Inside::Quotes(_) if first == '"' => drop(stack.pop()),
            Inside::Quotes(_) if first == '\\' => {
                step += rest[1..].chars().next().map_or(0, char::len_utf8);
            }
            Inside::Heredoc(delimiter)
                if at_line_start(text, at) && marker_like(rest, delimiter) =>
            {
                match end_marker(rest, delimiter) {
                    Some(end) => {
                        step = end;
                        stack.pop();
                    }
                    // The parser takes a marker that has text after it for the end; HCL does not.
                    None => {
                        let indent = rest.len() - rest.trim_start_matches([' ', '\t']).len();
                        blanked.to_mut().replace_range(at + indent..at + indent + 1, "~");
                        step = indent + delimiter.len();
                    }
                }
            }
            _ if rest.starts_with("$${") || rest.starts_with("%%{") => step = 3,
            _ if rest.starts_with("${") || rest.starts_with("%{") => {
                step = 2;
                stack.push(Inside::Code(0));
            }
            _ => {}
        }
        at += step;
    }
    Ok(blanked)
}

/// The delimiter of a heredoc that starts here, and where its lines start.
fn heredoc(text: &str) -> Option<(&str, usize)> {
    let rest = text.strip_prefix("<<")?;
    let rest = rest.strip_prefix('-').unwrap_or(rest);
    let end = rest.find(|c| !is_word(c)).filter(|end| *end > 0)?;
    let lines = rest[end..].strip_prefix('\r').unwrap_or(&rest[end..]).strip_prefix('\n')?;
    Some((&rest[..end], text.len() - lines.len()))
}

/// Where a heredoc's end marker ends, if this line is one: the delimiter and nothing else.
fn end_marker(text: &str, delimiter: &str) -> Option<usize> {
    let rest = text.trim_start_matches([' ', '\t']).strip_prefix(delimiter)?;
    let line = rest.split('\n').next().unwrap_or_default();
    line.trim().is_empty().then(|| text.len() - rest.len())
}

/// Whether this line starts with the delimiter, as a word.
fn marker_like(text: &str, delimiter: &str) -> bool {
    let rest = text.trim_start_matches([' ', '\t']).strip_prefix(delimiter);
    rest.is_some_and(|rest| !rest.starts_with(is_word))
}

fn at_line_start(text: &str, at: usize) -> bool {
    text[..at].ends_with('\n')
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '-'
}

#[cfg(test)]
mod tests {
    use super::settled;

    #[test]
    fn what_the_parser_misreads_is_changed_and_nothing_else() {
        assert_eq!(settled("a = <<E\nE\nb = 1\n").unwrap(), "a = \"\" \n \nb = 1\n");
        assert_eq!(settled("f(<<-E\r\n  E\n)").unwrap(), "f(\"\"   \n   \n)");
        for text in [
            "a = <<E\ncat <<F\nF\nE\n",
            "# <<E\nE\n",
            "a = \"<<E\"\n",
            "a = \"\\\"${\nf(\"b\")\n}\"\n",
            "a = <<E\n${<<F\nx\nF\n}\nE\n",
        ] {
            assert_eq!(settled(text).unwrap(), text);
        }
        assert_eq!(settled("a = <<E\nE x\nE\n").unwrap(), "a = <<E\n~ x\nE\n");
        assert_eq!(settled("a = \"b\nc = 1\n"), Err(4));
    }
}
