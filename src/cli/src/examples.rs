//! Examples of every command, for its help.

/// The words of a command after `ingot`, and lines that run it.
const EXAMPLES: &[(&str, &[&str])] = &[
    (
        "",
        &[
            "ingot validate .",
            "ingot build -var 'region=eu-central-1' -only='docker.*' .",
            "ingot registry buckets list",
        ],
    ),
    (
        "build",
        &[
            "ingot build .",
            "ingot build -var 'name=web' -var-file=production.pkrvars.hcl .",
            "ingot build -only='docker.*' -except=docker-push templates/web",
            "ingot build -force -on-error=ask -timestamp-ui web.pkr.hcl",
            "ingot build -cache -explain .",
            "ingot build -progress=plain -report=report.html -report=report.xml .",
            "ingot build -on-error=keep web.pkr.hcl",
            "ingot build -resume -start-at=configure web.pkr.hcl",
            "ingot build -changed-only .",
            "ingot build -stale images",
            "ingot build -stale -dry-run images/base images/web",
        ],
    ),
    ("cache", &["ingot cache list", "ingot cache prune -older-than=168h"]),
    ("cache list", &["ingot cache list", "ingot cache list -json"]),
    ("cache show", &["ingot cache show 3f9a"]),
    (
        "cache prune",
        &["ingot cache prune -older-than=168h", "ingot cache prune -keep-bytes=10GB -dry-run"],
    ),
    (
        "validate",
        &[
            "ingot validate .",
            "ingot validate -syntax-only web.pkr.hcl",
            "ingot validate -evaluate-datasources -var-file=production.pkrvars.hcl .",
        ],
    ),
    (
        "plan",
        &[
            "ingot plan .",
            "ingot plan -offline -only='docker.*' web.pkr.hcl",
            "ingot plan -format=json . > plan.json",
            "ingot plan -format=dot . | dot -Tsvg > plan.svg",
            "ingot plan -family images",
        ],
    ),
    (
        "test",
        &[
            "ingot test . web:latest",
            "ingot test -only='qemu.*' -report=tests.xml . output-disk/packer-disk",
            "ingot test -goss=goss.yaml docker:web:latest",
        ],
    ),
    (
        "diff",
        &[
            "ingot diff web:1 web:2",
            "ingot diff -parts=packages -json web:production web@01J8ZK3M",
            "ingot diff old-sbom.json new-sbom.json",
        ],
    ),
    (
        "init",
        &[
            "ingot init .",
            "ingot init -upgrade web.pkr.hcl",
            "ingot init -locked -plugin-mirror=/srv/plugins .",
        ],
    ),
    ("fix", &["ingot fix old.json > new.json", "ingot fix -validate=false old.json"]),
    (
        "hcl2_upgrade",
        &[
            "ingot hcl2_upgrade old.json",
            "ingot hcl2_upgrade -with-annotations -output-file=web.pkr.hcl old.json",
        ],
    ),
    (
        "plugins",
        &[
            "ingot plugins install github.com/hashicorp/ansible '~> 1.1'",
            "ingot plugins installed",
            "ingot plugins required .",
        ],
    ),
    (
        "plugins install",
        &[
            "ingot plugins install github.com/hashicorp/ansible '>= 1.1, < 2'",
            "ingot plugins install -path=./packer-plugin-ansible github.com/hashicorp/ansible",
        ],
    ),
    (
        "plugins installed",
        &["ingot plugins installed", "ingot plugins installed -machine-readable"],
    ),
    ("plugins required", &["ingot plugins required ."]),
    (
        "plugins remove",
        &[
            "ingot plugins remove github.com/hashicorp/ansible",
            "ingot plugins remove github.com/hashicorp/ansible '< 1.1'",
        ],
    ),
    ("plugins describe", &["ingot plugins describe ansible", "ingot plugins describe -json"]),
    (
        "inspect",
        &["ingot inspect .", "ingot inspect -machine-readable -var 'name=web' web.pkr.hcl"],
    ),
    ("fmt", &["ingot fmt .", "ingot fmt -check -diff -recursive .", "ingot fmt - < web.pkr.hcl"]),
    ("console", &["ingot console", "echo 'upper(var.name)' | ingot console -var 'name=web' ."]),
    (
        "cleanup",
        &[
            "ingot cleanup -list",
            "ingot cleanup -older-than=24h",
            "ingot cleanup -kept -list",
            "ingot cleanup -forget -run=ID",
            "ingot cleanup -aws-region=eu-central-1 -json",
        ],
    ),
    (
        "sbom-generate",
        &["ingot sbom-generate /mnt/root > sbom.json", "ingot sbom-generate -o spdx-json ."],
    ),
    (
        "verify-attestation",
        &[
            "ingot verify-attestation -verifier=key.pub -artifact=disk.qcow2 \
             disk.qcow2.provenance.json",
            "ingot verify-attestation -key=awskms:///alias/builds -builder-id=ID web.provenance.json",
        ],
    ),
    ("version", &["ingot version"]),
    ("completions", &["ingot completions bash > ~/.local/share/bash-completion/completions/ingot"]),
    ("man-pages", &["ingot man-pages ~/.local/share/man/man1"]),
    (
        "registry",
        &[
            "ingot registry buckets list",
            "ingot registry channels assign web production v3",
            "ingot registry revoke web v2 -reason='CVE-2026-1234'",
            "ingot registry serve -listen=0.0.0.0:7420 -tls-name=images.example.com",
        ],
    ),
    ("registry login", &["ingot registry login", "ingot registry login -no-browser"]),
    ("registry logout", &["ingot registry logout"]),
    (
        "registry export",
        &[
            "ingot registry export hcp.json",
            "ingot registry export web.json -bucket=web -sboms=false",
        ],
    ),
    (
        "registry import",
        &["ingot registry import hcp.json", "ingot registry import hcp.json -bucket=web"],
    ),
    ("registry buckets", &["ingot registry buckets list", "ingot registry buckets show web -json"]),
    ("registry buckets list", &["ingot registry buckets list -json"]),
    ("registry buckets show", &["ingot registry buckets show web"]),
    (
        "registry buckets create",
        &["ingot registry buckets create web -description='Web servers' -label team=shop"],
    ),
    (
        "registry buckets update",
        &["ingot registry buckets update web -label team=shop -remove-label owner"],
    ),
    ("registry buckets delete", &["ingot registry buckets delete web"]),
    (
        "registry versions",
        &["ingot registry versions list web", "ingot registry versions show web v3"],
    ),
    ("registry versions list", &["ingot registry versions list web -json"]),
    ("registry versions show", &["ingot registry versions show web v3"]),
    (
        "registry versions create",
        &["ingot registry versions create web 5f4dcc3b -build=docker.web -build=qemu.web"],
    ),
    ("registry versions update", &["ingot registry versions update web v3 -complete"]),
    ("registry versions delete", &["ingot registry versions delete web v3"]),
    (
        "registry channels",
        &[
            "ingot registry channels list web",
            "ingot registry channels assign web production v3",
            "ingot registry channels rollback web production",
        ],
    ),
    ("registry channels list", &["ingot registry channels list web -json"]),
    ("registry channels show", &["ingot registry channels show web production"]),
    ("registry channels create", &["ingot registry channels create web production -assign=v3"]),
    (
        "registry channels update",
        &["ingot registry channels update web production -restricted=false"],
    ),
    ("registry channels delete", &["ingot registry channels delete web production"]),
    ("registry channels assign", &["ingot registry channels assign web production v3"]),
    ("registry channels rollback", &["ingot registry channels rollback web production"]),
    ("registry channels history", &["ingot registry channels history web production -json"]),
    (
        "registry artifacts",
        &[
            "ingot registry artifacts list web v3",
            "ingot registry artifacts find ami-0123456789abcdef0 -region=eu-central-1",
        ],
    ),
    ("registry artifacts list", &["ingot registry artifacts list web v3 -json"]),
    ("registry artifacts show", &["ingot registry artifacts show web v3 docker.web"]),
    (
        "registry artifacts create",
        &[
            "ingot registry artifacts create web v3 docker.web -platform=docker \
             -id=registry.example.com/web:3",
            "ingot registry artifacts create web v3 amazon-ebs.web -platform=aws \
             -image=eu-central-1=ami-0123456789abcdef0",
        ],
    ),
    (
        "registry artifacts update",
        &["ingot registry artifacts update web v3 docker.web -label scanned=yes"],
    ),
    ("registry artifacts delete", &["ingot registry artifacts delete web v3 docker.web"]),
    (
        "registry artifacts find",
        &["ingot registry artifacts find ami-0123456789abcdef0 -platform=aws \
           -region=eu-central-1"],
    ),
    ("registry sboms", &["ingot registry sboms list web v3", "ingot registry sboms get web v3"]),
    ("registry sboms list", &["ingot registry sboms list web v3 -json"]),
    ("registry sboms get", &["ingot registry sboms get web v3 docker.web -out=web.cdx.json"]),
    (
        "registry enforced-blocks",
        &[
            "ingot registry enforced-blocks create scan scan.pkr.hcl",
            "ingot registry enforced-blocks link scan web api",
        ],
    ),
    ("registry enforced-blocks list", &["ingot registry enforced-blocks list -json"]),
    ("registry enforced-blocks show", &["ingot registry enforced-blocks show scan"]),
    ("registry enforced-blocks content", &["ingot registry enforced-blocks content scan"]),
    (
        "registry enforced-blocks create",
        &["ingot registry enforced-blocks create scan scan.pkr.hcl -label team=security"],
    ),
    (
        "registry enforced-blocks add-version",
        &["ingot registry enforced-blocks add-version scan scan.pkr.hcl"],
    ),
    ("registry enforced-blocks link", &["ingot registry enforced-blocks link scan web api"]),
    ("registry enforced-blocks unlink", &["ingot registry enforced-blocks unlink scan api"]),
    ("registry enforced-blocks delete", &["ingot registry enforced-blocks delete scan"]),
    (
        "registry revoke",
        &[
            "ingot registry revoke web v2 -reason='CVE-2026-1234'",
            "ingot registry revoke web v2 -in=30d -rollback=false",
        ],
    ),
    ("registry restore", &["ingot registry restore web v2"]),
    ("registry ancestry", &["ingot registry ancestry", "ingot registry ancestry web -json"]),
    ("registry push", &["ingot registry push -list", "ingot registry push"]),
    (
        "registry check",
        &[
            "terraform show -json plan.out > plan.json && ingot registry check plan.json",
            "ingot registry check -outdated=fail -sarif plan.json > check.sarif",
        ],
    ),
    (
        "registry serve",
        &[
            "ingot registry serve",
            "ingot registry serve -listen=0.0.0.0:7420 -tls-cert=server.pem -tls-key=server.key",
            "ingot registry serve -plain-http -database-url=postgres://ingot@db.example.com/ingot",
        ],
    ),
    (
        "registry principal",
        &["ingot registry principal create ci -role=contributor", "ingot registry principal list"],
    ),
    (
        "registry principal create",
        &[
            "ingot registry principal create ci -role=contributor",
            "ingot registry principal create terraform -role=viewer -project=shop",
        ],
    ),
    ("registry principal list", &["ingot registry principal list"]),
    ("registry principal delete", &["ingot registry principal delete ci"]),
    ("registry project", &["ingot registry project create shop"]),
    ("registry project create", &["ingot registry project create shop"]),
    ("registry project list", &["ingot registry project list"]),
    ("registry project rename", &["ingot registry project rename shop store"]),
    ("registry project delete", &["ingot registry project delete store"]),
    (
        "registry webhook",
        &[
            "ingot registry webhook create https://ci.example.com/hook",
            "ingot registry webhook list",
        ],
    ),
    (
        "registry webhook create",
        &["ingot registry webhook create https://ci.example.com/hook -project=shop"],
    ),
    ("registry webhook list", &["ingot registry webhook list"]),
    ("registry webhook delete", &["ingot registry webhook delete 01J9Z3T7K2"]),
    ("registry sign-in-link", &["ingot registry sign-in-link", "ingot registry sign-in-link ci"]),
    (
        "registry run-task",
        &["ingot registry run-task show", "ingot registry run-task set -untracked=fail"],
    ),
    ("registry run-task show", &["ingot registry run-task show -project=shop"]),
    ("registry run-task rotate", &["ingot registry run-task rotate"]),
    ("registry run-task set", &["ingot registry run-task set -untracked=fail -outdated=warn"]),
    (
        "registry audit",
        &["ingot registry audit -limit=20", "ingot registry audit -limit=0 -json > audit.jsonl"],
    ),
    ("registry backup", &["ingot registry backup registry.backup"]),
    (
        "registry restore-backup",
        &[
            "ingot registry restore-backup -database-url=postgres://db.example.com/ingot registry.backup",
        ],
    ),
];

