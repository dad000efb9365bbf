//! The boot command language: what Packer's grammar accepts, read the same way.
//!
//! Text stands for the keys that type it. `<enter>`, `<f1>` and the like (in any case) are keys,
//! with `On` or `Off` at the end they are held down or let go, and so is any character in
//! `<cOn>`. `<wait>`, `<wait5>` and `<wait1m20s>` (in lower case) pause. Anything else between
//! angle brackets is text.

use std::time::Duration;

use ingot_sdk::GoDuration;
use ingot_suggest::closest;

use super::keys::{Key, SPECIAL_KEYS};

/// What is done with a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Down and up again.
    Press,
    /// Down, and kept there.
    Hold,
    /// Up.
    Release,
}

/// One thing a boot command does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expression {
    /// Do something with a key.
    Key(Key, Action),
    /// Do nothing for this long.
    Wait(Duration),
}

/// A boot command that was read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Script {
    /// What it does, in order.
    pub expressions: Vec<Expression>,
    /// Likely mistakes: text that is almost a key, keys that are never released.
    pub warnings: Vec<Remark>,
    /// The byte of the first line break, if there is one. They are not typed: in a text of several
    /// lines they are there for people, and Packer sends a key for them that does nothing.
    pub line_break: Option<usize>,
}

/// Something to say about a place in a boot command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remark {
    /// The byte of the text it is about.
    pub at: usize,
    /// The message.
    pub message: String,
}

/// Reads a boot command.
///
/// # Errors
/// What is wrong, and where.
pub fn parse(text: &str) -> Result<Script, Remark> {
    let mut script = Script::default();
    // Keys that are held down, and where the command says so.
    let mut held: Vec<(Key, usize)> = Vec::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let at = text.len() - rest.len();
        if matches!(c, '\n' | '\r') {
            script.line_break.get_or_insert(at);
            rest = &rest[1..];
            continue;
        }
        let mut found = None;
        if c == '<' {
            found = bracketed(rest).map_err(|message| Remark { at, message })?;
            if found.is_none()
                && let Some(message) = slip(rest)
            {
                script.warnings.push(Remark { at, message });
            }
        }
        let (expression, after) =
            found.unwrap_or((Expression::Key(Key::Char(c), Action::Press), &rest[c.len_utf8()..]));
        if let Expression::Key(key, _) = expression
            && key.qcode().is_none()
        {
            let message = format!("a US keyboard, which this is typed on, has no key for {key}");
            return Err(Remark { at, message });
        }
        match expression {
            Expression::Key(key, Action::Hold) => held.push((key, at)),
            Expression::Key(key, Action::Release) => held.retain(|&(other, _)| other != key),
            _ => {}
        }
        script.expressions.push(expression);
        rest = after;
    }
    for (key, at) in held {
        let name = match key {
            Key::Char(c) => c.to_string(),
            Key::Special(key) => key.name.to_owned(),
        };
        let message = format!("<{name}On> is never let go; write <{name}Off>");
        script.warnings.push(Remark { at, message });
    }
    Ok(script)
}

/// Reads what stands between angle brackets at the beginning of `text`, and what comes after it;
/// none when it is text.
fn bracketed(text: &str) -> Result<Option<(Expression, &str)>, String> {
    let inner = &text[1..];
    if let Some(after) = inner.strip_prefix("wait")
        && let Some((duration, after)) = after.split_once('>')
        && let Some(duration) = wait(duration)?
    {
        return Ok(Some((Expression::Wait(duration), after)));
    }
    let mut chars = inner.chars();
    if let Some(c) = chars.next()
        && let Some((action, after)) = toggle(chars.as_str())
    {
        return Ok(Some((Expression::Key(Key::Char(c), action), after)));
    }
    let Some((name, after)) = inner.split_once('>') else { return Ok(None) };
    if let Some(key) = Key::named(name) {
        return Ok(Some((Expression::Key(key, Action::Press), after)));
    }
    for (ending, action) in [("on", Action::Hold), ("off", Action::Release)] {
        let cut = name.len().checked_sub(ending.len()).filter(|&cut| name.is_char_boundary(cut));
        if let Some((base, tail)) = cut.map(|cut| name.split_at(cut))
            && tail.eq_ignore_ascii_case(ending)
            && let Some(key) = Key::named(base)
        {
            return Ok(Some((Expression::Key(key, action), after)));
        }
    }
    Ok(None)
}

/// Reads `On>` or `Off>` at the beginning of `text`.
fn toggle(text: &str) -> Option<(Action, &str)> {
    [("on>", Action::Hold), ("off>", Action::Release)].into_iter().find_map(|(ending, action)| {
        let (head, after) = text.split_at_checked(ending.len())?;
        head.eq_ignore_ascii_case(ending).then_some((action, after))
    })
}

/// Reads what stands after `wait`: nothing (one second), seconds, or a duration. None when it is
/// none of these and the whole is text.
fn wait(text: &str) -> Result<Option<Duration>, String> {
    if text.is_empty() {
        return Ok(Some(Duration::from_secs(1)));
    }
    let nothing = || format!("<wait{text}> does not wait; write a time above zero");
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        // Packer reads no leading zeros.
        if text.len() > 1 && text.starts_with('0') {
            return Ok(None);
        }
        let seconds = text.parse().map_err(|_| format!("<wait{text}> waits too long"))?;
        return if seconds == 0 { Err(nothing()) } else { Ok(Some(Duration::from_secs(seconds))) };
    }
    let starts_well = text.trim_start_matches('-').starts_with(|c: char| c.is_ascii_digit());
    match GoDuration::parse(text) {
        _ if !starts_well => Ok(None),
        Err(_) => Ok(None),
        Ok(duration) if duration.0.is_zero() => Err(nothing()),
        Ok(duration) => Ok(Some(duration.0)),
    }
}

