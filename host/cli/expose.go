// SPDX-License-Identifier: MPL-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"

	"github.com/hashicorp/go-plugin"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/reattach/reattach/host/shim/expose"
)

// exposeFlags are what the command line of expose says.
type exposeFlags struct {
	listen, cookie, share, recycle string
	reattach                       string
	versions                       []int
	startTimeout                   time.Duration
	maxChildren                    int
	autoMTLS                       bool
}

// unnamed is what --print-reattach has without a name.
const unnamed = "-"

func (o Options) exposeCommand() *cobra.Command {
	var f exposeFlags
	cmd := &cobra.Command{
		Use:   "expose [flags] -- EXECUTABLE [ARGUMENT]...",
		Short: "Make a network plugin of a plugin executable, as it is",
		Long: `Starts a plugin executable as its host would, and serves it to any number of hosts of the
network. The executable need not know anything of that.

--cookie, or the variable ` + o.prefix() + `_COOKIE, is the magic cookie that the executable expects. Without it,
it is the first host's, on loopback, on a unix socket, or where hosts show certificates
(PLUGIN_TLS_CLIENT_CA_FILE): elsewhere it must be given. Versions are the first host's as
well, unless they are given.

--share says whom a process serves: all hosts, one host (a plugin that is configured once
and remembers it), or one session. A host ends its session and never the process.

--listen=unix:///run/plugins/store.sock serves hosts of the same machine or pod alone.
PLUGIN_UNIX_SOCKET_GROUP and PLUGIN_UNIX_SOCKET_MODE say which.

TLS, health, drain, names and bounds are set by the variables of any network plugin
(PLUGIN_TLS_CERT_FILE, PLUGIN_HEALTH_ADDR, PLUGIN_DRAIN_TIMEOUT, PLUGIN_NAME and the others).

` + exitCodes,
		Example: strings.ReplaceAll(`  NAME expose --listen 127.0.0.1:7000 --share host --cookie STORE_PLUGIN=hello -- ./store
  NAME expose --listen unix:///run/plugins/store.sock -- ./store`, "NAME", o.Name),
		RunE: func(cmd *cobra.Command, args []string) error {
			if path := os.Getenv(o.prefix() + "_EXECUTABLE"); len(args) == 0 && path != "" {
				args = []string{path}
			}
			if len(args) == 0 {
				return failf(exitUsage, "name the executable after --, or in %s_EXECUTABLE; see %s --help", o.prefix(), cmd.CommandPath())
			}
			return o.expose(cmd, f, args)
		},
	}
	flags := cmd.Flags()
	flags.SetInterspersed(false) // what follows the executable is its own
	flags.StringVar(&f.listen, "listen", "0.0.0.0:7000", "host:port to serve at, or unix:///path of a socket")
	flags.Var(&cookieFlag{text: &f.cookie}, "cookie", "magic cookie of the executable, KEY=VALUE (default: the first host's, where no stranger comes first)")
	flags.Var((*versionsFlag)(&f.versions), "versions", "app versions to ask the executable for (default: the first host's)")
	flags.StringVar(&f.share, "share", string(expose.All), "whom a process serves: all, host or session")
	flags.StringVar(&f.recycle, "recycle-after", "", "replace a process, once it runs no call, after so many calls (1000), so much time (24h), or at a size (512MiB)")
	flags.DurationVar(&f.startTimeout, "start-timeout", 10*time.Second, "how long the executable may take to say that it serves")
	flags.IntVar(&f.maxChildren, "max-children", 64, "how many processes may serve at once, with --share host or session")
	flags.BoolVar(&f.autoMTLS, "auto-mtls", false, "use one-time certificates towards the executable")
	flags.StringVar(&f.reattach, "print-reattach", "", "print the JSON with which an unchanged host reattaches; with =NAME, as an object of that name")
	flags.Lookup("print-reattach").NoOptDefVal = unnamed
	return cmd
}

