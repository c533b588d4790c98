// SPDX-License-Identifier: MPL-2.0

package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/reattach/reattach/host/balancer"
	"github.com/reattach/reattach/host/discovery"
	"github.com/reattach/reattach/host/discovery/static"
	"github.com/reattach/reattach/host/shim/attach"
	"github.com/reattach/reattach/host/target"
)

// targetFile is what the name of a link to the program gets to be that of its target file.
const targetFile = ".target"

func (o Options) attachCommand() *cobra.Command {
	var s attach.Settings
	var file string
	cmd := &cobra.Command{
		Use:   "attach [TARGET]",
		Short: "Stand in for a plugin towards the host that starts this program as one",
		Long: `Is what a host that cannot be changed starts as its plugin: every call goes on to the
plugin's endpoints at TARGET, a list as NETWORK_PLUGIN takes it, of one plugin. It ends with
its host, and the plugin lives on.

A host that takes only a path is given a link to ` + o.Name + ` under the plugin's name, here
"store", with a file store` + targetFile + ` beside it, or TARGET in ` + o.prefix() + `_TARGET.

` + exitCodes,
		Example: "  " + o.Name + " attach --cookie STORE_PLUGIN=hello store.plugins:7000",
		Args:    counted(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			host := os.Getppid() // before a file is read: the host may end meanwhile
			if file != "" {
				if other := besideFile(cmd); other != "" {
					return failf(exitUsage, "--file takes the place of --%s: write it into %s", other, file)
				}
				read, err := attach.ReadSettings(file)
				if err != nil {
					return &failure{exitUsage, err}
				}
				s = read
			}
			switch {
			case len(args) > 0:
				s.Target = args[0]
			case s.Target == "":
				s.Target = os.Getenv(o.prefix() + "_TARGET")
			}
			if err := s.Validate(); err != nil {
				return &failure{exitUsage, err}
			}
			return o.attach(&s, host, cmd.ErrOrStderr())
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&file, "file", "", "target file, which takes the place of the other flags")
	flags.Var(&cookieFlag{text: &s.Cookie}, "cookie", "magic cookie of host and plugin, KEY=VALUE (default: that of "+o.Name+")")
	flags.Var((*versionsFlag)(&s.Versions), "versions", "which of the host's versions to use, or those of a host that does not list its own")
	flags.StringVar(&s.Protocol, "protocol", "", "grpc or netrpc, where the plugin serves both and the host speaks one")
	flags.StringVar(&s.Affinity, "affinity", "", "session keeps the host with one endpoint, and ends when that is lost")
	flags.StringSliceVar(&s.Replay, "replay", nil, "methods whose last accepted request each endpoint gets first")
	flags.StringSliceVar(&s.Idempotent, "idempotent", nil, "methods that may be repeated on another endpoint")
	flags.DurationVar(&s.Timeout, "timeout", 0, "bound of each call without a deadline (default a day)")
	flags.DurationVar(&s.Wait, "wait", 0, "how long a call waits for an endpoint (default ATTACH_TIMEOUT)")
	return cmd
}

// besideFile is a flag of attach that was given beside --file; empty: none was. Flags of the
// whole program are not in target files.
func besideFile(attach *cobra.Command) (other string) {
	all := attach.InheritedFlags()
	attach.Flags().Visit(func(f *pflag.Flag) {
		if f.Name != "file" && all.Lookup(f.Name) == nil {
			other = f.Name
		}
	})
	return other
}

// linkArguments gives the arguments that a link to the program stands for: it has
// another name, and a target file beside it or a target in the environment. What the
// host gives to its plugin as arguments is for the plugin, and means nothing here. A link
// that a host starts without either is told which file it wants.
func (o Options) linkArguments(called string, args []string) []string {
	o = o.withDefaults()
	if strings.TrimSuffix(filepath.Base(called), ".exe") == o.Name {
		return args
	}
	for _, path := range []string{called + targetFile, strings.TrimSuffix(called, ".exe") + targetFile} {
		if _, err := os.Stat(path); err == nil {
			return []string{"attach", "--file", path}
		}
	}
	switch {
	case len(args) > 0:
		return args
	case os.Getenv(o.prefix()+"_TARGET") != "":
		return []string{"attach"}
	case os.Getenv("PLUGIN_PROTOCOL_VERSIONS") != "":
		return []string{"attach", "--file", called + targetFile}
	}
	return args
}

// attach is the plugin of a host, which is a process, until that ends.
func (o Options) attach(s *attach.Settings, host int, stderr io.Writer) error {
	if hclog.LevelFromString(os.Getenv("LOG_LEVEL")) == hclog.NoLevel {
		_ = os.Unsetenv("LOG_LEVEL") // it is the host's, whose words these are
	}
	c, err := o.readConfig()
	if err != nil {
		return err
	}
	handshake := c.program.Handshake
	if s.Cookie != "" {
		handshake.MagicCookieKey, handshake.MagicCookieValue, _ = strings.Cut(s.Cookie, "=") // was validated
	}
	if os.Getenv(handshake.MagicCookieKey) != handshake.MagicCookieValue {
		return failf(exitUsage, "attach is for the program that uses the plugin, which sets the cookie %s when it starts it; "+
			"it may be another one than --cookie or the target file says", handshake.MagicCookieKey)
	}
	a, err := c.attachOptions(s, stderr)
	if err != nil {
		return err
	}
	a.Handshake, a.Host = handshake, host
	defer c.followAttached(&a)()
	a.Waiting = func(what func(context.Context) string) (over func()) {
		return o.beginWait(context.Background(), func(ctx context.Context) { o.sayWait(stderr, what(ctx)) })
	}
	// A terminal's interrupt goes to the host as well, which decides what comes of it.
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	collectSeldom()
	err = attach.Run(ctx, a)
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return failf(exitInterrupted, "interrupted")
	case errors.Is(err, attach.ErrUnreachable), errors.Is(err, attach.ErrLost), errors.Is(err, attach.ErrHostEnded):
		return &failure{exitUnreachable, err}
	}
	return &failure{exitUsage, err}
}

