package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/hashicorp/hcl/v2/hcldec"
	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"
	"github.com/zclconf/go-cty/cty"
)

// postProcessor lists an artifact in a file.
type postProcessor struct {
	given options
}

func (p *postProcessor) ConfigSpec() hcldec.ObjectSpec {
	return with(shapes(), hcldec.ObjectSpec{
		"output": attr("output", cty.String),
		"keep":   attr("keep", cty.Bool),
		"force":  attr("force", cty.Bool),
		"same":   attr("same", cty.Bool),
		"slowly": attr("slowly", cty.Bool),
		"local":  attr("local", cty.String),
		"state":  attr("state", cty.List(cty.String)),
	})
}

func (p *postProcessor) Configure(raws ...interface{}) error {
	given, err := read(raws)
	if err != nil {
		return err
	}
	p.given = given
	if given.text("text") == "wrong" {
		return fmt.Errorf("'text' must not be wrong")
	}
	return given.fails("prepare")
}

func (p *postProcessor) PostProcess(ctx context.Context, ui packersdk.Ui, source packersdk.Artifact) (packersdk.Artifact, bool, bool, error) {
	ui.Say("post-processor options: " + p.given.shown())
	ui.Say(fmt.Sprintf("post-processor rendered: %s; sensitive: %v", p.given.sdk.Rendered, p.given.sdk.SensitiveVars))
	ui.Say(fmt.Sprintf("artifact %s of %s: %s", source.Id(), source.BuilderId(), source.String()))
	for _, file := range source.Files() {
		ui.Message("file " + filepath.Base(file))
	}
	for _, name := range p.given.texts("state") {
		ui.Message(fmt.Sprintf("state %s: %v", name, source.State(name)))
	}
	if err := p.given.fails("run"); err != nil {
		return nil, false, false, err
	}
	if err := p.given.runs(ctx, ui); err != nil {
		return nil, false, false, err
	}
	if p.given.flag("slowly") {
		ui.Message("waiting to be cancelled")
		select {
		case <-ctx.Done():
			if err := p.given.fails("stop"); err != nil {
				return nil, false, false, err
			}
			return nil, false, false, ctx.Err()
		case <-time.After(time.Hour):
		}
	}
	if p.given.flag("same") {
		return source, p.given.flag("keep"), p.given.flag("force"), nil
	}
	output := p.given.text("output")
	if output == "" {
		return nil, p.given.flag("keep"), p.given.flag("force"), nil
	}
	if err := os.MkdirAll(output, 0o755); err != nil {
		return nil, false, false, err
	}
	list := filepath.Join(output, "list")
	if err := os.WriteFile(list, []byte(source.Id()+"\n"), 0o644); err != nil {
		return nil, false, false, err
	}
	return &artifact{directory: output}, p.given.flag("keep"), p.given.flag("force"), nil
}
