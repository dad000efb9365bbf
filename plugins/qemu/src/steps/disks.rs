//! The machine's disks, before and after it runs.

use std::path::{Path, PathBuf};

use ingot_sdk::{Context, Result, RunContext, Step, async_trait};

use super::State;
use super::media::make_discs;
use super::states::give_up_if_damaged;
use crate::{copy, qemu_img};

/// Creates the disks, or copies and resizes the disk image.
pub(super) struct CreateDisks;

#[async_trait]
impl Step<State> for CreateDisks {
    fn name(&self) -> &'static str {
        "create disks"
    }

    async fn run(&self, ctx: &RunContext, state: &mut State) -> Result<()> {
        let disks = state.settings.disks();
        if let Some(found) = state.states.found.clone() {
            ctx.ui.say("Copying the disks of the cached state");
            match found.copy_disks(ctx, &state.settings, &state.medium).await {
                Ok(has_changed) => {
                    // What was removed takes room until the set is written without it.
                    *state.states.new.lock() |= has_changed;
                    state.runtime.disks = disks;
                    return Ok(());
                }
                Err(fault) => give_up_if_damaged(ctx, state, fault).await?,
            }
            // Those that there are came from the state.
            make_discs(ctx, state).await?;
            remove_disks(&disks);
        }
        let settings = &state.settings;
        let raw = &settings.raw;
        if !raw.disk_additional_size.is_empty() || raw.use_backing_file {
            ctx.ui.say("Creating required virtual machine disks");
        }
        let sizes = [&settings.disk_size].into_iter().chain(&raw.disk_additional_size);
        for (number, (disk, size)) in disks.iter().zip(sizes).enumerate() {
            if number == 0 && raw.disk_image && !raw.use_backing_file {
                continue;
            }
            let mut arguments = words(&["create", "-f", raw.format()]);
            if number == 0 && raw.use_backing_file {
                let medium = state.medium.display().to_string();
                let format = qemu_img::format(ctx, &state.medium).await?;
                arguments.extend(words(&["-b", &medium, "-F", &format]));
            }
            arguments.extend(raw.image_arguments().create);
            arguments.extend([disk.display().to_string(), size.clone()]);
            qemu_img::run(ctx, arguments).await.context("creating a disk")?;
        }
        if raw.disk_image {
            if !raw.use_backing_file {
                copy_image(ctx, state, &disks[0]).await?;
            }
            if !raw.skip_resize_disk {
                ctx.ui.say("Resizing hard drive...");
                let mut arguments = words(&["resize", "-f", raw.format()]);
                arguments.extend(raw.image_arguments().resize);
                arguments.extend([disks[0].display().to_string(), settings.disk_size.clone()]);
                qemu_img::run(ctx, arguments).await.context("resizing the disk")?;
            }
        }
        state.runtime.disks = disks;
        Ok(())
    }

    async fn undo_for_retry(&self, _: &RunContext, state: &mut State) {
        remove_disks(&state.settings.disks());
    }
}

/// Removes what there is of disks that are to be made again.
fn remove_disks(disks: &[PathBuf]) {
    for disk in disks {
        // Perhaps it was not come to.
        let _ = std::fs::remove_file(disk);
    }
}

async fn copy_image(ctx: &RunContext, state: &State, disk: &Path) -> Result<()> {
    let raw = &state.settings.raw;
    let format = qemu_img::format(ctx, &state.medium).await?;
    if copy::is_enough(raw, &state.medium, &format) {
        ctx.ui.message(
            "File extension already matches desired output format. Skipping qemu-img convert step",
        );
        let label = format!("Copying {}", state.medium.display());
        let copied = copy::copy(ctx, Some(&label), &state.medium, disk).await;
        return copied.context("copying the disk image");
    }
    ctx.ui.say("Copying hard drive...");
    let medium = state.medium.display().to_string();
    let arguments = words(&["-O", raw.format(), &medium, &disk.display().to_string()]);
    let label = "Copying the disk image";
    qemu_img::convert(ctx, label, &state.medium, arguments).await.context("copying the disk image")
}

/// Copies the finished disk, which leaves out what the machine has freed, and compresses it if
/// the options say so.
pub(super) struct ConvertDisk;

#[async_trait]
impl Step<State> for ConvertDisk {
    fn name(&self) -> &'static str {
        "convert disk"
    }

    async fn run(&self, ctx: &RunContext, state: &mut State) -> Result<()> {
        ctx.ui.say("Converting hard drive...");
        state.check_output()?;
        let settings = &state.settings;
        let disk = settings.output.join(&settings.vm_name);
        let converted = settings.output.join(format!("{}.convert", settings.vm_name));
        let mut arguments = Vec::new();
        if settings.compresses {
            arguments.push("-c".to_owned());
        }
        arguments.extend(settings.raw.image_arguments().convert);
        let (from, to) = (disk.display().to_string(), converted.display().to_string());
        arguments.extend(words(&["-O", settings.raw.format(), &from, &to]));
        let label =
            if settings.compresses { "Compressing the disk" } else { "Compacting the disk" };
        qemu_img::convert(ctx, label, &disk, arguments).await.context("converting the disk")?;
        // Else it would be put in the place of another build's disk.
        state.check_output()?;
        tokio::fs::rename(&converted, &disk).await.with_context(|| format!("moving {to} to {from}"))
    }
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use ingot_sdk::{Config, Decoded, PrepareContext};
    use serde_json::json;

    use super::*;
    use crate::settings::Settings;

    #[tokio::test]
    async fn disks_that_are_there_in_part_are_made_again() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        let image = path("image.qcow2");
        let mut command = std::process::Command::new("qemu-img");
        command.args(["create", "-q", "-f", "qcow2"]).arg(&image).arg("1M");
        // Without QEMU there are no disks of QEMU's to test either.
        if !command.status().is_ok_and(|status| status.success()) {
            return;
        }
        let options = json!({
            "iso_url": image, "iso_checksum": "none", "disk_image": true, "skip_resize_disk": true,
            "communicator": "none", "headless": true, "output_directory": path("out"),
            "vm_name": "disk.qcow2",
        });
        let config = Config::new(options.as_object().unwrap().clone());
        let given = Decoded { options: config.decode().unwrap(), config: &config };
        let settings = Settings::prepare(given, &PrepareContext::default()).unwrap().ready;
        let mut state = State::new(settings);
        state.medium = image;
        // As where there was no room for the rest.
        std::fs::create_dir(path("out")).unwrap();
        std::fs::write(path("out/disk.qcow2"), "a part").unwrap();
        let ctx = ingot_sdk::testing::context(Default::default(), &Default::default());
        assert!(CreateDisks.run(&ctx, &mut state).await.is_err());
        CreateDisks.undo_for_retry(&ctx, &mut state).await;
        CreateDisks.run(&ctx, &mut state).await.unwrap();
        assert!(std::fs::read(path("out/disk.qcow2")).unwrap().starts_with(b"QFI"));
    }
}
