//! The options. Names and defaults are Packer's.

use ingot_sdk::interpolate::Interpolation;
use ingot_sdk::{ConfigError, ConfigErrors, GoDuration, PrepareContext};
use schemars::JsonSchema;
use serde::Deserialize;

use super::scripts;
use crate::windows_script::WindowsScript;

/// How a variable is written unless the template says otherwise.
const VARIABLE_FORMAT: &str = r#"$env:%s="%s"; "#;

/// The execution policies, in the order of the numbers that Packer also takes for them. `none`
/// runs the script in a shell that is PowerShell already.
const POLICIES: [&str; 8] = [
    "bypass",
    "allsigned",
    "default",
    "remotesigned",
    "restricted",
    "undefined",
    "unrestricted",
    NO_POLICY,
];
const NO_POLICY: &str = "none";

#[derive(Debug, Default, Deserialize, JsonSchema)]
pub(crate) struct Options {
    #[serde(flatten)]
    pub script: WindowsScript,
    /// How a variable is written, with two `%s` for name and value; `$env:%s="%s"; `. The value
    /// is escaped for a string in double quotes.
    pub env_var_format: Option<String>,
    /// The same for elevated scripts.
    pub elevated_env_var_format: Option<String>,
    /// The command line; `{{ .Path }}` is the script and `{{ .Vars }}` a script that sets the
    /// variables.
    #[schemars(extend("rendered_late" = true))]
    pub execute_command: Option<String>,
    /// The same for elevated scripts.
    #[schemars(extend("rendered_late" = true))]
    pub elevated_execute_command: Option<String>,
    /// The script on the machine; `c:/Windows/Temp/script-UUID.ps1`.
    pub remote_path: Option<String>,
    /// The script that sets the variables; `c:/Windows/Temp/ingot-ps-env-vars-UUID.ps1`.
    pub remote_env_var_path: Option<String>,
    /// Run as this user by a scheduled task, with all of the user's rights. `SYSTEM` and other
    /// accounts of the system's have no password.
    #[schemars(extend("rendered_late" = true))]
    pub elevated_user: Option<String>,
    /// The password of `elevated_user`.
    #[schemars(extend("sensitive" = true, "rendered_late" = true))]
    pub elevated_password: Option<String>,
    /// PowerShell's execution policy: `bypass` (the default), `allsigned`, `default`,
    /// `remotesigned`, `restricted`, `undefined`, `unrestricted`; or `none` where commands run in
    /// PowerShell already.
    pub execution_policy: Option<String>,
    /// The level of `Set-PSDebug -Trace`: 0 (off), 1 or 2.
    #[serde(default)]
    pub debug_mode: i32,
    /// Use `pwsh`, PowerShell 7, rather than Windows PowerShell.
    #[serde(default)]
    pub use_pwsh: bool,
    /// Leave the scripts on the machine, except what holds `elevated_password`.
    #[serde(default)]
    pub skip_clean: bool,
    /// How long to wait after the scripts.
    #[serde(default)]
    pub pause_after: GoDuration,
}

fn given(text: &Option<String>) -> Option<&str> {
    text.as_deref().filter(|text| !text.is_empty())
}

impl Options {
    /// Checks the options.
    ///
    /// # Errors
    /// All that is wrong.
    pub(crate) fn check(&self, ctx: &PrepareContext) -> Result<(), ConfigErrors> {
        let mut errors = ConfigErrors::default();
        self.script.check(&mut errors);
        if self.elevated_user().is_none() && given(&self.elevated_password).is_some() {
            errors.push(
                ConfigError::on("elevated_password", "there is no `elevated_user` to log in")
                    .related(["elevated_user"])
                    .hint("set elevated_user, or leave the password out"),
            );
        }
        let policy = self.policy();
        if !POLICIES.contains(&policy.as_str()) {
            let message = format!("`{policy}` is not an execution policy");
            errors.push(
                ConfigError::on("execution_policy", message)
                    .hint(format!("policies are {}", POLICIES.join(", "))),
            );
        }
        if !(0..=2).contains(&self.debug_mode) {
            let message = format!("{} is not a level of tracing", self.debug_mode);
            errors.push(ConfigError::on("debug_mode", message).hint("levels are 0, 1 and 2"));
        }
        let late = [
            ("execute_command", &self.execute_command),
            ("elevated_execute_command", &self.elevated_execute_command),
        ];
        for (option, template) in late {
            if let Err(error) = Interpolation::new(ctx).check(given(template).unwrap_or_default()) {
                errors.push(ConfigError::on(option, error.to_string()));
            }
        }
        errors.into_result(())
    }

