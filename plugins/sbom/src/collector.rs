//! The script that prints a machine's package databases, and what it printed.

/// The script. It takes any arguments; the last is the directory to look in.
pub const SCRIPT: &str = include_str!("collector.sh");

/// The first line of its output.
const HEADER: &str = "INGOT-PACKAGES 1";

/// What the script printed.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Collected {
    /// Files: their paths and what is in them.
    pub files: Vec<(String, String)>,
    /// Packages of rpm, one line each.
    pub rpm: Vec<String>,
    /// What could not be read.
    pub notes: Vec<String>,
}

impl Collected {
    /// Reads the script's output; none if this is the output of something else.
    pub fn parse(output: &[u8]) -> Option<Collected> {
        let text = String::from_utf8_lossy(output);
        let mut lines = text.split('\n');
        lines.next().filter(|line| *line == HEADER)?;
        let mut collected = Collected::default();
        for line in lines {
            let (kind, rest) = line.split_at_checked(1).unwrap_or((line, ""));
            match kind {
                " " => {
                    if let Some((_, text)) = collected.files.last_mut() {
                        text.push_str(rest);
                        text.push('\n');
                    }
                }
                "F" => collected.files.push((rest.trim_start().to_owned(), String::new())),
                "R" => collected.rpm.push(rest.trim_start_matches(' ').to_owned()),
                "N" => collected.notes.push(rest.trim_start().to_owned()),
                _ => {}
            }
        }
        Some(collected)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_script_prints() {
        let output = "INGOT-PACKAGES 1\nF /etc/os release\n ID=x\n \n F /not\nN no rpm\nR a\t\t1\nF /b\n é\n";
        let collected = Collected::parse(output.as_bytes()).unwrap();
        assert_eq!(
            collected.files,
            [
                ("/etc/os release".to_owned(), "ID=x\n\nF /not\n".to_owned()),
                ("/b".to_owned(), "é\n".to_owned())
            ]
        );
        assert_eq!(
            (collected.rpm.len(), collected.notes.as_slice()),
            (1, &["no rpm".to_owned()][..])
        );
        assert_eq!(Collected::parse(b"{}"), None);
    }
}
