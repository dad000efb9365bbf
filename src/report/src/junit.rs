//! The report as JUnit's XML, as GitLab and Jenkins read it: a test suite for each build, a test
//! case for each of its steps.

use std::fmt::Write as _;

use super::model::{Build, Diagnostic, Report, Severity, Status, Step};
use super::shown::describe_step;

/// The whole document.
pub(super) fn document(report: &Report) -> String {
    let mut suites: Vec<Suite> = Vec::new();
    let errors = report.diagnostics.iter().filter(|one| one.severity == Severity::Error);
    let errors: Vec<&Diagnostic> = errors.collect();
    if !errors.is_empty() {
        suites.push(Suite::of_template(&errors, report));
    }
    suites.extend(report.builds.iter().map(Suite::of_build));
    let sum = |count: fn(&Suite) -> usize| suites.iter().map(count).sum::<usize>();
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let _ = writeln!(
        xml,
        "<testsuites name={} tests=\"{}\" failures=\"{}\" errors=\"{}\" time=\"{}\">",
        quoted(&report.run.template),
        sum(|suite| suite.cases.len()),
        sum(|suite| suite.count("failure")),
        sum(|suite| suite.count("error")),
        seconds(report.run.duration_ms),
    );
    suites.iter().for_each(|suite| suite.write(&mut xml, report));
    xml.push_str("</testsuites>\n");
    xml
}

struct Suite<'a> {
    name: &'a str,
    duration_ms: u64,
    cases: Vec<Case>,
    output: String,
}

struct Case {
    name: String,
    duration_ms: u64,
    place: Option<(String, usize)>,
    /// The name of the element in it, what went wrong in short, and all of it.
    problem: Option<(&'static str, String, String)>,
}

impl<'a> Suite<'a> {
    fn of_template(errors: &[&Diagnostic], report: &'a Report) -> Self {
        let case = |error: &&Diagnostic| {
            let place = error.place.as_ref();
            let at = place.map(|place| format!("{}:{}:{}", place.file, place.line, place.column));
            let whole: Vec<String> = at.into_iter().chain(error.notes.iter().cloned()).collect();
            Case {
                name: error.message.lines().next().unwrap_or_default().to_owned(),
                duration_ms: 0,
                place: place.map(|place| (place.file.clone(), place.line)),
                problem: Some(("error", error.message.clone(), whole.join("\n"))),
            }
        };
        let cases = errors.iter().map(case).collect();
        Suite { name: &report.run.template, duration_ms: 0, cases, output: String::new() }
    }

    fn of_build(build: &'a Build) -> Self {
        let mut cases: Vec<Case> = build.steps.iter().map(|step| case(step, build)).collect();
        // The case of the build as a whole says what no step can: that it never began, or failed
        // between its steps.
        let told = build.steps.iter().any(|step| step.status == Status::Failed);
        let problem = match (build.status, &build.failure) {
            (Status::Failed, Some(failure)) if !told => {
                Some(("failure", failure.message.clone(), failure.output.join("\n")))
            }
            (Status::Cancelled, _) => {
                Some(("error", "the build was cancelled".to_owned(), String::new()))
            }
            (Status::NotRun, _) => {
                Some(("skipped", "the build did not run".to_owned(), String::new()))
            }
            (Status::Skipped, _) => {
                Some(("skipped", "another run has built it".to_owned(), String::new()))
            }
            _ => None,
        };
        if problem.is_some() || cases.is_empty() {
            cases.push(Case {
                name: "build".to_owned(),
                duration_ms: build.duration_ms,
                place: build.place.as_ref().map(|place| (place.file.clone(), place.line)),
                problem,
            });
        }
        let lines: Vec<&str> = build.log.lines.iter().map(|line| line.text.as_str()).collect();
        let omitted = match build.log.omitted {
            0 => String::new(),
            count => format!("({count} lines before are left out)\n"),
        };
        let output = omitted + &lines.join("\n");
        Suite { name: &build.name, duration_ms: build.duration_ms, cases, output }
    }

    fn count(&self, problem: &str) -> usize {
        let is = |case: &&Case| case.problem.as_ref().is_some_and(|(name, ..)| *name == problem);
        self.cases.iter().filter(is).count()
    }

