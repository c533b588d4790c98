// SPDX-License-Identifier: MPL-2.0

package cli

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/reattach/reattach/commons"
	"github.com/reattach/reattach/host/cli/kube"
	"github.com/reattach/reattach/host/daemon"
)

func TestReadConfig(t *testing.T) {
	type read struct {
		Host    hostConfig
		Program programConfig
		Cluster kube.Finder
	}
	defaults := read{
		Host: hostConfig{
			PluginDir: "./bin",
			LogLevel:  "info", LogFormat: "text",
			AttachTimeout: 10 * time.Second,
			MaxMessage:    64 << 20,
			CallTimeout:   30 * time.Second,
			DrainTimeout:  20 * time.Second,
			Balancer:      "least-request",
		},
		Program: programConfig{
			Listen:         "127.0.0.1:8080",
			MaxCalls:       256,
			MaxPluginCalls: 64,
		},
	}
	with := func(change func(*read)) read {
		c := defaults
		change(&c)
		return c
	}
	cases := map[string]struct {
		reason string
		env    map[string]string
		want   read
		err    string
	}{
		"nothing set": {reason: "the host runs without any", want: defaults},
		"addresses": {
			reason: "people put spaces and commas anywhere",
			env:    map[string]string{"NETWORK_PLUGIN": " a:1 ,, b:2,"},
			want:   with(func(c *read) { c.Host.NetworkPlugin = []string{"a:1", "b:2"} }),
		},
		"no directory": {
			reason: "empty is not the default",
			env:    map[string]string{"PLUGIN_DIR": ""},
			want:   with(func(c *read) { c.Host.PluginDir = "" }),
		},
		"not a duration": {
			reason: "the error names the variable and quotes the value",
			env:    map[string]string{"CALL_TIMEOUT": "5"},
			err:    `CALL_TIMEOUT="5": give a unit, such as 5s`,
		},
		"another without a unit": {
			reason: "every duration is explained alike",
			env:    map[string]string{"DRAIN_TIMEOUT": "120"},
			err:    `DRAIN_TIMEOUT="120": give a unit, such as 120s`,
		},
		"a word for a duration": {
			reason: "Go's type names help nobody",
			env:    map[string]string{"ATTACH_TIMEOUT": "soon"},
			err:    `ATTACH_TIMEOUT="soon": want a duration, such as 5s or 1m30s`,
		},
		"a word for a switch": {
			reason: "the error names the variable",
			env:    map[string]string{"BASIC_NO_CALLS": "maybe"},
			err:    `BASIC_NO_CALLS="maybe": want true or false`,
		},
		"blanks in every list": {
			reason: "people put spaces and commas anywhere",
			env: map[string]string{"CONTRACT_VERSIONS": " 1, 2 ,", "KUBE_NAMESPACES": "a, b", "REQUIRED_PLUGINS": " a ,b ",
				"HOST_TLS_PLAIN_PLUGINS": "\ta,\nb"},
			want: with(func(c *read) {
				ab := []string{"a", "b"}
				c.Host.ContractVersions = []int{1, 2}
				c.Cluster.Namespaces, c.Host.RequiredPlugins, c.Host.TLSPlainPlugins = ab, ab, ab
			}),
		},
		"a version that is no number": {
			reason: "the error quotes the element",
			env:    map[string]string{"CONTRACT_VERSIONS": "1, two"},
			err:    `CONTRACT_VERSIONS="1, two": want a comma list of some of [1 2]: "two" is no number`,
		},
		"a version that nobody knows": {
			reason: "a typing mistake does not fall back",
			env:    map[string]string{"CONTRACT_VERSIONS": "1,3"},
			err:    `CONTRACT_VERSIONS names 3: want some of [1 2]`,
		},
		"negative": {
			reason: "a timeout must be positive",
			env:    map[string]string{"CALL_TIMEOUT": "-1s"},
			err:    "CALL_TIMEOUT=-1s: want more than zero",
		},
		"unknown balancer": {
			reason: "a typing mistake does not fall back",
			env:    map[string]string{"BALANCER": "random"},
			err:    `BALANCER="random": want round-robin or least-request`,
		},
		"an address without a port": {
			reason: "the error names the variable, and says what to write",
			env:    map[string]string{"NETWORK_PLUGIN": "a:1, x"},
			err:    `NETWORK_PLUGIN: entry 2 "x": it has no port: write x:7000, or whatever the port is`,
		},
		"no calls": {
			reason: "a variable of the program's own has its name in front",
			env:    map[string]string{"BASIC_MAX_CALLS": "0"},
			err:    "BASIC_MAX_CALLS=0: want more than zero",
		},
		"another program's": {
			reason: "the name in front tells them apart",
			env:    map[string]string{"PRICING_MAX_CALLS": "0", "MAX_CALLS": "0", "LISTEN": "x"},
			want:   defaults,
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			for k, v := range tc.env {
				t.Setenv(k, v)
			}
			var cluster kube.Finder
			c, err := Options{
				Name: "basic", Handshake: commons.Handshake(), Versions: commons.Versions, Finders: []Finder{&cluster},
				Kinds: []daemon.Kind{greeter()}, PluginDir: "./bin",
			}.readConfig()
			got := read{c.hostConfig, c.programConfig, cluster}
			if err != nil {
				if err.Error() != tc.err {
					t.Errorf("%s: got error %q, want %q", tc.reason, err, tc.err)
				}
				return
			}
			if diff := cmp.Diff(tc.want, got, cmpopts.IgnoreUnexported(kube.Finder{})); diff != "" || tc.err != "" {
				t.Errorf("%s: want error %q, (-want +got)\n%s", tc.reason, tc.err, diff)
			}
		})
	}
}