func (o Options) expose(cmd *cobra.Command, f exposeFlags, args []string) error {
	if err := f.validate(cmd.Flags()); err != nil {
		return &failure{exitUsage, err}
	}
	opts, err := o.exposeOptions(cmd.OutOrStdout(), cmd.ErrOrStderr(), f, args)
	if err != nil {
		return &failure{exitUsage, err}
	}
	defer o.followExposed(&opts)()
	lis, err := listenAt(f.listen)
	if err != nil {
		return &failure{exitUsage, err}
	}
	ctx := cmd.Context()
	over := o.beginWait(ctx, func(context.Context) {
		o.sayWait(cmd.ErrOrStderr(), fmt.Sprintf("%s to say that it serves, %v at most (--start-timeout)", args[0], f.startTimeout))
	})
	server, err := expose.New(ctx, opts)
	over()
	if err != nil {
		return exposeFailure(errors.Join(err, lis.Close()))
	}
	if f.reattach != "" {
		name := strings.TrimPrefix(f.reattach, unnamed)
		text, err := server.Reattach(lis.Addr(), name)
		if err == nil {
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s\n", text)
		}
		if err != nil {
			return errors.Join(err, lis.Close(), server.Close())
		}
	}
	collectSeldom()
	return exposeFailure(server.Run(ctx, lis))
}

// listenAt opens what --listen names: a unix socket, or host:port.
func listenAt(address string) (net.Listener, error) {
	if strings.HasPrefix(strings.ToLower(address), "unix:") {
		return plugin.ListenUnix("--listen", address)
	}
	lis, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("--listen %s: %w", address, err)
	}
	return lis, nil
}

// exposeFailure gives an error its exit code.
func exposeFailure(err error) error {
	switch {
	case err == nil, errors.Is(err, context.Canceled): // interrupted before it served
		return err
	case errors.Is(err, expose.ErrNotStarted):
		return &failure{exitUnreachable, err}
	case errors.Is(err, expose.ErrOptions):
		return &failure{exitUsage, err}
	}
	return &failure{exitFailed, err} // It has served.
}

func (o Options) exposeOptions(stdout, stderr io.Writer, f exposeFlags, args []string) (expose.Options, error) {
	e := expose.Options{
		Command: args, Versions: f.versions, StartNow: f.reattach != "", Share: expose.Share(f.share), AutoMTLS: f.autoMTLS,
		StartTimeout: f.startTimeout, MaxChildren: f.maxChildren, Stdout: stdout, Stderr: stderr,
		ListenName: "--listen " + f.listen,
	}
	c, err := o.readConfig()
	if err != nil {
		return e, err
	}
	e.Logger = c.logger(stderr)
	if e.Cookie, err = o.exposedCookie(f.cookie); err != nil {
		return e, err
	}
	if e.Recycle, err = expose.ParseRecycle(f.recycle); err != nil {
		return e, fmt.Errorf("--recycle-after %w", err)
	}
	if e.Network, err = plugin.NetworkConfigFromEnv(); err != nil {
		return e, err
	}
	return e, nil
}

// validate says which flag has a value that means nothing.
func (f *exposeFlags) validate(flags *pflag.FlagSet) error {
	switch {
	case f.startTimeout <= 0:
		return fmt.Errorf("--start-timeout %v: want more than zero, such as 10s", f.startTimeout)
	case f.maxChildren <= 0:
		return fmt.Errorf("--max-children %d: want 1 or more", f.maxChildren)
	case flags.Changed("print-reattach") && f.reattach == "":
		return errors.New("--print-reattach= has no name: write --print-reattach, or name the plugin behind =")
	}
	return nil
}

// exposedCookie reads what --cookie says, or the variable that takes its place in an image.
func (o Options) exposedCookie(flag string) (cookie plugin.HandshakeConfig, err error) {
	if flag != "" {
		return parseCookie("--cookie", flag)
	}
	variable := o.prefix() + "_COOKIE"
	if text := os.Getenv(variable); text != "" {
		return parseCookie(variable, text)
	}
	return cookie, nil
}

// parseCookie reads a magic cookie, of which an error says where it is from.
func parseCookie(from, text string) (plugin.HandshakeConfig, error) {
	key, value, _ := strings.Cut(text, "=")
	if key == "" || value == "" {
		return plugin.HandshakeConfig{}, fmt.Errorf("%s %q: want KEY=VALUE", from, text)
	}
	return plugin.HandshakeConfig{MagicCookieKey: key, MagicCookieValue: value}, nil
}
