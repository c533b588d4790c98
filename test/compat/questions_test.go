// SPDX-License-Identifier: MPL-2.0

package compat

import (
	"strings"
	"syscall"
	"testing"
)

const missingHi = "rpc: can't find method Plugin.Hi"

func TestQuestion1_NewMethodOldPlugin(t *testing.T) {
	q := ask(t, "may the host know a method that an old plugin lacks?")
	dir := q.pluginDir("plugin-first")
	seen := q.run("new host, first plugin", "basic", "PLUGIN_DIR="+dir)
	q.expect(seen, "plugin-first  child  net/rpc v1\n", "greet: Hello someone\n", "hi: "+missingHi+"\n", "pingponger: not served\n")
	q.onPage(seen)
	seen = q.run("old host, first plugin", "host-demo", "PLUGIN_DIR="+dir)
	q.expect(seen, "Hello someone\n", missingHi)
}

func TestQuestion1_RaisedVersion(t *testing.T) {
	q := ask(t, "and if ProtocolVersion is raised?")
	seen := q.run("new host with version 2 only, old plugin", "basic",
		"CONTRACT_VERSIONS=2", "PLUGIN_DIR="+q.pluginDir("plugin-demo"))
	q.expect(seen, "ncompatible API version with plugin. Plugin version: 1, Client versions: [2]")
	q.onPage(seen, "incompatible API version")
	seen = q.run("old host raised to version 3, new plugin", "host-raised", "PLUGIN_DIR="+q.pluginDir("greeter-zh.po"))
	q.expect(seen, "Incompatible API version with plugin. Plugin version: 1, Client versions: [3]")
}

func TestQuestion2_ParameterAdded(t *testing.T) {
	q := ask(t, "may a method gain or lose a parameter without a new version?")
	seen := q.run("host that sends no arguments, new plugin", "host-noargs", "PLUGIN_DIR="+q.pluginDir("greeter-zh.po"))
	q.expect(seen,
		"大家好！=0=\n",                         // a parameter that was added takes its zero value
		`Greet: argument "name" is missing`, // one that is not sent any more is an error
		"您好 default?\n")                     // and the plugin goes on
	q.onPage(seen, "大家好！=0=")
	q.onPage(seen, "Greet: argument")
}

func TestQuestion2_ParameterRemovedOldPlugin(t *testing.T) {
	q := ask(t, "what did a lost parameter do to the old plugin? (for comparison)")
	seen := q.run("host that sends no arguments, old plugin", "host-noargs", "PLUGIN_DIR="+q.pluginDir("plugin-demo"))
	q.expect(seen, "Hi all! =0=\n")
	if strings.Contains(seen, "Hello default?") {
		q.Error("the old plugin survived, so it does not show what it is here for")
	}
}

func TestQuestion3_SeveralImplementations(t *testing.T) {
	q := ask(t, "may several implementations be loaded at once?")
	for _, host := range []string{"basic", "host-demo"} {
		seen := q.run(host+" with what Discover finds in one directory", host, "PLUGIN_DIR="+bin)
		q.expect(seen, "Hello someone\n", "您好 someone\n")
		if host == "basic" {
			q.onPage(seen)
		}
	}
}

func TestQuestion4_SeveralInterfaces(t *testing.T) {
	q := ask(t, "may one plugin serve several interfaces over one connection?")
	for _, pair := range []struct{ what, host, plugin string }{
		{"new host, new plugin", "basic", "greeter-zh.po"},
		{"new host, old plugin", "basic", "plugin-demo"},
		{"old host, new plugin", "host-demo", "greeter-zh.po"},
		{"old host, old plugin", "host-demo", "plugin-demo"},
	} {
		seen := q.run(pair.what, pair.host, "PLUGIN_DIR="+q.pluginDir(pair.plugin))
		q.expect(seen, "=2=\n", "pong!\n")
	}
}

func TestQuestion5_Network(t *testing.T) {
	q := ask(t, "may a plugin be used over the network?")
	address, process := q.networkPlugin("greeter-zh.po")
	env := []string{"PLUGIN_DIR=", "NETWORK_PLUGIN=" + address}
	q.expect(q.run("new host, new plugin", "basic", env...), "network  gRPC v2\n", "您好 someone\n", "pong!\n")
	q.expect(q.run("old host, new plugin", "host-demo", env...), "您好 someone\n", "大家好！=2=\n", "pong!\n")
	q.expect(q.run("old host that sends Quit, new plugin", "host-demo", append(env, "KILL=yes")...), "您好 someone\n")
	q.expect(q.run("new host, the same plugin", "basic", env...), "您好 someone\n")
	if err := process.Signal(syscall.Signal(0)); err != nil {
		q.Errorf("the plugin's process is gone: %v", err)
	}
}

func TestQuestion5_NetworkOldPlugin(t *testing.T) {
	q := ask(t, "and a plugin built with the demo's own fork, which knows no handshake?")
	address, process := q.networkPlugin("plugin-network")
	for range 2 {
		seen := q.run("new host, old network plugin", "basic", "PLUGIN_DIR=", "NETWORK_PLUGIN="+address)
		q.expect(seen, "network  net/rpc v1\n", "greet: Hello someone\n", "hi: Hi all! =2=\n", "ping: pong!\n")
	}
	if err := process.Signal(syscall.Signal(0)); err != nil {
		q.Errorf("the plugin's process is gone: %v", err)
	}
}
