//! The command: its image, its command line, and whether to pull.

use bollard::models::ContainerCreateBody;
use ingot_sdk::ConfigError;

use super::body::{body, host};
use super::flags;
use super::given::{Flags, check_conflicts};

/// What the container is run with where `run_command` says nothing; Packer's.
pub(crate) const DEFAULT_COMMAND: [&str; 6] =
    ["-d", "-i", "-t", "--entrypoint=/bin/sh", "--", "{{.Image}}"];

/// A container to create.
#[derive(Debug, Clone, Default)]
pub(crate) struct RunCommand {
    /// The arguments as they were given, for people.
    pub arguments: Vec<String>,
    /// The name the user wants the container to have.
    pub name: Option<String>,
    /// The platform, if asked for.
    pub platform: Option<String>,
    /// The user the container runs as, if asked for.
    pub user: Option<String>,
    /// Whether to pull the image, if the flags say.
    pub pull: Option<Pull>,
    /// The file to write the container's id to.
    pub id_file: Option<String>,
    /// What is worth a warning.
    pub warnings: Vec<String>,
    /// The Engine's form of everything else.
    pub body: ContainerCreateBody,
}

/// When an image is pulled: `--pull`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Pull {
    /// Whether or not it is there.
    Always,
    /// Where it is not.
    Missing,
    /// Not at all.
    #[default]
    Never,
}

impl RunCommand {
    /// Reads `arguments`, which are what follows `docker run`.
    ///
    /// # Errors
    /// A flag is unknown or not supported, or a value cannot be read; the error names it.
    pub(crate) fn parse(arguments: Vec<String>) -> Result<RunCommand, ConfigError> {
        let invalid = |message: String| ConfigError::on("run_command", message);
        let matches =
            flags::command().try_get_matches_from(&arguments).map_err(|e| flags::explain(&e))?;
        let flags = Flags(&matches);
        let mut rest = flags.texts(flags::REST).into_iter();
        let image = rest.next().filter(|image| !image.is_empty()).ok_or_else(|| {
            invalid("the image is missing".to_owned()).hint("end it with {{.Image}}")
        })?;
        if flags.switch("detach") != Some(true) {
            return Err(invalid("without -d the build would wait for the container to end".into())
                .hint("add \"-d\""));
        }
        if flags.switch("use-api-socket") == Some(true) {
            return Err(invalid(
                "--use-api-socket would leave the credentials of this machine in the image".into(),
            )
            .hint("for the socket alone: \"-v\", \"/var/run/docker.sock:/var/run/docker.sock\""));
        }
        check_conflicts(&flags).map_err(invalid)?;
        let mut run = RunCommand {
            name: flags.text("name"),
            platform: flags.text("platform"),
            user: flags.text("user"),
            pull: pull(&flags).map_err(invalid)?,
            id_file: flags.text("cidfile").filter(|path| !path.is_empty()),
            ..RunCommand::default()
        };
        if flags.number("kernel-memory").is_some() {
            let warning = "--kernel-memory has no effect: Docker Engines know it no longer";
            run.warnings.push(warning.to_owned());
        }
        let (mut host, networking) = host(&flags).map_err(invalid)?;
        host.container_id_file.clone_from(&run.id_file);
        run.body = body(&flags, &mut host).map_err(invalid)?;
        let command: Vec<String> = rest.collect();
        run.body.cmd = (!command.is_empty()).then_some(command);
        run.body.image = Some(image);
        run.body.user.clone_from(&run.user);
        run.body.host_config = Some(host);
        run.body.networking_config = networking;
        run.arguments = arguments;
        Ok(run)
    }
}

