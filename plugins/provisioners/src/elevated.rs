//! Running a command as another user of a Windows machine, with all of that user's rights: a
//! remote session has fewer than a user who is logged in, and some installers notice.
//!
//! As in Packer, a scheduled task does it: the command's output goes to a file, which a script
//! shows while it waits for the task to end.

use ingot_sdk::powershell::quote;

/// The command line that runs the script at `path`.
pub(crate) fn command(path: &str) -> String {
    format!("powershell -executionpolicy bypass -file \"{path}\"")
}

/// The script that registers a task named `name`, which runs `command` as `user`, and ends as
/// the command ends. Without a password, `user` is an account of the system's such as `SYSTEM`.
///
/// It holds the password, so the first thing it does is to remove itself.
pub(crate) fn script(name: &str, command: &str, user: &str, password: &str) -> String {
    let log = format!("%SYSTEMROOT%\\Temp\\{name}.out");
    // TASK_LOGON_PASSWORD and TASK_LOGON_SERVICE_ACCOUNT
    let (password_or_none, logon) = match password {
        "" => ("$null".to_owned(), 5),
        password => (quote(password), 1),
    };
    format!(
        "\
Remove-Item -LiteralPath $MyInvocation.MyCommand.Path -Force
$ErrorActionPreference = 'Stop'
$ProgressPreference = 'SilentlyContinue'
$log = [Environment]::ExpandEnvironmentVariables({log})
$oem = [Globalization.CultureInfo]::CurrentCulture.TextInfo.OEMCodePage
$script:reader = $null
function Show-News {{
    if ($null -eq $script:reader) {{
        if (-not [IO.File]::Exists($log)) {{ return }}
        $file = [IO.File]::Open($log, 'Open', 'Read', 'ReadWrite, Delete')
        $script:reader = New-Object IO.StreamReader($file, [Text.Encoding]::GetEncoding($oem))
    }}
    $text = $script:reader.ReadToEnd()
    if ($text) {{ [Console]::Out.Write($text) }}
}}
$service = New-Object -ComObject Schedule.Service
$service.Connect()
$folder = $service.GetFolder('\\')
# 6 replaces a task of the same name.
[void]$folder.RegisterTask({name}, {task}, 6, {user}, {password_or_none}, {logon})
$code = 1
try {{
    $task = $folder.GetTask({name})
    [void]$task.Run($null)
    $idle = 0
    while ($true) {{
        Start-Sleep -Milliseconds 200
        Show-News
        # 3 is ready: not started yet, or ended. The results say which: queued, running, not run.
        if ($task.State -eq 3) {{
            if (@(267045, 267009, 267011) -notcontains $task.LastTaskResult) {{ break }}
            $idle += 1
            if ($idle -gt 300) {{ throw 'the scheduled task did not start' }}
        }}
    }}
    Show-News
    $code = $task.LastTaskResult
}} finally {{
    $folder.DeleteTask({name}, 0)
    if ($null -ne $script:reader) {{ $script:reader.Close() }}
    if ([IO.File]::Exists($log)) {{ [IO.File]::Delete($log) }}
}}
exit $code
",
        task = quote(&task(command, &log, user, !password.is_empty())),
        log = quote(&log),
        name = quote(name),
        user = quote(user),
    )
}

/// The task as the Task Scheduler's schema has it.
fn task(command: &str, log: &str, user: &str, with_password: bool) -> String {
    let logon = if with_password { "<LogonType>Password</LogonType>" } else { "" };
    let arguments = escape_xml(&format!("/c {command} > {log} 2>&1"));
    format!(
        "<Task version=\"1.2\" xmlns=\"http://schemas.microsoft.com/windows/2004/02/mit/task\">\
         <RegistrationInfo><Description>A step of an image build by Ingot</Description>\
         </RegistrationInfo>\
         <Principals><Principal id=\"runner\"><UserId>{user}</UserId>{logon}\
         <RunLevel>HighestAvailable</RunLevel></Principal></Principals>\
         <Settings><ExecutionTimeLimit>PT0S</ExecutionTimeLimit>\
         <DisallowStartIfOnBatteries>false</DisallowStartIfOnBatteries>\
         <StopIfGoingOnBatteries>false</StopIfGoingOnBatteries>\
         <MultipleInstancesPolicy>IgnoreNew</MultipleInstancesPolicy>\
         <Priority>4</Priority></Settings>\
         <Actions Context=\"runner\"><Exec><Command>cmd</Command>\
         <Arguments>{arguments}</Arguments></Exec></Actions></Task>",
        user = escape_xml(user),
    )
}

fn escape_xml(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMAND: &str = "powershell -file \"a & b.ps1\" <x>";

    /// The text in single quotes that contains `part`.
    fn literal_with<'a>(script: &'a str, part: &str) -> &'a str {
        let at = script.find(part).unwrap();
        let start = script[..at].rfind('\'').unwrap() + 1;
        let end = at + script[at..].find('\'').unwrap();
        &script[start..end]
    }

    #[test]
    fn the_task_is_xml_with_the_command_as_it_was() {
        let script = script("ingot-1", COMMAND, "DOMAIN\\me", "pw");
        let task = literal_with(&script, "<Task ");
        let document = roxmltree::Document::parse(task).unwrap();
        let namespace = "http://schemas.microsoft.com/windows/2004/02/mit/task";
        let text = |name: &str| {
            let node = document.descendants().find(|node| node.has_tag_name((namespace, name)));
            node.and_then(|node| node.text())
        };
        let expected = format!("/c {COMMAND} > %SYSTEMROOT%\\Temp\\ingot-1.out 2>&1");
        assert_eq!(text("Arguments"), Some(expected.as_str()));
        assert_eq!(text("UserId"), Some("DOMAIN\\me"));
        assert_eq!(text("LogonType"), Some("Password"));
        assert_eq!(text("RunLevel"), Some("HighestAvailable"));
    }

    #[test]
    fn the_password_is_quoted_and_in_one_place() {
        let script = script("ingot-1", COMMAND, "me", "it's $x`");
        assert_eq!(script.matches("'it''s $x`'").count(), 1, "{script}");
        let self_removal = script.find("Remove-Item -LiteralPath $MyInvocation").unwrap();
        assert_eq!(self_removal, 0);
    }

    #[test]
    fn system_accounts_have_no_password() {
        let script = script("ingot-1", COMMAND, "SYSTEM", "");
        assert!(script.contains("6, 'SYSTEM', $null, 5)"), "{script}");
        assert!(!script.contains("LogonType"), "{script}");
    }
}
