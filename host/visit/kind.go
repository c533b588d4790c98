// SPDX-License-Identifier: MPL-2.0

package visit

import (
	"fmt"

	"github.com/hashicorp/go-plugin"
)

// Kind is an interface that plugins may serve, and what to ask of one that does.
// NewKind makes it.
type Kind struct {
	name   string
	plugin plugin.Plugin
	calls  func(stub any) ([]Call, error)
}

// Call is one question to a plugin.
type Call struct {
	// Method names the question in reports.
	Method string
	// Do asks it and gives the answer. It may block until the session ends.
	Do func() (string, error)
}

// NewKind gives the kind that plugins serve under name, as a T. p carries it
// between processes; it must also implement plugin.GRPCPlugin. calls gives, in
// order, what to ask of an implementation.
func NewKind[T any](name string, p plugin.Plugin, calls func(T) []Call) Kind {
	return Kind{name: name, plugin: p, calls: func(stub any) ([]Call, error) {
		typed, ok := stub.(T)
		if !ok {
			return nil, fmt.Errorf("kind %s dispensed a %T, which is not its interface", name, stub)
		}
		return calls(typed), nil
	}}
}

// pluginSet gives the kinds as go-plugin wants them.
func pluginSet(kinds []Kind) plugin.PluginSet {
	set := make(plugin.PluginSet, len(kinds))
	for _, k := range kinds {
		set[k.name] = k.plugin
	}
	return set
}
