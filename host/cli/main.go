// SPDX-License-Identifier: MPL-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/hashicorp/go-plugin/printable"
	"github.com/spf13/cobra"
)

// Exit codes of the program.
const (
	exitOK          = 0   // all went well
	exitFailed      = 1   // a plugin answered with an error
	exitUsage       = 2   // arguments or environment are wrong
	exitUnreachable = 3   // a plugin could not be started or reached, or no daemon
	exitInterrupted = 130 // ended by a signal before it was done
)

const exitCodes = `Exit codes:
  0    all went well
  1    a plugin answered with an error
  2    the arguments or the environment are wrong
  3    a plugin could not be started or reached, or the daemon that was asked
  130  interrupted before it was done
`

// Main runs the program with the process's arguments, environment and streams, and
// gives its exit code. It is for a main function, which calls it once and then ends:
// the process's signals and standard streams are its own from then on.
func Main(o Options) int {
	ctx, end := untilTold(context.Background())
	defer end()
	writeErrors()
	o.called = calledBy(os.Args[0])
	stderr := newLogStream(end, os.Stderr)
	defer stderr.flush()
	return o.run(ctx, o.linkArguments(os.Args[0], os.Args[1:]), newResultStream(ctx, end, os.Stdout), stderr)
}

// run runs one command line. Whatever it prints is fit for a terminal.
func (o Options) run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o = o.withDefaults()
	stdout, stderr = printable.NewWriter(stdout), printable.NewWriter(stderr)
	root := o.command()
	root.SetArgs(append([]string{}, args...)) // For nil, cobra takes those of the process.
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	code := exitFailed
	failed, ok := errors.AsType[*failure](err)
	switch {
	case ctx.Err() != nil && (!ok || errors.Is(err, context.Canceled)):
		code, err = exitInterrupted, errors.New("interrupted")
	case ok:
		code = failed.code
	}
	if err.Error() != "" {
		fmt.Fprintf(stderr, "%s: %s\n", o.Name, told(err))
	}
	return code
}

// told is an error as a paragraph, of which every line but the first is indented.
func told(err error) string {
	said := strings.TrimPrefix(strings.TrimPrefix(err.Error(), "\n"), "reattach: ") // the program's name is before it
	text := printable.Text(printable.Clip(said, maxError))
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

// Error implements error. It is empty where all was said already, and only the code is left.
func (f *failure) Error() string {
	if f.err == nil {
		return ""
	}
	return f.err.Error()
}

// Unwrap gives what has failed, or nil.
func (f *failure) Unwrap() error { return f.err }

func failf(code int, format string, args ...any) error {
	return &failure{code, fmt.Errorf(format, args...)}
}

// UsageError gives an error of a command of Options.Extend the exit code of wrong arguments.
func UsageError(err error) error { return &failure{exitUsage, err} }

// usage marks what is said of arguments that are wrong.
func usage(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			return failf(exitUsage, "%w; see %s --help", err, cmd.CommandPath())
		}
		return nil
	}
}

// counted is usage for arguments that cobra counts: people want to know which there are.
func counted(check cobra.PositionalArgs) cobra.PositionalArgs {
	return usage(func(cmd *cobra.Command, args []string) error {
		if check(cmd, args) != nil {
			return fmt.Errorf("want %s, got %q", strings.TrimSuffix(cmd.UseLine(), " [flags]"), args)
		}
		return nil
	})
}
