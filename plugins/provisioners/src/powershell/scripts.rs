//! The PowerShell that surrounds the template's own.

use ingot_sdk::powershell::quote;

/// Progress bars would come out as noise on standard error.
const NO_PROGRESS: &str = "Set-Variable ProgressPreference SilentlyContinue -Scope Global";

/// The script file of an inline script, which `assignments` set the variables of. `trace` is the level
/// of `Set-PSDebug`. Its exit code is that of the last program that failed, or 1 after an error that
/// nothing caught.
pub(super) fn inline(lines: &[String], trace: i32, assignments: &str) -> String {
    let trace = match trace {
        0 => String::new(),
        level => format!("Set-PSDebug -Trace {level}\n"),
    };
    // The lines stand where they stood in the template: an indented here-string would not end.
    format!(
        "\
{NO_PROGRESS}
{trace}$ingotCode = 0
try {{
{assignments}
{lines}
}} catch {{
    Write-Error \"An error occurred: $_\" -ErrorAction Continue
    $ingotCode = 1
}}
if ((Test-Path variable:global:LASTEXITCODE) -and $global:LASTEXITCODE) {{
    $ingotCode = $global:LASTEXITCODE
}}
exit $ingotCode
",
        lines = lines.join("\n"),
    )
}

/// The command line for the file of an inline script. Without a policy, the shell that gets the
/// command is PowerShell itself.
pub(super) fn run_inline(program: &str, policy: Option<&str>) -> String {
    match policy {
        Some(policy) => format!("{program} -executionpolicy {policy} -file {{{{.Path}}}}"),
        None => "& { & '{{.Path}}'; exit $LastExitCode }".to_owned(),
    }
}

/// The command line for a script file: sets the variables, then runs it.
pub(super) fn run_file(program: &str, policy: Option<&str>, trace: i32) -> String {
    let trace = match trace {
        0 => String::new(),
        level => format!(" Set-PSDebug -Trace {level};"),
    };
    // Nothing before the script needs a `$`, which the shells of Unix would take for theirs.
    let block = format!(
        "& {{ {NO_PROGRESS};{trace} . {{{{.Vars}}}}; & '{{{{.Path}}}}'; exit $LastExitCode }}"
    );
    match policy {
        Some(policy) => format!("{program} -executionpolicy {policy} -command \"{block}\""),
        None => block,
    }
}

/// A script that removes files, if they are there. Variables in paths are expanded, as when they
/// were uploaded.
pub(super) fn removal(paths: &[&str]) -> String {
    let paths: Vec<String> = paths.iter().map(|path| quote(path)).collect();
    format!(
        "foreach ($path in @({})) {{\n\
         $path = $ExecutionContext.InvokeCommand.ExpandString($path)\n\
         if (Test-Path -LiteralPath $path) {{ Remove-Item -LiteralPath $path -Force }}\n}}",
        paths.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inline_lines_are_kept_and_variables_come_first() {
        let lines = ["$text = @\"", "here", "\"@", "exit 3"].map(str::to_owned);
        let script = inline(&lines, 1, "$env:A=\"b\"; ");
        assert!(script.contains("\n$text = @\"\nhere\n\"@\nexit 3\n"), "{script}");
        let order = ["Set-PSDebug -Trace 1", "try {", "$env:A=\"b\"; ", "$text", "} catch {"];
        let places: Vec<_> = order.iter().map(|part| script.find(part).unwrap()).collect();
        assert!(places.is_sorted(), "{script}");
    }

    #[test]
    fn removal_names_each_file() {
        let script = removal(&["c:/a b.ps1", "c:/it's.ps1"]);
        assert!(script.contains("@('c:/a b.ps1', 'c:/it''s.ps1')"), "{script}");
    }
}
