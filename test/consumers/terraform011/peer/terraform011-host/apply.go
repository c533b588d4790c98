// SPDX-License-Identifier: MPL-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/terraform/terraform"
)

const (
	// deadline bounds all calls together.
	deadline = time.Minute

	notes = 20
)

// apply does what terraform apply does: it lets the provider ask its user for the
// prefix, configures it, and applies and provisions notes, all at once. Self is
// the prefix: no other host has it, and it is printed as MINE, so that all hosts
// print the same.
func apply(provider terraform.ResourceProvider, provisioner terraform.ResourceProvisioner, out io.Writer, self string) error {
	for _, r := range provider.Resources() {
		fmt.Fprintln(out, "resource", r.Name)
	}
	warnings, errs := provisioner.Validate(config("greeting", self))
	fmt.Fprintln(out, "provisioner:", warnings, errs)
	fmt.Fprintln(out, "configured with nothing:", provider.Configure(config("prefix", "")))
	user := &user{answer: self}
	asked, err := provider.Input(user, config("prefix", ""))
	if err != nil {
		return fmt.Errorf("input: %w", err)
	}
	fmt.Fprintln(out, "the user was asked", user.questions)
	if err := provider.Configure(asked); err != nil {
		return fmt.Errorf("configure: %w", err)
	}
	texts := make([]string, notes+1)
	var all sync.WaitGroup
	for i := range texts {
		id := fmt.Sprint("note ", i)
		if i == notes {
			id = "bad"
		}
		all.Go(func() { texts[i] = create(provider, provisioner, id, self) })
	}
	all.Wait()
	fmt.Fprint(out, strings.ReplaceAll(strings.Join(texts, ""), self, "MINE"))
	user.broken = errors.New("the user has left")
	_, err = provider.Input(user, config("prefix", ""))
	fmt.Fprintln(out, "asked once more:", err)
	fmt.Fprintln(out, "stopped:", provider.Stop(), provisioner.Stop())
	return nil
}

// create applies and provisions a note, and says how that went.
func create(provider terraform.ResourceProvider, provisioner terraform.ResourceProvisioner, id, self string) string {
	diff := &terraform.InstanceDiff{Attributes: map[string]*terraform.ResourceAttrDiff{"text": {New: id}}}
	state, err := provider.Apply(&terraform.InstanceInfo{Id: id, Type: "sample_note"}, &terraform.InstanceState{}, diff)
	text := fmt.Sprintf("%s: said %q, error %v\n", id, said(state), err)
	screen := &screen{}
	err = provisioner.Apply(screen, &terraform.InstanceState{ID: id}, config("greeting", self))
	return text + fmt.Sprintf("%s provisioned: %q, error %v\n", id, screen.lines, err)
}

func said(state *terraform.InstanceState) string {
	if state == nil {
		return ""
	}
	return state.Attributes["said"]
}

func config(name, value string) *terraform.ResourceConfig {
	return &terraform.ResourceConfig{Raw: map[string]any{name: value}, Config: map[string]any{name: value}}
}

// user is the terraform.UIInput that the plugin calls back.
type user struct {
	answer    string
	broken    error
	questions []string
}

func (u *user) Input(_ context.Context, opts *terraform.InputOpts) (string, error) {
	u.questions = append(u.questions, opts.Id+": "+opts.Query)
	return u.answer, u.broken
}

// screen is the terraform.UIOutput that the plugin calls back.
type screen struct{ lines []string }

func (s *screen) Output(line string) { s.lines = append(s.lines, line) }
