// SPDX-License-Identifier: MPL-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/hashicorp/go-plugin/printable"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/reattach/reattach/commons"
	"github.com/reattach/reattach/host/daemon"
	"github.com/reattach/reattach/host/stub"
)

// greeted is who is greeted through every plugin.
type greeted struct {
	Name string `envconfig:"GREET_NAME" default:"someone" desc:"who is greeted"`
}

// times is the mark that Hi is asked to carry.
const times = 2

// greet asks a plugin all that the kinds of package commons know, and writes a line for
// each answer. A kind or a method that the plugin lacks is no error: it is only older
// than this host.
func (g *greeted) greet(ctx context.Context, d *daemon.Daemon, plugin string, w io.Writer) error {
	missing := ""
	var failed []error
	for _, q := range []struct {
		said, kind, method string
		args               []any
	}{
		{"greet", commons.GreeterKind, "Greet", []any{g.Name}},
		{"hi", commons.GreeterKind, "Hi", []any{times}},
		{"ping", commons.PingPongerKind, "Ping", nil},
	} {
		if q.kind == missing {
			continue
		}
		answer, err := ask(ctx, d, plugin, q.kind, q.method, q.args)
		switch {
		case errors.Is(err, daemon.ErrNotServed):
			q.said, answer, missing = q.kind, "not served", q.kind
		case lacksMethod(err):
			answer = err.Error()
		case err != nil:
			failed = append(failed, fmt.Errorf("%s: %w", q.said, err))
			if stub.SourceOf(err) == stub.SourceNetwork {
				return errors.Join(failed...) // the others would only wait as long
			}
			continue
		}
		// Clipped before it is escaped, which may make four times as much of it.
		shown := printable.Line(printable.Clip(answer, printable.MaxText))
		if _, err := fmt.Fprintf(w, "%s: %s\n", q.said, shown); err != nil {
			return err
		}
	}
	return errors.Join(failed...)
}

func ask(ctx context.Context, d *daemon.Daemon, plugin, kind, method string, args []any) (string, error) {
	raw, err := json.Marshal(args)
	if err != nil {
		return "", err
	}
	result, err := d.Call(ctx, plugin, kind, method, raw)
	if err != nil {
		return "", err
	}
	var answer string
	return answer, json.Unmarshal(result, &answer)
}

// lacksMethod reports whether err says that the plugin's kind is older than the
// method. net/rpc and grpc-go have these words for it.
func lacksMethod(err error) bool {
	return err != nil && (status.Code(err) == codes.Unimplemented || strings.HasPrefix(err.Error(), "rpc: can't find method "))
}
