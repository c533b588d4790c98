// SPDX-License-Identifier: MPL-2.0

package consumers

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	// patience bounds every wait for something that must happen.
	patience = 2 * time.Minute

	inTurn = 3
	atOnce = 20
	// fewAtOnce is for children when all is not asked for: there, each host starts
	// a process of its own, and one more says little.
	fewAtOnce = 4
)

var all = flag.Bool("all", false, "run as many hosts at once with children as over the network")

// consumer is a plugin system: its plugin is the program peer/NAME, and its host
// what peer/host does under the same name.
type consumer struct {
	name   string
	plugin string   // the program that is the plugin, where it has another name
	host   string   // the program that is the host, where it is not host
	env    []string // what a network plugin needs to start, the cookie first; a child has it of its host
	shows  []string // what upstream's host must print of upstream's child, at least

	exposed []string // flags with which basic exposes it, where it remembers its host
}

func (c consumer) pluginName() string {
	if c.plugin != "" {
		return c.plugin
	}
	return c.name
}

func (c consumer) hostName() string {
	if c.host != "" {
		return c.host
	}
	return "host"
}

func consumers() []consumer {
	return []consumer{
		{
			name:  "argo",
			env:   []string{"ARGO_ROLLOUTS_RPC_PLUGIN=metricprovider"},
			shows: []string{"MINE has measured metric 19", "MINE may not measure bad", "MINE keeps 7", `MINE ran with {"of":"MINE"}`, "a step of MINE has no context"},
		},
		{
			name: "grafana",
			env:  []string{"grafana_plugin_type=datasource"},
			shows: []string{
				"MINE: the secret is", "MINE: row 9 of Q9", "5242880 bytes of padding, 100000 rows", "no frame has -1 rows",
				"error of the call: true", "piece 2 of what MINE sent", "MINE: packet 9 of goes on", "gRPC server: true",
			},
		},
		{
			name: "once-panics", plugin: "once",
			env:     []string{"ONCE=panics"},
			exposed: []string{"--share", "host"},
			shows:   []string{"MINE: call 20 said word19", "MINE may not say bad", "share the server: MINE (<nil>)"},
		},
		{
			name: "once-same", plugin: "once",
			env:     []string{"ONCE=same"},
			exposed: []string{"--share", "host"},
			shows:   []string{"MINE: call 20 said word19", "MINE may not say bad", "share the server: MINE (<nil>)"},
		},
		{
			name:    "terraform",
			env:     []string{"TF_PLUGIN_MAGIC_COOKIE=d602bf8f470bc67ca7faa0386276bbdd4330efaf76d1a219cb4d6991ca9872b2"},
			exposed: []string{"--share", "host"},
			shows:   []string{"MINE: note 19", "no note may say bad", "Unimplemented"},
		},
		{
			name:    "terraform011",
			host:    "terraform011-host",
			env:     []string{"TF_PLUGIN_MAGIC_COOKIE=d602bf8f470bc67ca7faa0386276bbdd4330efaf76d1a219cb4d6991ca9872b2"},
			exposed: []string{"--share", "host"},
			shows:   []string{"prefix: Which prefix?", "MINE: note 19", "MINE: step 9 of note 19", "no note may say bad", "not provisioned", "the user has left"},
		},
		{
			name:    "tflint",
			env:     []string{"TFLINT_RULESET_PLUGIN=5adSn1bX8nrDfgBqiAqqEkC6OE1h3iD8SqbMc5UUONx8x3xCF0KlPDsBRNDjoYDP"},
			exposed: []string{"--share", "host"},
			shows:   []string{"[sample_note]", `n19 says "MINE: note 19" of sample_note at main.tf:59`, "no note may say bad"},
		},
		{
			name:    "vault",
			env:     vaultEnv(),
			exposed: []string{"--share", "host"},
			shows:   []string{"connection of its own: false", "MINE, mount 3", "no secret may be bad", "disabled in inmem backend", "others are there"},
		},
		{
			name:    "vault-single",
			env:     vaultEnv(),
			exposed: []string{"--share", "host"},
			shows:   []string{"connection of its own: true", "MINE, mount 1", "no secret may be bad", "disabled in inmem backend", "others are there"},
		},
		{
			name:    "velero",
			host:    "velero-host",
			env:     []string{"VELERO_PLUGIN=hello"},
			exposed: []string{"--share", "host"},
			shows:   []string{"plugin: ObjectStore example.org/sample of velero", "MINE item 19", "7340032 true", "MINE may not keep bad", "MINE has no nothing"},
		},
	}
}