func (c *config) attachOptions(s *attach.Settings, stderr io.Writer) (attach.Options, error) {
	var a attach.Options
	policy, err := c.policy()
	if err != nil {
		return a, &failure{exitUsage, err}
	}
	a = attach.Options{
		Methods: s, Affinity: s.Affinity == attach.AffinitySession, Pin: s.Pin, Wait: cmp.Or(s.Wait, c.AttachTimeout),
		TLS: c.tls(), PlainPlugins: c.TLSPlainPlugins,
		Balancer:      balancer.Options{Policy: policy, Zone: balancer.ZonePreference{Zone: c.Zone, Node: c.Node, MinFraction: 0.25}},
		AttachTimeout: c.AttachTimeout, DrainTimeout: c.DrainTimeout, MaxMessageBytes: c.MaxMessage,
		Log: stderr,
		Logger: hclog.New(&hclog.LoggerOptions{
			Name: c.program.Name + ".attach", Level: hclog.LevelFromString(c.LogLevel), Output: stderr, JSONFormat: true,
		}),
	}
	if s.Protocol != "" {
		a.Protocols = []plugin.Protocol{plugin.Protocol(s.Protocol)}
	}
	if files := s.TLS; files.CA != "" || files.Cert != "" || files.Key != "" {
		a.TLS.CA, a.TLS.Cert, a.TLS.Key = files.CA, files.Cert, files.Key
		a.TLS.CAName, a.TLS.CertName, a.TLS.KeyName = "tls.ca", "tls.cert", "tls.key"
	}
	if a.Versions, err = hostVersions(s.Versions); err != nil {
		return a, &failure{exitUsage, err}
	}
	source, said, err := c.program.targetSource(s.Target, a.Logger)
	if err != nil {
		return a, failf(exitUsage, "target %q: %w", s.Target, err)
	}
	a.Sources, a.Plugin = []discovery.Source{source}, said.Name
	a.Affinity = a.Affinity || said.Affinity
	s.Replay = append(s.Replay, trimmed(strings.Split(said.Replay, ","))...)
	a.Declared = s.Declared()
	return a, nil
}

// hostVersions gives what the host says of its versions, which only very old ones do not:
// all of them, or those of told.
func hostVersions(told []int) ([]int, error) {
	const variable = "PLUGIN_PROTOCOL_VERSIONS"
	var all []int
	for _, text := range trimmed(strings.Split(os.Getenv(variable), ",")) {
		v, err := strconv.Atoi(text)
		if err != nil || v < 0 {
			return nil, fmt.Errorf("%s=%q: want a comma list of numbers", variable, os.Getenv(variable))
		}
		all = append(all, v)
	}
	switch {
	case len(all) > 0 && len(told) > 0:
		both := slices.DeleteFunc(slices.Clone(all), func(v int) bool { return !slices.Contains(told, v) })
		if len(both) == 0 {
			return nil, fmt.Errorf("the host has the versions %v, and none of %v, which --versions or the target file names", all, told)
		}
		return slices.Compact(slices.Sorted(slices.Values(both))), nil
	case len(all) > 0:
		return slices.Compact(slices.Sorted(slices.Values(all))), nil
	case len(told) == 0:
		return nil, fmt.Errorf("the host does not list its versions (%s): name that of its plugins by --versions, or in the target file", variable)
	}
	return told, nil
}

// targetSource gives what finds the endpoints of a target, and what that says of the plugin.
func (o Options) targetSource(text string, logger hclog.Logger) (discovery.Source, target.Plugin, error) {
	for _, f := range o.Finders {
		if knows, is := f.(TargetFinder); is {
			if source, name, ok, err := knows.Target(text, logger); ok {
				return source, target.Plugin{Name: name}, err
			}
		}
	}
	list, said, err := onePlugin(text)
	if err != nil {
		return nil, said, err
	}
	source, err := static.New(list, static.Options{})
	return source, said, err
}

// onePlugin gives a list of which all elements are of one plugin: those without a name
// are of the one that is named, or of that which the first would be named after.
func onePlugin(text string) (list string, said target.Plugin, err error) {
	entries, err := static.Parse(text)
	switch {
	case err != nil:
		return "", said, err
	case len(entries) == 0:
		return "", said, errors.New("it names no address")
	}
	elements := trimmed(strings.Split(text, ","))
	for i, element := range elements {
		switch name := entries[i].Plugin; {
		case !isNamed(element):
		case said.Name != "" && said.Name != name:
			return "", said, fmt.Errorf("it names two plugins, %s and %s: a host starts one", said.Name, name)
		default:
			said.Name = name
		}
	}
	said.Name = cmp.Or(said.Name, entries[0].Plugin)
	for i, element := range elements {
		if !isNamed(element) {
			elements[i] = said.Name + "=" + element
		}
		said = said.Merge(target.Plugin{Affinity: entries[i].Affinity, Replay: entries[i].Replay})
	}
	return strings.Join(elements, ","), said, nil
}

// isNamed reports whether an element of a list names its plugin. Options may follow the
// address.
func isNamed(element string) bool {
	address, _, _ := strings.Cut(element, ";")
	return strings.Contains(address, "=")
}
