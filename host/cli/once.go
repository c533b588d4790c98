// SPDX-License-Identifier: MPL-2.0

package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/hashicorp/go-plugin/printable"

	"github.com/reattach/reattach/host/conn"
	"github.com/reattach/reattach/host/daemon"
)

// useOnce uses every plugin once, and prints what came of it in the order of their
// names. The same answers always give the same text.
func (c *config) useOnce(ctx context.Context, stdout, stderr io.Writer) (err error) {
	l, err := c.newLocal(ctx, stderr)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	var found found
	err = c.program.untilTried(ctx, l, stderr, func(ctx context.Context) (err error) {
		found, err = l.Plugins(ctx)
		return err
	})
	if err != nil {
		return err
	}
	// A call without a context ends only with its session.
	defer context.AfterFunc(ctx, l.cancel)()
	said := make([]bytes.Buffer, len(found.Plugins))
	codes := make([]int, len(found.Plugins))
	var uses sync.WaitGroup
	for i, p := range found.Plugins {
		uses.Go(func() { codes[i] = c.use(ctx, l.d, p, &said[i]) })
	}
	uses.Wait()
	code := found.code()
	for i := range said {
		code = max(code, codes[i])
		if _, err := said[i].WriteTo(stdout); err != nil {
			return fmt.Errorf("print the results: %w", err)
		}
	}
	for _, p := range found.ofNoPlugin() {
		if _, err := fmt.Fprintf(stdout, "%s\n  error: %s\n", printable.Cell(p.Subject, maxColumns), oneLine(p.Reason)); err != nil {
			return fmt.Errorf("print the results: %w", err)
		}
	}
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case code != exitOK:
		return &failure{code: code} // said already
	}
	return nil
}

// use writes what one plugin is and what the program makes of it, and gives the exit
// code.
func (c *config) use(ctx context.Context, d *daemon.Daemon, p daemon.Plugin, w *bytes.Buffer) int {
	fmt.Fprintln(w, headOf(p))
	if !p.Ready {
		fmt.Fprintf(w, "  error: %s\n", oneLine(statusOf(p)))
		return exitUnreachable
	}
	if c.program.OnceReady == nil {
		return exitOK
	}
	var said said
	err := c.program.OnceReady(ctx, d, p.Name, &said)
	for _, line := range said.lines(err) {
		fmt.Fprintf(w, "  %s\n", line)
	}
	return codeOf(err)
}

// headOf says which plugin it is, where it runs, and what is spoken with it.
func headOf(p daemon.Plugin) string {
	head := p.Name
	if len(p.Endpoints) == 0 {
		return head
	}
	ready := 0
	shown := p.Endpoints[0]
	for _, e := range p.Endpoints {
		if e.State == conn.Ready {
			if ready == 0 {
				shown = e
			}
			ready++
		}
	}
	head += "  " + shown.Placement.String()
	if ready > 0 {
		head += fmt.Sprintf("  %s v%d", protocolName(shown.Protocol), shown.Version)
	}
	if len(p.Endpoints) > 1 {
		head += fmt.Sprintf("  %d/%d endpoints", ready, len(p.Endpoints))
	}
	return head
}

// protocolName is what people call a protocol.
func protocolName(p string) string {
	switch p {
	case "grpc":
		return "gRPC"
	case "netrpc":
		return "net/rpc"
	}
	return p
}

// maxColumns is how much of a text a line holds that has a few words before it.
const maxColumns = 260

// oneLine joins the lines of what explains itself at length.
func oneLine(text string) string {
	return printable.Cell(strings.Join(strings.Fields(printable.Clip(text, 4*maxColumns)), " "), maxColumns)
}
