// SPDX-License-Identifier: MPL-2.0

package attach

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"github.com/hashicorp/go-plugin/tlsfile"

	"github.com/reattach/reattach/host/balancer"
	"github.com/reattach/reattach/host/discovery"
	"github.com/reattach/reattach/host/stub"
)

// Options say which plugin the process stands in for. Plugin, Sources, Handshake, Versions,
// Wait, AttachTimeout, DrainTimeout, MaxMessageBytes, Log and Logger must be set.
type Options struct {
	// Plugin is the name under which the sources know the plugin.
	Plugin string
	// Host is the process whose plugin this is: the parent, as os.Getppid gave it before the
	// program did anything that takes time, so that Run ends with it even if it has ended by
	// then. Zero is the parent when Run begins.
	Host int
	// Sources find its endpoints, of which those on the network are used.
	Sources []discovery.Source
	// Handshake holds the magic cookie of the host, which the plugin wants as well.
	Handshake plugin.HandshakeConfig
	// Versions are those that the host has. The plugin chooses one of them.
	Versions []int
	// Protocols are what may be spoken, best first. Nil is gRPC, then net/rpc.
	Protocols []plugin.Protocol

	// Methods are how calls are made: which may be repeated or are replayed, and how long each
	// may take. The zero value repeats none, and replays none.
	Methods stub.Methods
	// Declared are what Methods was made of. Names that the plugin does not have are logged,
	// as far as it tells. Nil is none.
	Declared []stub.Declared
	// Affinity keeps the host with one endpoint, and ends Run with ErrLost when that is lost.
	// Without it each call may go to another one.
	Affinity bool
	// Wait bounds how long a call waits for an endpoint: while a child that has crashed
	// fails its host's calls at once, an endpoint on the network may be back in a moment.
	// Zero is refused.
	Wait time.Duration

	// Pin refuses other plugins at the target. The zero value refuses none.
	Pin Pin
	// TLS names the files of this host's identity and of the CA that vouches for the
	// plugin. Without any, connections are plain TCP.
	TLS tlsfile.Files
	// PlainPlugins are the names of plugins that are spoken to in plain TCP all the same. Nil is
	// none.
	PlainPlugins []string
	// Balancer says which of several ready endpoints gets a call: balancer.RoundRobin if
	// zero.
	Balancer balancer.Options
	// AttachTimeout bounds one attempt to reach an endpoint, and the wait for the first. Zero
	// is refused.
	AttachTimeout time.Duration
	// DrainTimeout is how long calls may take to finish when their endpoint leaves. Zero is
	// refused.
	DrainTimeout time.Duration
	// MaxMessageBytes bounds one message in either direction. It must be above zero.
	MaxMessageBytes int
	// Tracer follows the calls over gRPC, as that of daemon.Options does. Nil follows none.
	Tracer stub.Tracer
	// Waiting, if not nil, is called when Run begins to wait for the plugin. What says for
	// people what that waits for, as soon as it can be said; it gives nothing if ctx ends
	// first. Over is called once, when the wait is over.
	Waiting func(what func(ctx context.Context) string) (over func())
	// Log is where a child writes its log: the stderr that the process was started with.
	Log io.Writer
	// Logger writes what the host takes for its plugin's log.
	Logger hclog.Logger
}

func (o *Options) validate() error {
	switch {
	case o.Plugin == "":
		return errors.New("option Plugin is empty")
	case len(o.Sources) == 0:
		return errors.New("option Sources is empty: nothing finds the plugin")
	case len(o.Versions) == 0:
		return errors.New("option Versions is empty: there is no version to agree on")
	case o.Logger == nil || o.Log == nil:
		return errors.New("options Logger and Log must be set")
	case o.MaxMessageBytes <= 0:
		return fmt.Errorf("option MaxMessageBytes %d: must be above zero", o.MaxMessageBytes)
	}
	for name, d := range map[string]time.Duration{"Wait": o.Wait, "AttachTimeout": o.AttachTimeout, "DrainTimeout": o.DrainTimeout} {
		if d <= 0 {
			return fmt.Errorf("option %s %s: must be above zero", name, d)
		}
	}
	return nil
}
