// SPDX-License-Identifier: MPL-2.0

package cli

import "github.com/reattach/reattach/host/daemon"

// serviceName is the variable that names a program in its traces.
const serviceName = "OTEL_SERVICE_NAME"

// follow has the calls of a daemon's options followed, if the environment asks for it. The
// caller calls stop when the daemon has ended.
func (c *config) follow(o *daemon.Options) (stop func(), err error) {
	if c.program.Tracer == nil {
		return func() {}, nil
	}
	tracer, stop, err := c.program.Tracer(c.program.Name, o.Logger.Named("traces"))
	if err != nil {
		stop()
		return nil, &failure{exitUsage, err}
	}
	if o.Tracer = tracer; tracer != nil {
		o.ChildEnv = append(o.ChildEnv, serviceName+"=") // A child's spans are not this program's.
	}
	return stop, nil
}
