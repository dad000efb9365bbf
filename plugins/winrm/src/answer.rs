//! The messages that come back.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use roxmltree::{Document, Node};

use crate::message::{SHELL, SOAP, WSMAN};

/// The namespace of the details of a fault.
const FAULT: &str = "http://schemas.microsoft.com/wbem/wsman/1/wsmanfault";

/// What a service says when it could not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    /// Windows' number for it, if it gave one.
    pub code: Option<u32>,
    /// The local name of SOAP's subcode, such as `TimedOut`.
    pub subcode: String,
    /// What it says, on one line.
    pub text: String,
}

impl Fault {
    /// Nothing went wrong: the command merely printed nothing for as long as the service waits.
    pub(crate) fn is_still_running(&self) -> bool {
        // ERROR_WSMAN_OPERATION_TIMEDOUT
        self.code == Some(0x8033_8029) || (self.code.is_none() && self.subcode == "TimedOut")
    }

    /// The shell is gone, as after a reboot, or going.
    pub(crate) fn is_shell_lost(&self) -> bool {
        // Shell not found; ERROR_OPERATION_ABORTED, as when the service is shut down.
        matches!(self.code, Some(0x8033_805b | 995))
            || (self.code.is_none() && self.subcode == "InvalidSelectors")
    }
}

/// What a command printed since it was asked last.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Output {
    /// Pieces in their order; true for those from standard error.
    pub pieces: Vec<(bool, Vec<u8>)>,
    /// The exit code, once it has ended.
    pub exit: Option<i32>,
}

/// An answer that cannot be understood.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Unreadable(pub String);

fn parse(xml: &str) -> Result<Document<'_>, Unreadable> {
    Document::parse(xml).map_err(|error| Unreadable(format!("the response is not XML: {error}")))
}

fn find<'a>(document: &'a Document, namespace: &str, name: &str) -> Option<Node<'a, 'a>> {
    document.descendants().find(|node| node.has_tag_name((namespace, name)))
}

