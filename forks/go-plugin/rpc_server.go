// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/rpc"
	"sync"
	"time"

	"github.com/hashicorp/yamux"

	"github.com/hashicorp/go-plugin/internal/stdio"
)

// RPCServer serves plugins over net/rpc to any number of connections.
type RPCServer struct {
	// Plugins are served by their dispense names.
	Plugins map[string]Plugin

	// Stdout and Stderr are copied to the host. Two hosts that are connected at
	// once share what is read from them.
	Stdout io.Reader
	Stderr io.Reader

	// DoneCh, if not nil, is closed when a host asks the plugin to end.
	DoneCh chan<- struct{}

	before *stdio.Barrier // nil: nobody knows what was written
	done   sync.Once
}

// Init does nothing; net/rpc has nothing to prepare.
func (s *RPCServer) Init() error { return nil }

// Config returns "": net/rpc has no configuration.
func (s *RPCServer) Config() string { return "" }

// Serve accepts connections until the listener is closed, and serves each in a
// goroutine of its own.
func (s *RPCServer) Serve(lis net.Listener) {
	defer s.quit()
	for {
		conn, err := lis.Accept()
		if err != nil {
			return
		}
		go s.ServeConn(conn)
	}
}

// ServeConn serves one connection until the host hangs up, and closes it.
func (s *RPCServer) ServeConn(conn io.ReadWriteCloser) {
	session := &rpcSession{plugins: s.Plugins, stdout: s.Stdout, stderr: s.Stderr, quit: s.quit}
	session.before = s.before
	_ = session.serve(conn, yamuxConfig(nil))
}

func (s *RPCServer) quit() {
	s.done.Do(func() {
		if s.DoneCh != nil {
			close(s.DoneCh)
		}
	})
}

// rpcSession serves one host on one connection.
type rpcSession struct {
	plugins        map[string]Plugin
	stdout, stderr io.Reader
	// quit is called when the host asks for the end (Control.Quit).
	quit func()
	rpcServing
	// draining is closed when the plugin is about to leave; nil where it never
	// says so (a child).
	draining <-chan struct{}
	// openTimeout bounds how long the host may take to open its streams; zero
	// waits for ever.
	openTimeout time.Duration

	mu      sync.Mutex // guards sending
	sending []*sentOutput
}

// serve runs the session until the host hangs up or conn is closed. It always
// closes conn.
func (s *rpcSession) serve(conn io.ReadWriteCloser, cfg *yamux.Config) error {
	mux, err := yamux.Server(conn, cfg)
	if err != nil {
		_ = conn.Close()
		return fmt.Errorf("start net/rpc session: %w", err)
	}
	defer mux.Close()

	streams, err := s.acceptStreams(mux)
	if err != nil {
		return err
	}
	s.sendOutput(streams[1], s.stdout)
	s.sendOutput(streams[2], s.stderr)

	broker := newMuxBroker(mux, newStreamArrivals())
	broker.serving = s.rpcServing
	go broker.Run()

	server := rpc.NewServer()
	control := &controlService{draining: s.draining, ended: mux.CloseChan(), finishOutput: s.finishOutput}
	dispenser := &dispenseService{session: s, broker: broker}
	for name, service := range map[string]any{"Control": control, "Dispenser": dispenser} {
		if err := server.RegisterName(name, service); err != nil {
			return fmt.Errorf("register %s service: %w", name, err)
		}
	}
	service := newRPCService(streams[0], server, rpcServing{panicked: s.panicked, maxMessage: s.maxMessage})
	service.answered = s.answered
	service.serve()
	return nil
}

// acceptStreams takes the streams that every host opens first, in this order:
// control, stdout, stderr.
func (s *rpcSession) acceptStreams(mux *yamux.Session) (streams [3]net.Conn, err error) {
	if s.openTimeout > 0 {
		defer time.AfterFunc(s.openTimeout, func() { _ = mux.Close() }).Stop()
	}
	for i, name := range [...]string{"control", "stdout", "stderr"} {
		if streams[i], err = mux.Accept(); err != nil {
			return streams, fmt.Errorf("accept %s stream: %w", name, err)
		}
	}
	return streams, nil
}

// answered acts on Control.Quit only once its answer is on the wire: a child
// exits right away, and its host takes a missing answer for a plugin that has
// to be killed.
func (s *rpcSession) answered(method string) {
	if method == "Control.Quit" {
		s.quit()
	}
}

// sentOutput is one of the plugin's outputs on its way to the host.
type sentOutput struct {
	src    io.Reader
	stream net.Conn
	*stdio.Pump
}

// sendOutput copies one of the plugin's outputs to the host until either ends.
// The stream ends with the output.
func (s *rpcSession) sendOutput(stream net.Conn, src io.Reader) {
	if src == nil {
		return
	}
	reader := stdio.StartPump(func() {
		_, _ = io.Copy(stream, src)
		_ = stream.Close()
	})
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sending = append(s.sending, &sentOutput{src, stream, reader})
}

// finishOutput sends what the plugin has written by now, and ends the streams. A
// host that does not read is waited for no longer than stdio.FlushTimeout.
func (s *rpcSession) finishOutput() {
	ctx, cancel := context.WithTimeout(context.Background(), stdio.FlushTimeout)
	defer cancel()
	s.mu.Lock()
	sending := s.sending
	s.mu.Unlock()
	for _, out := range sending {
		if src, ok := out.src.(stdio.Finisher); ok {
			src.Finish(ctx)
		} else {
			_ = out.stream.Close() // Nobody knows whether anything is to come.
		}
	}
	for _, out := range sending {
		if _, ok := out.src.(stdio.Finisher); ok {
			_ = out.Wait(ctx)
		}
	}
}

// controlService is the net/rpc service "Control". net/rpc finds its methods
// by reflection.
type controlService struct {
	draining, ended <-chan struct{}
	finishOutput    func()
}

// Ping answers.
func (c *controlService) Ping(bool, *struct{}) error { return nil }

// Quit ends the plugin's process if this is a child, and the session if it
// came over the network. What the plugin has written is sent before the answer.
func (c *controlService) Quit(bool, *struct{}) error {
	c.finishOutput()
	return nil
}

// GoAway answers when the plugin is about to leave, and never before: a host
// leaves this one call open and knows then that it should call elsewhere.
// PROTOCOL.md, feature "goaway".
func (c *controlService) GoAway(bool, *struct{}) error {
	select {
	case <-c.draining:
		return nil
	case <-c.ended:
		return ErrConnectionLost
	}
}

// dispenseService is the net/rpc service "Dispenser".
type dispenseService struct {
	session *rpcSession
	broker  *MuxBroker
}

// Dispense serves the plugin of that name on a brokered stream and answers the
// stream's id.
func (d *dispenseService) Dispense(name string, id *uint32) error {
	p, ok := d.session.plugins[name]
	if !ok {
		return fmt.Errorf("unknown plugin type: %s", name)
	}
	impl, err := p.Server(d.broker)
	if err != nil {
		return err
	}
	*id = d.broker.NextId()
	go d.serve(*id, impl)
	return nil
}

func (d *dispenseService) serve(id uint32, impl any) {
	stream, err := d.broker.Accept(id)
	if err != nil {
		return // The host asked and did not come; its own call has failed.
	}
	serveNetRPC(stream, impl, d.session.rpcServing)
}
