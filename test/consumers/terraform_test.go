// SPDX-License-Identifier: MPL-2.0

package consumers

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// address is that of the provider of peer/terraform.
const address = "example.org/test/sample"

// resources is how many a run applies.
const resources = 20

// terraformProgram is the one of the path, or that which make terraform has built.
func terraformProgram(t *testing.T) string {
	t.Helper()
	if path, err := exec.LookPath("terraform"); err == nil {
		return path
	}
	path, err := filepath.Abs("../../build/terraform/terraform")
	if err == nil {
		_, err = os.Stat(path)
	}
	if err != nil {
		t.Skip("there is no terraform on the path: make terraform builds one, in two minutes")
	}
	return path
}

// run is a configuration of the program terraform in a directory of its own.
type run struct {
	t       *testing.T
	program string
	dir     string
	env     []string
}

// newRun makes a configuration with a provider block and resources. The installation says
// where the CLI finds providers.
func newRun(t *testing.T, installation string, env ...string) *run {
	t.Helper()
	r := &run{t: t, program: terraformProgram(t), dir: t.TempDir()}
	config := fmt.Sprintf(`
terraform {
  required_providers {
    sample = { source = %q, version = "1.0.0" }
  }
}
provider "sample" {
  prefix = "mine"
}
resource "sample_note" "n" {
  count = %d
  text  = "note ${count.index}"
}
output "said" {
  value = sample_note.n[*].said
}
`, address, resources)
	for name, text := range map[string]string{"main.tf": config, "cli.tfrc": "provider_installation {\n" + installation + "\n}\n"} {
		if err := os.WriteFile(filepath.Join(r.dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r.env = append(os.Environ(), "TF_CLI_CONFIG_FILE="+r.dir+"/cli.tfrc", "CHECKPOINT_DISABLE=1", "TF_IN_AUTOMATION=1", "HOME="+r.dir)
	r.env = append(r.env, env...)
	return r
}

// start begins a command of terraform. What it prints is there once it has ended.
func (r *run) start(args ...string) (ended func() (string, error)) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), patience)
	cmd := exec.CommandContext(ctx, r.program, append(args, "-no-color")...)
	cmd.Dir, cmd.Env = r.dir, r.env
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		cancel()
		r.t.Fatal(err)
	}
	return func() (string, error) {
		defer cancel()
		err := cmd.Wait()
		return out.String(), err
	}
}