    /// The user of the scheduled task, if one is used.
    pub(crate) fn elevated_user(&self) -> Option<&str> {
        given(&self.elevated_user)
    }

    /// The name of the program.
    pub(crate) fn program(&self) -> &'static str {
        if self.use_pwsh { "pwsh" } else { "powershell" }
    }

    fn policy(&self) -> String {
        let name = given(&self.execution_policy).unwrap_or(POLICIES[0]);
        let number = name.parse::<usize>().ok().and_then(|number| POLICIES.get(number));
        number.map_or_else(|| name.to_ascii_lowercase(), |&name| name.to_owned())
    }

    /// The template of the command line, and the option it comes from.
    pub(crate) fn command(&self) -> (&'static str, String) {
        let (option, own) = match self.elevated_user() {
            None => ("execute_command", &self.execute_command),
            Some(_) => ("elevated_execute_command", &self.elevated_execute_command),
        };
        let policy = self.policy();
        let policy = Some(policy.as_str()).filter(|&policy| policy != NO_POLICY);
        let default = || match self.script.inline.is_empty() {
            true => scripts::run_file(self.program(), policy, self.debug_mode),
            false => scripts::run_inline(self.program(), policy),
        };
        (option, given(own).map_or_else(default, str::to_owned))
    }

    /// How a variable is written.
    pub(crate) fn variable_format(&self) -> &str {
        let own = match self.elevated_user() {
            None => &self.env_var_format,
            Some(_) => &self.elevated_env_var_format,
        };
        given(own).unwrap_or(VARIABLE_FORMAT)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn options(json: Value) -> Options {
        serde_json::from_value(json).unwrap()
    }

    fn complaints(json: Value) -> String {
        match options(json).check(&PrepareContext::default()) {
            Ok(()) => String::new(),
            Err(errors) => format!("{:?}", errors.0),
        }
    }

    #[test]
    fn commands_are_as_packers() {
        let inline = |more: Value| {
            let mut all = json!({ "inline": ["x"] });
            all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            options(all).command().1
        };
        assert_eq!(inline(json!({})), "powershell -executionpolicy bypass -file {{.Path}}");
        assert_eq!(
            inline(json!({ "use_pwsh": true, "execution_policy": "RemoteSigned" })),
            "pwsh -executionpolicy remotesigned -file {{.Path}}"
        );
        assert_eq!(
            inline(json!({ "execution_policy": "6" })).split(' ').nth(2),
            Some("unrestricted")
        );
        let file = options(json!({ "script": "x", "debug_mode": 2 })).command().1;
        assert!(file.starts_with("powershell -executionpolicy bypass -command \"& {"), "{file}");
        for part in
            ["Set-PSDebug -Trace 2;", ". {{.Vars}};", "& '{{.Path}}';", "exit $LastExitCode"]
        {
            assert!(file.contains(part), "{file}");
        }
        let none = options(json!({ "script": "x", "execution_policy": "none" })).command().1;
        assert!(none.starts_with("& {") && none.ends_with('}'), "{none}");
        // Only the command of the way that is taken counts.
        let both = json!({ "execute_command": "a", "elevated_execute_command": "b" });
        assert_eq!(inline(both.clone()), "a");
        let elevated = options(json!({ "elevated_user": "u", "elevated_execute_command": "b" }));
        assert_eq!(elevated.command(), ("elevated_execute_command", "b".to_owned()));
    }

    #[test]
    fn mistakes_are_named() {
        let wrong = complaints(json!({
            "inline": ["x"], "elevated_password": "p", "execution_policy": "lax", "debug_mode": 3,
            "execute_command": "{{ .Path", "environment_vars": ["=x"],
        }));
        for part in
            ["elevated_user", "`lax`", "3 is not a level", "execute_command", "environment_vars"]
        {
            assert!(wrong.contains(part), "no {part} in {wrong}");
        }
        assert!(complaints(json!({})).contains("nothing to run"));
        assert_eq!(complaints(json!({ "inline": ["x"], "elevated_user": "SYSTEM" })), "");
    }
}
