// SPDX-License-Identifier: MPL-2.0

package cli

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
	"unicode/utf8"

	"github.com/hashicorp/go-plugin/printable"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/reattach/reattach/host/daemon"
)

func (o Options) callCommand() *cobra.Command {
	var server string
	cmd := &cobra.Command{
		Use:   "call PLUGIN KIND.METHOD [JSON]...",
		Short: "Call a method of a plugin",
		Long: `Calls a method of a plugin, and prints its result as JSON.

Each argument is one JSON value; text that is no JSON is taken as a string. A text such as
5 or true, which is JSON as well, needs quotes within quotes: '"5"'. A single argument that
is a JSON array holds all arguments, one element for each parameter, and one that is an
object holds them by name. What begins with a dash, such as -3, comes after a --.

Of a method that answers with a stream over gRPC each message is a line. One that takes a
stream gets a message of the arguments, if there are any, and one of each line of the
standard input, as an array or an object.

` + exitCodes,
		Example: strings.ReplaceAll(`  NAME call pluginzh greeter.Greet Ada
  NAME call pluginzh greeter.Hi 2
  NAME call pluginzh greeter.Greet '{"name": "Ada"}'
  NAME call --server http://127.0.0.1:8080 pluginzh pingponger.Ping`, "NAME", o.Name),
		Args:              counted(cobra.MinimumNArgs(2)),
		ValidArgsFunction: o.completeCall,
		RunE:              func(cmd *cobra.Command, args []string) error { return o.call(cmd, server, args) },
	}
	cmd.SetFlagErrorFunc(dashHint)
	o.serverFlag(cmd, &server)
	return cmd
}

// dashHint says of an unknown flag that looks like a number how that is given.
func dashHint(cmd *cobra.Command, err error) error {
	err = failf(exitUsage, "%w; see %s --help", err, cmd.CommandPath())
	if unknown, ok := errors.AsType[*pflag.NotExistError](err); ok && json.Valid([]byte("-"+unknown.GetSpecifiedShortnames())) {
		return failf(exitUsage, "-%s is taken for an option: write -- before arguments that begin with a dash, as in %s PLUGIN KIND.METHOD -- -%s",
			unknown.GetSpecifiedShortnames(), cmd.CommandPath(), unknown.GetSpecifiedShortnames())
	}
	return err
}

// call makes the call that the arguments of a command say, and prints what comes of it.
func (o Options) call(cmd *cobra.Command, server string, args []string) error {
	kind, method, ok := cutMethod(args[1])
	if !ok {
		return failf(exitUsage, "%q is not KIND.METHOD, such as greeter.Greet", args[1])
	}
	for i, a := range args[2:] {
		if !utf8.ValidString(a) {
			return failf(exitUsage, "argument %d of %s is not valid UTF-8, which JSON needs: %q", i+1, args[1], a)
		}
	}
	c, err := o.readConfig()
	if err != nil {
		return err
	}
	c.program = c.program.withKind(kind, method)
	return c.ask(cmd, server, func(ctx context.Context, to client) error {
		made := methodCall{to, args[0], kind, method, args[2:]}
		wait := waiting{o, cmd.ErrOrStderr(), to, args[0]}
		return wait.run(ctx, func(ctx context.Context) error { return made.run(ctx, cmd.InOrStdin(), cmd.OutOrStdout()) })
	})
}

// methodCall is a call of a method of a plugin.
type methodCall struct {
	to                   client
	plugin, kind, method string
	args                 []string
}

// run makes the call, or opens the stream, and prints each answer.
func (m methodCall) run(ctx context.Context, in io.Reader, out io.Writer) error {
	result, err := m.to.Call(ctx, m.plugin, m.kind, m.method, arguments(m.args))
	if err == nil {
		return printResult(out, result)
	}
	if s, ok := m.to.(streamer); ok && errors.Is(err, daemon.ErrNotCallable) {
		// Nothing was sent. What is no stream either gets the first error.
		each := func(answer json.RawMessage) error { return printResult(out, answer) }
		streamed := s.Stream(ctx, m.plugin, m.kind, m.method, firstRequest(m.args), requests(in), each)
		if streamed == nil || !errors.Is(streamed, daemon.ErrNotCallable) {
			return streamed
		}
	}
	return quoteHint(ctx, m.to, m.kind, m.method, m.args, err)
}

