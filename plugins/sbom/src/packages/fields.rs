//! Text in the form of mail headers: `Name: value`, where lines that start with a blank go on with the
//! one before.

/// The values of the fields called `names`, of each the first; none where there is none, or an empty
/// one. No other field is kept, however many there are.
pub(super) fn fields<const N: usize>(text: &str, names: [&str; N]) -> [Option<String>; N] {
    let mut values = [const { None::<String> }; N];
    let mut current = None;
    for line in text.lines() {
        let line = line.trim_end_matches('\r');
        if line.starts_with([' ', '\t']) {
            if let Some(value) = current.and_then(|index: usize| values[index].as_mut()) {
                value.push('\n');
                value.push_str(line.trim());
            }
        } else if let Some((name, value)) = line.split_once(':') {
            current = names.iter().position(|wanted| *wanted == name);
            current = current.filter(|&index| values[index].is_none());
            if let Some(index) = current {
                values[index] = Some(value.trim().to_owned());
            }
        }
    }
    values.map(|value| value.filter(|value| !value.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_each_with_the_lines_that_go_on_with_it() {
        let text = "A: 1\nB: x\n y\nA: 2\n z\nC:\r\nno field\n";
        let found = fields(text, ["A", "B", "C", "D"]);
        assert_eq!(found, [Some("1".to_owned()), Some("x\ny".to_owned()), None, None]);
    }
}