pub(super) fn pull(flags: &Flags<'_>) -> Result<Option<Pull>, String> {
    Ok(match flags.text("pull").as_deref() {
        None | Some("") => None,
        Some("always") => Some(Pull::Always),
        Some("missing") => Some(Pull::Missing),
        Some("never") => Some(Pull::Never),
        Some(other) => {
            return Err(format!("--pull: {other:?} is not always, missing or never"));
        }
    })
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
        assert_eq!(run.body.image.as_deref(), Some("alpine:3"));
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
            ("-d --teleport x img", "--teleport"),
            ("-d --restart sometimes img", "--restart"),
            ("-d --restart always --rm img", "--rm"),
            ("-d -a stdout img", "--attach"),
            ("-d --no-healthcheck --health-cmd x img", "--health-"),
            ("-d --gpus card=1 img", "card"),
            ("-d --network alias=x img", "name="),
            ("-d --mount type=bind,tmpfs-size=1m,target=/x img", "tmpfs-"),
            ("-d --device-read-bps sda:1 img", "--device-read-bps"),
            ("-d --use-api-socket img", "--use-api-socket"),
            ("-d --rm=maybe img", "maybe"),
            ("-d --health-interval 3 img", "--health-interval"),
            ("-d -z img", "-z"),
            ("-d --name", "--name"),
            ("-d", "image"),
            ("-i -t img", "-d"),
            ("-d --memory lots img", "lots"),
            ("-d --pull sometimes img", "sometimes"),
        ] {
            let error = parse(line).unwrap_err();
            assert!(error.message.contains(named), "{line}: {}", error.message);
            assert_eq!(error.option.as_deref(), Some("run_command"));
        }
    }

    /// What `docker inspect` says about a container that is only created, and removes it.
    fn created(id: &str) -> serde_json::Value {
        let docker = |arguments: &[&str]| {
            let output = std::process::Command::new("docker").args(arguments).output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            output.stdout
        };
        let all: serde_json::Value = serde_json::from_slice(&docker(&["inspect", id])).unwrap();
        docker(&["rm", "-f", "-v", id]);
        let mut one = all[0].clone();
        // Made up by the Engine.
        one["Config"]["Hostname"] = one["Config"]["Hostname"].as_str().map_or(0, str::len).into();
        let networks = one["NetworkSettings"]["Networks"].as_object().cloned().unwrap_or_default();
        let networks: serde_json::Map<_, _> = networks
            .into_iter()
            .map(|(name, network)| {
                let mut aliases = network["Aliases"].as_array().cloned().unwrap_or_default();
                // The Engine adds the short id; an alias of the test may well begin an id, too.
                aliases.retain(|alias| alias.as_str() != id.get(..12));
                (name, serde_json::json!([network["IPAMConfig"], aliases, network["DriverOpts"]]))
            })
            .collect();
        serde_json::json!([one["Config"], one["HostConfig"], networks])
    }

    /// The docker client is the witness for what the flags mean.
    #[tokio::test]
    async fn flags_mean_what_the_docker_client_takes_them_for() {
        let engine = match crate::engine::Engine::connect(false).await {
            Ok(engine) => engine,
            Err(missing) => {
                ingot_test_support::missing(missing);
                return;
            }
        };
        let image = format!("ingot-test-flags:{}", std::process::id());
        let script = format!("tar -c --files-from=/dev/null | docker import - {image}");
        let output = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let directory = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = directory.path().join(name);
            std::fs::write(&path, text).unwrap();
            path.display().to_string()
        };
        let labels = file("labels", "# labels\nfrom=file\nalone\n");
        let variables = file("variables", "FROM=file\n\nA=of the file\n");
        let seccomp = file("seccomp.json", "{ \"defaultAction\": \"SCMP_ACT_ALLOW\" }");
        let network = format!("ingot-test-flags-{}", std::process::id());
        let docker = |arguments: &[&str]| {
            let output = std::process::Command::new("docker").args(arguments).output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(output.status.success(), "{arguments:?}: {said}");
            String::from_utf8_lossy(&output.stdout).trim().to_owned()
        };
        // One of its own for each process, as the Engine allows no overlaps.
        let net =
            format!("10.{}.{}", 100 + std::process::id() / 256 % 100, std::process::id() % 256);
        docker(&["network", "create", "--subnet", &format!("{net}.0/24"), &network]);
        let _cleanup = Cleanup(format!("docker network rm {network}; docker rmi -f {image}"));
        let lines = [
            "--restart always --health-cmd 'curl -f' --health-interval 30s --health-retries 3 \
             --health-timeout 1m30s --health-start-period 500ms --stop-signal SIGINT \
             --stop-timeout 7"
                .to_owned(),
            "--restart on-failure:4 --no-healthcheck --init --read-only --init=false -it".to_owned(),
            "--gpus all --gpus device=0 --gpus '\"device=0,2\",capabilities=compute' --gpus 2 \
             --device /dev/null:/dev/x:r --device /dev/zero --device-cgroup-rule 'c 1:3 rw'"
                .to_owned(),
            format!("--network {network} --network-alias a --net-alias b --ip {net}.7 -h box"),
            format!("--network name={network},alias=web,ip={net}.8 --dns 1.2.3.4 --dns-opt x"),
            format!(
                "--label-file {labels} -l from=flag -l more --env-file {variables} -e A=1 -e PATH \
                 -eB=2 -e=C=3 --security-opt seccomp={seccomp} --security-opt no-new-privileges"
            ),
            "--device-read-bps /dev/null:1mb --device-write-bps /dev/null:2048 \
             --device-read-iops /dev/null:10 --device-write-iops /dev/null:20 --blkio-weight 300"
                .to_owned(),
            "-p 8080:80 -p 127.0.0.1:5353:53/udp -p 7000-7002:7000-7002 -p 9000-9005:90 -p 81 \
             --expose 1000-1002 --expose 5/udp -P"
                .to_owned(),
            "--mount type=bind,source=/tmp,target=/a,readonly,bind-propagation=rslave \
             --mount type=volume,dst=/b,volume-nocopy,volume-label=x=y \
             --mount type=tmpfs,target=/c,tmpfs-size=1m,tmpfs-mode=1770 --tmpfs /d:size=1m \
             -v /tmp:/e:ro -v /f --volume-driver local"
                .to_owned(),
            "-m 64m --memory-reservation 32m --memory-swap -1 --memory-swappiness 10 \
             --shm-size 1g --cpus 0.5 -c 512 --cpuset-cpus 0 --cpuset-mems 0 --pids-limit 100 \
             --oom-score-adj 100 --ulimit nofile=1:2 --ulimit core=-1"
                .to_owned(),
            "--cpu-period 50000 --cpu-quota 25000 --sysctl net.ipv4.ip_forward=1 --cgroup-parent /x \
             --cgroupns host --ipc private --pid host --uts host --userns host"
                .to_owned(),
            "--cap-add CAP_NET_ADMIN --cap-drop ALL --group-add 5 --privileged -u 1:2 -w /srv \
             --domainname example --add-host a:1.2.3.4 --add-host b=1.2.3.5 --dns-search x.y \
             --log-driver json-file --log-opt max-size=1m --runtime runc \
             --security-opt systempaths=unconfined --entrypoint /bin/x"
                .to_owned(),
        ];
        let mut wrong = Vec::new();
        for line in &lines {
            let mut words = shlex::split(line).unwrap();
            words.extend([image.clone(), "run".to_owned(), "--rm".to_owned(), "--".to_owned()]);
            let client: Vec<&str> =
                ["create"].into_iter().chain(words.iter().map(String::as_str)).collect();
            let expected = created(&docker(&client));
            let all = ["-d".to_owned()].into_iter().chain(words).collect();
            let run = RunCommand::parse(all).unwrap_or_else(|e| panic!("{line}: {e:?}"));
            let ours = engine.api.create_container(None, run.body).await.unwrap();
            let got = created(&ours.id);
            for (part, (got, expected)) in
                got.as_array().unwrap().iter().zip(expected.as_array().unwrap()).enumerate()
            {
                let Some(expected) = expected.as_object() else { continue };
                for (name, value) in expected {
                    // The client attaches `docker create` to what it prints; `run -d` does not.
                    if name.starts_with("Attach") || name == "StdinOnce" {
                        continue;
                    }
                    let (got, expected) = (plain(&got[name]), plain(value));
                    if got != expected {
                        wrong.push(format!("{line}: {part}: {name}: {got} is not {expected}"));
                    }
                }
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }

    /// Runs a script when dropped.
    struct Cleanup(String);

    impl Drop for Cleanup {
        fn drop(&mut self) {
            let _ = std::process::Command::new("sh").args(["-c", &self.0]).output();
        }
    }

    /// Nothing, an empty list and an empty map are the same to the Engine, and order is none.
    fn plain(value: &serde_json::Value) -> serde_json::Value {
        use serde_json::Value;
        match value {
            Value::Array(items) if items.is_empty() => Value::Null,
            Value::Object(fields) if fields.is_empty() => Value::Null,
            Value::Array(items) => {
                let mut items: Vec<Value> = items.iter().map(plain).collect();
                items.sort_by_key(ToString::to_string);
                Value::Array(items)
            }
            Value::Object(fields) => {
                let there = |value: &&Value| value.is_string() || !plain(value).is_null();
                let fields = fields.iter().filter(|(_, value)| there(value));
                let fields = fields.map(|(name, value)| (name.clone(), plain(value)));
                let fields: std::collections::BTreeMap<String, Value> = fields.collect();
                if fields.is_empty() { Value::Null } else { serde_json::json!(fields) }
            }
            Value::Bool(false) => Value::Null,
            Value::Number(number) if number.as_i64() == Some(0) => Value::Null,
            Value::String(text) if text.is_empty() => Value::Null,
            other => other.clone(),
        }
    }
}
