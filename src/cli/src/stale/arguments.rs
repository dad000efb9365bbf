//! The command lines of the builds of a family's members.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use ingot_family::MemberBuild;
use ingot_report::ReportTarget;
use ingot_template::variables::VariableFlag;

use crate::args::{BuildArgs, OnErrorFlag};

/// What the command lines of all builds are made of.
pub(super) struct MemberArguments {
    /// What all builds are given.
    flags: Vec<String>,
    /// The reports that are wanted, of which each member has its own.
    reports: Vec<ReportTarget>,
}

impl MemberArguments {
    /// From the flags that the family is built with.
    pub(super) fn of(args: &BuildArgs) -> Self {
        MemberArguments { flags: member_flags(args), reports: args.report.clone() }
    }

    /// The arguments of one build.
    pub(super) fn of_build(&self, build: &MemberBuild<'_>) -> Vec<OsString> {
        let member = build.member;
        let mut arguments = vec![OsString::from("build")];
        arguments.extend(self.flags.iter().map(OsString::from));
        if let Some(parallel) = build.parallel {
            arguments.push(format!("-parallel-builds={parallel}").into());
        }
        if build.only_if_changed {
            arguments.push("-changed-only".into());
        }
        for report in &self.reports {
            let mut flag = OsString::from(format!("-report={}:", report.format.name()));
            flag.push(report_of(&report.path, &member.bucket));
            arguments.push(flag);
        }
        for flag in &member.variables {
            match flag {
                VariableFlag::Value(text) => {
                    arguments.extend([OsString::from("-var"), OsString::from(text)])
                }
                VariableFlag::File(path) => {
                    arguments.extend([OsString::from("-var-file"), OsString::from(path)])
                }
            }
        }
        arguments.push(member.template.clone().into());
        arguments
    }
}

/// The flags that all builds get.
fn member_flags(args: &BuildArgs) -> Vec<String> {
    // Of a build both streams are coloured, or none.
    let color = crate::may_color(&std::io::stdout()) && crate::may_color(&std::io::stderr());
    let mut flags = vec![format!("-color={color}"), "-progress=plain".to_owned()];
    let switches = [
        ("-force", args.force),
        ("-machine-readable", args.machine_readable),
        ("-timestamp-ui", args.timestamp_ui),
        ("-warn-on-undeclared-var", args.warn_on_undeclared_var),
        ("-ignore-prerelease-plugins", args.installed.ignore_prerelease_plugins),
        ("-skip-enforcement", args.skip_enforcement),
        ("-no-cache", args.step_cache.no_cache),
        ("-explain", args.step_cache.explain),
    ];
    let on = switches.iter().filter(|(_, on)| *on);
    flags.extend(on.map(|(flag, _)| (*flag).to_owned()));
    flags.extend(args.step_cache.cache.map(|on| format!("-cache={on}")));
    let directory = args.step_cache.cache_dir.as_deref();
    let directory = directory.map(|path| std::path::absolute(path).unwrap_or_else(|_| path.into()));
    flags.extend(directory.map(|path| format!("-cache-dir={}", path.display())));
    flags.extend(args.selection.only.iter().map(|patterns| format!("-only={patterns}")));
    flags.extend(args.selection.except.iter().map(|patterns| format!("-except={patterns}")));
    match args.on_error {
        Some(OnErrorFlag::Abort) => flags.push("-on-error=abort".into()),
        Some(OnErrorFlag::RunCleanupProvisioner) => {
            flags.push("-on-error=run-cleanup-provisioner".into());
        }
        Some(OnErrorFlag::Cleanup | OnErrorFlag::Ask | OnErrorFlag::Keep) | None => {}
    }
    flags
}

/// The file of a member's own report: `reports/web.junit.xml` for `reports/junit.xml`.
fn report_of(path: &Path, bucket: &str) -> PathBuf {
    let mut name = OsString::from(bucket);
    name.push(".");
    name.push(path.file_name().unwrap_or_default());
    path.with_file_name(name)
}
