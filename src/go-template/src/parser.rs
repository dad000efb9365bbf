//! Builds a tree out of a template's tokens.

use std::ops::Range;

use serde_json::Value;

use crate::error::Fault;
use crate::lexer::{Kind, Piece, Token};

/// How deep parentheses and blocks may nest: more than any option needs, less than the stack.
const MAX_DEPTH: usize = 64;

/// A part of a template.
#[derive(Debug)]
pub enum Node {
    /// Text outside of actions, without the white space that `{{-` and `-}}` remove.
    Text(String),
    /// A pipeline whose value is printed, unless it only sets a variable.
    Action(Pipeline),
    /// `{{ if }}`
    If {
        /// What decides.
        condition: Pipeline,
        /// What is rendered if it is true.
        then: Vec<Node>,
        /// What is rendered if not: what stands after `{{ else }}`.
        otherwise: Vec<Node>,
    },
    /// `{{ with }}`
    With {
        /// What `.` is inside.
        value: Pipeline,
        /// What is rendered if it is not empty.
        then: Vec<Node>,
        /// What is rendered if it is.
        otherwise: Vec<Node>,
    },
    /// `{{ range }}`
    Range {
        /// What is iterated.
        items: Pipeline,
        /// What is rendered for every item.
        body: Vec<Node>,
        /// What is rendered if there is none.
        otherwise: Vec<Node>,
    },
    /// `{{ break }}`
    Break,
    /// `{{ continue }}`
    Continue,
}

/// Commands joined by `|`, and the variables that take the result.
#[derive(Debug)]
pub struct Pipeline {
    /// The names, without `$`; at most one, two for `range`.
    pub variables: Vec<String>,
    /// Whether the variables are declared (`:=`) rather than set (`=`).
    pub declares: bool,
    /// At least one.
    pub commands: Vec<Command>,
    /// Its place in the template.
    pub span: Range<usize>,
}

/// A value, or a function and its arguments.
#[derive(Debug)]
pub struct Command {
    /// At least one.
    pub operands: Vec<Operand>,
}

/// Something that has a value.
#[derive(Debug)]
pub struct Operand {
    /// What it starts from.
    pub base: Base,
    /// The names after it: `.A.B`.
    pub fields: Vec<String>,
    /// Its place in the template.
    pub span: Range<usize>,
}

/// What an operand starts from.
#[derive(Debug)]
pub enum Base {
    /// `.`
    Dot,
    /// `$name`, without the `$`.
    Variable(String),
    /// The name of a function.
    Function(String),
    /// A pipeline in parentheses.
    Pipeline(Box<Pipeline>),
    /// A string, number or boolean constant.
    Literal(Value),
    /// `nil`
    Nil,
}

/// Parses a template whose functions are those that are `known`.
pub(crate) fn parse(pieces: &[Piece], known: &dyn Fn(&str) -> bool) -> Result<Vec<Node>, Fault> {
    let mut parser =
        Parser { pieces, next: 0, known, variables: vec![String::new()], depth: 0, loops: 0 };
    let (nodes, end) = parser.block()?;
    match end {
        Stop::Template => Ok(nodes),
        Stop::End(at) => Err(Fault::new(at, "this {{ end }} ends nothing")),
        Stop::Else { at, .. } => {
            Err(Fault::new(at, "this {{ else }} belongs to no {{ if }}, {{ with }} or {{ range }}"))
        }
    }
}

/// What a block stopped at.
enum Stop<'a> {
    Template,
    End(usize),
    /// `{{ else … }}` and what follows the word.
    Else {
        at: usize,
        rest: &'a [Token],
    },
}

struct Parser<'a> {
    pieces: &'a [Piece],
    next: usize,
    known: &'a dyn Fn(&str) -> bool,
    /// The variables in scope; the first is `$`.
    variables: Vec<String>,
    depth: usize,
    /// How many `range` blocks are open.
    loops: usize,
}

impl<'a> Parser<'a> {
    /// Parses up to an `end` or `else` that belongs to the caller, or the end of the template.
    fn block(&mut self) -> Result<(Vec<Node>, Stop<'a>), Fault> {
        let pieces = self.pieces;
        let mut nodes = Vec::new();
        while let Some(piece) = pieces.get(self.next) {
            self.next += 1;
            let (at, tokens) = match piece {
                Piece::Text(text) => {
                    nodes.push(Node::Text(text.clone()));
                    continue;
                }
                Piece::Action { at, tokens } => (*at, tokens.as_slice()),
            };
            let Some((first, rest)) = tokens.split_first() else {
                return Err(Fault::new(at, "there is nothing between {{ and }}"));
            };
            let Kind::Word(word) = &first.kind else {
                nodes.push(Node::Action(self.pipeline(tokens, at, 1)?));
                continue;
            };
            let alone = || match rest.first() {
                None => Ok(()),
                Some(extra) => {
                    Err(Fault::new(extra.at, format!("nothing may follow {word:?} here")))
                }
            };
            match word.as_str() {
                "if" | "with" | "range" => nodes.push(self.control(word, rest, at)?),
                "end" => {
                    alone()?;
                    return Ok((nodes, Stop::End(at)));
                }
                "else" => return Ok((nodes, Stop::Else { at, rest })),
                "break" | "continue" => {
                    alone()?;
                    if self.loops == 0 {
                        let message =
                            format!("{{{{ {word} }}}} is only allowed inside {{{{ range }}}}");
                        return Err(Fault::new(at, message));
                    }
                    nodes.push(if word == "break" { Node::Break } else { Node::Continue });
                }
                "define" | "template" | "block" => {
                    let message = format!("{{{{ {word} }}}} is not supported in options");
                    return Err(Fault::new(at, message));
                }
                _ => nodes.push(Node::Action(self.pipeline(tokens, at, 1)?)),
            }
        }
        Ok((nodes, Stop::Template))
    }

