//! The flags, as the Engine API takes them.

use std::collections::HashMap;

use bollard::models::{
    ContainerCreateBody, DeviceRequest, EndpointSettings, HealthConfig, HostConfig,
    HostConfigCgroupnsModeEnum, HostConfigIsolationEnum, HostConfigLogConfig, NetworkingConfig,
};

use super::devices::{self, Device};
use super::given::Flags;
use super::values::{self, Security};
use super::{mounts, networks};

/// What is not about the host.
pub(super) fn body(
    flags: &Flags<'_>,
    host: &mut HostConfig,
) -> Result<ContainerCreateBody, String> {
    let mut env: Vec<String> = Vec::new();
    for path in flags.texts("env-file") {
        let lines = values::lines_of("env-file", &path)?;
        env.extend(lines.iter().filter_map(|line| values::environment(line)));
    }
    env.extend(flags.texts("env").iter().filter_map(|entry| values::environment(entry)));
    // As the docker client does: an empty map shows in the image, nothing does not.
    let mut labels = HashMap::new();
    for path in flags.texts("label-file") {
        let lines = values::lines_of("label-file", &path)?;
        // The docker client passes over those without a value.
        let lines = lines.iter().filter(|line| line.contains('='));
        labels.extend(lines.map(|line| values::pair(line)));
    }
    labels.extend(flags.pairs("label").unwrap_or_default());
    let (mut volumes, mut binds) = (Vec::new(), Vec::new());
    for volume in flags.texts("volume") {
        match values::split_volume(&volume) {
            Some((source, rest)) => binds.push(format!("{}:{rest}", values::absolute(source))),
            None => volumes.push(volume),
        }
    }
    host.binds = (!binds.is_empty()).then_some(binds);
    let ports = "a port such as 80, 53/udp or 8000-8010";
    let exposed = flags.read("expose", ports, networks::exposed)?.unwrap_or_default();
    let mut exposed: Vec<String> = exposed.into_iter().flatten().collect();
    let ports = "a port such as 8080:80 or 127.0.0.1:8000-8010:80-90/udp";
    for (port, binding) in
        flags.read("publish", ports, networks::published)?.unwrap_or_default().into_iter().flatten()
    {
        exposed.push(port.clone());
        let bindings = host.port_bindings.get_or_insert_default();
        bindings.entry(port).or_default().get_or_insert_default().push(binding);
    }
    exposed.sort();
    exposed.dedup();
    Ok(ContainerCreateBody {
        hostname: flags.text("hostname"),
        domainname: flags.text("domainname"),
        attach_stdin: Some(false),
        attach_stdout: Some(false),
        attach_stderr: Some(false),
        exposed_ports: (!exposed.is_empty()).then_some(exposed),
        tty: flags.switch("tty"),
        open_stdin: flags.switch("interactive"),
        env: (!env.is_empty()).then_some(env),
        healthcheck: healthcheck(flags),
        volumes: (!volumes.is_empty()).then_some(volumes),
        working_dir: flags.text("workdir"),
        entrypoint: flags.text("entrypoint").map(|program| vec![program]),
        labels: Some(labels),
        stop_signal: flags.text("stop-signal"),
        stop_timeout: flags.number("stop-timeout"),
        ..ContainerCreateBody::default()
    })
}

pub(super) fn healthcheck(flags: &Flags<'_>) -> Option<HealthConfig> {
    if flags.switch("no-healthcheck") == Some(true) {
        let test = Some(vec!["NONE".to_owned()]);
        return Some(HealthConfig { test, ..HealthConfig::default() });
    }
    let check = HealthConfig {
        test: flags.text("health-cmd").map(|command| vec!["CMD-SHELL".to_owned(), command]),
        interval: flags.number("health-interval"),
        timeout: flags.number("health-timeout"),
        retries: flags.number("health-retries"),
        start_period: flags.number("health-start-period"),
        start_interval: flags.number("health-start-interval"),
    };
    (check != HealthConfig::default()).then_some(check)
}

