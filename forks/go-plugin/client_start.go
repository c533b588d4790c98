// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strconv"

	"github.com/hashicorp/go-plugin/internal/child"
	"github.com/hashicorp/go-plugin/internal/cmdrunner"
	"github.com/hashicorp/go-plugin/internal/dial"
	"github.com/hashicorp/go-plugin/internal/peererr"
	"github.com/hashicorp/go-plugin/runner"
)

// HostEnv returns the environment that a child inherits from this process:
// all of it but what is about this process alone, if it is a plugin itself. That
// is where it would listen on the network (PLUGIN_HOST and others), and what its
// own host said to it.
//
// A host uses it with ClientConfig.SkipHostEnv to have Cmd.Env win over the
// inherited variables: on its own, a client appends those behind Cmd.Env, and
// of two entries with one name the last counts.
func HostEnv() []string { return child.HostEnv() }

// startChild starts the plugin and waits until it says where it serves, or until ctx
// ends. After an error nothing of it is left; ran says whether there was a process, or
// what stands for it.
func (p *localProcess) startChild(ctx context.Context) (reached reachedPlugin, ran bool, err error) {
	defer func() {
		if err != nil {
			p.process.Kill()
			p.removeSocketDir()
		}
	}()
	var cert *child.Certificate
	if p.config.AutoMTLS {
		if cert, err = child.NewCertificate(); err != nil {
			return reachedPlugin{}, false, err
		}
	}
	started, err := p.newRunner(cert)
	if err != nil {
		return reachedPlugin{}, false, err
	}
	if err := started.Start(ctx); err != nil {
		return reachedPlugin{}, false, err
	}
	line, err := p.process.Run(ctx, started, p.config.RunnerFunc != nil)
	if err != nil {
		return reachedPlugin{}, true, err
	}
	if reached, err = p.accept(line, started, cert); err != nil {
		return reachedPlugin{}, true, err
	}
	if errors.Is(ctx.Err(), context.Canceled) {
		return reachedPlugin{}, true, child.ErrKilled // Kill may not have waited.
	}
	return reached, true, nil
}

// newRunner returns what runs the plugin.
func (p *localProcess) newRunner(cert *child.Certificate) (runner.Runner, error) {
	cmd := p.config.Cmd
	if cmd == nil {
		cmd = exec.Command("") // Only carries the environment to RunnerFunc.
	}
	if err := p.config.SecureConfig.verify(cmd.Path); err != nil {
		return nil, err
	}
	if p.config.RunnerFunc != nil {
		if err := p.makeSocketDir(); err != nil {
			return nil, err
		}
	}
	cmd.Env = child.WithoutOwn(cmd.Env)
	if !p.config.SkipHostEnv {
		cmd.Env = append(cmd.Env, HostEnv()...)
	}
	cmd.Env = append(cmd.Env, p.config.MagicCookieKey+"="+p.config.MagicCookieValue)
	cmd.Env = append(cmd.Env, p.request(cert).Env()...)
	if cmd.Stdin == nil {
		cmd.Stdin = os.Stdin
	}
	if p.config.RunnerFunc != nil {
		return p.config.RunnerFunc(p.logger, cmd, p.sockets().Dir)
	}
	started, err := cmdrunner.NewCmdRunner(p.logger, cmd)
	if err != nil {
		return nil, err
	}
	started.EndWithHost = p.config.EndWithHost
	return started, nil
}

// request is what the child is told before there is a connection.
func (p *localProcess) request(cert *child.Certificate) child.Request {
	sockets := p.sockets()
	request := child.Request{
		Versions:      slices.Sorted(maps.Keys(p.config.versions())),
		MinPort:       p.config.MinPort,
		MaxPort:       p.config.MaxPort,
		SocketDir:     sockets.Dir,
		SocketGroup:   sockets.Group,
		MultiplexGRPC: p.config.GRPCBrokerMultiplex,
		EndWithHost:   p.config.EndWithHost,
		// Dial options may change what the connection of a gRPC child is.
		Hello: !p.config.relayed && len(p.config.GRPCDialOptions) == 0,
	}
	if cert != nil {
		request.Cert = cert.PEM
	}
	return request
}

// accept checks what the child said of itself and sets up what connecting to
// it needs.
func (p *localProcess) accept(line child.Line, translate runner.AddrTranslator, cert *child.Certificate) (reached reachedPlugin, err error) {
	defer func() {
		if err != nil {
			err = peererr.Brief(err) // It quotes the child.
		}
	}()
	set, err := p.config.selectVersion(line.Version)
	if err != nil {
		return reachedPlugin{}, err
	}
	addr, err := line.Addr(translate)
	if err != nil {
		return reachedPlugin{}, err
	}
	reached = reachedPlugin{
		addr: addr, socket: child.NewSocket(addr, dial.Dialer()), protocol: Protocol(line.Protocol), version: line.Version,
		hello: line.Hello, plugins: set, tls: p.config.TLSConfig,
	}
	if p.config.EndWithHost && p.config.RunnerFunc == nil {
		reached.socket.Take()
	}
	p.process.OwnSocket(reached.socket)
	if err := p.config.allows(reached.protocol); err != nil {
		return reachedPlugin{}, err
	}
	if err := p.checkMultiplex(line); err != nil {
		return reachedPlugin{}, err
	}
	if cert != nil {
		if reached.tls, err = cert.ClientConfig(line.Cert); err != nil {
			return reachedPlugin{}, err
		}
	}
	p.logger.Debug("using plugin", "version", line.Version)
	return reached, nil
}

func (p *localProcess) checkMultiplex(line child.Line) error {
	if !p.config.GRPCBrokerMultiplex || Protocol(line.Protocol) != ProtocolGRPC {
		return nil
	}
	switch can, err := strconv.ParseBool(line.Multiplex); {
	case line.Multiplex == "":
		return fmt.Errorf("%w; for Go plugins, you will need to update the "+
			"github.com/hashicorp/go-plugin dependency and recompile", ErrGRPCBrokerMuxNotSupported)
	case err != nil:
		return fmt.Errorf("error parsing %q as a boolean for gRPC broker multiplexing support", line.Multiplex)
	case !can:
		return ErrGRPCBrokerMuxNotSupported
	}
	return nil
}
