// SPDX-License-Identifier: MPL-2.0

package cli

import (
	"cmp"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/go-plugin/printable"
	"github.com/hashicorp/go-plugin/tlsfile"
	"github.com/spf13/cobra"

	"github.com/reattach/reattach/host/attach"
	"github.com/reattach/reattach/host/daemon"
	"github.com/reattach/reattach/host/doctor"
	"github.com/reattach/reattach/host/target"
)

func (o Options) probeCommand() *cobra.Command {
	var name string
	cmd := &cobra.Command{
		Use:   "probe ADDR",
		Short: "Walk the way to a network plugin, and say where it ends",
		Long: `Walks the way to a network plugin (host:port or unix:///path) hop by hop: name, TCP, TLS and identity, handshake,
version, kinds and methods, health, and one ping. The hop that fails is named, with a code and what to do. The command
doctor takes the same hops and those before them, in a cluster, and is silent where all is well.

` + exitCodes,
		Example: "  " + o.Name + " probe pluginzh.plugins:7000",
		Args:    counted(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := target.ValidateAddress(args[0]); err != nil {
				if !strings.ContainsAny(args[0], ":/") {
					err = fmt.Errorf("%w; a plugin's name is for %s doctor", err, o.Name)
				}
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
			name = cmp.Or(name, nameOf(args[0]))
			way, err := c.wayTo(args[0], name, name, options)
			if err != nil {
				return err
			}
			var printed error
			found, err := way.Walk(cmd.Context(), func(s doctor.Step) {
				printed = cmp.Or(printed, printStep(cmd.OutOrStdout(), s))
			})
			switch {
			case err != nil:
				return err
			case printed != nil:
				return fmt.Errorf("print: %w", printed)
			case found != nil:
				return &failure{code: exitUnreachable} // said already
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&name, "server-name", "", "name that the plugin's certificate must carry (default: the host part of ADDR, or the socket's name without its ending)")
	return cmd
}

// nameOf is what a plugin at an address is called if nobody says otherwise.
func nameOf(address string) string {
	host, _, _ := net.SplitHostPort(address) // was validated, or is a socket
	return cmp.Or(host, strings.TrimSuffix(filepath.Base(address), filepath.Ext(address)))
}

// tlsTo names the files for a plugin: none where plain TCP is spoken.
func (c *config) tlsTo(plugin string) tlsfile.Files {
	if slices.Contains(c.TLSPlainPlugins, plugin) {
		return tlsfile.Files{}
	}
	return c.tls()
}

// wayTo is the way to a network plugin, as a daemon of this environment would go it.
func (c *config) wayTo(address, name, serverName string, options daemon.Options) (doctor.Address, error) {
	versions, err := options.AllVersions()
	if err != nil {
		return doctor.Address{}, err
	}
	kinds := options.Kinds
	if c.program.AnyPlugin {
		kinds = nil // it calls whatever a plugin serves
	}
	return doctor.Address{
		Address: address, ServerName: serverName,
		Contract: attach.Contract{Handshake: options.Handshake, Versions: versions}, Kinds: kinds,
		TLS: c.tlsTo(name), Timeout: c.AttachTimeout, Logger: options.Logger,
	}, nil
}

// outcomes are what a line of a step begins with.
var outcomes = map[string]string{doctor.OK: "ok", doctor.Warning: "WARN", doctor.Failed: "FAIL", doctor.NotSeen: "?"}

// printStep writes a line for a hop, and what to do where it fails.
func printStep(w io.Writer, s doctor.Step) error {
	line := fmt.Sprintf("%-4s  %-8s ", outcomes[s.Outcome], s.Hop)
	if s.Finding == nil {
		_, err := fmt.Fprintf(w, "%s%s (%s)\n", line, printable.Cell(s.Seen, maxColumns), s.Took.Round(10*time.Microsecond))
		return err
	}
	_, err := fmt.Fprintf(w, "%s%s %s\n%s", line, s.Finding.Code, oneLine(s.Seen), adviceOn(s.Finding))
	return err
}

// adviceOn are the lines below a finding.
func adviceOn(f *doctor.Finding) string {
	return fmt.Sprintf("      %-8s %s\n      %-8s %s\n", "do:", f.Do, "page:", f.Page)
}