/// What the host gives to the container, and its networks.
pub(super) fn host(flags: &Flags<'_>) -> Result<(HostConfig, Option<NetworkingConfig>), String> {
    let mut requests: Vec<DeviceRequest> =
        flags.texts("gpus").iter().map(|value| devices::gpus(value)).collect::<Result<_, _>>()?;
    let mut devices = Vec::new();
    let mut by_cdi = Vec::new();
    for device in flags.texts("device") {
        match devices::device(&device) {
            Device::Host(device) => devices.push(device),
            Device::Cdi(name) => by_cdi.push(name),
        }
    }
    if !by_cdi.is_empty() {
        requests.push(DeviceRequest {
            driver: Some("cdi".to_owned()),
            device_ids: Some(by_cdi),
            ..DeviceRequest::default()
        });
    }
    let mut security = Vec::new();
    let (mut masked, mut read_only) = (None, None);
    for value in flags.texts("security-opt") {
        match values::security_option(&value)? {
            Security::Option(option) => security.push(option),
            Security::AllSystemPaths => (masked, read_only) = (Some(vec![]), Some(vec![])),
        }
    }
    let networks = flags.texts("network").into_iter().map(|value| networks::network(&value));
    let (mode, endpoints) =
        networks::endpoints(networks.collect::<Result<_, String>>()?, endpoint(flags));
    let driver = flags.text("log-driver");
    let log_options = flags.pairs("log-opt");
    let tmpfs = flags.texts("tmpfs").into_iter().map(|value| {
        let (path, options) = value.split_once(':').unwrap_or((&value, ""));
        (path.to_owned(), options.to_owned())
    });
    let tmpfs: HashMap<String, String> = tmpfs.collect();
    let mounts = flags.texts("mount").into_iter().map(|value| mounts::mount(&value));
    let mounts = mounts.collect::<Result<Vec<_>, String>>()?;
    let policy = "no, always, unless-stopped or on-failure[:TIMES]";
    let restart = flags.text("restart").filter(|value| !value.is_empty());
    let restart = restart.or_else(|| Some("no".to_owned())).map(|value| {
        values::restart(&value).ok_or_else(|| format!("--restart: {value:?} is not {policy}"))
    });
    let rate = "a device and a rate in bytes such as /dev/sda:1mb";
    let by_bytes = |name| flags.read(name, rate, |value| devices::throttle(value, true));
    let rate = "a device and a rate such as /dev/sda:1000";
    let by_number = |name| flags.read(name, rate, |value| devices::throttle(value, false));
    let weight = "a device and a weight from 10 to 1000 such as /dev/sda:200";
    let host = HostConfig {
        blkio_weight: flags.number("blkio-weight").map(weight_of).transpose()?,
        blkio_weight_device: flags.read("blkio-weight-device", weight, devices::weighted)?,
        blkio_device_read_bps: by_bytes("device-read-bps")?,
        blkio_device_write_bps: by_bytes("device-write-bps")?,
        blkio_device_read_iops: by_number("device-read-iops")?,
        blkio_device_write_iops: by_number("device-write-iops")?,
        cgroup_parent: flags.text("cgroup-parent"),
        cgroupns_mode: cgroup_namespace(flags)?,
        cpu_count: flags.number("cpu-count"),
        cpu_percent: flags.number("cpu-percent"),
        cpu_period: flags.number("cpu-period"),
        cpu_quota: flags.number("cpu-quota"),
        cpu_realtime_period: flags.number("cpu-rt-period"),
        cpu_realtime_runtime: flags.number("cpu-rt-runtime"),
        cpu_shares: flags.number("cpu-shares"),
        cpuset_cpus: flags.text("cpuset-cpus"),
        cpuset_mems: flags.text("cpuset-mems"),
        nano_cpus: flags.number("cpus"),
        io_maximum_bandwidth: flags.number("io-maxbandwidth"),
        io_maximum_iops: flags.number("io-maxiops"),
        memory: flags.number("memory"),
        memory_reservation: flags.number("memory-reservation"),
        memory_swap: flags.number("memory-swap"),
        memory_swappiness: flags.number("memory-swappiness"),
        shm_size: flags.number("shm-size"),
        oom_kill_disable: flags.switch("oom-kill-disable"),
        oom_score_adj: flags.number("oom-score-adj"),
        pids_limit: flags.number("pids-limit"),
        ulimits: flags.read("ulimit", "a limit such as nofile=1024:2048", values::ulimit)?,
        device_cgroup_rules: flags.list("device-cgroup-rule"),
        device_requests: (!requests.is_empty()).then_some(requests),
        devices: (!devices.is_empty()).then_some(devices),
        privileged: flags.switch("privileged"),
        cap_add: flags.list("cap-add"),
        cap_drop: flags.list("cap-drop"),
        group_add: flags.list("group-add"),
        security_opt: (!security.is_empty()).then_some(security),
        masked_paths: masked,
        readonly_paths: read_only,
        readonly_rootfs: flags.switch("read-only"),
        init: flags.switch("init"),
        isolation: isolation(flags)?,
        runtime: flags.text("runtime"),
        ipc_mode: flags.text("ipc"),
        pid_mode: flags.text("pid"),
        userns_mode: flags.text("userns"),
        uts_mode: flags.text("uts"),
        sysctls: flags.pairs("sysctl"),
        storage_opt: flags.pairs("storage-opt"),
        annotations: flags.pairs("annotation"),
        log_config: (driver.is_some() || log_options.is_some())
            .then_some(HostConfigLogConfig { typ: driver, config: log_options }),
        mounts: (!mounts.is_empty()).then_some(mounts),
        tmpfs: (!tmpfs.is_empty()).then_some(tmpfs),
        volume_driver: flags.text("volume-driver"),
        volumes_from: flags.list("volumes-from"),
        dns: flags.list("dns"),
        dns_options: flags.list("dns-option"),
        dns_search: flags.list("dns-search"),
        extra_hosts: flags
            .list("add-host")
            .map(|hosts| hosts.iter().map(|host| host_entry(host)).collect()),
        links: flags.list("link"),
        network_mode: Some(mode),
        publish_all_ports: flags.switch("publish-all"),
        restart_policy: restart.transpose()?,
        ..HostConfig::default()
    };
    let networking = endpoints.map(|all| NetworkingConfig { endpoints_config: Some(all) });
    Ok((host, networking))
}

