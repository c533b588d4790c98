// SPDX-License-Identifier: MPL-2.0

// Package hostapi is what the tests and the peer programs say to each other:
// the configuration of a peer plugin, and the commands of a peer host. It does
// not import go-plugin, so the tests do not depend on either library.
package hostapi

import (
	"encoding/json"
	"fmt"
	"os"
)

// PluginEnv is the environment variable that carries a Plugin as JSON.
const PluginEnv = "INTEROP_PLUGIN_CONFIG"

// Plugin configures a peer plugin.
type Plugin struct {
	// Versions maps app versions to "netrpc" or "grpc". A single version 1 is
	// given to ServeConfig.Plugins, the rest to VersionedPlugins.
	Versions map[int]string `json:",omitempty"`

	// TLSDir, if set, is where a TLSProvider finds the certificate "plugin".
	TLSDir string `json:",omitempty"`

	// MaxMessage is the size in bytes of the largest gRPC message that the
	// plugin receives and sends. 0: gRPC's default.
	MaxMessage int `json:",omitempty"`

	// TestMode serves by ServeConfig.Test, as a test of a plugin does. The plugin
	// prints a handshake line itself, and ends when SIGTERM ends its context.
	TestMode bool `json:",omitempty"`

	// FloodFirst is how many bytes the plugin writes to stdout before it
	// serves; FloodLines says whether there are line breaks among them.
	FloodFirst int64 `json:",omitempty"`
	FloodLines bool  `json:",omitempty"`

	// SleepGate is a file for which every Sleep waits before its time begins,
	// so that a test can have many calls in flight at one moment.
	SleepGate string `json:",omitempty"`

	// ComplainFirst is how many bytes the plugin writes to stderr before it serves.
	ComplainFirst int64 `json:",omitempty"`

	// ExitFirst, if not 0, is the exit code with which the plugin ends before
	// it serves, after a line on stderr.
	ExitFirst int `json:",omitempty"`

	// HangFirst makes the plugin wait for its end instead of serving.
	HangFirst bool `json:",omitempty"`
}

// Env returns the entry of the plugin's environment that carries p.
func (p Plugin) Env() string {
	text, err := json.Marshal(p)
	if err != nil {
		panic(err) // the struct has no field that JSON cannot encode
	}
	return PluginEnv + "=" + string(text)
}

// PluginFromEnv reads the configuration that Env wrote.
func PluginFromEnv() (Plugin, error) {
	var p Plugin
	text := os.Getenv(PluginEnv)
	if text == "" {
		return p, nil
	}
	if err := json.Unmarshal([]byte(text), &p); err != nil {
		return p, fmt.Errorf("read %s: %w", PluginEnv, err)
	}
	return p, nil
}