// must runs a command that must not fail.
func (r *run) must(args ...string) string {
	r.t.Helper()
	out, err := r.start(args...)()
	if err != nil {
		r.t.Fatalf("terraform %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

var applyNow = []string{"apply", "-auto-approve", "-input=false"}

// check looks at what was applied, and whether another plan finds anything to do.
func (r *run) check() {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, r.program, "output", "-json", "said")
	cmd.Dir, cmd.Env = r.dir, r.env
	text, err := cmd.Output()
	var said []string
	if err == nil {
		err = json.Unmarshal(text, &said)
	}
	if err != nil {
		r.t.Fatalf("terraform output: %v\n%s", err, text)
	}
	want := make([]string, resources)
	for i := range want {
		want[i] = fmt.Sprintf("mine: note %d", i)
	}
	if !slices.Equal(said, want) {
		r.t.Errorf("the notes say %q, want %q", said, want)
	}
	r.must("plan", "-detailed-exitcode", "-input=false") // exits with 2 if there is a change
	version, _, _ := strings.Cut(r.must("version"), "\n")
	r.t.Attr("resources_applied", strconv.Itoa(resources))
	r.t.Logf("%s has applied %d resources, and another plan finds nothing to do", version, resources)
}

// providerCookie is Terraform's.
func providerCookie() []string {
	return []string{"TF_PLUGIN_MAGIC_COOKIE=d602bf8f470bc67ca7faa0386276bbdd4330efaf76d1a219cb4d6991ca9872b2"}
}

// providerLink puts a link to basic where the CLI looks for the provider's executable, and
// returns its directory. The target file is what the page on attach says.
func providerLink(t *testing.T, dir, target string, idempotent ...string) string {
	t.Helper()
	idempotent = append(idempotent, "GetProviderSchema", "ReadResource", "PlanResourceChange", "ValidateResourceConfig", "ValidateProviderConfig", "UpgradeResourceState")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	linkIn(t, dir, "terraform-provider-sample_v1.0.0", "target: "+target, "cookie: "+providerCookie()[0],
		"replay: [ConfigureProvider]", "idempotent: ["+strings.Join(idempotent, ", ")+"]")
	return dir
}

func overrides(dir string) string {
	return fmt.Sprintf("dev_overrides { %q = %q }", address, dir)
}

// TestTerraform has the Terraform CLI apply resources of a provider that is exposed by one
// process, and attached to by another, which the CLI starts as its provider.
func TestTerraform(t *testing.T) {
	t.Run("reattach", func(t *testing.T) {
		e := exposeProvider(t, nil, "--print-reattach="+address)
		r := newRun(t, "direct {}", "TF_REATTACH_PROVIDERS="+e.line)
		r.must(applyNow...)
		r.check()
		e.mustRun()
	})
	t.Run("overrides", func(t *testing.T) {
		e := exposeProvider(t, nil, "--share", "host")
		r := newRun(t, overrides(providerLink(t, t.TempDir(), e.address)))
		r.must(applyNow...)
		r.check()
		e.mustRun()
	})
	t.Run("mirror", func(t *testing.T) {
		e := exposeProvider(t, nil, "--share", "host")
		mirror := t.TempDir()
		providerLink(t, filepath.Join(mirror, address, "1.0.0", "linux_amd64"), e.address)
		r := newRun(t, fmt.Sprintf("filesystem_mirror { path = %q }", mirror))
		r.must("init", "-input=false")
		r.must(applyNow...)
		r.check()
		r.must("destroy", "-auto-approve", "-input=false")
		e.mustRun()
	})
	for _, phase := range []string{"plan", "create"} {
		for _, whom := range []string{"plugin", "pod"} {
			t.Run(fmt.Sprintf("%s killed in %s", whom, phase), func(t *testing.T) { testReplicas(t, phase, whom) })
		}
	}
}

// testReplicas kills the one of three replicas that is the first to do something. All
// others live on, and the CLI does not notice.
func testReplicas(t *testing.T, phase, whom string) {
	journal := filepath.Join(t.TempDir(), "journal")
	env := []string{"NOTES_JOURNAL=" + journal, "NOTES_TAKE=300ms"}
	var all []exposed
	var targets []string
	for range 3 {
		e := exposeProvider(t, env)
		all, targets = append(all, e), append(targets, "sample="+e.address)
	}
	r := newRun(t, overrides(providerLink(t, t.TempDir(), strings.Join(targets, ","), "ApplyResourceChange")))
	ended := r.start(applyNow...)
	killed := 0
	eventually(t, "the provider works at "+phase, func() bool {
		for pid, did := range readJournal(t, journal) {
			if did[phase] > 0 {
				killed = pid
			}
		}
		return killed > 0
	})
	victim := killed
	if whom == "pod" {
		victim = parentOf(t, killed)
	}
	if err := syscall.Kill(victim, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if out, err := ended(); err != nil {
		t.Fatalf("apply: %v\n%s", err, out)
	}
	r.check()
	did := readJournal(t, journal)
	lived := 0
	for pid, d := range did {
		t.Logf("process %d: configured %d times, %d plans, %d notes created, killed: %v", pid, d["configure"], d["plan"], d["create"], pid == killed)
		if d["configure"] == 0 {
			t.Errorf("process %d worked before it was configured", pid)
		}
		if pid != killed && syscall.Kill(pid, 0) == nil {
			lived++
		}
	}
	t.Attr("pids_lived_on", strconv.Itoa(lived))
	if lived < 2 {
		t.Errorf("%d processes beside the one that was killed live, want those of two replicas at least", lived)
	}
	for _, e := range all {
		if e.pid != victim {
			e.mustRun()
		}
	}
}

// exposeProvider exposes upstream's build of the provider.
func exposeProvider(t *testing.T, env []string, flags ...string) exposed {
	t.Helper()
	return startExposed(t, program(t, upstream, "terraform"), append(providerCookie(), env...), flags...)
}

// readJournal counts what each process of the provider has begun to do.
func readJournal(t *testing.T, path string) map[int]map[string]int {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	all := make(map[int]map[string]int)
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if len(fields) < 2 || !strings.HasSuffix(line, "\n") {
			continue // it is being written
		}
		pid, err := strconv.Atoi(fields[1])
		if err != nil {
			t.Fatalf("the journal says %q", line)
		}
		if all[pid] == nil {
			all[pid] = make(map[string]int)
		}
		all[pid][fields[0]]++
	}
	return all
}

func parentOf(t *testing.T, pid int) int {
	t.Helper()
	out, err := exec.Command("ps", "-o", "ppid=", "-p", strconv.Itoa(pid)).Output()
	parent := 0
	if err == nil {
		parent, err = strconv.Atoi(strings.TrimSpace(string(out)))
	}
	if err != nil {
		t.Fatalf("find the parent of process %d: %v", pid, err)
	}
	return parent
}

// eventually polls a condition until it holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); !holds(); <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("within %v it did not happen that %s", patience, what)
		}
	}
}
