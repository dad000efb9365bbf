//! Understands the arguments of `docker run`, which templates give as `run_command`, and turns
//! them into what the Engine API takes.

use std::collections::HashMap;

use bollard::models::{
    ContainerCreateBody, DeviceMapping, DeviceRequest, EndpointSettings, HostConfig,
    HostConfigCgroupnsModeEnum, HostConfigLogConfig, NetworkingConfig, PortBinding,
    ResourcesUlimits,
};
use ingot_sdk::ConfigError;

/// A container to create.
#[derive(Debug, Clone, Default)]
pub struct RunCommand {
    /// The arguments as they were given, for people.
    pub arguments: Vec<String>,
    /// The image.
    pub image: String,
    /// The name the user wants the container to have.
    pub name: Option<String>,
    /// The platform, if asked for.
    pub platform: Option<String>,
    /// The user the container runs as, if asked for.
    pub user: Option<String>,
    /// The Engine's form of everything else.
    pub body: ContainerCreateBody,
}

/// Long names of flags that take no value.
const SWITCHES: &[&str] = &[
    "detach",
    "interactive",
    "tty",
    "rm",
    "privileged",
    "init",
    "read-only",
    "publish-all",
    "oom-kill-disable",
    "sig-proxy",
    "quiet",
    "disable-content-trust",
    "no-healthcheck",
    "help",
];

/// The long name of a flag's letter, as `docker run` has them.
fn long_name(letter: char) -> Option<&'static str> {
    Some(match letter {
        'd' => "detach",
        'i' => "interactive",
        't' => "tty",
        'a' => "attach",
        'c' => "cpu-shares",
        'e' => "env",
        'h' => "hostname",
        'l' => "label",
        'm' => "memory",
        'p' => "publish",
        'P' => "publish-all",
        'q' => "quiet",
        'u' => "user",
        'v' => "volume",
        'w' => "workdir",
        _ => return None,
    })
}

/// What is collected before the parts are put together.
#[derive(Default)]
struct Flags {
    run: RunCommand,
    host: HostConfig,
    aliases: Vec<String>,
    address: EndpointSettings,
    detached: bool,
}

impl RunCommand {
    /// Reads `arguments`, which are what follows `docker run`.
    ///
    /// # Errors
    /// A flag is unknown or not supported, or a value cannot be read; the error names it.
    pub fn parse(arguments: Vec<String>) -> Result<RunCommand, ConfigError> {
        let complain = |message: String| ConfigError::on("run_command", message);
        let mut flags = Flags::default();
        let mut rest = arguments.iter();
        let mut image = None;
        while let Some(argument) = rest.next() {
            if argument == "--" {
                image = rest.next();
                break;
            }
            if let Some(flag) = argument.strip_prefix("--") {
                let (name, value) = match flag.split_once('=') {
                    Some((name, value)) => (name, Some(value.to_owned())),
                    None => (flag, None),
                };
                let value = match value {
                    Some(value) => value,
                    None if SWITCHES.contains(&name) => "true".to_owned(),
                    None => rest
                        .next()
                        .cloned()
                        .ok_or_else(|| complain(format!("--{name} needs a value")))?,
                };
                flags.apply(name, &value).map_err(complain)?;
            } else if argument.len() > 1 && argument.starts_with('-') {
                for (at, letter) in argument[1..].char_indices() {
                    let name = long_name(letter).ok_or_else(|| {
                        complain(format!("`docker run` has no flag -{letter}, in {argument:?}"))
                    })?;
                    let after = &argument[1 + at + letter.len_utf8()..];
                    if SWITCHES.contains(&name) && !after.starts_with('=') {
                        flags.apply(name, "true").map_err(complain)?;
                        continue;
                    }
                    let value = match after {
                        "" => rest
                            .next()
                            .cloned()
                            .ok_or_else(|| complain(format!("-{letter} needs a value")))?,
                        attached => attached.strip_prefix('=').unwrap_or(attached).to_owned(),
                    };
                    flags.apply(name, &value).map_err(complain)?;
                    break;
                }
            } else {
                image = Some(argument);
                break;
            }
        }
        let image = image.filter(|image| !image.is_empty()).ok_or_else(|| {
            complain("the image is missing".to_owned()).hint("end it with {{.Image}}")
        })?;
        if !flags.detached {
            return Err(complain(
                "without -d the build would wait for the container to end".into(),
            )
            .hint("add \"-d\""));
        }
        let command: Vec<String> = rest.cloned().collect();
        let Flags { mut run, mut host, aliases, mut address, .. } = flags;
        if !aliases.is_empty() {
            address.aliases = Some(aliases);
        }
        if address != EndpointSettings::default() {
            let network = host.network_mode.clone().unwrap_or_else(|| "default".to_owned());
            run.body.networking_config = Some(NetworkingConfig {
                endpoints_config: Some(HashMap::from([(network, address)])),
            });
        }
        host.network_mode.get_or_insert_with(|| "default".to_owned());
        run.body.host_config = Some(host);
        run.body.image = Some(image.clone());
        run.body.cmd = (!command.is_empty()).then_some(command);
        run.body.user.clone_from(&run.user);
        // As the docker client does: an empty map shows in the image, nothing does not.
        run.body.labels.get_or_insert_default();
        for attach in
            [&mut run.body.attach_stdin, &mut run.body.attach_stdout, &mut run.body.attach_stderr]
        {
            *attach = Some(false);
        }
        run.image.clone_from(image);
        run.arguments = arguments;
        Ok(run)
    }
}

