// SPDX-License-Identifier: MPL-2.0

// Program tflint is a ruleset that is written with tflint-plugin-sdk. Its rule reads
// the notes of the host, lets it evaluate their texts, and emits an issue for each.
package main

import (
	"fmt"

	"github.com/terraform-linters/tflint-plugin-sdk/hclext"
	"github.com/terraform-linters/tflint-plugin-sdk/plugin"
	"github.com/terraform-linters/tflint-plugin-sdk/tflint"
)

func main() {
	rules := []tflint.Rule{&noteRule{}}
	plugin.Serve(&plugin.ServeOpts{RuleSet: &ruleset{tflint.BuiltinRuleSet{
		Name: "sample", Version: "0.1.0", Rules: rules, EnabledRules: rules,
	}}})
}

// ruleset has its rules always: the SDK keeps those that a host has enabled in the
// ruleset itself, which is that of all hosts.
type ruleset struct{ tflint.BuiltinRuleSet }

func (*ruleset) ApplyGlobalConfig(*tflint.Config) error { return nil }

type noteRule struct{ tflint.DefaultRule }

func (*noteRule) Name() string              { return "sample_note" }
func (*noteRule) Enabled() bool             { return true }
func (*noteRule) Severity() tflint.Severity { return tflint.WARNING }

// Check calls the host back twice for each note, and once for all of them.
func (r *noteRule) Check(runner tflint.Runner) error {
	notes, err := runner.GetResourceContent("sample_note",
		&hclext.BodySchema{Attributes: []hclext.AttributeSchema{{Name: "text"}}}, nil)
	if err != nil {
		return err
	}
	for _, note := range notes.Blocks {
		text := note.Body.Attributes["text"]
		var said string
		if err := runner.EvaluateExpr(text.Expr, &said, nil); err != nil {
			return err
		}
		if said == "bad" {
			return fmt.Errorf("no note may say %s", said)
		}
		if err := runner.EmitIssue(r, fmt.Sprintf("%s says %q", note.Labels[1], said), text.Range); err != nil {
			return err
		}
	}
	return nil
}
