// SPDX-License-Identifier: MPL-2.0

package cli

import (
	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"

	"github.com/reattach/reattach/host/daemon"
	"github.com/reattach/reattach/host/shim/attach"
	"github.com/reattach/reattach/host/shim/expose"
	"github.com/reattach/reattach/host/stub"
)

// serviceName is the variable that names a program in its traces.
const serviceName = "OTEL_SERVICE_NAME"

// follow has the calls of a daemon's options followed, if the environment asks for it. The
// caller calls stop when the daemon has ended.
func (c *config) follow(o *daemon.Options) (stop func(), err error) {
	tracer, stop, err := c.program.tracer(c.program.Name, o.Logger)
	if o.Tracer = tracer; tracer != nil {
		o.ChildEnv = append(o.ChildEnv, serviceName+"=") // A child's spans are not this program's.
	}
	return stop, err
}

// followExposed is follow for what expose serves.
func (o Options) followExposed(e *expose.Options) (stop func(), err error) {
	tracer, stop, err := o.tracer(o.Name+"-expose", e.Logger)
	if tracer != nil {
		e.Around, e.ChildEnv = callbacksOf(tracer), append(e.ChildEnv, serviceName+"=")
	}
	return stop, err
}

// followAttached is follow for what attach stands in for.
func (c *config) followAttached(o *attach.Options) (stop func(), err error) {
	o.Tracer, stop, err = c.program.tracer(c.program.Name+"-attach", o.Logger)
	return stop, err
}

// tracer gives what the environment asks for, which may be nil.
func (o Options) tracer(service string, logger hclog.Logger) (tracer stub.Tracer, stop func(), err error) {
	if o.Tracer == nil {
		return nil, func() {}, nil
	}
	tracer, stop, err = o.Tracer(service, logger.Named("traces"))
	if err != nil {
		stop()
		return nil, func() {}, &failure{exitUsage, err}
	}
	return tracer, stop, nil
}

// callbacksOf gives what follows the calls that a process serves, or nil.
func callbacksOf(t stub.Tracer) plugin.Around {
	if c, ok := t.(daemon.CallbackTracer); ok {
		return c.Callbacks()
	}
	return nil
}
