// SPDX-License-Identifier: MPL-2.0

// Package cli is the command line of the host: it turns arguments and environment
// into a visit to every plugin, a daemon, or questions to one, and what comes of it
// into text and an exit code.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"github.com/hashicorp/go-plugin/printable"
	"github.com/spf13/cobra"

	"github.com/reattach/reattach/host/daemon"
	"github.com/reattach/reattach/host/visit"
)

// Exit codes of the host.
const (
	exitOK          = 0   // all went well
	exitFailed      = 1   // a plugin failed or answered with an error
	exitUsage       = 2   // arguments or environment are wrong
	exitUnreachable = 3   // no plugin or daemon could be reached
	exitInterrupted = 130 // ended by a signal before it was done
)

const exitCodes = `Exit codes:
  0    all went well
  1    a plugin failed, or answered with an error
  2    the arguments or the environment are wrong
  3    a plugin, or the daemon that was asked, could not be reached
  130  interrupted before it was done
`

// Host is what makes a host of its own of this command line: the contract that it
// shares with its plugins, and what it asks of them.
type Host struct {
	// Handshake and Versions are those of daemon.Options.
	Handshake plugin.HandshakeConfig
	Versions  func(plugin.PluginSet) map[int]plugin.PluginSet
	// Kinds are the interfaces that the daemon knows.
	Kinds []daemon.Kind
	// Visits are what the one-shot host asks of each plugin.
	Visits func(Config) []visit.Kind
	// Greet says what basic serve does with a plugin that became ready; what it
	// prints goes to w.
	Greet func(c Config, w io.Writer) func(ctx context.Context, d *daemon.Daemon, plugin string)
}

// Main runs the host with the process's arguments, environment and streams, and
// gives its exit code.
func Main(h Host) int {
	ctx, end := untilTold(context.Background())
	defer end()
	writeErrors()
	return h.run(ctx, os.Args[1:], &readStream{os.Stdout, end}, &readStream{os.Stderr, end})
}

// run runs one command line. Whatever it prints is fit for a terminal.
func (h Host) run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	stdout, stderr = printable.NewWriter(stdout), printable.NewWriter(stderr)
	root := h.command()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	code := exitFailed
	failed, ok := errors.AsType[*failure](err)
	switch {
	case ok:
		code = failed.code
	case ctx.Err() != nil:
		code, err = exitInterrupted, errors.New("interrupted")
	}
	if err.Error() != "" {
		fmt.Fprintf(stderr, "basic: %s\n", told(err))
	}
	return code
}

// told is an error as a paragraph, of which every line but the first is indented.
func told(err error) string {
	text := printable.Text(printable.Clip(err.Error(), maxError))
	return printable.Clip(strings.ReplaceAll(text, "\n", "\n  "), maxError)
}

// maxError is how much of an error is printed, in bytes.
const maxError = 3 << 10

// failure is an error with the exit code that it leads to. An empty one was told
// already.
type failure struct {
	code int
	err  error
}

func (f *failure) Error() string {
	if f.err == nil {
		return ""
	}
	return f.err.Error()
}

func (f *failure) Unwrap() error { return f.err }

func failf(code int, format string, args ...any) error {
	return &failure{code, fmt.Errorf(format, args...)}
}

// usage marks what cobra says of arguments that are wrong.
func usage(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			return failf(exitUsage, "%w; see %s --help", err, cmd.CommandPath())
		}
		return nil
	}
}

// readConfig reads the environment for a command.
func readConfig() (Config, error) {
	c, err := ReadConfig()
	if err != nil {
		return c, &failure{exitUsage, err}
	}
	return c, nil
}

func (c Config) logger(stderr io.Writer) hclog.Logger {
	return hclog.New(&hclog.LoggerOptions{Name: "basic", Level: hclog.LevelFromString(c.LogLevel), Output: printable.NewRecordWriter(stderr)})
}
