// SPDX-License-Identifier: MPL-2.0

package plugin

import "github.com/hashicorp/go-plugin/internal/calls"

// ServedCall says which call an [Around] is to run.
type ServedCall = calls.Served

// Around is called with each call that this process serves, and must call run once: it runs
// the method, with the context that it is given, and returns the method's error. A method
// without a context runs under none. The call's answer is that of the method, whatever Around
// does after it. ctx has the incoming metadata of the call, and ends with it: of calls over
// net/rpc without mux, and of callbacks over net/rpc that carry nothing, there are none. A method that panics
// panics through Around. It is called from many goroutines at once, and not for the calls of
// the library's own services.
//
// Field Protocol of a call is "netrpc" or "grpc". Method is as its protocol writes it:
// "Plugin.Greet" or "/hello.Greeter/Greet". Kind is the name by which a kind was dispensed
// over net/rpc, and empty over gRPC and for what is served on a broker.
type Around = calls.Around
