package main

import (
	"strings"

	"github.com/hashicorp/hcl/v2/hcldec"
	"github.com/hashicorp/packer-plugin-sdk/template/config"
	"github.com/hashicorp/packer-plugin-sdk/template/interpolate"
	"github.com/zclconf/go-cty/cty"
)

// rendered is the option that is decoded as most plugins decode all of theirs: by the SDK, which
// renders it.
type rendered struct {
	SensitiveVars []string `mapstructure:"packer_sensitive_variables"`
	Rendered      string   `mapstructure:"rendered"`

	ctx interpolate.Context
}

// flatRendered is the same in the form of HCL2.
type flatRendered struct {
	Rendered *string `cty:"rendered"`
}

func (*rendered) FlatMapstructure() interface{ HCL2Spec() map[string]hcldec.Spec } {
	return new(flatRendered)
}

func (*flatRendered) HCL2Spec() map[string]hcldec.Spec {
	return map[string]hcldec.Spec{"rendered": attr("rendered", cty.String)}
}

// decode takes the option out of what the host sent.
func (r *rendered) decode(raws []interface{}) error {
	own := make([]interface{}, len(raws))
	for i, raw := range raws {
		own[i] = raw
		if value, ok := raw.(cty.Value); ok {
			option := cty.NullVal(cty.String)
			if value.Type().HasAttribute("rendered") {
				option = value.GetAttr("rendered")
			}
			own[i] = cty.ObjectVal(map[string]cty.Value{"rendered": option})
		}
	}
	ctx := interpolate.Context{Funcs: map[string]interface{}{
		// As builders of clouds have it.
		"clean_resource_name": func(text string) string {
			return strings.ReplaceAll(strings.ToLower(text), " ", "-")
		},
	}}
	if err := config.Decode(r, &config.DecodeOpts{Interpolate: true, InterpolateContext: &ctx}, own...); err != nil {
		return err
	}
	r.ctx = ctx
	return nil
}

// during is the option with what only the run knows.
func (r *rendered) during(data map[string]interface{}) (string, error) {
	ctx := r.ctx
	ctx.Data = data
	return interpolate.Render(r.Rendered, &ctx)
}
