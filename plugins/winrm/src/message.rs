//! The messages that are sent: SOAP 1.2 envelopes as WS-Management and Microsoft's remote shell
//! (MS-WSMV) define them.

use std::borrow::Cow;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// The type of messages.
pub(crate) const CONTENT: &str = "application/soap+xml;charset=UTF-8";

/// SOAP's namespace.
pub(crate) const SOAP: &str = "http://www.w3.org/2003/05/soap-envelope";
/// WS-Addressing's namespace.
pub(crate) const ADDRESSING: &str = "http://schemas.xmlsoap.org/ws/2004/08/addressing";
/// WS-Management's namespace.
pub(crate) const WSMAN: &str = "http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd";
/// The namespace of Microsoft's additions to it.
pub(crate) const WSMAN_MICROSOFT: &str = "http://schemas.microsoft.com/wbem/wsman/1/wsman.xsd";
/// The remote shell's namespace, which its actions and states start with too.
pub(crate) const SHELL: &str = "http://schemas.microsoft.com/wbem/wsman/1/windows/shell";

const TRANSFER: &str = "http://schemas.xmlsoap.org/ws/2004/09/transfer";
const ANONYMOUS: &str = "http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous";

/// The largest message that the other side may send, in bytes: the protocol's customary value.
const MAX_ENVELOPE: u32 = 153_600;

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Request<'a> {
    /// A new shell.
    Create,
    /// A command in a shell.
    Command { shell: &'a str, line: &'a str },
    /// What a command has printed since, and how it ended.
    Receive { shell: &'a str, command: &'a str },
    /// Input for a command.
    Send { shell: &'a str, command: &'a str, bytes: &'a [u8], end: bool },
    /// The end of a command, whether it runs or not.
    Terminate { shell: &'a str, command: &'a str },
    /// The end of a shell.
    Delete { shell: &'a str },
}

impl Request<'_> {
    fn action(&self) -> String {
        match self {
            Request::Create => format!("{TRANSFER}/Create"),
            Request::Delete { .. } => format!("{TRANSFER}/Delete"),
            Request::Command { .. } => format!("{SHELL}/Command"),
            Request::Receive { .. } => format!("{SHELL}/Receive"),
            Request::Send { .. } => format!("{SHELL}/Send"),
            Request::Terminate { .. } => format!("{SHELL}/Signal"),
        }
    }

    fn shell(&self) -> Option<&str> {
        match *self {
            Request::Create => None,
            Request::Command { shell, .. }
            | Request::Receive { shell, .. }
            | Request::Send { shell, .. }
            | Request::Terminate { shell, .. }
            | Request::Delete { shell } => Some(shell),
        }
    }

    fn options(&self) -> &'static [(&'static str, &'static str)] {
        match self {
            // 65001 is UTF-8.
            Request::Create => &[("WINRS_NOPROFILE", "FALSE"), ("WINRS_CODEPAGE", "65001")],
            Request::Command { .. } => {
                &[("WINRS_CONSOLEMODE_STDIN", "TRUE"), ("WINRS_SKIP_CMD_SHELL", "FALSE")]
            }
            _ => &[],
        }
    }

    fn body(&self) -> String {
        match *self {
            Request::Create => "<rsp:Shell><rsp:InputStreams>stdin</rsp:InputStreams>\
                 <rsp:OutputStreams>stdout stderr</rsp:OutputStreams></rsp:Shell>"
                .to_owned(),
            Request::Command { line, .. } => format!(
                "<rsp:CommandLine><rsp:Command>{}</rsp:Command></rsp:CommandLine>",
                escape(line)
            ),
            Request::Receive { command, .. } => format!(
                "<rsp:Receive><rsp:DesiredStream CommandId=\"{}\">stdout stderr\
                 </rsp:DesiredStream></rsp:Receive>",
                escape(command)
            ),
            Request::Send { command, bytes, end, .. } => format!(
                "<rsp:Send><rsp:Stream Name=\"stdin\" CommandId=\"{}\"{}>{}</rsp:Stream></rsp:Send>",
                escape(command),
                if end { " End=\"true\"" } else { "" },
                STANDARD.encode(bytes)
            ),
            Request::Terminate { command, .. } => format!(
                "<rsp:Signal CommandId=\"{}\"><rsp:Code>{SHELL}/signal/terminate</rsp:Code>\
                 </rsp:Signal>",
                escape(command)
            ),
            Request::Delete { .. } => String::new(),
        }
    }

    /// The whole message, to the service at `url`. `patience` is how long the service may take
    /// to answer.
    pub(crate) fn envelope(&self, url: &str, patience: Duration) -> String {
        let selectors = self.shell().map_or_else(String::new, |shell| {
            let shell = escape(shell);
            format!(
                "<w:SelectorSet><w:Selector Name=\"ShellId\">{shell}</w:Selector></w:SelectorSet>"
            )
        });
        let options: String = self
            .options()
            .iter()
            .map(|(name, value)| format!("<w:Option Name=\"{name}\">{value}</w:Option>"))
            .collect();
        let options = match options.is_empty() {
            true => options,
            false => format!("<w:OptionSet>{options}</w:OptionSet>"),
        };
        format!(
            "<?xml version=\"1.0\" encoding=\"utf-8\"?>\
             <s:Envelope xmlns:s=\"{SOAP}\" xmlns:a=\"{ADDRESSING}\" xmlns:w=\"{WSMAN}\" \
             xmlns:p=\"{WSMAN_MICROSOFT}\" xmlns:rsp=\"{SHELL}\"><s:Header>\
             <a:To>{url}</a:To>\
             <a:ReplyTo><a:Address s:mustUnderstand=\"true\">{ANONYMOUS}</a:Address></a:ReplyTo>\
             <a:Action s:mustUnderstand=\"true\">{action}</a:Action>\
             <a:MessageID>uuid:{id}</a:MessageID>\
             <w:ResourceURI s:mustUnderstand=\"true\">{SHELL}/cmd</w:ResourceURI>\
             <w:MaxEnvelopeSize s:mustUnderstand=\"true\">{MAX_ENVELOPE}</w:MaxEnvelopeSize>\
             <w:OperationTimeout>PT{seconds}S</w:OperationTimeout>\
             <w:Locale xml:lang=\"en-US\" s:mustUnderstand=\"false\"/>\
             <p:DataLocale xml:lang=\"en-US\" s:mustUnderstand=\"false\"/>\
             {selectors}{options}</s:Header><s:Body>{body}</s:Body></s:Envelope>",
            url = escape(url),
            action = self.action(),
            id = uuid::Uuid::new_v4(),
            seconds = patience.as_secs().max(1),
            body = self.body(),
        )
    }
}

