// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"github.com/hashicorp/go-plugin/internal/env"
	"github.com/hashicorp/go-plugin/internal/peererr"
	"io"
	"maps"
	"net"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/go-plugin/internal/cmdrunner"
	"github.com/hashicorp/go-plugin/internal/stdio"
	"github.com/hashicorp/go-plugin/runner"
)

// startChild starts the plugin and waits until it says where it serves. After
// an error nothing of it is left.
func (p *localPlugin) startChild() (reached reachedPlugin, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), p.config.StartTimeout)
	defer cancel()
	p.setAbandon(cancel)
	cert, err := p.oneTimeCertificate()
	if err != nil {
		return reachedPlugin{}, err
	}
	cmd, err := p.command(cert)
	if err != nil {
		return reachedPlugin{}, err
	}
	child, err := p.newRunner(cmd)
	if err != nil {
		p.removeSocketDir()
		return reachedPlugin{}, err
	}
	if err := child.Start(ctx); err != nil {
		p.removeSocketDir()
		return reachedPlugin{}, err
	}
	p.setRunner(child)
	p.ran = true
	lines := p.supervise(child)

	line, err := p.firstLine(ctx, child, lines)
	if err == nil {
		reached, err = p.accept(line, child, cert)
	}
	if err == nil && errors.Is(ctx.Err(), context.Canceled) {
		err = errKilled // Kill may not have waited.
	}
	if err != nil {
		p.killRunner(child)
		p.setRunner(nil)
		p.removeSocketDir()
		return reachedPlugin{}, err
	}
	return reached, nil
}

// newRunner returns what runs the command.
func (p *localPlugin) newRunner(cmd *exec.Cmd) (runner.Runner, error) {
	if p.config.RunnerFunc == nil {
		child, err := cmdrunner.NewCmdRunner(p.logger, cmd)
		if err == nil && p.config.EndWithHost {
			child.EndWithHost()
		}
		return child, err
	}
	p.mu.Lock()
	err := p.sockets.MakeDir(p.tempDir)
	p.mu.Unlock()
	if err != nil {
		return nil, err
	}
	cmd.Env = append(cmd.Env, EnvUnixSocketDir+"="+p.sockets.Dir)
	return p.config.RunnerFunc(p.logger, cmd, p.sockets.Dir)
}

// command completes the command's environment.
func (p *localPlugin) command(cert *oneTimeCertificate) (*exec.Cmd, error) {
	cmd := p.config.Cmd
	if cmd == nil {
		cmd = exec.Command("") // Only carries the environment to RunnerFunc.
	}
	if secure := p.config.SecureConfig; secure != nil {
		ok, err := secure.Check(cmd.Path)
		if err != nil {
			return nil, fmt.Errorf("error verifying checksum: %w", err)
		}
		if !ok {
			return nil, ErrChecksumsDoNotMatch
		}
	}
	cmd.Env = withoutOwnEnv(cmd.Env)
	if !p.config.SkipHostEnv {
		cmd.Env = append(cmd.Env, HostEnv()...)
	}
	cmd.Env = append(cmd.Env, p.handshakeEnv()...)
	if cert != nil {
		cmd.Env = append(cmd.Env, env.ClientCert+"="+string(cert.pem))
	}
	if cmd.Stdin == nil {
		cmd.Stdin = os.Stdin
	}
	return cmd, nil
}

// handshakeEnv is how a host talks to its child before there is a connection.
func (p *localPlugin) handshakeEnv() []string {
	var versions []string
	for _, v := range slices.Sorted(maps.Keys(p.config.versions())) {
		versions = append(versions, strconv.Itoa(v))
	}
	vars := []string{
		p.config.MagicCookieKey + "=" + p.config.MagicCookieValue,
		fmt.Sprintf("%s=%d", env.MinPort, p.config.MinPort),
		fmt.Sprintf("%s=%d", env.MaxPort, p.config.MaxPort),
		env.ProtocolVersions + "=" + strings.Join(versions, ","),
	}
	if p.config.GRPCBrokerMultiplex {
		vars = append(vars, env.MultiplexGRPC+"=true")
	}
	if p.config.EndWithHost {
		vars = append(vars, envEndWithHost+"=true")
	}
	if p.sockets.Group != "" {
		vars = append(vars, EnvUnixSocketGroup+"="+p.sockets.Group)
	}
	return vars
}

