//! The run task: what Terraform asks before it applies a plan.

use super::{enumeration, message};

enumeration! {
    /// What a run task does about something.
    RunTaskBehaviour {
        /// Not said.
        #[default]
        Unset = "UNSET",
        /// The task fails.
        Fail = "FAIL",
        /// The task passes and says so.
        Warn = "WARN",
    }
}

message! {
    /// The settings for Terraform.
    RunTaskApi {
        /// Where it is to send its calls.
        api_url: String,
        /// What it is to sign them with.
        hmac_key: String,
    }
}

message! {
    /// A new key.
    RunTaskHmacKey {
        /// What Terraform is to sign its calls with.
        hmac_key: String,
    }
}

message! {
    /// What a project's run task does about images that are not revoked.
    RunTaskConfig {
        /// About images that the registry does not know.
        on_untracked_image: RunTaskBehaviour,
        /// About outdated ones. HCP has no such setting.
        on_outdated_image: RunTaskBehaviour,
    }
}

message! {
    /// Changes it: what is set.
    UpdateRunTaskConfigBody {
        /// About images that the registry does not know.
        on_untracked_image: RunTaskBehaviour,
        /// About outdated ones. HCP has no such setting.
        on_outdated_image: RunTaskBehaviour,
    }
}