impl Flags {
    /// Takes one flag in. The error is a sentence that names it.
    fn apply(&mut self, name: &str, value: &str) -> Result<(), String> {
        let bad = |what: &str| format!("--{name}: {value:?} is not {what}");
        let switch = || match value {
            "true" | "1" | "t" | "T" | "TRUE" | "True" => Ok(true),
            "false" | "0" | "f" | "F" | "FALSE" | "False" => Ok(false),
            _ => Err(bad("true or false")),
        };
        let text = || Some(value.to_owned());
        let number = || value.parse::<i64>().map(Some).map_err(|_| bad("a whole number"));
        let size = || bytes_of(value).map(Some).ok_or_else(|| bad("a size such as 512m or 2g"));
        let push = |list: &mut Option<Vec<String>>| {
            list.get_or_insert_default().push(value.to_owned());
        };
        let pair = |map: &mut Option<HashMap<String, String>>| {
            let (key, value) = value.split_once('=').unwrap_or((value, ""));
            map.get_or_insert_default().insert(key.to_owned(), value.to_owned());
        };
        let body = &mut self.run.body;
        let host = &mut self.host;
        match name {
            "detach" => self.detached = switch()?,
            "interactive" => body.open_stdin = Some(switch()?),
            "tty" => body.tty = Some(switch()?),
            // The container is removed at the end in any case; how it looks to the Engine does
            // not show in an image. The others concern only what the client shows.
            "rm" | "sig-proxy" | "quiet" | "disable-content-trust" => {
                switch()?;
            }
            "detach-keys" => {}
            "name" => self.run.name = text(),
            "entrypoint" => body.entrypoint = Some(vec![value.to_owned()]),
            "user" => self.run.user = text(),
            "workdir" => body.working_dir = text(),
            "hostname" => body.hostname = text(),
            "domainname" => body.domainname = text(),
            "label" => pair(&mut body.labels),
            "env" => body.env.get_or_insert_default().push(environment(value)),
            "env-file" => {
                let file = std::fs::read_to_string(value)
                    .map_err(|error| format!("--env-file: reading {value}: {error}"))?;
                let lines = file.lines().map(str::trim_start);
                let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
                body.env.get_or_insert_default().extend(lines.map(environment));
            }
            "expose" => {
                let port = port_of(value).ok_or_else(|| bad("a port such as 80 or 53/udp"))?;
                body.exposed_ports.get_or_insert_default().push(port);
            }
            "publish" => {
                let (port, binding) =
                    published(value).ok_or_else(|| bad("a port such as 8080:80"))?;
                let exposed = body.exposed_ports.get_or_insert_default();
                if !exposed.contains(&port) {
                    exposed.push(port.clone());
                }
                let bindings = host.port_bindings.get_or_insert_default();
                bindings.entry(port).or_default().get_or_insert_default().push(binding);
            }
            "publish-all" => host.publish_all_ports = Some(switch()?),
            "stop-signal" => body.stop_signal = text(),
            "stop-timeout" => body.stop_timeout = number()?,
            "no-healthcheck" => {
                if switch()? {
                    let test = Some(vec!["NONE".to_owned()]);
                    body.healthcheck =
                        Some(bollard::models::HealthConfig { test, ..Default::default() });
                }
            }
            "volume" => match split_volume(value) {
                Some((source, rest)) => {
                    push_to(&mut host.binds, format!("{}:{rest}", absolute(source)));
                }
                None => push(&mut body.volumes),
            },
            "volumes-from" => push(&mut host.volumes_from),
            "mount" => host.mounts.get_or_insert_default().push(crate::run_command::mount(value)?),
            "tmpfs" => {
                let (path, options) = value.split_once(':').unwrap_or((value, ""));
                let mounts = host.tmpfs.get_or_insert_default();
                mounts.insert(path.to_owned(), options.to_owned());
            }
            "device" => host.devices.get_or_insert_default().push(device(value)),
            "device-cgroup-rule" => push(&mut host.device_cgroup_rules),
            "gpus" => {
                let count = match value {
                    "all" => -1,
                    count => count.parse().map_err(|_| bad("\"all\" or a number"))?,
                };
                host.device_requests.get_or_insert_default().push(DeviceRequest {
                    count: Some(count),
                    capabilities: Some(vec![vec!["gpu".to_owned()]]),
                    ..Default::default()
                });
            }
            "privileged" => host.privileged = Some(switch()?),
            "cap-add" => push(&mut host.cap_add),
            "cap-drop" => push(&mut host.cap_drop),
            "security-opt" => {
                let option = security_option(value)?;
                push_to(&mut host.security_opt, option);
            }
            "read-only" => host.readonly_rootfs = Some(switch()?),
            "init" => host.init = Some(switch()?),
            "runtime" => host.runtime = text(),
            "platform" => self.run.platform = text(),
            "network" | "net" => {
                if value.contains('=') {
                    return Err(format!(
                        "--{name}: only a network's name is supported, not {value:?}"
                    ));
                }
                host.network_mode = text();
            }
            "network-alias" | "net-alias" => self.aliases.push(value.to_owned()),
            "mac-address" => self.address.mac_address = text(),
            "ip" => {
                self.address.ipam_config.get_or_insert_default().ipv4_address = text();
            }
            "ip6" => {
                self.address.ipam_config.get_or_insert_default().ipv6_address = text();
            }
            "link" => push(&mut host.links),
            "add-host" => {
                // Both NAME:ADDRESS and NAME=ADDRESS are written; the Engine knows the first.
                let entry = match value.split_once('=') {
                    Some((name, address)) if !name.contains(':') => format!("{name}:{address}"),
                    _ => value.to_owned(),
                };
                push_to(&mut host.extra_hosts, entry);
            }
            "dns" => push(&mut host.dns),
            "dns-search" => push(&mut host.dns_search),
            "dns-option" | "dns-opt" => push(&mut host.dns_options),
            "group-add" => push(&mut host.group_add),
            "ipc" => host.ipc_mode = text(),
            "pid" => host.pid_mode = text(),
            "uts" => host.uts_mode = text(),
            "userns" => host.userns_mode = text(),
            "cgroupns" => {
                host.cgroupns_mode = Some(match value {
                    "host" => HostConfigCgroupnsModeEnum::HOST,
                    "private" => HostConfigCgroupnsModeEnum::PRIVATE,
                    _ => return Err(bad("\"host\" or \"private\"")),
                });
            }
            "cgroup-parent" => host.cgroup_parent = text(),
            "memory" => host.memory = size()?,
            "memory-reservation" => host.memory_reservation = size()?,
            "memory-swap" if value == "-1" => host.memory_swap = Some(-1),
            "memory-swap" => host.memory_swap = size()?,
            "shm-size" => host.shm_size = size()?,
            "cpus" => {
                let cpus: f64 = value.parse().map_err(|_| bad("a number of processors"))?;
                host.nano_cpus = Some((cpus * 1e9) as i64);
            }
            "cpu-shares" => host.cpu_shares = number()?,
            "cpu-period" => host.cpu_period = number()?,
            "cpu-quota" => host.cpu_quota = number()?,
            "cpuset-cpus" => host.cpuset_cpus = text(),
            "cpuset-mems" => host.cpuset_mems = text(),
            "pids-limit" => host.pids_limit = number()?,
            "oom-kill-disable" => host.oom_kill_disable = Some(switch()?),
            "oom-score-adj" => host.oom_score_adj = number()?,
            "ulimit" => {
                let limit = ulimit(value).ok_or_else(|| bad("a limit such as nofile=1024:2048"))?;
                host.ulimits.get_or_insert_default().push(limit);
            }
            "sysctl" => pair(&mut host.sysctls),
            "storage-opt" => pair(&mut host.storage_opt),
            "annotation" => pair(&mut host.annotations),
            "log-driver" => {
                host.log_config.get_or_insert_with(HostConfigLogConfig::default).typ = text();
            }
            "log-opt" => {
                pair(&mut host.log_config.get_or_insert_with(HostConfigLogConfig::default).config);
            }
            "pull" => {
                return Err(
                    "--pull is not supported here: use the source block's `pull`".to_owned()
                );
            }
            _ => {
                return Err(format!(
                    "the flag --{name} of `docker run` is unknown or not supported"
                ));
            }
        }
        Ok(())
    }
}

