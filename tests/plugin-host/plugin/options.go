package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os/exec"

	"github.com/hashicorp/hcl/v2/hcldec"
	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/gocty"
	ctyjson "github.com/zclconf/go-cty/cty/json"
)

func attr(name string, ty cty.Type) hcldec.Spec {
	return &hcldec.AttrSpec{Name: name, Type: ty}
}

// shapes are options of every shape that a plugin can have.
func shapes() hcldec.ObjectSpec {
	inner := hcldec.ObjectSpec{
		"label": attr("label", cty.String),
		"size":  attr("size", cty.Number),
	}
	return hcldec.ObjectSpec{
		"text":     attr("text", cty.String),
		"number":   attr("number", cty.Number),
		"flag":     attr("flag", cty.Bool),
		"texts":    attr("texts", cty.List(cty.String)),
		"numbers":  attr("numbers", cty.List(cty.Number)),
		"matrix":   attr("matrix", cty.List(cty.List(cty.String))),
		"named":    attr("named", cty.Map(cty.String)),
		"lists":    attr("lists", cty.Map(cty.List(cty.String))),
		"fail":     attr("fail", cty.String),
		"at":       attr("at", cty.String),
		"rendered": attr("rendered", cty.String),
		"boot":     &hcldec.BlockSpec{TypeName: "boot", Nested: inner},
		"disk": &hcldec.BlockListSpec{TypeName: "disk", Nested: hcldec.ObjectSpec{
			"size":      attr("size", cty.Number),
			"partition": &hcldec.BlockListSpec{TypeName: "partition", Nested: inner},
			"format":    &hcldec.BlockSpec{TypeName: "format", Nested: inner},
		}},
	}
}

func with(spec hcldec.ObjectSpec, more hcldec.ObjectSpec) hcldec.ObjectSpec {
	for name, option := range more {
		spec[name] = option
	}
	return spec
}

// options are what a component was given.
type options struct {
	facts  map[string]string
	values map[string]cty.Value
	all    cty.Value
	sdk    rendered
}

// read takes the facts about the build and the options out of what the host sent.
func read(raws []interface{}) (options, error) {
	given := options{facts: map[string]string{}}
	for _, raw := range raws {
		switch raw := raw.(type) {
		case cty.Value:
			given.all = raw
			given.values = raw.AsValueMap()
		case map[interface{}]interface{}:
			for name, value := range raw {
				given.facts[fmt.Sprint(name)] = fmt.Sprint(value)
			}
		case nil:
		default:
			return given, fmt.Errorf("options of the type %T", raw)
		}
	}
	if given.values == nil {
		return given, fmt.Errorf("no options")
	}
	if err := given.sdk.decode(raws); err != nil {
		return given, err
	}
	return given, nil
}

func (o options) text(name string) string {
	value, ok := o.values[name]
	if !ok || value.IsNull() {
		return ""
	}
	return value.AsString()
}

func (o options) flag(name string) bool {
	value, ok := o.values[name]
	return ok && !value.IsNull() && value.True()
}

func (o options) texts(name string) []string {
	var texts []string
	if value, ok := o.values[name]; ok && !value.IsNull() {
		if err := gocty.FromCtyValue(value, &texts); err != nil {
			panic(err)
		}
	}
	return texts
}

// fails fails if the options ask for it at this point.
func (o options) fails(at string) error {
	where := o.text("at")
	if where == "" {
		where = "run"
	}
	if where != at {
		return nil
	}
	return fail(o.text("fail"))
}

// runs runs the script of the option "local" on this machine, says its lines, and waits for its end
// even if the build is cancelled, as ansible does with ansible-playbook.
func (o options) runs(ctx context.Context, ui packersdk.Ui) error {
	script := o.text("local")
	if script == "" {
		return nil
	}
	command := exec.Command("sh", "-c", script)
	stdout, err := command.StdoutPipe()
	if err != nil {
		return err
	}
	if err := command.Start(); err != nil {
		return err
	}
	lines := bufio.NewScanner(stdout)
	for lines.Scan() {
		ui.Message(lines.Text())
	}
	if err := command.Wait(); err != nil {
		return fmt.Errorf("the local script: %w", err)
	}
	return ctx.Err()
}

// shown is what was given, as JSON, without what is absent.
func (o options) shown() string {
	bytes, err := ctyjson.SimpleJSONValue{Value: o.all}.MarshalJSON()
	if err != nil {
		panic(err)
	}
	var values map[string]interface{}
	if err := json.Unmarshal(bytes, &values); err != nil {
		panic(err)
	}
	for name, value := range values {
		list, isList := value.([]interface{})
		if value == nil || (isList && len(list) == 0) {
			delete(values, name)
		}
	}
	bytes, err = json.Marshal(values)
	if err != nil {
		panic(err)
	}
	return string(bytes)
}
