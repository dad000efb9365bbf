//! Answers in XML, as S3 and Auto Scaling write them.

use roxmltree::{Document, Node};

use crate::failure::{Failure, Kind};

/// Whether an element is called `name`, in whatever namespace.
pub(crate) fn is(node: &Node<'_, '_>, name: &str) -> bool {
    node.is_element() && node.tag_name().name() == name
}

/// The text of the child called `name`.
pub(crate) fn child<'a>(node: Node<'a, '_>, name: &str) -> Option<&'a str> {
    node.children().find(|child| is(child, name)).and_then(|child| child.text())
}

/// The element `Error` of an answer.
pub(crate) fn error<'a, 'i>(document: &'a Document<'i>) -> Option<Node<'a, 'i>> {
    document.descendants().find(|node| is(node, "Error"))
}

/// The failure that a response with this status means.
pub(crate) fn failure(document: &Document<'_>, status: u16) -> Failure {
    let error = error(document);
    let part = |name| error.and_then(|error| child(error, name)).unwrap_or_default();
    match part("Code") {
        "" => Failure::new(Kind::Broken, format!("AWS returned {status}")),
        code => Failure::from_code(code, part("Message")).with_status(status),
    }
}
