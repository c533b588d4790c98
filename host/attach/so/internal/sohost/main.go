// SPDX-License-Identifier: MPL-2.0

// Command sohost is a host for tests: a program of its own that loads the
// shared objects given as arguments, one after the other, and prints for each
// the greeting that it gives, or why it was not loaded.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/hashicorp/go-plugin"

	"github.com/reattach/reattach/commons"
	"github.com/reattach/reattach/host/attach"
	"github.com/reattach/reattach/host/attach/dialertest/served"
	"github.com/reattach/reattach/host/attach/so"
	"github.com/reattach/reattach/host/conn"
	"github.com/reattach/reattach/host/target"
)

func main() {
	dialer, err := so.Dialer(so.Options{Contract: attach.Contract{
		Handshake: commons.Handshake(),
		Versions: map[int]plugin.PluginSet{
			commons.VersionNetRPC: {commons.GreeterKind: &commons.GreeterPlugin{}},
		},
	}})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	for _, path := range os.Args[1:] {
		greeting, err := greet(dialer, path)
		switch {
		case err == nil:
			fmt.Println(greeting)
		case errors.Is(err, conn.ErrPermanent):
			fmt.Println("permanent:", err)
		default:
			fmt.Println("error:", err)
		}
	}
}

func greet(dialer conn.Dialer, path string) (greeting string, err error) {
	e := target.Endpoint{ID: target.MakeID("greeter-so", path), Plugin: "greeter-so", Placement: target.InProcess, Address: path}
	session, err := dialer.Dial(context.Background(), e)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, session.Close()) }()
	greet, end, err := served.Greeter(session)
	if err != nil {
		return "", err
	}
	defer func() { _ = end() }()
	return greet("Ada")
}