// streamer calls methods that are streams.
type streamer interface {
	// Stream is as dynamic.Stream has it.
	Stream(ctx context.Context, plugin, kind, method string, args json.RawMessage, more iter.Seq2[json.RawMessage, error], each func(json.RawMessage) error) error
}

// firstRequest is what the arguments of a command come to, or nil if there are none.
func firstRequest(args []string) json.RawMessage {
	if len(args) == 0 {
		return nil
	}
	return arguments(args)
}

// requests gives each line of from that is not blank.
func requests(from io.Reader) iter.Seq2[json.RawMessage, error] {
	return func(yield func(json.RawMessage, error) bool) {
		for lines := bufio.NewReader(from); ; {
			line, err := lines.ReadBytes('\n')
			if line = bytes.TrimSpace(line); len(line) > 0 && !yield(json.RawMessage(line), nil) {
				return
			}
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				yield(nil, fmt.Errorf("read the requests: %w", err))
				return
			}
		}
	}
}

// cutMethod reads KIND.METHOD. The name of a gRPC service, which a kind may go by, has dots
// as well.
func cutMethod(text string) (kind, method string, ok bool) {
	dot := strings.LastIndex(text, ".")
	if dot <= 0 || dot == len(text)-1 {
		return "", "", false
	}
	return text[:dot], text[dot+1:], true
}

// quoteHint adds to the error of arguments that do not fit how a text is written that
// looks like JSON: the shell has taken its quotes.
func quoteHint(ctx context.Context, to client, kind, method string, args []string, err error) error {
	failed, ok := errors.AsType[*failure](err)
	if !ok || failed.code != exitUsage {
		return err
	}
	kinds, asked := to.Kinds(ctx)
	if asked != nil {
		return err // which says enough
	}
	for _, k := range kinds {
		for _, m := range k.Methods {
			if k.Name != kind || m.Name != method || len(m.Params) != len(args) {
				continue
			}
			for i, arg := range args {
				if m.Params[i].Type == "string" && json.Valid([]byte(arg)) && strings.IndexByte(`"{[`, strings.TrimSpace(arg)[0]) < 0 {
					return failf(exitUsage, `%w; a text that is JSON as well needs quotes within quotes: '"%s"'`, err, arg)
				}
			}
		}
	}
	return err
}

// printResult writes the result of a method on one line.
func printResult(w io.Writer, result json.RawMessage) error {
	var line bytes.Buffer
	if err := json.Compact(&line, result); err != nil {
		return fmt.Errorf("read the result: %w", err)
	}
	_, err := fmt.Fprintf(w, "%s\n", printable.JSON(line.Bytes()))
	return err
}

func (o Options) serverFlag(cmd *cobra.Command, server *string) {
	cmd.Flags().StringVar(server, "server", "", "URL of a running daemon; overrides "+o.prefix()+"_SERVER")
}

// arguments makes the JSON array or object that a call takes.
func arguments(args []string) json.RawMessage {
	if len(args) == 1 {
		text := strings.TrimSpace(args[0])
		if json.Valid([]byte(text)) && (text[0] == '[' || text[0] == '{') {
			return json.RawMessage(text)
		}
	}
	list := make([]json.RawMessage, 0, len(args))
	for _, a := range args {
		if !json.Valid([]byte(a)) {
			quoted, err := json.Marshal(a)
			if err != nil {
				continue // a string can always be written
			}
			a = string(quoted)
		}
		list = append(list, json.RawMessage(a))
	}
	raw, err := json.Marshal(list)
	if err != nil {
		return nil // the elements are valid JSON
	}
	return raw
}
