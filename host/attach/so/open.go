// SPDX-License-Identifier: MPL-2.0

//go:build cgo && (linux || darwin || freebsd)

package so

import (
	"errors"
	"fmt"
	goplugin "plugin"

	"github.com/hashicorp/go-plugin"
)

// Supported says whether this program can load shared objects.
const Supported = true

var errUnsupported = errors.New("in-process shared objects are supported here")

// open loads a shared object for good, and asks it for its plugins. Its
// package's init functions run. possible explains an error: see explain.
func open(path string, possible []difference) (*plugin.ServeConfig, error) {
	opened, err := goplugin.Open(path)
	if err != nil {
		return nil, explain(err, possible)
	}
	symbol, err := opened.Lookup(Symbol)
	if err != nil {
		return nil, fmt.Errorf("symbol %s is missing: the package must have a func %s() *plugin.ServeConfig", Symbol, Symbol)
	}
	plugins, ok := symbol.(func() *plugin.ServeConfig)
	if !ok {
		return nil, fmt.Errorf("symbol %s is of the wrong type: it is a %T, want a %T", Symbol, symbol, plugins)
	}
	return ask(plugins)
}

// ask calls the plugin's function, for the first time.
func ask(plugins func() *plugin.ServeConfig) (config *plugin.ServeConfig, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%s panics: %v", Symbol, r)
		}
	}()
	config = plugins()
	if config == nil || len(config.Plugins) == 0 && len(config.VersionedPlugins) == 0 {
		return nil, fmt.Errorf("%s returned nothing to serve", Symbol)
	}
	return config, nil
}