/// The examples of a command, each on a line of its own.
pub(super) fn of(path: &str) -> String {
    let lines = EXAMPLES.iter().filter(|(words, _)| *words == path).flat_map(|(_, lines)| *lines);
    lines.map(|line| format!("  {line}\n")).collect()
}

#[cfg(test)]
mod tests {
    use clap::Command;

    use super::super::{argv, command};
    use super::EXAMPLES;

    /// The arguments of the `ingot` in a line of a shell.
    fn arguments(line: &str) -> Vec<String> {
        let start = line.find("ingot ").expect("an example runs ingot");
        let mut words = vec![String::new()];
        let mut quoted = false;
        for c in line[start..].chars() {
            match c {
                '\'' => quoted = !quoted,
                ' ' if !quoted => words.push(String::new()),
                '>' | '<' | '|' if !quoted => {
                    words.pop();
                    break;
                }
                c => words.last_mut().expect("never empty").push(c),
            }
        }
        words
    }

    fn each(command: &Command, path: &str, check: &mut impl FnMut(&str, &Command)) {
        check(path, command);
        for inner in command.get_subcommands().filter(|inner| inner.get_name() != "help") {
            each(inner, format!("{path} {}", inner.get_name()).trim_start(), check);
        }
    }

    #[test]
    fn every_command_has_examples_that_it_takes() {
        let mut paths = Vec::new();
        each(&command::command(), "", &mut |path, _| {
            let found = EXAMPLES.iter().find(|(words, _)| *words == path);
            let (_, lines) = found.unwrap_or_else(|| panic!("`ingot {path}` has no examples"));
            for line in *lines {
                let arguments = arguments(line);
                let words = arguments.iter().skip(1).map(|word| word.as_str());
                let start: Vec<&str> = words.take(path.split_whitespace().count()).collect();
                assert_eq!(start.join(" "), path, "{line}");
                let all = command::command();
                let arguments = argv::normalize(&all, arguments.into_iter().map(Into::into));
                let parsed = all.try_get_matches_from(arguments);
                parsed.unwrap_or_else(|error| panic!("{line}\n{error}"));
            }
            paths.push(path.to_owned());
        });
        let gone: Vec<_> =
            EXAMPLES.iter().filter(|(words, _)| !paths.iter().any(|path| path == words)).collect();
        assert!(gone.is_empty(), "there are no such commands: {gone:?}");
    }

    #[test]
    fn help_shows_flags_as_packers_users_write_them() {
        each(&command::command(), "", &mut |path, command| {
            let help = command::with_one_dash(&command.clone().render_long_help().to_string());
            assert!(help.contains("Examples:\n  "), "{path}:\n{help}");
            assert!(!help.contains("--"), "{path}:\n{help}");
            for gone in ["[=<", "[default: false]", "[possible values: true, false]"] {
                assert!(!help.contains(gone), "{path}:\n{help}");
            }
        });
    }
}
