// SPDX-License-Identifier: MPL-2.0

// Package cli is the command line of the host: it turns the environment into a
// visit to every plugin, and the reports into text and an exit code.
package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"syscall"

	"github.com/hashicorp/go-hclog"

	"github.com/reattach/reattach/host/visit"
)

// Exit codes of the host.
const (
	exitOK          = 0
	exitFailed      = 1
	exitUsage       = 2
	exitInterrupted = 130
)

// Main runs the host with the process's arguments, environment and streams, and
// gives its exit code. kinds says what the host knows.
func Main(kinds func(Config) []visit.Kind) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// A second signal ends the process at once.
	context.AfterFunc(ctx, stop)
	if len(os.Args) > 1 {
		return usage(os.Args[1:], os.Stdout, os.Stderr)
	}
	config, err := ReadConfig()
	if err != nil {
		fmt.Fprintf(os.Stderr, "basic: %v\n", err)
		return exitUsage
	}
	return run(ctx, config, kinds(config), os.Stdout, os.Stderr)
}

// run visits every plugin that c points at.
func run(ctx context.Context, c Config, kinds []visit.Kind, stdout, stderr io.Writer) int {
	places, err := findPlaces(c)
	if err != nil {
		fmt.Fprintf(stderr, "basic: %v\n", err)
	}
	reports := visit.All(ctx, visit.Options{
		Kinds:         kinds,
		Versions:      c.ContractVersions,
		AttachTimeout: c.AttachTimeout,
		CallTimeout:   c.CallTimeout,
		Logger: hclog.New(&hclog.LoggerOptions{
			Name:   "basic",
			Level:  hclog.LevelFromString(c.LogLevel),
			Output: stderr,
		}),
	}, places)
	if e := printReports(stdout, reports); e != nil {
		fmt.Fprintf(stderr, "basic: print the results: %v\n", e)
		return exitFailed
	}
	switch {
	case ctx.Err() != nil:
		fmt.Fprintln(stderr, "basic: interrupted")
		return exitInterrupted
	case err != nil, slices.ContainsFunc(reports, visit.Report.Failed):
		return exitFailed
	}
	return exitOK
}
