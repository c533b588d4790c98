// SPDX-License-Identifier: MPL-2.0

package cli

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/reattach/reattach/host/cli/kube"
)

// TestNamesBesideKubernetes holds that no variable is one which Kubernetes sets in a
// pod for a Service whose name happens to fit.
func TestNamesBesideKubernetes(t *testing.T) {
	injected := regexp.MustCompile(`(_SERVICE_HOST|_SERVICE_PORT(_.*)?|_PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)$`)
	for _, like := range []string{"BASIC_PORT", "BASIC_SERVICE_HOST", "BASIC_PORT_80_TCP_ADDR", "BASIC_SERVICE_PORT_HTTP"} {
		if !injected.MatchString(like) {
			t.Errorf("the pattern does not know %s", like)
		}
	}
	seen := map[string]bool{}
	for _, v := range (Options{Name: "basic", Finders: []Finder{new(kube.Finder)}}).environment() {
		if injected.MatchString(v.name) || v.name == "" || seen[v.name] || v.meaning == "" {
			t.Errorf("variable %+v: its name collides or is missing, or it does not say what it is for", v)
		}
		seen[v.name] = true
	}
}

// TestVariablesOfOthers: each name that is listed is the one that is read, whatever the
// tags of the fields.
func TestVariablesOfOthers(t *testing.T) {
	type database struct {
		Host string `desc:"where it runs"`
	}
	type stranger struct {
		GreetName string `desc:"who is greeted"`
		APIKey    string `split_words:"true" default:"none" desc:"key of the API"`
		Low       string `envconfig:"low_case" desc:"in small letters"`
		Left      string `ignored:"true"`
		Database  database
		private   string
	}
	read := stranger{private: "read by nobody"}
	program := Options{Name: "x", Environment: &read}
	want := []variable{
		{"GREETNAME", "", "who is greeted"},
		{"API_KEY", "none", "key of the API"},
		{"LOW_CASE", "", "in small letters"},
		{"DATABASE_HOST", "", "where it runs"},
	}
	for _, v := range want {
		t.Setenv(v.name, v.name)
	}
	anyway := Options{Name: "x"}.environment()
	got := slices.DeleteFunc(program.environment(), func(v variable) bool { return slices.Contains(anyway, v) })
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(variable{})); diff != "" {
		t.Error(diff)
	}
	if _, err := program.readConfig(); err != nil {
		t.Fatal(err)
	}
	all := stranger{"GREETNAME", "API_KEY", "LOW_CASE", "", database{"DATABASE_HOST"}, "read by nobody"}
	if diff := cmp.Diff(all, read, cmp.AllowUnexported(stranger{})); diff != "" {
		t.Error(diff)
	}
}

// TestEnvironmentThatIsNoPointer holds that a program is told what is wrong with it.
func TestEnvironmentThatIsNoPointer(t *testing.T) {
	program := basic()
	program.Environment = struct{ Name string }{}
	if _, err := program.readConfig(); err == nil || err.Error() != "Environment or Finders has a struct { Name string }: want a pointer to a struct" {
		t.Errorf("got %v", err)
	}
	var stdout strings.Builder
	if code := program.run(t.Context(), []string{"--help"}, &stdout, &stdout); code != exitOK || !strings.Contains(stdout.String(), "PLUGIN_DIR") {
		t.Errorf("code %d\n%s", code, &stdout)
	}
}
