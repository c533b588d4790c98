// SPDX-License-Identifier: MPL-2.0

package cli

import (
	"cmp"
	"os"

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
	tracer, stop, err := c.program.tracer(c.program.Name, false, o.Logger)
	if o.Tracer = tracer; tracer != nil {
		o.ChildEnv = append(o.ChildEnv, serviceName+"=") // A child's spans are not this program's.
	}
	return stop, err
}

// followExposed is follow for what expose serves.
func (o Options) followExposed(e *expose.Options) (stop func()) {
	tracer, stop := o.shimTracer("expose", e.Logger)
	if tracer != nil {
		e.Around = callbacksOf(tracer)
	}
	return stop
}

// followAttached is follow for what attach stands in for.
func (c *config) followAttached(o *attach.Options) (stop func()) {
	o.Tracer, stop = c.program.shimTracer("attach", o.Logger)
	return stop
}

// shimTracer is tracer for a shim, whose environment is that of somebody else: of the
// executable behind expose, or of the host of attach. What is not known here may be known to
// them, and is a warning; and the service that is named there is theirs. The shim has a
// variable of its own for its name.
func (o Options) shimTracer(command string, logger hclog.Logger) (tracer stub.Tracer, stop func()) {
	if o.Tracer == nil {
		return nil, func() {}
	}
	name := cmp.Or(os.Getenv(o.prefix()+"_"+serviceName), o.Name+"-"+command)
	tracer, stop, err := o.tracer(name, true, logger)
	if err != nil {
		logger.Warn("there are no traces of this shim; set OTEL_SDK_DISABLED=true if none are wanted", "error", err)
	}
	return tracer, stop
}

// tracer gives what the environment asks for, which may be nil.
func (o Options) tracer(service string, fixed bool, logger hclog.Logger) (tracer stub.Tracer, stop func(), err error) {
	if o.Tracer == nil {
		return nil, func() {}, nil
	}
	tracer, stop, err = o.Tracer(service, fixed, logger.Named("traces"))
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
