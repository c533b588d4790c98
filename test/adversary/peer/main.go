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
	case "error":
		return "", errors.New(text())
	case "panic":
		panic(text())
	case "print":
		fmt.Println(text())
	case "wait":
		select {}
	}
	return "Hello", nil
}

func (greeter) Hi(times int) (string, error) { return fmt.Sprintf("Hi =%d=", times), nil }

func (greeter) Ping() (string, error) { return "pong!", nil }

func main() {
	logger := hclog.New(&hclog.LoggerOptions{Level: hclog.Debug, Output: os.Stderr, JSONFormat: true})
	commons.Serve(logger, plugin.PluginSet{
		commons.GreeterKind:    &commons.GreeterPlugin{Impl: greeter{}},
		commons.PingPongerKind: &commons.PingPongerPlugin{Impl: greeter{}},
	})
}
