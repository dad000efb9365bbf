package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2/hcldec"
	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"
	"github.com/zclconf/go-cty/cty"
)

// provisioner uses everything that it is offered.
type provisioner struct {
	given options
}

func (p *provisioner) ConfigSpec() hcldec.ObjectSpec {
	return with(shapes(), hcldec.ObjectSpec{
		"run":       attr("run", cty.List(cty.String)),
		"stream":    attr("stream", cty.Bool),
		"copy":      attr("copy", cty.String),
		"directory": attr("directory", cty.String),
		"ask":       attr("ask", cty.String),
		"slowly":    attr("slowly", cty.Bool),
		"local":     attr("local", cty.String),
	})
}

func (p *provisioner) Prepare(raws ...interface{}) error {
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

func (p *provisioner) Provision(ctx context.Context, ui packersdk.Ui, machine packersdk.Communicator, data map[string]interface{}) error {
	ui.Say("provisioner options: " + p.given.shown())
	text, err := p.given.sdk.during(data)
	if err != nil {
		return err
	}
	ui.Say(fmt.Sprintf("provisioner rendered: %s; sensitive: %v", text, p.given.sdk.SensitiveVars))
	var names []string
	for name := range data {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		switch name {
		case "ID", "Directory", "Answer", "ConnType", "PackerHTTPAddr":
			ui.Message(fmt.Sprintf("%s = %v (%T)", name, data[name], data[name]))
		}
	}
	ui.Machine("trial-fact", "one", "two,three")
	if question := p.given.text("ask"); question != "" {
		answer, err := ui.Ask(question)
		if err != nil {
			ui.Error("nobody to ask: " + err.Error())
		} else {
			ui.Say("answer: " + answer)
		}
	}
	if err := p.given.fails("run"); err != nil {
		return err
	}
	if err := p.given.runs(ctx, ui); err != nil {
		return err
	}
	if p.given.flag("slowly") {
		ui.Message("waiting to be cancelled")
		select {
		case <-ctx.Done():
			ui.Say("stopped by cancellation")
			if err := p.given.fails("stop"); err != nil {
				return err
			}
			return ctx.Err()
		case <-time.After(time.Hour):
		}
	}
	for _, line := range p.given.texts("run") {
		command := &packersdk.RemoteCmd{Command: line}
		if err := command.RunWithUi(ctx, machine, ui); err != nil {
			return err
		}
		if status := command.ExitStatus(); status != 0 {
			return fmt.Errorf("the command %q ended with %d", line, status)
		}
	}
	if p.given.flag("stream") {
		if err := p.stream(ctx, ui, machine); err != nil {
			return err
		}
	}
	if source := p.given.text("copy"); source != "" {
		if err := p.copy(ui, machine, source); err != nil {
			return err
		}
	}
	if source := p.given.text("directory"); source != "" {
		if err := machine.UploadDir("/tmp/trial-there", source+"/", nil); err != nil {
			return err
		}
		back, err := os.MkdirTemp("", "trial")
		if err != nil {
			return err
		}
		defer os.RemoveAll(back)
		if err := machine.DownloadDir("/tmp/trial-there", back, nil); err != nil {
			return err
		}
		filepath.Walk(back, func(path string, info os.FileInfo, err error) error {
			if err == nil && info.Mode().IsRegular() {
				ui.Message("came back: " + strings.TrimPrefix(path, back))
			}
			return nil
		})
	}
	return nil
}

// stream talks with a command that answers each line before it gets the next.
func (p *provisioner) stream(ctx context.Context, ui packersdk.Ui, machine packersdk.Communicator) error {
	toCommand, stdin := io.Pipe()
	stdout, fromCommand := io.Pipe()
	command := &packersdk.RemoteCmd{
		Command: `while read line; do echo "got $line"; done`,
		Stdin:   toCommand,
		Stdout:  fromCommand,
	}
	if err := machine.Start(ctx, command); err != nil {
		return err
	}
	answers := bufio.NewReader(stdout)
	for _, line := range []string{"one", "two"} {
		fmt.Fprintln(stdin, line)
		answer, err := answers.ReadString('\n')
		if err != nil {
			return err
		}
		ui.Say(strings.TrimSpace(answer))
	}
	stdin.Close()
	if status := command.Wait(); status != 0 {
		return fmt.Errorf("the conversation ended with %d", status)
	}
	return nil
}

func (p *provisioner) copy(ui packersdk.Ui, machine packersdk.Communicator, source string) error {
	file, err := os.Open(source)
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	tracked := ui.TrackProgress(filepath.Base(source), 0, info.Size(), file)
	defer tracked.Close()
	if err := machine.Upload("/tmp/trial-copy", tracked, &info); err != nil {
		return err
	}
	// Without what is known of the file, too.
	if err := machine.Upload("/tmp/trial-text", strings.NewReader("plain"), nil); err != nil {
		return err
	}
	var back, text bytes.Buffer
	if err := machine.Download("/tmp/trial-copy", &back); err != nil {
		return err
	}
	if err := machine.Download("/tmp/trial-text", &text); err != nil {
		return err
	}
	original, err := os.ReadFile(source)
	if err != nil {
		return err
	}
	ui.Say(fmt.Sprintf("copied %d bytes, the same: %v, and %q", back.Len(),
		bytes.Equal(original, back.Bytes()), text.String()))
	return nil
}