fn push_to(list: &mut Option<Vec<String>>, value: String) {
    list.get_or_insert_default().push(value);
}

/// A variable without a value takes it from this process's environment.
fn environment(entry: &str) -> String {
    match std::env::var(entry) {
        Ok(value) if !entry.contains('=') => format!("{entry}={value}"),
        _ => entry.to_owned(),
    }
}

/// Splits `SOURCE:TARGET[:OPTIONS]`; none for an anonymous volume.
fn split_volume(value: &str) -> Option<(&str, &str)> {
    value.split_once(':').filter(|(source, _)| !source.is_empty())
}

/// A path relative to the current folder made absolute; names of volumes stay as they are.
fn absolute(source: &str) -> String {
    if source == "." || source == ".." || source.starts_with("./") || source.starts_with("../") {
        return std::path::absolute(source)
            .map_or_else(|_| source.to_owned(), |path| path.display().to_string());
    }
    source.to_owned()
}

fn device(value: &str) -> DeviceMapping {
    let parts: Vec<&str> = value.splitn(3, ':').collect();
    let (inside, permissions) = match parts[..] {
        [_, inside, permissions] => (inside, permissions),
        // The second part is either a path or permissions.
        [path, permissions] if permissions.chars().all(|c| "rwm".contains(c)) => {
            (path, permissions)
        }
        [_, inside] => (inside, "rwm"),
        _ => (value, "rwm"),
    };
    DeviceMapping {
        path_on_host: parts.first().map(|&path| path.to_owned()),
        path_in_container: Some(inside.to_owned()),
        cgroup_permissions: Some(permissions.to_owned()),
    }
}

