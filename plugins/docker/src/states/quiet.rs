//! Containers whose state a file system holds.

use bollard::models::{ContainerCreateBody, ContainerInspectResponse};

use super::image::BaseImage;

/// Programs that only wait, whatever their arguments, and that may be a container's main program.
const WAITING: &[&str] = &["cat", "pause", "sleep", "tail"];
/// Shells, which wait where they have no arguments.
const SHELLS: &[&str] = &["ash", "bash", "dash", "sh", "zsh"];
/// Flags of shells that are no command for them.
const SHELL_FLAGS: &[&str] = &["-", "-i", "-il", "-l", "-li", "--login"];

/// Why an image does not hold the state of a container that is created like this, if it does not.
/// `podman` says that the Engine is Podman's.
pub(super) fn cannot_be_held(
    body: &ContainerCreateBody,
    base: &BaseImage,
    podman: bool,
) -> Option<String> {
    if podman {
        return Some("the Engine is Podman's, whose images were not tried for this".into());
    }
    let host = body.host_config.clone().unwrap_or_default();
    let mut volumes = base.volumes.clone();
    volumes.extend(body.volumes.clone().unwrap_or_default());
    let binds = host.binds.unwrap_or_default();
    volumes.extend(binds.iter().filter_map(|bind| bind.split(':').nth(1)).map(str::to_owned));
    volumes.extend(host.mounts.unwrap_or_default().into_iter().filter_map(|mount| mount.target));
    volumes.extend(host.tmpfs.unwrap_or_default().into_keys());
    volumes.sort();
    if let Some(place) = volumes.first() {
        return Some(format!("an image does not hold what is mounted at {place}"));
    }
    let private = |mode: &Option<String>| {
        mode.as_deref().is_none_or(|mode| matches!(mode, "" | "private" | "none" | "shareable"))
    };
    let why = [
        (host.volumes_from.is_some_and(|from| !from.is_empty()), "it has the volumes of another"),
        (host.privileged == Some(true), "it has all privileges, and may change the host"),
        (
            host.cap_add.is_some_and(|added| !added.is_empty()),
            "it has more capabilities than others, and may change more than files",
        ),
        (
            host.devices.is_some_and(|devices| !devices.is_empty())
                || host.device_requests.is_some_and(|requests| !requests.is_empty()),
            "it has devices of the host",
        ),
        (!private(&host.pid_mode), "it shares processes with others"),
        (!private(&host.ipc_mode), "it shares memory with others"),
    ];
    why.into_iter().find(|(holds, _)| *holds).map(|(_, why)| why.to_owned())
}

/// Why the main program of a container may have a state of its own, if it may.
pub(super) fn main_program(found: &ContainerInspectResponse) -> Option<String> {
    let path = found.path.clone().unwrap_or_default();
    let args = found.args.clone().unwrap_or_default();
    let name = path.rsplit('/').next().unwrap_or_default();
    let waits = WAITING.contains(&name)
        || SHELLS.contains(&name) && args.iter().all(|arg| SHELL_FLAGS.contains(&arg.as_str()));
    (!waits).then(|| format!("its main program `{name}` may have a state that is in no file"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run_command::RunCommand;

    fn why(flags: &str) -> Option<String> {
        let line = format!("-d {flags} image");
        let words = shlex::split(&line).unwrap();
        let command = RunCommand::parse(words).unwrap();
        cannot_be_held(&command.body, &BaseImage::default(), false)
    }

    #[test]
    fn what_an_image_does_not_hold_is_named() {
        for fine in ["", "-it -e A=b -l c=d -u 5 -w /srv --network none --add-host a:1.2.3.4"] {
            assert_eq!(why(fine), None, "{fine}");
        }
        for (flags, part) in [
            ("-v /srv/data:/data", "/data"),
            ("-v /data", "/data"),
            ("--mount type=tmpfs,target=/t", "/t"),
            ("--tmpfs /run", "/run"),
            ("--volumes-from other", "volumes of another"),
            ("--privileged", "privileges"),
            ("--cap-add NET_ADMIN", "capabilities"),
            ("--device /dev/null", "devices"),
            ("--gpus all", "devices"),
            ("--pid host", "processes"),
            ("--ipc host", "memory"),
        ] {
            let said = why(flags).unwrap_or_default();
            assert!(said.contains(part), "{flags}: {said}");
        }
        let base = BaseImage { volumes: vec!["/var/lib/db".into()], ..BaseImage::default() };
        let said = cannot_be_held(&ContainerCreateBody::default(), &base, false).unwrap();
        assert!(said.ends_with("/var/lib/db"), "{said}");
        assert!(cannot_be_held(&Default::default(), &Default::default(), true).is_some());
    }

    #[test]
    fn a_main_program_that_waits_has_no_state() {
        let program = |words: &[&str]| {
            let mut words = words.iter().map(|&word| word.to_owned());
            main_program(&ContainerInspectResponse {
                path: words.next(),
                args: Some(words.collect()),
                ..Default::default()
            })
        };
        for waits in [&["/bin/sh"][..], &["bash", "-l"], &["sleep", "infinity"], &["/bin/cat"]] {
            assert_eq!(program(waits), None, "{waits:?}");
        }
        for works in [&["sh", "-c", "httpd"][..], &["mysqld"], &["bash", "run.sh"], &[]] {
            assert!(program(works).is_some(), "{works:?}");
        }
    }
}
