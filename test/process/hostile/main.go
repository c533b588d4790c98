// SPDX-License-Identifier: MPL-2.0

// Command hostile is a plugin whose every text holds what a terminal obeys or what
// hides and reorders other text. The name that it is to greet chooses how.
package main

import (
	"context"
	"errors"
	"fmt"
	"net/rpc"
	"os"
	"strings"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"

	"github.com/reattach/reattach/commons"
)

// words has a control sequence, a title, a bell, DEL, C1, bidirectional controls,
// zero-width characters, separators, tags, and a line that looks like a log record.
const words = "\x1b[31mred\x1b]0;title\a\x7f\u009b2J\u202egnp\u2066\u200b\u2060\ufeff\u2028\u2029\U000e0041\r\n2026-01-01T00:00:00.000Z [ERROR] basic: forged"

// large is the length of the texts that are too long, in bytes.
const large = 5 << 20

func long() string { return strings.Repeat(words, large/len(words)) }

// greeter implements commons.Greeter and commons.PingPonger.
type greeter struct{ logger hclog.Logger }

func (g greeter) Greet(name string) (string, error) {
	g.say(words)
	switch name {
	case "error":
		return "", errors.New(words)
	case "bytes":
		return words + "\xff\xc0", nil
	case "long":
		g.say(long())
		return long(), nil
	case "long error":
		return "", errors.New(long())
	case "panic":
		panic(words)
	}
	return words, nil
}

func (g greeter) Hi(int) (string, error) { return "", errors.New(words) }

func (g greeter) Ping() (string, error) { return words, nil }

// say writes text to everything that a host reads.
func (g greeter) say(text string) {
	g.log(text)
	fmt.Fprintln(os.Stdout, text+"\xff")
}

func (g greeter) log(text string) {
	g.logger.Error(text, words, words, "nested", map[string]any{words: []string{words}})
	fmt.Fprintln(os.Stderr, text)
	fmt.Fprintln(os.Stderr, "[ERROR] "+text)
}

// idle is a kind that nobody asks anything.
type idle struct{}

// Nothing is a method for net/rpc to find.
func (idle) Nothing(int, *int) error { return nil }

func (idle) Server(*plugin.MuxBroker) (any, error)              { return idle{}, nil }
func (idle) Client(*plugin.MuxBroker, *rpc.Client) (any, error) { return idle{}, nil }
func (idle) GRPCServer(*plugin.GRPCBroker, *grpc.Server) error  { return nil }
func (idle) GRPCClient(context.Context, *plugin.GRPCBroker, *grpc.ClientConn) (any, error) {
	return idle{}, nil
}

func main() {
	logger := hclog.New(&hclog.LoggerOptions{Level: hclog.Debug, Output: os.Stderr, JSONFormat: true})
	g := greeter{logger}
	set := plugin.PluginSet{
		commons.GreeterKind:    &commons.GreeterPlugin{Impl: g},
		commons.PingPongerKind: &commons.PingPongerPlugin{Impl: g},
	}
	for i := range 600 {
		set[fmt.Sprintf("kind-%03d-%s", i, strings.Repeat("x", 64))] = idle{}
	}
	g.log(words)
	commons.Serve(logger, set)
}
