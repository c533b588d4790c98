// SPDX-License-Identifier: MPL-2.0

package netrpc

import (
	"cmp"
	"fmt"
	"io"
	"net"
	"net/rpc"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/yamux"

	"github.com/hashicorp/go-plugin/internal/stdio"
	"github.com/hashicorp/go-plugin/internal/yamuxframe"
)

// streamNames are the streams that every host opens first, in this order.
var streamNames = [...]string{"control", "stdout", "stderr"}

// overYamux is the transport that every go-plugin peer has: a stream for the control
// service, one for each output, and one for each kind.
type overYamux struct {
	host           *Host
	stdout, stderr net.Conn
}

// NewYamuxHost starts a session over yamux. It owns conn, and closes it on an error.
func NewYamuxHost(conn io.ReadWriteCloser, config HostConfig) (*Host, error) {
	session, err := yamux.Client(wholeFrames(conn), yamuxConfig(config.Yamux))
	if err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("start net/rpc session: %w", err)
	}
	var streams [len(streamNames)]net.Conn
	for i, name := range streamNames {
		if streams[i], err = session.Open(); err != nil {
			_ = session.Close()
			return nil, fmt.Errorf("open %s stream: %w", name, err)
		}
	}
	h := &Host{config: config, broker: config.newBroker(newYamuxStreams(session), cmp.Or(config.Arrivals, NewArrivals()))}
	h.transport = &overYamux{h, streams[1], streams[2]}
	control := NewClient(newStream(streams[0], config.Cause, config.MaxMessage, true))
	h.control = func() *rpc.Client { return control }
	go h.broker.Run()
	return h, nil
}

func (y *overYamux) open(kind string, waits bool) (Channel, error) {
	id, err := y.host.dispense(kind)
	if err != nil {
		return nil, err
	}
	conn, err := y.host.broker.Dial(id)
	if err != nil {
		return nil, err
	}
	return newStream(conn, y.host.config.Cause, y.host.config.MaxMessage, waits), nil
}

func (y *overYamux) receive(stdout, stderr *stdio.Sink) []*stdio.Pump {
	pump := func(dst *stdio.Sink, src net.Conn) *stdio.Pump {
		return stdio.StartPump(func() {
			stdio.Copy(dst, src)
			_ = src.Close()
		})
	}
	return []*stdio.Pump{pump(stdout, y.stdout), pump(stderr, y.stderr)}
}

func (*overYamux) endsOutput() bool { return true }

// moved never grows: what yamux sends is cut into frames, between which others pass.
func (*overYamux) moved() uint64 { return 0 }

// wholeFrames is what a session writes to. What is not a connection, a relay's, takes frames
// as a whole by itself.
func wholeFrames(conn io.ReadWriteCloser) io.ReadWriteCloser {
	if c, ok := conn.(net.Conn); ok {
		return yamuxframe.Join(c)
	}
	return conn
}

func yamuxConfig(make func() *yamux.Config) *yamux.Config {
	if make == nil {
		return YamuxConfig(nil)
	}
	return make()
}

// YamuxConfig is upstream's configuration with yamux's own messages sent to
// the logger; nil silences them.
func YamuxConfig(logger hclog.Logger) *yamux.Config {
	cfg := yamux.DefaultConfig()
	if logger == nil {
		cfg.LogOutput = io.Discard
		return cfg
	}
	cfg.LogOutput = nil
	// yamux reports an ordinary hang-up as an error.
	cfg.Logger = logger.Named("yamux").StandardLogger(&hclog.StandardLoggerOptions{ForceLevel: hclog.Debug})
	return cfg
}
