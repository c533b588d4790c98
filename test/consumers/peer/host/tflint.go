// SPDX-License-Identifier: MPL-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"os/exec"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/terraform-linters/tflint-plugin-sdk/hclext"
	"github.com/terraform-linters/tflint-plugin-sdk/plugin/host2plugin"
	"github.com/terraform-linters/tflint-plugin-sdk/tflint"
	"github.com/zclconf/go-cty/cty"
)

// tflintHost is what TFLint does with a ruleset.
type tflintHost struct{}

// run lints 20 notes, and then one that the ruleset refuses. The SDK's client can
// only start a child. So a network plugin has one that prints its line for it, and
// hosts of both libraries find it without the fork's handshake.
func (tflintHost) run(_ context.Context, how, where string, out io.Writer, self string) error {
	cmd := exec.Command(where)
	if how != "child" {
		cmd = exec.Command("sh", "-c", `echo "1|11|tcp|$0|grpc"; exec sleep 60`, where)
	}
	client := host2plugin.NewClient(&host2plugin.ClientOpts{Cmd: cmd})
	leave := client.Kill
	if how != "child" {
		leave = func() { _ = cmd.Process.Kill() }
	}
	defer leave()
	protocol, err := client.Client()
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	rules, err := dispense[*host2plugin.Client](protocol, "ruleset")
	if err != nil {
		return err
	}
	say := func(what string, answer any) {
		fmt.Fprintln(out, strings.ReplaceAll(fmt.Sprintf("%s: %v", what, answer), self, "MINE"))
	}
	name, err := rules.RuleSetName()
	say("ruleset", fmt.Sprint(name, err))
	names, err := rules.RuleNames()
	say("rules", fmt.Sprint(names, err))
	// A ruleset takes no configuration of a host that has not asked for this.
	constraints, err := rules.VersionConstraints()
	say("TFLint", fmt.Sprint(constraints, err))
	say("configured", rules.ApplyGlobalConfig(&tflint.Config{}))
	var source strings.Builder
	for i := range 20 {
		fmt.Fprintf(&source, "resource \"sample_note\" \"n%d\" {\n  text = \"${owner}: note %d\"\n}\n", i, i)
	}
	for _, text := range []string{source.String(), "resource \"sample_note\" \"n\" {\n  text = \"bad\"\n}\n"} {
		say("checked", rules.Check(module{source: []byte(text), owner: self, say: say}))
	}
	return nil
}

// module is a Terraform module of one file, main.tf, which the plugin asks about. Its
// expressions may use owner.
type module struct {
	source []byte
	owner  string
	say    func(what string, answer any)
}

func (module) GetOriginalwd() string   { return "/" }
func (module) GetModulePath() []string { return nil }

func (m module) GetFiles(tflint.ModuleCtxType) map[string][]byte {
	return map[string][]byte{"main.tf": m.source}
}

func (m module) GetFile(name string) (*hcl.File, error) {
	file, diags := hclsyntax.ParseConfig(m.source, name, hcl.InitialPos)
	if diags.HasErrors() {
		return nil, diags
	}
	return file, nil
}

func (m module) GetModuleContent(schema *hclext.BodySchema, _ tflint.GetModuleContentOption) (*hclext.BodyContent, hcl.Diagnostics) {
	file, diags := hclsyntax.ParseConfig(m.source, "main.tf", hcl.InitialPos)
	if diags.HasErrors() {
		return nil, diags
	}
	return hclext.PartialContent(file.Body, schema)
}

func (module) GetRuleConfigContent(string, *hclext.BodySchema) (*hclext.BodyContent, map[string][]byte, error) {
	return &hclext.BodyContent{}, nil, nil
}

func (m module) EvaluateExpr(expr hcl.Expression, _ tflint.EvaluateExprOption) (cty.Value, error) {
	value, diags := expr.Value(&hcl.EvalContext{Variables: map[string]cty.Value{"owner": cty.StringVal(m.owner)}})
	if diags.HasErrors() {
		return cty.NilVal, diags
	}
	return value, nil
}

func (m module) EmitIssue(rule tflint.Rule, message string, where hcl.Range, _ bool) (bool, error) {
	m.say("issue", fmt.Sprintf("%s of %s at %s", message, rule.Name(), where))
	return true, nil
}

func (module) ApplyChanges(map[string][]byte) error { return nil }
