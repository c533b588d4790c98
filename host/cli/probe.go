// SPDX-License-Identifier: MPL-2.0

package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"time"

	"github.com/hashicorp/go-plugin"
	"github.com/hashicorp/go-plugin/printable"
	"github.com/spf13/cobra"

	"github.com/reattach/reattach/host/conn"
	"github.com/reattach/reattach/host/daemon"
	"github.com/reattach/reattach/host/target"
)

func (o Options) probeCommand() *cobra.Command {
	var name string
	cmd := &cobra.Command{
		Use:   "probe ADDR",
		Short: "Walk the way to a network plugin, and say where it ends",
		Long: `Walks the way to a network plugin (host:port or unix:///path) hop by hop: name, TCP, TLS and identity, handshake,
version, kinds and methods, health, and one ping. The hop that fails is named, with a hint.

` + exitCodes,
		Example: "  " + o.Name + " probe pluginzh.plugins:7000",
		Args:    usage(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := target.ValidateAddress(args[0]); err != nil {
				return &failure{exitUsage, err}
			}
			c, err := o.readConfig()
			if err != nil {
				return err
			}
			options, err := c.daemonOptions(cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			p := &prober{config: &c, options: options, address: target.NetAddr(args[0]), out: cmd.OutOrStdout()}
			host, _, _ := net.SplitHostPort(args[0]) // was validated, or is a socket
			p.name = cmp.Or(name, host, strings.TrimSuffix(filepath.Base(args[0]), filepath.Ext(args[0])))
			ctx, cancel := context.WithTimeout(cmd.Context(), c.AttachTimeout)
			defer cancel()
			return p.walk(ctx)
		},
	}
	cmd.Flags().StringVar(&name, "server-name", "", "name that the plugin's certificate must carry (default: the host part of ADDR, or the socket's name without its ending)")
	return cmd
}

// walk takes one hop after the other until one fails.
func (p *prober) walk(ctx context.Context) error {
	defer p.leave()
	p.began = time.Now()
	for _, hop := range []struct {
		name string
		take func(context.Context) (string, error)
	}{
		{"resolve", p.resolve},
		{p.address.Network(), p.connect},
		{"tls", p.secure},
		{"hello", p.hello},
		{"version", p.version},
		{"kinds", p.kinds},
		{"health", p.health},
		{"ping", p.ping},
	} {
		began := time.Now()
		said, err := hop.take(ctx)
		if err != nil && errors.Is(ctx.Err(), context.Canceled) {
			return ctx.Err() // interrupted: the hop may be good
		}
		if err != nil {
			hint := p.hint(hop.name, err)
			fmt.Fprintf(p.out, "FAIL  %-8s %s\n", hop.name, oneLine(err.Error()))
			fmt.Fprintf(p.out, "      %-8s %s\n", "hint:", hint)
			return &failure{code: exitUnreachable} // said already
		}
		if _, err := fmt.Fprintf(p.out, "ok    %-8s %s (%s)\n", hop.name, printable.Cell(said, maxColumns), time.Since(began).Round(10*time.Microsecond)); err != nil {
			return fmt.Errorf("print: %w", err)
		}
	}
	return nil
}

// prober is one walk.
type prober struct {
	config  *config
	options daemon.Options
	address net.Addr
	name    string // that the certificate must carry
	out     io.Writer
	began   time.Time

	session *plugin.Session
	info    conn.Info // of session
}

func (p *prober) leave() {
	if p.session != nil {
		_ = p.session.Close()
	}
}
