//! `csvdecode`. Own code, since libraries accept the mistakes that are errors here: stray quotes,
//! quotes that do not end, lines of other lengths.

use std::collections::BTreeMap;

use super::{Accepts, Failure, Function, Outcome, Returns, function, param, text};
use crate::{Type, Value};

pub(super) static FUNCTIONS: &[Function] =
    &[function("csvdecode", &[param("str", Accepts::String)], Returns::Any, |args, _| {
        decode(text(&args[0]))
    })];

fn decode(csv: &str) -> Outcome {
    let fail = |message: String| Failure::argument(0, message);
    let mut records = records(csv).map_err(fail)?.into_iter();
    let (_, header) =
        records.next().ok_or_else(|| fail("the first line must name the columns".into()))?;
    let names = header.iter().map(|name| (name.clone(), Type::String));
    let row_type = Type::object(names);
    if let Some(twice) = header.iter().find(|name| header.iter().filter(|n| n == name).count() > 1)
    {
        return Err(fail(format!("two columns are called {twice:?}")));
    }
    let rows = records.map(|(line, fields)| {
        if fields.len() != header.len() {
            let (found, wanted) = (fields.len(), header.len());
            return Err(fail(format!("line {line} has {found} fields, not {wanted}")));
        }
        let fields = header.iter().cloned().zip(fields.into_iter().map(Value::from));
        Ok(Value::object(fields.collect::<BTreeMap<_, _>>()))
    });
    Ok(Value::list(row_type, rows.collect::<Result<_, _>>()?))
}

/// The records of RFC 4180, each with the line it starts on; empty lines are left out.
fn records(csv: &str) -> Result<Vec<(usize, Vec<String>)>, String> {
    let csv = csv.replace("\r\n", "\n");
    let mut records = Vec::new();
    let mut line = 1;
    let mut rest = csv.as_str();
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix('\n') {
            rest = after;
            line += 1;
            continue;
        }
        let start = line;
        let mut fields = Vec::new();
        loop {
            let (field, after) = match rest.strip_prefix('"') {
                Some(inside) => quoted(inside, &mut line)?,
                None => {
                    let end = rest.find([',', '\n']).unwrap_or(rest.len());
                    if rest[..end].contains('"') {
                        return Err(format!("a quote stands inside a field on line {line}"));
                    }
                    (rest[..end].to_owned(), &rest[end..])
                }
            };
            fields.push(field);
            rest = after;
            match rest.strip_prefix(',') {
                Some(next) => rest = next,
                None => break,
            }
        }
        match rest.strip_prefix('\n') {
            Some(next) => {
                rest = next;
                line += 1;
            }
            None if rest.is_empty() => {}
            None => return Err(format!("text follows a closing quote on line {line}")),
        }
        records.push((start, fields));
    }
    Ok(records)
}

/// A field after its opening quote, and what follows its closing one.
fn quoted<'a>(mut rest: &'a str, line: &mut usize) -> Result<(String, &'a str), String> {
    let start = *line;
    let mut field = String::new();
    loop {
        let end = rest.find('"').ok_or_else(|| format!("a quote on line {start} does not end"))?;
        field.push_str(&rest[..end]);
        *line += rest[..end].matches('\n').count();
        rest = &rest[end + 1..];
        match rest.strip_prefix('"') {
            Some(after) => {
                field.push('"');
                rest = after;
            }
            None => return Ok((field, rest)),
        }
    }
}
