// SPDX-License-Identifier: MPL-2.0

package cli

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestReadConfig(t *testing.T) {
	defaults := Config{
		PluginDir:        "./bin",
		GreetName:        "someone",
		LogLevel:         "info",
		AttachTimeout:    10 * time.Second,
		CallTimeout:      30 * time.Second,
		DrainTimeout:     20 * time.Second,
		Balancer:         "least-request",
		Listen:           "127.0.0.1:8080",
		MaxCalls:         256,
		MaxPluginCalls:   64,
		ContractVersions: []int{1, 2},
	}
	with := func(change func(*Config)) Config {
		c := defaults
		change(&c)
		return c
	}
	cases := map[string]struct {
		reason string
		env    map[string]string
		want   Config
		err    string
	}{
		"nothing set": {reason: "the host runs without any", want: defaults},
		"addresses": {
			reason: "people put spaces and commas anywhere",
			env:    map[string]string{"NETWORK_PLUGIN": " a:1 ,, b:2,"},
			want:   with(func(c *Config) { c.NetworkPlugin = []string{"a:1", "b:2"} }),
		},
		"no directory": {
			reason: "empty is not the default",
			env:    map[string]string{"PLUGIN_DIR": ""},
			want:   with(func(c *Config) { c.PluginDir = "" }),
		},
		"not a duration": {
			reason: "the error names the variable and quotes the value",
			env:    map[string]string{"CALL_TIMEOUT": "5"},
			err:    `CALL_TIMEOUT="5": want a time.Duration`,
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
		"no versions": {
			reason: "a host without a version can talk to nobody",
			env:    map[string]string{"CONTRACT_VERSIONS": ""},
			err:    "CONTRACT_VERSIONS is empty: want some of [1 2]",
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			for k, v := range tc.env {
				t.Setenv(k, v)
			}
			got, err := ReadConfig()
			if err != nil {
				if err.Error() != tc.err {
					t.Errorf("%s: got error %q, want %q", tc.reason, err, tc.err)
				}
				return
			}
			if diff := cmp.Diff(tc.want, got); diff != "" || tc.err != "" {
				t.Errorf("%s: want error %q, (-want +got)\n%s", tc.reason, tc.err, diff)
			}
		})
	}
}