/// The settings for the container's first network.
fn endpoint(flags: &Flags<'_>) -> EndpointSettings {
    let mut settings = EndpointSettings {
        aliases: flags.list("network-alias"),
        mac_address: flags.text("mac-address"),
        ..EndpointSettings::default()
    };
    let (v4, v6, local) = (flags.text("ip"), flags.text("ip6"), flags.list("link-local-ip"));
    if v4.is_some() || v6.is_some() || local.is_some() {
        let config = networks::addresses(&mut settings);
        (config.ipv4_address, config.ipv6_address, config.link_local_ips) = (v4, v6, local);
    }
    settings
}

fn weight_of(weight: i64) -> Result<u16, String> {
    let weight = u16::try_from(weight).ok();
    let allowed = weight.filter(|&weight| weight == 0 || (10..=1000).contains(&weight));
    allowed.ok_or_else(|| "--blkio-weight: a weight is between 10 and 1000, or 0".to_owned())
}

fn cgroup_namespace(flags: &Flags<'_>) -> Result<Option<HostConfigCgroupnsModeEnum>, String> {
    Ok(match flags.text("cgroupns").as_deref() {
        None | Some("") => None,
        Some("host") => Some(HostConfigCgroupnsModeEnum::HOST),
        Some("private") => Some(HostConfigCgroupnsModeEnum::PRIVATE),
        Some(other) => return Err(format!("--cgroupns: {other:?} is not \"host\" or \"private\"")),
    })
}

pub(super) fn isolation(flags: &Flags<'_>) -> Result<Option<HostConfigIsolationEnum>, String> {
    Ok(match flags.text("isolation").as_deref() {
        None | Some("") => None,
        Some("default") => Some(HostConfigIsolationEnum::DEFAULT),
        Some("process") => Some(HostConfigIsolationEnum::PROCESS),
        Some("hyperv") => Some(HostConfigIsolationEnum::HYPERV),
        Some(other) => {
            return Err(format!("--isolation: {other:?} is not default, process or hyperv"));
        }
    })
}

/// Both `NAME:ADDRESS` and `NAME=ADDRESS` are written; the Engine knows the first.
fn host_entry(value: &str) -> String {
    match value.split_once('=') {
        Some((name, address)) if !name.contains(':') => format!("{name}:{address}"),
        _ => value.to_owned(),
    }
}