fn text_of(document: &Document, name: &str) -> Option<String> {
    let text = find(document, SHELL, name)?.text()?.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

/// The fault in `xml`, if it holds one.
pub(crate) fn fault(xml: &str) -> Option<Fault> {
    let document = Document::parse(xml).ok()?;
    let fault = find(&document, SOAP, "Fault")?;
    let within = |namespace: &str, name: &str| {
        fault.descendants().find(|node| node.has_tag_name((namespace, name)))
    };
    let subcode = within(SOAP, "Subcode")
        .and_then(|node| node.children().find(|node| node.has_tag_name((SOAP, "Value"))))
        .and_then(|node| node.text())
        .map_or("", |name| name.rsplit(':').next().unwrap_or(name).trim());
    let detail = within(FAULT, "WSManFault");
    let code = detail.and_then(|node| node.attribute("Code")?.trim().parse().ok());
    // The detail says more than the reason, but is often missing.
    let message = detail
        .and_then(|node| node.descendants().find(|node| node.has_tag_name((FAULT, "Message"))))
        .map(flat_text)
        .filter(|text| !text.is_empty());
    let reason = within(SOAP, "Reason").map(flat_text).filter(|text| !text.is_empty());
    Some(Fault {
        code,
        subcode: subcode.to_owned(),
        text: message.or(reason).unwrap_or_else(|| "it gave no reason".into()),
    })
}

/// All text below a node, with runs of white space as one space.
fn flat_text(node: Node) -> String {
    let all: String = node.descendants().filter(Node::is_text).filter_map(|n| n.text()).collect();
    all.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The id of a new shell.
pub(crate) fn shell_id(xml: &str) -> Result<String, Unreadable> {
    let document = parse(xml)?;
    // Old versions of Windows name the shell only as the selector of what was created.
    let selector = || {
        let by_name = |node: &Node| {
            node.has_tag_name((WSMAN, "Selector")) && node.attribute("Name") == Some("ShellId")
        };
        let text = document.descendants().find(by_name)?.text()?.trim();
        (!text.is_empty()).then(|| text.to_owned())
    };
    text_of(&document, "ShellId")
        .or_else(selector)
        .ok_or_else(|| Unreadable("the response names no shell".into()))
}

/// The id of a new command.
pub(crate) fn command_id(xml: &str) -> Result<String, Unreadable> {
    let document = parse(xml)?;
    text_of(&document, "CommandId")
        .ok_or_else(|| Unreadable("the response names no command".into()))
}

/// What a command printed.
pub(crate) fn output(xml: &str) -> Result<Output, Unreadable> {
    let document = parse(xml)?;
    let mut output = Output::default();
    for stream in document.descendants().filter(|node| node.has_tag_name((SHELL, "Stream"))) {
        let Some(text) = stream.text() else { continue };
        let text: String = text.split_whitespace().collect();
        let bytes = STANDARD
            .decode(text)
            .map_err(|error| Unreadable(format!("a command's output is not base64: {error}")))?;
        match stream.attribute("Name") {
            Some("stdout") => output.pieces.push((false, bytes)),
            Some("stderr") => output.pieces.push((true, bytes)),
            other => tracing::debug!(?other, "a stream nobody asked for"),
        }
    }
    let state = find(&document, SHELL, "CommandState").and_then(|node| node.attribute("State"));
    if state.is_some_and(|state| state.ends_with("/CommandState/Done")) {
        output.exit = Some(match text_of(&document, "ExitCode") {
            None => 0,
            Some(code) => exit_code(&code)?,
        });
    }
    Ok(output)
}

/// Windows' exit codes have 32 bits; some write them as a positive number, some as negative.
fn exit_code(text: &str) -> Result<i32, Unreadable> {
    let unreadable = || Unreadable(format!("{text:?} is not an exit code"));
    let code: i64 = text.parse().map_err(|_| unreadable())?;
    i32::try_from(code)
        .ok()
        .or_else(|| u32::try_from(code).ok().map(u32::cast_signed))
        .ok_or_else(unreadable)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn soap(body: &str) -> String {
        format!(
            "<x:Envelope xmlns:x=\"{SOAP}\" xmlns:r=\"{SHELL}\" xmlns:w=\"{WSMAN}\">\
             <x:Body>{body}</x:Body></x:Envelope>"
        )
    }

    fn soap_fault(subcode: &str, detail: &str) -> String {
        soap(&format!(
            "<x:Fault><x:Code><x:Value>x:Receiver</x:Value><x:Subcode><x:Value>w:{subcode}\
             </x:Value></x:Subcode></x:Code><x:Reason><x:Text xml:lang=\"\">The  reason\n</x:Text>\
             </x:Reason><x:Detail>{detail}</x:Detail></x:Fault>"
        ))
    }

    #[test]
    fn output_comes_in_order_with_the_exit_code() {
        let xml = soap(&format!(
            "<r:ReceiveResponse><r:Stream Name=\"stdout\" CommandId=\"C\">aGVs\nbG8=</r:Stream>\
             <r:Stream Name=\"stderr\" CommandId=\"C\">IQ==</r:Stream>\
             <r:Stream Name=\"stdout\" CommandId=\"C\" End=\"true\"/>\
             <r:CommandState CommandId=\"C\" State=\"{SHELL}/CommandState/Done\">\
             <r:ExitCode>3221225786</r:ExitCode></r:CommandState></r:ReceiveResponse>"
        ));
        let output = output(&xml).unwrap();
        assert_eq!(output.pieces, [(false, b"hello".to_vec()), (true, b"!".to_vec())]);
        assert_eq!(output.exit, Some(-1073741510));
    }

    #[test]
    fn a_running_command_has_no_exit_code() {
        let state = format!("<r:CommandState State=\"{SHELL}/CommandState/Running\"/>");
        assert_eq!(output(&soap(&state)).unwrap(), Output::default());
        assert!(output("<html>").is_err());
    }

    #[test]
    fn shells_are_found_in_both_places() {
        let new = soap("<r:Shell><r:ShellId>A-1</r:ShellId></r:Shell>");
        assert_eq!(shell_id(&new).unwrap(), "A-1");
        let old =
            soap("<w:SelectorSet><w:Selector Name=\"ShellId\">B-2</w:Selector></w:SelectorSet>");
        assert_eq!(shell_id(&old).unwrap(), "B-2");
        assert!(shell_id(&soap("")).is_err() && command_id(&soap("")).is_err());
    }

    #[test]
    fn faults_say_what_windows_says() {
        let detail = |code: &str| {
            format!(
                "<f:WSManFault xmlns:f=\"{FAULT}\" Code=\"{code}\" Machine=\"m\"><f:Message>\
                 <f:ProviderFault>No such\n thing.</f:ProviderFault></f:Message></f:WSManFault>"
            )
        };
        let timeout = fault(&soap_fault("TimedOut", &detail("2150858793"))).unwrap();
        assert!(timeout.is_still_running() && !timeout.is_shell_lost());
        assert_eq!(timeout.text, "No such thing.");
        let lost = fault(&soap_fault("InvalidSelectors", &detail("2150858843"))).unwrap();
        assert!(lost.is_shell_lost() && !lost.is_still_running());
        let bare = fault(&soap_fault("AccessDenied", "")).unwrap();
        assert_eq!((bare.code, bare.text.as_str()), (None, "The reason"));
        assert_eq!(bare.subcode, "AccessDenied");
        assert_eq!(fault(&soap("<r:Shell/>")), None);
    }
}
