// SPDX-License-Identifier: MPL-2.0

//go:build !old

package main

import (
	"context"
	"io"
	"os/exec"
	"strconv"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"github.com/hashicorp/go-plugin/runner"

	"github.com/reattach/reattach/test/interop/peer/hostapi"
)

// setRecent sets what the oldest releases do not have that hosts are still built with.
func setRecent(cfg *plugin.ClientConfig, spec hostapi.Client) {
	cfg.SkipHostEnv, cfg.GRPCBrokerMultiplex = spec.SkipHostEnv, spec.Multiplex
	if spec.SocketGroup != "" {
		cfg.UnixSocketConfig = &plugin.UnixSocketConfig{Group: spec.SocketGroup}
	}
	if spec.Runner {
		cfg.RunnerFunc = ownRunner(spec)
	}
}

// idOf is what a client calls its plugin.
func idOf(c *plugin.Client) string { return c.ID() }

// ownRunner is a RunnerFunc as hosts write it that run plugins in containers.
// Ours is a plain process all the same.
func ownRunner(spec hostapi.Client) func(hclog.Logger, *exec.Cmd, string) (runner.Runner, error) {
	return func(_ hclog.Logger, wish *exec.Cmd, _ string) (runner.Runner, error) {
		cmd := exec.Command(spec.Path)
		cmd.Env = append(append(cmd.Env, spec.Env...), wish.Env...)
		stdout, err := cmd.StdoutPipe()
		if err != nil {
			return nil, err
		}
		stderr, err := cmd.StderrPipe()
		if err != nil {
			return nil, err
		}
		return &process{cmd: cmd, stdout: stdout, stderr: stderr}, nil
	}
}

// process implements runner.Runner.
type process struct {
	cmd            *exec.Cmd
	stdout, stderr io.ReadCloser
}

func (p *process) Start(context.Context) error { return p.cmd.Start() }

func (p *process) Wait(context.Context) error { return p.cmd.Wait() }

func (p *process) Kill(context.Context) error { return p.cmd.Process.Kill() }

func (p *process) Stdout() io.ReadCloser { return p.stdout }

func (p *process) Stderr() io.ReadCloser { return p.stderr }

func (p *process) Name() string { return "a plugin of its own runner" }

func (p *process) ID() string {
	if p.cmd.Process == nil {
		return ""
	}
	return "process " + strconv.Itoa(p.cmd.Process.Pid)
}

func (p *process) Diagnose(context.Context) string { return "the runner knows no more" }

func (p *process) PluginToHost(network, address string) (string, string, error) {
	return network, address, nil
}

func (p *process) HostToPlugin(network, address string) (string, string, error) {
	return network, address, nil
}
