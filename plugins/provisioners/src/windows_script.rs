//! What the provisioners with scripts for Windows share.

use std::collections::BTreeMap;

use ingot_sdk::{
    ConfigErrors, Error, ExitStatus, GeneratedData, GoDuration, Result, RunContext, script,
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

/// The exit codes that a lost connection counts as; Packer's: the first is that of its WinRM, the other
/// that of its SSH, whatever the machine is reached by.
const CONNECTION_LOST: [i64; 2] = [16001, 2300218];

/// The options that they have in common.
#[derive(Debug, Default, Deserialize, JsonSchema)]
pub(crate) struct WindowsScript {
    /// The lines of a script.
    #[serde(default)]
    pub inline: Vec<String>,
    /// A script file.
    #[schemars(extend("reads" = "paths"))]
    pub script: Option<String>,
    /// Script files, run in order.
    #[serde(default)]
    #[schemars(extend("reads" = "paths"))]
    pub scripts: Vec<String>,
    /// Scripts are always uploaded byte by byte.
    #[serde(default)]
    #[expect(dead_code, reason = "known to the schema: it changes nothing here, as in Packer")]
    binary: bool,
    /// Variables for the script, as `NAME=value`.
    #[serde(default)]
    #[schemars(extend("rendered_late" = true))]
    pub environment_vars: Vec<String>,
    /// Variables for the script.
    #[serde(default)]
    #[schemars(extend("rendered_late" = true))]
    pub env: BTreeMap<String, String>,
    /// Exit codes that mean success. 16001 and 2300218 stand for a lost connection.
    #[serde(default)]
    pub valid_exit_codes: Vec<i64>,
    /// How long to try to start the script; 5m.
    pub start_retry_timeout: Option<GoDuration>,
}

impl WindowsScript {
    /// Checks the options, and returns the variables as the template has them.
    pub(crate) fn check(&self, errors: &mut ConfigErrors) -> BTreeMap<String, String> {
        let script = self.script.as_deref();
        script::check_sources(&self.inline, script, &self.scripts, None, errors);
        script::environment(&self.environment_vars, &self.env, errors)
    }

    /// The script files.
    pub(crate) fn files(&self) -> impl Iterator<Item = &String> {
        self.script.iter().chain(&self.scripts)
    }

    /// The environment of the scripts, with `{{ }}` filled in.
    ///
    /// # Errors
    /// A value cannot be rendered.
    pub(crate) fn variables(
        &self,
        ctx: &RunContext,
        data: &GeneratedData,
    ) -> Result<BTreeMap<String, String>> {
        // What is wrong with them was found when they were checked.
        let mut ignored = ConfigErrors::default();
        let mut variables = script::environment(&self.environment_vars, &self.env, &mut ignored);
        for (name, value) in &mut variables {
            *value = ctx
                .prepare
                .render(value, &json!(data))
                .map_err(|error| Error::new(format!("the variable {name}: {error}")))?;
        }
        script::build_variables(ctx, data, &mut variables);
        Ok(variables)
    }

    /// What the end of a script on Windows means. Scripts there reboot machines on purpose, so that a
    /// lost connection has an exit code that can be declared valid.
    ///
    /// # Errors
    /// It did not end as `valid_exit_codes` says.
    pub(crate) fn check_exit(&self, status: ExitStatus) -> Result<()> {
        let valid = &self.valid_exit_codes;
        match status {
            ExitStatus::Code(code) => script::check_exit(code, valid),
            ExitStatus::Disconnected if CONNECTION_LOST.iter().any(|code| valid.contains(code)) => {
                Ok(())
            }
            ExitStatus::Disconnected => Err(Error::new(
                "the connection was lost while the script ran",
            )
            .hint(format!(
                "if the script is meant to reboot the machine, add {} to valid_exit_codes, or let \
                     windows-restart do it",
                CONNECTION_LOST[0]
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn script(valid: &[i64]) -> WindowsScript {
        WindowsScript { valid_exit_codes: valid.to_vec(), ..WindowsScript::default() }
    }

    #[test]
    fn a_reboot_can_be_declared_valid() {
        assert!(script(&[0, 16001]).check_exit(ExitStatus::Disconnected).is_ok());
        assert!(script(&[0, 2300218]).check_exit(ExitStatus::Disconnected).is_ok());
        assert!(script(&[0, 1]).check_exit(ExitStatus::Disconnected).is_err());
        let error = script(&[]).check_exit(ExitStatus::Disconnected).unwrap_err();
        assert!(error.advice().unwrap().contains("16001"));
        assert!(script(&[0, 3010]).check_exit(ExitStatus::Code(3010)).is_ok());
        assert!(script(&[]).check_exit(ExitStatus::Code(1)).is_err());
    }

    /// 0x80070005: what templates know as a number without a sign.
    #[test]
    fn a_code_of_32_bits_may_be_written_either_way() {
        let status = ExitStatus::Code(-2_147_024_891);
        for valid in [2_147_942_405, -2_147_024_891] {
            assert!(script(&[0, valid]).check_exit(status).is_ok(), "{valid}");
        }
        // 0xFFFFFFFF, as of `exit -1`.
        for valid in [4_294_967_295, -1] {
            assert!(script(&[0, valid]).check_exit(ExitStatus::Code(-1)).is_ok(), "{valid}");
        }
        let error = script(&[0, 1]).check_exit(status).unwrap_err().to_string();
        assert!(error.contains("exit status: 2147942405"), "{error}");
    }
}
