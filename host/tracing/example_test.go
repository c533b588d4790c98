// SPDX-License-Identifier: MPL-2.0

package tracing_test

import (
	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"

	"github.com/reattach/reattach/host/daemon"
	hosttracing "github.com/reattach/reattach/host/tracing"
	"github.com/reattach/reattach/tracing"
)

// A daemon of one's own shows its calls where the environment asks for traces.
func ExampleNew() {
	opts := daemon.DefaultOptions()

	provider, stop, err := tracing.Start(tracing.Options{Service: "shop", Logger: opts.Logger})
	if err != nil {
		panic(err) // a variable has a value that is not known
	}
	defer stop()
	opts.Tracer = hosttracing.New(provider)
}

// A plugin shows the calls that it serves.
func ExampleNew_plugin() {
	logger := hclog.NewNullLogger()
	config := &plugin.ServeConfig{Logger: logger}

	provider, stop, err := tracing.Start(tracing.Options{Logger: logger})
	if err != nil {
		logger.Error("no traces", "error", err)
	}
	defer stop()
	config.Around = tracing.Around(provider)
}
