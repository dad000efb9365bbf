package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2/hcldec"
	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"
	"github.com/hashicorp/packer-plugin-sdk/packer/registry/image"
	"github.com/zclconf/go-cty/cty"
)

// builder builds a directory. Its "machine" is a shell in it.
type builder struct {
	given options
}

func (b *builder) ConfigSpec() hcldec.ObjectSpec {
	return with(shapes(), hcldec.ObjectSpec{
		"directory":  &hcldec.AttrSpec{Name: "directory", Type: cty.String, Required: true},
		"connection": attr("connection", cty.String),
		"discard":    attr("discard", cty.Bool),
		"slowly":     attr("slowly", cty.Bool),
		"local":      attr("local", cty.String),
	})
}

func (b *builder) Prepare(raws ...interface{}) ([]string, []string, error) {
	given, err := read(raws)
	if err != nil {
		return nil, nil, err
	}
	b.given = given
	if err := given.fails("prepare"); err != nil {
		return nil, nil, err
	}
	var problems []string
	if given.text("text") == "wrong" {
		problems = append(problems, "'text' must not be wrong")
	}
	if strings.HasPrefix(given.text("directory"), "no") {
		problems = append(problems, "the 'directory' must be somewhere")
	}
	var warnings []string
	if given.text("text") == "odd" {
		warnings = append(warnings, "the 'text' is odd")
	}
	switch len(problems) {
	case 0:
	case 1:
		return nil, warnings, fmt.Errorf("1 error occurred:\n\t* %s\n\n", problems[0])
	default:
		return nil, warnings, fmt.Errorf("%d errors occurred:\n\t* %s\n\n", len(problems),
			strings.Join(problems, "\n\t* "))
	}
	return []string{"Directory", "Answer"}, warnings, nil
}

func (b *builder) Run(ctx context.Context, ui packersdk.Ui, hook packersdk.Hook) (packersdk.Artifact, error) {
	directory := b.given.text("directory")
	ui.Say("options: " + b.given.shown())
	ui.Say("rendered: " + b.given.sdk.Rendered)
	ui.Say(fmt.Sprintf("facts: %s %s debug=%s force=%s on-error=%s version=%s",
		b.given.facts["packer_build_name"], b.given.facts["packer_builder_type"],
		b.given.facts["packer_debug"], b.given.facts["packer_force"],
		b.given.facts["packer_on_error"], b.given.facts["packer_core_version"]))
	if err := os.MkdirAll(directory, 0o755); err != nil {
		return nil, err
	}
	cleanup := func() {
		ui.Say("removing " + filepath.Base(directory))
		os.RemoveAll(directory)
	}
	if err := b.given.fails("run"); err != nil {
		cleanup()
		return nil, err
	}
	if err := b.given.runs(ctx, ui); err != nil {
		cleanup()
		return nil, err
	}
	if b.given.flag("slowly") {
		ui.Message("waiting to be cancelled")
		select {
		case <-ctx.Done():
			time.Sleep(300 * time.Millisecond)
			if err := b.given.fails("stop"); err != nil {
				return nil, err
			}
			cleanup()
			return nil, ctx.Err()
		case <-time.After(time.Hour):
		}
	}
	connection := b.given.text("connection")
	if connection == "" {
		connection = "local"
	}
	data := map[string]interface{}{
		"ID": "trial-1", "Host": "localhost", "ConnType": connection,
		"Directory": directory, "Answer": 42, "PackerRunUUID": os.Getenv("PACKER_RUN_UUID"),
	}
	machine := &shell{root: directory, winrm: connection == "winrm"}
	if err := hook.Run(ctx, packersdk.HookProvision, ui, machine, data); err != nil {
		// As the SDK's runners of steps do it.
		how := b.given.facts["packer_on_error"]
		if how == "ask" {
			answer, err := ui.Ask("Leave the directory? [y/n]")
			if err != nil {
				ui.Error("nobody to ask: " + err.Error())
			} else if answer == "y" {
				how = "abort"
			}
		}
		if how == "abort" {
			return nil, err
		}
		ui.Say("Provisioning step had errors: Running the cleanup provisioner, if present...")
		if err := hook.Run(context.Background(), packersdk.HookCleanupProvision, ui, machine, data); err != nil {
			ui.Error("cleaning up: " + err.Error())
		}
		if how == "run-cleanup-provisioner" {
			return nil, err
		}
		cleanup()
		return nil, err
	}
	if b.given.flag("discard") {
		cleanup()
		return nil, nil
	}
	return &artifact{directory: directory, data: data}, nil
}

// artifact is a directory.
type artifact struct {
	directory string
	data      map[string]interface{}
}

func (a *artifact) BuilderId() string { return "ingot.trial" }
func (a *artifact) Id() string        { return filepath.Base(a.directory) }
func (a *artifact) String() string    { return "A directory: " + a.directory }
func (a *artifact) Destroy() error    { return os.RemoveAll(a.directory) }

func (a *artifact) Files() []string {
	var files []string
	filepath.Walk(a.directory, func(path string, info os.FileInfo, err error) error {
		if err == nil && info.Mode().IsRegular() {
			files = append(files, path)
		}
		return nil
	})
	return files
}

func (a *artifact) State(name string) interface{} {
	switch name {
	case "generated_data":
		return a.data
	case "par.artifact.metadata":
		img, err := image.FromArtifact(a, image.WithProvider("trial"), image.WithRegion("here"),
			image.WithSourceID("trial-0"), image.SetLabels(map[string]interface{}{"kind": "test"}))
		if err != nil {
			return err
		}
		return img
	case "size":
		return len(a.Files())
	}
	return nil
}