/// `text` for an element or an attribute in double quotes.
fn escape(text: &str) -> Cow<'_, str> {
    let special = |c: char| matches!(c, '&' | '<' | '>' | '"' | '\r' | '\n' | '\t');
    if !text.contains(special) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            // Written plainly, a reader would make newlines or spaces of these.
            '\r' => escaped.push_str("&#13;"),
            '\n' => escaped.push_str("&#10;"),
            '\t' => escaped.push_str("&#9;"),
            c => escaped.push(c),
        }
    }
    Cow::Owned(escaped)
}

/// The first character of `text` that XML cannot hold in any form.
pub(crate) fn forbidden(text: &str) -> Option<char> {
    let allowed = |c: char| {
        matches!(c, '\t' | '\n' | '\r') || (c >= ' ' && !matches!(c, '\u{fffe}' | '\u{ffff}'))
    };
    text.chars().find(|&c| !allowed(c))
}

#[cfg(test)]
mod tests {
    use roxmltree::{Document, Node};

    use super::*;

    fn text<'a>(document: &'a Document, namespace: &str, name: &str) -> Option<&'a str> {
        find(document, namespace, name).and_then(|node| node.text())
    }

    fn find<'a>(document: &'a Document, namespace: &str, name: &str) -> Option<Node<'a, 'a>> {
        document.descendants().find(|node| node.has_tag_name((namespace, name)))
    }

    #[test]
    fn a_command_line_survives_as_it_is() {
        let line = "echo \"a\" & b > c ]]> \u{e9}\r\n\tx";
        let request = Request::Command { shell: "S&1", line };
        let message = request.envelope("http://h:5985/wsman", Duration::from_secs(60));
        let document = Document::parse(&message).unwrap();
        assert_eq!(text(&document, SHELL, "Command"), Some(line));
        let action = text(&document, ADDRESSING, "Action").unwrap();
        assert_eq!(action, "http://schemas.microsoft.com/wbem/wsman/1/windows/shell/Command");
        assert_eq!(text(&document, WSMAN, "OperationTimeout"), Some("PT60S"));
        let selector = find(&document, WSMAN, "Selector").unwrap();
        assert_eq!((selector.attribute("Name"), selector.text()), (Some("ShellId"), Some("S&1")));
        let resource = find(&document, WSMAN, "ResourceURI").unwrap();
        assert_eq!(resource.attribute((SOAP, "mustUnderstand")), Some("true"));
        let options: Vec<_> = document
            .descendants()
            .filter(|node| node.has_tag_name((WSMAN, "Option")))
            .map(|node| (node.attribute("Name").unwrap(), node.text().unwrap()))
            .collect();
        let expected = [("WINRS_CONSOLEMODE_STDIN", "TRUE"), ("WINRS_SKIP_CMD_SHELL", "FALSE")];
        assert_eq!(options, expected);
    }

    #[test]
    fn every_request_is_well_formed_and_has_its_own_action() {
        let (shell, command) = ("S", "C");
        let requests = [
            (Request::Create, "transfer/Create"),
            (Request::Command { shell, line: "x" }, "shell/Command"),
            (Request::Receive { shell, command }, "shell/Receive"),
            (Request::Send { shell, command, bytes: b"hi", end: true }, "shell/Send"),
            (Request::Terminate { shell, command }, "shell/Signal"),
            (Request::Delete { shell }, "transfer/Delete"),
        ];
        for (request, action) in requests {
            let message = request.envelope("https://h:5986/wsman", Duration::from_secs(1));
            let document = Document::parse(&message).unwrap();
            let found = text(&document, ADDRESSING, "Action").unwrap();
            assert!(found.ends_with(action), "{found} for {request:?}");
            let selected = find(&document, WSMAN, "Selector").is_some();
            assert_eq!(selected, !matches!(request, Request::Create), "{request:?}");
        }
        let message = requests[3].0.envelope("http://h/wsman", Duration::ZERO);
        let document = Document::parse(&message).unwrap();
        let stream = find(&document, SHELL, "Stream").unwrap();
        assert_eq!((stream.attribute("End"), stream.text()), (Some("true"), Some("aGk=")));
    }
}