/// The docker client reads a seccomp profile's file and sends its text.
fn security_option(value: &str) -> Result<String, String> {
    let Some(profile) = value.strip_prefix("seccomp=").or_else(|| value.strip_prefix("seccomp:"))
    else {
        return Ok(value.to_owned());
    };
    if profile == "unconfined" || profile == "builtin" {
        return Ok(format!("seccomp={profile}"));
    }
    let text = std::fs::read_to_string(profile)
        .map_err(|error| format!("--security-opt: reading {profile}: {error}"))?;
    let json: serde_json::Value = serde_json::from_str(&text)
        .map_err(|error| format!("--security-opt: {profile} is not JSON: {error}"))?;
    Ok(format!("seccomp={json}"))
}

/// `80` or `53/udp` as the Engine writes it.
fn port_of(value: &str) -> Option<String> {
    let (port, protocol) = value.split_once('/').unwrap_or((value, "tcp"));
    let port: u16 = port.parse().ok()?;
    Some(format!("{port}/{protocol}"))
}

/// `[[ADDRESS:][HOST_PORT]:]PORT[/PROTOCOL]`.
fn published(value: &str) -> Option<(String, PortBinding)> {
    let (outside, inside) = value.rsplit_once(':').unwrap_or(("", value));
    let (address, outside) = outside.rsplit_once(':').unwrap_or(("", outside));
    if !outside.is_empty() {
        outside.parse::<u16>().ok()?;
    }
    let address = address.trim_start_matches('[').trim_end_matches(']');
    let binding = PortBinding {
        host_ip: (!address.is_empty()).then(|| address.to_owned()),
        host_port: Some(outside.to_owned()),
    };
    Some((port_of(inside)?, binding))
}

fn ulimit(value: &str) -> Option<ResourcesUlimits> {
    let (name, limits) = value.split_once('=')?;
    let (soft, hard) = limits.split_once(':').unwrap_or((limits, limits));
    Some(ResourcesUlimits {
        name: Some(name.to_owned()),
        soft: Some(soft.parse().ok()?),
        hard: Some(hard.parse().ok()?),
    })
}

/// A size in bytes: a number with an optional unit b, k, m, g or t (powers of 1024), which may
/// be followed by `b` or `ib`.
fn bytes_of(value: &str) -> Option<i64> {
    let lower = value.to_ascii_lowercase();
    let digits = lower.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(lower.len());
    let number: f64 = lower[..digits].parse().ok()?;
    let power = match lower[digits..].trim_end_matches("ib").trim_end_matches('b') {
        "" => 0,
        "k" => 1,
        "m" => 2,
        "g" => 3,
        "t" => 4,
        _ => return None,
    };
    Some((number * 1024f64.powi(power)) as i64)
}

