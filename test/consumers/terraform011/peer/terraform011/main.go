// SPDX-License-Identifier: MPL-2.0

// Program terraform011 is a provider and a provisioner for Terraform 0.11. Both
// speak net/rpc, and call their host back through the broker: one to ask its user,
// the other to say how far it is.
package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/hashicorp/terraform/plugin"
	"github.com/hashicorp/terraform/terraform"
)

func main() {
	plugin.Serve(&plugin.ServeOpts{
		ProviderFunc:    newProvider,
		ProvisionerFunc: newProvisioner,
	})
}

// newProvider makes a provider with a prefix, which the user is asked for: what
// its resources say tells whether hosts are mixed up.
func newProvider() terraform.ResourceProvider {
	var prefix string
	return &terraform.MockResourceProvider{
		InputFn: func(ui terraform.UIInput, c *terraform.ResourceConfig) (*terraform.ResourceConfig, error) {
			answer, err := ui.Input(context.Background(), &terraform.InputOpts{Id: "prefix", Query: "Which prefix?"})
			if err != nil {
				return nil, fmt.Errorf("ask for the prefix: %w", err)
			}
			return &terraform.ResourceConfig{Raw: map[string]any{"prefix": answer}}, nil
		},
		ConfigureFn: func(c *terraform.ResourceConfig) error {
			prefix, _ = c.Raw["prefix"].(string)
			if prefix == "" {
				return errors.New("no prefix is configured")
			}
			return nil
		},
		ApplyFn: func(_ *terraform.InstanceInfo, _ *terraform.InstanceState, diff *terraform.InstanceDiff) (*terraform.InstanceState, error) {
			text := diff.Attributes["text"].New
			if text == "bad" {
				return nil, errors.New("no note may say bad")
			}
			return &terraform.InstanceState{ID: text, Attributes: map[string]string{"said": prefix + ": " + text}}, nil
		},
		ResourcesReturn: []terraform.ResourceType{{Name: "sample_note"}},
	}
}

// provisioner tells its host ten times where it is.
type provisioner struct{}

func newProvisioner() terraform.ResourceProvisioner { return provisioner{} }

func (provisioner) Validate(*terraform.ResourceConfig) ([]string, []error) {
	return []string{"it only talks"}, nil
}

func (provisioner) Apply(out terraform.UIOutput, state *terraform.InstanceState, c *terraform.ResourceConfig) error {
	for i := range 10 {
		out.Output(fmt.Sprintf("%v: step %d of %s", c.Raw["greeting"], i, state.ID))
	}
	if state.ID == "bad" {
		return errors.New("a bad one is not provisioned")
	}
	return nil
}

func (provisioner) Stop() error { return nil }