    /// Parses a block that begins with `word` and `rest`, up to and including its `end`.
    fn control(&mut self, word: &str, rest: &'a [Token], at: usize) -> Result<Node, Fault> {
        self.deeper(at)?;
        let scope = self.variables.len();
        let is_range = word == "range";
        let head = self.pipeline(rest, at, if is_range { 2 } else { 1 })?;
        self.loops += usize::from(is_range);
        let (then, end) = self.block()?;
        self.loops -= usize::from(is_range);
        let otherwise = match end {
            Stop::End(_) => Vec::new(),
            Stop::Else { at: else_at, rest } => match rest.split_first() {
                None => {
                    self.variables.truncate(scope + head.variables.len());
                    let (nodes, end) = self.block()?;
                    match end {
                        Stop::End(_) => nodes,
                        Stop::Else { at, .. } => {
                            return Err(Fault::new(at, "there is already an {{ else }}"));
                        }
                        Stop::Template => return Err(unclosed(word, at)),
                    }
                }
                // `else if` is an `if` in the else branch that shares our `end`.
                Some((Token { kind: Kind::Word(nested), .. }, rest))
                    if (nested == "if" || nested == "with") && (word == nested) =>
                {
                    vec![self.control(nested, rest, else_at)?]
                }
                Some((extra, _)) => {
                    let message = format!(
                        "nothing may follow the else of {{{{ {word} }}}} except {}",
                        if is_range { "}}".to_owned() } else { format!("{word:?}") }
                    );
                    return Err(Fault::new(extra.at, message));
                }
            },
            Stop::Template => return Err(unclosed(word, at)),
        };
        self.variables.truncate(scope);
        self.depth -= 1;
        Ok(match word {
            "if" => Node::If { condition: head, then, otherwise },
            "with" => Node::With { value: head, then, otherwise },
            _ => Node::Range { items: head, body: then, otherwise },
        })
    }