/// `--mount type=bind,source=/a,target=/b,readonly`.
fn mount(value: &str) -> Result<bollard::models::Mount, String> {
    use bollard::models::{Mount, MountTmpfsOptions, MountType};
    let mut mount = Mount { typ: Some(MountType::VOLUME), ..Default::default() };
    for field in value.split(',') {
        let (key, setting) = field.split_once('=').unwrap_or((field, "true"));
        match key {
            "type" => {
                mount.typ = Some(match setting {
                    "bind" => MountType::BIND,
                    "volume" => MountType::VOLUME,
                    "tmpfs" => MountType::TMPFS,
                    _ => return Err(format!("--mount: the type {setting:?} is not supported")),
                });
            }
            "source" | "src" => mount.source = Some(absolute(setting)),
            "target" | "destination" | "dst" => mount.target = Some(setting.to_owned()),
            "readonly" | "ro" => mount.read_only = Some(setting != "false" && setting != "0"),
            "tmpfs-size" => {
                let size = bytes_of(setting)
                    .ok_or_else(|| format!("--mount: {setting:?} is not a size"))?;
                mount.tmpfs_options.get_or_insert_with(MountTmpfsOptions::default).size_bytes =
                    Some(size);
            }
            _ => return Err(format!("--mount: the field {key:?} is not supported")),
        }
    }
    if mount.target.is_none() {
        return Err(format!("--mount: {value:?} names no target"));
    }
    Ok(mount)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<RunCommand, ConfigError> {
        RunCommand::parse(line.split(' ').map(str::to_owned).collect())
    }

    #[test]
    fn reads_the_default() {
        let run = parse("-d -i -t --entrypoint=/bin/sh -- alpine:3").unwrap();
        assert_eq!(run.image, "alpine:3");
        assert_eq!(run.body.entrypoint.unwrap(), ["/bin/sh"]);
        assert_eq!((run.body.tty, run.body.open_stdin), (Some(true), Some(true)));
        assert_eq!(run.body.cmd, None);
    }

    #[test]
    fn reads_what_people_write() {
        let run = parse(
            "-dit --name web -e A=1 --env B=2 -v /a:/b:ro -p127.0.0.1:8080:80 --network host \
             -u app:app --cap-add=NET_ADMIN --tmpfs /run:rw,size=1m --memory 512m --shm-size 2g \
             --device /dev/null:/dev/x -w /srv --label a=b --add-host h=10.0.0.1 --ulimit \
             nofile=1:2 --privileged=false --rm img sh -c true",
        )
        .unwrap();
        let host = run.body.host_config.unwrap();
        assert_eq!(run.name.as_deref(), Some("web"));
        assert_eq!(run.body.env.unwrap(), ["A=1", "B=2"]);
        assert_eq!(host.binds.unwrap(), ["/a:/b:ro"]);
        let binding = &host.port_bindings.unwrap()["80/tcp"].clone().unwrap()[0];
        assert_eq!(binding.host_ip.as_deref(), Some("127.0.0.1"));
        assert_eq!(binding.host_port.as_deref(), Some("8080"));
        assert_eq!(run.user.as_deref(), Some("app:app"));
        assert_eq!(host.network_mode.as_deref(), Some("host"));
        assert_eq!(host.cap_add.unwrap(), ["NET_ADMIN"]);
        assert_eq!(host.tmpfs.unwrap()["/run"], "rw,size=1m");
        assert_eq!((host.memory, host.shm_size), (Some(512 << 20), Some(2 << 30)));
        assert_eq!(host.privileged, Some(false));
        assert_eq!(host.extra_hosts.unwrap(), ["h:10.0.0.1"]);
        assert_eq!(run.body.cmd.unwrap(), ["sh", "-c", "true"]);
    }

    #[test]
    fn names_what_it_cannot_take() {
        for (line, named) in [
            ("-d --cidfile x img", "--cidfile"),
            ("-d -z img", "-z"),
            ("-d --name", "--name"),
            ("-d", "image"),
            ("-i -t img", "-d"),
            ("-d --memory lots img", "lots"),
            ("-d --pull always img", "pull"),
        ] {
            let error = parse(line).unwrap_err();
            assert!(error.message.contains(named), "{line}: {}", error.message);
            assert_eq!(error.option.as_deref(), Some("run_command"));
        }
    }
}
