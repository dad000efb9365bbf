package main

import (
	"fmt"

	"github.com/hashicorp/hcl/v2/hcldec"
	"github.com/zclconf/go-cty/cty"
)

// datasource yields a value of every type.
type datasource struct {
	given options
}

func (d *datasource) ConfigSpec() hcldec.ObjectSpec {
	return with(shapes(), hcldec.ObjectSpec{"secret": attr("secret", cty.String)})
}

func (d *datasource) OutputSpec() hcldec.ObjectSpec {
	return hcldec.ObjectSpec{
		"text":   attr("text", cty.String),
		"number": attr("number", cty.Number),
		"large":  attr("large", cty.Number),
		"part":   attr("part", cty.Number),
		"flag":   attr("flag", cty.Bool),
		"texts":  attr("texts", cty.List(cty.String)),
		"named":  attr("named", cty.Map(cty.String)),
		"absent": attr("absent", cty.String),
	}
}

func (d *datasource) Configure(raws ...interface{}) error {
	given, err := read(raws)
	if err != nil {
		return err
	}
	d.given = given
	if given.text("text") == "wrong" {
		return fmt.Errorf("'text' must not be wrong")
	}
	return given.fails("prepare")
}

func (d *datasource) Execute() (cty.Value, error) {
	if err := d.given.fails("run"); err != nil {
		return cty.NullVal(cty.EmptyObject), err
	}
	return cty.ObjectVal(map[string]cty.Value{
		"text":   cty.StringVal("said: " + d.given.text("text")),
		"number": cty.NumberIntVal(-7),
		"large":  cty.NumberUIntVal(1 << 60),
		"part":   cty.NumberFloatVal(2.5),
		"flag":   cty.True,
		"texts":  cty.ListVal([]cty.Value{cty.StringVal("a"), cty.StringVal("b")}),
		"named":  cty.MapVal(map[string]cty.Value{"k": cty.StringVal("v")}),
		"absent": cty.NullVal(cty.String),
	}), nil
}
