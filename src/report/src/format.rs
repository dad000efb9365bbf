//! The forms of a report, and where one is written: `-report=[FORMAT:]FILE`.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::{Report, html, junit};

/// The form of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A page that needs nothing else.
    Html,
    /// The report as data.
    Json,
    /// The XML that JUnit's runners write, and CI systems read.
    Junit,
}

impl Format {
    /// The report in this form. What it links to is given as seen from the file `path`, which it is
    /// written to.
    ///
    /// # Errors
    /// The report holds something that this form cannot.
    pub fn write(self, report: &Report, path: &Path) -> std::io::Result<String> {
        Ok(match self {
            Format::Html => html::page(report, path),
            Format::Json => serde_json::to_string_pretty(report)? + "\n",
            Format::Junit => junit::document(report),
        })
    }

    /// As it is written before a file's name.
    pub fn name(self) -> &'static str {
        match self {
            Format::Html => "html",
            Format::Json => "json",
            Format::Junit => "junit",
        }
    }

    fn of_name(name: &str) -> Option<Format> {
        match name {
            "html" | "htm" => Some(Format::Html),
            "json" => Some(Format::Json),
            "junit" | "xml" => Some(Format::Junit),
            _ => None,
        }
    }
}

/// A file that a report is written to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportTarget {
    /// Its form.
    pub format: Format,
    /// The file.
    pub path: PathBuf,
}

impl FromStr for ReportTarget {
    type Err = String;

    /// Reads `FORMAT:FILE`, or `FILE`, whose extension then says the format.
    fn from_str(text: &str) -> Result<Self, String> {
        if let Some((name, path)) = text.split_once(':')
            && matches!(name, "html" | "json" | "junit")
        {
            if path.is_empty() {
                return Err(format!("no file follows `{name}:`"));
            }
            let format = Format::of_name(name).unwrap_or(Format::Json);
            return Ok(ReportTarget { format, path: path.into() });
        }
        if text.is_empty() {
            return Err("name a file, such as report.html".to_owned());
        }
        let extension = Path::new(text).extension().and_then(|extension| extension.to_str());
        let extension = extension.unwrap_or_default().to_ascii_lowercase();
        match Format::of_name(&extension) {
            Some(format) => Ok(ReportTarget { format, path: text.into() }),
            None => Err(format!(
                "the extension of `{text}` is none of .html, .json and .xml; write the format \
                 before it, as in html:{text}, json:{text} or junit:{text}"
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_format_is_named_or_decided_by_the_extension() {
        let read = |text: &str| ReportTarget::from_str(text);
        for (text, format, path) in [
            ("out/report.html", Format::Html, "out/report.html"),
            ("r.JSON", Format::Json, "r.JSON"),
            ("r.junit.xml", Format::Junit, "r.junit.xml"),
            ("r.junit", Format::Junit, "r.junit"),
            ("html:report", Format::Html, "report"),
            ("json:c:/x.xml", Format::Json, "c:/x.xml"),
        ] {
            assert_eq!(read(text), Ok(ReportTarget { format, path: path.into() }), "{text}");
        }
        for text in ["", "report", "r.txt", "html:", "yaml:r.html.gz"] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
