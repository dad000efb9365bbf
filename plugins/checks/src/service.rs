//! Services.

use ingot_sdk::{ConfigError, ConfigErrors, Result};

use crate::options::ServiceOptions;
use crate::shell::{Shell, field};

/// Prints the machine's service manager, and whether a service is there, runs and is enabled.
const SCRIPT: &str = r#"
n=$1
running=no; enabled=no; manager=none; known=no
if command -v systemctl >/dev/null 2>&1; then
  manager=systemd
  [ -d /run/systemd/system ] || manager=systemd-not-running
  case "$(systemctl is-enabled -- "$n" 2>/dev/null)" in
    enabled|enabled-runtime|alias) enabled=yes; known=yes ;;
    ?*) known=yes ;;
  esac
  [ "$enabled" = yes ] && enabled=yes
  if [ "$manager" = systemd ]; then
    systemctl is-active --quiet -- "$n" && { running=yes; known=yes; }
  fi
elif command -v rc-service >/dev/null 2>&1; then
  manager=openrc
  rc-service -e "$n" >/dev/null 2>&1 && known=yes
  rc-service "$n" status >/dev/null 2>&1 && running=yes
  rc-update show 2>/dev/null | while read -r one _; do
    [ "$one" = "$n" ] && echo enabled=yes
  done
elif [ -d /etc/init.d ]; then
  manager=sysvinit
  if [ -x "/etc/init.d/$n" ]; then
    known=yes
    "/etc/init.d/$n" status >/dev/null 2>&1 && running=yes
  fi
  for link in /etc/rc[2345].d/S??"$n" /etc/rc.d/rc[2345].d/S??"$n"; do
    [ -e "$link" ] && enabled=yes
  done
fi
echo "manager=$manager"; echo "known=$known"; echo "running=$running"; echo "enabled=$enabled"
exit 0
"#;

/// A service that must run or start by itself, or must not.
#[derive(Debug, Clone)]
pub(crate) struct ServiceCheck {
    name: String,
    pub(crate) running: Option<bool>,
    enabled: Option<bool>,
}

impl ServiceCheck {
    pub(crate) fn new(name: &str, options: ServiceOptions, errors: &mut ConfigErrors) -> Self {
        let ServiceOptions { running, enabled, waiting: _ } = options;
        if running.is_none() && enabled.is_none() {
            errors.push(
                ConfigError::new("nothing is checked of this service")
                    .related(["running", "enabled"])
                    .hint("write running = true, enabled = true or both"),
            );
        }
        ServiceCheck { name: name.to_owned(), running, enabled }
    }

    pub(crate) async fn examine(&self, shell: Shell<'_>) -> Result<Vec<String>> {
        let found = shell.script(SCRIPT, &[&self.name]).await?;
        let manager = field(&found, "manager").unwrap_or("none");
        let is = |name: &str| field(&found, name) == Some("yes");
        let mut problems = Vec::new();
        let why = match manager {
            "none" => ": the machine has no systemd, OpenRC or SysV init",
            "systemd-not-running" => ": systemd does not run on this machine",
            _ if !is("known") => ": there is no such service",
            _ => "",
        };
        match (self.running, is("running")) {
            (Some(true), false) => problems.push(format!("it does not run{why}")),
            (Some(false), true) => problems.push("it runs".to_owned()),
            _ => {}
        }
        // Whether it is enabled is written in files, whatever runs.
        let why = if manager == "systemd-not-running" && is("known") { "" } else { why };
        match (self.enabled, is("enabled")) {
            (Some(true), false) => problems.push(format!("it is not enabled{why}")),
            (Some(false), true) => problems.push("it is enabled".to_owned()),
            _ => {}
        }
        Ok(problems)
    }
}
