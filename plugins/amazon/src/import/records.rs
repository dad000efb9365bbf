//! What the journal records of an import.

use ingot_sdk::Resource;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::marks::{ObjectMark, TaskMark};
use crate::ebs::region_access::attribute;
use crate::ebs::resources::list;
use crate::s3::{Others, S3};

/// An object of S3 that is there to be imported, and the upload that it comes from; the id is
/// `bucket/key`.
pub(crate) const OBJECT: &str = "amazon-s3-object";
/// An import of a disk, with the AMI that comes of it; the id is the token that the call was made with.
pub(crate) const TASK: &str = "amazon-import-task";

/// The record of an object. `resource` tells where it is.
pub(super) fn object(resource: Resource, s3: &S3, mark: &ObjectMark) -> Resource {
    let mut resource = resource
        .with("bucket", s3.bucket())
        .with("key", mark.key.as_str())
        .with("token", mark.token.as_str());
    if let Some(endpoint) = s3.custom_endpoint() {
        resource = resource.with("s3_endpoint", endpoint);
    }
    if let Ok(since) = mark.since.format(&Rfc3339) {
        resource = resource.with("since", since);
    }
    for (name, value) in [("upload", &mark.upload), ("version", &mark.version)] {
        if let Some(value) = value {
            resource = resource.with(name, value.as_str());
        }
    }
    let Others(others) = &mark.others;
    if let Some(others) = others.as_ref().filter(|others| !others.is_empty()) {
        let all: Vec<&str> = others.iter().map(String::as_str).collect();
        resource = resource.with("others", all.join(","));
    }
    for (name, set) in [
        ("others_unknown", others.is_none()),
        ("in_parts", mark.in_parts),
        ("written", mark.written),
    ] {
        if set {
            resource = resource.with(name, true);
        }
    }
    resource
}

/// The mark of the object of a record.
pub(super) fn object_mark(resource: &Resource) -> ObjectMark {
    let text = |name: &str| attribute(resource, name).map(str::to_owned);
    let since = attribute(resource, "since");
    let since = since.and_then(|text| OffsetDateTime::parse(text, &Rfc3339).ok());
    let unknown = resource.attributes.contains_key("others_unknown");
    ObjectMark {
        key: text("key").unwrap_or_default(),
        token: text("token").unwrap_or_default(),
        since: since.unwrap_or(OffsetDateTime::UNIX_EPOCH),
        others: Others((!unknown).then(|| list(resource, "others"))),
        in_parts: resource.attributes.contains_key("in_parts"),
        upload: text("upload"),
        version: text("version"),
        written: resource.attributes.contains_key("written"),
    }
}

/// The record of an import.
pub(super) fn task(resource: Resource, mark: &TaskMark) -> Resource {
    let mut resource = resource.with("bucket", mark.bucket.as_str()).with("key", mark.key.as_str());
    for (name, value) in [("task", &mark.task), ("image_id", &mark.image)] {
        if let Some(value) = value {
            resource = resource.with(name, value.as_str());
        }
    }
    if mark.untagged {
        resource = resource.with("untagged", true);
    }
    let snapshots: Vec<&str> = mark.snapshots.iter().map(String::as_str).collect();
    if !snapshots.is_empty() {
        resource = resource.with("snapshots", snapshots.join(","));
    }
    resource
}

/// The mark of the import of a record.
pub(super) fn task_mark(resource: &Resource) -> TaskMark {
    let text = |name: &str| attribute(resource, name).map(str::to_owned);
    TaskMark {
        token: resource.id.clone(),
        bucket: text("bucket").unwrap_or_default(),
        key: text("key").unwrap_or_default(),
        untagged: resource.attributes.contains_key("untagged"),
        task: text("task"),
        image: text("image_id"),
        snapshots: list(resource, "snapshots"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_hold_what_removing_needs() {
        let mark = TaskMark {
            token: "token".into(),
            bucket: "disks".into(),
            key: "a/b.raw".into(),
            untagged: true,
            task: Some("import-ami-1".into()),
            image: Some("ami-1".into()),
            snapshots: ["snap-1".to_owned(), "snap-2".to_owned()].into(),
        };
        assert_eq!(task_mark(&task(Resource::new(TASK, "token"), &mark)), mark);
        let begun = TaskMark {
            untagged: false,
            task: None,
            image: None,
            snapshots: Default::default(),
            ..mark
        };
        assert_eq!(task_mark(&task(Resource::new(TASK, "token"), &begun)), begun);
    }
}
