// SPDX-License-Identifier: MPL-2.0

// Command peer is a plugin that does what it is told: the name that it is to greet is
// an order, such as "reply 1048576". Hostile hosts use it to have large answers, and
// hosts are attacked by it.
package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"

	"github.com/reattach/reattach/commons"
)

// greeter implements commons.Greeter and commons.PingPonger.
type greeter struct{}

func (greeter) Greet(order string) (string, error) {
	verb, number, _ := strings.Cut(order, " ")
	n, _ := strconv.Atoi(number)
	text := func() string { return strings.Repeat("x", n) }
	switch verb {
	case "reply":
		return text(), nil
	case "control": // each byte of which takes four when it is shown, and six in JSON
		return strings.Repeat("\x01", n), nil
	case "echo":
		return order, nil
	case "error":
		return "", errors.New(text())
	case "panic":
		panic(text())
	case "flood": // n MiB to each stream, in lines that a terminal would obey
		line := strings.Repeat("\x1b]0;\a\u009b2J\u202e", 100) + "\xff\n"
		for i := 0; i < n<<20; i += len(line) {
			fmt.Fprint(os.Stdout, line)
			fmt.Fprint(os.Stderr, line)
		}
	case "line": // n MiB without an end of line
		for range n << 10 {
			fmt.Fprint(os.Stdout, strings.Repeat("x", 1<<10))
		}
	case "wait":
		select {}
	}
	return "Hello", nil
}

func (greeter) Hi(times int) (string, error) { return fmt.Sprintf("Hi =%d=", times), nil }

func (greeter) Ping() (string, error) { return "pong!", nil }

func main() {
	misbehave(os.Getenv("PEER"))
	logger := hclog.New(&hclog.LoggerOptions{Level: hclog.Debug, Output: os.Stderr, JSONFormat: true})
	commons.Serve(logger, plugin.PluginSet{
		commons.GreeterKind:    &commons.GreeterPlugin{Impl: greeter{}},
		commons.PingPongerKind: &commons.PingPongerPlugin{Impl: greeter{}},
	})
}

// misbehave does what a child must not do before it serves.
func misbehave(how string) {
	switch how {
	case "exit":
		os.Exit(0)
	case "endless line":
		for {
			fmt.Print(strings.Repeat("1|1|unix|", 1<<10))
		}
	case "endless stdout":
		for {
			fmt.Println(strings.Repeat("\x1b[31m", 100))
		}
	case "flood stderr":
		go func() {
			for {
				fmt.Fprintln(os.Stderr, strings.Repeat("\x1b[31m[ERROR] forged ", 10))
			}
		}()
	case "silent":
		select {}
	}
}