/// Says what the text in angle brackets at the beginning of `text` was perhaps meant to be.
fn slip(text: &str) -> Option<String> {
    let (name, _) = text[1..].split_once('>')?;
    // Markup and redirections are typed often; only what looks like a key's name is a slip.
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '.';
    if !(3..=24).contains(&name.len()) || !name.chars().all(plain) {
        return None;
    }
    let typed = format!("<{name}> is not a key and is typed as it stands");
    let lower = name.to_ascii_lowercase();
    if let Some(time) = lower.strip_prefix("wait") {
        return Some(if wait(time).is_ok_and(|time| time.is_some()) {
            format!("{typed}; write <{lower}>")
        } else {
            format!("{typed}; a wait is written <wait>, <wait5> or <wait1m20s>")
        });
    }
    let base = lower.strip_suffix("off").or_else(|| lower.strip_suffix("on")).unwrap_or(&lower);
    let names: Vec<String> = SPECIAL_KEYS.iter().map(|key| key.name.to_ascii_lowercase()).collect();
    let found = closest(base, names.iter().map(String::as_str))?;
    let meant = Key::named(found).map_or_else(String::new, |key| key.to_string());
    let meant = match &lower[base.len()..] {
        "" => meant,
        ending => meant.replace('>', if ending == "on" { "On>" } else { "Off>" }),
    };
    Some(format!("{typed}; did you mean {meant}?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn press(text: &str) -> Vec<Expression> {
        text.chars().map(|c| Expression::Key(Key::Char(c), Action::Press)).collect()
    }

    fn key(name: &str, action: Action) -> Expression {
        Expression::Key(Key::named(name).unwrap(), action)
    }

    fn expressions(text: &str) -> Vec<Expression> {
        parse(text).unwrap().expressions
    }

    #[test]
    fn reads_text_keys_and_waits() {
        let mut expected = vec![key("esc", Action::Press)];
        expected.extend(press("a <b>"));
        expected.extend([
            key("pageUp", Action::Press),
            key("leftCtrl", Action::Hold),
            Expression::Key(Key::Char('c'), Action::Press),
            key("leftCtrl", Action::Release),
            Expression::Key(Key::Char('x'), Action::Hold),
            Expression::Key(Key::Char('x'), Action::Release),
            key("f12", Action::Press),
        ]);
        let text = "<esc>a <b><PAGEUP><leftCtrlOn>c<leftctrloff><xOn><xOFF><f12>";
        assert_eq!(expressions(text), expected);
        assert_eq!(parse(text).unwrap().warnings, []);
        assert_eq!(
            expressions("<<on><>Off>"),
            [
                Expression::Key(Key::Char('<'), Action::Hold),
                Expression::Key(Key::Char('>'), Action::Release)
            ]
        );
    }

    #[test]
    fn line_breaks_are_not_typed_and_a_tab_is() {
        let script = parse("a\r\n\tb\n").unwrap();
        assert_eq!(script.expressions, press("a\tb"));
        assert_eq!(script.line_break, Some(1));
        assert_eq!(Key::Char('\t').qcode(), Some("tab"));
    }

    #[test]
    fn what_cannot_be_typed_is_an_error() {
        for (text, at, named) in [("a€", 1, "'€'"), ("<üOn>", 0, "'ü'"), ("\u{7}", 0, "'\\u{7}'")]
        {
            let error = parse(text).unwrap_err();
            assert_eq!(error.at, at);
            assert!(error.message.contains(named), "{}", error.message);
        }
    }

    #[test]
    fn reads_waits() {
        let millis = |text: &str| match expressions(text)[..] {
            [Expression::Wait(duration)] => duration.as_millis(),
            ref other => panic!("{text}: {other:?}"),
        };
        for (text, expected) in [
            ("<wait>", 1000),
            ("<wait5>", 5000),
            ("<wait10>", 10_000),
            ("<wait300ms>", 300),
            ("<wait1m20s>", 80_000),
            ("<wait1.5s>", 1500),
        ] {
            assert_eq!(millis(text), expected, "{text}");
        }
        let error = |text: &str| parse(text).unwrap_err();
        assert_eq!(error("abc<wait0>").at, 3);
        assert!(error("<wait-5s>").message.contains("above zero"));
        assert!(error("<wait99999999999999999999>").message.contains("too long"));
    }

    #[test]
    fn what_packer_types_as_text_is_text_and_mistakes_are_named() {
        for (text, warning) in [
            ("<entr>", "did you mean <enter>?"),
            ("<leftCtlOn>", "did you mean <leftCtrlOn>?"),
            ("<Wait>", "write <wait>"),
            ("<WAIT5>", "write <wait5>"),
            ("<wait5x>", "a wait is written"),
            ("<wait05>", "a wait is written"),
        ] {
            let script = parse(text).unwrap();
            assert_eq!(script.expressions, press(text));
            assert!(script.warnings[0].message.contains(warning), "{:?}", script.warnings);
        }
        for text in ["cat <<EOF >x", "<", "<>", "<html>", "a < b > c", "</x>"] {
            let script = parse(text).unwrap();
            assert_eq!((script.expressions, script.warnings.len()), (press(text), 0), "{text}");
        }
        let held = parse("<leftShiftOn>a").unwrap().warnings;
        assert_eq!(held[0].message, "<leftShiftOn> is never let go; write <leftShiftOff>");
    }
}