    fn deeper(&mut self, at: usize) -> Result<(), Fault> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(Fault::new(at, "this is nested too deeply"));
        }
        Ok(())
    }

    /// Parses all of `tokens` as a pipeline that may set up to `max_variables` variables.
    fn pipeline(
        &mut self,
        tokens: &[Token],
        at: usize,
        max_variables: usize,
    ) -> Result<Pipeline, Fault> {
        let (variables, operator) = leading_variables(tokens);
        let mut rest = tokens;
        let mut declares = false;
        let mut names = Vec::new();
        if let Some(operator) = operator {
            declares = tokens[operator].kind == Kind::Declare;
            if variables.len() > max_variables {
                return Err(Fault::new(tokens[operator].at, "too many variables"));
            }
            for (name, place) in variables {
                if !declares {
                    self.must_exist(name, place)?;
                }
                names.push(name.to_owned());
            }
            rest = &tokens[operator + 1..];
        }
        let mut cursor = Cursor { tokens: rest, next: 0 };
        let mut pipeline = self.commands(&mut cursor, at)?;
        if let Some(extra) = cursor.peek() {
            return Err(unexpected(extra));
        }
        pipeline.declares = declares;
        if declares {
            self.variables.extend(names.iter().cloned());
        }
        pipeline.variables = names;
        Ok(pipeline)
    }

    fn must_exist(&self, name: &str, at: usize) -> Result<(), Fault> {
        if self.variables.iter().any(|known| known == name) {
            return Ok(());
        }
        Err(Fault::new(at, format!("the variable ${name} is not set; set it with $name := value")))
    }

    /// Parses commands joined by `|`, up to a closing parenthesis or the end.
    fn commands(&mut self, cursor: &mut Cursor<'_>, at: usize) -> Result<Pipeline, Fault> {
        let start = cursor.peek().map_or(at, |token| token.at);
        let mut commands = Vec::new();
        loop {
            let command = self.command(cursor, at)?;
            let first = &command.operands[0];
            if !commands.is_empty()
                && matches!(first.base, Base::Literal(_) | Base::Nil | Base::Dot)
                && first.fields.is_empty()
            {
                return Err(Fault::new(
                    first.span.start,
                    "only a function can take what comes before the |",
                ));
            }
            commands.push(command);
            if cursor.peek().is_none_or(|token| token.kind != Kind::Pipe) {
                break;
            }
            cursor.next += 1;
        }
        let end = cursor.tokens[..cursor.next].last().map_or(start, |token| token.end);
        Ok(Pipeline { variables: Vec::new(), declares: false, commands, span: start..end })
    }

    fn command(&mut self, cursor: &mut Cursor<'_>, at: usize) -> Result<Command, Fault> {
        let mut operands = Vec::new();
        while let Some(token) = cursor.peek() {
            if matches!(token.kind, Kind::Pipe | Kind::Close) {
                break;
            }
            if !operands.is_empty() && !token.spaced {
                return Err(unexpected(token));
            }
            operands.push(self.operand(cursor)?);
        }
        if operands.is_empty() {
            let place = cursor.peek().map_or(at, |token| token.at);
            return Err(Fault::new(place, "a value is missing here"));
        }
        Ok(Command { operands })
    }

    fn operand(&mut self, cursor: &mut Cursor<'_>) -> Result<Operand, Fault> {
        // The caller has peeked at this token.
        let token = &cursor.tokens[cursor.next];
        cursor.next += 1;
        let mut fields = Vec::new();
        let base = match &token.kind {
            Kind::Dot => Base::Dot,
            Kind::Field(name) => {
                fields.push(name.clone());
                Base::Dot
            }
            Kind::Variable(name) => {
                self.must_exist(name, token.at)?;
                Base::Variable(name.clone())
            }
            Kind::Literal(value) => Base::Literal(value.clone()),
            Kind::Word(word) => match word.as_str() {
                "true" => Base::Literal(Value::Bool(true)),
                "false" => Base::Literal(Value::Bool(false)),
                "nil" => Base::Nil,
                name if (self.known)(name) => Base::Function(name.to_owned()),
                name => {
                    return Err(Fault::new(
                        token.at,
                        format!("there is no function {name:?}; a value is written .{name}"),
                    ));
                }
            },
            Kind::Open => {
                self.deeper(token.at)?;
                let inner = self.commands(cursor, token.at)?;
                // The lexer made sure that parentheses are balanced.
                cursor.next += 1;
                self.depth -= 1;
                Base::Pipeline(Box::new(inner))
            }
            _ => return Err(unexpected(token)),
        };
        let can_have_fields =
            !matches!(base, Base::Literal(_) | Base::Nil) && (!matches!(token.kind, Kind::Dot));
        while let Some(Token { kind: Kind::Field(name), spaced: false, at, .. }) = cursor.peek() {
            if !can_have_fields {
                return Err(Fault::new(*at, format!("a constant has no .{name}")));
            }
            fields.push(name.clone());
            cursor.next += 1;
        }
        let end = cursor.tokens[..cursor.next].last().map_or(token.end, |token| token.end);
        Ok(Operand { base, fields, span: token.at..end })
    }
}

struct Cursor<'a> {
    tokens: &'a [Token],
    next: usize,
}

impl<'a> Cursor<'a> {
    fn peek(&self) -> Option<&'a Token> {
        self.tokens.get(self.next)
    }
}

/// The variables that `tokens` begin with, and where the `:=` or `=` behind them is, if any.
fn leading_variables(tokens: &[Token]) -> (Vec<(&str, usize)>, Option<usize>) {
    let mut variables = Vec::new();
    let mut next = 0;
    while let Some(Token { kind: Kind::Variable(name), at, .. }) = tokens.get(next) {
        variables.push((name.as_str(), *at));
        match tokens.get(next + 1).map(|token| &token.kind) {
            Some(Kind::Declare | Kind::Assign) => return (variables, Some(next + 1)),
            Some(Kind::Comma) => next += 2,
            _ => break,
        }
    }
    (variables, None)
}

fn unclosed(word: &str, at: usize) -> Fault {
    Fault::new(at, format!("this {{{{ {word} }}}} has no {{{{ end }}}}"))
}

fn unexpected(token: &Token) -> Fault {
    let what = match &token.kind {
        Kind::Dot => "`.`".to_owned(),
        Kind::Field(name) => format!("`.{name}`"),
        Kind::Variable(name) => format!("`${name}`"),
        Kind::Word(word) => format!("`{word}`"),
        Kind::Literal(value) => format!("`{value}`"),
        Kind::Pipe => "`|`".to_owned(),
        Kind::Open => "`(`".to_owned(),
        Kind::Close => "`)`".to_owned(),
        Kind::Declare => "`:=`".to_owned(),
        Kind::Assign => "`=`".to_owned(),
        Kind::Comma => "`,`".to_owned(),
    };
    Fault::new(token.at, format!("{what} cannot stand here"))
}