// supervise reads the child's output and waits for its end. The channel gives
// the first line of its stdout and is then closed; the rest is dropped, so that
// a child never blocks on it.
func (p *localPlugin) supervise(child runner.Runner) <-chan string {
	lines := make(chan string, 1)
	outputs := []*stdio.Pump{
		stdio.StartPump(func() { firstLineOf(child.Stdout(), lines) }),
		stdio.StartPump(func() { p.forwardLog(child.Name(), child.Stderr()) }),
	}
	go func() {
		if p.config.RunnerFunc != nil {
			// Waiting may close its pipes, so what is in them is read first. A
			// runner of our own reads to the end, but does not wait for ever
			// when something that the child left behind holds them open.
			for _, output := range outputs {
				_ = output.Wait(p.watch.unread)
			}
		}
		p.awaitEnd(child, child.Name(), outputs)
	}()
	return lines
}

// firstLineOf gives the first line, if there is one that a handshake could be,
// and closes lines at once: nobody need wait for the end of an endless line.
func firstLineOf(stdout io.Reader, lines chan<- string) {
	scanner := bufio.NewScanner(stdout)
	if scanner.Scan() {
		lines <- scanner.Text()
	}
	close(lines)
	_, _ = io.Copy(io.Discard, stdout)
}

// lastLineWait is how long the first line of a child that has ended may take to be
// read: something that it left behind may hold its stdout open.
const lastLineWait = time.Second

func (p *localPlugin) firstLine(ctx context.Context, child runner.Runner, lines <-chan string) (string, error) {
	p.logger.Debug("waiting for RPC address", "plugin", child.Name())
	ended, late := p.ctx.Done(), (<-chan time.Time)(nil)
	for {
		select {
		case line, ok := <-lines:
			if !ok {
				return "", unrecognizedLine("", child, "Failed to read any lines from plugin's stdout")
			}
			return line, nil
		case <-ended:
			// What it wrote before is still being read, and says more.
			timer := time.NewTimer(lastLineWait)
			defer timer.Stop()
			ended, late = nil, timer.C
		case <-late:
			return "", errExited
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.Canceled) {
				return "", errKilled
			}
			return "", errors.New("timeout while waiting for plugin to start")
		}
	}
}

// accept checks what the child said of itself and sets up what connecting to
// it needs.
func (p *localPlugin) accept(text string, child runner.Runner, cert *oneTimeCertificate) (reachedPlugin, error) {
	line, err := parseChildLine(text)
	if errors.Is(err, errShortLine) {
		return reachedPlugin{}, unrecognizedLine(text, child, "")
	}
	if err != nil {
		return reachedPlugin{}, err
	}
	reached, err := p.acceptLine(line, child, cert)
	if err != nil {
		return reachedPlugin{}, peererr.Brief(err)
	}
	return reached, nil
}

func (p *localPlugin) acceptLine(line childLine, child runner.Runner, cert *oneTimeCertificate) (reachedPlugin, error) {
	set, err := p.config.selectVersion(line.version)
	if err != nil {
		return reachedPlugin{}, err
	}
	addr, err := line.addr(child)
	if err != nil {
		return reachedPlugin{}, err
	}
	socket := p.listensOn(addr)
	if err := p.config.allows(line.protocol); err != nil {
		return reachedPlugin{}, err
	}
	if err := p.checkMux(line); err != nil {
		return reachedPlugin{}, err
	}
	reached := reachedPlugin{
		addr: addr, socket: socket, protocol: line.protocol, version: line.version, plugins: set, tls: p.config.TLSConfig,
	}
	if cert != nil {
		if reached.tls, err = cert.clientConfig(line.cert); err != nil {
			return reachedPlugin{}, err
		}
	}
	p.logger.Debug("using plugin", "version", line.version)
	return reached, nil
}

// listensOn notes where a child listens, so that its socket goes with it.
func (p *localPlugin) listensOn(addr net.Addr) *childSocket {
	socket := &childSocket{addr: addr}
	if p.config.EndWithHost && p.config.RunnerFunc == nil {
		socket.take()
	}
	p.ownSocket(socket)
	return socket
}

func (p *localPlugin) checkMux(line childLine) error {
	if !p.config.GRPCBrokerMultiplex || line.protocol != ProtocolGRPC {
		return nil
	}
	if line.mux == "" {
		return fmt.Errorf("%w; for Go plugins, you will need to update the "+
			"github.com/hashicorp/go-plugin dependency and recompile", ErrGRPCBrokerMuxNotSupported)
	}
	switch can, err := strconv.ParseBool(line.mux); {
	case err != nil:
		return fmt.Errorf("error parsing %q as a boolean for gRPC broker multiplexing support", line.mux)
	case !can:
		return ErrGRPCBrokerMuxNotSupported
	}
	return nil
}

// oneTimeCertificate makes the host's certificate for AutoMTLS, or nil.
func (p *localPlugin) oneTimeCertificate() (*oneTimeCertificate, error) {
	if !p.config.AutoMTLS {
		return nil, nil
	}
	return newOneTimeCertificate()
}
