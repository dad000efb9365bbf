//! Users and groups.

use ingot_sdk::{ConfigErrors, Result};

use crate::options::{GroupOptions, UserOptions, refuse_details};
use crate::shell::{Shell, field};
use crate::verdict::expect;

/// Prints a user's line of the user database, and the groups that the user is in. `echo` of some
/// shells would make lines of what a comment in it has.
const USER: &str = r#"
n=$1
if command -v getent >/dev/null 2>&1; then line=$(getent passwd "$n")
else line=$(while IFS= read -r one; do case "$one" in "$n":*) printf '%s\n' "$one" ;; esac; done < /etc/passwd); fi
[ -n "$line" ] || exit 0
printf 'line=%s\n' "$line"
echo "groups=$(id -Gn "$n" 2>/dev/null)"
exit 0
"#;

/// Prints a group's line of the group database.
const GROUP: &str = r#"
n=$1
if command -v getent >/dev/null 2>&1; then line=$(getent group "$n")
else line=$(while IFS= read -r one; do case "$one" in "$n":*) printf '%s\n' "$one" ;; esac; done < /etc/group); fi
[ -n "$line" ] || exit 0
printf 'line=%s\n' "$line"
exit 0
"#;

/// A user that must be there, or must not.
#[derive(Debug, Clone)]
pub(crate) struct UserCheck {
    name: String,
    exists: bool,
    uid: Option<u32>,
    gid: Option<u32>,
    groups: Vec<String>,
    home: Option<String>,
    shell: Option<String>,
}

impl UserCheck {
    pub(crate) fn new(name: &str, options: UserOptions, errors: &mut ConfigErrors) -> Self {
        let UserOptions { exists, uid, gid, groups, home, shell, waiting: _ } = options;
        let exists = exists.unwrap_or(true);
        if !exists {
            let given = [
                ("uid", uid.is_some()),
                ("gid", gid.is_some()),
                ("groups", !groups.is_empty()),
                ("home", home.is_some()),
                ("shell", shell.is_some()),
            ];
            refuse_details("exists", &given, errors);
        }
        UserCheck { name: name.to_owned(), exists, uid, gid, groups, home, shell }
    }

    pub(crate) async fn examine(&self, shell: Shell<'_>) -> Result<Vec<String>> {
        let found = shell.script(USER, &[&self.name]).await?;
        let Some(line) = field(&found, "line") else { return Ok(missing(self.exists, "user")) };
        if !self.exists {
            return Ok(vec!["the user exists".to_owned()]);
        }
        let mut columns = line.split(':').map(str::to_owned).skip(2);
        let mut next = || columns.next().unwrap_or_default();
        let (uid, gid, _, home, login) = (next(), next(), next(), next(), next());
        let mut problems = Vec::new();
        let number = |number: Option<u32>| number.map(|number| number.to_string());
        expect(&mut problems, "the uid", number(self.uid).as_ref(), &uid);
        expect(&mut problems, "the gid", number(self.gid).as_ref(), &gid);
        expect(&mut problems, "the home", self.home.as_ref(), &home);
        expect(&mut problems, "the shell", self.shell.as_ref(), &login);
        let groups: Vec<&str> =
            field(&found, "groups").unwrap_or_default().split_whitespace().collect();
        for group in self.groups.iter().filter(|group| !groups.contains(&group.as_str())) {
            problems.push(format!("the user is not in the group {group}"));
        }
        Ok(problems)
    }
}

/// A group that must be there, or must not.
#[derive(Debug, Clone)]
pub(crate) struct GroupCheck {
    name: String,
    exists: bool,
    gid: Option<u32>,
}

impl GroupCheck {
    pub(crate) fn new(name: &str, options: GroupOptions, errors: &mut ConfigErrors) -> Self {
        let exists = options.exists.unwrap_or(true);
        if !exists {
            refuse_details("exists", &[("gid", options.gid.is_some())], errors);
        }
        GroupCheck { name: name.to_owned(), exists, gid: options.gid }
    }

    pub(crate) async fn examine(&self, shell: Shell<'_>) -> Result<Vec<String>> {
        let found = shell.script(GROUP, &[&self.name]).await?;
        let Some(line) = field(&found, "line") else { return Ok(missing(self.exists, "group")) };
        if !self.exists {
            return Ok(vec!["the group exists".to_owned()]);
        }
        let gid = line.split(':').nth(2).unwrap_or_default().to_owned();
        let mut problems = Vec::new();
        let wanted = self.gid.map(|number| number.to_string());
        expect(&mut problems, "the gid", wanted.as_ref(), &gid);
        Ok(problems)
    }
}

fn missing(wanted: bool, what: &str) -> Vec<String> {
    match wanted {
        true => vec![format!("the {what} does not exist")],
        false => Vec::new(),
    }
}
