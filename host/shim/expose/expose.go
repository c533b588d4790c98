// SPDX-License-Identifier: MPL-2.0

package expose

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"sync/atomic"

	"github.com/hashicorp/go-plugin"
)

// ErrNotStarted is matched by errors that say why the executable does not serve.
var ErrNotStarted = errors.New("the plugin cannot be started")

// ErrOptions is matched by errors about the options, and about the files and addresses that
// they name.
var ErrOptions = errors.New("expose")

// Server serves one executable to hosts of the network.
type Server struct {
	opts   Options
	pool   *pool
	first  *child // started by New; nil: none was
	failed context.Context
}

// New checks the options. Where cookie and versions are known it starts the first child,
// so that what does not work is known at once; that error matches [ErrNotStarted]. The
// caller calls Run, or Close.
func New(ctx context.Context, o Options) (*Server, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrOptions, err)
	}
	failed, fail := context.WithCancelCause(context.Background())
	s := &Server{opts: o, pool: newPool(o, fail), failed: failed}
	if o.Cookie == (plugin.HandshakeConfig{}) {
		if o.StartNow {
			return nil, fmt.Errorf("%w: %s", ErrOptions, "the magic cookie must be known to start the plugin before a host comes: name it with --cookie")
		}
		return s, nil
	}
	a := asked{o.Cookie, o.Versions}
	if len(a.versions) == 0 && !o.StartNow {
		return s, nil
	}
	if len(a.versions) == 0 {
		a.versions = anyVersions()
	}
	if err := s.begin(ctx, a); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// begin starts the first child: that of all hosts, or a spare for the first to come.
func (s *Server) begin(ctx context.Context, a asked) error {
	started := make(chan error, 1)
	go func() {
		c, err := s.pool.starter.start(s.pool.life, a)
		if s.first = c; err == nil {
			s.pool.admit(c)
		}
		started <- err
	}()
	select {
	case err := <-started:
		if err != nil {
			return fmt.Errorf("%w: %w", ErrNotStarted, err)
		}
		return nil
	case <-ctx.Done():
		<-started
		return context.Cause(ctx)
	}
}

// Run serves hosts on lis until ctx ends, drains, ends the children, and returns. It
// closes lis. If ctx has ended already it serves nobody, and returns ctx.Err. An error that
// matches [ErrOptions] says why it could not begin to serve, one that matches
// [ErrNotStarted] that the executable can never be started as it was asked for. Any other is
// of what has served: it could accept no more, or has cut off calls.
func (s *Server) Run(ctx context.Context, lis net.Listener) error {
	defer s.Close()
	if err := ctx.Err(); err != nil {
		return errors.Join(err, lis.Close())
	}
	if err := s.opts.checkListener(lis.Addr()); err != nil {
		return errors.Join(fmt.Errorf("%w: %w", ErrOptions, err), lis.Close())
	}
	s.opts.warnOfStrangers(lis.Addr())
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(s.failed, cancel)()
	began := &beganListener{Listener: lis}
	err := plugin.ServeRelay(ctx, began, &plugin.RelayConfig{
		Network: s.opts.Network, Logger: s.opts.Logger, Choose: s.pool.choose, Around: s.opts.Around,
	})
	if cause := context.Cause(s.failed); cause != nil {
		return fmt.Errorf("%w: %w", ErrNotStarted, cause)
	}
	if err != nil && !began.accepts.Load() {
		return fmt.Errorf("%w: %w", ErrOptions, err)
	}
	return err
}

// beganListener knows whether anybody has wanted its connections.
type beganListener struct {
	net.Listener
	accepts atomic.Bool
}

// Accept implements net.Listener.
func (l *beganListener) Accept() (net.Conn, error) {
	l.accepts.Store(true)
	return l.Listener.Accept()
}

// Close ends the children. It is called instead of Run, and may be called after it.
func (s *Server) Close() error {
	s.pool.close()
	return nil
}

// reattach is how hosts read where a plugin is that they did not start.
type reattach struct {
	Protocol        string
	ProtocolVersion int
	Pid             int
	Test            bool
	Addr            struct{ Network, String string }
}

// Reattach is the JSON with which a host of the original library attaches to this server
// at addr. Test keeps it from ending anything. It needs Options.StartNow or Versions. With
// a name, it is an object of that name, as Terraform has it in TF_REATTACH_PROVIDERS.
func (s *Server) Reattach(addr net.Addr, name string) ([]byte, error) {
	if s.first == nil {
		return nil, errors.New("reattach: no child was started yet")
	}
	client := s.first.Client()
	r := reattach{
		Protocol: string(client.Protocol()), ProtocolVersion: client.NegotiatedVersion(), Pid: os.Getpid(), Test: true,
	}
	r.Addr.Network, r.Addr.String = addr.Network(), addr.String()
	if tcp, ok := addr.(*net.TCPAddr); ok && tcp.IP.IsUnspecified() {
		r.Addr.String = fmt.Sprintf("127.0.0.1:%d", tcp.Port)
	}
	var value any = r
	if name != "" {
		value = map[string]reattach{name: r}
	}
	text, err := json.Marshal(value)
	if err != nil {
		return nil, fmt.Errorf("reattach: %w", err)
	}
	return text, nil
}