// vaultEnv is what Vault sets for its plugins. The version is the one that knows
// multiplexing; a host without the handshake must get it, too.
func vaultEnv() []string {
	return []string{
		"VAULT_BACKEND_PLUGIN=6669da05-b1c8-4f49-97d9-c8e5bed98e20",
		"VAULT_PLUGIN_AUTOMTLS_ENABLED=true", "PLUGIN_PROTOCOL_VERSIONS=5",
	}
}

// As a child, every pair of host and plugin gets what upstream's pair gets.
func TestChild(t *testing.T) {
	for _, c := range consumers() {
		t.Run(c.name, func(t *testing.T) {
			want := c.truth(t)
			atOnce := atOnce
			if !*all {
				atOnce = fewAtOnce
			}
			for _, host := range sides() {
				for _, child := range sides() {
					c.crowd(t, fmt.Sprintf("child    %s-%s", host, child), want, atOnce, func() {},
						program(t, host, c.hostName()), c.name, "child", program(t, child, c.pluginName()))
				}
			}
		})
	}
}

// Over the network hosts of both libraries get the same of one plugin, whichever
// probes come between, and each what it told the plugin itself.
func TestNetwork(t *testing.T) {
	for _, c := range consumers() {
		t.Run(c.name, func(t *testing.T) {
			want := c.truth(t)
			p := startNetwork(t, program(t, fork, c.pluginName()), c.env)
			for host, how := range map[side]string{upstream: "reattach", fork: "attach"} {
				c.crowd(t, fmt.Sprintf("network  %s-fork", host), want, atOnce, func() { p.probe(t) },
					program(t, host, c.hostName()), c.name, how, p.address)
			}
			p.mustLive(t)
		})
	}
}

// truth is what upstream's host prints of upstream's child.
func (c consumer) truth(t *testing.T) string {
	t.Helper()
	want, err := runHost(program(t, upstream, c.hostName()), c.name, "child", program(t, upstream, c.pluginName()))
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range c.shows {
		if !strings.Contains(want, part) {
			t.Fatalf("upstream's host prints nothing about %q:\n%s", part, want)
		}
	}
	return want
}

// crowd runs hosts one after another and some at once, with a probe before each
// of the former and beside the latter, and compares what they print.
func (c consumer) crowd(t *testing.T, name, want string, atOnce int, probe func(), command ...string) {
	t.Helper()
	var mu sync.Mutex
	same := 0
	one := func() {
		got, err := runHost(command[0], command[1:]...)
		mu.Lock()
		defer mu.Unlock()
		if err != nil || got != want {
			t.Errorf("%s: a host got\n%s(error: %v), want\n%s", name, got, err, want)
			return
		}
		same++
	}
	for range inTurn {
		probe()
		one()
	}
	var hosts sync.WaitGroup
	for range atOnce {
		hosts.Go(one)
	}
	probe()
	hosts.Wait()
	probe()
	t.Attr("hosts_as_upstream's", strconv.Itoa(same))
	t.Logf("%-10s %s: %d of %d hosts (%d in turn, %d at once) got all of %d lines as upstream's",
		c.name, name, same, inTurn+atOnce, inTurn, atOnce, strings.Count(want, "\n"))
}

func runHost(path string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return string(out), fmt.Errorf("run %s: %w\n%s", path, err, &stderr)
	}
	return string(out), nil
}