    fn write(&self, xml: &mut String, report: &Report) {
        // JUnit's runners give no offset from UTC.
        let timestamp = report.run.started.get(..19).unwrap_or_default();
        let _ = writeln!(
            xml,
            "  <testsuite name={} tests=\"{}\" failures=\"{}\" errors=\"{}\" skipped=\"{}\" \
             time=\"{}\" timestamp=\"{timestamp}\">",
            quoted(self.name),
            self.cases.len(),
            self.count("failure"),
            self.count("error"),
            self.count("skipped"),
            seconds(self.duration_ms),
        );
        for case in &self.cases {
            let _ = write!(
                xml,
                "    <testcase classname={} name={} time=\"{}\"",
                quoted(self.name),
                quoted(&case.name),
                seconds(case.duration_ms),
            );
            if let Some((file, line)) = &case.place {
                let _ = write!(xml, " file={} line=\"{line}\"", quoted(file));
            }
            match &case.problem {
                None => xml.push_str("/>\n"),
                Some((element, message, text)) => {
                    let kind = match *element {
                        "skipped" => String::new(),
                        _ => " type=\"ingot\"".to_owned(),
                    };
                    let _ = writeln!(
                        xml,
                        ">\n      <{element} message={}{kind}>{}</{element}>\n    </testcase>",
                        quoted(message),
                        escaped(text),
                    );
                }
            }
        }
        if !self.output.is_empty() {
            let _ = writeln!(xml, "    <system-out>{}</system-out>", escaped(&self.output));
        }
        xml.push_str("  </testsuite>\n");
    }
}

fn case(step: &Step, build: &Build) -> Case {
    let place = step.place.as_ref().map(|place| (place.file.clone(), place.line));
    let why = step.error.clone().unwrap_or_default();
    let problem = match step.status {
        Status::Failed => {
            let failure = build.failure.as_ref().filter(|one| one.step_id == Some(step.id));
            // What is around the step that failed fails with it, and is counted once.
            let inner = build.steps.iter().any(|inner| {
                inner.status == Status::Failed
                    && inner.id != step.id
                    && within(build, inner.id, step.id)
            });
            (!inner).then(|| {
                let mut text = why.clone();
                if let Some(place) = &step.place {
                    text = format!("{}:{}:{}\n{text}", place.file, place.line, place.column);
                }
                if let Some(failure) = failure.filter(|failure| !failure.output.is_empty()) {
                    text = format!("{text}\n\n{}", failure.output.join("\n"));
                }
                ("failure", why, text)
            })
        }
        Status::Tolerated => Some(("skipped", format!("failed, tolerated: {why}"), String::new())),
        Status::Cancelled => Some(("skipped", "cancelled".to_owned(), String::new())),
        _ => None,
    };
    Case { name: describe_step(step), duration_ms: step.duration_ms, place, problem }
}

/// Whether step `inner` is part of step `outer`.
fn within(build: &Build, inner: u64, outer: u64) -> bool {
    let parent = |id: u64| build.steps.iter().find(|step| step.id == id)?.parent;
    std::iter::successors(parent(inner), |id| parent(*id)).any(|id| id == outer)
}

fn seconds(millis: u64) -> String {
    format!("{}.{:03}", millis / 1000, millis % 1000)
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", escaped(text).replace('\n', "&#10;").replace('\t', "&#9;"))
}

/// `text` as character data of XML 1.0, which cannot hold most control characters at all.
fn escaped(text: &str) -> String {
    let mut xml = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => xml.push_str("&amp;"),
            '<' => xml.push_str("&lt;"),
            '>' => xml.push_str("&gt;"),
            '"' => xml.push_str("&quot;"),
            '\n' | '\t' => xml.push(c),
            '\r' => xml.push_str("&#13;"),
            '\0'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => xml.push('\u{fffd}'),
            c => xml.push(c),
        }
    }
    xml
}

#[cfg(test)]
mod tests {
    use crate::Format;
    use crate::model::tests::report;

    #[test]
    fn any_output_of_programs_becomes_valid_xml() {
        let mut report = report();
        report.builds[0].log.lines[0].text = "\u{1b}[31m<b>&]]>\u{0}\u{b}".to_owned();
        let xml = Format::Junit.write(&report, "out/r".as_ref()).unwrap();
        let document = roxmltree::Document::parse(&xml).unwrap();
        let suites = document.root_element();
        assert_eq!(
            (suites.attribute("tests"), suites.attribute("failures")),
            (Some("3"), Some("1"))
        );
        let failure = document.descendants().find(|node| node.has_tag_name("failure")).unwrap();
        assert_eq!(failure.attribute("message"), Some("exit <3> & \"more\""));
        assert!(failure.text().unwrap().contains("t.pkr.hcl:7:3\n"), "{xml}");
        let case = failure.parent().unwrap();
        assert_eq!(case.attribute("name"), Some("provisioner `shell`"));
        assert_eq!(
            (case.attribute("file"), case.attribute("line")),
            (Some("t.pkr.hcl"), Some("7"))
        );
        let out = document.descendants().find(|node| node.has_tag_name("system-out")).unwrap();
        assert!(out.text().unwrap().contains("\n\u{fffd}[31m<b>&]]>"), "{xml}");
    }
}
