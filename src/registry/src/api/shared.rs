//! What many messages hold.

use super::{Status, message};

message! {
    /// The organization and project that something belongs to.
    #[derive(Eq)]
    Location {
        /// The organization's id, a UUID.
        organization_id: String,
        /// The project's id, a UUID.
        project_id: String,
    }
}

message! {
    /// How to go on in a list.
    #[derive(Eq)]
    PaginationResponse {
        /// What to ask the next page with; empty at the end.
        next_page_token: String,
        /// What to ask the page before with; empty at the start.
        previous_page_token: String,
    }
}

message! {
    /// Which part of a list is wanted: in a query, `pagination.page_size` and so on.
    #[derive(Eq)]
    Page {
        /// How many entries at most; 0 for as many as the registry gives at once.
        #[serde(rename = "pagination.page_size")]
        size: u32,
        /// A `next_page_token` of an answer.
        #[serde(rename = "pagination.next_page_token")]
        next: String,
        /// A `previous_page_token` of an answer.
        #[serde(rename = "pagination.previous_page_token")]
        previous: String,
    }
}

message! {
    /// A long-running operation. Those of Ingot's registries are done when they are answered.
    Operation {
        /// Its id, a UUID.
        id: String,
        /// `PENDING`, `QUEUED`, `RUNNING` or `DONE`.
        state: String,
        /// Where it runs.
        location: Option<Location>,
        /// Why it failed.
        error: Option<Status>,
    }
}

message! {
    /// An operation.
    OperationResponse {
        /// It.
        operation: Option<Operation>,
    }
}

message! {
    /// An answer that says nothing but that it went well.
    #[derive(Eq)]
    Empty {}
}
